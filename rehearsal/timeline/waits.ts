/** Where azurerm 4.55.0 waits because its code says so, whatever Azure answers, and how long that is all there is. */
import type { OperationRecord } from '../../local/azure/index.ts';
import type { ResourceRun } from '../terraform/stack.ts';

/** Milliseconds since the epoch. */
export interface Interval {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Shorter than this, waiting is the network's and nobody's rule; in milliseconds. */
const shortestWait = 3000;
/** Lines of cdktf come a little late; in milliseconds. */
const tolerance = 1000;

interface Rule {
  readonly words: string;
  /** Before its operation, or after it. */
  readonly when: 'before' | 'after';
}

const after = (words: string): Rule => ({ words, when: 'after' });

/** Read in internal/services/<service>/<resource>.go of the provider's version 4.55.0. */
const rules: Readonly<Record<string, Readonly<Record<string, Rule>>>> = {
  azurerm_resource_group: {
    create: after('10 s, then two more looks, 5 s apart, whether the group is there'),
    delete: after('looks every 10 s whether the group is gone'),
  },
  azurerm_monitor_metric_alert: { create: after('ten looks, 15 s apart, whether the alert is there') },
  azurerm_management_lock: {
    create: after('twelve looks, 10 s apart, whether the lock is there'),
    delete: after('twelve looks, 10 s apart, whether the lock is gone'),
  },
  azurerm_monitor_diagnostic_setting: {
    create: after('three looks, 5 s apart, whether the setting is there'),
    delete: after('five looks, 15 s apart, whether the setting is gone'),
  },
  azurerm_role_assignment: { create: after('five looks, 5 s apart, whether the assignment is there') },
  azurerm_key_vault: { create: after('30 s, then ten looks, 10 s apart, whether a public vault answers') },
  azurerm_virtual_network_peering: {
    create: { words: '15 s before each, one peering after the other', when: 'before' },
  },
  azurerm_data_protection_backup_instance_postgresql_flexible_server: {
    create: after('5 s before it looks whether the backups are configured'),
  },
  azurerm_private_dns_zone_virtual_network_link: {
    delete: after('30 s, then ten looks, whether the link is gone'),
  },
};

/** What the provider does, or undefined for a wait that no rule of its own explains. */
export function hardCodedWait(type: string, action: string): string | undefined {
  return rules[type]?.[action]?.words;
}

/** When hard-coded waits were all that an apply did: at least one, and every other resource in one as well. */
export function providerOnly(
  resources: readonly ResourceRun[],
  operations: readonly OperationRecord[],
): Interval[] {
  // Each change of what is going on: how many resources work, how many of them only wait.
  const changes: { at: number; working: number; waiting: number }[] = [];
  for (const resource of resources) {
    const isRule = hardCodedWait(typeOf(resource), resource.action) !== undefined;
    const wait = isRule ? waitOf(resource, operations) : undefined;
    const steps = [resource.startedAt, wait?.startedAt, wait?.endedAt, resource.endedAt];
    const [began, waits, goesOn, ended] = steps.map((at) => at ?? resource.endedAt);
    changes.push(
      { at: began ?? 0, working: 1, waiting: 0 },
      { at: waits ?? 0, working: -1, waiting: 1 },
      { at: goesOn ?? 0, working: 1, waiting: -1 },
      { at: ended ?? 0, working: -1, waiting: 0 },
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
 * Between a resource's operations and when the provider believed that it was done; for some types, from when the
 * provider took it up to its first operation.
 *
 * @returns undefined when there was no operation, or hardly a wait
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

/** The provider's ids of settings on another resource are two joined by a bar. */
function armId(id: string | undefined): string | undefined {
  const [target, name] = (id ?? '').toLowerCase().split('|');
  if (!target) return undefined;
  if (name === undefined || name.startsWith('/')) return target;
  return `${target}/providers/microsoft.insights/diagnosticsettings/${name}`;
}
