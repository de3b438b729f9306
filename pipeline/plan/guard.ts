/** The guard: a plan with its verdicts, the refusals and the waivers that cover them. */
import { chainOf, type Operation } from './chain.ts';
import { isPostDeploy } from './context.ts';
import { withControls } from './controls.ts';
import type { PlanFacts, ResourceChange } from './facts.ts';
import { type Impact, worstOf } from './impacts.ts';
import { isOwnStep, judge, type Verdict } from './judge.ts';
import type { PendingMigrations } from './pending.ts';
import { isChange, readPlan } from './read.ts';
import { type RefusalRule, refusalOf } from './rules.ts';
import { fingerprintOf, type Waiver, whyInvalid } from './waivers.ts';

export interface GuardOptions {
  /** Name of the environment, for the reports and the waivers. */
  readonly environment: string;
  /** Whether its settings protect it. An unprotected environment is refused nothing. */
  readonly isProtected: boolean;
  readonly waivers: readonly Waiver[];
  readonly now: Date;
  /** @default - none are known */
  readonly migrations?: PendingMigrations;
}

export interface Refusal {
  readonly rule: Pick<RefusalRule, 'id' | 'severity' | 'title' | 'why' | 'remedy'>;
  readonly address: string;
  readonly impact: Impact;
  /** The effects, one sentence each. */
  readonly says: readonly string[];
  readonly fingerprint: string;
  /** Waiver of the same address and impact that does not cover it, and the reason. */
  readonly almost?: string;
}

export interface Waived extends Refusal {
  readonly waiver: Waiver;
}

/** Exit statuses of the guard. */
export const exitStatus = { nothing: 0, error: 1, changes: 2, refused: 3 } as const;

export interface GuardReport {
  readonly environment: string;
  readonly isProtected: boolean;
  readonly terraformVersion: string;
  readonly providers: readonly string[];
  readonly impact: Impact;
  /** Without the post-deploy step and the records of what may not be removed. */
  readonly counts: Readonly<Record<ResourceChange['action'] | 'import' | 'move', number>>;
  /** Whether the apply ends with this project's post-deploy step. */
  readonly runsPostDeploy: boolean;
  /** Worst first. */
  readonly verdicts: readonly Verdict[];
  /** Changes of types that the table does not have, by type. */
  readonly others: Readonly<Record<string, number>>;
  readonly drift: readonly {
    readonly address: string;
    readonly action: string;
    readonly attributes: readonly string[];
  }[];
  readonly outputs: readonly string[];
  readonly openChecks: readonly string[];
  /** Assertions of `check` blocks that do not hold: an edit that Terraform ignores. */
  readonly warnings: PlanFacts['warnings'];
  readonly refusals: readonly Refusal[];
  readonly waived: readonly Waived[];
  readonly chain: readonly Operation[];
  readonly migrations?: PendingMigrations;
  readonly exitCode: 0 | 2 | 3;
}

/**
 * Judges a plan.
 *
 * @param text output of `terraform show -json` of a saved plan
 * @throws Fault `plan/…` for a plan that it cannot judge whole
 */
export function guard(text: string, options: GuardOptions): GuardReport {
  return report(readPlan(text), options);
}

