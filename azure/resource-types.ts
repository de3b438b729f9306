/**
 * The types of Azure resources that this project uses: API versions, the azurerm resource that manages the type, what a
 * deployment may do with it, and where a timeline draws it. A new type is added here once.
 *
 * Versions and names follow azurerm 4.55.0 and 4.81.0 (https://github.com/hashicorp/terraform-provider-azurerm, the `Importer` and
 * `Create` of each resource). Actions follow
 * https://learn.microsoft.com/azure/role-based-access-control/resource-provider-operations.
 */

import { typeOf } from './resource-id.ts';

/** How the arguments of an azurerm resource name it in Azure. */
export interface TerraformResource {
  /** `azurerm_subnet`. */
  readonly type: string;
  /** Argument with the id of the resource that it belongs to or extends. @default - the type stands in a resource group */
  readonly on?: string;
  /** Arguments with the name for each segment of the type. @default ['name'] */
  readonly named?: readonly string[];
}

export interface ResourceType {
  /** API versions. This project asks with the first; Azure's own clients speak the others. */
  readonly versions: readonly [string, ...string[]];
  /** @default - no stack contains the type under its own azurerm resource */
  readonly terraform?: TerraformResource;
  /** Actions that a deployment needs because of the type. @default - those of its parent cover it */
  readonly deployActions?: readonly string[];
  /** Whether only some environments have it: bootstrap gives the actions to those that do. @default false */
  readonly optional?: true;
  /** Lane of a timeline; without a group, the group is the server that the resource belongs to. @default - its parent's */
  readonly lane?: { readonly group?: string; readonly name: string };
}

const postgresql = '2025-08-01';
const network = '2025-01-01';
const privateDns = '2024-06-01';
const backup = ['2024-04-01', '2025-07-01'] as const;
const storage = '2023-05-01';
const containerApps = '2025-07-01';
const vaults = ['2023-02-01', '2023-07-01', '2026-02-01'] as const;
const identities = ['2024-11-30', '2023-01-31'] as const;

/** Actions that make up the whole of a type. */
const all = (type: string) => [`${type}/*`];

