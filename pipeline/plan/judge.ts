/** The verdicts about a plan: each change by the rows of the impact table. */
import { at } from '../../core/json.ts';
import { Context, isPostDeploy } from './context.ts';
import type { AttributeChange, PlanFacts, ResourceChange } from './facts.ts';
import { type Impact, rankOf } from './impacts.ts';
import { isChange } from './read.ts';
import { isJudged, rowOfAction, rowOfAttribute } from './table/index.ts';
import { underLock } from './table/locks.ts';
import type { Judgement, Row } from './table/row.ts';
import { refusedValues } from './table/server-refusals.ts';
import { shownChange } from './values.ts';

export interface Verdict extends Judgement {
  /** Id of the row: `server/size`. */
  readonly row: string;
  readonly address: string;
  readonly type: string;
  readonly action: ResourceChange['action'];
  /** Attribute that decides; absent for a whole resource. */
  readonly attribute?: string;
  /** `GP_Standard_D4s_v3 -> GP_Standard_D8s_v3`; sensitive values are masked. */
  readonly values?: string;
  readonly source?: Row['source'];
  /** Fingerprint of the deciding values. @default - of the change at the address */
  readonly fingerprint?: string;
}

export interface Judged {
  /** Worst first, then in the order of the plan. */
  readonly verdicts: readonly Verdict[];
  /** Changes of types that the table does not have, by type. Destroyed ones have a verdict too. */
  readonly others: Readonly<Record<string, number>>;
  readonly context: Context;
}

const whole: AttributeChange = {
  path: '',
  before: undefined,
  after: undefined,
  isUnknown: false,
  isSensitive: false,
};

export function judge(facts: PlanFacts): Judged {
  const context = new Context(facts);
  const others = new Map<string, number>();
  const found = facts.resources.filter(isChange).flatMap((change) => {
    if (change.mode === 'data' || change.action === 'read') return [];
    if (isOwnStep(change)) return [];
    const verdicts = [...ofMove(change), ...ofChange(change, context), ...ofRules(change, context)];
    if (!isKnown(change.type)) others.set(change.type, (others.get(change.type) ?? 0) + 1);
    return verdicts;
  });
  const order = new Map(found.map((verdict, place) => [verdict, place]));
  return {
    verdicts: [...found].sort(
      (a, b) => rankOf(a.impact) - rankOf(b.impact) || (order.get(a) ?? 0) - (order.get(b) ?? 0),
    ),
    others: Object.fromEntries(others),
    context,
  };
}

/** Types that act on the same servers by other means. */
const besideTerraform = /^(?:azapi_|azurerm_resource_group_template_deployment)/;

const isKnown = (type: string) => isJudged(type) || besideTerraform.test(type);

/** The records of this project's stacks that guard removals, and its post-deploy step: see `migrations.ts`. */
export function isOwnStep(change: ResourceChange): boolean {
  return (
    isPostDeploy(change) ||
    (change.type === 'terraform_data' && /(?:^|\.)terraform_data\.protected_/.test(change.address))
  );
}

function ofMove(change: ResourceChange): Verdict[] {
  const found: Verdict[] = [];
  if (change.isImported)
    found.push(
      verdict(change, 'plan/imported', { impact: 'nothing', says: 'the state takes over what Azure has' }),
    );
  if (change.movedFrom !== undefined)
    found.push(
      verdict(change, 'plan/moved', {
        impact: 'nothing',
        says: `the state moves it from ${change.movedFrom}`,
      }),
    );
  return found;
}

function verdict(change: ResourceChange, row: string, judgement: Judgement): Verdict {
  return { ...judgement, row, address: change.address, type: change.type, action: change.action };
}

function ofChange(change: ResourceChange, context: Context): Verdict[] {
  const { type, action } = change;
  if (action === 'nothing') return [];
  if (/^azapi_/.test(type)) return ofAzapi(change);
  if (!isJudged(type)) {
    const destroys = action === 'delete' || action === 'replace';
    return destroys
      ? [
          verdict(change, 'plan/destroys-unjudged', {
            impact: 'unknown',
            says: `the plan destroys ${action === 'replace' ? 'and creates ' : ''}a resource whose type the guard does not know`,
          }),
        ]
      : [];
  }
  if (action !== 'update') return judged(change, context, rowOfAction(type, action), whole);
  if (change.changed.length === 0)
    return [
      verdict(change, 'plan/no-attribute', {
        impact: 'unknown',
        says: 'the plan updates it and shows no attribute that differs',
      }),
    ];
  return change.changed.flatMap((attribute) =>
    judged(change, context, rowOfAttribute(type, attribute.path), attribute),
  );
}

/** Refusals by Azure that do not depend on one attribute. */
function ofRules(change: ResourceChange, context: Context): Verdict[] {
  if (change.action === 'nothing') return [];
  const about = { change, attribute: whole, context, server: context.serverOf(change) };
  return [
    ...underLock(about).map((judgement) => verdict(change, 'plan/locked', judgement)),
    ...refusedValues(about).map((judgement) => verdict(change, 'server/refused-value', judgement)),
  ];
}

/** Resource Manager by another provider: the body may be any change of a server. */
function ofAzapi(change: ResourceChange): Verdict[] {
  const kind = [change.after, change.before]
    .map((side) => at(side, 'type'))
    .find((one) => typeof one === 'string');
  if (typeof kind === 'string' && !/^Microsoft\.DBforPostgreSQL\//i.test(kind)) return [];
  return [
    verdict(change, 'plan/azapi', {
      impact: 'unknown',
      says: `the plan changes ${typeof kind === 'string' ? kind : 'a resource'} by a request of its own`,
    }),
  ];
}

function judged(
  change: ResourceChange,
  context: Context,
  row: Row | undefined,
  attribute: AttributeChange,
): Verdict[] {
  const described = {
    address: change.address,
    type: change.type,
    action: change.action,
    ...(attribute === whole
      ? {}
      : { attribute: attribute.path, values: context.masked(shownChange(attribute)) }),
  };
  if (!row)
    return [
      {
        ...described,
        row: 'plan/attribute-unknown',
        impact: 'unknown',
        says:
          attribute === whole
            ? `the table has no row for ${change.action}`
            : 'the table has no row for this attribute',
      },
    ];
  const judgements = [row.judge({ change, attribute, context, server: context.serverOf(change) })].flat();
  return judgements.map((judgement) => ({
    ...judgement,
    ...described,
    row: row.id,
    source: row.source,
    says: context.masked(attribute.isSensitive ? withoutNumbers(judgement.says) : judgement.says),
  }));
}

/** Sentences about a masked value: its numbers, also those that are computed from it, are masked. */
const withoutNumbers = (says: string) => says.replace(/(?<![\w.])\d[\d.,]*(?![\w])/g, '(sensitive)');

/** The worst impact of a judged plan. */
export function worstImpact({ verdicts }: Pick<Judged, 'verdicts'>): Impact {
  return verdicts[0]?.impact ?? 'nothing';
}
