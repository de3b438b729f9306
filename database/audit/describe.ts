/** What a verification of the trail says to a person. */
import { duration } from '../../core/text.ts';
import { formatHead } from './seals.ts';
import type { VerifiedTrail } from './verify.ts';

/** A line for each finding, then one that sums up and names the head. */
export function describeTrail(trail: VerifiedTrail, expected: boolean): readonly string[] {
  const { findings, more, head, seals, rows, closed, unsealed, target } = trail;
  const known = `${count(seals, 'seal')}, ${count(rows, 'row')} compared, ${count(closed.length, 'month')} closed`;
  const left =
    unsealed.rows === 0
      ? 'nothing waits to be sealed'
      : `${count(unsealed.rows, 'row')} not sealed yet, the oldest of ${unsealed.oldest}`;
  const end = head ? `head ${formatHead(head)}` : 'no head yet';
  const took = duration(trail.durationMs);
  if (findings.length > 0) {
    const total = findings.length + more;
    return [
      ...findings.map(({ kind, detail }) => `Tampered: ${kind}: ${detail}`),
      ...(more > 0 ? [`Tampered: and ${more} more`] : []),
      `The audit trail of ${target} is not what was sealed: ${count(total, 'finding')} (${known}; ${end}; ${took})`,
    ];
  }
  const anchor = expected ? ', and contains the head that was expected' : '';
  return [`The audit trail of ${target} is intact${anchor}: ${known}; ${left}; ${end} (${took})`];
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
