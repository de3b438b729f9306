import type { Report } from '../check.ts';
import type { Verdict } from '../verdict.ts';

/** Raised when a member changes its meaning or goes; new members do not count. */
const format = 2;

/** A report for machines: every check with what it is, what it answered, and everything it found. */
export function reportDocument(report: Report, verdict: Verdict) {
  const { counts, durationMs, checks } = report;
  return {
    ok: verdict.exitCode === 0,
    format,
    reasons: verdict.reasons,
    counts,
    durationMs: Math.round(durationMs),
    checks: checks.map(({ check, outcome }) => ({ ...check, ...outcome })),
  };
}
