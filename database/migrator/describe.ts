/** The state of the migrations, for people and for programs. */
import Table from 'cli-table3';
import type { Reporter } from '../../core/report.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Status, WouldRun } from './migrate.ts';
import { howEdited, type PlannedMigration } from './plan.ts';

/** Whether the ledger contradicts the files: a migration is edited, missing or out of order. */
export function diverges({ migrations }: Status): boolean {
  return migrations.some(({ state }) => ['edited', 'missing', 'out of order'].includes(state));
}

/** The status for `--json`. */
export function statusDocument({ migrations, attempts }: Status): object {
  return {
    migrations: migrations.map(({ version, name, state, file, applied, lastAttempt }) => ({
      version,
      name,
      state,
      checksum: file?.checksum ?? null,
      applied: applied ? attempt(applied) : null,
      lastAttempt: lastAttempt ? attempt(lastAttempt) : null,
    })),
    failures: attempts.filter(({ outcome }) => ['failed', 'interrupted'].includes(outcome)).map(attempt),
  };
}

/** The status for a terminal. Columns that would be empty or the same in every row are left out. */
export function describeStatus({ migrations }: Status): string {
  const executors = new Set(migrations.flatMap(({ applied }) => applied?.executor ?? []));
  const notes = migrations.map(note);
  const columns: readonly (readonly [
    head: string,
    cell: (migration: PlannedMigration, row: number) => string,
  ])[] = [
    ['Migration', ({ name }) => name],
    ['State', ({ state }) => state],
    ['Applied (UTC)', ({ applied }) => applied?.appliedAt.toISOString().slice(0, 19).replace('T', ' ') ?? ''],
    ['Took', ({ applied }) => (applied ? `${applied.executionTime} ms` : '')],
    ...(executors.size > 1
      ? [['By', ({ applied }: PlannedMigration) => applied?.executor ?? ''] as const]
      : []),
    ...(notes.some(Boolean)
      ? [['Note', (_: PlannedMigration, row: number) => notes[row] ?? ''] as const]
      : []),
  ];
  const table = new Table({
    head: columns.map(([head]) => head),
    style: { head: [], border: [] },
    // No lines between rows, which would double the length of the table.
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  for (const [row, migration] of migrations.entries())
    table.push(columns.map(([, cell]) => cell(migration, row)));
  const counts = new Map<string, number>();
  for (const { state } of migrations) counts.set(state, (counts.get(state) ?? 0) + 1);
  const summary = [...counts].map(([state, number]) => `${number} ${state}`).join(', ');
  const by = executors.size === 1 ? `\nApplied by ${[...executors].join()}` : '';
  return `${table.toString()}\n${summary || 'no migrations'}${by}`;
}

/** Reports the result of a dry run, one line per item. */
export function reportDryRun({ prepare, interrupted, pending }: WouldRun, reporter: Reporter): void {
  if (prepare.length > 0) reporter.line(`Would prepare ${prepare.join(', ')}`);
  for (const { version, description, appliedAt } of interrupted) {
    reporter.line(`Would record ${version}_${description} of ${appliedAt.toISOString()} as interrupted`);
  }
  for (const { name } of pending) reporter.line(`Would apply ${name}`);
  if (pending.length === 0) reporter.line('Nothing to migrate');
}

/** The result of a dry run for `--json`. */
export function dryRunDocument({ prepare, interrupted, pending }: WouldRun): object {
  return {
    prepare,
    interrupted: interrupted.map(attempt),
    pending: pending.map(({ name }) => name),
  };
}

function note(migration: PlannedMigration): string {
  const { state, lastAttempt } = migration;
  if (state === 'edited') return howEdited(migration, 12);
  if (state === 'missing') return 'its file is missing';
  if (!lastAttempt) return '';
  const when = lastAttempt.appliedAt.toISOString().slice(0, 19).replace('T', ' ');
  return `${outcomeOf(lastAttempt)} ${when}`;
}

function attempt(entry: LedgerEntry): object {
  const { version, direction, checksum, appliedAt, executionTime, executor, error } = entry;
  return {
    version,
    direction,
    outcome: outcomeOf(entry),
    checksum,
    at: appliedAt.toISOString(),
    executionTimeMs: executionTime,
    executor,
    error,
  };
}

function outcomeOf({ direction, outcome }: LedgerEntry): string {
  return direction === 'down' && outcome === 'applied' ? 'rolled back' : outcome;
}
