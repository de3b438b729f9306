/** Microsoft.Network: virtual networks, subnets, security groups, private endpoints, private DNS zones. */
import ipaddr from 'ipaddr.js';
import type { Azure } from './context.ts';
import { serverType } from './flexible-server.ts';
import { ArmError } from './http.ts';
import { at, type JsonObject, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import { recordAddress, registerPrivateDns } from './private-dns.ts';
import { nameOf, parentOf, resourceGroupOf, sameId, typeOf } from './resource-id.ts';
import type { Resource } from './resource-store.ts';
import { toDocument } from './resource-store.ts';
import { type Change, keep, registerList, registerResourceType } from './resource-types.ts';

const apiVersions = ['2025-01-01'];
const networkType = 'Microsoft.Network/virtualNetworks';
const subnetType = `${networkType}/subnets`;
const peeringType = `${networkType}/virtualNetworkPeerings`;
const endpointType = 'Microsoft.Network/privateEndpoints';
const zoneGroupType = `${endpointType}/privateDnsZoneGroups`;
const interfaceType = 'Microsoft.Network/networkInterfaces';
const securityGroupType = 'Microsoft.Network/networkSecurityGroups';

export function registerNetwork(azure: Azure): void {
  registerNetworks(azure);
  registerSecurityGroups(azure);
  registerEndpoints(azure);
  registerPrivateDns(azure);
}

function registerNetworks(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: networkType,
    apiVersions,
    change: 'polled',
    accept: (sent, { id }) => {
      // Subnets arrive inside the network as well as on their own; they live in one place here.
      for (const subnet of objectsAt(sent, 'properties', 'subnets'))
        store.put(
          `${id}/subnets/${textAt(subnet, 'name')}`,
          subnetDocument({ properties: subnet['properties'] }),
        );
      const {
        subnets: _subnets,
        virtualNetworkPeerings: _peerings,
        ...properties
      } = objectAt(sent, 'properties');
      return keep({ ...sent, properties }, { resourceGuid: guidFrom(id) });
    },
    mayDelete: ({ id }) => {
      const used = store.children(id, subnetType).find((subnet) => usersOf(azure, subnet.id).length > 0);
      if (used)
        throw new ArmError(
          400,
          'InUseSubnetCannotBeDeleted',
          `Subnet ${used.name} is in use by ${usersOf(azure, used.id)[0]} and cannot be deleted.`,
        );
    },
    present: (network) => {
      const body = toDocument(network);
      const subnets = store.children(network.id, subnetType).map((subnet) => presentSubnet(azure, subnet));
      const peerings = store.children(network.id, peeringType).map(toDocument);
      return {
        ...body,
        properties: { ...objectAt(body, 'properties'), subnets, virtualNetworkPeerings: peerings },
      };
    },
  });
  registerResourceType(azure, {
    type: subnetType,
    apiVersions,
    change: 'polled',
    accept: (sent, change) => {
      refuseForeignRange(azure, sent, change);
      return subnetDocument(sent);
    },
    mayDelete: ({ id, name }) => {
      const [user] = usersOf(azure, id);
      if (user !== undefined)
        throw new ArmError(
          400,
          'InUseSubnetCannotBeDeleted',
          `Subnet ${name} is in use by ${user} and cannot be deleted.`,
        );
    },
    present: (subnet) => presentSubnet(azure, subnet),
  });
  registerResourceType(azure, {
    type: peeringType,
    apiVersions,
    change: 'polled',
    accept: (sent, { id }) => {
      const remote = textAt(sent, 'properties', 'remoteVirtualNetwork', 'id');
      if (!store.get(remote))
        throw new ArmError(
          400,
          'InvalidResourceReference',
          `Resource ${remote} referenced by ${id} was not found.`,
        );
      const back = store
        .children(remote ?? '', peeringType)
        .find((peering) =>
          sameId(textAt(peering.body, 'properties', 'remoteVirtualNetwork', 'id'), parentOf(id)),
        );
      if (back) back.body = keep(back.body, { peeringState: 'Connected' });
      return keep(sent, { peeringState: back ? 'Connected' : 'Initiated', peeringSyncLevel: 'FullyInSync' });
    },
  });
}

