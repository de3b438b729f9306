/** Applies pending migrations. */
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
  readonly migrationsDirectory: string;
  /** Apply pending files with a lower version than applied ones. @default false */
  readonly allowOutOfOrder?: boolean;
  readonly limits?: Limits;
  /** Attempts at a migration that does not get a lock. @default 5 */
  readonly attempts?: number;
  /** Milliseconds between two reports about the progress of an index build. @default 10000 */
  readonly progressEvery?: number;
}

/**
 * Prepares the database and applies all pending migrations. The caller holds the lock.
 *
 * @returns the applied files
 * @throws Fault if the ledger contradicts the files, or if a migration fails
 */
export async function migrate(
  connection: Connection,
  options: MigrateOptions,
): Promise<readonly MigrationFile[]> {
  const { reporter } = options;
  const start = performance.now();
  const files = listMigrations(options.migrationsDirectory);
  const made = await prepare(connection);
  if (made.length > 0) reporter.line(`Prepared ${made.join(', ')} (${duration(performance.now() - start)})`);
  const { ledger, interrupted } = await asOwner(connection, () => reconcile(connection));
  for (const { version, description, direction, appliedAt } of interrupted) {
    reporter.warn(
      `${version}_${description} (${direction}) was interrupted in the run of ${appliedAt.toISOString()}; it runs again`,
    );
  }
  const current = plan(files, ledger);
  refuseDivergence(current, options);
  const { pending } = current;
  if (pending.length === 0) {
    reporter.line(`Nothing to migrate: ${files.length} of ${files.length} applied`);
    return [];
  }
  // Loaded on demand: a run without pending migrations does not need node-pg-migrate.
  const { runMigrations } = await import('./run.ts');
  await runMigrations(connection, pending, 'up', options);
  return pending;
}

export interface WouldRun {
  /** Objects that `prepare` would create, for people: `schema llama`. */
  readonly prepare: readonly string[];
  /** Attempts that a killed run left open. The next run would record them as interrupted. */
  readonly interrupted: readonly LedgerEntry[];
  readonly pending: readonly MigrationFile[];
}

/**
 * What `migrate` would do. The session is read-only, so the server refuses every change: no row, no transaction id, no lock
 * that blocks others. It works on a standby too.
 *
 * @throws Fault if `migrate` would refuse before its first change
 */
export async function dryRun(
  connection: Connection,
  options: Pick<MigrateOptions, 'migrationsDirectory' | 'allowOutOfOrder'>,
): Promise<WouldRun> {
  await connection.client.query("SELECT pg_catalog.set_config('default_transaction_read_only', 'on', false)");
  const steps = await preparation(connection);
  const current = await status(connection, options.migrationsDirectory);
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

/** The state of every migration. It changes nothing, not even the ledger. */
export async function status(connection: Connection, migrationsDirectory: string): Promise<Status> {
  const files = listMigrations(migrationsDirectory);
  const attempts = (await isPrepared(connection))
    ? await asOwner(connection, () => readLedger(connection))
    : [];
  return { ...plan(files, attempts), attempts };
}
