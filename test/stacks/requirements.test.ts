/**
 * Requirements of PSRule for Azure and of the Azure Proactive Resiliency Library. Neither reads Terraform, so the tests
 * check each requirement in production's synthesized file.
 */
import { describe, expect, it } from 'vitest';
import { type Block, expression, stackOf } from './stack.ts';

const production = stackOf('production');
const server = production.at('azurerm_postgresql_flexible_server.server');
const replica = production.at('azurerm_postgresql_flexible_server.replica');
const vault = production.at('azurerm_key_vault.key_vault');
const all = (type: string): Block[] => {
  const found = Object.values(production.all(type));
  if (found.length === 0) throw new Error(`production has no ${type}`);
  return found;
};

interface Rule {
  readonly name?: string;
  readonly direction: string;
  readonly access: string;
  readonly priority: number;
  readonly source_address_prefix: string;
  readonly destination_port_range?: string;
  readonly destination_port_ranges?: readonly string[];
}
const rulesOf = (group: Block) => group['security_rule'] as readonly Rule[];

/** The template from which Resource Manager creates the key. */
function key(): {
  readonly properties: {
    readonly kty: string;
    readonly rotationPolicy: {
      readonly lifetimeActions: readonly { readonly action: { readonly type: string } }[];
    };
  };
} {
  const [deployment] = all('azurerm_resource_group_template_deployment');
  return JSON.parse(String(deployment?.['template_content'])).resources[0];
}

const psrule: readonly [id: string, what: string, check: () => void][] = [
  [
    'AZR-000326',
    'geo-redundant backup',
    () => expect(server).toMatchObject({ geo_redundant_backup_enabled: true }),
  ],
  [
    'AZR-000389',
    'Entra administrator',
    () =>
      expect(all('azurerm_postgresql_flexible_server_active_directory_administrator')).toMatchObject([
        {
          server_name: 'llama-mapper-production',
          principal_type: 'Group',
          principal_name: expect.stringMatching(/./),
          tenant_id: expect.stringMatching(/./),
        },
      ]),
  ],
  [
    'AZR-000390',
    'Entra login only',
    () =>
      expect(server).toMatchObject({
        authentication: { active_directory_auth_enabled: true, password_auth_enabled: false },
      }),
  ],
  [
    'AZR-000433',
    'maintenance window',
    () => {
      for (const one of [server, replica]) {
        expect(one).toMatchObject({ maintenance_window: { day_of_week: 0, start_hour: 2, start_minute: 0 } });
      }
    },
  ],
  [
    'AZR-000434',
    'zone-redundant high availability',
    () => {
      expect(server).toMatchObject({ high_availability: { mode: 'ZoneRedundant' } });
      expect(server['sku_name']).toMatch(/^(GP|MO)_/);
    },
  ],
  ['AZR-000118', 'no access policies', () => expect(vault).not.toHaveProperty('access_policy')],
  [
    'AZR-000119',
    'vault audit log',
    () =>
      expect(production.at('azurerm_monitor_diagnostic_setting.key_vault_diagnostics')).toMatchObject({
        target_resource_id: expression('azurerm_key_vault.key_vault.id'),
        enabled_log: [{ category_group: 'allLogs' }],
      }),
  ],
  [
    'AZR-000120',
    'vault name',
    () => expect(vault['name']).toMatch(/^[a-zA-Z][a-zA-Z0-9-]{1,22}[a-zA-Z0-9]$/),
  ],
  ['AZR-000122', 'key name', () => expect(Object(key()).name.split('/')[1]).toMatch(/^[A-Za-z0-9-]{1,127}$/)],
  [
    'AZR-000123',
    'key rotation',
    () =>
      expect(key().properties.rotationPolicy.lifetimeActions.map(({ action }) => action.type)).toContain(
        'rotate',
      ),
  ],
  [
    'AZR-000124',
    'soft delete',
    () => {
      // Azure no longer turns it off; only its duration can be wrong.
      expect(vault['soft_delete_retention_days']).toBeGreaterThanOrEqual(7);
    },
  ],
  ['AZR-000125', 'purge protection', () => expect(vault).toMatchObject({ purge_protection_enabled: true })],
  [
    'AZR-000355',
    'vault firewall',
    () =>
      expect(vault).toMatchObject({
        public_network_access_enabled: false,
        network_acls: { default_action: 'Deny' },
      }),
  ],
  ['AZR-000388', 'vault roles', () => expect(vault).toMatchObject({ rbac_authorization_enabled: true })],
  [
    'AZR-000491',
    'alerts resolve by themselves',
    () => {
      for (const alert of all('azurerm_monitor_metric_alert')) expect(alert['auto_mitigate']).toBe(true);
    },
  ],
  [
    'AZR-000486',
    'workspace name',
    () =>
      expect(production.at('azurerm_log_analytics_workspace.log_analytics')['name']).toMatch(
        /^[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]$/,
      ),
  ],
  [
    'AZR-000263',
    'a security group on every subnet',
    () => {
      const protectedSubnets = all('azurerm_subnet_network_security_group_association').map(
        (one) => one['subnet_id'],
      );
      const subnets = Object.keys(production.all('azurerm_subnet'));
      expect(protectedSubnets.sort()).toEqual(
        subnets.map((name) => expression(`azurerm_subnet.${name}.id`)).sort(),
      );
    },
  ],
  [
    'AZR-000264 and 265',
    "Azure's own name servers",
    () => {
      for (const network of all('azurerm_virtual_network')) expect(network).not.toHaveProperty('dns_servers');
    },
  ],
  [
    'AZR-000266',
    'peering in both directions',
    () => {
      const ends = all('azurerm_virtual_network_peering').map((one) =>
        [one['virtual_network_name'], one['remote_virtual_network_id']]
          .map((reference) => String(reference).split('.')[1])
          .join(' to '),
      );
      expect(ends.sort()).toEqual(['network to recovery_network', 'recovery_network to network']);
    },
  ],
  [
    'AZR-000267 and 268',
    'names of networks and subnets',
    () => {
      for (const one of [...all('azurerm_virtual_network'), ...all('azurerm_subnet')]) {
        expect(one['name']).toMatch(/^[A-Za-z0-9]([\w.-]{0,78}\w)?$/);
      }
    },
  ],
  [
    'AZR-000137',
    'no rule lets anybody in',
    () => {
      for (const rule of all('azurerm_network_security_group').flatMap(rulesOf)) {
        if (rule.direction === 'Inbound' && rule.access === 'Allow') {
          expect(['VirtualNetwork', 'AzureLoadBalancer']).toContain(rule.source_address_prefix);
        }
      }
    },
  ],
  [
    'AZR-000138',
    'not everything inbound is denied',
    () => {
      for (const rules of all('azurerm_network_security_group').map(rulesOf)) {
        const inbound = rules.filter((rule) => rule.direction === 'Inbound');
        const first = (access: string) =>
          Math.min(...inbound.filter((rule) => rule.access === access).map((rule) => rule.priority));
        expect(first('Allow')).toBeLessThan(first('Deny'));
      }
    },
  ],
  [
    'AZR-000139',
    'no way on by SSH or RDP',
    () => {
      for (const rules of all('azurerm_network_security_group').map(rulesOf)) {
        expect(rules.filter((rule) => rule.direction === 'Outbound' && rule.access === 'Deny')).toMatchObject(
          [{ destination_port_ranges: ['22', '3389'] }],
        );
      }
    },
  ],
  [
    'AZR-000140',
    'no security group without a subnet',
    () => {
      const used = all('azurerm_subnet_network_security_group_association').map(
        (one) => one['network_security_group_id'],
      );
      for (const name of Object.keys(production.all('azurerm_network_security_group'))) {
        expect(used).toContain(expression(`azurerm_network_security_group.${name}.id`));
      }
    },
  ],
];

