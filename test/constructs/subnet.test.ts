import { describe, expect, it } from 'vitest';
import { Subnet } from '../../constructs/subnet.ts';
import { VirtualNetwork } from '../../constructs/virtual-network.ts';
import { expression, synthesize } from './synthesized.ts';

const build = (purpose: 'endpoints' | 'servers') =>
  synthesize((stack) => {
    const network = new VirtualNetwork(stack, 'network', {
      name: 'comply-ai-vnet',
      resourceGroupName: 'comply-ai-rg',
      location: 'eastus',
      addressSpace: ['10.0.0.0/16'],
    });
    new Subnet(stack, 'subnet', {
      name: 'llama-mapper',
      range: '10.0.1.0/24',
      network,
      purpose,
      ports: [5432, 6432],
      securityGroupName: 'llama-mapper-nsg',
      tags: { Environment: 'test' },
    });
  });

describe('Subnet', () => {
  it('of endpoints applies its rules to them and has no default outbound access', () => {
    expect(build('endpoints').resource('azurerm_subnet')).toMatchObject({
      address_prefixes: ['10.0.1.0/24'],
      private_endpoint_network_policies: 'NetworkSecurityGroupEnabled',
      default_outbound_access_enabled: false,
    });
  });

  it("of servers is delegated and keeps the service endpoint of their log's storage", () => {
    const subnet = build('servers').resource('azurerm_subnet');
    expect(subnet).toMatchObject({
      service_endpoints: ['Microsoft.Storage'],
      delegation: [
        {
          service_delegation: {
            name: 'Microsoft.DBforPostgreSQL/flexibleServers',
            actions: ['Microsoft.Network/virtualNetworks/subnets/join/action'],
          },
        },
      ],
    });
    expect(subnet).not.toHaveProperty('default_outbound_access_enabled');
  });

  it.each(['endpoints', 'servers'] as const)(
    'of %s lets clients reach its ports and nothing else',
    (purpose) => {
      const stack = build(purpose);
      const group = stack.resource('azurerm_network_security_group');
      expect(group).toMatchObject({ name: 'llama-mapper-nsg', tags: { Environment: 'test' } });
      expect(group['security_rule']).toMatchObject([
        {
          direction: 'Inbound',
          access: 'Allow',
          protocol: 'Tcp',
          source_address_prefix: 'VirtualNetwork',
          destination_port_ranges: ['5432', '6432'],
        },
        { direction: 'Inbound', access: 'Allow', source_address_prefix: 'AzureLoadBalancer' },
        { direction: 'Inbound', access: 'Deny', source_address_prefix: '*', destination_port_range: '*' },
        { direction: 'Outbound', access: 'Deny', destination_port_ranges: ['22', '3389'] },
      ]);
      expect(stack.resource('azurerm_subnet_network_security_group_association')).toMatchObject({
        subnet_id: expression(`azurerm_subnet.${only(stack.resources('azurerm_subnet'))}.id`),
        network_security_group_id: expression(
          `azurerm_network_security_group.${only(stack.resources('azurerm_network_security_group'))}.id`,
        ),
      });
    },
  );
});

function only(blocks: Readonly<Record<string, unknown>>): string {
  const [name, another] = Object.keys(blocks);
  if (name === undefined || another !== undefined) throw new Error('expected one');
  return name;
}
