import { describe, expect, it } from 'vitest';
import type { EnvironmentInput } from '../../../environments/settings.ts';
import type { Azure } from '../../../pipeline/adopt/azure.ts';
import { findInAzure, knownTypes, ruleOf, valuesOf } from '../../../pipeline/adopt/resource-types.ts';
import { Stack } from '../../../pipeline/adopt/stack.ts';
import { job } from '../../environments/refused/job.ts';
import { stackOf } from '../../stacks/stack.ts';

const subscription = '00000000-1111-4222-8333-444444444444';
const group = `/subscriptions/${subscription}/resourceGroups/comply-ai-production-rg`;
const recovery = `/subscriptions/${subscription}/resourceGroups/comply-ai-production-dr-rg`;
const server = `${group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-production`;
const replica = `${recovery}/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-replica-production`;
const vault = `${group}/providers/Microsoft.KeyVault/vaults/comply-ai-kv-production`;
const backups = `${group}/providers/Microsoft.DataProtection/backupVaults/llama-mapper-backup-production`;
const network = `${group}/providers/Microsoft.Network/virtualNetworks/comply-ai-vnet-production`;
const principal = '5f0c9d6e-1111-4aaa-8bbb-0123456789ab';

/**
 * One address of each type, and its import id as the provider's documentation has it
 * (https://registry.terraform.io/providers/hashicorp/azurerm/4.55.0/docs, "Import" of each resource).
 */
const expected: Readonly<Record<string, string>> = {
  'azurerm_resource_group.resource_group': group,
  'azurerm_resource_group.recovery_resource_group': recovery,
  'azurerm_user_assigned_identity.replica_identity': `${recovery}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/llama-mapper-replica-production-identity`,
  'azurerm_key_vault.key_vault': vault,
  'azurerm_log_analytics_workspace.log_analytics': `${group}/providers/Microsoft.OperationalInsights/workspaces/comply-ai-logs-production`,
  'azurerm_resource_group_template_deployment.field_encryption_key': `${group}/providers/Microsoft.Resources/deployments/key-vault-key-field-encryption`,
  'azurerm_virtual_network.network': network,
  'azurerm_subnet.endpoint_subnet': `${network}/subnets/llama-mapper-endpoints`,
  'azurerm_subnet_network_security_group_association.endpoint_subnet_association': `${network}/subnets/llama-mapper-endpoints`,
  'azurerm_virtual_network_peering.network_peering_back': `${recovery}/providers/Microsoft.Network/virtualNetworks/comply-ai-vnet-production-dr/virtualNetworkPeerings/to-eastus`,
  'azurerm_network_security_group.endpoint_subnet_rules': `${group}/providers/Microsoft.Network/networkSecurityGroups/comply-ai-vnet-production-llama-mapper-endpoints-nsg`,
  'azurerm_private_endpoint.server_endpoint': `${group}/providers/Microsoft.Network/privateEndpoints/llama-mapper-production-endpoint`,
  'azurerm_private_dns_zone.postgresql_zone': `${group}/providers/Microsoft.Network/privateDnsZones/privatelink.postgres.database.azure.com`,
  'azurerm_private_dns_zone_virtual_network_link.key_vault_zone_link-westus2': `${group}/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net/virtualNetworkLinks/comply-ai-vnet-production-dr`,
  'azurerm_postgresql_flexible_server.server': server,
  'azurerm_postgresql_flexible_server.replica': replica,
  'azurerm_postgresql_flexible_server_active_directory_administrator.server_administrators_c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01': `${server}/administrators/c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01`,
  'azurerm_postgresql_flexible_server_database.database': `${server}/databases/llama_mapper`,
  'azurerm_postgresql_flexible_server_configuration.replica_parameters_azure_extensions': `${replica}/configurations/azure.extensions`,
  'azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint': `${server}/virtualEndpoints/llama-mapper-endpoint-production|${replica}/virtualEndpoints/llama-mapper-endpoint-production`,
  'azurerm_monitor_action_group.action_group': `${group}/providers/Microsoft.Insights/actionGroups/llama-mapper-alerts-production`,
  'azurerm_monitor_metric_alert.key_vault_alerts_saturated': `${group}/providers/Microsoft.Insights/metricAlerts/comply-ai-kv-production-saturated`,
  'azurerm_monitor_activity_log_alert.activity_alerts_server-deleted': `${group}/providers/Microsoft.Insights/activityLogAlerts/llama-mapper-production-server-deleted`,
  'azurerm_monitor_scheduled_query_rules_alert_v2.log_alerts_role-changed': `${group}/providers/Microsoft.Insights/scheduledQueryRules/llama-mapper-production-role-changed`,
  'azurerm_monitor_diagnostic_setting.key_vault_diagnostics': `${vault}|log-analytics`,
  'azurerm_management_lock.deletion_lock_replica': `${replica}/providers/Microsoft.Authorization/locks/do-not-delete`,
  'azurerm_role_assignment.field_encryption_key_c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d02': `${vault}/keys/field-encryption/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001`,
  'azurerm_role_assignment.long_term_backup_reader': `${group}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000002`,
  'azurerm_container_app_environment.post_deploy_job_environment': `${group}/providers/Microsoft.App/managedEnvironments/post-deploy-environment`,
  'azurerm_container_app_job.post_deploy_job': `${group}/providers/Microsoft.App/jobs/post-deploy`,
  'azurerm_consumption_budget_resource_group.budget': `${group}/providers/Microsoft.Consumption/budgets/llama-mapper-budget-production`,
  'azurerm_data_protection_backup_vault.long_term_backup_vault': backups,
  'azurerm_data_protection_backup_policy_postgresql_flexible_server.long_term_backup_policy': `${backups}/backupPolicies/llama-mapper-production-weekly-4b03107d`,
  'azurerm_data_protection_backup_instance_postgresql_flexible_server.long_term_backup_instance': `${backups}/backupInstances/llama-mapper-production-weekly`,
};

