/**
 * Every resource type the stacks are made of: its id in Azure, and the id under which azurerm 4.55.0 imports it, which
 * is spelled exactly as the provider spells it (it refuses other cases of the fixed segments). Each rule is the
 * `Importer` and the `Create` of that resource in https://github.com/hashicorp/terraform-provider-azurerm (v4.55.0);
 * the API versions are the ones it asks with.
 */
import { Fault } from '../../core/fault.ts';
import type { JsonObject } from '../../core/json.ts';
import { textAt } from '../../core/json.ts';
import type { Values } from './expressions.ts';
import { findRoleAssignment } from './role-assignments.ts';
import type { StackResource } from './stack.ts';

/** A resource of the stack that Azure has. */
export interface Existing {
  /** Azure's id of the resource itself. */
  readonly id: string;
  /** What `terraform import` is given. */
  readonly importId: string;
  readonly document: JsonObject;
}

interface ResourceType {
  readonly apiVersion: string;
  /** Azure id from the arguments; undefined while one of them is not known. */
  readonly id: (resource: StackResource, values: Values) => Promise<string | undefined>;
  /** @default - the Azure id */
  readonly importId?: (id: string, resource: StackResource, values: Values) => Promise<string | undefined>;
  /** Whether the document says that this resource is there. @default - it is, because there is a document */
  readonly isThere?: (document: JsonObject) => boolean;
  /** Finds a resource whose id Azure chose. @default - asks for the id */
  readonly find?: (resource: StackResource, values: Values) => Promise<Existing | undefined>;
  /**
   * `again`: creating it a second time is not refused and has the same result, so that nothing needs importing.
   * @default 'import'
   */
  readonly adoption?: 'import' | 'again';
}

const network = '2025-01-01';
const dns = '2024-06-01';
const postgresql = '2025-08-01';
const backup = '2024-04-01';

/** @throws Fault (exit 2) for a type that is not in the table below */
export function resourceType(type: string): ResourceType {
  const found = types[type];
  if (found) return found;
  throw new Fault(
    'resource-types/1',
    `${type} cannot be looked for in Azure`,
    'its import id is not known here',
    'Import its resources by hand, and add the type to pipeline/adopt/resource-types.ts.',
    { exitCode: 2 },
  );
}

/** Types that have a rule here. */
export const knownTypes = (): readonly string[] => Object.keys(types);

export function apiVersionOf(type: string): string {
  return resourceType(type).apiVersion;
}

export function idOf(resource: StackResource, values: Values): Promise<string | undefined> {
  return resourceType(resource.type).id(resource, values);
}

/**
 * @returns undefined when Azure does not have it
 * @throws Fault (exit 2) when Azure does not say
 */
export async function findInAzure(resource: StackResource, values: Values): Promise<Existing | undefined> {
  const type = resourceType(resource.type);
  if (type.find) return type.find(resource, values);
  const id = await values.id(resource);
  if (id === undefined) return undefined;
  const document = await values.azure.get(id, type.apiVersion);
  if (!document || type.isThere?.(document) === false) return undefined;
  const importId = type.importId ? await type.importId(id, resource, values) : id;
  return importId === undefined ? undefined : { id, importId, document };
}

/** `/subscriptions/…/resourceGroups/<group>/providers/<type>/<name>`. */
function inGroup(type: string, apiVersion: string): ResourceType {
  return {
    apiVersion,
    id: async (resource, values) =>
      joined([
        await groupId(resource, values, 'resource_group_name'),
        'providers',
        type,
        await values.argument(resource, 'name'),
      ]),
  };
}

/** A child of a resource that is named by two arguments: its group, and its own name. */
function below(type: string, parent: string, child: string, apiVersion: string, name = 'name'): ResourceType {
  return {
    apiVersion,
    id: async (resource, values) =>
      joined([
        await groupId(resource, values, 'resource_group_name'),
        'providers',
        type,
        await values.argument(resource, parent),
        child,
        await values.argument(resource, name),
      ]),
  };
}

/** Something below, or attached to, the resource whose id an argument holds. */
function under(parent: string, path: string, apiVersion: string): ResourceType {
  return {
    apiVersion,
    id: async (resource, values) =>
      joined([await values.argument(resource, parent), path, await values.argument(resource, 'name')]),
  };
}

async function groupId(
  resource: StackResource,
  values: Values,
  argument: string,
): Promise<string | undefined> {
  const group = await values.argument(resource, argument);
  return group && `/subscriptions/${values.azure.subscriptionId}/resourceGroups/${group}`;
}

function joined(parts: readonly (string | undefined)[], separator = '/'): string | undefined {
  return parts.includes(undefined) ? undefined : parts.join(separator);
}