function subnetDocument(sent: JsonObject): JsonObject {
  const properties = objectAt(sent, 'properties');
  return keep(sent, {
    privateEndpointNetworkPolicies: properties['privateEndpointNetworkPolicies'] ?? 'Disabled',
    privateLinkServiceNetworkPolicies: properties['privateLinkServiceNetworkPolicies'] ?? 'Enabled',
    delegations: properties['delegations'] ?? [],
  });
}

function presentSubnet(azure: Azure, subnet: Resource): JsonObject {
  const document = toDocument(subnet);
  const endpoints = endpointsIn(azure, subnet.id).map((endpoint) => ({ id: endpoint.id }));
  if (endpoints.length === 0) return document;
  return { ...document, properties: { ...objectAt(document, 'properties'), privateEndpoints: endpoints } };
}

/** Ids of what occupies a subnet. */
function usersOf(azure: Azure, subnet: string): string[] {
  const servers = azure.store
    .ofType(serverType)
    .filter((server) =>
      sameId(textAt(server.body, 'properties', 'network', 'delegatedSubnetResourceId'), subnet),
    );
  return [...endpointsIn(azure, subnet), ...servers].map((user) => user.id);
}

function endpointsIn(azure: Azure, subnet: string): Resource[] {
  return azure.store
    .ofType(endpointType)
    .filter((endpoint) => sameId(textAt(endpoint.body, 'properties', 'subnet', 'id'), subnet));
}

/** A subnet lies inside its network's ranges and beside its siblings. */
function refuseForeignRange(azure: Azure, sent: JsonObject, { id, name }: Change): void {
  const network = azure.store.get(parentOf(id));
  const ranges = rangesOf(sent);
  const space = textsAt(network?.body, 'properties', 'addressSpace', 'addressPrefixes');
  for (const range of ranges) {
    if (!space.some((outer) => containsRange(outer, range)))
      throw new ArmError(
        400,
        'NetcfgInvalidSubnet',
        `Subnet '${name}' is not valid because its IP address range is outside the IP address range of virtual network '${network?.name}'.`,
      );
    for (const sibling of azure.store.children(parentOf(id), subnetType)) {
      if (sameId(sibling.id, id)) continue;
      if (rangesOf(sibling.body).some((other) => containsRange(other, range) || containsRange(range, other)))
        throw new ArmError(
          400,
          'NetcfgSubnetRangesOverlap',
          `Subnet '${name}' is not valid because its IP address range overlaps with that of an existing subnet in virtual network '${network?.name}'.`,
        );
    }
  }
}

function rangesOf(subnet: JsonObject): string[] {
  const single = textAt(subnet, 'properties', 'addressPrefix');
  return [...textsAt(subnet, 'properties', 'addressPrefixes'), ...(single === undefined ? [] : [single])];
}

function containsRange(outer: string, inner: string): boolean {
  const [outerAddress, outerBits] = ipaddr.parseCIDR(outer);
  const [innerAddress, innerBits] = ipaddr.parseCIDR(inner);
  if (outerAddress.kind() !== innerAddress.kind() || innerBits < outerBits) return false;
  return innerAddress.match(outerAddress, outerBits);
}

function registerSecurityGroups(azure: Azure): void {
  registerResourceType(azure, {
    type: securityGroupType,
    apiVersions,
    change: 'polled',
    accept: (sent, { id }) => {
      const rules = objectsAt(sent, 'properties', 'securityRules').map((rule) => ({
        ...rule,
        id: `${id}/securityRules/${textAt(rule, 'name')}`,
        properties: { ...objectAt(rule, 'properties'), provisioningState: 'Succeeded' },
      }));
      const taken = new Map<string, string>();
      for (const rule of rules) {
        const properties = objectAt(rule, 'properties');
        const slot = `${properties['direction']} ${properties['priority']}`;
        const other = taken.get(slot);
        if (other !== undefined)
          throw new ArmError(
            400,
            'SecurityRuleConflict',
            `Security rule ${textAt(rule, 'name')} conflicts with rule ${other}. Rules cannot have the same Priority and Direction.`,
          );
        taken.set(slot, String(textAt(rule, 'name')));
      }
      return keep({ ...sent, properties: { ...objectAt(sent, 'properties'), securityRules: rules } });
    },
    mayDelete: ({ id, name }) => {
      const user = azure.store
        .ofType(subnetType)
        .find((subnet) => sameId(textAt(subnet.body, 'properties', 'networkSecurityGroup', 'id'), id));
      if (user)
        throw new ArmError(
          400,
          'InUseNetworkSecurityGroupCannotBeDeleted',
          `Network security group ${name} cannot be deleted because it is in use by the following resources: ${user.id}.`,
        );
    },
  });
}

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

