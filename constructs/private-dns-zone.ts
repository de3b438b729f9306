import { DataAzurermPrivateDnsZone } from '@cdktf/provider-azurerm/lib/data-azurerm-private-dns-zone/index.js';
import { PrivateDnsZone as AzurermPrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktf/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { resourceIdOf } from '../azure/resource-id.ts';
import type { VirtualNetwork } from './virtual-network.ts';

const type = 'Microsoft.Network/privateDnsZones';

export interface PrivateDnsZoneProps {
  readonly name: string;
  readonly resourceGroupName: string;
  /** Refer to a zone that exists already. @default false - created here */
  readonly existing?: boolean;
  /** Of an existing zone, which is then not read. @default - the subscription of the deployment */
  readonly subscriptionId?: string | undefined;
  /**
   * Networks whose clients resolve names in the zone. If a network and the zone are both adopted, their owners link
   * them: Azure accepts one link per pair, regardless of its name. The owners of a zone in another subscription link all.
   */
  readonly networks: readonly VirtualNetwork[];
  /** Tags of a created zone; an adopted one keeps its own. @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A private DNS zone, created or adopted, linked to networks. */
export class PrivateDnsZone extends Construct {
  readonly id: string;
  readonly name: string;
  /** Links that must exist before a server is created in the zone. Empty if their owners link all networks. */
  readonly links: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: PrivateDnsZoneProps) {
    super(scope, id);
    const { name, resourceGroupName } = props;
    const tags = props.tags && { tags: props.tags };
    const zone = props.subscriptionId
      ? { name, id: resourceIdOf(props.subscriptionId, resourceGroupName, type, name) }
      : props.existing
        ? new DataAzurermPrivateDnsZone(this, 'Default', { name, resourceGroupName })
        : new AzurermPrivateDnsZone(this, 'Default', { name, resourceGroupName, ...tags });
    this.id = zone.id;
    this.name = zone.name;
    this.links = props.networks
      .filter((network) => !props.subscriptionId && (network.created || !props.existing))
      .map(
        (network) =>
          new PrivateDnsZoneVirtualNetworkLink(this, `link-${network.location}`, {
            // One zone may serve several environments' networks. The name of the network distinguishes the links.
            name: network.name,
            resourceGroupName,
            privateDnsZoneName: zone.name,
            virtualNetworkId: network.id,
            registrationEnabled: false,
            ...tags,
          }),
      );
  }
}
