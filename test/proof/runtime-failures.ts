/** Writes of an application while everything that Azure does to connections happens to them. */
import { execFileSync } from 'node:child_process';
import type { LookupAddress } from 'node:dns';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { Database } from '../../runtime/index.ts';
import { NetworkProxy } from '../runtime/proxy.ts';
import { type ReplicatedServers, replicatedServers } from '../runtime/servers.ts';
import { Disproved, type Log, type Proved } from './proof.ts';
import type { Random } from './random.ts';
import { type Recovery, Writers } from './runtime-writers.ts';

export interface RuntimeFailures {
  /** Writes per second, begun whether or not earlier ones have ended. */
  readonly rate: number;
  /** Seconds of writes before and after each failure, and of failures that last. */
  readonly seconds: number;
  /** Seconds for which the primary is stopped. */
  readonly stop: number;
  /** Names of failures that are left out. @default - none */
  readonly without?: readonly FailureName[];
  readonly random: Random;
  readonly log: Log;
}

/** Milliseconds within which writes flow after the server, or the way to it, is back. */
const longestRecovery = 5000;
/** The same after a server that vanished without closing a socket, from the moment at which its name leads to another one. */
const longestMove = 10_000;

/** An application, the network before it, and the servers behind. */
interface World {
  readonly servers: ReplicatedServers;
  readonly db: Database;
  /** Ways to a server: addresses that the name can lead to. */
  readonly ways: readonly [NetworkProxy, NetworkProxy];
  readonly seconds: number;
  readonly stop: number;
  readonly random: Random;
  primary: LocalPostgres;
  standby: LocalPostgres;
  /** The address of the name. */
  address: string;
  /** Until it settles, no name is resolved. */
  stalled: Promise<void> | undefined;
  password: string;
  tokens: number;
}

const poolSize = 10;
const [one, other] = ['127.0.0.2', '127.0.0.3'] as const;

/** Each ends when writes are possible again. */
const failures = {
  restart: ({ primary }) => primary.restart(),

  async stop({ primary, stop }) {
    const processes = processesOf(primary);
    for (const pid of processes) process.kill(pid, 'SIGSTOP');
    await pause(stop);
    for (const pid of processes) process.kill(pid, 'SIGCONT');
  },

  async 'connections cut at random bytes'({ ways: [way], seconds, random }) {
    const before = way.cuts;
    // TLS and login take about 5,000 bytes.
    way.cutAfter = () => 4000 + random.below(40_000);
    way.cut();
    await pause(seconds);
    await until(() => way.cuts > before);
    way.cutAfter = undefined;
    way.cut();
  },

  async 'exhausted pool'({ db, seconds }) {
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holding = Array.from({ length: poolSize }, () => db.tenant('acme').transaction(() => released));
    await pause(seconds);
    const { inUse, waiting } = db.gauges['default']?.writer ?? {};
    if (inUse !== poolSize || !waiting) throw new Error(`${inUse} in use, ${waiting} waiting`);
    release();
    await Promise.all(holding);
  },

  async 'expired token'(world) {
    const before = world.tokens;
    world.password = `${world.password}x`;
    await world.servers.query(
      `ALTER ROLE ${world.servers.login.user} PASSWORD '${world.password}'`,
      [],
      world.primary,
    );
    // The cached token is that of the old password.
    world.ways[0].cut();
    await until(() => world.tokens > before);
  },

  async 'stalled resolution of the name'(world) {
    let resolve = () => {};
    world.stalled = new Promise((done) => {
      resolve = done;
    });
    world.ways[0].cut();
    await pause(world.seconds);
    world.stalled = undefined;
    resolve();
  },

  async 'kill and promotion'(world) {
    for (const pid of processesOf(world.primary)) process.kill(pid, 'SIGKILL');
    await world.standby.promote();
    world.ways[0].lead(world.standby.port);
    world.primary = world.standby;
  },

  async 'swallowed sockets and a moved name'(world) {
    world.ways[0].swallow();
    await world.standby.promote();
    world.ways[1].lead(world.standby.port);
    world.primary = world.standby;
    world.address = other;
  },
} satisfies Readonly<Record<string, (world: World) => Promise<void>>>;

export type FailureName = keyof typeof failures;

/**
 * @throws Disproved if an acknowledged write is missing, a write is doubled or is stored though it failed, writes or notifications
 * resume too late, or sessions are left
 */
