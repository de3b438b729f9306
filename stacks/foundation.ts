/** Resource groups, networks and name resolution: the servers and the vault are built on them. */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { NetworkPeering } from '../constructs/network-peering.ts';
import { PrivateDnsZone } from '../constructs/private-dns-zone.ts';
import { ResourceGroup } from '../constructs/resource-group.ts';
import type { ServerNetwork } from '../constructs/server.ts';
import { AdoptedSubnet, type ISubnet, Subnet, type SubnetProps } from '../constructs/subnet.ts';
import { VirtualNetwork } from '../constructs/virtual-network.ts';
import type {
  InjectedRegionalNetwork,
  PrivateDnsZoneReference,
  PublicNetwork,
  RegionalNetwork,
  ResolvedEnvironment,
} from '../environments/resolved.ts';

/** How clients reach the servers of a region. */
export type ServerAccess =
  | { readonly mode: 'public'; readonly allowedRanges: PublicNetwork['allowedRanges'] }
  | { readonly mode: 'privateEndpoint'; readonly zone: PrivateDnsZone | undefined }
  | Extract<ServerNetwork, { mode: 'virtualNetworkInjected' }>;

export interface Region {
  readonly resourceGroup: ResourceGroup;
  readonly network: VirtualNetwork;
  /** Subnet of the private endpoints. */
  readonly endpoints: ISubnet;
  readonly access: ServerAccess;
}

export interface Foundation {
  readonly primary: Region;
  /** @default - none; the environment has no recovery network */
  readonly recovery?: Region;
  /** Resource group of the replica. Without a recovery group it is the primary's. */
  readonly recoveryGroup: ResourceGroup;
  /** @default - an Azure Policy registers the vault's endpoint */
  readonly keyVaultZone: PrivateDnsZone | undefined;
  /** Peering of the two networks. Empty if there is one network, or if the owners of the networks connect them. */
  readonly peering: readonly ITerraformDependable[];
  /** Subnet of the post-deploy job. @default - none; the settings have no job */
  readonly jobs?: ISubnet;
}

export function foundation(scope: Construct, environment: ResolvedEnvironment): Foundation {
  const { network, tags, location, recoveryLocation, recoveryResourceGroup } = environment;
  const group = new ResourceGroup(scope, 'resource_group', { ...environment.resourceGroup, location, tags });
  const recoveryGroup = recoveryResourceGroup
    ? new ResourceGroup(scope, 'recovery_resource_group', {
        ...recoveryResourceGroup,
        location: recoveryLocation ?? location,
        tags,
      })
    : group;

  const primary = region(scope, environment, { prefix: '', given: network.primary, group });
  const recovery =
    network.recovery &&
    region(scope, environment, { prefix: 'recovery_', given: network.recovery, group: recoveryGroup });
  // Adopted networks belong to another topology (a hub, for example), whose owners connect them.
  const peering =
    recovery && primary.network.created && recovery.network.created
      ? new NetworkPeering(scope, 'network_peering', { first: primary.network, second: recovery.network })
          .resources
      : [];

  const networks = [primary.network, ...(recovery ? [recovery.network] : [])];
  const zone = (id: string, given: PrivateDnsZoneReference) =>
    new PrivateDnsZone(scope, id, {
      name: given.name,
      resourceGroupName: given.resourceGroup ?? group.name,
      existing: given.existing,
      subscriptionId: given.subscriptionId,
      networks,
      tags,
    });
  const unlessByPolicy = (id: string, given: PrivateDnsZoneReference) =>
    given.byPolicy ? undefined : zone(id, given);
  const access = accessOf(scope, environment, { primary, recovery, peering, zone, unlessByPolicy });
  return {
    primary: { ...primary, access: access.primary },
    ...(recovery && access.recovery && { recovery: { ...recovery, access: access.recovery } }),
    recoveryGroup,
    peering,
    keyVaultZone: unlessByPolicy('key_vault_zone', network.keyVaultZone),
    ...(environment.postDeployJob && {
      jobs: subnetOf(scope, 'job_subnet', environment.postDeployJob.subnet, {
        network: primary.network,
        purpose: 'jobs',
        securityGroupName: derivedNames.securityGroup(
          network.primary.virtualNetwork.name,
          environment.postDeployJob.subnet.name,
        ),
        ports: [],
        tags,
      }),
    }),
  };
}

