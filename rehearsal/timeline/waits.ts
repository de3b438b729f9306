/** Waits that are hard-coded in azurerm 4.55.0, whatever Azure answers, and the time in which nothing else happens. */
import type { OperationRecord } from '../../local/azure/index.ts';
import type { ResourceRun } from '../terraform/stack.ts';

/** Milliseconds since the epoch. */
export interface Interval {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** A shorter wait is latency, not a rule of the provider. In milliseconds. */
const shortestWait = 3000;
/** Delay of cdktf's output. In milliseconds. */
const tolerance = 1000;

interface Rule {
  readonly words: string;
  /** Before the resource's operation, or after it. */
  readonly when: 'before' | 'after';
}

const after = (words: string): Rule => ({ words, when: 'after' });

/** Read in internal/services/<service>/<resource>.go of the provider's version 4.55.0. */
const rules: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  azurerm_resource_group: {
    create: after('reads the group after 10 s, then twice more, 5 s apart'),
    delete: after('reads every 10 s until the group is gone'),
  },
  azurerm_monitor_metric_alert: { create: after('reads the alert ten times, 15 s apart') },
  azurerm_management_lock: {
    create: after('reads the lock twelve times, 10 s apart'),
    delete: after('looks for the deleted lock twelve times, 10 s apart'),
  },
  azurerm_monitor_diagnostic_setting: {
    create: after('reads the setting three times, 5 s apart'),
    delete: after('looks for the deleted setting five times, 15 s apart'),
  },
  azurerm_role_assignment: { create: after('reads the assignment five times, 5 s apart') },
  azurerm_key_vault: { create: after('calls a public vault after 30 s, then up to ten times, 10 s apart') },
  azurerm_virtual_network_peering: {
    create: { words: 'waits 15 s before each peering, one after the other', when: 'before' },
  },
  azurerm_data_protection_backup_instance_postgresql_flexible_server: {
    create: after('waits 5 s before it reads the backup configuration'),
  },
  azurerm_private_dns_zone_virtual_network_link: {
    delete: after('looks for the deleted link after 30 s, then ten times'),
  },
};

/** The provider's hard-coded wait for an action; undefined if it has none. */
export function hardCodedWait(type: string, action: string): string | undefined {
  return rules[type]?.[action]?.words;
}

/** Intervals of an apply in which every resource in progress was in a hard-coded wait. */
export function providerOnly(
  resources: readonly ResourceRun[],
  operations: readonly OperationRecord[],
): Interval[] {
  // Each event changes the number of resources that work and of those that only wait.
  const changes: { at: number; working: number; waiting: number }[] = [];
  for (const resource of resources) {
    const isRule = hardCodedWait(typeOf(resource), resource.action) !== undefined;
    const wait = isRule ? waitOf(resource, operations) : undefined;
    const steps = [resource.startedAt, wait?.startedAt, wait?.endedAt, resource.endedAt];
    const [begins, waits, resumes, ends] = steps.map((at) => at ?? resource.endedAt);
    changes.push(
      { at: begins ?? 0, working: 1, waiting: 0 },
      { at: waits ?? 0, working: -1, waiting: 1 },
      { at: resumes ?? 0, working: 1, waiting: -1 },
      { at: ends ?? 0, working: -1, waiting: 0 },
    );
  }
  changes.sort((a, b) => a.at - b.at);
  const found: Interval[] = [];
  let working = 0;
  let waiting = 0;
  for (const [index, change] of changes.entries()) {
    working += change.working;
    waiting += change.waiting;
    const until = changes[index + 1]?.at;
    if (working > 0 || waiting === 0 || until === undefined || until === change.at) continue;
    const last = found.at(-1);
    if (last?.endedAt === change.at) found[found.length - 1] = { ...last, endedAt: until };
    else found.push({ startedAt: change.at, endedAt: until });
  }
  return found;
}

/**
 * The wait of one resource: from its last operation until the provider reports success, or for some types, from the
 * provider's start until the first operation.
 *
 * @returns undefined without an operation, or for a wait of less than three seconds
 */
export function waitOf(
  resource: ResourceRun,
  operations: readonly OperationRecord[],
): (Interval & { readonly target: string }) | undefined {
  const id = armId(resource.id);
  if (id === undefined) return undefined;
  const own = operations.filter(
    ({ target, startedAt }) =>
      target.toLowerCase() === id &&
      startedAt >= resource.startedAt - tolerance &&
      startedAt <= resource.endedAt + tolerance,
  );
  const [first] = own;
  if (!first) return undefined;
  const before = rules[typeOf(resource)]?.[resource.action]?.when === 'before';
  const ended = Math.max(...own.map(({ endedAt }) => endedAt ?? 0));
  const [startedAt, endedAt] = before
    ? [resource.startedAt, first.startedAt]
    : [Math.max(ended, resource.startedAt), resource.endedAt];
  return endedAt - startedAt < shortestWait ? undefined : { startedAt, endedAt, target: first.target };
}

function typeOf({ address }: ResourceRun): string {
  return address.split('.')[0] ?? '';
}

/** The Azure id in a provider id. Ids of diagnostic settings join two ids with a bar. */
function armId(id: string | undefined): string | undefined {
  const [target, name] = (id ?? '').toLowerCase().split('|');
  if (!target) return undefined;
  if (name === undefined || name.startsWith('/')) return target;
  return `${target}/providers/microsoft.insights/diagnosticsettings/${name}`;
}