export async function proveRuntimeFailures(given: RuntimeFailures): Promise<Proved> {
  const { rate, seconds, without = [], log } = given;
  const world = await build(given);
  const { db, servers } = world;
  const writers = new Writers(db, rate);
  const heard: string[] = [];
  const recoveries: string[] = [];
  const names = (Object.keys(failures) as FailureName[]).filter((name) => !without.includes(name));
  try {
    await db.ready();
    await db.listen('proof', ({ payload }) => heard.push(payload));
    writers.begin();
    await pause(1);
    for (const name of names) {
      // Two failures need a standby that has every commit.
      if (world.primary === world.standby) world.standby = await servers.follow(world.primary, true);
      const start = performance.now();
      await pause(seconds);
      const usual = writers.perSecondSince(start);
      await failures[name](world);
      const back = performance.now();
      const recovery = await writers.recovery(back, usual);
      await pause(seconds);
      const fates = await writers.check((keys) => stored(world, keys));
      log(
        `${name}: first write after ${Math.round(recovery.firstMs)} ms, ${Math.round(usual / 2)}/s after ${Math.round(recovery.flowMs)} ms; ${fates}`,
      );
      recoveries.push(`${name} ${Math.round(recovery.flowMs)} ms`);
      requireSoon(name, recovery);
      await noSessionsLeft(name, world);
      await requireNotified(name, world, heard);
    }
    await writers.end();
    const fates = await writers.check((keys) => stored(world, keys));
    return {
      summary: `${writers.count} writes at ${rate}/s: ${fates}; none lost or doubled; writes flowed after: ${recoveries.join(', ')}`,
    };
  } finally {
    await writers.end();
    await db.close({ graceMs: 0 });
    for (const way of world.ways) await way.stop();
    await servers.stop();
  }
}

async function build({ seconds, stop, random }: RuntimeFailures): Promise<World> {
  const servers = await replicatedServers(true);
  const way = await NetworkProxy.start(servers.primary.port, one);
  const ways = [way, await NetworkProxy.start(servers.primary.port, other, way.port)] as const;
  const lookup = async (): Promise<LookupAddress> => {
    await world.stalled;
    return { address: world.address, family: 4 };
  };
  const getToken = async () => {
    world.tokens += 1;
    return { token: world.password, expiresOnTimestamp: Date.now() + 3_600_000 };
  };
  const { password, address: _, ...options } = servers.options(way.port);
  const db = new Database({
    ...options,
    ...{ lookup, credential: { getToken }, pool: { max: poolSize } },
  });
  const { primary, standby } = servers;
  const world: World = {
    ...{ servers, db, ways, seconds, stop, random, primary, standby },
    ...{ address: one, stalled: undefined, password: servers.login.password, tokens: 0 },
  };
  return world;
}

async function stored({ servers, primary }: World, keys: readonly string[]) {
  const rows = await servers.query<{ key: string; times: number }>(
    `SELECT source_data_hash AS key, count(*)::int AS times FROM llama.storage_records
      WHERE source_data_hash = ANY ($1) GROUP BY source_data_hash`,
    [keys],
    primary,
  );
  return new Map(rows.map(({ key, times }) => [key, times]));
}

function requireSoon(name: FailureName, { flowMs }: Recovery): void {
  const limit = name === 'swallowed sockets and a moved name' ? longestMove : longestRecovery;
  if (flowMs > limit)
    throw new Disproved(`${name}: writes flowed after ${Math.round(flowMs)} ms, not ${limit}`);
}

/** The sessions of the server are at most the connections of the pool and the one that listens, once both have settled. */
async function noSessionsLeft(name: string, { db, servers, primary }: World): Promise<void> {
  let last = '';
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const { writer, listener } = db.gauges['default'] ?? {};
    const connections = (writer?.total ?? 0) + (writer?.opening ?? 0) + Number(listener?.isListening);
    const sessions = await servers.sessions(primary);
    if (sessions <= connections && sessions <= poolSize + 1) return;
    last = `${sessions} sessions, ${connections} connections`;
    await pause(0.1);
  }
  throw new Disproved(`${name}: ${last}`);
}

async function requireNotified(
  name: string,
  { servers, primary }: World,
  heard: readonly string[],
): Promise<void> {
  const end = performance.now() + 10_000;
  while (!heard.includes(name)) {
    if (performance.now() > end) throw new Disproved(`${name}: no notification arrived within 10 s`);
    await servers.query("SELECT pg_notify('proof', $1)", [name], primary);
    await pause(0.2);
  }
}

/** The server and its children. */
function processesOf(server: LocalPostgres): readonly number[] {
  const [pid = ''] = readFileSync(join(server.dataDirectory, 'postmaster.pid'), 'utf8').split('\n');
  const listed = execFileSync('ps', ['-e', '-o', 'pid=,ppid='], { encoding: 'utf8' }).trim().split('\n');
  const children = listed.map((line) => line.trim().split(/\s+/)).filter(([, parent]) => parent === pid);
  return [Number(pid), ...children.map(([child]) => Number(child))];
}

async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 20_000;
  while (!holds()) {
    if (performance.now() > end) throw new Disproved(`not within 20 s: ${holds}`);
    await pause(0.02);
  }
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
