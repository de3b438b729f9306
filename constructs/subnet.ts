import { DataAzurermSubnet } from '@cdktf/provider-azurerm/lib/data-azurerm-subnet/index.js';
import { Subnet as AzurermSubnet } from '@cdktf/provider-azurerm/lib/subnet/index.js';
import { SubnetNetworkSecurityGroupAssociation } from '@cdktf/provider-azurerm/lib/subnet-network-security-group-association/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { expression } from './expression.ts';
import { NetworkSecurityGroup } from './network-security-group.ts';
import type { VirtualNetwork } from './virtual-network.ts';

export interface ISubnet {
  readonly id: string;
  /** Dependencies of every resource in the subnet: the security rules are then in force. */
  readonly ready: readonly ITerraformDependable[];
}

export interface SubnetProps {
  readonly name: string;
  /** CIDR range within the network's. */
  readonly range: string;
  readonly network: VirtualNetwork;
  /** `endpoints` has private endpoints; `servers` and `jobs` are delegated, to the Flexible Server and to Container Apps. */
  readonly purpose: 'endpoints' | 'servers' | 'jobs';
  /** Name of the security group, unique in the network's resource group. */
  readonly securityGroupName: string;
  /** TCP ports for clients. Empty: clients reach nothing. */
  readonly ports: readonly number[];
  /** Tags of the security group. A subnet has no tags. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A subnet with its security group. */
export class Subnet extends Construct implements ISubnet {
  readonly id: string;
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: SubnetProps) {
    super(scope, id);
    const { network } = props;
    const subnet = new AzurermSubnet(this, 'Default', {
      name: props.name,
      resourceGroupName: network.resourceGroupName,
      virtualNetworkName: network.name,
      addressPrefixes: [props.range],
      ...argumentsOf[props.purpose],
    });
    const rules = new NetworkSecurityGroup(this, 'rules', {
      name: props.securityGroupName,
      resourceGroupName: network.resourceGroupName,
      location: network.location,
      ports: props.ports,
      // The nodes of an environment of Container Apps talk to each other.
      ...(props.purpose === 'jobs' && { within: props.range }),
      ...(props.tags && { tags: props.tags }),
    });
    this.id = subnet.id;
    this.ready = [
      new SubnetNetworkSecurityGroupAssociation(this, 'association', {
        subnetId: subnet.id,
        networkSecurityGroupId: rules.id,
      }),
    ];
  }
}

export interface AdoptedSubnetProps extends Pick<SubnetProps, 'name' | 'range' | 'network'> {}

/**
 * A subnet that the owner of an adopted network has made, with its security group, route table and delegation. The plan
 * fails if its range is another than that of the settings, which the rules have checked. A subnet in another
 * subscription is not read.
 */
export class AdoptedSubnet extends Construct implements ISubnet {
  readonly id: string;
  readonly ready: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { name, range, network }: AdoptedSubnetProps) {
    super(scope, id);
    if (network.elsewhere) {
      this.id = `${network.id}/subnets/${name}`;
      this.ready = [];
      return;
    }
    const subnet = new DataAzurermSubnet(this, 'Default', {
      name,
      virtualNetworkName: network.name,
      resourceGroupName: network.resourceGroupName,
      lifecycle: {
        postcondition: [
          {
            condition: expression(`contains(self.address_prefixes, ${JSON.stringify(range)})`),
            errorMessage: `Subnet ${name} of ${network.name} does not have the range ${range} of the settings.`,
          },
        ],
      },
    });
    this.id = subnet.id;
    this.ready = [subnet];
  }
}

const endpointSubnet = {
  defaultOutboundAccessEnabled: false,
  // With the default, Disabled, traffic to a private endpoint bypasses the security group.
  privateEndpointNetworkPolicies: 'NetworkSecurityGroupEnabled',
};

// Default outbound access does not apply to a delegated subnet. The service archives its log over the storage endpoint
// and adds that endpoint unless it is declared here.
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

// https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
const jobSubnet = {
  delegation: [
    {
      name: 'container-apps',
      serviceDelegation: {
        name: 'Microsoft.App/environments',
        actions: ['Microsoft.Network/virtualNetworks/subnets/join/action'],
      },
    },
  ],
};

const argumentsOf = { endpoints: endpointSubnet, servers: serverSubnet, jobs: jobSubnet } as const;
