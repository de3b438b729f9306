/** The gates between two environments. Each says why it is closed and which command opens it. */
import { counted, duration } from '../../core/text.ts';
import type { DriftReport } from '../drift/drift.ts';
import type { GuardReport } from '../plan/guard.ts';
import type { EnvironmentFacts, LedgerDifference } from './facts.ts';

export interface PromotionFacts {
  readonly source: string;
  readonly target: string;
  /** The environment that the source is promoted from. @default - it is the first one */
  readonly before?: string | undefined;
  readonly now: Date;
  /** Hours after which facts and verification of the source do not count. */
  readonly maxAge: number;
  /** Groups that the source's verification may skip. */
  readonly except: readonly string[];
  readonly checkout: {
    readonly commit: string;
    readonly artifactDigest: string;
    /** Branch that must be contained, and the number of its commits that are missing. */
    readonly branch: string;
    readonly behind: number;
  };
  readonly from: EnvironmentFacts & { readonly difference: LedgerDifference };
  /** Undefined for a target that does not exist yet. */
  readonly to:
    | (EnvironmentFacts & {
        readonly difference: LedgerDifference;
        /** Whether the checkout has the commit of the target's release. */
        readonly isContained: boolean;
        readonly drift: DriftReport;
      })
    | undefined;
  readonly guard: GuardReport;
}

export interface GateAnswer {
  readonly name: string;
  readonly title: string;
  readonly isOpen: boolean;
  /** Why, in one sentence. */
  readonly says: string;
  /** Command that opens a closed gate, or that names what a person has to decide first (docs/promoting.md). */
  readonly opens?: string;
}

interface Gate {
  readonly name: string;
  /** The assertion that holds while the gate is open. */
  readonly title: (names: { readonly source: string; readonly target: string }) => string;
  /** The reason why it is closed, and the command; undefined if it is open. */
  readonly closed: (facts: PromotionFacts) => readonly [says: string, opens: string] | undefined;
  /** The fact that opens it. */
  readonly open: (facts: PromotionFacts) => string;
}

const isNew = ({ target }: PromotionFacts) => `${target} does not exist yet`;
const takeOver = ({ checkout: { branch } }: PromotionFacts) => `git merge --ff-only ${branch}`;
const short = (digest: string) => digest.slice(0, 12);
const some = (items: readonly string[]) =>
  items.length > 4 ? `${items.slice(0, 4).join('; ')} and ${items.length - 4} more` : items.join('; ');

