/** Writes of an application while its primary restarts, stops, and is killed and replaced by its standby. */
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { Database } from '../../runtime/index.ts';
import { insertRecord } from '../runtime/fixture.ts';
import { NetworkProxy } from '../runtime/proxy.ts';
import { type ReplicatedServers, replicatedServers } from '../runtime/servers.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

export interface RuntimeFailures {
  /** Writes per second, begun whether or not earlier ones have ended. */
  readonly rate: number;
  /** Seconds of writes before and after each failure. */
  readonly seconds: number;
  /** Seconds for which the primary is stopped. */
  readonly stop: number;
  readonly log: Log;
}

/** Milliseconds within which writes go on after the server is back. */
const longestRecovery = 5000;

/**
 * @throws Disproved if an acknowledged write is missing, a write is doubled, writes resume too late, or sessions are left
 */
export async function proveRuntimeFailures({ rate, seconds, stop, log }: RuntimeFailures): Promise<Proved> {
  const servers = await replicatedServers(true);
  const proxy = await NetworkProxy.start(servers.primary.port);
  const db = new Database(servers.options(proxy.port));
  const writers = new Writers(db, rate);
  const recoveries: string[] = [];
  const episode = async (name: string, on: LocalPostgres, fail: () => Promise<void>) => {
    await pause(seconds);
    await fail();
    const back = performance.now();
    const ms = await writers.successAfter(back);
    await pause(seconds);
    const { acknowledged, failed } = await writers.check(servers, on);
    const figures = `writes after ${Math.round(ms)} ms; ${acknowledged} acknowledged, ${failed} failed`;
    log(`${name}: ${figures}`);
    recoveries.push(`${name} ${Math.round(ms)} ms`);
    if (ms > longestRecovery) throw new Disproved(`${name}: ${figures}`);
    await noSessionsLeft(name, db, servers, on);
  };
  try {
    await db.ready();
    writers.begin();
    await episode('restart', servers.primary, () => servers.primary.restart());
    await episode('stop', servers.primary, async () => {
      const processes = processesOf(servers.primary);
      for (const pid of processes) process.kill(pid, 'SIGSTOP');
      await pause(stop);
      for (const pid of processes) process.kill(pid, 'SIGCONT');
    });
    await episode('kill and promotion', servers.standby, async () => {
      for (const pid of processesOf(servers.primary)) process.kill(pid, 'SIGKILL');
      await servers.standby.promote();
      proxy.lead(servers.standby.port);
    });
    return {
      summary: `${writers.count} writes at ${rate}/s, none lost or doubled; writes went on after: ${recoveries.join(', ')}`,
    };
  } finally {
    await writers.end();
    await db.close({ graceMs: 0 });
    await proxy.stop();
    await servers.stop();
  }
}

class Writers {
  readonly #db: Database;
  readonly #rate: number;
  readonly #acknowledged = new Map<string, number>();
  readonly #failed: string[] = [];
  readonly #pending = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(db: Database, rate: number) {
    this.#db = db;
    this.#rate = rate;
  }

  get count(): number {
    return this.#acknowledged.size + this.#failed.length;
  }

  begin(): void {
    this.#timer = setInterval(() => {
      const writing = this.#write().finally(() => this.#pending.delete(writing));
      this.#pending.add(writing);
    }, 1000 / this.#rate);
  }

  async end(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  async #write(): Promise<void> {
    const id = randomUUID();
    const values = ['acme', id, new Date()];
    try {
      await this.#db.tenant('acme').transaction((tx) => tx.query(insertRecord, values), { idempotent: true });
      this.#acknowledged.set(id, performance.now());
    } catch {
      this.#failed.push(id);
    }
  }

  /** Milliseconds until a write is acknowledged after a moment. Those that waited longest come first. */
  async successAfter(moment: number): Promise<number> {
    const end = moment + 60_000;
    while (performance.now() < end) {
      for (const at of this.#acknowledged.values()) if (at > moment) return at - moment;
      await pause(0.02);
    }
    throw new Disproved('no write was acknowledged within 60 s');
  }

  async check(
    servers: ReplicatedServers,
    on: LocalPostgres,
  ): Promise<{ readonly acknowledged: number; readonly failed: number }> {
    const acknowledged = [...this.#acknowledged.keys()];
    const stored = await servers.stored([...acknowledged, ...this.#failed], on);
    const lost = acknowledged.filter((id) => !stored.has(id));
    const doubled = [...stored].filter(([, times]) => times > 1);
    if (lost.length > 0)
      throw new Disproved(`${lost.length} acknowledged writes are lost, such as ${lost[0]}`);
    if (doubled.length > 0)
      throw new Disproved(`${doubled.length} writes are doubled, such as ${doubled[0]?.[0]}`);
    return { acknowledged: acknowledged.length, failed: this.#failed.length };
  }
}

/** The sessions of the server are at most the connections of the pool, once both have settled. */
async function noSessionsLeft(
  name: string,
  db: Database,
  servers: ReplicatedServers,
  on: LocalPostgres,
): Promise<void> {
  let last = '';
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { total = 0, opening = 0 } = db.gauges['default']?.writer ?? {};
    const sessions = await servers.sessions(on);
    if (sessions <= total + opening) return;
    last = `${sessions} sessions, ${total} connections`;
    await pause(0.1);
  }
  throw new Disproved(`${name}: ${last}`);
}

/** The server and its children. */
function processesOf(server: LocalPostgres): readonly number[] {
  const [pid = ''] = readFileSync(join(server.dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
  const listed = execFileSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const children = listed.map((line) => line.trim().split(/\s+/)).filter(([, parent]) => parent === pid);
  return [Number(pid), ...children.map(([child]) => Number(child))];
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
