/** Private endpoints: their targets, their address in the subnet, and their records in private DNS zones. */
import ipaddr from 'ipaddr.js';
import { nameOf, parentOf, resourceGroupOf, sameId, typeOf } from '../../../../azure/resource-id.ts';
import { at, type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isSameRegion } from '../../core/locations.ts';
import type { Resource } from '../../core/resource-store.ts';
import { keep, registerList, registerResourceType } from '../../core/resource-types.ts';
import { network } from '../../refusals/network.ts';
import { serverType } from '../postgresql/server.ts';
import { recordAddress } from './private-dns.ts';
import { networkShapes } from './shapes.ts';

export const endpointType = 'Microsoft.Network/privateEndpoints';
const zoneGroupType = `${endpointType}/privateDnsZoneGroups` as const;
const interfaceType = 'Microsoft.Network/networkInterfaces';

/** Types a private endpoint may lead to, the name of the sub-resource, and the suffix of its private record. */
const privateLinkTargets: Readonly<Record<string, { readonly group: string; readonly zone: string }>> = {
  [serverType.toLowerCase()]: { group: 'postgresqlServer', zone: 'privatelink.postgres.database.azure.com' },
  'microsoft.keyvault/vaults': { group: 'vault', zone: 'privatelink.vaultcore.azure.net' },
};

function connectionsOf(endpoint: JsonObject): JsonObject[] {
  return [
    ...objectsAt(endpoint, 'properties', 'privateLinkServiceConnections'),
    ...objectsAt(endpoint, 'properties', 'manualPrivateLinkServiceConnections'),
  ];
}

function targetsOf(endpoint: JsonObject): string[] {
  return connectionsOf(endpoint).flatMap((connection) => {
    const target = textAt(connection, 'properties', 'privateLinkServiceId');
    return target === undefined ? [] : [target];
  });
}

export function registerEndpoints(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: endpointType,
    shape: networkShapes.privateEndpoint,
    change: 'polled',
    busyOn: (sent, { existing }) =>
      targetsOf(existing ? existing.body : sent).filter(
        (target) => typeOf(target).toLowerCase() === serverType.toLowerCase(),
      ),
    accept: (sent, { id, name, existing }) => acceptEndpoint(azure, sent, id, name, existing),
    completed: (endpoint) => {
      const [target] = targetsOf(endpoint.body);
      if (target !== undefined) connect(azure, endpoint, target);
    },
    deleted: ({ id, body }) => {
      store.delete(interfaceId(id, body));
      for (const target of targetsOf(body)) disconnect(azure, target, id);
    },
  });
  registerResourceType(azure, {
    type: zoneGroupType,
    shape: networkShapes.zoneGroup,
    change: 'polled',
    accept: (sent, { id, name }) => {
      const endpoint = store.get(parentOf(id));
      const configs = objectsAt(sent, 'properties', 'privateDnsZoneConfigs').map((config) => {
        const zone = store.get(textAt(config, 'properties', 'privateDnsZoneId'));
        if (!zone)
          throw network.zoneOfGroupNotFound(textAt(config, 'properties', 'privateDnsZoneId') ?? '', name);
        return zoneConfig(azure, config, zone, endpoint);
      });
      return keep({
        ...sent,
        properties: { ...objectAt(sent, 'properties'), privateDnsZoneConfigs: configs },
      });
    },
  });
  registerList(azure, zoneGroupType, {
    template:
      '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Network/privateEndpoints/{e}/privateDnsZoneGroups',
  });
  registerResourceType(azure, {
    type: interfaceType,
    shape: 'any',
    change: 'polled',
    without: ['PUT', 'DELETE'],
    accept: (sent) => sent,
  });
}

function acceptEndpoint(
  azure: Azure,
  sent: JsonObject,
  id: string,
  name: string,
  existing: Resource | undefined,
): JsonObject {
  const subnet = azure.store.get(textAt(sent, 'properties', 'subnet', 'id'));
  const virtualNetwork = subnet && azure.store.get(parentOf(subnet.id));
  if (!subnet || !isSameRegion(virtualNetwork?.body, sent))
    throw network.referenceNotFound(textAt(sent, 'properties', 'subnet', 'id') ?? '', id);
  if (objectsAt(subnet.body, 'properties', 'delegations').length > 0)
    throw network.subnetDelegated(name, subnet.id);
  const [connection] = connectionsOf(sent);
  const target = textAt(connection, 'properties', 'privateLinkServiceId');
  const known = target === undefined ? undefined : privateLinkTargets[typeOf(target).toLowerCase()];
  const resource = azure.store.get(target);
  if (!known || !resource) throw network.privateLinkNotFound(target ?? '');
  if (!textsAt(connection, 'properties', 'groupIds').includes(known.group))
    throw network.invalidGroupId(resource.id, known.group);
  if (textAt(resource.body, 'properties', 'network', 'delegatedSubnetResourceId') !== undefined)
    throw network.endpointOfInjectedServer();
  const address =
    textAt(existing?.body, 'properties', 'customDnsConfigs', 0, 'ipAddresses', 0) ??
    freeAddress(azure, subnet);
  const networkInterface = interfaceId(id, sent);
  azure.store.put(networkInterface, {
    location: sent['location'],
    properties: {
      provisioningState: 'Succeeded',
      ipConfigurations: [
        {
          name: 'privateEndpointIpConfig',
          properties: {
            privateIPAddress: address,
            privateIPAllocationMethod: 'Dynamic',
            subnet: { id: subnet.id },
          },
        },
      ],
    },
  });
  return keep(approved(sent), {
    networkInterfaces: [{ id: networkInterface }],
    customDnsConfigs: [{ fqdn: publicName(resource), ipAddresses: [address] }],
  });
}

