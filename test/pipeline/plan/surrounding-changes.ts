/** Changes of what surrounds a server, for real plans, with the impacts that an administrator names. */
import type { Row } from './changes.ts';
import { type Block, group } from './shapes.ts';

const scope = `/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/${group}`;
const in_ = { resource_group_name: group };
const located = { ...in_, location: 'eastus' };
const tenant = '9d2ac018-e843-4e14-9e2b-4e0ddac75450';
const idOf = (provider: string, kind: string) => (name: string) =>
  `${scope}/providers/Microsoft.${provider}/${kind}/${name}`;

/** Ids by type, of the name. */
const ids: Readonly<Record<string, (name: string) => string>> = {
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
  role_assignment: (name) => `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`,
  management_lock: (name) => `${scope}/providers/Microsoft.Authorization/locks/${name}`,
  key_vault_access_policy: (name) => `${idOf('KeyVault', 'vaults')('vault')}/objectId/${name}`,
};

/** Versions of their schemas, by type: terraform providers schema -json. */
const versions: Readonly<Record<string, number>> = {
  key_vault: 2,
  log_analytics_workspace: 3,
  monitor_metric_alert: 1,
  monitor_action_group: 1,
};

/** Values that azurerm reads from Azure beside the arguments, by type. Without them a plan has it known only after the apply. */
const read: Readonly<Record<string, Block>> = {
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
};

type Change = readonly [
  name: string,
  impacts: string,
  type: string,
  before: Block | null,
  after: Block | null,
];

