/** The state of the migrations, for a person and for a machine. */
import Table from 'cli-table3';
import type { Reporter } from '../../core/report.ts';
import type { LedgerEntry } from './ledger.ts';
import type { Status, WouldRun } from './migrate.ts';
import { howEdited, type PlannedMigration } from './plan.ts';

/** Whether files and ledger tell different histories. Pending files alone are no divergence. */
export function diverges({ migrations }: Status): boolean {
  return migrations.some(({ state }) => ['edited', 'missing', 'out of order'].includes(state));
}

/** For `--json`. */
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

/** For a terminal. */
export function describeStatus({ migrations }: Status): string {
  const table = new Table({
    head: ['Migration', 'State', 'Applied (UTC)', 'Took', 'By', 'Note'],
    style: { head: [], border: [] },
    // A line between all rows would double the length.
    chars: { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' },
  });
  for (const migration of migrations) {
    const { name, state, applied } = migration;
    table.push([
      name,
      state,
      applied ? applied.appliedAt.toISOString().slice(0, 19).replace('T', ' ') : '',
      applied ? `${applied.executionTime} ms` : '',
      applied?.executor ?? '',
      note(migration),
    ]);
  }
  const counts = new Map<string, number>();
  for (const { state } of migrations) counts.set(state, (counts.get(state) ?? 0) + 1);
  const summary = [...counts].map(([state, number]) => `${number} ${state}`).join(', ');
  return `${table.toString()}\n${summary || 'no migrations'}`;
}

/** What a dry run found, a line each. */
export function reportDryRun({ prepare, interrupted, pending }: WouldRun, reporter: Reporter): void {
  if (prepare.length > 0) reporter.line(`Would prepare ${prepare.join(', ')}`);
  for (const { version, description, appliedAt } of interrupted) {
    reporter.line(`Would record ${version}_${description} of ${appliedAt.toISOString()} as interrupted`);
  }
  for (const { name } of pending) reporter.line(`Would apply ${name}`);
  if (pending.length === 0) reporter.line('Nothing to migrate');
}

/** The same for `--json`. */
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
  if (state === 'missing') return 'its file is gone';
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
