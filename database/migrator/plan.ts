/** What stands in the files compared with what stands in the ledger. Reads nothing itself. */
import { Fault } from '../../core/fault.ts';
import type { MigrationFile } from './files.ts';
import type { LedgerEntry } from './ledger.ts';

export type MigrationState = 'applied' | 'pending' | 'edited' | 'missing' | 'out of order';

export interface PlannedMigration {
  readonly version: string;
  readonly name: string;
  readonly state: MigrationState;
  /** Absent when the file is missing. */
  readonly file?: MigrationFile;
  /** The attempt that applied it. */
  readonly applied?: LedgerEntry;
  /** The latest attempt when it is not applied: failed, interrupted or rolled back. */
  readonly lastAttempt?: LedgerEntry;
}

export interface Plan {
  /** In the order of versions. */
  readonly migrations: readonly PlannedMigration[];
  /** Files to apply, in order; those out of order included. */
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
 * Refuses to work on a database whose history is not the files' history.
 *
 * @throws Fault naming every migration that was edited after it was applied, has gone, or comes too late.
 */
export function refuseDivergence(
  { migrations }: Plan,
  options: { readonly allowOutOfOrder?: boolean } = {},
): void {
  const edited = migrations.filter(({ state }) => state === 'edited');
  if (edited.length > 0) {
    throw new Fault(
      'plan/1',
      `${names(edited)} edited after being applied`,
      edited.map((migration) => `${migration.name}: ${howEdited(migration)}`).join('; '),
      'Put back the name and content that were applied (git log shows them) and write the change as a new migration.',
    );
  }
  const missing = migrations.filter(({ state }) => state === 'missing');
  if (missing.length > 0) {
    throw new Fault(
      'plan/2',
      `${names(missing)} applied here and missing from the files`,
      'the database is ahead of these files, or a file was removed or renumbered',
      'Deploy the version that has it, or put the file back; to take it out of the database use llama-db rollback with that version.',
    );
  }
  const late = migrations.filter(({ state }) => state === 'out of order');
  if (late.length > 0 && !options.allowOutOfOrder) {
    throw new Fault(
      'plan/3',
      `${names(late)} still pending, though later ones are applied`,
      'environments would have applied the same files in different orders',
      'Give it the next free index; or, knowing that order does not matter here, run llama-db migrate --allow-out-of-order.',
    );
  }
}

/** How an edited file differs from what was applied. @param digits of the checksums. @default 64 */
export function howEdited({ name, applied, file }: PlannedMigration, digits = 64): string {
  if (applied && nameOf(applied) !== name) return `applied as ${nameOf(applied)}`;
  return `applied ${applied?.checksum.slice(0, digits)}, file ${file?.checksum.slice(0, digits)}`;
}

/** Name of the file that an attempt was made with, without its ending. */
export function nameOf({ version, description }: Pick<LedgerEntry, 'version' | 'description'>): string {
  return `${version}_${description}`;
}

function names(migrations: readonly PlannedMigration[]): string {
  const list = migrations.map(({ name }) => name).join(', ');
  return migrations.length === 1 ? `Migration ${list} was` : `Migrations ${list} were`;
}