export const resourceTypes = {
  // Only with the setting postDeployJob.
  'Microsoft.App/jobs': {
    versions: [containerApps],
    terraform: { type: 'azurerm_container_app_job' },
    optional: true,
    deployActions: [
      // azurerm refreshes a job by its secrets too, of which this one has none.
      ...['delete', 'listSecrets/action', 'read', 'start/action', 'write'],
      // Azure names the reading of one execution and of a list, and the stop of one, unlike their paths.
      ...['execution/read', 'executions/read', 'stop/execution/action'],
    ].map((verb) => `Microsoft.App/jobs/${verb}`),
    lane: { group: 'Post-deploy job', name: 'job' },
  },
  'Microsoft.App/jobs/executions': { versions: [containerApps] },
  'Microsoft.App/locations': { versions: [containerApps] },
  'Microsoft.App/managedEnvironments': {
    versions: [containerApps],
    terraform: { type: 'azurerm_container_app_environment' },
    optional: true,
    deployActions: [
      ...['delete', 'join/action', 'read', 'write'].map(
        (verb) => `Microsoft.App/managedEnvironments/${verb}`,
      ),
      'Microsoft.App/locations/*/read',
      // The output of the job, read where it was written and not in the whole workspace.
      'Microsoft.Insights/logs/ContainerAppConsoleLogs/read',
      'Microsoft.Insights/logs/read',
    ],
    lane: { group: 'Post-deploy job', name: 'environment' },
  },

  'Microsoft.Authorization/locks': {
    versions: ['2020-05-01', '2016-09-01'],
    terraform: { type: 'azurerm_management_lock', on: 'scope' },
    deployActions: all('Microsoft.Authorization/locks'),
    lane: { group: 'Protection', name: 'locks' },
  },
  'Microsoft.Authorization/roleAssignments': {
    versions: ['2022-04-01'],
    deployActions: all('Microsoft.Authorization/roleAssignments'),
    lane: { group: 'Protection', name: 'role assignments' },
  },
  'Microsoft.Authorization/roleDefinitions': {
    versions: ['2022-04-01', '2022-05-01-preview'],
    deployActions: ['Microsoft.Authorization/*/read'],
  },

  'Microsoft.Consumption/budgets': {
    versions: ['2019-10-01'],
    terraform: { type: 'azurerm_consumption_budget_resource_group', on: 'resource_group_id' },
    deployActions: all('Microsoft.Consumption/budgets'),
    lane: { group: 'Monitoring', name: 'budget' },
  },

  'Microsoft.DataProtection/backupVaults': {
    versions: backup,
    terraform: { type: 'azurerm_data_protection_backup_vault' },
    deployActions: [
      ...all('Microsoft.DataProtection/backupVaults'),
      ...all('Microsoft.DataProtection/locations'),
    ],
    lane: { group: 'Protection', name: 'long-term backup' },
  },
  'Microsoft.DataProtection/backupVaults/backupPolicies': {
    versions: backup,
    terraform: { type: 'azurerm_data_protection_backup_policy_postgresql_flexible_server', on: 'vault_id' },
  },
  'Microsoft.DataProtection/backupVaults/backupInstances': {
    versions: backup,
    terraform: { type: 'azurerm_data_protection_backup_instance_postgresql_flexible_server', on: 'vault_id' },
  },

  'Microsoft.DBforPostgreSQL/flexibleServers': {
    versions: [postgresql],
    terraform: { type: 'azurerm_postgresql_flexible_server' },
    // Names are checked and operations followed outside the type.
    deployActions: ['Microsoft.DBforPostgreSQL/*'],
    lane: { name: 'server' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/administrators': {
    versions: [postgresql],
    terraform: {
      type: 'azurerm_postgresql_flexible_server_active_directory_administrator',
      named: ['server_name', 'object_id'],
    },
    lane: { name: 'administrators' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/backups': {
    versions: [postgresql],
    lane: { name: 'backups' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/configurations': {
    versions: [postgresql],
    terraform: { type: 'azurerm_postgresql_flexible_server_configuration', on: 'server_id' },
    lane: { name: 'parameters' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/databases': {
    versions: [postgresql],
    terraform: { type: 'azurerm_postgresql_flexible_server_database', on: 'server_id' },
    lane: { name: 'database' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/firewallRules': {
    versions: [postgresql],
    terraform: { type: 'azurerm_postgresql_flexible_server_firewall_rule', on: 'server_id' },
    lane: { name: 'firewall rules' },
  },
  'Microsoft.DBforPostgreSQL/flexibleServers/virtualEndpoints': {
    versions: [postgresql],
    terraform: { type: 'azurerm_postgresql_flexible_server_virtual_endpoint', on: 'source_server_id' },
    lane: { name: 'virtual endpoint' },
  },
  'Microsoft.DBforPostgreSQL/checkNameAvailability': { versions: [postgresql] },
  'Microsoft.DBforPostgreSQL/locations': { versions: [postgresql] },

  'Microsoft.Insights/actionGroups': {
    versions: ['2023-01-01', '2021-09-01'],
    terraform: { type: 'azurerm_monitor_action_group' },
    deployActions: all('Microsoft.Insights/actionGroups'),
    lane: { group: 'Monitoring', name: 'action group' },
  },
  'Microsoft.Insights/activityLogAlerts': {
    versions: ['2020-10-01', '2017-04-01'],
    terraform: { type: 'azurerm_monitor_activity_log_alert' },
    deployActions: all('Microsoft.Insights/activityLogAlerts'),
    lane: { group: 'Monitoring', name: 'activity alerts' },
  },
  'Microsoft.Insights/diagnosticSettings': {
    versions: ['2021-05-01-preview', '2017-05-01-preview'],
    terraform: { type: 'azurerm_monitor_diagnostic_setting', on: 'target_resource_id' },
    deployActions: all('Microsoft.Insights/diagnosticSettings'),
    lane: { group: 'Monitoring', name: 'diagnostic settings' },
  },
  // Logs of one resource, in whichever workspace they are.
  'Microsoft.Insights/logs': { versions: ['2018-03-01-preview'] },
  'Microsoft.Insights/metricAlerts': {
    versions: ['2018-03-01'],
    terraform: { type: 'azurerm_monitor_metric_alert' },
    deployActions: all('Microsoft.Insights/metricAlerts'),
    lane: { group: 'Monitoring', name: 'metric alerts' },
  },
  'Microsoft.Insights/metricDefinitions': { versions: ['2024-02-01', '2023-10-01', '2018-01-01'] },
  'Microsoft.Insights/metrics': { versions: ['2024-02-01', '2023-10-01', '2018-01-01'] },

  'Microsoft.Insights/scheduledQueryRules': {
    versions: ['2023-03-15-preview'],
    terraform: { type: 'azurerm_monitor_scheduled_query_rules_alert_v2' },
    deployActions: [
      ...all('Microsoft.Insights/scheduledQueryRules'),
      // A rule without an identity of its own queries with the rights of the identity that wrote it
      // (https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-create-log-alert-rule).
      'Microsoft.OperationalInsights/workspaces/query/read',
      'Microsoft.OperationalInsights/workspaces/query/PGSQLServerLogs/read',
    ],
    lane: { group: 'Monitoring', name: 'log alerts' },
  },

  'Microsoft.KeyVault/vaults': {
    versions: vaults,
    terraform: { type: 'azurerm_key_vault' },
    deployActions: [...all('Microsoft.KeyVault/locations'), ...all('Microsoft.KeyVault/vaults')],
    lane: { group: 'Key Vault', name: 'vault, key' },
  },
  // Created by a template (constructs/key-vault-key.ts).
  'Microsoft.KeyVault/vaults/keys': { versions: ['2023-07-01', '2023-02-01', '2024-11-01', '2025-05-01'] },
  'Microsoft.KeyVault/locations/deletedVaults': { versions: vaults },

  'Microsoft.ManagedIdentity/userAssignedIdentities': {
    versions: identities,
    terraform: { type: 'azurerm_user_assigned_identity' },
    // Not their federated credentials: with those it could sign in as any identity of the subscription.
    deployActions: ['assign/action', 'delete', 'read', 'write'].map(
      (verb) => `Microsoft.ManagedIdentity/userAssignedIdentities/${verb}`,
    ),
    lane: { group: 'Resource groups', name: 'identities' },
  },
  'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials': { versions: identities },

  // The address of a private endpoint is read from its interface.
  'Microsoft.Network/networkInterfaces': {
    versions: [network, '2024-05-01', '2023-11-01'],
    deployActions: ['Microsoft.Network/locations/*/read', 'Microsoft.Network/networkInterfaces/read'],
  },
  'Microsoft.Network/networkSecurityGroups': {
    versions: [network],
    terraform: { type: 'azurerm_network_security_group' },
    deployActions: all('Microsoft.Network/networkSecurityGroups'),
    lane: { group: 'Network', name: 'security groups' },
  },
  'Microsoft.Network/privateDnsZones': {
    versions: [privateDns],
    terraform: { type: 'azurerm_private_dns_zone' },
    deployActions: [
      'Microsoft.Network/privateDnsOperationResults/read',
      'Microsoft.Network/privateDnsOperationStatuses/read',
      ...all('Microsoft.Network/privateDnsZones'),
    ],
    lane: { group: 'Network', name: 'private DNS' },
  },
  'Microsoft.Network/privateDnsZones/A': { versions: [privateDns] },
  'Microsoft.Network/privateDnsZones/SOA': { versions: [privateDns] },
  'Microsoft.Network/privateDnsZones/virtualNetworkLinks': {
    versions: [privateDns],
    terraform: {
      type: 'azurerm_private_dns_zone_virtual_network_link',
      named: ['private_dns_zone_name', 'name'],
    },
  },
  'Microsoft.Network/privateEndpoints': {
    versions: [network],
    terraform: { type: 'azurerm_private_endpoint' },
    deployActions: all('Microsoft.Network/privateEndpoints'),
    lane: { group: 'Network', name: 'private endpoints' },
  },
  'Microsoft.Network/privateEndpoints/privateDnsZoneGroups': { versions: [network] },
  'Microsoft.Network/virtualNetworks': {
    versions: [network],
    terraform: { type: 'azurerm_virtual_network' },
    deployActions: all('Microsoft.Network/virtualNetworks'),
    lane: { group: 'Network', name: 'networks, subnets' },
  },
  'Microsoft.Network/virtualNetworks/subnets': {
    versions: [network],
    terraform: { type: 'azurerm_subnet', named: ['virtual_network_name', 'name'] },
  },
  'Microsoft.Network/virtualNetworks/virtualNetworkPeerings': {
    versions: [network],
    terraform: { type: 'azurerm_virtual_network_peering', named: ['virtual_network_name', 'name'] },
  },

  'Microsoft.OperationalInsights/deletedWorkspaces': {
    versions: ['2023-09-01'],
    deployActions: ['Microsoft.OperationalInsights/deletedWorkspaces/read'],
  },
  'Microsoft.OperationalInsights/workspaces': {
    versions: ['2022-10-01', '2020-08-01', '2023-09-01'],
    terraform: { type: 'azurerm_log_analytics_workspace' },
    deployActions: [
      'Microsoft.OperationalInsights/locations/operationStatuses/read',
      // Azure demands it of an identity that sends the logs of a resource to the workspace
      // (https://learn.microsoft.com/azure/azure-monitor/logs/manage-access).
      'Microsoft.OperationalInsights/workspaces/sharedKeys/action',
      ...['delete', 'read', 'write'].map((verb) => `Microsoft.OperationalInsights/workspaces/${verb}`),
    ],
    lane: { group: 'Monitoring', name: 'workspace' },
  },

  'Microsoft.Resources/deployments': {
    versions: ['2023-07-01', '2020-06-01', '2022-09-01', '2025-03-01', '2025-04-01'],
    terraform: { type: 'azurerm_resource_group_template_deployment' },
    deployActions: all('Microsoft.Resources/deployments'),
    lane: { group: 'Key Vault', name: 'vault, key' },
  },
  'Microsoft.Resources/resourceGroups': {
    versions: ['2023-07-01', '2020-06-01', '2018-05-01'],
    terraform: { type: 'azurerm_resource_group' },
    deployActions: all('Microsoft.Resources/subscriptions/resourceGroups'),
    lane: { group: 'Resource groups', name: 'groups' },
  },
  // The deletion of a group is followed there.
  'Microsoft.Resources/subscriptions': {
    versions: ['2022-12-01', '2021-01-01'],
    deployActions: [
      'Microsoft.Resources/subscriptions/read',
      'Microsoft.Resources/subscriptions/operationresults/read',
    ],
  },
  // azurerm lists them before anything else.
  'Microsoft.Resources/subscriptions/providers': {
    versions: ['2022-09-01', '2025-03-01'],
    deployActions: ['Microsoft.Resources/subscriptions/providers/read'],
  },
  // Each plan lists what exists, and azurerm finds vaults there.
  'Microsoft.Resources/subscriptions/resources': {
    versions: ['2023-07-01', '2020-06-01', '2015-11-01'],
    deployActions: ['Microsoft.Resources/subscriptions/resources/read'],
  },

  // Made by bootstrap/ for the state; no stack touches them.
  'Microsoft.Storage/storageAccounts': { versions: [storage] },
  'Microsoft.Storage/storageAccounts/blobServices': { versions: [storage] },
  'Microsoft.Storage/storageAccounts/blobServices/containers': { versions: [storage] },
} as const satisfies Readonly<Record<string, ResourceType>>;

export type ResourceTypeName = keyof typeof resourceTypes;

const table: Readonly<Record<string, ResourceType>> = resourceTypes;
const byLowerCase = new Map(Object.entries(table).map(([type, facts]) => [type.toLowerCase(), facts]));

/**
 * What is known of a type, or of the nearest type above it: an action on a resource reads like one of its children.
 *
 * @param type as `typeOf` of resource-id.ts gives it, in any case
 */
export function nearestResourceType(type: string): ResourceType | undefined {
  for (let name = type.toLowerCase(); name.includes('/'); name = name.slice(0, name.lastIndexOf('/'))) {
    const found = byLowerCase.get(name);
    if (found) return found;
  }
  return undefined;
}

/** The version that this project asks with. */
export function apiVersionOf(type: ResourceTypeName): string {
  return resourceTypes[type].versions[0];
}

/**
 * The version that this project asks with for the resource, list or action at a path.
 *
 * @throws Error for a type that is not in the table
 */
export function versionFor(path: string): string {
  const found = nearestResourceType(typeOf(path));
  if (!found) throw new Error(`azure/resource-types.ts has no API version for ${path}`);
  return found.versions[0];
}

/** Every version that is spoken of a type. */
export function versionsOf(type: ResourceTypeName): readonly string[] {
  return resourceTypes[type].versions;
}

/** Resource providers, `Microsoft.Network`, in alphabetical order. */
export const namespaces: readonly string[] = [
  ...new Set(Object.keys(table).map((type) => type.slice(0, type.indexOf('/')))),
].sort();

/** Of the post-deploy job alone. */
export const jobNamespace = 'Microsoft.App';

function actionsOf(types: readonly ResourceType[]): readonly string[] {
  return [...new Set(types.flatMap((facts) => facts.deployActions ?? []))].sort();
}

/** All actions that applying every stack needs, each once, in alphabetical order. */
export const deployActions = actionsOf(Object.values(table).filter(({ optional }) => !optional));

/** Actions that the post-deploy job needs beside them. */
export const jobActions = actionsOf(Object.values(table).filter(({ optional }) => optional));
