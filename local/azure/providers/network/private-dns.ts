/** Private DNS zones: zones, links to networks, records. */

import { nameOf, parentOf, sameId } from '../../../../azure/resource-id.ts';
import { objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { keep, registerResourceType } from '../../core/resource-types.ts';
import { network } from '../../refusals/network.ts';
import { networkShapes } from './shapes.ts';

const zoneType = 'Microsoft.Network/privateDnsZones';
const linkType = `${zoneType}/virtualNetworkLinks` as const;

const startOfAuthority = {
  email: 'azureprivatedns-host.microsoft.com',
  expireTime: 2419200,
  host: 'azureprivatedns.net',
  minimumTtl: 10,
  refreshTime: 3600,
  retryTime: 300,
  serialNumber: 1,
};

export function registerPrivateDns(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: zoneType,
    shape: networkShapes.zone,
    change: 'polled',
    accept: (sent, { id }) => {
      store.put(`${id}/SOA/@`, {
        properties: { fqdn: `${id}.`, ttl: 3600, soaRecord: { ...startOfAuthority } },
      });
      return keep(sent, { maxNumberOfRecordSets: 25000, maxNumberOfVirtualNetworkLinks: 1000 });
    },
    mayDelete: ({ id, name }) => {
      if (store.children(id, linkType).length > 0) throw network.zoneHasLinks(name);
    },
    toResponse: ({ id, name, type, body }) => ({
      id,
      name,
      type,
      ...body,
      properties: {
        ...objectAt(body, 'properties'),
        numberOfRecordSets: store.within(id).filter((child) => child.type !== linkType).length,
        numberOfVirtualNetworkLinks: store.children(id, linkType).length,
      },
    }),
  });
  registerResourceType(azure, {
    type: linkType,
    shape: networkShapes.zoneLink,
    change: 'polled',
    accept: (sent, { id, name }) => {
      const linked = textAt(sent, 'properties', 'virtualNetwork', 'id');
      if (!store.get(linked)) throw network.linkedNetworkNotFound(linked ?? '', name);
      const twin = store
        .children(parentOf(id), linkType)
        .find(
          (link) =>
            !sameId(link.id, id) && sameId(textAt(link.body, 'properties', 'virtualNetwork', 'id'), linked),
        );
      if (twin) throw network.linkedTwice(linked ?? '', twin.name);
      const zone = nameOf(parentOf(id)).toLowerCase();
      const other = store
        .ofType(linkType)
        .find(
          (link) =>
            nameOf(parentOf(link.id)).toLowerCase() === zone &&
            !sameId(parentOf(link.id), parentOf(id)) &&
            sameId(textAt(link.body, 'properties', 'virtualNetwork', 'id'), linked),
        );
      if (other) throw network.overlappingZones(linked ?? '', zone);
      return keep(sent, { virtualNetworkLinkState: 'Completed' });
    },
  });
  for (const kind of ['A', 'SOA'] as const)
    registerResourceType(azure, {
      type: `${zoneType}/${kind}`,
      shape: networkShapes.record,
      change: 'immediate',
      accept: (sent) => sent,
    });
}

/** Gives a name in a zone an address, as a private endpoint's zone group does. */
export function recordAddress(azure: Azure, zone: string, label: string, address: string): void {
  azure.store.put(`${zone}/A/${label}`, {
    properties: {
      ttl: 10,
      fqdn: `${label}.${zone.slice(zone.lastIndexOf('/') + 1)}.`,
      aRecords: [{ ipv4Address: address }],
    },
  });
}
