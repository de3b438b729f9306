import pg from 'pg';
import { Fault } from '../core/fault.ts';
import { type Severity, severities } from '../core/severity.ts';
import { formatHead } from '../database/audit/seals.ts';
import { isConnectionError, sqlState } from '../database/diagnosis.ts';
import { loadParser } from '../database/schema/policy.ts';
import { catalogue } from './catalogue.ts';
import type {
  Check,
  CheckContext,
  CheckFacts,
  CheckInput,
  CheckResult,
  Group,
  Outcome,
  Report,
  RunOptions,
  Subject,
} from './check.ts';
import { modelOf } from './model.ts';
import { blind, skip } from './outcome.ts';
import { type Snapshot, takeSnapshot } from './snapshot/snapshot.ts';

const { DatabaseError } = pg;

/**
 * Runs the checks against one snapshot of the catalogs.
 *
 * Only the two-tenant probe writes, in a transaction that is always rolled back. An open transaction of the caller is left
 * unchanged.
 *
 * @throws the driver's error if the catalogs cannot be read or the connection is lost
 */
export async function runChecks(context: CheckContext, options: RunOptions = {}): Promise<Report> {
  const started = performance.now();
  // The parser loads while the server answers.
  const [snapshot] = await Promise.all([takeSnapshot(context.client, context.openDatabase), loadParser()]);
  const checks = await evaluate({ ...context, snapshot }, chosen(options));
  return {
    subject: subjectOf(snapshot),
    checks,
    counts: count(checks),
    durationMs: performance.now() - started,
  };
}

function subjectOf({ server, sealing }: Snapshot): Subject {
  const newest = 'head' in sealing ? sealing.head.at(-1) : undefined;
  return {
    version: `${Math.floor(server.version / 10_000)}.${server.version % 10_000}`,
    login: server.login,
    auditHead: newest ? formatHead(newest) : null,
  };
}

/** Failed checks of `severity` or worse. */
export function failing(report: Pick<Report, 'checks'>, severity: Severity = 'high'): readonly CheckResult[] {
  const limit = severities.indexOf(severity);
  return report.checks.filter(
    ({ check, outcome }) => outcome.status === 'failed' && severities.indexOf(check.severity) <= limit,
  );
}

/** Runs checks one after the other, because they share one connection. */
export async function evaluate(input: CheckInput, checks: readonly Check[]): Promise<CheckResult[]> {
  await loadParser();
  const results: CheckResult[] = [];
  for (const { run, ...check } of checks) {
    const outcome = await outcomeOf(run, input);
    results.push({ check, outcome: isIdle(check, outcome, input) ? skip(noTables) : outcome });
  }
  return results;
}

/** Groups that inspect tables of schema llama. */
const tableGroups: readonly Group[] = ['isolation', 'partitions', 'indexes', 'audit'];

const noTables = 'schema llama has no tenant table to inspect';

/** Whether a check passed only because the database has no tenant tables: it is empty, or the wrong one. */
function isIdle({ group }: CheckFacts, { status }: Outcome, { snapshot }: CheckInput): boolean {
  return status === 'passed' && tableGroups.includes(group) && modelOf(snapshot).tenantTables.length === 0;
}

/** Whether a check has this id, in any case, or this name. */
export function isNamed({ id, name }: Check, asked: string): boolean {
  return id === asked.toUpperCase() || name === asked.toLowerCase();
}

/** The checks that the options select, in the order of the catalogue. */
export function chosen({ groups, only }: RunOptions): readonly Check[] {
  return catalogue.filter(
    (check) =>
      (!groups || groups.includes(check.group)) && (!only || only.some((asked) => isNamed(check, asked))),
  );
}

/**
 * A refused statement skips the check: it proves neither a pass nor a failure. A lost connection ends the run, because a
 * report of skipped checks would look like one without findings.
 */
async function outcomeOf(run: Check['run'], input: CheckInput): Promise<Outcome> {
  try {
    return await run(input);
  } catch (error) {
    if (!(error instanceof Error) || isConnectionError(error) || isLost(input, error)) throw error;
    if (error instanceof DatabaseError || error instanceof Fault) {
      const reason = `could not read: ${error.message}`;
      // A standby refuses every statement that writes.
      return isStandbyRefusal(input, error) ? skip(reason) : blind(reason);
    }
    const reason = `this check is defective (${error.name}: ${error.message}); report it`;
    return { status: 'skipped', reason, defective: true };
  }
}

function isStandbyRefusal({ snapshot }: CheckInput, error: Error): boolean {
  return snapshot.server.inRecovery && sqlState(error) === '25006';
}

/** Whether the driver refused a statement because the connection is gone. */
function isLost({ client }: CheckInput, { message }: Error): boolean {
  return /not queryable|Connection terminated/.test(message) || client?.connection?.stream.destroyed === true;
}

function count(results: readonly CheckResult[]): Report['counts'] {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of results) counts[outcome.status] += 1;
  return counts;
}
