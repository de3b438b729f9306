import type { Severity } from '../core/severity.ts';
import { type CheckResult, type Group, groups, type Report } from './check.ts';
import { failing } from './run.ts';

export interface Verdict {
  /** 0 clean; 1 findings; 2 a check could not read its facts, is defective, or was skipped in a required group. */
  readonly exitCode: 0 | 1 | 2;
  /** One line per reason for a status other than 0. */
  readonly reasons: readonly string[];
}

export interface VerdictOptions {
  /** Least severity of the findings that count. @default 'high' */
  readonly failOn?: Severity;
  /** Groups of which no check may be skipped. @default - none */
  readonly require?: readonly Group[];
}

/**
 * The result of a run. A check whose facts do not exist here counts only if its group is required; a check that could not
 * read them counts always. Findings take precedence over skips.
 */
export function verdictOf(report: Report, { failOn = 'high', require = [] }: VerdictOptions = {}): Verdict {
  const failed = failing(report, failOn);
  const reasons = failed.map(({ check }) => `${check.id} (${check.severity}): ${check.title}`);
  const unread = unreadReasons(report);
  if (failed.length > 0) return { exitCode: 1, reasons: [...reasons, ...unread] };
  if (unread.length > 0) return { exitCode: 2, reasons: unread };
  const defective = report.checks.filter(
    ({ outcome }) => outcome.status === 'skipped' && outcome.defective === true,
  );
  if (defective.length > 0) {
    return {
      exitCode: 2,
      reasons: defective.map(
        ({ check, outcome }) => `${check.id}: ${outcome.status === 'skipped' ? outcome.reason : ''}`,
      ),
    };
  }
  const skipped = report.checks.filter(
    ({ check, outcome }) => outcome.status === 'skipped' && require.includes(check.group),
  );
  if (skipped.length > 0) return { exitCode: 2, reasons: skipped.map(whySkipped) };
  const absent = require.filter((group) => !report.checks.some(({ check }) => check.group === group));
  if (absent.length > 0) {
    return { exitCode: 2, reasons: absent.map((group) => `group ${group} is required but did not run`) };
  }
  return { exitCode: 0, reasons: [] };
}

/** Checks that could not read their facts. */
export function unreadChecks(report: Report): readonly CheckResult[] {
  return report.checks.filter(({ outcome }) => outcome.status === 'skipped' && outcome.blind === true);
}

/** One line per reason, because one missing privilege hides the facts of many checks. */
export function unreadReasons(report: Report): readonly string[] {
  const ids = new Map<string, string[]>();
  for (const { check, outcome } of unreadChecks(report)) {
    if (outcome.status !== 'skipped') continue;
    ids.set(outcome.reason, [...(ids.get(outcome.reason) ?? []), check.id]);
  }
  return [...ids].map(([reason, checks]) => `not inspected, ${reason}: ${checks.join(', ')}`);
}

function whySkipped({ check, outcome }: CheckResult): string {
  const reason = outcome.status === 'skipped' ? outcome.reason : '';
  return `${check.id} of required group ${check.group} was skipped: ${reason}`;
}

/** Whether a text names a group. */
export function isGroup(text: string): text is Group {
  return groups.some((group) => group === text);
}
