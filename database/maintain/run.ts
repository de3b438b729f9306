/** What the parts of a maintenance run share: what they report, and how their statements wait. */

import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';

/** One thing that was done, or was left undone for a reason. */
export interface Action {
  readonly step: 'settings' | 'months ahead' | 'seals' | 'partitions' | 'records' | 'statistics' | 'summary';
  readonly done:
    | 'changed'
    | 'created'
    | 'finalized'
    | 'detached'
    | 'dropped'
    | 'attached again'
    | 'left attached'
    | 'left detached'
    | 'sealed'
    | 'closed'
    | 'erased'
    | 'analyzed'
    | 'refreshed';
  /** Table, partition or view, without its schema. */
  readonly object: string;
  /** Why, or how much. */
  readonly detail?: string;
  /** Tenants whose storage_retention_days protects rows in the partition. */
  readonly tenants?: number;
  /** Rows erased or sealed. */
  readonly rows?: number;
}

/** One line: `Partition storage_records_y2025m01 dropped`. */
export function describe({ step, done, object, detail }: Action): string {
  const partition = step === 'months ahead' || step === 'partitions' || done === 'closed';
  const kind = partition ? 'Partition' : step === 'summary' ? 'View' : 'Table';
  return `${kind} ${object} ${done}${detail ? `: ${detail}` : ''}`;
}

export interface Run {
  readonly connection: Connection;
  readonly reporter: Reporter;
  /** Reports an action and keeps it for the result. */
  act(action: Action): void;
}

/**
 * Milliseconds that a statement waits for its lock. None of these statements asks for a lock that writers would queue
 * behind; longer than deadlock_timeout (1 s), because only after that autovacuum gives way.
 */
const lockTimeout = 5_000;
const attempts = 5;

/** Lock not available; deadlock. The statement did nothing and may be tried again. */
const passing = new Set(['55P03', '40P01']);

/**
 * Work of one transaction or one statement that takes a lock for a moment: a bounded wait, several attempts with
 * growing pauses, about half a minute in all.
 *
 * @throws Fault naming `what` when the lock was not free in any attempt.
 */
export async function briefly<Result>(
  { connection: { client } }: Pick<Run, 'connection'>,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> {
  const { default: retry } = await import('p-retry');
  await client.query("SELECT pg_catalog.set_config('lock_timeout', $1, false)", [String(lockTimeout)]);
  try {
    return await retry(work, {
      retries: attempts - 1,
      minTimeout: 250,
      maxTimeout: 5_000,
      factor: 2,
      randomize: true,
      shouldRetry: ({ error }) => passing.has(sqlState(error) ?? ''),
    });
  } catch (error) {
    if (!passing.has(sqlState(error) ?? '')) throw error;
    throw new Fault(
      'run/1',
      what,
      `its lock was not free in ${attempts} attempts`,
      'Find what holds it in pg_locks (a long transaction, as a rule), end that, and run llama-db maintain again.',
      { cause: error },
    );
  } finally {
    await client.query("SELECT pg_catalog.set_config('lock_timeout', '0', false)").catch(() => undefined);
  }
}

/** Runs work with the session's role set to `maintenance_role`. */
export async function asMaintenance<Result>(
  { client }: Connection,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('SET ROLE maintenance_role');
  try {
    return await work();
  } finally {
    // On a lost connection this fails, and the first error is the one to hear.
    await client.query('RESET ROLE').catch(() => undefined);
  }
}
