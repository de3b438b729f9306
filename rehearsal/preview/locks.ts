/** Watches the locks of the post-deploy step from a session of its own. */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { Moment } from './client.ts';

/** Milliseconds between two looks. A lock that is held for less may be missed. */
export const lookEvery = 5;

export interface HeldLock extends Moment {
  /** `llama.storage_records`; for a partition, its table. */
  readonly on: string;
  /** Whether only partitions of it are locked. */
  readonly isInPartitions: boolean;
  /** `ACCESS EXCLUSIVE` */
  readonly mode: string;
  /** Most sessions that waited for the holder at once. */
  readonly waiting: number;
}

interface Row {
  /** Of the session; workers of a parallel statement hold locks for it. */
  readonly pid: number;
  readonly transaction: string;
  readonly on: string;
  readonly partition: boolean;
  readonly mode: string;
  readonly waiting: number;
}

/** Modes that block a statement of an application or of maintenance. */
const modes = [
  'ShareUpdateExclusiveLock',
  'ShareLock',
  'ShareRowExclusiveLock',
  'ExclusiveLock',
  'AccessExclusiveLock',
];

const query = `
  SELECT coalesce(a.leader_pid, l.pid) AS pid, a.xact_start::text AS transaction, n.nspname || '.' || c.relname AS on,
         c.oid <> l.relation AS partition, l.mode,
         (SELECT count(*)::int FROM pg_catalog.pg_stat_activity AS w
           WHERE w.wait_event_type = 'Lock' AND l.pid = ANY (pg_catalog.pg_blocking_pids(w.pid))) AS waiting
    FROM pg_catalog.pg_locks AS l
    JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid AND a.application_name LIKE 'llama-db%'
    JOIN pg_catalog.pg_class AS c ON c.relkind IN ('r', 'p', 'm')
     AND c.oid = coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
     AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema')
   WHERE l.locktype = 'relation' AND l.granted AND l.mode = ANY ($1)
     AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())`;

export class LockWatcher {
  /** By process, transaction, relation and mode. */
  readonly #held = new Map<string, HeldLock>();
  readonly #connection: () => Promise<pg.ClientConfig>;
  #isStopped = false;
  #running: Promise<void> | undefined;

  /** @param connection a superuser's, of the server that accepts writes now */
  constructor(connection: () => Promise<pg.ClientConfig>) {
    this.#connection = connection;
  }

  start(): void {
    this.#running = this.#loop();
  }

  /** In the order of their begin. */
  async stop(): Promise<readonly HeldLock[]> {
    this.#isStopped = true;
    await this.#running;
    return [...this.#held.values()].sort((a, b) => a.startedAt - b.startedAt);
  }

  async #loop(): Promise<void> {
    while (!this.#isStopped) {
      // A restart ends this session too.
      await this.#look().catch(() => undefined);
      await sleep(50);
    }
  }

  async #look(): Promise<void> {
    const client = new pg.Client(await this.#connection());
    client.on('error', () => undefined);
    try {
      await client.connect();
      while (!this.#isStopped) {
        const { rows } = await client.query<Row>({ name: 'locks', text: query, values: [modes] });
        const now = Date.now();
        for (const row of rows) this.#see(row, now);
        await sleep(lookEvery);
      }
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  #see({ pid, transaction, on, partition, mode, waiting }: Row, now: number): void {
    const key = [pid, transaction, on, mode].join(' ');
    const before = this.#held.get(key);
    this.#held.set(key, {
      on,
      isInPartitions: partition && (before?.isInPartitions ?? true),
      mode: words(mode),
      startedAt: before?.startedAt ?? now,
      endedAt: now,
      waiting: Math.max(before?.waiting ?? 0, waiting),
    });
  }
}

/** `AccessExclusiveLock` as SQL writes it. */
const words = (mode: string) =>
  mode
    .replace(/Lock$/, '')
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toUpperCase();
