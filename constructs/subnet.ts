import { Subnet as AzurermSubnet } from '@cdktf/provider-azurerm/lib/subnet/index.js';
import { SubnetNetworkSecurityGroupAssociation } from '@cdktf/provider-azurerm/lib/subnet-network-security-group-association/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { NetworkSecurityGroup } from './network-security-group.ts';
import type { VirtualNetwork } from './virtual-network.ts';

export interface SubnetProps {
  readonly name: string;
  /** CIDR range inside the network's. */
  readonly range: string;
  readonly network: VirtualNetwork;
  /** `endpoints` holds private endpoints, `servers` is delegated to Flexible Server. */
  readonly purpose: 'endpoints' | 'servers';
  /** Name of the security group, unique in the network's resource group. */
  readonly securityGroupName: string;
  /** TCP ports that clients reach. */
  readonly ports: readonly number[];
  /** Tags of the security group; a subnet has none. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A subnet with the security group that closes it. */
export class Subnet extends Construct {
  readonly id: string;
  /** What must exist before anything is put in the subnet: its rules are then in force. */
  readonly ready: ITerraformDependable;

  constructor(scope: Construct, id: string, props: SubnetProps) {
    super(scope, id);
    const { network } = props;
    const subnet = new AzurermSubnet(this, 'Default', {
      name: props.name,
      resourceGroupName: network.resourceGroupName,
      virtualNetworkName: network.name,
      addressPrefixes: [props.range],
      ...(props.purpose === 'endpoints' ? endpointSubnet : serverSubnet),
    });
    const rules = new NetworkSecurityGroup(this, 'rules', {
      name: props.securityGroupName,
      resourceGroupName: network.resourceGroupName,
      location: network.location,
      ports: props.ports,
      ...(props.tags && { tags: props.tags }),
    });
    this.id = subnet.id;
    this.ready = new SubnetNetworkSecurityGroupAssociation(this, 'association', {
      subnetId: subnet.id,
      networkSecurityGroupId: rules.id,
    });
  }
}

const endpointSubnet = {
  defaultOutboundAccessEnabled: false,
  // The default, Disabled, lets traffic to a private endpoint pass by the security group.
  privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled',
};

// A delegated subnet's way out is the service's own business (default outbound access does not apply to it), and
// the service adds the storage endpoint, over which it archives its log, if it is not declared here.
const serverSubnet = {
  serviceEndpoints: ['Microsoft.Storage'],
  delegation: [
    {
      name: 'flexible-server',
      serviceDelegation: {
        name: 'Microsoft.DBforPostgreSQL/flexibleServers',
        actions: ['Microsoft.Network/virtualNetworks/subnets/join/action'],
      },
    },
  ],
};
