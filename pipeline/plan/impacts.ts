/** The vocabulary of the guard: the effects of a change on a database, worst first. */

export interface ImpactText {
  /** Words for tables and comments. */
  readonly title: string;
  /** The meaning, for a reader who does not know the guard. */
  readonly means: string;
}

/** From worst to mildest. */
export const impactTexts = {
  'data-loss': { title: 'data loss', means: 'rows, keys, backups or logs are gone afterwards' },
  'refused-by-azure': {
    title: 'refused by Azure',
    means: 'the plan succeeds and the apply fails in the middle of its changes',
  },
  unknown: { title: 'unknown', means: 'the guard cannot say what the change does' },
  'long-outage': { title: 'long outage', means: 'clients cannot connect for minutes to hours' },
  'security-weakened': {
    title: 'security or audit weakened',
    means: 'a control is weaker afterwards',
  },
  'recovery-weakened': {
    title: 'recovery weakened',
    means: 'less can be restored, or a failure lasts longer',
  },
  failover: { title: 'failover', means: 'the standby takes over; open connections end' },
  restart: { title: 'restart', means: 'the server restarts; open connections end' },
  'read-only': { title: 'read-only window', means: 'reads go on and writes wait or fail' },
  cost: { title: 'cost', means: 'the bill changes by a factor' },
  online: { title: 'online', means: 'clients notice nothing, or only those that the text names' },
  nothing: { title: 'nothing', means: 'the database does not notice' },
} as const satisfies Readonly<Record<string, ImpactText>>;

export type Impact = keyof typeof impactTexts;

/** From worst to mildest. */
export const impacts = Object.keys(impactTexts) as readonly Impact[];

/** Position from the worst: smaller is worse. */
export function rankOf(impact: Impact): number {
  return impacts.indexOf(impact);
}

/** The worst of a list; `nothing` of an empty one. */
export function worstOf(list: readonly Impact[]): Impact {
  return list.reduce<Impact>((worst, one) => (rankOf(one) < rankOf(worst) ? one : worst), 'nothing');
}