/** Its id is two in one, the first server's and the second's, and a switchover moves it from one to the other. */
async function findVirtualEndpoint(resource: StackResource, values: Values): Promise<Existing | undefined> {
  const name = await values.argument(resource, 'name');
  const ids: string[] = [];
  for (const argument of ['source_server_id', 'replica_server_id']) {
    const server = await values.argument(resource, argument);
    if (server === undefined || name === undefined) return undefined;
    ids.push(`${server}/virtualEndpoints/${name}`);
  }
  for (const id of ids) {
    const document = await values.azure.get(id, postgresql);
    if (document) return { id, importId: ids.join('|'), document };
  }
  return undefined;
}

const virtualNetworks = 'Microsoft.Network/virtualNetworks';

const types: Readonly<Record<string, ResourceType>> = {
  azurerm_resource_group: {
    apiVersion: '2023-07-01',
    id: (resource, values) => groupId(resource, values, 'name'),
  },
  azurerm_user_assigned_identity: inGroup('Microsoft.ManagedIdentity/userAssignedIdentities', '2024-11-30'),
  azurerm_key_vault: inGroup('Microsoft.KeyVault/vaults', '2023-02-01'),
  azurerm_log_analytics_workspace: inGroup('Microsoft.OperationalInsights/workspaces', '2022-10-01'),
  azurerm_resource_group_template_deployment: inGroup('Microsoft.Resources/deployments', '2023-07-01'),

  azurerm_virtual_network: inGroup(virtualNetworks, network),
  azurerm_subnet: below(virtualNetworks, 'virtual_network_name', 'subnets', network),
  azurerm_virtual_network_peering: below(
    virtualNetworks,
    'virtual_network_name',
    'virtualNetworkPeerings',
    network,
  ),
  azurerm_network_security_group: inGroup('Microsoft.Network/networkSecurityGroups', network),
  // It is no resource of Azure's but a property of the subnet, and goes under the subnet's id.
  azurerm_subnet_network_security_group_association: {
    apiVersion: network,
    id: (resource, values) => values.argument(resource, 'subnet_id'),
    isThere: (subnet) => textAt(subnet, 'properties', 'networkSecurityGroup', 'id') !== undefined,
  },
  azurerm_private_endpoint: inGroup('Microsoft.Network/privateEndpoints', network),
  azurerm_private_dns_zone: inGroup('Microsoft.Network/privateDnsZones', dns),
  azurerm_private_dns_zone_virtual_network_link: below(
    'Microsoft.Network/privateDnsZones',
    'private_dns_zone_name',
    'virtualNetworkLinks',
    dns,
  ),

  azurerm_postgresql_flexible_server: inGroup('Microsoft.DBforPostgreSQL/flexibleServers', postgresql),
  azurerm_postgresql_flexible_server_active_directory_administrator: below(
    'Microsoft.DBforPostgreSQL/flexibleServers',
    'server_name',
    'administrators',
    postgresql,
    'object_id',
  ),
  azurerm_postgresql_flexible_server_database: under('server_id', 'databases', postgresql),
  azurerm_postgresql_flexible_server_firewall_rule: under('server_id', 'firewallRules', postgresql),
  // A server has every parameter from its first day, and the provider sets one without looking.
  azurerm_postgresql_flexible_server_configuration: {
    ...under('server_id', 'configurations', postgresql),
    adoption: 'again',
  },
  azurerm_postgresql_flexible_server_virtual_endpoint: {
    ...under('source_server_id', 'virtualEndpoints', postgresql),
    find: findVirtualEndpoint,
  },

  azurerm_monitor_action_group: inGroup('Microsoft.Insights/actionGroups', '2023-01-01'),
  azurerm_monitor_metric_alert: inGroup('Microsoft.Insights/metricAlerts', '2018-03-01'),
  azurerm_monitor_activity_log_alert: inGroup('Microsoft.Insights/activityLogAlerts', '2020-10-01'),
  azurerm_monitor_diagnostic_setting: {
    ...under('target_resource_id', 'providers/Microsoft.Insights/diagnosticSettings', '2021-05-01-preview'),
    importId: async (_id, resource, values) =>
      joined(
        [await values.argument(resource, 'target_resource_id'), await values.argument(resource, 'name')],
        '|',
      ),
  },

  azurerm_management_lock: under('scope', 'providers/Microsoft.Authorization/locks', '2020-05-01'),
  azurerm_role_assignment: {
    apiVersion: '2022-04-01',
    id: async () => undefined,
    find: findRoleAssignment,
  },
  azurerm_consumption_budget_resource_group: under(
    'resource_group_id',
    'providers/Microsoft.Consumption/budgets',
    '2019-10-01',
  ),

  azurerm_data_protection_backup_vault: inGroup('Microsoft.DataProtection/backupVaults', backup),
  azurerm_data_protection_backup_policy_postgresql_flexible_server: under(
    'vault_id',
    'backupPolicies',
    backup,
  ),
  azurerm_data_protection_backup_instance_postgresql_flexible_server: under(
    'vault_id',
    'backupInstances',
    backup,
  ),

  // Terraform's own: there is nothing of it anywhere else, and the next deployment makes it again.
  terraform_data: { apiVersion: '', id: async () => undefined, adoption: 'again' },
};
