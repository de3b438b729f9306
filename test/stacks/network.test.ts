import { describe, expect, it } from 'vitest';
import { type Block, expression, inRegionWithoutZones, stackOf } from './stack.ts';

const production = stackOf('production');
const server = 'azurerm_postgresql_flexible_server.server';
const replica = 'azurerm_postgresql_flexible_server.replica';

describe('a region without zones', () => {
  const stack = stackOf('production', inRegionWithoutZones);

  it('leaves the place of servers and standby to Azure', () => {
    for (const one of [server, replica]) expect(stack.at(one)).not.toHaveProperty('zone');
    expect(stack.at(server)).toMatchObject({ high_availability: { mode: 'SameZone' } });
    expect(stack.at(server)['high_availability']).not.toHaveProperty('standby_availability_zone');
  });

  it("keeps a replica there in the primary's network and group", () => {
    expect(stack.at(replica)).toMatchObject({
      location: 'northcentralus',
      resource_group_name: expression('azurerm_resource_group.resource_group.name'),
    });
    expect(stack.at('azurerm_private_endpoint.replica_endpoint')).toMatchObject({
      location: 'northcentralus',
      subnet_id: expression('azurerm_subnet.endpoint_subnet.id'),
    });
    expect(Object.keys(stack.all('azurerm_virtual_network'))).toEqual(['network']);
  });
});

const only = (blocks: Readonly<Record<string, Block>>): Block => {
  const [first, second] = Object.values(blocks);
  if (!first || second) throw new Error(`expected one resource, found ${Object.keys(blocks).join(', ')}`);
  return first;
};

describe('private endpoints', () => {
  it("give each server an address in its region's network, and both networks its name", () => {
    expect(production.at(server)).toMatchObject({ public_network_access_enabled: false });
    expect(production.at(replica)).toMatchObject({ public_network_access_enabled: false });
    for (const [owner, subnet, location] of [
      ['server', 'endpoint_subnet', 'eastus'],
      ['replica', 'recovery_endpoint_subnet', 'westus2'],
    ]) {
      expect(production.at(`azurerm_private_endpoint.${owner}_endpoint`)).toMatchObject({
        location,
        subnet_id: expression(`azurerm_subnet.${subnet}.id`),
        private_dns_zone_group: {
          private_dns_zone_ids: [expression('azurerm_private_dns_zone.postgresql_zone.id')],
        },
        private_service_connection: {
          private_connection_resource_id: expression(`azurerm_postgresql_flexible_server.${owner}.id`),
          subresource_names: ['postgresqlServer'],
          is_manual_connection: false,
        },
      });
    }
    const links = Object.values(production.all('azurerm_private_dns_zone_virtual_network_link'));
    expect(links.map((link) => [link['private_dns_zone_name'], link['virtual_network_id']])).toEqual(
      ['key_vault_zone', 'postgresql_zone'].flatMap((zone) =>
        ['network', 'recovery_network'].map((network) => [
          expression(`azurerm_private_dns_zone.${zone}.name`),
          expression(`azurerm_virtual_network.${network}.id`),
        ]),
      ),
    );
  });

  it('connect the two networks in both directions', () => {
    const peerings = Object.values(production.all('azurerm_virtual_network_peering'));
    expect(peerings.map((one) => [one['virtual_network_name'], one['remote_virtual_network_id']])).toEqual([
      [
        expression('azurerm_virtual_network.recovery_network.name'),
        expression('azurerm_virtual_network.network.id'),
      ],
      [
        expression('azurerm_virtual_network.network.name'),
        expression('azurerm_virtual_network.recovery_network.id'),
      ],
    ]);
  });
});

