import { VirtualNetworkPeering } from '@cdktf/provider-azurerm/lib/virtual-network-peering/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import type { VirtualNetwork } from './virtual-network.ts';

export interface NetworkPeeringProps {
  readonly first: VirtualNetwork;
  readonly second: VirtualNetwork;
}

/**
 * Connects two networks in both directions: a peering in one direction stays `Initiated` and carries no traffic (PSRule
 * AZR-000266). Without a peering, a client in one region cannot reach the writer in the other region after a switchover,
 * and injected servers cannot replicate.
 */
export class NetworkPeering extends Construct {
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, { first, second }: NetworkPeeringProps) {
    super(scope, id);
    const there = peering(this, 'there', first, second, []);
    // A network is "Updating" while one of its peerings is created.
    const back = peering(this, 'back', second, first, [there]);
    this.resources = [there, back];
  }
}

function peering(
  scope: Construct,
  id: string,
  from: VirtualNetwork,
  to: VirtualNetwork,
  dependsOn: ITerraformDependable[],
) {
  return new VirtualNetworkPeering(scope, id, {
    name: derivedNames.peering(to.location),
    resourceGroupName: from.resourceGroupName,
    virtualNetworkName: from.name,
    remoteVirtualNetworkId: to.id,
    allowVirtualNetworkAccess: true,
    allowForwardedTraffic: false,
    allowGatewayTransit: false,
    useRemoteGateways: false,
    dependsOn,
  });
}
