import type { IndexSession, Queryable } from './session.ts';

/** A row of pg_stat_progress_create_index; the totals are 0 in phases that count nothing. */
export interface BuildProgress {
  readonly phase: string;
  readonly blocksDone: number;
  readonly blocksTotal: number;
  readonly tuplesDone: number;
  readonly tuplesTotal: number;
  /** Transactions the build still waits for, in its waiting phases. */
  readonly waitingFor: number;
}

export interface ProgressObserver {
  /** A second connection: the first one is busy building. The same login, or a member of pg_read_all_stats. */
  readonly db: Queryable;
  readonly report: (progress: BuildProgress) => void;
  /** Milliseconds between two looks. @default 1000 */
  readonly every?: number;
}

/** Runs `build` and tells the observer about it while it lasts. An observer that fails does not fail the build. */
export async function observed(
  session: IndexSession,
  observer: ProgressObserver | undefined,
  build: () => Promise<void>,
): Promise<void> {
  if (observer === undefined) return build();
  const [own] = await session.rows('SELECT pg_catalog.pg_backend_pid() AS pid');
  let looking: Promise<void> = Promise.resolve();
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    looking = look(observer, own?.['pid'])
      .catch(() => undefined)
      .finally(() => {
        busy = false;
      });
  }, observer.every ?? 1000);
  try {
    await build();
  } finally {
    clearInterval(timer);
    await looking;
  }
}

async function look(observer: ProgressObserver, pid: unknown): Promise<void> {
  const { rows } = await observer.db.query(
    `SELECT phase, blocks_done, blocks_total, tuples_done, tuples_total, lockers_total - lockers_done AS waiting_for
       FROM pg_catalog.pg_stat_progress_create_index WHERE pid = $1`,
    [pid],
  );
  const [row] = rows;
  if (row === undefined) return;
  observer.report({
    phase: String(row['phase']),
    blocksDone: Number(row['blocks_done']),
    blocksTotal: Number(row['blocks_total']),
    tuplesDone: Number(row['tuples_done']),
    tuplesTotal: Number(row['tuples_total']),
    waitingFor: Number(row['waiting_for']),
  });
}
