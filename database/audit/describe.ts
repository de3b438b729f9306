/** The result of a verification of the trail, for people. */
import { counted, duration } from '../../core/text.ts';
import { formatHead } from './seals.ts';
import type { VerifiedTrail } from './verify.ts';

/** One line per finding, then a summary with the head. */
export function describeTrail(trail: VerifiedTrail): readonly string[] {
  const { findings, more, remarks, heads, head, seals, rows, closed, unsealed, target } = trail;
  const erased = describeErasures(trail);
  const known = `${counted(seals, 'seal')}, ${counted(rows, 'row')} compared, ${counted(closed.length, 'month')} closed`;
  const left =
    unsealed.rows === 0
      ? 'all rows are sealed'
      : `${counted(unsealed.rows, 'row')} not sealed yet, the oldest of ${unsealed.oldest}`;
  const end = head ? `head ${formatHead(head)}` : 'no head yet';
  const took = duration(trail.durationMs);
  const remarked = remarks.map(({ kind, detail }) => `Remark: ${kind}: ${detail}`);
  if (findings.length > 0) {
    const total = findings.length + more;
    return [
      ...findings.map(({ kind, detail }) => `Tampered: ${kind}: ${detail}`),
      ...(more > 0 ? [`Tampered: and ${more} more`] : []),
      ...remarked,
      ...erased,
      `The audit trail of ${target} differs from its seals: ${counted(total, 'finding')} (${known}; ${end}; ${took})`,
    ];
  }
  const anchor = heads > 0 ? ` and contains ${counted(heads, 'earlier head')}` : '';
  return [
    ...remarked,
    ...erased,
    `The audit trail of ${target} is intact${anchor}: ${known}; ${left}; ${end} (${took})`,
  ];
}

/** One line per tenant that somebody erased, and one for all that retention erased. */
function describeErasures({ erasures }: VerifiedTrail): readonly string[] {
  const groups = new Map<string, { rows: number; last: string }>();
  for (const { tenant, reason, rows, at, user, login } of erasures) {
    const retention = reason === 'retention';
    const whose = retention ? 'expired records' : `tenant ${JSON.stringify(tenant)} (${reason})`;
    const key = retention ? whose : `${whose} by ${user} as ${login}`;
    groups.set(key, { rows: (groups.get(key)?.rows ?? 0) + rows, last: at });
  }
  return [...groups].map(
    ([of, { rows, last }]) => `Content erased: ${counted(rows, 'row')} of ${of}, last at ${last}`,
  );
}

/** The result of `llama-db audit verify`, with the place and the time of the observation. */
export function auditDocument(trail: VerifiedTrail, environment: string | undefined, at = new Date()) {
  return {
    environment: environment ?? null,
    at: at.toISOString(),
    ...trail,
    intact: trail.findings.length === 0,
  };
}
