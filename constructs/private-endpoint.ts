import { PrivateEndpoint as AzurermPrivateEndpoint } from '@cdktf/provider-azurerm/lib/private-endpoint/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import type { PrivateDnsZone } from './private-dns-zone.ts';
import type { ISubnet } from './subnet.ts';

export interface PrivateEndpointProps {
  /** 2-64 characters. The names of the network interface and the connection start with it. */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  readonly subnet: ISubnet;
  /** Resource that is reached through the endpoint. */
  readonly targetId: string;
  /** `postgresqlServer` or `vault`. */
  readonly subresource: 'postgresqlServer' | 'vault';
  /** Zone that gets the target's address. @default - an Azure Policy registers it, and the stack leaves it alone */
  readonly zone?: PrivateDnsZone | undefined;
  /** Resources that must be finished before. @default - those that the arguments refer to */
  readonly after?: readonly ITerraformDependable[];
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * An address in a network for a resource that is closed to the internet.
 *
 * A server is `Updating` while its endpoint is created and refuses every other change (terraform-provider-azurerm#29177).
 * The next operation on the server depends on `last`.
 */
export class PrivateEndpoint extends Construct {
  readonly last: ITerraformDependable;

  constructor(scope: Construct, id: string, props: PrivateEndpointProps) {
    super(scope, id);
    this.last = new AzurermPrivateEndpoint(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      location: props.location,
      subnetId: props.subnet.id,
      customNetworkInterfaceName: derivedNames.endpointInterface(props.name),
      privateServiceConnection: {
        name: derivedNames.endpointConnection(props.name),
        privateConnectionResourceId: props.targetId,
        subresourceNames: [props.subresource],
        isManualConnection: false,
      },
      ...(props.zone
        ? { privateDnsZoneGroup: { name: 'default', privateDnsZoneIds: [props.zone.id] } }
        : { lifecycle: { ignoreChanges: ['private_dns_zone_group'] } }),
      dependsOn: [...props.subnet.ready, ...(props.zone?.links ?? []), ...(props.after ?? [])],
      ...(props.tags && { tags: props.tags }),
    });
  }
}
