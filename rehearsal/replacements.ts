/**
 * Every argument of the resources that hold data, each with another value, and whether azurerm 4.55.0 and 4.81.0 replace the
 * resource for it. `terraform providers schema` does not say so, and the provider decides part of it in code, so
 * scenario `arguments-tried` plans each of them.
 */

import { azurermVersion, isAtLeast } from '../azure/provider.ts';

type Arguments = Readonly<Record<string, unknown>>;

export interface Trial {
  /** Blocks are joined by dots: `high_availability.mode`. */
  readonly argument: string;
  /** Value it gets. Absent: the argument is left out. */
  readonly to?: unknown;
  /** Arguments that the resource has before, in addition to the deployed ones. */
  readonly had: Arguments;
  readonly replaces: boolean;
  /** First azurerm that has the argument. @default - 4.55.0 has it */
  readonly from?: string;
}

const replaced = (argument: string, to?: unknown, had: Arguments = {}): Trial => ({
  argument,
  to,
  had,
  replaces: true,
});
const updated = (argument: string, to?: unknown, had: Arguments = {}): Trial => ({
  argument,
  to,
  had,
  replaces: false,
});

const other = '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/other/providers';
const server = `${other}/Microsoft.DBforPostgreSQL/flexibleServers/other`;
const identity = `${other}/Microsoft.ManagedIdentity/userAssignedIdentities/other`;
const backupVault = `${other}/Microsoft.DataProtection/backupVaults/other`;
const subnet = `${other}/Microsoft.Network/virtualNetworks/other/subnets/other`;
const uuid = '00000000-0000-0000-0000-000000000001';

const tags = updated('tags', { Environment: 'other' });
const place = [
  replaced('name', 'other-name'),
  replaced('resource_group_name', 'other'),
  replaced('location', 'westeurope'),
];

const encrypted = {
  customer_managed_key: [
    {
      key_vault_key_id: 'https://other.vault.azure.net/keys/data',
      primary_user_assigned_identity_id: identity,
      geo_backup_key_vault_key_id: 'https://other-geo.vault.azure.net/keys/data',
      geo_backup_user_assigned_identity_id: identity,
    },
  ],
};
const clustered = { cluster: [{ size: 2, default_database_name: 'postgres' }] };
const access = {
  tenant_id: uuid,
  object_id: uuid,
  application_id: uuid,
  certificate_permissions: [],
  key_permissions: ['Get'],
  secret_permissions: [],
  storage_permissions: [],
};
const contact = { contact: [{ email: 'other@contoso.example', name: 'Other', phone: '1' }] };
const identified = { identity: [{ type: 'UserAssigned', identity_ids: [`${identity}-before`] }] };
const yearly = {
  name: 'yearly',
  priority: 10,
  criteria: [{ absolute_criteria: 'FirstOfYear' }],
  life_cycle: [{ data_store_type: 'VaultStore', duration: 'P5Y' }],
};
const archive = { data_store_type: 'ArchiveStore', duration: 'P7Y' };

/** The trials of a type for arguments that the required azurerm has. */
export function trialsOf(type: string): readonly Trial[] {
  return (trials[type] ?? []).filter(({ from }) => from === undefined || isAtLeast(azurermVersion, from));
}