describe('injected servers', () => {
  const injected = stackOf('production', (input) => {
    if (input.network.mode !== 'privateEndpoint' || !input.network.recovery)
      throw new Error('not as expected');
    const { primary, recovery } = input.network;
    input.network = {
      mode: 'virtualNetworkInjected',
      primary: { ...primary, delegatedSubnet: { name: 'servers', range: '10.30.2.0/24' } },
      recovery: { ...recovery, delegatedSubnet: { name: 'servers', range: '10.31.2.0/24' } },
    };
  });

  it("are in delegated subnets, with names in a zone of the environment's own", () => {
    for (const [owner, subnet] of [
      ['server', 'server_subnet'],
      ['replica', 'recovery_server_subnet'],
    ] as const) {
      expect(injected.at(`azurerm_postgresql_flexible_server.${owner}`)).toMatchObject({
        public_network_access_enabled: false,
        delegated_subnet_id: expression(`azurerm_subnet.${subnet}.id`),
        private_dns_zone_id: expression('azurerm_private_dns_zone.postgresql_zone.id'),
      });
      expect(injected.at(`azurerm_subnet.${subnet}`)).toMatchObject({
        delegation: [{ service_delegation: { name: 'Microsoft.DBforPostgreSQL/flexibleServers' } }],
        service_endpoints: ['Microsoft.Storage'],
      });
    }
    expect(injected.at('azurerm_private_dns_zone.postgresql_zone')).toMatchObject({
      name: 'llama-mapper-production.private.postgres.database.azure.com',
    });
  });

  it('are created after their security rules and DNS links, without endpoints', () => {
    for (const [owner, prefix] of [
      ['server', ''],
      ['replica', 'recovery_'],
    ] as const) {
      const before = injected.before(`azurerm_postgresql_flexible_server.${owner}`);
      expect(before).toContain(
        `azurerm_subnet_network_security_group_association.${prefix}server_subnet_association`,
      );
      for (const region of ['eastus', 'westus2']) {
        expect(before).toContain(
          `azurerm_private_dns_zone_virtual_network_link.postgresql_zone_link-${region}`,
        );
      }
    }
    expect(Object.keys(injected.all('azurerm_private_endpoint'))).toEqual(['key_vault_endpoint']);
  });

  it('replicate over the peering of their networks', () => {
    expect(injected.before(replica)).toContain('azurerm_virtual_network_peering.network_peering_back');
    expect(injected.before(replica)).toContain('azurerm_virtual_network_peering.network_peering_there');
  });
});

describe('public servers', () => {
  const ranges = [
    { name: 'office', start: '20.50.10.8', end: '20.50.10.15' },
    { name: 'vpn', start: '20.50.11.4', end: '20.50.11.4' },
  ];
  const open = stackOf('development', (input) => {
    input.network = { mode: 'public', primary: input.network.primary, allowedRanges: ranges };
  });

  it('are open to the listed ranges only', () => {
    expect(open.at(server)).toMatchObject({ public_network_access_enabled: true });
    const rules = Object.values(open.all('azurerm_postgresql_flexible_server_firewall_rule'));
    expect(rules).toMatchObject(
      ranges.map(({ name, start, end }) => ({ name, start_ip_address: start, end_ip_address: end })),
    );
    expect(rules).toHaveLength(2);
  });

  it('have no endpoint and no zone, while the vault stays closed', () => {
    expect(Object.keys(open.all('azurerm_private_endpoint'))).toEqual(['key_vault_endpoint']);
    expect(Object.keys(open.all('azurerm_private_dns_zone'))).toEqual(['key_vault_zone']);
    expect(open.at('azurerm_key_vault.key_vault')).toMatchObject({ public_network_access_enabled: false });
  });

  it('get administrators after the firewall', () => {
    const [administrator] = Object.keys(
      open.all('azurerm_postgresql_flexible_server_active_directory_administrator'),
    );
    expect(
      open.before(`azurerm_postgresql_flexible_server_active_directory_administrator.${administrator}`),
    ).toContain('azurerm_postgresql_flexible_server_firewall_rule.server_firewall_vpn');
  });
});

describe('adoption', () => {
  const adopted = stackOf('production', (input) => {
    if (input.network.mode !== 'privateEndpoint' || !input.network.recovery)
      throw new Error('not as expected');
    input.resourceGroup.existing = true;
    input.network.primary.virtualNetwork = {
      name: 'hub-eastus',
      addressSpace: ['10.30.0.0/16'],
      existing: true,
      resourceGroup: 'network-rg',
    };
    input.network.postgresqlZone = { existing: true, resourceGroup: 'dns-rg' };
    input.network.keyVaultZone = { existing: true, resourceGroup: 'dns-rg' };
    Object.assign(input.keyVault, {
      name: 'comply-ai-keyvault',
      existing: true,
      resourceGroup: 'comply-ai-rg',
    });
    Object.assign(input.logAnalytics, {
      name: 'comply-ai-logs',
      existing: true,
      resourceGroup: 'comply-ai-rg',
    });
  });

  it('refers to existing resources and creates none of them', () => {
    for (const [type, name] of [
      ['azurerm_resource_group', 'resource_group'],
      ['azurerm_virtual_network', 'network'],
      ['azurerm_private_dns_zone', 'postgresql_zone'],
      ['azurerm_private_dns_zone', 'key_vault_zone'],
      ['azurerm_key_vault', 'key_vault'],
      ['azurerm_log_analytics_workspace', 'log_analytics'],
    ] as const) {
      expect(adopted.all(type), `${type}.${name}`).not.toHaveProperty(name);
      expect(adopted.at(`data.${type}.${name}`)).toHaveProperty('name');
    }
    expect(adopted.at('data.azurerm_virtual_network.network')).toMatchObject({
      name: 'hub-eastus',
      resource_group_name: 'network-rg',
    });
  });

  it("creates subnets and their rules in the adopted network's group", () => {
    for (const address of [
      'azurerm_subnet.endpoint_subnet',
      'azurerm_network_security_group.endpoint_subnet_rules',
    ]) {
      expect(adopted.at(address)).toMatchObject({ resource_group_name: 'network-rg' });
    }
  });

  it('links zones to created networks only, and leaves peering to their owners', () => {
    const links = Object.values(adopted.all('azurerm_private_dns_zone_virtual_network_link'));
    expect(links.map((link) => link['virtual_network_id'])).toEqual([
      expression('azurerm_virtual_network.recovery_network.id'),
      expression('azurerm_virtual_network.recovery_network.id'),
    ]);
    expect(links[0]).toMatchObject({ resource_group_name: 'dns-rg' });
    expect(adopted.all('azurerm_virtual_network_peering')).toEqual({});
  });

  it('neither watches, locks nor protects an adopted vault, and still reaches it', () => {
    expect(Object.keys(adopted.all('azurerm_management_lock'))).toEqual([
      'deletion_lock_replica',
      'deletion_lock_server',
    ]);
    expect(Object.keys(adopted.all('azurerm_monitor_diagnostic_setting'))).toEqual([
      'replica_diagnostics',
      'server_diagnostics',
    ]);
    expect(adopted.at('azurerm_private_endpoint.key_vault_endpoint')).toMatchObject({
      private_service_connection: {
        private_connection_resource_id: expression('data.azurerm_key_vault.key_vault.id'),
      },
    });
    expect(only(adopted.all('azurerm_resource_group_template_deployment'))).toMatchObject({
      resource_group_name: 'comply-ai-rg',
    });
  });
});

