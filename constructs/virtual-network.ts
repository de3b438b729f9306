import { DataAzurermVirtualNetwork } from '@cdktf/provider-azurerm/lib/data-azurerm-virtual-network/index.js';
import { VirtualNetwork as AzurermVirtualNetwork } from '@cdktf/provider-azurerm/lib/virtual-network/index.js';
import { Construct } from 'constructs';
import { resourceIdOf } from '../azure/resource-id.ts';

const type = 'Microsoft.Network/virtualNetworks';

export interface VirtualNetworkProps {
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** CIDR ranges. An adopted network keeps its own. */
  readonly addressSpace: readonly string[];
  /** Refer to a network that exists already. @default false - created here */
  readonly existing?: boolean;
  /** Of an existing network, which is then not read. @default - the subscription of the deployment */
  readonly subscriptionId?: string | undefined;
  /** Tags of a created network; an adopted one keeps its own. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A virtual network, created or adopted. Its subnets are separate resources (`subnet.ts`). */
export class VirtualNetwork extends Construct {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  readonly created: boolean;
  /** Whether Terraform knows only its id. */
  readonly elsewhere: boolean;

  constructor(scope: Construct, id: string, props: VirtualNetworkProps) {
    super(scope, id);
    const { name, resourceGroupName } = props;
    const network = props.subscriptionId
      ? { name, id: resourceIdOf(props.subscriptionId, resourceGroupName, type, name) }
      : props.existing
        ? new DataAzurermVirtualNetwork(this, 'Default', { name, resourceGroupName })
        : new AzurermVirtualNetwork(this, 'Default', {
            name,
            resourceGroupName,
            location: props.location,
            addressSpace: [...props.addressSpace],
            ...(props.tags && { tags: props.tags }),
          });
    this.id = network.id;
    this.name = network.name;
    this.resourceGroupName = resourceGroupName;
    this.location = props.location;
    this.created = !props.existing;
    this.elsewhere = props.subscriptionId !== undefined;
  }
}
