/**
 * One connection on which index statements run outside any transaction, each class of statement with its own
 * patience.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Fault } from '../../core/fault.ts';

/** What `pgm.db` and `pg.Client` both can. */
export interface Queryable {
  query(text: string, values?: unknown[]): Promise<{ rows: Record<string, unknown>[] }>;
}

export interface Patience {
  /**
   * Milliseconds that a statement which blocks others (DROP INDEX, ON ONLY, ATTACH) waits for its lock before it
   * steps back, so that nobody queues behind it for longer.
   * @default 2000
   */
  readonly lockTimeout?: number;
  /** Times such a statement is tried, with a growing pause between. @default 10 */
  readonly attempts?: number;
  /**
   * Milliseconds a concurrent build may wait for a lock. It waits for every older transaction of the database, and
   * giving up leaves an invalid index: a short time here fails on a quiet table because of a busy neighbour.
   * @default 0, no limit
   */
  readonly concurrentLockTimeout?: number;
}

const timeouts = ['lock_timeout', 'statement_timeout'] as const;

/** Lock not available; deadlock. The statement did nothing and may be tried again. */
const passing = new Set(['55P03', '40P01']);

export class IndexSession {
  readonly #db: Queryable;
  readonly #patience: Required<Patience>;
  #before: Record<string, unknown> = {};

  private constructor(db: Queryable, patience: Patience) {
    this.#db = db;
    this.#patience = { lockTimeout: 2000, attempts: 10, concurrentLockTimeout: 0, ...patience };
  }

  /**
   * Runs `work` and gives the connection back with the timeouts it came with.
   *
   * @throws Fault inside a transaction: CREATE INDEX CONCURRENTLY is refused there
   */
  static async run<Result>(
    db: Queryable,
    patience: Patience,
    work: (session: IndexSession) => Promise<Result>,
  ): Promise<Result> {
    const session = new IndexSession(db, patience);
    await session.#refuseTransaction();
    const [before] = await session.rows(
      `SELECT ${timeouts.map((name) => `pg_catalog.current_setting('${name}') AS ${name}`).join(', ')}`,
    );
    session.#before = before ?? {};
    try {
      return await work(session);
    } finally {
      // A lost connection has nothing to restore, and its error is the one worth hearing.
      await session.#restore().catch(() => undefined);
    }
  }

  async rows(text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> {
    return (await this.#db.query(text, values)).rows;
  }

  /**
   * Runs `work` while no other session does the same to a table: two builds would wait for each other's snapshots until
   * one of them is ended as a deadlock. The lock is the session's, so a kill gives it back. Whoever has it is asked again
   * and again instead of waited for, because a waiting statement holds a snapshot.
   *
   * @throws Fault when that takes longer than `concurrentLockTimeout`
   */
  async alone<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
    const key = `llama-db indexes of ${table}`;
    const limit = this.#patience.concurrentLockTimeout;
    const start = performance.now();
    for (;;) {
      const [row] = await this.rows(
        'SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0)) AS locked',
        [key],
      );
      if (row?.['locked'] === true) break;
      if (limit > 0 && performance.now() - start > limit) {
        throw new Fault(
          'session/1',
          `Building an index of ${table}`,
          `another session builds or drops one, and has not finished after ${limit} ms`,
          'Wait for it; then run again.',
        );
      }
      await sleep(200);
    }
    try {
      return await work();
    } finally {
      // A lost connection has given it back.
      await this.rows('SELECT pg_catalog.pg_advisory_unlock(pg_catalog.hashtextextended($1, 0))', [
        key,
      ]).catch(() => undefined);
    }
  }

  /** A statement that blocks others for a moment: short wait, several attempts. */
  async briefly(statement: string): Promise<void> {
    await this.#set(this.#patience.lockTimeout, 0);
    await this.#repeatedly(`Index statement "${statement}"`, () => this.#db.query(statement));
  }

  async #repeatedly<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    const { lockTimeout, attempts } = this.#patience;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (attempt >= attempts) {
          throw new Fault(
            'session/2',
            what,
            `its lock was not free within ${lockTimeout} ms in ${attempts} attempts`,
            'Find what holds it in pg_locks (a long transaction, as a rule), end that, and run again: it continues where it stopped.',
            { cause: error },
          );
        }
        await sleep(Math.min(200 * 2 ** (attempt - 1), 5_000) * (0.5 + Math.random()));
      }
    }
  }

  /** A statement that lets readers and writers pass and may take hours. */
  async concurrently(statement: string): Promise<void> {
    await this.#set(this.#patience.concurrentLockTimeout, 0);
    await this.#db.query(statement);
  }

  /**
   * Waits until no other session holds the lock under which indexes of a table are built. It asks instead of queueing
   * for that lock: a build waits for older snapshots, that of a queue's member too, which is a deadlock.
   * Autovacuum holds the same lock and is not waited for; it gives way by itself.
   *
   * @throws Fault when that takes longer than `concurrentLockTimeout`
   */
  async untilUnchangedByOthers(table: number): Promise<void> {
    const limit = this.#patience.concurrentLockTimeout;
    const start = performance.now();
    for (;;) {
      const [holder] = await this.rows(
        `SELECT l.pid FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
          WHERE l.locktype = 'relation' AND l.relation = $1 AND l.granted AND l.mode = 'ShareUpdateExclusiveLock'
            AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
            AND l.pid <> pg_catalog.pg_backend_pid() AND a.usesysid IS NOT NULL`,
        [table],
      );
      if (holder === undefined) return;
      if (limit > 0 && performance.now() - start > limit) {
        throw new Fault(
          'session/3',
          'Building an index',
          `backend ${String(holder['pid'])} still changes the same table after ${limit} ms`,
          'Wait for it, or end it with pg_terminate_backend; then run again.',
        );
      }
      await sleep(200);
    }
  }

  /** Runs `work` in a transaction that is always rolled back. */
  async discarding<Result>(work: () => Promise<Result>): Promise<Result> {
    await this.#set(this.#patience.lockTimeout, 60_000);
    return this.#repeatedly('Comparing the definition of an index', async () => {
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
    // Two statements share a transaction id only inside a transaction block.
    const ids: unknown[] = [];
    for (let statement = 0; statement < 2; statement += 1) {
      const [row] = await this.rows('SELECT pg_catalog.pg_current_xact_id()::text AS id');
      ids.push(row?.['id']);
    }
    if (ids[0] !== ids[1]) return;
    throw new Fault(
      'session/4',
      'Building an index concurrently',
      'the connection is inside a transaction, where PostgreSQL refuses CONCURRENTLY',
      'Call pgm.noTransaction() in the migration before it.',
    );
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.code !== undefined && passing.has(error.code);
}
