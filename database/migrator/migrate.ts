/** Applies what is pending: the part of the post-deploy step that changes the schema. */

import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { listMigrations, type MigrationFile } from './files.ts';
import { type LedgerEntry, readLedger } from './ledger.ts';
import type { Limits } from './load.ts';
import { type Plan, plan, refuseDivergence } from './plan.ts';
import { asOwner, isPrepared, preparation, prepare } from './prepare.ts';
import { reconcile } from './reconcile.ts';

export interface MigrateOptions {
  readonly reporter: Reporter;
  /** Folder of the migration files. */
  readonly directory: string;
  /** Apply files that come before others already applied. @default false */
  readonly allowOutOfOrder?: boolean;
  readonly limits?: Limits;
  /** Times a migration is tried when it could not have a lock. @default 5 */
  readonly attempts?: number;
  /** Milliseconds between two lines about an index that is being built. @default 10000 */
  readonly progressEvery?: number;
}

/**
 * Prepares and applies everything pending. Hold the lock.
 *
 * @returns the files that were applied.
 * @throws Fault when the files and the ledger tell different histories, or a migration fails.
 */
export async function migrate(
  connection: Connection,
  options: MigrateOptions,
): Promise<readonly MigrationFile[]> {
  const { reporter } = options;
  const start = performance.now();
  const files = listMigrations(options.directory);
  const made = await prepare(connection);
  if (made.length > 0) reporter.line(`Prepared ${made.join(', ')} (${duration(performance.now() - start)})`);
  const { ledger, interrupted } = await asOwner(connection, () => reconcile(connection));
  for (const { version, description, direction, appliedAt } of interrupted) {
    reporter.warn(
      `${version}_${description} (${direction}) was interrupted in the run of ${appliedAt.toISOString()}; it is done again`,
    );
  }
  const current = plan(files, ledger);
  refuseDivergence(current, options);
  const { pending } = current;
  if (pending.length === 0) {
    reporter.line(`Nothing to migrate: ${files.length} of ${files.length} applied`);
    return [];
  }
  // Loaded here because a run with nothing to do must not pay for node-pg-migrate.
  const { runMigrations } = await import('./run.ts');
  await runMigrations(connection, pending, 'up', options);
  return pending;
}

export interface WouldRun {
  /** What `prepare` would make, as a person would name it. */
  readonly prepare: readonly string[];
  /** Attempts that a run which was killed left open; they would be recorded as interrupted. */
  readonly interrupted: readonly LedgerEntry[];
  readonly pending: readonly MigrationFile[];
}

/**
 * What `migrate` would do, found out by reading. The server itself refuses to write for as long as the session lasts, so
 * nothing is changed: no row, no lock that others wait for, no transaction id. Works on a standby too.
 *
 * @throws Fault where `migrate` would refuse before it changes anything
 */
export async function dryRun(
  connection: Connection,
  options: Pick<MigrateOptions, 'directory' | 'allowOutOfOrder'>,
): Promise<WouldRun> {
  await connection.client.query("SELECT pg_catalog.set_config('default_transaction_read_only', 'on', false)");
  const steps = await preparation(connection);
  const current = await status(connection, options.directory);
  refuseDivergence(current, options);
  return {
    prepare: [...new Set(steps.flatMap(({ makes }) => makes ?? []))],
    interrupted: current.attempts.filter(({ outcome }) => outcome === 'running'),
    pending: current.pending,
  };
}

export interface Status extends Plan {
  /** Every attempt, oldest first. */
  readonly attempts: readonly LedgerEntry[];
}

/** What is applied, pending, edited, missing or out of order. Changes nothing, not even the ledger. */
export async function status(connection: Connection, directory: string): Promise<Status> {
  const files = listMigrations(directory);
  const attempts = (await isPrepared(connection))
    ? await asOwner(connection, () => readLedger(connection))
    : [];
  return { ...plan(files, attempts), attempts };
}
