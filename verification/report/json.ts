import { sources } from '../../core/sources.ts';
import type { Report } from '../check.ts';
import type { Verdict } from '../verdict.ts';

/** Raised if a member changes its meaning or disappears, not for new members. */
const format = 2;

/** A report for programs: every check with its texts, its outcome and all findings. */
export function reportDocument(report: Report, verdict: Verdict) {
  const { subject, counts, durationMs, checks } = report;
  return {
    ok: verdict.exitCode === 0,
    format,
    ...subject,
    sources: sources(),
    reasons: verdict.reasons,
    counts,
    durationMs: Math.round(durationMs),
    checks: checks.map(({ check, outcome }) => ({ ...check, ...outcome })),
  };
}
