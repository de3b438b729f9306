/**
 * Adds and detaches months while analytics reads for ten seconds and the application writes. No writer waits for
 * maintenance longer than a tenth of a second.
 *
 * Latency alone cannot show that, because a busy machine delays every session. Every 10 ms, this proof reads from the
 * server which session waits for which other session, directly or through others. The server's log contains every wait
 * of more than 50 ms.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { connectionOf } from '../../local/postgres/address.ts';
import { type LocalPostgres, randomPassword } from '../../local/postgres/server.ts';
import { start } from '../commands/run.ts';
import { migratedServer } from './migrated.ts';
import { Disproved, type Log, type Proved, quantile } from './proof.ts';
import type { Random } from './random.ts';

export interface PartitionsOptions {
  /** Rounds of adding and detaching months. */
  readonly rounds: number;
  /** Writes per second of all writers together. */
  readonly rate: number;
  /** Duration of one read, in seconds. */
  readonly read: number;
  readonly random: Random;
  readonly log: Log;
  /** Replaces maintenance, so that a test can provoke a wait. @default - llama-db maintain */
  readonly maintenance?: (maintenance: pg.Client) => Promise<void>;
}

export interface Waited extends Proved {
  /** Longest wait of a writer for maintenance, in milliseconds. */
  readonly longest: number;
  /** Partitions created and detached during the reads. */
  readonly created: number;
  readonly detached: number;
}

/** All in milliseconds. */
const limit = 100;
const sampling = 10;
const logged = 50;

const writers = 4;

/** @throws Disproved if a writer waited too long for maintenance, or maintenance did not do its work meanwhile */
export async function provePartitions(options: PartitionsOptions): Promise<Waited> {
  const server = await migratedServer(
    { log_lock_waits: 'on', deadlock_timeout: `${logged}ms`, max_wal_size: '1GB' },
    { durable: true },
  );
  try {
    const run = new Run(server, options);
    return await run.all();
  } finally {
    await server.stop();
  }
}

interface Phase {
  readonly name: string;
  readonly latencies: number[];
}

class Run {
  readonly #log: Log;
  readonly #application = { user: 'proof_application', password: randomPassword() };
  readonly #analytics = { user: 'proof_analytics', password: randomPassword() };
  readonly #records: { readonly id: string; readonly timestamp: string }[] = [];
  readonly #writerPids = new Set<number>();
  readonly #maintenancePids = new Set<number>();
  #created = 0;
  #detached = 0;
  #longest = 0;
  #failed: Error | undefined;

  constructor(
    private readonly server: LocalPostgres,
    private readonly options: PartitionsOptions,
  ) {
    this.#log = options.log;
  }

