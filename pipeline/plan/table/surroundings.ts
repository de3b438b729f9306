/** Rows about what surrounds a server: networks, vault and keys, backups, locks, roles. */
import { textAt } from '../../../core/json.ts';
import { underLock } from './children.ts';
import { calm, destroyed, nothing, replacedWithLoss, rows, unjudged, weakened } from './families.ts';
import { logRows } from './logs.ts';
import { type About, fixed, type Judgement, type Row, sources, toggled } from './row.ts';

const privateEndpoints: Row[] = rows(
  { id: 'private-endpoint', types: ['azurerm_private_endpoint'], source: sources.privateLink },
  {
    created: ['create', nothing],
    tags: [
      ['tags', 'timeouts', 'network_interface', 'custom_dns_configs', 'private_dns_zone_configs'],
      nothing,
    ],
    'dns-zone-group': [
      [
        'private_dns_zone_group',
        'private_dns_zone_group.name',
        'private_dns_zone_group.private_dns_zone_ids',
      ],
      fixed('long-outage', 'the name of the private endpoint leads nowhere until DNS has it again'),
    ],
    replaced: [
      'replace',
      (about) => [
        {
          impact: 'long-outage',
          says: 'the plan destroys and creates the endpoint: private clients cannot connect until address and DNS are new',
        },
        ...underLock(about),
      ],
    ],
    removed: [
      'delete',
      (about) => [
        { impact: 'long-outage', says: 'private clients can no longer connect' },
        ...underLock(about),
      ],
    ],
  },
);

const networks: Row[] = [
  ...rows(
    {
      id: 'network',
      types: [
        'azurerm_virtual_network',
        'azurerm_subnet',
        'azurerm_virtual_network_peering',
        'azurerm_private_dns_zone',
        'azurerm_private_dns_zone_virtual_network_link',
        'azurerm_subnet_network_security_group_association',
      ],
      source: sources.network,
    },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts', 'subnet', 'number_of_record_sets'], nothing],
      changed: [['*'], unjudged('clients may lose their way to the server')],
      replaced: [
        'replace',
        fixed('long-outage', 'the plan destroys and creates it: clients behind it cannot connect meanwhile'),
      ],
      removed: ['delete', fixed('long-outage', 'clients behind it can no longer connect')],
    },
  ),
  ...rows(
    {
      id: 'security-group',
      types: ['azurerm_network_security_group', 'azurerm_network_security_rule'],
      source: sources.network,
    },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      changed: [
        ['*'],
        (about) => {
          const allows = [about.attribute.after]
            .flat()
            .some((rule) => JSON.stringify(rule ?? '').includes('Allow'));
          return allows || about.attribute.isUnknown
            ? weakened('other traffic reaches the servers', 'MCSB NS-1')
            : { impact: 'unknown', says: 'clients may lose their way to the server' };
        },
      ],
      replaced: ['replace', () => weakened('for a moment nothing filters the traffic', 'MCSB NS-1')],
      removed: ['delete', () => weakened('nothing filters the traffic any more', 'MCSB NS-1')],
    },
  ),
];

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
        ({ attribute: { path, after, isUnknown } }) =>
          !isUnknown && path.endsWith('default_action') && after === 'Deny'
            ? calm('clients without a rule lose the vault')
            : weakened('other clients reach the vault', 'CKV_AZURE_109', 'PSRule AZR-000355'),
      ],
      'purge-protection': [
        ['purge_protection_enabled', 'soft_delete_retention_days'],
        toggled(
          calm('a deleted vault cannot be purged'),
          {
            impact: 'recovery-weakened',
            says: 'a deleted key is gone sooner',
            controls: ['CKV_AZURE_110', 'CIS Azure Foundations 5.0, 8.3.5'],
          },
          'off',
        ),
      ],
      roles: [
        ['rbac_authorization_enabled', 'enable_rbac_authorization', 'access_policy', 'tenant_id'],
        () =>
          weakened(
            'other principals may use the keys',
            'CIS Azure Foundations 5.0, 8.3.6',
            'PSRule AZR-000388',
          ),
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
const backups: Row[] = [
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
      changed: [['*'], fixed('recovery-weakened', 'weekly backups are kept or protected in another way')],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
];

const protection: Row[] = [
  ...rows(
    { id: 'lock', types: ['azurerm_management_lock'], source: sources.locks },
    {
      created: ['create', nothing],
      replaced: [
        'replace',
        () => weakened('for a moment nothing keeps people and programs from deleting what it locks'),
      ],
      removed: ['delete', () => weakened('nothing keeps people and programs from deleting what it locked')],
    },
  ),
  ...rows(
    { id: 'resource-group', types: ['azurerm_resource_group'], source: sources.resources },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      owner: [['managed_by'], unjudged('another resource manages the group, and may delete it')],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
  ...rows(
    { id: 'identity', types: ['azurerm_user_assigned_identity'], source: sources.identities },
    {
      created: ['create', nothing],
      tags: [['tags', 'timeouts'], nothing],
      replaced: [
        'replace',
        fixed(
          'unknown',
          'the plan destroys and creates the identity: its rights are gone, and a server that reads its key with it becomes inaccessible',
        ),
      ],
      removed: [
        'delete',
        fixed(
          'unknown',
          'the rights of the identity are gone; a server that reads its key with it becomes inaccessible',
        ),
      ],
    },
  ),
];

const privileged =
  /^(?:Owner|Contributor|User Access Administrator|Role Based Access Control Administrator|Key Vault (?:Administrator|Data Access Administrator|Crypto Officer|Secrets Officer))$/i;

const roleName = (side: About['change']['before']) =>
  textAt(side, 'role_definition_name') ?? textAt(side, 'role_definition_id') ?? 'a role';

function granted({ change }: About): Judgement {
  const role = roleName(change.after);
  return privileged.test(role) || role === 'a role'
    ? weakened(`a principal gets ${role}`, 'MCSB PA-7')
    : calm(`a principal gets ${role}`);
}

function revoked({ change }: About): Judgement {
  const role = roleName(change.before);
  if (/^Key Vault/i.test(role))
    return {
      impact: 'long-outage',
      says: `${role} is revoked: an application that unwraps keys with it can no longer read encrypted fields`,
    };
  if (/Backup|Retention/i.test(role))
    return { impact: 'recovery-weakened', says: `${role} is revoked: backups that need it fail` };
  return { impact: 'unknown', says: `${role} is revoked, and its holder may need it` };
}

const roles: Row[] = rows(
  { id: 'role', types: ['azurerm_role_assignment'], source: sources.roles },
  {
    granted: ['create', granted],
    replaced: ['replace', (about) => [granted(about), revoked(about)]],
    revoked: ['delete', revoked],
  },
);

export const surroundingRows: readonly Row[] = [
  ...privateEndpoints,
  ...networks,
  ...vault,
  ...logRows,
  ...backups,
  ...protection,
  ...roles,
];