export function report(facts: PlanFacts, options: GuardOptions): GuardReport {
  const { environment, isProtected, migrations } = options;
  const judged = judge(facts);
  const { others, context } = judged;
  const verdicts = withControls(facts, judged.verdicts);
  const all = [...(migrations?.verdicts ?? []), ...verdicts];
  const sorted = migrations ? [...all].sort((a, b) => byImpact(a, b)) : verdicts;
  const { refusals, waived } = isProtected ? refused(facts, sorted, options) : { refusals: [], waived: [] };
  const changes = facts.resources.filter(isChange);
  const hasChanges = changes.length > 0 || facts.outputs.length > 0 || (migrations?.files.length ?? 0) > 0;
  // A reviewer must see that an edit has no effect, and that the plan is of other migrations than this checkout has.
  const isToReview = hasChanges || facts.warnings.length > 0 || sorted.length > 0;
  return {
    environment,
    isProtected,
    terraformVersion: facts.terraformVersion,
    providers: facts.providers,
    impact: worstOf(sorted.map(({ impact }) => impact)),
    counts: countsOf(changes.filter((one) => !isOwnStep(one))),
    runsPostDeploy: changes.some((one) => isPostDeploy(one) && one.action !== 'delete'),
    verdicts: sorted,
    others,
    drift: facts.drift
      .filter(({ action, changed }) => action !== 'nothing' && (action !== 'update' || changed.length > 0))
      .map(({ address, action, changed }) => ({
        address,
        action,
        attributes: changed.map(({ path }) => path),
      })),
    outputs: facts.outputs,
    openChecks: facts.openChecks,
    warnings: facts.warnings.map(({ check, message }) => ({ check, message: context.masked(message) })),
    refusals,
    waived,
    chain: chainOf(facts, sorted),
    ...(migrations ? { migrations } : {}),
    exitCode: refusals.length > 0 ? exitStatus.refused : isToReview ? exitStatus.changes : exitStatus.nothing,
  };
}

const byImpact = (a: Verdict, b: Verdict) =>
  Number(worstOf([a.impact, b.impact]) === b.impact) - Number(worstOf([a.impact, b.impact]) === a.impact);

function countsOf(changes: readonly ResourceChange[]): GuardReport['counts'] {
  const counts = { nothing: 0, create: 0, read: 0, update: 0, replace: 0, delete: 0, import: 0, move: 0 };
  for (const { action, isImported, movedFrom } of changes) {
    counts[action] += 1;
    if (isImported) counts.import += 1;
    if (movedFrom !== undefined) counts.move += 1;
  }
  return counts;
}

/** One refusal per address and impact. */
function refused(
  facts: PlanFacts,
  verdicts: readonly Verdict[],
  { environment, waivers, now }: GuardOptions,
) {
  const groups = new Map<string, { readonly rule: RefusalRule; readonly verdicts: Verdict[] }>();
  for (const verdict of verdicts) {
    const rule = refusalOf(verdict);
    if (!rule) continue;
    const key = `${verdict.impact} ${verdict.address}`;
    const group = groups.get(key) ?? { rule, verdicts: [] };
    group.verdicts.push(verdict);
    groups.set(key, group);
  }
  const refusals: Refusal[] = [];
  const waived: Waived[] = [];
  const changes = new Map<string, ResourceChange>();
  for (const change of facts.resources) if (isChange(change)) changes.set(change.address, change);
  for (const { rule, verdicts: own } of groups.values()) {
    const [first] = own;
    if (!first) continue;
    const { address, impact } = first;
    const change = changes.get(address);
    const fingerprint =
      first.fingerprint ??
      (change
        ? fingerprintOf(
            change,
            impact,
            own.every(({ attribute }) => attribute !== undefined)
              ? own.flatMap(({ attribute }) => attribute ?? [])
              : [],
          )
        : '');
    const { id, severity, title, why, remedy } = rule;
    const refusal = {
      rule: { id, severity, title, why, remedy },
      address,
      impact,
      says: own.map(({ says }) => says),
      fingerprint,
    };
    const near = waivers.filter(
      (one) => one.environment === environment && one.address === address && one.impact === impact,
    );
    const waiver = near.find((one) => one.fingerprint === fingerprint && whyInvalid(one, now) === undefined);
    if (waiver) waived.push({ ...refusal, waiver });
    else refusals.push({ ...refusal, ...(near[0] ? { almost: whyNot(near, fingerprint, now) } : {}) });
  }
  return { refusals, waived };
}

function whyNot(near: readonly Waiver[], fingerprint: string, now: Date): string {
  const same = near.find((one) => one.fingerprint === fingerprint);
  return same
    ? `the waiver of ${same.by} does not count: ${whyInvalid(same, now)}`
    : `the waiver of ${near[0]?.by} is for other values`;
}
