import { DataAzurermPrivateDnsZone } from '@cdktf/provider-azurerm/lib/data-azurerm-private-dns-zone/index.js';
import { PrivateDnsZone as AzurermPrivateDnsZone } from '@cdktf/provider-azurerm/lib/private-dns-zone/index.js';
import { PrivateDnsZoneVirtualNetworkLink } from '@cdktf/provider-azurerm/lib/private-dns-zone-virtual-network-link/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { VirtualNetwork } from './virtual-network.ts';

export interface PrivateDnsZoneProps {
  readonly name: string;
  readonly resourceGroupName: string;
  /** Refer to a zone that exists already. @default false - created here */
  readonly existing?: boolean;
  /**
   * Networks whose clients resolve names in the zone. A network and a zone that are both adopted are linked by
   * their owners: Azure takes one link for a pair, whatever its name.
   */
  readonly networks: readonly VirtualNetwork[];
  /** @default - none; an adopted zone keeps its own */
  readonly tags?: Readonly<Record<string, string>>;
}

/** A private DNS zone, created or adopted, linked to the networks that ask it. */
export class PrivateDnsZone extends Construct {
  readonly id: string;
  readonly name: string;
  /** What must exist before a server is put in the zone; empty where nothing is linked here. */
  readonly links: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: PrivateDnsZoneProps) {
    super(scope, id);
    const { name, resourceGroupName } = props;
    const tags = props.tags && { tags: props.tags };
    const zone = props.existing
      ? new DataAzurermPrivateDnsZone(this, 'Default', { name, resourceGroupName })
      : new AzurermPrivateDnsZone(this, 'Default', { name, resourceGroupName, ...tags });
    this.id = zone.id;
    this.name = zone.name;
    this.links = props.networks
      .filter((network) => network.created || !props.existing)
      .map(
        (network) =>
          new PrivateDnsZoneVirtualNetworkLink(this, `link-${network.location}`, {
            // One zone may serve the networks of several environments: the network's name tells the links apart.
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
