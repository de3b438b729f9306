/** The result of a verification of the trail, for people. */
import { counted, duration } from '../../core/text.ts';
import { formatHead } from './seals.ts';
import type { VerifiedTrail } from './verify.ts';

/** One line per finding, then a summary with the head. */
export function describeTrail(trail: VerifiedTrail, expected: boolean): readonly string[] {
  const { findings, more, head, seals, rows, closed, unsealed, target } = trail;
  const known = `${counted(seals, 'seal')}, ${counted(rows, 'row')} compared, ${counted(closed.length, 'month')} closed`;
  const left =
    unsealed.rows === 0
      ? 'all rows are sealed'
      : `${counted(unsealed.rows, 'row')} not sealed yet, the oldest of ${unsealed.oldest}`;
  const end = head ? `head ${formatHead(head)}` : 'no head yet';
  const took = duration(trail.durationMs);
  if (findings.length > 0) {
    const total = findings.length + more;
    return [
      ...findings.map(({ kind, detail }) => `Tampered: ${kind}: ${detail}`),
      ...(more > 0 ? [`Tampered: and ${more} more`] : []),
      `The audit trail of ${target} differs from its seals: ${counted(total, 'finding')} (${known}; ${end}; ${took})`,
    ];
  }
  const anchor = expected ? ' and contains the expected head' : '';
  return [`The audit trail of ${target} is intact${anchor}: ${known}; ${left}; ${end} (${took})`];
}
