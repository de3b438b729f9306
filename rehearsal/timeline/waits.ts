/** Where azurerm 4.55.0 waits because its code says so, whatever Azure answers, and how long that is all there is. */
import type { OperationRecord } from '../azure/index.ts';
import type { ResourceRun } from '../terraform/stack.ts';

/** Milliseconds since the epoch. */
export interface Interval {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Shorter than this, waiting is the network's and nobody's rule; in milliseconds. */
const shortestWait = 1500;

/** Read in internal/services/<service>/<resource>.go of the provider's version 4.55.0. */
const rules: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  azurerm_resource_group: {
    create: 'three looks, 10 s apart, whether the group is there',
    delete: 'looks every 10 s whether the group is gone',
  },
  azurerm_monitor_metric_alert: { create: 'ten looks, 15 s apart, whether the alert is there' },
  azurerm_management_lock: {
    create: 'twelve looks, 10 s apart, whether the lock is there',
    delete: 'twelve looks, 10 s apart, whether the lock is gone',
  },
  azurerm_monitor_diagnostic_setting: {
    create: 'three looks, 5 s apart, whether the setting is there',
    delete: 'five looks, 15 s apart, whether the setting is gone',
  },
  azurerm_role_assignment: { create: 'five looks, 5 s apart, whether the assignment is there' },
  azurerm_key_vault: { create: '30 s, then ten looks, 10 s apart, whether a public vault answers' },
};

/** What the provider does, or undefined for a wait that no rule of its own explains. */
export function hardCodedWait(type: string, action: string): string | undefined {
  return rules[type]?.[action];
}

/** When hard-coded waits were all that an apply did: at least one, and every other resource in one as well. */
export function providerOnly(
  resources: readonly ResourceRun[],
  operations: readonly OperationRecord[],
): Interval[] {
  // Each change of what is going on: how many resources work, how many of them only wait.
  const changes: { at: number; working: number; waiting: number }[] = [];
  for (const resource of resources) {
    const type = resource.address.split('.')[0] ?? '';
    const wait =
      hardCodedWait(type, resource.action) === undefined ? undefined : waitOf(resource, operations);
    changes.push({ at: resource.startedAt, working: 1, waiting: 0 });
    if (wait) changes.push({ at: wait.startedAt, working: -1, waiting: 1 });
    changes.push({ at: resource.endedAt, working: wait ? 0 : -1, waiting: wait ? -1 : 0 });
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
 * From a resource's last operation to when the provider believed that it was done.
 *
 * @returns undefined when there was no operation, or the provider was done soon after it
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
      startedAt >= resource.startedAt - 1000 &&
      startedAt <= resource.endedAt + 1000,
  );
  const last = own.at(-1);
  const startedAt = Math.max(...own.map(({ endedAt }) => endedAt ?? 0), 0);
  if (!last || resource.endedAt - startedAt < shortestWait) return undefined;
  return { startedAt, endedAt: resource.endedAt, target: last.target };
}

/** The provider's ids of settings on another resource are two joined by a bar. */
function armId(id: string | undefined): string | undefined {
  const [target, name] = (id ?? '').toLowerCase().split('|');
  if (!target) return undefined;
  if (name === undefined || name.startsWith('/')) return target;
  return `${target}/providers/microsoft.insights/diagnosticsettings/${name}`;
}