const vault = {
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
const acls = (more: Block) => ({ ...vault, network_acls: [{ ...vault.network_acls[0], ...more }] });
const rule = {
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
const network = { ...located, name: 'n', address_space: ['10.0.0.0/16'] };
const peering = {
  ...in_,
  name: 'p',
  virtual_network_name: 'n',
  remote_virtual_network_id: ids['virtual_network']?.('other') ?? '',
  allow_virtual_network_access: true,
};
const route = {
  ...in_,
  name: 'r',
  route_table_name: 't',
  address_prefix: '10.9.0.0/16',
  next_hop_type: 'VnetLocal',
};
const workspace = {
  ...located,
  name: 'workspace',
  sku: 'PerGB2018',
  retention_in_days: 365,
  daily_quota_gb: 5,
  internet_query_enabled: false,
  internet_ingestion_enabled: false,
};
const log = (category: string) => ({ category });
const diagnostics = {
  name: 'd',
  target_resource_id: ids['key_vault']?.('vault') ?? '',
  log_analytics_workspace_id: ids['log_analytics_workspace']?.('workspace') ?? '',
  enabled_log: [log('AuditEvent'), log('AzurePolicyEvaluationDetails')],
};
const alert = {
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
const criteria = (more: Block) => ({ ...alert, criteria: [{ ...alert.criteria[0], ...more }] });
const receiver = (name: string) => ({
  name,
  email_address: `${name}@example.com`,
  use_common_alert_schema: false,
});
const actions = { ...in_, name: 'a', short_name: 'a', email_receiver: [receiver('one')] };
const backups = {
  ...located,
  name: 'backups',
  datastore_type: 'VaultStore',
  redundancy: 'LocallyRedundant',
  soft_delete: 'On',
  immutability: 'Unlocked',
  retention_duration_in_days: 30,
};
const role = (role_definition_name: string, principal = '1') => ({
  name: `00000000-0000-0000-0000-00000000000${principal}`,
  scope,
  role_definition_name,
  principal_id: '11111111-1111-1111-1111-111111111111',
});
const builtIn = (guid: string) => ({
  name: '00000000-0000-0000-0000-000000000002',
  scope,
  role_definition_id: `/subscriptions/00000000-0000-0000-0000-000000000000/providers/Microsoft.Authorization/roleDefinitions/${guid}`,
  principal_id: '11111111-1111-1111-1111-111111111111',
});
const endpoint = {
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
const policy = {
  key_vault_id: ids['key_vault']?.('vault') ?? '',
  tenant_id: tenant,
  object_id: '11111111-1111-1111-1111-111111111111',
  key_permissions: ['Get', 'UnwrapKey'],
};

const changes: readonly Change[] = [
  [
    'vault: purge protection off',
    'refused-by-azure, recovery-weakened',
    'key_vault',
    vault,
    { ...vault, purge_protection_enabled: false },
  ],
  [
    'vault: deleted keys kept for fewer days',
    'refused-by-azure, recovery-weakened',
    'key_vault',
    vault,
    { ...vault, soft_delete_retention_days: 30 },
  ],
  [
    'vault: access policies in place of roles',
    'security-weakened',
    'key_vault',
    vault,
    { ...vault, rbac_authorization_enabled: false },
  ],
  [
    'vault: roles in place of access policies',
    'unknown',
    'key_vault',
    { ...vault, rbac_authorization_enabled: false },
    vault,
  ],
  [
    'vault: open to public networks',
    'security-weakened',
    'key_vault',
    vault,
    { ...vault, public_network_access_enabled: true },
  ],
  ['vault: firewall open', 'security-weakened', 'key_vault', vault, acls({ default_action: 'Allow' })],
  ['vault: firewall closed', 'online', 'key_vault', acls({ default_action: 'Allow' }), vault],
  [
    'vault: another address',
    'security-weakened',
    'key_vault',
    vault,
    acls({ ip_rules: ['20.50.10.8', '20.50.10.9'] }),
  ],
  ['vault: an address fewer', 'online', 'key_vault', vault, acls({ ip_rules: [] })],
  ['vault: services of Azure shut out', 'unknown', 'key_vault', vault, acls({ bypass: 'None' })],
  ['vault: no hardware keys', 'security-weakened', 'key_vault', vault, { ...vault, sku_name: 'standard' }],
  [
    'vault: moved to another group',
    'data-loss',
    'key_vault',
    vault,
    { ...vault, resource_group_name: 'other' },
  ],
  [
    'access policy: fewer permissions',
    'long-outage',
    'key_vault_access_policy',
    policy,
    { ...policy, key_permissions: ['Get'] },
  ],
  [
    'access policy: more permissions',
    'security-weakened',
    'key_vault_access_policy',
    policy,
    { ...policy, key_permissions: ['Get', 'UnwrapKey', 'Purge'] },
  ],

  [
    'rule: allowed in place of denied',
    'security-weakened',
    'network_security_rule',
    rule,
    { ...rule, access: 'Allow' },
  ],
  [
    'rule: denied in place of allowed',
    'unknown',
    'network_security_rule',
    { ...rule, access: 'Allow' },
    rule,
  ],
  ['rule: a new denial', 'unknown', 'network_security_rule', null, rule],
  [
    'rule: a new permission',
    'security-weakened',
    'network_security_rule',
    null,
    { ...rule, access: 'Allow' },
  ],
  ['rule: a denial removed', 'security-weakened', 'network_security_rule', rule, null],
  ['rule: a permission removed', 'unknown', 'network_security_rule', { ...rule, access: 'Allow' }, null],
  ['rule: described anew', 'nothing', 'network_security_rule', rule, { ...rule, description: 'PostgreSQL' }],
  [
    'network: more addresses',
    'online',
    'virtual_network',
    network,
    { ...network, address_space: ['10.0.0.0/16', '10.1.0.0/16'] },
  ],
  [
    'network: fewer addresses',
    'unknown',
    'virtual_network',
    { ...network, address_space: ['10.0.0.0/16', '10.1.0.0/16'] },
    network,
  ],
  [
    'network: other DNS servers',
    'unknown',
    'virtual_network',
    network,
    { ...network, dns_servers: ['10.0.0.4'] },
  ],
  [
    'peering: no access',
    'long-outage',
    'virtual_network_peering',
    peering,
    { ...peering, allow_virtual_network_access: false },
  ],
  ['peering: removed', 'long-outage', 'virtual_network_peering', peering, null],
  ['route: another way', 'unknown', 'route', route, { ...route, next_hop_type: 'None' }],
  [
    'record: another address',
    'unknown',
    'private_dns_a_record',
    { ...in_, name: 'a', zone_name: 'z.example', ttl: 30, records: ['10.0.0.4'] },
    { ...in_, name: 'a', zone_name: 'z.example', ttl: 30, records: ['10.0.0.5'] },
  ],
  [
    'record: kept for longer',
    'nothing',
    'private_dns_a_record',
    { ...in_, name: 'a', zone_name: 'z.example', ttl: 30, records: ['10.0.0.4'] },
    { ...in_, name: 'a', zone_name: 'z.example', ttl: 300, records: ['10.0.0.4'] },
  ],
  [
    'endpoint: another subnet',
    'long-outage',
    'private_endpoint',
    endpoint,
    { ...endpoint, subnet_id: `${ids['virtual_network']?.('n')}/subnets/t` },
  ],
  [
    'endpoint: no DNS',
    'long-outage, nothing',
    'private_endpoint',
    endpoint,
    { ...endpoint, private_dns_zone_group: [] },
  ],

  [
    'workspace: fewer days',
    'security-weakened',
    'log_analytics_workspace',
    workspace,
    { ...workspace, retention_in_days: 90 },
  ],
  [
    'workspace: more days',
    'online',
    'log_analytics_workspace',
    workspace,
    { ...workspace, retention_in_days: 730 },
  ],
  [
    'workspace: a smaller quota',
    'security-weakened',
    'log_analytics_workspace',
    workspace,
    { ...workspace, daily_quota_gb: 1 },
  ],
  [
    'workspace: a larger quota',
    'online',
    'log_analytics_workspace',
    workspace,
    { ...workspace, daily_quota_gb: 10 },
  ],
  [
    'workspace: queries from the internet',
    'security-weakened',
    'log_analytics_workspace',
    workspace,
    { ...workspace, internet_query_enabled: true },
  ],
  [
    'workspace: no queries from the internet',
    'online',
    'log_analytics_workspace',
    { ...workspace, internet_query_enabled: true },
    workspace,
  ],
  [
    'workspace: in another region',
    'data-loss',
    'log_analytics_workspace',
    workspace,
    { ...workspace, location: 'westeurope' },
  ],
  [
    'diagnostics: a category fewer',
    'security-weakened',
    'monitor_diagnostic_setting',
    diagnostics,
    { ...diagnostics, enabled_log: [log('AuditEvent')] },
  ],
  [
    'diagnostics: a category more',
    'online',
    'monitor_diagnostic_setting',
    { ...diagnostics, enabled_log: [log('AuditEvent')] },
    diagnostics,
  ],
  [
    'diagnostics: another workspace',
    'security-weakened',
    'monitor_diagnostic_setting',
    diagnostics,
    { ...diagnostics, log_analytics_workspace_id: ids['log_analytics_workspace']?.('elsewhere') ?? '' },
  ],
  ['diagnostics: removed', 'security-weakened', 'monitor_diagnostic_setting', diagnostics, null],
  ['alert: fires later', 'security-weakened', 'monitor_metric_alert', alert, criteria({ threshold: 95 })],
  ['alert: fires sooner', 'nothing', 'monitor_metric_alert', alert, criteria({ threshold: 60 })],
  ['alert: off', 'security-weakened', 'monitor_metric_alert', alert, { ...alert, enabled: false }],
  ['alert: another severity', 'nothing', 'monitor_metric_alert', alert, { ...alert, severity: 1 }],
  [
    'actions: another address',
    'security-weakened',
    'monitor_action_group',
    actions,
    { ...actions, email_receiver: [{ ...receiver('one'), email_address: 'other@example.com' }] },
  ],
  [
    'actions: one more receiver',
    'nothing',
    'monitor_action_group',
    actions,
    { ...actions, email_receiver: [receiver('one'), receiver('two')] },
  ],

  [
    'backups: no soft delete',
    'recovery-weakened',
    'data_protection_backup_vault',
    backups,
    { ...backups, soft_delete: 'Off' },
  ],
  [
    'backups: deleted ones kept for longer',
    'online',
    'data_protection_backup_vault',
    backups,
    { ...backups, retention_duration_in_days: 60 },
  ],
  [
    'backups: no immutability',
    'recovery-weakened',
    'data_protection_backup_vault',
    backups,
    { ...backups, immutability: 'Disabled' },
  ],
  [
    'backups: immutability locked',
    'online',
    'data_protection_backup_vault',
    backups,
    { ...backups, immutability: 'Locked' },
  ],
  ['role: an owner', 'security-weakened', 'role_assignment', null, role('Owner')],
  [
    'role: an owner by the id of the role',
    'security-weakened',
    'role_assignment',
    null,
    builtIn('8e3af657-a8ff-443c-a75c-2fe8c4bcb635'),
  ],
  [
    'role: a reader by the id of the role',
    'online',
    'role_assignment',
    null,
    builtIn('acdd72a7-3385-48ef-bd42-f606fba81ae7'),
  ],
  [
    'role: one of its own',
    'security-weakened',
    'role_assignment',
    null,
    builtIn('22222222-2222-2222-2222-222222222222'),
  ],
  ['role: of keys revoked', 'long-outage', 'role_assignment', role('Key Vault Crypto User'), null],
  ['lock: ReadOnly', 'online', 'management_lock', null, { name: 'l', scope, lock_level: 'ReadOnly' }],
  [
    'lock: another kind',
    'security-weakened',
    'management_lock',
    {
      name: 'l',
      scope: `${scope}/providers/Microsoft.Network/virtualNetworks/n`,
      lock_level: 'CanNotDelete',
      notes: '',
    },
    {
      name: 'l',
      scope: `${scope}/providers/Microsoft.Network/virtualNetworks/n`,
      lock_level: 'ReadOnly',
      notes: '',
    },
  ],
];

export const surroundingChanges: readonly Row[] = changes.map(([name, impacts, type, before, after]) => ({
  name,
  impacts,
  shape: 'none',
  change(blocks, token) {
    if (after) blocks[`azurerm_${type}`] = { [`${token}_one`]: after };
  },
  also: (token) =>
    before
      ? [
          {
            type: `azurerm_${type}`,
            name: 'one',
            schemaVersion: versions[type] ?? 0,
            attributes: { id: ids[type]?.(String(before['name'] ?? token)) ?? '', ...read[type], ...before },
          },
        ]
      : [],
}));
