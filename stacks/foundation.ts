/** What servers and vault are put into: resource groups, networks, name resolution. */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { NetworkPeering } from '../constructs/network-peering.ts';
import { PrivateDnsZone } from '../constructs/private-dns-zone.ts';
import { ResourceGroup } from '../constructs/resource-group.ts';
import { Subnet } from '../constructs/subnet.ts';
import { VirtualNetwork } from '../constructs/virtual-network.ts';
import type { EnvironmentSettings, NetworkSettings } from '../environments/settings.ts';

export interface Region {
  readonly resourceGroup: ResourceGroup;
  readonly network: VirtualNetwork;
  readonly endpoints: Subnet;
  /** Only where servers are injected. */
  readonly servers?: Subnet;
}

export interface Foundation {
  readonly primary: Region;
  /** Only with a recovery network. */
  readonly recovery?: Region;
  /** Group of the replica: the recovery group where there is one. */
  readonly recoveryGroup: ResourceGroup;
  /** Absent where servers have public addresses. */
  readonly postgresqlZone?: PrivateDnsZone;
  readonly keyVaultZone: PrivateDnsZone;
  /** What makes the two networks reach each other; empty where there is one, or where their owners did it. */
  readonly peering: readonly ITerraformDependable[];
}

export function foundation(scope: Construct, settings: EnvironmentSettings): Foundation {
  const { network, tags, location, recoveryLocation } = settings;
  const group = new ResourceGroup(scope, 'resource_group', { ...settings.resourceGroup, location, tags });
  const recoveryGroup = settings.recoveryResourceGroup
    ? new ResourceGroup(scope, 'recovery_resource_group', {
        ...settings.recoveryResourceGroup,
        location: recoveryLocation ?? location,
        tags,
      })
    : group;

  const primary = region(scope, '', settings, network.primary, group, location);
  const recoveryNetwork = network.mode === 'public' ? undefined : network.recovery;
  const recovery =
    recoveryNetwork &&
    region(
      scope,
      'recovery_',
      settings,
      recoveryNetwork,
      recoveryGroup,
      recoveryLocation ?? settings.replica?.location ?? location,
    );
  // Adopted networks belong to a topology of their own (a hub, say), whose owners connect them.
  const peering =
    recovery && primary.network.created && recovery.network.created
      ? new NetworkPeering(scope, 'network_peering', { first: primary.network, second: recovery.network })
          .resources
      : [];

  const networks = [primary.network, ...(recovery ? [recovery.network] : [])];
  const zone = (id: string, name: string, given: NetworkSettings['keyVaultZone']) =>
    new PrivateDnsZone(scope, id, {
      name: given.name ?? name,
      resourceGroupName: given.resourceGroup ?? group.name,
      existing: given.existing,
      networks,
      tags,
    });
  return {
    primary,
    ...(recovery && { recovery }),
    recoveryGroup,
    peering,
    ...(network.mode !== 'public' && {
      postgresqlZone: zone('postgresql_zone', postgresqlZoneName(settings), network.postgresqlZone),
    }),
    keyVaultZone: zone('key_vault_zone', 'privatelink.vaultcore.azure.net', network.keyVaultZone),
  };
}

function region(
  scope: Construct,
  prefix: string,
  settings: EnvironmentSettings,
  given: NetworkSettings['primary'],
  resourceGroup: ResourceGroup,
  location: string,
): Region {
  const { tags } = settings;
  const network = new VirtualNetwork(scope, `${prefix}network`, {
    ...given.virtualNetwork,
    resourceGroupName: given.virtualNetwork.resourceGroup ?? resourceGroup.name,
    location,
    tags,
  });
  const database = settings.server.pgBouncer ? [5432, 6432] : [5432];
  const subnet = (
    id: string,
    { name, range }: { name: string; range: string },
    purpose: 'endpoints' | 'servers',
    ports: readonly number[],
  ) =>
    new Subnet(scope, `${prefix}${id}`, {
      name,
      range,
      network,
      purpose,
      ports,
      // Subnets of one name are usual, in the networks of two regions or of two environments.
      securityGroupName: `${given.virtualNetwork.name}-${name}-nsg`,
      tags,
    });
  return {
    resourceGroup,
    network,
    endpoints: subnet('endpoint_subnet', given.endpointSubnet, 'endpoints', [443, ...database]),
    ...(given.delegatedSubnet && {
      servers: subnet('server_subnet', given.delegatedSubnet, 'servers', database),
    }),
  };
}

/** Azure asks for this very name with endpoints, and for one of the environment's own where servers are injected. */
function postgresqlZoneName({ network, server }: EnvironmentSettings): string {
  return network.mode === 'virtualNetworkInjected'
    ? `${server.name}.private.postgres.database.azure.com`
    : 'privatelink.postgres.database.azure.com';
}
