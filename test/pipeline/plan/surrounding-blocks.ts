/** Resources around a server, as a configuration has them and as azurerm reads them. */
import { type Block, group } from './shapes.ts';

export const scope = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/${group}`;
export const in_ = { resource_group_name: group };
export const located = { ...in_, location: 'eastus' };
const tenant = '9d2ac018-e843-4e14-9e2b-4e0ddac75450';
const idOf = (provider: string, kind: string) => (name: string) =>
  `${scope}/providers/Microsoft.${provider}/${kind}/${name}`;

/** Ids by type, of the name. */
export const ids: Readonly<Record<string, (name: string) => string>> = {
  key_vault: idOf('KeyVault', 'vaults'),
  virtual_network: idOf('Network', 'virtualNetworks'),
  virtual_network_peering: idOf('Network', 'virtualNetworks/n/virtualNetworkPeerings'),
  network_security_group: idOf('Network', 'networkSecurityGroups'),
  network_security_rule: idOf('Network', 'networkSecurityGroups/g/securityRules'),
  route: idOf('Network', 'routeTables/t/routes'),
  private_endpoint: idOf('Network', 'privateEndpoints'),
  private_dns_a_record: idOf('Network', 'privateDnsZones/z.example/A'),
  log_analytics_workspace: idOf('OperationalInsights', 'workspaces'),
  monitor_diagnostic_setting: (name) => `${idOf('KeyVault', 'vaults')('vault')}|${name}`,
  monitor_metric_alert: idOf('Insights', 'metricAlerts'),
  monitor_action_group: idOf('Insights', 'actionGroups'),
  data_protection_backup_vault: idOf('DataProtection', 'backupVaults'),
  data_protection_backup_policy_postgresql_flexible_server: idOf(
    'DataProtection',
    'backupVaults/backups/backupPolicies',
  ),
  data_protection_backup_instance_postgresql_flexible_server: idOf(
    'DataProtection',
    'backupVaults/backups/backupInstances',
  ),
  consumption_budget_resource_group: idOf('Consumption', 'budgets'),
  container_app_job: idOf('App', 'jobs'),
  postgresql_flexible_server: idOf('DBforPostgreSQL', 'flexibleServers'),
  container_app_environment: idOf('App', 'managedEnvironments'),
  role_assignment: (name) => `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`,
  management_lock: (name) => `${scope}/providers/Microsoft.Authorization/locks/${name}`,
  key_vault_access_policy: (name) => `${idOf('KeyVault', 'vaults')('vault')}/objectId/${name}`,
};

/** Versions of their schemas, by type: terraform providers schema -json. */
export const versions: Readonly<Record<string, number>> = {
  key_vault: 2,
  log_analytics_workspace: 3,
  monitor_metric_alert: 1,
  monitor_action_group: 1,
};

/** Values that azurerm reads from Azure beside the arguments, by type. Without them a plan has it known only after the apply. */
export const read: Readonly<Record<string, Block>> = {
  key_vault: { access_policy: [], vault_uri: 'https://vault.vault.azure.net/' },
  virtual_network: {
    dns_servers: [],
    subnet: [],
    guid: 'g',
    private_endpoint_vnet_policies: 'Disabled',
  },
  log_analytics_workspace: {
    primary_shared_key: 'first',
    secondary_shared_key: 'second',
    workspace_id: 'w',
    allow_resource_only_permissions: true,
    local_authentication_enabled: true,
    local_authentication_disabled: false,
  },
  monitor_metric_alert: {
    enabled: true,
    auto_mitigate: true,
    frequency: 'PT1M',
    window_size: 'PT5M',
    severity: 3,
  },
  private_endpoint: { custom_dns_configs: [], network_interface: [], private_dns_zone_configs: [] },
  monitor_action_group: { enabled: true, location: 'global' },
  data_protection_backup_instance_postgresql_flexible_server: { protection_state: 'ProtectionConfigured' },
  consumption_budget_resource_group: { etag: '"1"' },
  postgresql_flexible_server: {
    fqdn: 'encrypted.postgres.database.azure.com',
    administrator_login: '',
    auto_grow_enabled: false,
    geo_redundant_backup_enabled: false,
    private_dns_zone_id: '',
  },
  container_app_job: { event_stream_endpoint: '', outbound_ip_addresses: [] },
};

export const vault = {
  ...located,
  name: 'vault',
  sku_name: 'premium',
  tenant_id: tenant,
  purge_protection_enabled: true,
  rbac_authorization_enabled: true,
  public_network_access_enabled: false,
  soft_delete_retention_days: 90,
  network_acls: [
    {
      default_action: 'Deny',
      bypass: 'AzureServices',
      ip_rules: ['20.50.10.8'],
      virtual_network_subnet_ids: [],
    },
  ],
};
export const acls = (more: Block) => ({ ...vault, network_acls: [{ ...vault.network_acls[0], ...more }] });
export const rule = {
  ...in_,
  name: 'r',
  network_security_group_name: 'g',
  priority: 100,
  direction: 'Inbound',
  access: 'Deny',
  protocol: 'Tcp',
  source_port_range: '*',
  destination_port_range: '5432',
  source_address_prefix: '*',
  destination_address_prefix: '*',
};
export const network = { ...located, name: 'n', address_space: ['10.0.0.0/16'] };
export const peering = {
  ...in_,
  name: 'p',
  virtual_network_name: 'n',
  remote_virtual_network_id: ids['virtual_network']?.('other') ?? '',
  allow_virtual_network_access: true,
};
export const route = {
  ...in_,
  name: 'r',
  route_table_name: 't',
  address_prefix: '10.9.0.0/16',
  next_hop_type: 'VnetLocal',
};
export const workspace = {
  ...located,
  name: 'workspace',
  sku: 'PerGB2018',
  retention_in_days: 365,
  daily_quota_gb: 5,
  internet_query_enabled: false,
  internet_ingestion_enabled: false,
};
export const log = (category: string) => ({ category });
export const diagnostics = {
  name: 'd',
  target_resource_id: ids['key_vault']?.('vault') ?? '',
  log_analytics_workspace_id: ids['log_analytics_workspace']?.('workspace') ?? '',
  enabled_log: [log('AuditEvent'), log('AzurePolicyEvaluationDetails')],
};
export const alert = {
  ...in_,
  name: 'a',
  scopes: [scope],
  target_resource_type: 'Microsoft.DBforPostgreSQL/flexibleServers',
  target_resource_location: 'eastus',
  criteria: [
    {
      metric_namespace: 'Microsoft.DBforPostgreSQL/flexibleServers',
      metric_name: 'cpu_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 80,
      skip_metric_validation: false,
    },
  ],
};
export const criteria = (more: Block) => ({ ...alert, criteria: [{ ...alert.criteria[0], ...more }] });
export const receiver = (name: string) => ({
  name,
  email_address: `${name}@example.com`,
  use_common_alert_schema: false,
});
export const actions = { ...in_, name: 'a', short_name: 'a', email_receiver: [receiver('one')] };
export const backups = {
  ...located,
  name: 'backups',
  datastore_type: 'VaultStore',
  redundancy: 'LocallyRedundant',
  soft_delete: 'On',
  immutability: 'Unlocked',
  retention_duration_in_days: 30,
};
const backupVaultId = ids['data_protection_backup_vault']?.('backups') ?? '';
export const retention = (duration: string) => ({
  name: 'weekly',
  vault_id: backupVaultId,
  backup_repeating_time_intervals: ['R/2026-11-01T02:30:00+00:00/P1W'],
  default_retention_rule: [{ life_cycle: [{ data_store_type: 'VaultStore', duration }] }],
  retention_rule: [],
  time_zone: 'UTC',
});
export const policyId = ids['data_protection_backup_policy_postgresql_flexible_server'] ?? (() => '');
export const protectedServer = {
  name: 'server',
  location: 'eastus',
  vault_id: backupVaultId,
  server_id: idOf('DBforPostgreSQL', 'flexibleServers')('server'),
  backup_policy_id: policyId('weekly'),
};
export const budget = {
  name: 'monthly',
  resource_group_id: scope,
  amount: 1000,
  time_grain: 'Monthly',
  time_period: [{ start_date: '2026-11-01T00:00:00Z', end_date: '2036-11-01T00:00:00Z' }],
  notification: [
    {
      enabled: true,
      threshold: 90,
      threshold_type: 'Actual',
      operator: 'GreaterThan',
      contact_emails: ['one@example.com'],
      contact_groups: [],
      contact_roles: [],
    },
  ],
};
const identityId = idOf('ManagedIdentity', 'userAssignedIdentities')('job');
export const job = (more: Block = {}) => ({
  ...located,
  name: 'job',
  container_app_environment_id: ids['container_app_environment']?.('jobs') ?? '',
  workload_profile_name: 'Consumption',
  replica_timeout_in_seconds: 3600,
  replica_retry_limit: 0,
  manual_trigger_config: [{ parallelism: 1, replica_completion_count: 1 }],
  identity: [{ type: 'UserAssigned', identity_ids: [identityId] }],
  registry: [{ server: 'acme.azurecr.io', identity: identityId }],
  template: [
    {
      container: [
        {
          name: 'post-deploy',
          image: `acme.azurecr.io/post-deploy@sha256:${'1'.repeat(64)}`,
          cpu: 0.5,
          memory: '1Gi',
          command: ['node', 'commands/llama-db.mjs'],
          args: ['post-deploy'],
          env: [{ name: 'AZURE_CLIENT_ID', value: tenant }],
          ...more,
        },
      ],
    },
  ],
});
/** As azurerm reads it. */
export const jobRead = {
  ...job({
    env: [{ name: 'AZURE_CLIENT_ID', value: tenant, secret_name: '' }],
    ephemeral_storage: '2Gi',
  }),
  identity: [{ type: 'UserAssigned', identity_ids: [identityId], principal_id: '', tenant_id: '' }],
  registry: [{ server: 'acme.azurecr.io', identity: identityId, username: '', password_secret_name: '' }],
};
/** A server whose data key another key wraps. */
export const encrypted = (version: string, reader = 'first') => {
  const identity = idOf('ManagedIdentity', 'userAssignedIdentities')(reader);
  return {
    ...located,
    name: 'encrypted',
    version: '17',
    sku_name: 'GP_Standard_D4s_v3',
    storage_mb: 524288,
    storage_tier: 'P20',
    zone: '1',
    public_network_access_enabled: false,
    backup_retention_days: 14,
    authentication: [
      { active_directory_auth_enabled: true, password_auth_enabled: false, tenant_id: tenant },
    ],
    identity: [{ type: 'UserAssigned', identity_ids: [identity] }],
    customer_managed_key: [
      {
        key_vault_key_id: `https://vault.vault.azure.net/keys/key/${version.padEnd(32, '0')}`,
        primary_user_assigned_identity_id: identity,
      },
    ],
  };
};
const firstKey = encrypted('1');
/** As azurerm reads it. */
export const encryptedRead = {
  ...firstKey,
  identity: [{ ...firstKey.identity[0], principal_id: '', tenant_id: '' }],
  customer_managed_key: [
    {
      ...firstKey.customer_managed_key[0],
      geo_backup_key_vault_key_id: '',
      geo_backup_user_assigned_identity_id: '',
    },
  ],
};
export const role = (role_definition_name: string, principal = '1') => ({
  name: `00000000-0000-0000-0000-00000000000${principal}`,
  scope,
  role_definition_name,
  principal_id: '11111111-1111-1111-1111-111111111111',
});
export const builtIn = (guid: string) => ({
  name: '00000000-0000-0000-0000-000000000002',
  scope,
  role_definition_id: `/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Authorization/roleDefinitions/${guid}`,
  principal_id: '11111111-1111-1111-1111-111111111111',
});
export const endpoint = {
  ...located,
  name: 'e',
  subnet_id: `${ids['virtual_network']?.('n')}/subnets/s`,
  private_service_connection: [
    {
      name: 'c',
      is_manual_connection: false,
      private_connection_resource_id: ids['key_vault']?.('vault') ?? '',
      subresource_names: ['vault'],
    },
  ],
  private_dns_zone_group: [
    { name: 'g', private_dns_zone_ids: [`${scope}/providers/Microsoft.Network/privateDnsZones/z.example`] },
  ],
};
export const policy = {
  key_vault_id: ids['key_vault']?.('vault') ?? '',
  tenant_id: tenant,
  object_id: '11111111-1111-1111-1111-111111111111',
  key_permissions: ['Get', 'UnwrapKey'],
};
