/**
 * The rules of checkov, PSRule for Azure and prowler about Flexible Server, Key Vault, Log Analytics and Storage, and the
 * part of this project that keeps each of them. docs/evidence.md shows the table.
 */
import { controls } from './catalogue/index.ts';

export type Scanner = 'checkov' | 'PSRule' | 'prowler';

export const scannerVersions: Readonly<Record<Scanner, string>> = {
  checkov: 'repository of 2026-08-20',
  PSRule: 'PSRule.Rules.Azure, main of 2026, and its published rule pages',
  prowler: 'repository of 2026-08-21',
};

export interface ScannerRule {
  readonly scanner: Scanner;
  readonly id: string;
  readonly about: string;
  /** Ids of controls that keep it; or the reason why it does not concern the stack. */
  readonly heldBy: readonly string[] | string;
}

const noStorage =
  'the stack has no storage account: `llama-db bootstrap` makes the one of the state, outside of it ([bootstrap.md](bootstrap.md))';
const noSecrets = 'the stack writes no secret into a vault';
const singleServer = 'it reads Single Server only, which Azure has retired';
const accountWide = 'it is set once per subscription, by its owner';

const rows = (
  scanner: Scanner,
  list: readonly (readonly [string, string, ScannerRule['heldBy']])[],
): ScannerRule[] => list.map(([id, about, heldBy]) => ({ scanner, id, about, heldBy }));

