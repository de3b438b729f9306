import type { Finding, Outcome } from './check.ts';

/** Passed when there is nothing to say about what was looked at. */
export function judge(inspected: string, findings: readonly Finding[]): Outcome {
  return findings.length === 0 ? { status: 'passed', inspected } : { status: 'failed', inspected, findings };
}

export function skip(reason: string): Outcome {
  return { status: 'skipped', reason };
}

/** `5 tables`, `1 table`. */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${number} ${number === 1 ? noun : plural}`;
}