/** By resource type. Each argument of the provider is here at least once, and more often if the value decides. */
export const trials: Readonly<Record<string, readonly Trial[]>> = {
  azurerm_postgresql_flexible_server: [
    ...place,
    tags,
    replaced('administrator_login', 'other', { administrator_login: 'llama_admin' }),
    updated('administrator_login', 'llama_admin'),
    updated('administrator_password', 'another'),
    updated('administrator_password_wo', 'another', { administrator_password_wo_version: 1 }),
    updated('administrator_password_wo_version', 2, { administrator_password_wo: 'one' }),
    updated('authentication.active_directory_auth_enabled', false),
    updated('authentication.password_auth_enabled', true),
    updated('authentication.tenant_id', uuid),
    updated('auto_grow_enabled', false),
    updated('backup_retention_days', 7),
    { ...replaced('cluster', clustered.cluster), from: '4.60.0' },
    { ...replaced('cluster.size', 1, clustered), from: '4.60.0' },
    { ...updated('cluster.size', 4, clustered), from: '4.60.0' },
    { ...replaced('cluster.default_database_name', 'other', clustered), from: '4.60.0' },
    updated('create_mode', 'Update'),
    replaced('customer_managed_key', encrypted.customer_managed_key),
    replaced('customer_managed_key', undefined, encrypted),
    updated('customer_managed_key.key_vault_key_id', 'https://other.vault.azure.net/keys/new', encrypted),
    updated('customer_managed_key.primary_user_assigned_identity_id', `${identity}-new`, encrypted),
    updated(
      'customer_managed_key.geo_backup_key_vault_key_id',
      'https://g.vault.azure.net/keys/new',
      encrypted,
    ),
    updated('customer_managed_key.geo_backup_user_assigned_identity_id', `${identity}-new`, encrypted),
    replaced('delegated_subnet_id', subnet),
    replaced('geo_redundant_backup_enabled', false),
    updated('high_availability'),
    updated('high_availability.mode', 'SameZone'),
    updated('high_availability.standby_availability_zone', '3'),
    replaced('identity'),
    replaced('identity.type', 'SystemAssigned'),
    updated('identity.identity_ids', [identity]),
    updated('maintenance_window.day_of_week', 3),
    updated('maintenance_window.start_hour', 3),
    updated('maintenance_window.start_minute', 3),
    replaced('point_in_time_restore_time_in_utc', '2026-01-01T00:00:00Z'),
    updated(
      'private_dns_zone_id',
      `${other}/Microsoft.Network/privateDnsZones/o.postgres.database.azure.com`,
    ),
    updated('public_network_access_enabled', true),
    updated('replication_role', 'None'),
    updated('sku_name', 'MO_Standard_E8ds_v5'),
    replaced('source_server_id', server),
    replaced('storage_mb', 524288),
    updated('storage_mb', 2097152),
    updated('storage_tier', 'P40'),
    replaced('version', '16'),
    updated('version', '18'),
    updated('zone', '3'),
  ],
  azurerm_postgresql_flexible_server_database: [
    replaced('name', 'other'),
    replaced('charset', 'LATIN1'),
    replaced('collation', 'de_DE.utf8'),
    replaced('server_id', server),
  ],
  azurerm_key_vault: [
    ...place,
    tags,
    updated('access_policy', [access]),
    updated('contact', contact.contact),
    updated('contact.email', 'another@contoso.example', contact),
    updated('contact.name', 'Another', contact),
    updated('contact.phone', '2', contact),
    updated('enabled_for_deployment', true),
    updated('enabled_for_disk_encryption', true),
    updated('enabled_for_template_deployment', true),
    updated('network_acls.bypass', 'AzureServices'),
    updated('network_acls.default_action', 'Allow'),
    updated('network_acls.ip_rules', ['20.50.10.8/32']),
    updated('network_acls.virtual_network_subnet_ids', [subnet]),
    updated('public_network_access_enabled', true),
    updated('purge_protection_enabled', false),
    updated('rbac_authorization_enabled', false),
    updated('sku_name', 'standard'),
    updated('soft_delete_retention_days', 7),
    updated('tenant_id', uuid),
  ],
  azurerm_log_analytics_workspace: [
    ...place,
    tags,
    updated('allow_resource_only_permissions', false),
    updated('cmk_for_query_forced', true),
    updated('daily_quota_gb', 1),
    updated('data_collection_rule_id', `${other}/Microsoft.Insights/dataCollectionRules/other`),
    updated('identity', [{ type: 'SystemAssigned' }]),
    updated('identity.type', 'SystemAssigned', identified),
    updated('identity.identity_ids', [identity], identified),
    updated('immediate_data_purge_on_30_days_enabled', true),
    updated('internet_ingestion_enabled', true),
    updated('internet_query_enabled', false),
    updated('local_authentication_enabled', true),
    updated('reservation_capacity_in_gb_per_day', 200, { sku: 'CapacityReservation' }),
    updated('retention_in_days', 30),
    replaced('sku', 'Standalone'),
    updated('sku', 'CapacityReservation', { reservation_capacity_in_gb_per_day: 100 }),
  ],
  azurerm_data_protection_backup_vault: [
    ...place,
    tags,
    updated('cross_region_restore_enabled', true),
    replaced('cross_region_restore_enabled', false, { cross_region_restore_enabled: true }),
    replaced('datastore_type', 'ArchiveStore'),
    updated('identity'),
    updated('identity.type', 'SystemAssigned, UserAssigned', identified),
    updated('identity.identity_ids', [identity], identified),
    updated('immutability', 'Locked'),
    replaced('immutability', 'Disabled', { immutability: 'Locked' }),
    replaced('redundancy', 'LocallyRedundant'),
    updated('retention_duration_in_days', 30),
    updated('soft_delete', 'Off'),
    replaced('soft_delete', 'On', { soft_delete: 'AlwaysOn' }),
  ],
  azurerm_data_protection_backup_policy_postgresql_flexible_server: [
    replaced('name', 'other-name'),
    replaced('vault_id', backupVault),
    replaced('backup_repeating_time_intervals', ['R/2027-01-03T04:00:00+00:00/P1W']),
    replaced('default_retention_rule.life_cycle.data_store_type', 'VaultStore', {
      default_retention_rule: [{ life_cycle: [archive] }],
    }),
    replaced('default_retention_rule.life_cycle.duration', 'P10Y'),
    replaced('retention_rule', [yearly]),
    replaced('retention_rule', undefined, { retention_rule: [yearly] }),
    replaced('retention_rule.life_cycle.data_store_type', 'VaultStore', {
      retention_rule: [{ ...yearly, life_cycle: [archive] }],
    }),
    ...(
      [
        ['name', 'other'],
        ['priority', 20],
        ['criteria.absolute_criteria', 'FirstOfMonth'],
        ['criteria.days_of_week', ['Monday']],
        ['criteria.months_of_year', ['January']],
        ['criteria.scheduled_backup_times', ['2027-01-03T04:00:00Z']],
        ['criteria.weeks_of_month', ['First']],
        ['life_cycle.duration', 'P6Y'],
      ] as const
    ).map(([argument, to]) => replaced(`retention_rule.${argument}`, to, { retention_rule: [yearly] })),
    replaced('time_zone', 'Pacific Standard Time'),
  ],
  azurerm_data_protection_backup_instance_postgresql_flexible_server: [
    replaced('name', 'other-name'),
    replaced('location', 'westeurope'),
    replaced('server_id', server),
    replaced('vault_id', backupVault),
    updated('backup_policy_id', `${backupVault}/backupPolicies/other`),
  ],
  azurerm_resource_group: [
    replaced('name', 'other'),
    replaced('location', 'westeurope'),
    tags,
    updated('managed_by', 'other'),
  ],
  azurerm_management_lock: [
    replaced('name', 'other'),
    replaced('scope', server),
    replaced('lock_level', 'ReadOnly'),
    replaced('notes', 'other'),
  ],
};
