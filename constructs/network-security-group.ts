import {
  NetworkSecurityGroup as AzurermNetworkSecurityGroup,
  type NetworkSecurityGroupSecurityRule,
} from '@cdktf/provider-azurerm/lib/network-security-group/index.js';
import { Construct } from 'constructs';

export interface NetworkSecurityGroupProps {
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** TCP ports for clients of this network and of peered networks. */
  readonly ports: readonly number[];
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
        rule({
          name: 'AllowClientsInbound',
          description: 'PostgreSQL, PgBouncer and Key Vault from this and from peered networks',
          priority: 100,
          direction: 'Inbound',
          access: 'Allow',
          protocol: 'Tcp',
          sourceAddressPrefix: 'VirtualNetwork',
          destinationAddressPrefix: 'VirtualNetwork',
          destinationPortRanges: props.ports.map(String),
        }),
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

function rule(given: NetworkSecurityGroupSecurityRule): NetworkSecurityGroupSecurityRule {
  return { sourcePortRange: '*', ...given };
}
