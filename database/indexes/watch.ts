/** Reports the progress of index builds, so that a build of hours does not look stuck. */
import type { Reporter } from '../../core/report.ts';
import { type Connection, connect } from '../connection.ts';

export interface WatchOptions {
  /** Milliseconds until the first line, and between lines. @default 10000 */
  readonly every?: number;
}

/**
 * Runs `work` and meanwhile reports the server's progress view of the index that the session builds. A second connection
 * is opened only after the first interval; if it fails, nothing is reported.
 */
export async function watchingIndexBuilds<Result>(
  connection: Connection,
  reporter: Reporter,
  work: () => Promise<Result>,
  { every = 10_000 }: WatchOptions = {},
): Promise<Result> {
  const watcher = new Watcher(connection, reporter);
  const timer = setInterval(() => watcher.look(), every);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await watcher.close();
  }
}

class Watcher {
  readonly #watched: Connection;
  readonly #reporter: Reporter;
  #opened: Promise<Connection> | undefined;
  #looking: Promise<void> | undefined;

  constructor(watched: Connection, reporter: Reporter) {
    this.#watched = watched;
    this.#reporter = reporter;
  }

  look(): void {
    this.#looking ??= this.#report()
      .catch(() => undefined)
      .finally(() => {
        this.#looking = undefined;
      });
  }

  async close(): Promise<void> {
    await this.#looking;
    await this.#opened?.then(
      (connection) => connection.close(),
      () => undefined,
    );
  }

  async #report(): Promise<void> {
    const { target, credential, client } = this.#watched;
    this.#opened ??= connect(target, {
      credential,
      applicationName: 'llama-db watch',
      session: 'reading',
      attempts: 1,
    });
    const opened = await this.#opened;
    const { rows } = await opened.client.query<{
      table: string;
      index: string | null;
      phase: string;
      share: number | null;
      waiting: string | null;
    }>(
      `SELECT p.relid::pg_catalog.regclass::text AS table, nullif(p.index_relid, 0)::pg_catalog.regclass::text AS index, p.phase,
              CASE WHEN p.blocks_total > 0 THEN pg_catalog.round(100.0 * p.blocks_done / p.blocks_total)::int
                   WHEN p.tuples_total > 0 THEN pg_catalog.round(100.0 * p.tuples_done / p.tuples_total)::int END AS share,
              CASE WHEN p.lockers_total > p.lockers_done
                   THEN (p.lockers_total - p.lockers_done) || ' older transactions, now backend ' || p.current_locker_pid END AS waiting
         FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.pid = $1`,
      [Reflect.get(client, 'processID')],
    );
    const [build] = rows;
    if (!build) return;
    const share = build.share === null ? '' : `, ${build.share} %`;
    const waiting = build.waiting === null ? '' : `, for ${build.waiting}`;
    this.#reporter.line(
      `Building ${build.index ?? 'an index'} on ${build.table}: ${build.phase}${share}${waiting}`,
    );
  }
}