function approved(sent: JsonObject): JsonObject {
  const properties = { ...objectAt(sent, 'properties') };
  for (const key of ['privateLinkServiceConnections', 'manualPrivateLinkServiceConnections'])
    properties[key] = objectsAt(properties, key).map((connection) => ({
      ...connection,
      properties: {
        ...objectAt(connection, 'properties'),
        provisioningState: 'Succeeded',
        privateLinkServiceConnectionState: {
          status: 'Approved',
          description: 'Auto-approved',
          actionsRequired: 'None',
        },
      },
    }));
  return { ...sent, properties };
}

function interfaceId(endpoint: string, body: JsonObject): string {
  const name = textAt(body, 'properties', 'customNetworkInterfaceName') ?? `${nameOf(endpoint)}.nic`;
  return `${resourceGroupOf(endpoint)}/providers/Microsoft.Network/networkInterfaces/${name}`;
}

/** The first four addresses of every subnet are reserved. */
function freeAddress(azure: Azure, subnet: Resource): string {
  const [range = '0.0.0.0/0'] = rangesOf(subnet.body);
  const taken = new Set(
    azure.store
      .ofType(endpointType)
      .map((endpoint) => textAt(endpoint.body, 'properties', 'customDnsConfigs', 0, 'ipAddresses', 0)),
  );
  const [first] = ipaddr.IPv4.parseCIDR(range);
  const octets = first.octets;
  for (let offset = 4; offset < 250; offset += 1) {
    const candidate = [...octets.slice(0, 3), (octets[3] ?? 0) + offset].join('.');
    if (!taken.has(candidate)) return candidate;
  }
  throw network.subnetIsFull(subnet.name);
}

function publicName(resource: Resource): string {
  const host = textAt(resource.body, 'properties', 'fullyQualifiedDomainName');
  if (host !== undefined) return host;
  return new URL(textAt(resource.body, 'properties', 'vaultUri') ?? `https://${resource.name}.invalid`)
    .hostname;
}

function zoneConfig(
  azure: Azure,
  config: JsonObject,
  zone: Resource,
  endpoint: Resource | undefined,
): JsonObject {
  const label = textAt(endpoint?.body, 'properties', 'customDnsConfigs', 0, 'fqdn')?.split('.')[0] ?? '';
  const address = textAt(endpoint?.body, 'properties', 'customDnsConfigs', 0, 'ipAddresses', 0) ?? '';
  recordAddress(azure, zone.id, label, address);
  return {
    ...config,
    properties: {
      ...objectAt(config, 'properties'),
      recordSets: [
        {
          recordType: 'A',
          recordSetName: label,
          fqdn: `${label}.${zone.name}`,
          ttl: 10,
          provisioningState: 'Succeeded',
          ipAddresses: [address],
        },
      ],
    },
  };
}

function connect(azure: Azure, endpoint: Resource, target: string): void {
  const resource = azure.store.get(target);
  if (!resource) return;
  const others = objectsAt(resource.body, 'properties', 'privateEndpointConnections').filter(
    (connection) => !sameId(textAt(connection, 'properties', 'privateEndpoint', 'id'), endpoint.id),
  );
  const connection: JsonObject = {
    id: `${resource.id}/privateEndpointConnections/${endpoint.name}`,
    name: endpoint.name,
    properties: {
      groupIds: at(connectionsOf(endpoint.body)[0], 'properties', 'groupIds'),
      privateEndpoint: { id: endpoint.id },
      privateLinkServiceConnectionState: {
        status: 'Approved',
        description: 'Auto-approved',
        actionsRequired: 'None',
      },
      provisioningState: 'Succeeded',
    },
  };
  resource.body = {
    ...resource.body,
    properties: {
      ...objectAt(resource.body, 'properties'),
      privateEndpointConnections: [...others, connection],
    },
  };
}

function disconnect(azure: Azure, target: string, endpoint: string): void {
  const resource = azure.store.get(target);
  if (!resource) return;
  const rest = objectsAt(resource.body, 'properties', 'privateEndpointConnections').filter(
    (connection) => !sameId(textAt(connection, 'properties', 'privateEndpoint', 'id'), endpoint),
  );
  resource.body = {
    ...resource.body,
    properties: { ...objectAt(resource.body, 'properties'), privateEndpointConnections: rest },
  };
}

/** CIDR ranges of a subnet, from either of the two properties. */
export function rangesOf(subnet: JsonObject): string[] {
  const single = textAt(subnet, 'properties', 'addressPrefix');
  return [...textsAt(subnet, 'properties', 'addressPrefixes'), ...(single === undefined ? [] : [single])];
}