export const scannerRules: readonly ScannerRule[] = [
  ...rows('checkov', [
    ['CKV_AZURE_136', 'Flexible Server: geo-redundant backup', ['REC-2']],
    ['CKV2_AZURE_26', 'Flexible Server: no firewall rule over all addresses', ['NET-3']],
    ['CKV2_AZURE_57', 'Flexible Server: private endpoint', ['NET-2']],
    ['CKV2_AZURE_32', 'Key Vault: private endpoint', ['NET-5']],
    ['CKV_AZURE_189', 'Key Vault: no public network access', ['NET-5']],
    ['CKV_AZURE_109', 'Key Vault: firewall denies by default', ['NET-5']],
    ['CKV_AZURE_110', 'Key Vault: purge protection', ['CRY-6']],
    ['CKV_AZURE_111', 'Key Vault: soft delete', ['CRY-6']],
    ['CKV_AZURE_42', 'Key Vault: recoverable', ['CRY-6']],
    [
      'CKV_AZURE_40',
      'Key: expiration date',
      'the key is made by a template deployment, which checkov does not read; CRY-5 does',
    ],
    [
      'CKV_AZURE_112',
      'Key: in hardware',
      'the key is made by a template deployment, which checkov does not read; CRY-4 does',
    ],
    ['CKV_AZURE_41', 'Secret: expiration date', noSecrets],
    ['CKV_AZURE_114', 'Secret: content type', noSecrets],
    ['CKV2_AZURE_31', 'Subnet: network security group', ['NET-4']],
    ['CKV_AZURE_9', 'Network security group: no RDP from the internet', ['NET-4']],
    ['CKV_AZURE_10', 'Network security group: no SSH from the internet', ['NET-4']],
    ['CKV_AZURE_77', 'Network security group: no UDP from the internet', ['NET-4']],
    ['CKV_AZURE_160', 'Network security group: no HTTP from the internet', ['NET-4']],
    [
      'CKV_AZURE_182, CKV_AZURE_183',
      'Virtual network: two DNS servers, inside of it',
      "the networks use Azure's own DNS, which private endpoints need; checkov passes them",
    ],
    [
      'CKV_AZURE_29, 30, 31, 32, 53, 68, 102, 128, 130, 146, 147',
      'TLS, logs, throttle and access of a server',
      `${singleServer}; NET-1, CRY-1, CRY-2, LOG-1 to LOG-3, ACC-4 and REC-2 read the same settings of Flexible Server`,
    ],
    [
      'CKV_AZURE_33, 35, 36, 43, 44, 59, 190, 206, 244, CKV2_AZURE_1, 8, 20, 21, 33, 38, 40, 41, 47',
      'Storage account',
      noStorage,
    ],
  ]),
  ...rows('PSRule', [
    ['AZR-000326 Azure.PostgreSQL.GeoRedundantBackup', 'Flexible Server: geo-redundant backup', ['REC-2']],
    ['AZR-000389 Azure.PostgreSQL.AAD', 'Flexible Server: Entra administrators', ['ACC-2']],
    ['AZR-000390 Azure.PostgreSQL.AADOnly', 'Flexible Server: Entra login only', ['ACC-1']],
    ['AZR-000433 Azure.PostgreSQL.MaintenanceWindow', 'Flexible Server: maintenance window', ['CHG-6']],
    ['AZR-000434 Azure.PostgreSQL.ZoneRedundantHA', 'Flexible Server: standby in another zone', ['REC-3']],
    [
      'AZR-000147 to 152, 327',
      'SSL, TLS, firewall, name and Defender of a server',
      `${singleServer}; CRY-1, CRY-2 and NET-3 read the same settings of Flexible Server`,
    ],
    ['AZR-000118 Azure.KeyVault.AccessPolicy', 'Key Vault: no access policy with all rights', ['CRY-7']],
    ['AZR-000119 Azure.KeyVault.Logs', 'Key Vault: audit logs', ['LOG-6']],
    ['AZR-000123 Azure.KeyVault.AutoRotationPolicy', 'Key: rotation', ['CRY-5']],
    ['AZR-000124 Azure.KeyVault.SoftDelete', 'Key Vault: soft delete', ['CRY-6']],
    ['AZR-000125 Azure.KeyVault.PurgeProtect', 'Key Vault: purge protection', ['CRY-6']],
    ['Azure.KeyVault.Firewall', 'Key Vault: firewall denies by default', ['NET-5']],
    ['Azure.KeyVault.RBAC', 'Key Vault: roles in place of policies', ['CRY-7']],
    [
      'AZR-000120 to 122 Azure.KeyVault.Name, SecretName, KeyName',
      'Key Vault: names',
      'rules `names/key-vault` and `names/key` refuse other names before a synthesis',
    ],
    [
      'AZR-000425 Azure.Log.Replication',
      'Log Analytics: replication',
      'not kept: azurerm 4.55.0 has no argument for it in the workspace',
    ],
    [
      'AZR-000486 Azure.Log.Name',
      'Log Analytics: name',
      'rule `names/workspace` refuses other names before a synthesis',
    ],
    ['AZR-000195 to 202, 298', 'Storage account', noStorage],
  ]),
  ...rows('prowler', [
    [
      'postgresql_flexible_server_allow_access_services_disabled',
      'no access for all Azure services',
      ['NET-3'],
    ],
    ['postgresql_flexible_server_connection_throttling_on', 'throttle of failed logins', ['ACC-4']],
    ['postgresql_flexible_server_enforce_ssl_enabled', 'encrypted connections', ['CRY-1']],
    ['postgresql_flexible_server_entra_id_authentication_enabled', 'Entra login', ['ACC-1']],
    ['postgresql_flexible_server_geo_redundant_backup_enabled', 'geo-redundant backup', ['REC-2']],
    ['postgresql_flexible_server_high_availability_enabled', 'standby', ['REC-3']],
    ['postgresql_flexible_server_log_checkpoints_on', 'checkpoints logged', ['LOG-3']],
    ['postgresql_flexible_server_log_connections_on', 'connections logged', ['LOG-1']],
    ['postgresql_flexible_server_log_disconnections_on', 'disconnections logged', ['LOG-2']],
    ['postgresql_flexible_server_log_retention_days_greater_3', 'log files kept', ['LOG-4']],
    ['keyvault_rbac_enabled', 'roles in place of policies', ['CRY-7']],
    [
      'keyvault_private_endpoints, keyvault_access_only_through_private_endpoints',
      'private endpoint',
      ['NET-5'],
    ],
    ['keyvault_recoverable', 'soft delete and purge protection', ['CRY-6']],
    ['keyvault_logging_enabled', 'audit logs', ['LOG-6']],
    ['keyvault_key_rotation_enabled', 'rotation', ['CRY-5']],
    ['keyvault_rbac_key_expiration_set', 'expiration date of keys', ['CRY-5']],
    [
      'keyvault_key_expiration_set_in_non_rbac',
      'expiration date of keys',
      'it reads vaults with access policies; CRY-7 shows that this one has none',
    ],
    [
      'keyvault_rbac_secret_expiration_set, keyvault_non_rbac_secret_expiration_set',
      'expiration date of secrets',
      noSecrets,
    ],
    ['monitor_diagnostic_settings_exists', 'logs of the subscription', accountWide],
    ['monitor_diagnostic_setting_with_appropriate_categories', 'logs of the subscription', accountWide],
    ['storage_*', 'Storage account', noStorage],
  ]),
];

/** The section of docs/evidence.md about the scanners. */
export function scannerTable(): string {
  return [
    ...(Object.keys(scannerVersions) as Scanner[]).flatMap((scanner) => [
      `### ${scanner}`,
      '',
      `Rules of the ${scannerVersions[scanner]}.`,
      '',
      '| rule | subject | kept by |',
      '|---|---|---|',
      ...scannerRules
        .filter((one) => one.scanner === scanner)
        .map(
          ({ id, about, heldBy }) =>
            `| ${id.replaceAll('_', '\\_').replaceAll('*', '\\*')} | ${about} | ${typeof heldBy === 'string' ? heldBy : heldBy.join(', ')} |`,
        ),
      '',
    ]),
  ].join('\n');
}

/** The section of docs/evidence.md about the controls. */
export function controlTable(): string {
  return [
    '| control | assertion | stack | rules | live checks | ask |',
    '|---|---|---|---|---|---|',
    ...controls.map(
      ({ id, title, stack, rules = [], checks = [], unseen = [] }) =>
        `| ${id} | ${title} | ${stack.length || ''} | ${rules.length || ''} | ${checks.join(', ')} | ${unseen.length > 0 ? 'yes' : ''} |`,
    ),
    '',
  ].join('\n');
}
