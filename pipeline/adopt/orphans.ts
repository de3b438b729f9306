/** Resources in the environment's own resource groups that neither the stack nor the state contains. */

import { textAt } from '../../core/json.ts';
import { eachOf } from './survey.ts';
import type { State } from './terraform.ts';
import type { Values } from './types.ts';

export interface Orphan {
  readonly id: string;
  readonly type: string;
}

/** Resources that Azure creates together with another resource, and deletes with it. */
const companions: readonly RegExp[] = [
  // The network interface of a private endpoint, with a name from the stack or from Azure.
  /\/Microsoft\.Network\/networkInterfaces\/[^/]*(?:-nic|\.nic(?:\.[^/]+)?)$/i,
  // https://learn.microsoft.com/azure/azure-monitor/alerts/proactive-diagnostics
  /\/Microsoft\.Insights\/actionGroups\/Application Insights Smart Detection$/i,
  /\/Microsoft\.AlertsManagement\//i,
];

/** Children of servers that hold data or grant access. The list of a resource group does not contain them. */
const children: Readonly<Record<string, readonly string[]>> = {
  azurerm_postgresql_flexible_server: ['administrators', 'databases', 'firewallRules'],
};

/** Children that a replica has because its primary has them. */
const copied: ReadonlySet<string> = new Set(['administrators', 'databases']);

/** Databases of every server. */
const own = /\/databases\/(?:postgres|azure_maintenance|azure_sys)$/i;

/** @throws Fault (exit 2) if Azure does not answer */
export async function orphans(values: Values, state: State): Promise<readonly Orphan[]> {
  const claimed = await claimedIds(values, state);
  const found: Orphan[] = [];
  const look = async (path: string) => {
    for (const document of await values.azure.list(path)) {
      const id = textAt(document, 'id') ?? '';
      if (claimed.has(id.toLowerCase()) || own.test(id) || companions.some((one) => one.test(id))) continue;
      found.push({ id, type: textAt(document, 'type') ?? 'unknown' });
    }
  };
  const scopes = await ownScopes(values);
  await eachOf(scopes, look);
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

async function claimedIds(values: Values, state: State): Promise<ReadonlySet<string>> {
  const ids = new Set<string>();
  for (const { id } of state.resources.values()) if (id !== undefined) ids.add(id.toLowerCase());
  for (const resource of values.stack.resources.values()) {
    const id = await values.id(resource);
    if (id !== undefined) ids.add(id.toLowerCase());
  }
  return ids;
}

async function ownScopes(values: Values): Promise<string[]> {
  const scopes: string[] = [];
  for (const group of values.stack.ofType('azurerm_resource_group')) {
    const id = await values.id(group);
    if (id !== undefined) scopes.push(`${id}/resources`);
  }
  for (const [type, names] of Object.entries(children))
    for (const parent of values.stack.ofType(type)) {
      const id = await values.id(parent);
      if (id === undefined) continue;
      // Read from Azure, because a switchover exchanges the roles.
      const role = textAt(await values.azure.get(id), 'properties', 'replicationRole') ?? '';
      for (const name of names)
        if (!(role.endsWith('AsyncReplica') && copied.has(name))) scopes.push(`${id}/${name}`);
    }
  return scopes;
}