export const gates: readonly Gate[] = [
  {
    name: 'branch',
    title: () => 'The checkout has every commit of the branch',
    closed: (facts) => {
      const { behind, branch } = facts.checkout;
      return behind > 0 ? [`it lacks ${counted(behind, 'commit')} of ${branch}`, takeOver(facts)] : undefined;
    },
    open: ({ checkout: { commit, branch } }) => `${short(commit)} has all of ${branch}`,
  },
  {
    name: 'source-artifact',
    title: ({ source }) => `${source} runs this artifact`,
    closed: ({ source, before, from: { release }, checkout: { artifactDigest } }) => {
      // Both print the command that applies what they make.
      const opens =
        before === undefined ? `llama-db release plan ${source}` : `llama-db promote ${before} ${source}`;
      if (!release) return [`${source} has no release`, opens];
      return release.artifactDigest === artifactDigest
        ? undefined
        : [
            `it runs ${short(release.artifactDigest)} of commit ${short(release.commit)}, and this checkout is ${short(artifactDigest)}`,
            opens,
          ];
    },
    open: ({ checkout: { artifactDigest } }) => `artifact ${short(artifactDigest)}`,
  },
  {
    name: 'source-ledger',
    title: ({ source }) => `The ledger of ${source} has exactly these migrations`,
    closed: ({ source, from: { difference } }) => {
      const { pending, edited, unknown } = difference;
      const found = [
        ...pending.map((one) => `${one} is pending`),
        ...edited.map((one) => `${one} was applied with another content`),
        ...unknown.map((one) => `${one} is applied and not in the checkout`),
      ];
      const applies = edited.length + unknown.length === 0 ? 'migrate' : 'status';
      return found.length > 0 ? [some(found), `llama-db ${applies} ${source}`] : undefined;
    },
    open: ({ from: { ledger } }) => `${ledger.length} migrations`,
  },
  {
    name: 'source-verified',
    title: ({ source }) => `${source} was verified after its release`,
    closed: ({ source, from: { release } }) =>
      release?.outcome === 'verified'
        ? undefined
        : [
            release
              ? `its verification is "${release.outcome}": ${some(release.failed) || 'facts could not be read'}`
              : 'no verification is recorded',
            `llama-db release verify ${source}`,
          ],
    open: ({ from: { release } }) => `verified at ${release?.verifiedAt}`,
  },
  {
    name: 'source-age',
    title: ({ source }) => `The verification of ${source} is recent`,
    closed: ({ source, from, now, maxAge }) => {
      const [oldest = ''] = [from.at, from.release?.verifiedAt ?? '1970-01-01T00:00:00Z'].sort();
      const age = now.getTime() - Date.parse(oldest);
      return age > maxAge * 3_600_000
        ? [`it is ${duration(age)} old, and --max-age is ${maxAge} h`, `llama-db release verify ${source}`]
        : undefined;
    },
    open: ({ maxAge }) => `within ${maxAge} h`,
  },
  {
    name: 'source-groups',
    title: ({ source }) => `The verification of ${source} skipped no group`,
    closed: ({ source, from: { release }, except }) => {
      if (!release) return ['no verification is recorded', `llama-db release verify ${source}`];
      const skipped = release.skippedGroups.filter((group) => !except.includes(group));
      return skipped.length > 0
        ? [
            `it skipped ${skipped.join(', ')}`,
            `llama-db verify ${source} --require ${skipped.join(',')} && llama-db release verify ${source}`,
          ]
        : undefined;
    },
    open: ({ except }) =>
      except.length > 0 ? `except ${except.join(', ')}, which was accepted` : 'every group',
  },
  {
    name: 'source-seals',
    title: ({ source }) => `The seals of the audit trail of ${source} hold`,
    closed: ({ source, from: { trail } }) =>
      trail.length > 0 ? [some(trail), `llama-db audit verify ${source}`] : undefined,
    open: () => 'the chain matches its rows',
  },
  {
    name: 'target-seals',
    title: ({ target }) => `The seals of the audit trail of ${target} hold`,
    closed: ({ target, to }) =>
      to && to.trail.length > 0 ? [some(to.trail), `llama-db audit verify ${target}`] : undefined,
    open: (facts) => (facts.to ? 'the chain matches its rows' : isNew(facts)),
  },
  {
    name: 'target-behind',
    title: ({ target }) => `${target} is not ahead of this checkout`,
    closed: (facts) => {
      const { target, to } = facts;
      if (!to) return undefined;
      const { unknown, edited } = to.difference;
      const found = [
        ...unknown.map((one) => `${one} is applied there and not in the checkout`),
        ...edited.map((one) => `${one} was applied there with another content`),
      ];
      if (found.length > 0) return [some(found), `llama-db status ${target}`];
      return to.isContained
        ? undefined
        : [
            `its release is of commit ${short(to.release?.commit ?? '')}, which this checkout does not contain`,
            takeOver(facts),
          ];
    },
    open: (facts) =>
      facts.to ? `${facts.to.difference.pending.length} migrations are pending` : isNew(facts),
  },
  {
    name: 'target-drift',
    title: ({ target }) => `Nobody changed ${target} beside its releases`,
    closed: ({ target, to }) => {
      if (!to || to.drift.exitCode === 0) return undefined;
      const { resources, checks, unread } = to.drift;
      const found = [
        ...resources.map(({ address, action, changes }) => `${address} ${some(changes) || action}`),
        ...checks.map(({ id, findings }) => `${id} ${some(findings)}`),
        ...unread,
      ];
      return [some(found), `llama-db drift ${target}`];
    },
    open: (facts) => (facts.to ? 'Azure and database are as released' : isNew(facts)),
  },
  {
    name: 'target-plan',
    title: ({ target }) => `The guard accepts the plan of ${target}`,
    closed: ({ target, guard: { refusals } }) =>
      refusals.length > 0
        ? [
            some(refusals.map(({ rule, address, says }) => `${rule.id} ${address}: ${says.join('; ')}`)),
            `llama-db plan ${target}`,
          ]
        : undefined,
    open: ({ guard: { impact, waived } }) =>
      `the worst impact is ${impact}${waived.length > 0 ? `, ${waived.length} waived` : ''}`,
  },
];

export function answersOf(facts: PromotionFacts): readonly GateAnswer[] {
  return gates.map(({ name, title, closed, open }) => {
    const answer = closed(facts);
    const named = { name, title: title(facts) };
    return answer
      ? { ...named, isOpen: false, says: answer[0], opens: answer[1] }
      : { ...named, isOpen: true, says: open(facts) };
  });
}
