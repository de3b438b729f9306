/** Changes that somebody made beside the deployments: in Azure against the state, in the database against its release. */
import type { Json } from '../../core/json.ts';
import { isObject, objectAt, parseJson, textsAt } from '../../core/json.ts';
import type { Report } from '../../verification/check.ts';
import { unreadReasons } from '../../verification/verdict.ts';
import { blockOf, type PlanFacts, type ResourceChange } from '../plan/facts.ts';
import { readPlan } from '../plan/read.ts';
import { own, shownChange } from '../plan/values.ts';

/** Groups of checks that compare the database and Azure with the release. */
export const driftGroups = ['drift', 'schema', 'ledger', 'settings', 'roles', 'azure'] as const;

export interface DriftedResource {
  readonly address: string;
  /** `update`, or `delete` of a resource that is gone. */
  readonly action: ResourceChange['action'];
  /** Attribute and values, `sku_name: a -> b`; sensitive values are masked. */
  readonly changes: readonly string[];
}

export interface DriftedCheck {
  readonly id: string;
  readonly severity: string;
  readonly title: string;
  /** `object: detail` */
  readonly findings: readonly string[];
}

export interface DriftReport {
  readonly environment: string;
  readonly resources: readonly DriftedResource[];
  /** Differences of attributes that the stack leaves to Azure, such as the zone after a failover. */
  readonly expected: readonly DriftedResource[];
  readonly checks: readonly DriftedCheck[];
  /** Parts that were not compared, and why. */
  readonly unread: readonly string[];
  /** 0 nothing differs; 1 something could not be compared; 2 something differs. */
  readonly exitCode: 0 | 1 | 2;
}

export interface DriftInput {
  readonly environment: string;
  /** Output of `terraform show -json` of a plan. @default - Azure was not compared, and `unread` has the reason */
  readonly plan?: string;
  /** @default 'plan' */
  readonly kind?: 'plan' | 'refresh';
  /** Text of `cdk.tf.json`. @default - no attribute is left to Azure */
  readonly stack?: string;
  /** @default - the database was not compared, and `unread` has the reason */
  readonly report?: Report;
  readonly unread?: readonly string[];
}

/** @throws Fault `plan/…` for a plan that cannot be read whole */
export function driftOf({ environment, plan, kind, stack, report, unread = [] }: DriftInput): DriftReport {
  const { resources, expected } =
    plan === undefined ? noResources : driftedResources(readPlan(plan, kind), stack);
  const checks = (report?.checks ?? []).flatMap(({ check, outcome }) =>
    outcome.status === 'failed'
      ? [
          {
            ...{ id: check.id, severity: check.severity, title: check.title },
            findings: outcome.findings.map(({ object, detail }) => `${object}: ${detail}`),
          },
        ]
      : [],
  );
  const blind = [...unread, ...(report ? unreadReasons(report) : [])];
  const differs = resources.length > 0 || checks.length > 0;
  return {
    ...{ environment, resources, expected, checks, unread: blind },
    exitCode: differs ? 2 : blind.length > 0 ? 1 : 0,
  };
}

const noResources = { resources: [], expected: [] };

/** Drift of a plan, without that of attributes which the stack ignores. */
export function driftedResources(
  { drift }: Pick<PlanFacts, 'drift'>,
  stack = '{}',
): Pick<DriftReport, 'resources' | 'expected'> {
  const ignored = ignoredAttributes(parseJson(stack));
  const split = (wanted: 'expected' | 'resources') =>
    drift.flatMap((change): DriftedResource[] => {
      if (change.action === 'nothing') return [];
      const { address, action } = change;
      if (action !== 'update') return wanted === 'resources' ? [{ address, action, changes: [] }] : [];
      const paths = ignored.get(blockOf(address)) ?? [];
      const isIgnored = (path: string) => paths.some((one) => path === one || path.startsWith(`${one}.`));
      const changes = change.changed
        .filter(({ path }) => isIgnored(path) === (wanted === 'expected'))
        .map((one) => `${one.path}: ${shownChange(one)}`);
      return changes.length > 0 ? [{ address, action, changes }] : [];
    });
  return { resources: split('resources'), expected: split('expected') };
}

/**
 * Whether the stack sets none of the attributes that differ. After an apply, a network shows the subnets, and a zone the records,
 * that other resources of the same apply have made: the state does not have them yet.
 */
export function isCaused(plan: string, stack: string): boolean {
  const blocks = objectAt(parseJson(stack), 'resource');
  return readPlan(plan, 'refresh').drift.every(({ address, action, changed }) => {
    const [type = '', name = ''] = blockOf(address).split('.');
    const block = objectAt(blocks, type, name);
    const isSet = ({ path }: { readonly path: string }) => Object.hasOwn(block, path.split('.')[0] ?? '');
    return action === 'nothing' || (action === 'update' && !changed.some(isSet));
  });
}

/** One line per drifted resource, for comparisons. */
export function driftLines(plan: string, kind: 'plan' | 'refresh', stack: string): readonly string[] {
  return driftedResources(readPlan(plan, kind), stack)
    .resources.map(({ address, action, changes }) => `${address} ${changes.join(', ') || action}`)
    .sort();
}

/** `lifecycle.ignore_changes` by address; a list index of a block is left out. */
function ignoredAttributes(stack: Json | undefined): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const [type, named] of Object.entries(objectAt(stack, 'resource')))
    for (const name of isObject(named) ? Object.keys(named) : []) {
      const block = isObject(named) ? own(named, name) : undefined;
      const paths = textsAt(block, 'lifecycle', 'ignore_changes').map((one) => one.replace(/\[\d+\]/g, ''));
      if (paths.length > 0) found.set(`${type}.${name}`, paths);
    }
  return found;
}
