import {
  NetworkSecurityGroup as AzurermNetworkSecurityGroup,
  type NetworkSecurityGroupSecurityRule,
} from '@cdktf/provider-azurerm/lib/network-security-group/index.js';
import { Construct } from 'constructs';

export interface NetworkSecurityGroupProps {
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** TCP ports for clients of this network and of peered networks. Empty: clients reach nothing. */
  readonly ports: readonly number[];
  /** Range of the subnet, whose members reach each other on every port. @default - they do not */
  readonly within?: string;
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * The rules of a subnet for databases or their endpoints. Clients in the networks reach the listed ports, all other
 * inbound traffic is denied, and nothing in the subnet can log in elsewhere (PSRule AZR-000137, AZR-000138,
 * AZR-000139).
 */
export class NetworkSecurityGroup extends Construct {
  readonly id: string;

  constructor(scope: Construct, id: string, props: NetworkSecurityGroupProps) {
    super(scope, id);
    this.id = new AzurermNetworkSecurityGroup(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      location: props.location,
      securityRule: [
        ...(props.ports.length > 0 ? [clients(props.ports)] : []),
        ...(props.within === undefined ? [] : [members(props.within)]),
        rule({
          name: 'AllowLoadBalancerInbound',
          description: "Azure's own health probes",
          priority: 110,
          direction: 'Inbound',
          access: 'Allow',
          protocol: '*',
          sourceAddressPrefix: 'AzureLoadBalancer',
          destinationAddressPrefix: '*',
          destinationPortRange: '*',
        }),
        rule({
          name: 'DenyOtherInbound',
          description: 'The default rules would admit every port from the networks',
          priority: 4096,
          direction: 'Inbound',
          access: 'Deny',
          protocol: '*',
          sourceAddressPrefix: '*',
          destinationAddressPrefix: '*',
          destinationPortRange: '*',
        }),
        rule({
          name: 'DenyManagementOutbound',
          description: 'Nothing here logs in elsewhere: no lateral movement over SSH or RDP',
          priority: 4096,
          direction: 'Outbound',
          access: 'Deny',
          protocol: 'Tcp',
          sourceAddressPrefix: '*',
          destinationAddressPrefix: '*',
          destinationPortRanges: ['22', '3389'],
        }),
      ],
      ...(props.tags && { tags: props.tags }),
    }).id;
  }
}

function clients(ports: readonly number[]): NetworkSecurityGroupSecurityRule {
  return rule({
    name: 'AllowClientsInbound',
    description: 'PostgreSQL, PgBouncer and Key Vault from this and from peered networks',
    priority: 100,
    direction: 'Inbound',
    access: 'Allow',
    protocol: 'Tcp',
    sourceAddressPrefix: 'VirtualNetwork',
    destinationAddressPrefix: 'VirtualNetwork',
    destinationPortRanges: ports.map(String),
  });
}

function members(range: string): NetworkSecurityGroupSecurityRule {
  return rule({
    name: 'AllowSubnetInbound',
    description: 'The members of this subnet among each other',
    priority: 105,
    direction: 'Inbound',
    access: 'Allow',
    protocol: '*',
    sourceAddressPrefix: range,
    destinationAddressPrefix: range,
    destinationPortRange: '*',
  });
}

function rule(given: NetworkSecurityGroupSecurityRule): NetworkSecurityGroupSecurityRule {
  return { sourcePortRange: '*', ...given };
}
