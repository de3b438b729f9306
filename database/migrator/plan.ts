/** Compares the migration files with the ledger. */
import { Fault } from '../../core/fault.ts';
import type { MigrationFile } from './files.ts';
import type { LedgerEntry } from './ledger.ts';

export type MigrationState = 'applied' | 'pending' | 'edited' | 'missing' | 'out of order';

export interface PlannedMigration {
  readonly version: string;
  readonly name: string;
  readonly state: MigrationState;
  /** Absent if the file is missing. */
  readonly file?: MigrationFile;
  /** The attempt that applied it. */
  readonly applied?: LedgerEntry;
  /** The latest attempt, if it is not applied: failed, interrupted or rolled back. */
  readonly lastAttempt?: LedgerEntry;
}

export interface Plan {
  /** Sorted by version. */
  readonly migrations: readonly PlannedMigration[];
  /** Files to apply, sorted by version, including those out of order. */
  readonly pending: readonly MigrationFile[];
}

export function plan(files: readonly MigrationFile[], ledger: readonly LedgerEntry[]): Plan {
  const applied = new Map(
    ledger
      .filter(({ direction, outcome }) => direction === 'up' && outcome === 'applied')
      .map((entry) => [entry.version, entry]),
  );
  const newest = [...applied.keys()].sort().at(-1) ?? '';
  const known = new Set(files.map(({ version }) => version));
  const migrations = files.map((file): PlannedMigration => {
    const { version, name } = file;
    const entry = applied.get(version);
    if (entry) {
      const same = entry.checksum === file.checksum && nameOf(entry) === name;
      const state = same ? 'applied' : 'edited';
      return { version, name, state, file, applied: entry };
    }
    const lastAttempt = ledger.findLast((attempt) => attempt.version === version);
    const state = version < newest ? 'out of order' : 'pending';
    return { version, name, state, file, ...(lastAttempt ? { lastAttempt } : {}) };
  });
  for (const [version, entry] of applied) {
    if (known.has(version)) continue;
    migrations.push({ version, name: nameOf(entry), state: 'missing', applied: entry });
  }
  migrations.sort((a, b) => a.version.localeCompare(b.version));
  const pending = migrations.flatMap(({ state, file }) =>
    file && (state === 'pending' || state === 'out of order') ? [file] : [],
  );
  return { migrations, pending };
}

/**
 * Refuses a database whose history differs from the files.
 *
 * @throws Fault naming every migration that was edited after it was applied, is missing, or is out of order
 */
export function refuseDivergence(
  { migrations }: Plan,
  options: { readonly allowOutOfOrder?: boolean } = {},
): void {
  const edited = migrations.filter(({ state }) => state === 'edited');
  if (edited.length > 0) {
    throw new Fault(
      'migration/edited',
      `${names(edited)} edited after being applied`,
      edited.map((migration) => `${migration.name}: ${howEdited(migration)}`).join('; '),
      'Restore the applied name and content (git log shows them), and write the change as a new migration.',
    );
  }
  const missing = migrations.filter(({ state }) => state === 'missing');
  if (missing.length > 0) {
    throw new Fault(
      'migration/file-missing',
      `${names(missing)} applied here and not found among the files`,
      'the database is ahead of these files, or a file was removed or renumbered',
      'Deploy a version that contains the file, or restore the file. To undo the migration, run llama-db rollback with a version that contains the file.',
    );
  }
  const late = migrations.filter(({ state }) => state === 'out of order');
  if (late.length > 0 && !options.allowOutOfOrder) {
    throw new Fault(
      'migration/out-of-order',
      `${names(late)} still pending, although later migrations are applied`,
      'other environments may have applied the same files in another order',
      'Rename it to the next free version. If the order does not matter here, run llama-db migrate --allow-out-of-order.',
    );
  }
}

/** The difference between an edited file and its applied content. @param digits of each checksum. @default 64 */
export function howEdited({ name, applied, file }: PlannedMigration, digits = 64): string {
  if (applied && nameOf(applied) !== name) return `applied as ${nameOf(applied)}`;
  return `applied ${applied?.checksum.slice(0, digits)}, file ${file?.checksum.slice(0, digits)}`;
}

/** Name of the file of an attempt, without extension. */
export function nameOf({ version, description }: Pick<LedgerEntry, 'version' | 'description'>): string {
  return `${version}_${description}`;
}

function names(migrations: readonly PlannedMigration[]): string {
  const list = migrations.map(({ name }) => name).join(', ');
  return migrations.length === 1 ? `Migration ${list} was` : `Migrations ${list} were`;
}