  async all(): Promise<Waited> {
    const { rounds, rate, read } = this.options;
    await this.#prepare();
    const quiet: Phase = { name: 'without maintenance', latencies: [] };
    const busy: Phase = { name: 'with maintenance', latencies: [] };
    for (let round = 1; round <= rounds; round += 1) {
      await this.#loaded(quiet, () => sleep(0));
      await this.#makeOld(round);
      await this.#loaded(busy, () => this.#maintain());
      this.#log(
        `round ${round} of ${rounds}: ${this.#created} partitions created, ${this.#detached} detached, longest wait for maintenance ${this.#longest.toFixed(0)} ms`,
      );
    }
    for (const { name, latencies } of [quiet, busy]) {
      const [half, most, nearly, worst] = [0.5, 0.95, 0.99, 1].map((share) =>
        quantile(latencies, share).toFixed(1),
      );
      this.#log(
        `  ${name}: ${latencies.length} writes, ${(latencies.length / (rounds * (read + 1))).toFixed(0)} per second; latency ${half} ms (median), ${most} (95 %), ${nearly} (99 %), ${worst} (longest)`,
      );
    }
    const fromLog = this.#loggedWaits();
    this.#log(
      `  lock waits of more than ${logged} ms in the server's log: ${fromLog.all.length} of writers, ${fromLog.own.length} of them for maintenance`,
    );
    const longest = Math.max(this.#longest, ...fromLog.own);
    if (this.#failed) throw new Disproved(`a write failed: ${this.#failed.message}`);
    if (longest > limit) throw new Disproved(`a writer waited ${longest.toFixed(0)} ms for maintenance`);
    if (this.#created < rounds || this.#detached < rounds) {
      throw new Disproved(
        `only ${this.#created} partitions were created and ${this.#detached} detached meanwhile`,
      );
    }
    return {
      longest,
      created: this.#created,
      detached: this.#detached,
      summary: `${this.#created} partitions created and ${this.#detached} detached during reads of ${read} s and ${rate} writes/s: no writer waited longer than ${longest === 0 ? sampling : longest.toFixed(0)} ms for maintenance`,
    };
  }

  async #prepare(): Promise<void> {
    await this.#asSuperuser(async (client) => {
      for (const [{ user, password }, role] of [
        [this.#application, 'application_role'],
        [this.#analytics, 'analytics_role'],
      ] as const) {
        await client.query(
          `CREATE ROLE ${user} LOGIN PASSWORD '${password}'; GRANT ${role} TO ${user} WITH INHERIT TRUE, SET FALSE`,
        );
      }
      await client.query(
        `INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) SELECT 'tenant-' || n, 90 FROM generate_series(1, 20) AS n;
         INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
         SELECT 'tenant-' || 1 + n % 20, md5(n::text), jsonb_build_object('n', n), 'm', 'd', 0.5, now() - make_interval(secs => n)
           FROM generate_series(1, 20000) AS n WHERE now() - make_interval(secs => n) >= date_trunc('month', now(), 'UTC') - interval '1 month'`,
      );
    });
  }

  /** Adds a month past its retention to every table, and raises the months ahead by one. */
  async #makeOld(round: number): Promise<void> {
    const first = `2022-${String(round).padStart(2, '0')}-01`;
    await this.#asSuperuser(async (client) => {
      await client.query(
        `SET ROLE llama_owner;
         SELECT llama.create_monthly_partition(table_name, '${first}') FROM llama.partitioned_tables;
         UPDATE llama.partitioned_tables SET months_ahead = months_ahead + 1;
         RESET ROLE;
         INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value, "timestamp")
         SELECT 'tenant-1', 'm', 't', n, timestamptz '${first} 12:00:00+00' FROM generate_series(1, 5000) AS n`,
      );
    });
  }

  /** Runs readers and writers for the time of one read plus a second, and other work beside them. */
  async #loaded(phase: Phase, work: () => Promise<void>): Promise<void> {
    const { read } = this.options;
    const until = performance.now() + (read + 1) * 1000;
    let over = false;
    const sampler = this.#sample(() => over);
    const reading = [
      this.#reading('llama.storage_records', 'length(t.mapped_data::text)', read),
      this.#reading('llama.audit_trail', 'length(t.table_name)', read),
    ];
    const writing = Array.from({ length: writers }, (_, nth) => this.#write(phase, nth, () => over));
    await sleep(500);
    await work();
    await Promise.all(reading);
    await sleep(Math.max(0, until - performance.now()));
    over = true;
    await Promise.all([...writing, sampler]);
  }

  /** Runs one statement that reads every partition slowly, as a client that processes each row. */
  async #reading(table: string, value: string, seconds: number): Promise<void> {
    const client = new pg.Client({ ...this.#connection(this.#analytics), application_name: 'analytics' });
    await client.connect();
    try {
      await client.query(
        `SELECT sum(q.size) FROM (SELECT ${value} AS size, pg_sleep($1) FROM ${table} AS t LIMIT $2) AS q`,
        [0.02, Math.ceil(seconds / 0.02)],
      );
    } finally {
      await client.end();
    }
  }

  /** Writes at fixed times, so that a wait does not hide the writes that it delays. */
  async #write(phase: Phase, nth: number, over: () => boolean): Promise<void> {
    const { rate, random } = this.options;
    const client = new pg.Client({ ...this.#connection(this.#application), application_name: 'writer' });
    await client.connect();
    this.#writerPids.add((client as unknown as { processID: number }).processID);
    const pause = (1000 * writers) / rate;
    let due = performance.now() + (pause * nth) / writers;
    try {
      while (!over()) {
        await sleep(Math.max(0, due - performance.now()));
        const begun = performance.now();
        await client.query(this.#statement(random, nth));
        phase.latencies.push(performance.now() - begun);
        due = Math.max(due + pause, performance.now() - 1000);
      }
    } catch (error) {
      this.#failed ??= error instanceof Error ? error : new Error(String(error));
    } finally {
      await client.end();
    }
  }

  #statement(random: Random, nth: number): string {
    const tenant = `tenant-${1 + nth}`;
    const known = this.#records.filter((_, place) => place % writers === nth);
    const context = `BEGIN; SELECT set_config('app.current_tenant_id', '${tenant}', true)`;
    if (known.length > 0 && random.chance(0.3)) {
      const { id, timestamp } = random.pick(known.slice(-50));
      return `${context}; UPDATE llama.storage_records SET model_version = 'm${random.below(9)}' WHERE tenant_id = '${tenant}' AND id = '${id}' AND "timestamp" = '${timestamp}'; COMMIT`;
    }
    const record = {
      id: `${random.hex(8)}-${random.hex(4)}-4${random.hex(3)}-9${random.hex(3)}-${random.hex(12)}`,
      timestamp: new Date().toISOString(),
    };
    if (random.chance(0.2)) this.#records.push(record);
    return `${context}; INSERT INTO llama.storage_records (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp") VALUES ('${record.id}', '${tenant}', 'h', '{"n": 1}', 'm', 'd', '${record.timestamp}'); COMMIT`;
  }

  /** Samples the waits between sessions while the load lasts. */
  async #sample(over: () => boolean): Promise<void> {
    await this.#asSuperuser(async (client) => {
      const since = new Map<number, number>();
      while (!over()) {
        const asked = performance.now();
        const { rows } = await client.query<{ pid: number; name: string; blockers: number[] | null }>(
          `SELECT pid, application_name AS name,
                  CASE WHEN wait_event_type = 'Lock' THEN pg_blocking_pids(pid) END AS blockers
             FROM pg_stat_activity WHERE datname = current_database() AND (wait_event_type = 'Lock' OR application_name LIKE 'llama-db maintain%')`,
        );
        for (const { pid, name } of rows)
          if (name.startsWith('llama-db maintain')) this.#maintenancePids.add(pid);
        const blockers = new Map(rows.map(({ pid, blockers }) => [pid, blockers ?? []]));
        for (const pid of this.#writerPids) {
          if (!this.#waitsForMaintenance(pid, blockers, new Set())) {
            since.delete(pid);
            continue;
          }
          const first = since.get(pid) ?? asked - sampling;
          since.set(pid, first);
          this.#longest = Math.max(this.#longest, performance.now() - first);
        }
        await sleep(Math.max(0, sampling - (performance.now() - asked)));
      }
    });
  }

  #waitsForMaintenance(
    pid: number,
    blockers: ReadonlyMap<number, readonly number[]>,
    seen: Set<number>,
  ): boolean {
    if (seen.has(pid)) return false;
    seen.add(pid);
    return (blockers.get(pid) ?? []).some(
      (other) => this.#maintenancePids.has(other) || this.#waitsForMaintenance(other, blockers, seen),
    );
  }

  async #maintain(): Promise<void> {
    const { maintenance } = this.options;
    if (maintenance) {
      return this.#asSuperuser(maintenance, 'llama-db maintain (replaced)');
    }
    const { code, stdout, stderr } = await start(['maintain', '--url', this.server.url('migrator')]).finished;
    if (code !== 0) throw new Disproved(`maintenance failed beside readers and writers: ${stderr.trim()}`);
    this.#created += stdout.match(/^Partition \w+ created$/gm)?.length ?? 0;
    this.#detached += stdout.match(/^Partition \w+ detached$/gm)?.length ?? 0;
  }

  /** Milliseconds of each logged wait of a writer, and of those for a lock of maintenance. */
  #loggedWaits(): { readonly all: readonly number[]; readonly own: readonly number[] } {
    const all: number[] = [];
    const own: number[] = [];
    let holders: readonly number[] = [];
    let waiting: number | undefined;
    for (const line of this.server.log().split('\n')) {
      const still = /process (\d+) still waiting for .* after [\d.]+ ms/.exec(line);
      if (still) waiting = Number(still[1]);
      const held = /Process(?:es)? holding the lock: ([\d, ]+)\. Wait queue: ([\d, ]+)/.exec(line);
      if (held)
        holders = `${held[1]},${held[2]}`
          .split(',')
          .map(Number)
          .filter((pid) => pid !== waiting);
      const acquired = /process (\d+) acquired .* after ([\d.]+) ms/.exec(line);
      if (!acquired || !this.#writerPids.has(Number(acquired[1]))) continue;
      all.push(Number(acquired[2]));
      if (holders.some((pid) => this.#maintenancePids.has(pid))) own.push(Number(acquired[2]));
    }
    return { all, own };
  }

  #connection(who: { readonly user: string; readonly password: string }): pg.ClientConfig {
    return connectionOf(this.server, who);
  }

  async #asSuperuser<Result>(work: (client: pg.Client) => Promise<Result>, name = 'proof'): Promise<Result> {
    const client = new pg.Client({ ...connectionOf(this.server, 'superuser'), application_name: name });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }
}
