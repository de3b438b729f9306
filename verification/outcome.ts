import type { Finding, Outcome } from './check.ts';

export { counted } from '../core/text.ts';

/** Passed if there are no findings. */
export function judge(inspected: string, findings: readonly Finding[]): Outcome {
  return findings.length === 0 ? { status: 'passed', inspected } : { status: 'failed', inspected, findings };
}

export function skip(reason: string): Outcome {
  return { status: 'skipped', reason };
}

/** One finding that lists what is wrong with an object: `reaches pg_monitor`. None for an empty list. */
export function listed(object: string, verb: string, items: readonly string[]): readonly Finding[] {
  return items.length > 0 ? [{ object, detail: `${verb} ${items.join(', ')}` }] : [];
}
