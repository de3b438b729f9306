/** Rows about what surrounds a server: the vault with its keys, and long-term backups. */
import { textAt } from '../../../core/json.ts';
import { added, calm, destroyed, nothing, replacedWithLoss, rows, unjudged, weakened } from './families.ts';
import { type About, fixed, type Judgement, type Row, sources, toggled } from './row.ts';

/** The provider refuses it in the apply: key_vault_resource.go, the update. */
const keptForever = (says: string): Judgement => ({
  impact: 'refused-by-azure',
  says: `${says} cannot be changed afterwards: the provider refuses it in the apply`,
});

function vaultFirewall({ attribute }: About): Judgement {
  const { path, after, isUnknown } = attribute;
  const opened = weakened('other clients reach the vault', 'CKV_AZURE_109', 'PSRule AZR-000355');
  if (isUnknown) return opened;
  const closed = 'clients without a rule lose the vault';
  if (path.endsWith('default_action')) return after === 'Deny' ? calm(closed) : opened;
  if (path.endsWith('bypass'))
    return after === 'AzureServices'
      ? opened
      : {
          impact: 'unknown',
          says: 'services of Azure lose the vault: a server that reads its key there becomes inaccessible',
        };
  const block = [after].flat()[0];
  if (path === 'network_acls')
    return textAt(block, 'default_action') === 'Deny' && added({ attribute }) > 0 ? calm(closed) : opened;
  return added({ attribute }) > 0 ? opened : calm(closed);
}

const vault: Row[] = [
  ...rows(
    { id: 'vault', types: ['azurerm_key_vault'], source: sources.vault },
    {
      created: ['create', nothing],
      tags: [
        ['tags', 'timeouts', 'contact', 'contact.email', 'contact.name', 'contact.phone', 'vault_uri'],
        nothing,
      ],
      'public-network': [
        ['public_network_access_enabled'],
        toggled(
          weakened(
            'the vault is reachable from public networks',
            'CKV_AZURE_189',
            'CIS Azure Foundations 5.0, 8.3.7',
          ),
          calm('clients outside the private network lose the vault'),
          'on',
        ),
      ],
      firewall: [
        [
          'network_acls',
          'network_acls.default_action',
          'network_acls.bypass',
          'network_acls.ip_rules',
          'network_acls.virtual_network_subnet_ids',
        ],
        vaultFirewall,
      ],
      'purge-protection': [
        ['purge_protection_enabled'],
        ({ attribute: { after, before, isUnknown } }) =>
          after === true && !isUnknown
            ? [calm('a deleted vault cannot be purged')]
            : [
                {
                  impact: 'recovery-weakened',
                  says: 'a deleted key is gone sooner',
                  controls: ['CKV_AZURE_110', 'CIS Azure Foundations 5.0, 8.3.5'],
                },
                ...(before === true ? [keptForever('purge protection')] : []),
              ],
      ],
      'soft-delete': [
        ['soft_delete_retention_days'],
        ({ attribute: { before, after, isUnknown } }) => [
          ...(!isUnknown && typeof before === 'number' && typeof after === 'number' && after > before
            ? []
            : [{ impact: 'recovery-weakened', says: 'a deleted key is gone sooner' } as const]),
          keptForever('the retention of deleted keys'),
        ],
      ],
      'role-model': [
        ['rbac_authorization_enabled', 'enable_rbac_authorization'],
        toggled(
          {
            impact: 'unknown',
            says: 'access policies no longer count: a principal without a role loses the keys, and a server that reads its key so becomes inaccessible',
          },
          weakened(
            'access policies decide about the keys, and anyone who may write the vault may grant them',
            'CIS Azure Foundations 5.0, 8.3.6',
            'PSRule AZR-000388',
          ),
          'off',
        ),
      ],
      roles: [
        ['access_policy', 'access_policy.*', 'tenant_id'],
        () => weakened('other principals may use the keys', 'CIS Azure Foundations 5.0, 8.3.6'),
      ],
      uses: [
        ['enabled_for_deployment', 'enabled_for_disk_encryption', 'enabled_for_template_deployment'],
        toggled(
          weakened('another service of Azure may read the vault'),
          calm('a service of Azure may no longer read the vault'),
          'on',
        ),
      ],
      tier: [
        ['sku_name'],
        ({ attribute: { after } }) =>
          after === 'premium'
            ? calm('the vault has hardware keys')
            : weakened('the vault has no hardware keys', 'CKV_AZURE_112'),
      ],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
  ...rows(
    { id: 'key', types: ['azurerm_key_vault_key'], source: sources.vault },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      rotation: [
        ['rotation_policy', 'rotation_policy.*'],
        fixed(
          'online',
          'another version of the key is made at another time; what names one version must follow it',
        ),
      ],
      changed: [['*'], unjudged('the key may stop working for what is encrypted with it')],
      replaced: [
        'replace',
        fixed(
          'data-loss',
          'the plan destroys and creates the key: everything that is encrypted with it is unreadable until the old one is recovered',
        ),
      ],
      removed: [
        'delete',
        fixed('data-loss', 'everything that is encrypted with the key is unreadable until it is recovered'),
      ],
    },
  ),
  ...rows(
    { id: 'template', types: ['azurerm_resource_group_template_deployment'], source: sources.resources },
    {
      created: [
        'create',
        fixed(
          'nothing',
          'a deployment by a template of Resource Manager, which makes what its template names',
        ),
      ],
      tags: [['tags', 'timeouts', 'output_content', 'debug_level'], nothing],
      changed: [['*'], unjudged('the template changes what it made, such as the key of the vault')],
      replaced: ['replace', unjudged('the template is deployed again, and what it made may be deleted')],
      removed: ['delete', unjudged('what the template made may be deleted with it')],
    },
  ),
];

const backupVault = 'azurerm_data_protection_backup_vault';
const kept: Judgement = {
  impact: 'recovery-weakened',
  says: 'weekly backups are kept or protected in another way',
};
const level = (value: About['attribute']['before']) =>
  ['Disabled', 'Unlocked', 'Locked'].indexOf(String(value));
const backups: Row[] = [
  ...rows(
    { id: 'backup-vault', types: [backupVault], source: sources.backupVault },
    {
      immutability: [
        ['immutability'],
        ({ attribute: { before, after, isUnknown } }) =>
          isUnknown || level(after) < level(before)
            ? kept
            : calm('weekly backups cannot be deleted before their time'),
      ],
      'soft-delete': [
        ['soft_delete', 'retention_duration_in_days', 'cross_region_restore_enabled'],
        ({ attribute: { before, after, isUnknown } }) => {
          const more =
            (typeof after === 'number' && after > Number(before ?? 0)) ||
            after === true ||
            (after === 'On' && before === 'Off') ||
            after === 'AlwaysOn';
          return more && !isUnknown ? calm('deleted backups are kept for longer, or in two regions') : kept;
        },
      ],
    },
  ),
  ...rows(
    {
      id: 'long-term-backup',
      types: [
        backupVault,
        'azurerm_data_protection_backup_policy_postgresql_flexible_server',
        'azurerm_data_protection_backup_instance_postgresql_flexible_server',
      ],
      source: sources.backupVault,
    },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts', 'identity', 'identity.type', 'identity.identity_ids'], nothing],
      changed: [['*'], () => kept],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
];

export const surroundingRows: readonly Row[] = [...vault, ...backups];