describe('hub and spoke', () => {
  const hub = '7d0c1b52-4c1e-4a8e-9b57-0c6b0a1d9e21';
  const inHub = { existing: true, resourceGroup: 'hub-rg', subscriptionId: hub };
  const idOf = (type: string, name: string) =>
    `/subscriptions/${hub}/resourceGroups/hub-rg/providers/${type}/${name}`;
  const spoke = stackOf('production', (input) => {
    if (input.network.mode !== 'privateEndpoint' || !input.network.recovery)
      throw new Error('not as expected');
    const { primary, recovery } = input.network;
    Object.assign(primary.virtualNetwork, { existing: true, resourceGroup: 'network-rg' });
    Object.assign(recovery.virtualNetwork, inHub);
    primary.endpointSubnet.existing = true;
    recovery.endpointSubnet.existing = true;
    input.network.postgresqlZone = { ...inHub };
    input.network.keyVaultZone = { byPolicy: true };
    Object.assign(input.logAnalytics, { ...inHub, name: 'hub-logs' });
  });

  it('leaves subnets, security groups, zones, links and peering to their owners', () => {
    for (const type of [
      'azurerm_subnet',
      'azurerm_network_security_group',
      'azurerm_subnet_network_security_group_association',
      'azurerm_private_dns_zone',
      'azurerm_private_dns_zone_virtual_network_link',
      'azurerm_virtual_network_peering',
      'azurerm_virtual_network',
    ])
      expect(spoke.all(type), type).toEqual({});
  });

  it('reads what is in the own subscription, and checks the range of the subnet', () => {
    expect(spoke.at('data.azurerm_subnet.endpoint_subnet')).toMatchObject({
      resource_group_name: 'network-rg',
      lifecycle: { postcondition: [{ condition: expect.stringContaining('10.30.1.0/24') }] },
    });
    expect(spoke.at('azurerm_private_endpoint.server_endpoint')).toMatchObject({
      subnet_id: expression('data.azurerm_subnet.endpoint_subnet.id'),
    });
  });

  it('refers to what is in another subscription by its id, and reads none of it', () => {
    expect(spoke.text).not.toContain('data.azurerm_log_analytics_workspace');
    expect(spoke.at('azurerm_private_endpoint.replica_endpoint')).toMatchObject({
      subnet_id: expect.stringMatching(
        new RegExp(`^${idOf('Microsoft.Network/virtualNetworks', '[^/]+')}/subnets/[^/]+$`),
      ),
      private_dns_zone_group: {
        private_dns_zone_ids: [
          idOf('Microsoft.Network/privateDnsZones', 'privatelink.postgres.database.azure.com'),
        ],
      },
    });
    expect(spoke.at('azurerm_monitor_diagnostic_setting.server_diagnostics')).toMatchObject({
      log_analytics_workspace_id: idOf('Microsoft.OperationalInsights/workspaces', 'hub-logs'),
    });
  });

  it('leaves the registration of an endpoint to the policy, also when it has registered it', () => {
    const endpoint = spoke.at('azurerm_private_endpoint.key_vault_endpoint');
    expect(endpoint).not.toHaveProperty('private_dns_zone_group');
    expect(endpoint).toMatchObject({ lifecycle: { ignore_changes: ['private_dns_zone_group'] } });
  });
});
