/** https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-virtual-endpoints */

import { nameOf, parentOf, sameId } from '../../../../azure/resource-id.ts';
import { type JsonObject, objectAt, textsAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isTakenElsewhere, refuseReservedName } from '../../core/names.ts';
import type { Resource } from '../../core/resource-store.ts';
import { type Change, registerList, registerResourceType } from '../../core/resource-types.ts';
import { children as refusals } from '../../refusals/server-children.ts';
import { membersOf } from './replicas.ts';
import { isReplica, namespace, replicasOf, serverOf, serverType } from './server.ts';

const type = `${serverType}/virtualEndpoints` as const;

export function registerVirtualEndpoints(azure: Azure): void {
  const { store } = azure;
  const memberServers = (sent: JsonObject, { id, existing }: Change): Resource[] => {
    const names = new Set([
      ...textsAt(sent, 'properties', 'members'),
      ...textsAt(existing?.body, 'properties', 'members'),
      nameOf(parentOf(id)),
    ]);
    return store.ofType(serverType).filter((server) => names.has(server.name));
  };
  registerResourceType(azure, {
    type,
    change: 'accepted',
    patch: true,
    busyOn: (sent, change) => memberServers(sent, change).map((server) => server.id),
    whileRunning: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      refuseEndpoint(azure, sent, change, server);
      const [member] = textsAt(sent, 'properties', 'members').filter((one) => one !== server.name);
      return {
        properties: {
          endpointType: 'ReadWrite',
          ...objectAt(sent, 'properties'),
          members: [server.name, ...(member === undefined ? [] : [member])],
          virtualEndpoints: ['writer', 'reader'].map(
            (role) => `${change.name}.${role}.postgres.database.azure.com`,
          ),
        },
      };
    },
  });
  registerList(azure, type, {
    template: `${namespace}/flexibleServers/{server}/virtualEndpoints`,
  });
}

function refuseEndpoint(azure: Azure, sent: JsonObject, { id, name }: Change, server: Resource): void {
  // "All operations involving virtual endpoints … are performed in the context of the primary server."
  if (isReplica(server)) throw refusals.endpointOnReplica(server.name);
  refuseReservedName(name);
  const everywhere = azure.store.ofType(type).filter((other) => !sameId(other.id, id));
  if (everywhere.some((other) => other.name === name) || isTakenElsewhere(azure, 'postgres', name))
    throw refusals.endpointNameTaken(name);
  if (everywhere.some((other) => sameId(parentOf(other.id), server.id)))
    throw refusals.secondEndpoint(server.name);
  // A request names the reader; a document that was read before also names the writer.
  const readers = textsAt(sent, 'properties', 'members').filter((one) => one !== server.name);
  if (readers.length > 1) throw refusals.endpointWithTwoReaders();
  const known = replicasOf(azure, server.id).map((one) => one.name);
  for (const reader of readers)
    if (!known.includes(reader)) throw refusals.endpointOfStranger(reader, server.name);
}

/** Id of the server that a host name leads to: its own name, or the writer or reader of a virtual endpoint. */
export function serverBehind(azure: Azure, host: string): string | undefined {
  const parts = /^([^.]+)(?:\.(writer|reader))?\.postgres\.database\.azure\.com$/i.exec(host);
  if (!parts) return undefined;
  const [, name = '', role] = parts;
  if (role === undefined)
    return azure.store.ofType(serverType).find((server) => server.name === name.toLowerCase())?.id;
  const endpoint = azure.store.ofType(type).find((one) => one.name === name.toLowerCase());
  if (!endpoint) return undefined;
  const writer = azure.store.get(parentOf(endpoint.id));
  if (!writer || role.toLowerCase() === 'writer') return writer?.id;
  const reader = membersOf(endpoint).find((one) => one !== writer.name) ?? writer.name;
  return azure.store.ofType(serverType).find((server) => server.name === reader)?.id;
}
