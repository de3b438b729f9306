/** Compares the resources in Azure with those in the Terraform state. */

import { resourceGroupOf } from '../../azure/resource-id.ts';
import { textAt } from '../../core/json.ts';
import type { LocalAzure } from '../../local/azure/index.ts';
import type { Operation } from './operations.ts';

export interface Difference {
  /** Azure ids of resources that the state does not have. */
  readonly missingFromState: readonly string[];
  /** Ids in the state whose resource Azure does not have. */
  readonly missingFromAzure: readonly string[];
}

/**
 * Resources that Terraform does not manage: Azure creates them beside another resource, or a managed resource creates
 * them (a template's key, an endpoint's records).
 */
const companions: readonly RegExp[] = [
  /\/networkInterfaces\/[^/]+$/i,
  /\/privateDnsZoneGroups\/[^/]+$/i,
  /\/privateDnsZones\/[^/]+\/(?:A|SOA)\/[^/]+$/i,
  /\/vaults\/[^/]+\/keys\/[^/]+$/i,
  /\/privateEndpointConnections\/[^/]+$/i,
  /\/flexibleServers\/[^/]+\/(?:backups|configurations|databases\/(?:postgres|azure_maintenance|azure_sys))(?:\/|$)/i,
];

interface StateInstance {
  readonly status?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

export interface StateDocument {
  readonly resources?: readonly {
    readonly mode: string;
    readonly type: string;
    readonly name: string;
    readonly instances: readonly StateInstance[];
  }[];
}

/** Azure ids in a state, by address. A provider id of two resources gives two. */
export function idsIn(state: StateDocument): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const { mode, type, name, instances } of state.resources ?? []) {
    const id = instances[0]?.attributes?.['id'];
    if (mode !== 'managed' || type === 'terraform_data' || typeof id !== 'string') continue;
    found.set(`${type}.${name}`, idsOf(type, id));
  }
  return found;
}

/** The Azure ids in a provider id. */
export function idsOf(type: string, id: string): readonly string[] {
  const [first = '', second = ''] = id.split('|');
  if (type === 'azurerm_monitor_diagnostic_setting')
    return [`${first}/providers/Microsoft.Insights/diagnosticSettings/${second}`];
  // A virtual endpoint has two ids, one per server; Azure stores it under the first.
  return [first];
}

/** Address of the resource that an operation belongs to; undefined if the state does not have it. */
export function addressOf({ target, key }: Operation, state: StateDocument): string | undefined {
  const instances = (state.resources ?? []).flatMap(({ mode, type, name, instances: [instance] }) =>
    mode === 'managed' && instance ? [{ address: `${type}.${name}`, type, ...instance.attributes }] : [],
  );
  if (/\/roleAssignments\//i.test(target)) {
    const scope = target.replace(/\/providers\/Microsoft\.Authorization\/roleAssignments\/[^/]+$/i, '');
    return instances.find(
      (one) => Reflect.get(one, 'scope') === scope && key.endsWith(`/${Reflect.get(one, 'principal_id')}`),
    )?.address;
  }
  const association = key.endsWith('(security group)');
  const isAssociation = (address: string) =>
    address.startsWith('azurerm_subnet_network_security_group_association.');
  let best: { readonly address: string; readonly length: number } | undefined;
  for (const [address, ids] of idsIn(state))
    for (const id of ids) {
      const within = `${target}/`.toLowerCase().startsWith(`${id}/`.toLowerCase());
      if (!within || id.length <= (best?.length ?? 0) || isAssociation(address) !== association) continue;
      best = { address, length: id.length };
    }
  return best?.address;
}

/** Lists the differences between Azure and a Terraform state. */
export function compare(azure: LocalAzure, state: StateDocument): Difference {
  const known = idsIn(state);
  const stated = new Set([...known.values()].flat().map((id) => id.toLowerCase()));
  // Roles on the subscription are not the environment's.
  const there = azure.state
    .list()
    .map(({ id }) => id)
    .filter((id) => resourceGroupOf(id) !== undefined);
  const exists = new Set(there.map((id) => id.toLowerCase()));
  const replicas = azure.state
    .list()
    .filter(({ body }) => /AsyncReplica$/.test(textAt(body, 'properties', 'replicationRole') ?? ''));
  // A replica shows the administrators and databases of its primary.
  const isCopy = (id: string) =>
    replicas.some((replica) => id.toLowerCase().startsWith(`${replica.id.toLowerCase()}/`)) &&
    /\/(?:administrators|databases)\/[^/]+$/i.test(id);
  return {
    missingFromState: there.filter(
      (id) => !stated.has(id.toLowerCase()) && !companions.some((one) => one.test(id)) && !isCopy(id),
    ),
    missingFromAzure: [...known]
      // Azure has every parameter as a resource from the start; the local Azure has it once it was set.
      .filter(([address]) => !address.startsWith('azurerm_postgresql_flexible_server_configuration.'))
      .flatMap(([, ids]) => ids.filter((id) => !exists.has(id.toLowerCase()))),
  };
}
