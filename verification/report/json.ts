import { sources } from '../../core/sources.ts';
import type { Report } from '../check.ts';
import type { Verdict } from '../verdict.ts';

/** Raised if a member changes its meaning or disappears, not for new members. */
const format = 2;

export interface Observed {
  /** Name of the environment. @default - the target was a URL alone */
  readonly environment?: string;
  /** Time of the observation. @default - now */
  readonly at?: Date;
}

/** A report for programs: every check with its texts, its outcome and all findings. */
export function reportDocument(
  report: Report,
  verdict: Verdict,
  { environment, at = new Date() }: Observed = {},
) {
  const { subject, counts, durationMs, checks } = report;
  return {
    ok: verdict.exitCode === 0,
    format,
    environment: environment ?? null,
    at: at.toISOString(),
    ...subject,
    sources: sources(),
    reasons: verdict.reasons,
    counts,
    durationMs: Math.round(durationMs),
    checks: checks.map(({ check, outcome }) => ({ ...check, ...outcome })),
  };
}
