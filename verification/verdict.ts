import type { Severity } from '../core/severity.ts';
import { type CheckResult, type Group, groups, type Report } from './check.ts';
import { failing } from './run.ts';

export interface Verdict {
  /** 0 clean; 1 findings; 2 a group that is required was not looked at, or a check is defective. */
  readonly exitCode: 0 | 1 | 2;
  /** One line for each reason that it is not 0. */
  readonly reasons: readonly string[];
}

export interface VerdictOptions {
  /** Findings of this severity and worse count. @default 'high' */
  readonly failOn?: Severity;
  /** Groups of which every check must have looked. @default - none */
  readonly require?: readonly Group[];
}

/**
 * What a run amounts to. Skips are no findings, unless their group is required; findings outweigh skips,
 * because they are known.
 */
export function verdictOf(report: Report, { failOn = 'high', require = [] }: VerdictOptions = {}): Verdict {
  const bad = failing(report, failOn);
  const reasons = bad.map(({ check }) => `${check.id} (${check.severity}): ${check.title}`);
  if (bad.length > 0) return { exitCode: 1, reasons };
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
  const unseen = report.checks.filter(
    ({ check, outcome }) => outcome.status === 'skipped' && require.includes(check.group),
  );
  if (unseen.length > 0) return { exitCode: 2, reasons: unseen.map(whySkipped) };
  const absent = require.filter((group) => !report.checks.some(({ check }) => check.group === group));
  if (absent.length > 0) {
    return { exitCode: 2, reasons: absent.map((group) => `group ${group} is required and was not run`) };
  }
  return { exitCode: 0, reasons: [] };
}

function whySkipped({ check, outcome }: CheckResult): string {
  const reason = outcome.status === 'skipped' ? outcome.reason : '';
  return `${check.id} of required group ${check.group} was skipped: ${reason}`;
}

/** Whether a text names a group. */
export function isGroup(text: string): text is Group {
  return groups.some((group) => group === text);
}
