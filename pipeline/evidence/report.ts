/** The content of a pack: `controls.json`. All other reports of a pack are renderings of it. */
import type { Json } from '../../core/json.ts';
import type { FrameworkId } from './frameworks.ts';

/**
 * The result of one piece of evidence.
 *
 * - `holds`, `violated`: a tool saw the value.
 * - `waived`: violated, and the environment accepts it until a date.
 * - `not applicable`: the environment has no such thing.
 * - `not collected`: a tool could see it, and this pack has no observation of it.
 * - `no tool sees it`: a document or a person has to be asked.
 */
export const verdicts = [
  'violated',
  'not collected',
  'no tool sees it',
  'waived',
  'holds',
  'not applicable',
] as const;
export type Verdict = (typeof verdicts)[number];

export interface Waiver {
  readonly control: string;
  readonly reason: string;
  /** Team that accepts the risk. */
  readonly owner: string;
  /** Last day, `2027-11-30`. */
  readonly expires: string;
  /** The person who has accepted the risk, the day, and where that is written; null for a proposal, which waives nothing. */
  readonly confirmed: { readonly by: string; readonly on: string; readonly where: string } | null;
}

export interface Row {
  readonly kind: 'stack' | 'rule' | 'check' | 'record' | 'person';
  /** JSON pointer into `cdk.tf.json`, id of a rule or check, kind of record. Empty for a person. */
  readonly place: string;
  /** JSON pointer inside the JSON document that the string at `place` holds. @default - the value is at `place` */
  readonly within?: string;
  /** The inspected thing, or the question for a person. */
  readonly subject: string;
  /** Required value in words. @default - the subject says it */
  readonly requires?: string;
  /** The value there; null if nothing is there or nothing was collected. */
  readonly value: Json;
  readonly verdict: Verdict;
  /** Time of the observation (RFC 3339, UTC). Null if nothing was observed. */
  readonly observedAt: string | null;
  readonly waiver?: Waiver;
  /** Explains a verdict. @default - the value explains it */
  readonly remark?: string;
}

export interface AssessedControl {
  readonly id: string;
  readonly title: string;
  readonly why: string;
  readonly setting: string | null;
  readonly verdict: Verdict;
  readonly rules: readonly string[];
  readonly mapped: Readonly<Partial<Record<FrameworkId, readonly string[]>>>;
  readonly rows: readonly Row[];
}

export interface AssessedFamily {
  readonly prefix: string;
  readonly title: string;
  readonly controls: readonly AssessedControl[];
}

export interface Commit {
  /** 40 hexadecimal digits. */
  readonly hash: string;
  /** Committer's time, RFC 3339 in UTC. */
  readonly time: string;
  /** Files that differ from the commit. A pack with any is a draft. */
  readonly changed: readonly string[];
}

/** One document that was observed outside the repository and is in the pack. */
export interface Observation {
  readonly kind: 'verification' | 'releases' | 'guard' | 'audit';
  /** Path in the pack. */
  readonly file: string;
  readonly sha256: string;
  /** Null if the document has no time. */
  readonly at: string | null;
}

/** One release of the environment, from its record. */
export interface Release {
  readonly at: string;
  readonly outcome: string;
  readonly executor: string;
  readonly migrationsDigest: string;
  /** Newest seal of the audit trail at that time; null if nothing was sealed. */
  readonly auditHead: string | null;
}

export interface Report {
  /** Raised if a member changes its meaning or disappears. */
  readonly format: 1;
  readonly environment: string;
  readonly commit: Commit;
  readonly stack: { readonly file: 'cdk.tf.json'; readonly sha256: string };
  readonly observations: readonly Observation[];
  /** `number:hash` of the newest seal of the audit trail. */
  readonly auditHead: string | null;
  /** Oldest first. */
  readonly releases: readonly Release[];
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly families: readonly AssessedFamily[];
  /** Waivers that cover nothing in this pack: remove them. */
  readonly unusedWaivers: readonly Waiver[];
}

/** The latest time that the pack knows: waivers are compared with it, and documents are dated with it. */
export function timeOf({ commit, observations }: Pick<Report, 'commit' | 'observations'>): string {
  return [commit.time, ...observations.flatMap(({ at }) => at ?? [])].sort().at(-1) ?? commit.time;
}

export function controlsOf(report: Report): readonly AssessedControl[] {
  return report.families.flatMap(({ controls }) => controls);
}

/** RFC 3339 in UTC, to the second; undefined for any other text. */
export function utc(text: unknown): string | undefined {
  if (typeof text !== 'string' || !/^\d{4}-\d\d-\d\dT/.test(text)) return undefined;
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString().replace(/\.\d+Z$/, 'Z');
}