function registerEndpoints(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: endpointType,
    apiVersions,
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
      store.delete(interfaceId(id, nameOf(id)));
      for (const target of targetsOf(body)) disconnect(azure, target, id);
    },
  });
  registerResourceType(azure, {
    type: zoneGroupType,
    apiVersions,
    change: 'polled',
    accept: (sent, { id, name }) => {
      const endpoint = store.get(parentOf(id));
      const configs = objectsAt(sent, 'properties', 'privateDnsZoneConfigs').map((config) => {
        const zone = store.get(textAt(config, 'properties', 'privateDnsZoneId'));
        if (!zone)
          throw new ArmError(
            400,
            'PrivateDnsZoneNotFound',
            `Private DNS zone ${textAt(config, 'properties', 'privateDnsZoneId')} referenced by private DNS zone group ${name} does not exist.`,
          );
        return zoneConfig(azure, config, zone, endpoint);
      });
      return keep({
        ...sent,
        properties: { ...objectAt(sent, 'properties'), privateDnsZoneConfigs: configs },
      });
    },
  });
  registerList(azure, zoneGroupType, {
    apiVersions,
    template:
      '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.Network/privateEndpoints/{e}/privateDnsZoneGroups',
  });
  registerResourceType(azure, {
    type: interfaceType,
    // The provider reads interfaces with an older version than it writes endpoints with.
    apiVersions: [...apiVersions, '2024-05-01', '2023-11-01'],
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
  if (!subnet)
    throw new ArmError(
      400,
      'InvalidResourceReference',
      `Resource ${textAt(sent, 'properties', 'subnet', 'id')} referenced by resource ${id} was not found.`,
    );
  if (objectsAt(subnet.body, 'properties', 'delegations').length > 0)
    throw new ArmError(
      400,
      'PrivateEndpointCannotBeCreatedInSubnetWithDelegation',
      `Private endpoint ${name} cannot be created in subnet ${subnet.id} because it is delegated to a service.`,
    );
  const [connection] = connectionsOf(sent);
  const target = textAt(connection, 'properties', 'privateLinkServiceId');
  const known = target === undefined ? undefined : privateLinkTargets[typeOf(target).toLowerCase()];
  const resource = azure.store.get(target);
  if (!known || !resource)
    throw new ArmError(400, 'InvalidPrivateLinkServiceId', `Private link resource ${target} was not found.`);
  if (!textsAt(connection, 'properties', 'groupIds').includes(known.group))
    throw new ArmError(400, 'InvalidGroupId', `Group id of ${target} must be ${known.group}.`);
  if (textAt(resource.body, 'properties', 'network', 'delegatedSubnetResourceId') !== undefined)
    throw new ArmError(
      400,
      'PrivateEndpointFeatureNotSupportedOnServer',
      'Private endpoint feature is not supported on this Postgres Flexible Server.',
    );
  const address =
    textAt(existing?.body, 'properties', 'customDnsConfigs', 0, 'ipAddresses', 0) ??
    freeAddress(azure, subnet);
  const networkInterface = interfaceId(id, name);
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

function interfaceId(endpoint: string, name: string): string {
  return `${resourceGroupOf(endpoint)}/providers/Microsoft.Network/networkInterfaces/${name}.nic`;
}

/** Azure keeps the first four addresses of every subnet. */
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
  throw new ArmError(
    400,
    'SubnetIsFull',
    `Subnet ${subnet.name} does not have enough capacity for 1 IP addresses.`,
  );
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

/** A guid that stays the same for the same id. */
function guidFrom(id: string): string {
  const digits = Buffer.from(id.toLowerCase()).toString('hex').slice(-32).padStart(32, '0');
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-');
}