/** An Azure that has everything it is asked for, and answers ids in capitals, as some of its services do. */
const generous: Azure = {
  subscriptionId: subscription,
  get: async (path) => ({
    id: path.toUpperCase(),
    identity: { principalId: principal },
    properties: { networkSecurityGroup: { id: 'one' }, provisioningState: 'Succeeded' },
  }),
  list: async (path) => {
    const scope = path.replace(/\/providers\/Microsoft\.Authorization\/role\w+$/, '');
    if (path.endsWith('/roleDefinitions')) return [{ id: '/roleDefinitions/role' }];
    const at = (name: string, principalId: string, where = scope, role = 'role') => ({
      id: `${where}/PROVIDERS/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-00000000000${name}`,
      properties: { scope: where.toUpperCase(), principalId, roleDefinitionId: `/ROLEDEFINITIONS/${role}` },
    });
    return [
      // Inherited, another role, another principal: none of them is the one.
      at('7', principal, `/subscriptions/${subscription}`),
      at('8', principal, scope, 'another'),
      at('9', 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5dff'),
      at('1', 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d02'),
      at('2', principal),
    ];
  },
  blob: () => Promise.reject(new Error('no blob is asked for')),
};

const withJob = (input: EnvironmentInput) => {
  input.postDeployJob = job('10.30.9.0/27');
};

const variants: Readonly<
  Record<string, readonly [Parameters<typeof stackOf>[0], (input: EnvironmentInput) => void]>
> = {
  development: ['development', () => undefined],
  staging: ['staging', () => undefined],
  production: ['production', () => undefined],
  'a post-deploy job': ['production', withJob],
  'a public server': [
    'development',
    (input) => {
      const allowedRanges = [{ name: 'office', start: '20.50.10.8', end: '20.50.10.15' }];
      input.network = { mode: 'public', primary: input.network.primary, allowedRanges };
    },
  ],
};

describe('import ids', () => {
  it.for(Object.entries(variants))('are known for every resource type of %s', ([, [name, change]]) => {
    const stack = new Stack('', stackOf(name, change).text);
    const types = [...new Set([...stack.resources.values()].map(({ type }) => type))];
    expect(types.length).toBeGreaterThan(15);
    expect(types.filter((type) => !knownTypes().includes(type))).toEqual([]);
  });

  it("of every type are compared with the provider's spelling here", () => {
    const compared = new Set(Object.keys(expected).map((address) => address.split('.')[0]));
    const elsewhere = ['terraform_data', 'azurerm_postgresql_flexible_server_firewall_rule'];
    expect(knownTypes().filter((type) => !compared.has(type) && !elsewhere.includes(type))).toEqual([]);
  });

  it.for(Object.entries(expected))('%s', async ([address, id]) => {
    const stack = new Stack('', stackOf('production', withJob).text);
    const resource = stack.at(address);
    if (!resource) throw new Error(`production has no ${address}`);
    const found = await findInAzure(resource, valuesOf(stack, generous));
    expect(found?.importId).toBe(id);
  });

  it('of a firewall rule', async () => {
    const [name, change] = variants['a public server'] ?? [];
    if (name === undefined) throw new Error('not as expected');
    const stack = new Stack('', stackOf(name, change).text);
    const [rule] = stack.ofType('azurerm_postgresql_flexible_server_firewall_rule');
    if (!rule) throw new Error('not as expected');
    const found = await findInAzure(rule, valuesOf(stack, generous));
    expect(found?.importId).toMatch(/\/flexibleServers\/llama-mapper-development\/firewallRules\/office$/);
  });

  it('are refused for a type without a rule, with a remedy', () => {
    expect(() => ruleOf('azurerm_kubernetes_cluster')).toThrow(
      expect.objectContaining({
        code: 'adopt/unknown-resource-type',
        what: expect.stringContaining('azurerm_kubernetes_cluster'),
        remedy: expect.stringContaining('Import its resources by hand'),
      }),
    );
  });

  it('of resources with names from Azure are undefined until Azure has them', async () => {
    const stack = new Stack('', stackOf('production').text);
    const resource = stack.at('azurerm_role_assignment.long_term_backup_reader');
    if (!resource) throw new Error('not as expected');
    const empty: Azure = { ...generous, get: async () => undefined, list: async () => [] };
    expect(await findInAzure(resource, valuesOf(stack, empty))).toBeUndefined();
  });
});
