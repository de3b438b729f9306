/** Microsoft.Network: virtual networks, subnets, peerings and security groups. */
import ipaddr from 'ipaddr.js';
import { parentOf, sameId } from '../../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isSameRegion } from '../../core/locations.ts';
import type { Resource } from '../../core/resource-store.ts';
import { toDocument } from '../../core/resource-store.ts';
import { type Change, keep, registerResourceType } from '../../core/resource-types.ts';
import { network } from '../../refusals/network.ts';
import { serverType } from '../postgresql/server.ts';
import { registerPrivateDns } from './private-dns.ts';
import { endpointType, rangesOf, registerEndpoints } from './private-endpoints.ts';
import { networkShapes } from './shapes.ts';

const networkType = 'Microsoft.Network/virtualNetworks';
const subnetType = `${networkType}/subnets` as const;
const peeringType = `${networkType}/virtualNetworkPeerings` as const;
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
    shape: networkShapes.virtualNetwork,
    change: 'polled',
    accept: (sent, { id }) => {
      // Subnets arrive inside the network or on their own, and are kept as resources of their own.
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
      if (used) throw network.subnetInUse(used.name, usersOf(azure, used.id)[0] ?? '');
    },
    toResponse: (network) => {
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
    shape: networkShapes.subnet,
    change: 'polled',
    accept: (sent, change) => {
      refuseForeignRange(azure, sent, change);
      const group = textAt(sent, 'properties', 'networkSecurityGroup', 'id');
      const virtualNetwork = store.get(parentOf(change.id));
      if (group !== undefined && !isSameRegion(store.get(group)?.body, virtualNetwork?.body))
        throw network.referenceNotFound(group, change.id);
      return subnetDocument(sent);
    },
    mayDelete: ({ id, name }) => {
      const [user] = usersOf(azure, id);
      if (user !== undefined) throw network.subnetInUse(name, user);
    },
    toResponse: (subnet) => presentSubnet(azure, subnet),
  });
  registerResourceType(azure, {
    type: peeringType,
    shape: networkShapes.peering,
    query: ['syncRemoteAddressSpace'],
    change: 'polled',
    accept: (sent, { id }) => {
      const remote = textAt(sent, 'properties', 'remoteVirtualNetwork', 'id');
      if (!store.get(remote)) throw network.referenceNotFound(remote ?? '', id);
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

/** Ids of the resources that use a subnet. */
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
  const virtualNetwork = azure.store.get(parentOf(id));
  const ranges = rangesOf(sent);
  const space = textsAt(virtualNetwork?.body, 'properties', 'addressSpace', 'addressPrefixes');
  for (const range of ranges) {
    if (!space.some((outer) => containsRange(outer, range)))
      throw network.subnetOutsideNetwork(name, virtualNetwork?.name ?? '');
    for (const sibling of azure.store.children(parentOf(id), subnetType)) {
      if (sameId(sibling.id, id)) continue;
      if (rangesOf(sibling.body).some((other) => containsRange(other, range) || containsRange(range, other)))
        throw network.subnetsOverlap(name, virtualNetwork?.name ?? '');
    }
  }
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
    shape: networkShapes.securityGroup,
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
        if (other !== undefined) throw network.securityRuleConflict(textAt(rule, 'name') ?? '', other);
        taken.set(slot, String(textAt(rule, 'name')));
      }
      return keep({ ...sent, properties: { ...objectAt(sent, 'properties'), securityRules: rules } });
    },
    mayDelete: ({ id, name }) => {
      const user = azure.store
        .ofType(subnetType)
        .find((subnet) => sameId(textAt(subnet.body, 'properties', 'networkSecurityGroup', 'id'), id));
      if (user) throw network.securityGroupInUse(name, user.id);
    },
  });
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