type Networked = Omit<Region, 'access'>;

interface RegionProps {
  /** Of the addresses in the stack. */
  readonly prefix: string;
  readonly given: RegionalNetwork;
  readonly group: ResourceGroup;
}

function region(scope: Construct, environment: ResolvedEnvironment, props: RegionProps): Networked {
  const { tags, databasePorts } = environment;
  const { prefix, given, group } = props;
  const network = new VirtualNetwork(scope, `${prefix}network`, {
    ...given.virtualNetwork,
    resourceGroupName: given.virtualNetwork.resourceGroup ?? group.name,
    location: given.location,
    tags,
  });
  const endpoints = subnetOf(scope, `${prefix}endpoint_subnet`, given.endpointSubnet, {
    network,
    purpose: 'endpoints',
    securityGroupName: derivedNames.securityGroup(given.virtualNetwork.name, given.endpointSubnet.name),
    ports: [keyVaultPort, ...databasePorts],
    tags,
  });
  return { resourceGroup: group, network, endpoints };
}

function subnetOf(
  scope: Construct,
  id: string,
  { existing, ...given }: RegionalNetwork['endpointSubnet'],
  props: Omit<SubnetProps, 'name' | 'range'>,
): ISubnet {
  return existing
    ? new AdoptedSubnet(scope, id, { ...given, network: props.network })
    : new Subnet(scope, id, { ...given, ...props });
}

const keyVaultPort = 443;

interface AccessProps {
  readonly primary: Networked;
  readonly recovery: Networked | undefined;
  readonly peering: readonly ITerraformDependable[];
  readonly zone: (id: string, zone: PrivateDnsZoneReference) => PrivateDnsZone;
  readonly unlessByPolicy: (id: string, zone: PrivateDnsZoneReference) => PrivateDnsZone | undefined;
}

/** Access to the servers of both regions. */
function accessOf(
  scope: Construct,
  { network, databasePorts: ports, tags }: ResolvedEnvironment,
  { primary, recovery, peering, zone, unlessByPolicy }: AccessProps,
): { readonly primary: ServerAccess; readonly recovery?: ServerAccess } {
  const { mode } = network;
  switch (mode) {
    case 'public':
      return { primary: { mode, allowedRanges: network.allowedRanges } };
    case 'privateEndpoint': {
      const access = { mode, zone: unlessByPolicy('postgresql_zone', network.postgresqlZone) };
      return { primary: access, recovery: access };
    }
    case 'virtualNetworkInjected': {
      const shared = zone('postgresql_zone', network.postgresqlZone);
      const injected = (
        prefix: string,
        given: InjectedRegionalNetwork,
        { network }: Networked,
      ): ServerAccess => {
        const servers = subnetOf(scope, `${prefix}server_subnet`, given.delegatedSubnet, {
          network,
          purpose: 'servers',
          securityGroupName: derivedNames.securityGroup(
            given.virtualNetwork.name,
            given.delegatedSubnet.name,
          ),
          ports,
          tags,
        });
        // An injected replica copies its data over the peering; another one uses Azure's own network.
        const ready = [...servers.ready, ...shared.links, ...peering];
        return { mode, subnetId: servers.id, privateDnsZoneId: shared.id, ready };
      };
      return {
        primary: injected('', network.primary, primary),
        ...(recovery && network.recovery && { recovery: injected('recovery_', network.recovery, recovery) }),
      };
    }
  }
}
