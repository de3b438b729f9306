/** A connection for index statements, which run outside transactions with timeouts for each class of statement. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import { retryOnLock } from '../lock-retry.ts';

/** The common interface of `pgm.db` and `pg.Client`. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

export interface LockLimits {
  /**
   * Milliseconds that a blocking statement (DROP INDEX, ON ONLY, ATTACH) waits for its lock. Other sessions queue behind
   * it for at most that time.
   * @default 2000
   */
  readonly lockTimeout?: number;
  /** Attempts at such a statement, with growing pauses between them. @default 10 */
  readonly attempts?: number;
  /**
   * Milliseconds that a concurrent build may wait for locks. It waits for every older transaction of the database, even
   * of those on other tables, and a build that gives up leaves an invalid index.
   * @default 0 - no limit
   */
  readonly concurrentLockTimeout?: number;
}

const timeouts = ['lock_timeout', 'statement_timeout'] as const;

/** Milliseconds between two looks at a lock that another session holds. */
const pollInterval = 200;

export class IndexSession {
  readonly #db: Queryable;
  readonly #limits: Required<LockLimits>;
  #before: Record<string, unknown> = {};

  private constructor(db: Queryable, limits: LockLimits) {
    this.#db = db;
    this.#limits = { lockTimeout: 2000, attempts: 10, concurrentLockTimeout: 0, ...limits };
  }

  /**
   * Runs `work`, then restores the timeouts of the connection.
   *
   * @throws Fault inside a transaction, because PostgreSQL refuses CREATE INDEX CONCURRENTLY there
   */
  static async run<Result>(
    db: Queryable,
    limits: LockLimits,
    work: (session: IndexSession) => Promise<Result>,
  ): Promise<Result> {
    const session = new IndexSession(db, limits);
    await session.#refuseTransaction();
    const [before] = await session.rows(
      `SELECT ${timeouts.map((name) => `pg_catalog.current_setting('${name}') AS ${name}`).join(', ')}`,
    );
    session.#before = before ?? {};
    try {
      return await work(session);
    } finally {
      // On a lost connection this fails; the earlier error is the useful one.
      await session.#restore().catch(() => undefined);
    }
  }

  async rows(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#db.query(text, values)).rows;
  }

  /**
   * Runs `work` while no other session builds or drops indexes of the table: two builds would wait for each other's
   * snapshots and deadlock. The advisory lock belongs to the session, so a kill releases it. It is polled, because a
   * statement that waits in the server holds a snapshot.
   *
   * @throws Fault if the lock is not free within `concurrentLockTimeout`
   */
  async alone<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
    const key = `llama-db indexes of ${table}`;
    await this.#poll(async () => {
      const [row] = await this.rows(
        'SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0)) AS locked',
        [key],
      );
      if (row?.['locked'] === true) return undefined;
      return (limit) =>
        new Fault(
          'index/build-by-another',
          `Building an index of ${table}`,
          `another session builds or drops an index of the table, and has not finished after ${limit} ms`,
          'Wait until it has finished, then run the migration again.',
        );
    });
    try {
      return await work();
    } finally {
      // A lost connection has released the lock already.
      await this.rows('SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($1, 0))', [
        key,
      ]).catch(() => undefined);
    }
  }

  /** Runs a statement that blocks others for a moment, with a short lock timeout and several attempts. */
  async briefly(statement: string): Promise<void> {
    await this.#set(this.#limits.lockTimeout, 0);
    await retryOnLock(`Index statement "${statement}"`, this.#limits, () => this.#db.query(statement));
  }

  /** Runs a statement that blocks neither readers nor writers and may take hours. */
  async concurrently(statement: string): Promise<void> {
    await this.#set(this.#limits.concurrentLockTimeout, 0);
    await this.#db.query(statement);
  }

  /**
   * Waits until no other session holds the lock of an index build on the table. It polls: a build waits for all older
   * snapshots, so queueing for the lock would deadlock. Autovacuum holds the same lock and is ignored, because it yields.
   *
   * @throws Fault if the lock is not free within `concurrentLockTimeout`
   */
  async untilUnchangedByOthers(table: number): Promise<void> {
    await this.#poll(async () => {
      const [holder] = await this.rows(
        `SELECT l.pid FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
          WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
            AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
            AND l.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL`,
        [table],
      );
      if (holder === undefined) return undefined;
      return (limit) =>
        new Fault(
          'index/table-being-changed',
          'Building an index on a table that another session changes',
          `backend ${String(holder['pid'])} still changes the table after ${limit} ms`,
          'Wait until it has finished, or end it with pg_terminate_backend. Then run the migration again.',
        );
    });
  }

  /** Asks until `obstacle` returns undefined. @throws the Fault that it returned, after `concurrentLockTimeout` */
  async #poll(obstacle: () => Promise<((limit: number) => Fault) | undefined>): Promise<void> {
    const limit = this.#limits.concurrentLockTimeout;
    const start = performance.now();
    for (;;) {
      const found = await obstacle();
      if (found === undefined) return;
      if (limit > 0 && performance.now() - start > limit) throw found(limit);
      await sleep(pollInterval);
    }
  }

  /** Runs `work` in a transaction that is always rolled back. */
  async discarding<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#set(this.#limits.lockTimeout, 60_000);
    return retryOnLock('Comparing the definition of an index', this.#limits, async () => {
      await this.#db.query('BEGIN');
      try {
        return await work();
      } finally {
        await this.#db.query('ROLLBACK');
      }
    });
  }

  async #set(lockTimeout: number, statementTimeout: number): Promise<void> {
    await this.#db.query(
      `SELECT pg_catalog.set_config('lock_timeout', $1, false), pg_catalog.set_config('statement_timeout', $2, false)`,
      [String(lockTimeout), String(statementTimeout)],
    );
  }

  async #restore(): Promise<void> {
    for (const name of timeouts) {
      await this.#db.query('SELECT pg_catalog.set_config($1, $2, false)', [name, this.#before[name]]);
    }
  }

  async #refuseTransaction(): Promise<void> {
    // Only inside a transaction block do two statements have the same transaction id.
    const ids: unknown[] = [];
    for (let statement = 0; statement < 2; statement += 1) {
      const [row] = await this.rows('SELECT pg_catalog.pg_current_xact_id()::text AS id');
      ids.push(row?.['id']);
    }
    if (ids[0] !== ids[1]) return;
    throw new Fault(
      'index/inside-transaction',
      'Building an index concurrently',
      'the connection is inside a transaction, where PostgreSQL refuses CONCURRENTLY',
      'Call pgm.noTransaction() in the migration first.',
    );
  }
}
