/** Private DNS zones: zones, links to networks, records. */

import { parentOf, sameId } from '../../../../azure/resource-id.ts';
import { objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { ArmError } from '../../core/http.ts';
import { keep, registerResourceType } from '../../core/resource-types.ts';
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
      if (store.children(id, linkType).length > 0)
        throw new ArmError(
          409,
          'CannotDeleteResource',
          `Cannot delete private DNS zone '${name}' while virtual network links to it exist.`,
        );
    },
    present: ({ id, name, type, body }) => ({
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
      const network = textAt(sent, 'properties', 'virtualNetwork', 'id');
      if (!store.get(network))
        throw new ArmError(
          400,
          'BadRequest',
          `The virtual network ${network} of link ${name} does not exist.`,
        );
      const twin = store
        .children(parentOf(id), linkType)
        .find(
          (link) =>
            !sameId(link.id, id) && sameId(textAt(link.body, 'properties', 'virtualNetwork', 'id'), network),
        );
      if (twin)
        throw new ArmError(
          409,
          'Conflict',
          `A virtual network cannot be linked to a zone twice: ${network} is linked by ${twin.name}.`,
        );
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