const aprl: typeof psrule = [
  [
    'ca87914f',
    'zone-redundant high availability',
    () =>
      expect(server).toMatchObject({
        zone: '1',
        high_availability: { mode: 'ZoneRedundant', standby_availability_zone: '2' },
      }),
  ],
  [
    'b2bad57d',
    'custom maintenance schedule',
    () => expect(server).toMatchObject({ maintenance_window: { start_hour: 2 } }),
  ],
  [
    '31f4ac4b',
    'geo-redundant backup',
    () => expect(server).toMatchObject({ geo_redundant_backup_enabled: true, backup_retention_days: 35 }),
  ],
  [
    '2ab85a67',
    'read replica in another region',
    () => {
      expect(replica).toMatchObject({
        create_mode: 'Replica',
        source_server_id: expression('azurerm_postgresql_flexible_server.server.id'),
      });
      expect(replica['location']).not.toBe(server['location']);
    },
  ],
  [
    '6293a3cc',
    'storage that grows',
    () => {
      for (const one of [server, replica]) expect(one).toMatchObject({ auto_grow_enabled: true });
    },
  ],
];

describe('PSRule for Azure holds for production', () => {
  it.each(psrule)('%s: %s', (_id, _what, check) => check());
});

describe('the Azure Proactive Resiliency Library holds for production', () => {
  it.each(aprl)('%s: %s', (_id, _what, check) => check());
});

describe('tags', () => {
  // Azure or azurerm 4.55.0 accepts no tags on these.
  const untagged =
    /^(azurerm_(postgresql_flexible_server_\w+|subnet\w*|monitor_diagnostic_setting|management_lock|role_assignment|virtual_network_peering|consumption_budget_resource_group|data_protection_backup_(policy|instance)_\w+)|terraform_data)$/;

  it('are on every resource of production that supports them', () => {
    const without = Object.entries(production.document.resource)
      .filter(([type]) => !untagged.test(type))
      .flatMap(([type, named]) =>
        Object.entries(named)
          .filter(([, block]) => Object(block['tags']).Environment !== 'production')
          .map(([name]) => `${type}.${name}`),
      );
    expect(without).toEqual([]);
  });
});
