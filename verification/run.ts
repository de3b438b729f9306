import pg from 'pg';
import { Fault } from '../core/fault.ts';
import { type Severity, severities } from '../core/severity.ts';
import { isConnectionError } from '../database/diagnosis.ts';
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
} from './check.ts';
import { modelOf } from './model.ts';
import { skip } from './outcome.ts';
import { takeSnapshot } from './snapshot/snapshot.ts';

const { DatabaseError } = pg;

/**
 * Looks at the database and says what is not as it must be.
 *
 * Reads the catalogs once and judges that; nothing is written but by the two-tenant probe, whose transaction is
 * always rolled back. May be called inside a transaction, which is left as it was.
 *
 * @throws what the driver throws when the catalogs cannot be read, or the connection is lost on the way
 */
export async function runChecks(context: CheckContext, options: RunOptions = {}): Promise<Report> {
  const started = performance.now();
  const snapshot = await takeSnapshot(context.client, context.openDatabase);
  const checks = await evaluate({ ...context, snapshot }, chosen(options));
  return { checks, counts: count(checks), durationMs: performance.now() - started };
}

/** The results that a person must act on: failed, of `severity` or worse. */
export function failing(report: Report, severity: Severity = 'high'): readonly CheckResult[] {
  const limit = severities.indexOf(severity);
  return report.checks.filter(
    ({ check, outcome }) => outcome.status === 'failed' && severities.indexOf(check.severity) <= limit,
  );
}

/** Checks over a given look at the catalogs, one after the other: they share one connection. */
export async function evaluate(input: CheckInput, checks: readonly Check[]): Promise<CheckResult[]> {
  await loadParser();
  const results: CheckResult[] = [];
  for (const { run, ...check } of checks) {
    const outcome = await answer(run, input);
    results.push({ check, outcome: isIdle(check, outcome, input) ? skip(nothingThere) : outcome });
  }
  return results;
}

/** Groups that are about what lies in schema llama. */
const aboutTables: readonly Group[] = ['isolation', 'partitions', 'indexes', 'audit'];

const nothingThere = "schema llama has no table with tenants' rows: there is nothing to look at";

/** Whether a check found nothing wrong because there was nothing: in an empty database, or in another one than was meant. */
function isIdle({ group }: CheckFacts, { status }: Outcome, { snapshot }: CheckInput): boolean {
  return status === 'passed' && aboutTables.includes(group) && modelOf(snapshot).tenantTables.length === 0;
}

/** Whether a check has this id, in any case, or this name. */
export function isNamed({ id, name }: Check, asked: string): boolean {
  return id === asked.toUpperCase() || name === asked.toLowerCase();
}

/** The checks that `options` asks for, in the catalogue's order. */
export function chosen({ groups, only }: RunOptions): readonly Check[] {
  return catalogue.filter(
    (check) =>
      (!groups || groups.includes(check.group)) && (!only || only.some((asked) => isNamed(check, asked))),
  );
}

/**
 * A statement that was refused means that nobody looked, which is neither a pass nor a finding. A lost connection ends
 * the run: what follows could only be skipped, and a report full of skips reads like one that found nothing.
 */
async function answer(run: Check['run'], input: CheckInput): Promise<Outcome> {
  try {
    return await run(input);
  } catch (error) {
    if (!(error instanceof Error) || isConnectionError(error) || isLost(input, error)) throw error;
    if (error instanceof DatabaseError || error instanceof Fault) {
      return { status: 'skipped', reason: `could not look: ${error.message}` };
    }
    const reason = `this check is defective (${error.name}: ${error.message}); report it`;
    return { status: 'skipped', reason, defective: true };
  }
}

/** What the driver says to whoever asks on a connection that is gone already. */
function isLost({ client }: CheckInput, { message }: Error): boolean {
  return /not queryable|Connection terminated/.test(message) || client?.connection?.stream.destroyed === true;
}

function count(results: readonly CheckResult[]): Report['counts'] {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { outcome } of results) counts[outcome.status] += 1;
  return counts;
}
