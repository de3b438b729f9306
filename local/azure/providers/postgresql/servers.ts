/** Microsoft.DBforPostgreSQL/flexibleServers: creation, change, deletion, and the registration of all that is below. */
import { storageTierRank } from '../../../../azure/storage.ts';
import { type JsonObject, merge, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { Resource } from '../../core/resource-store.ts';
import { toDocument } from '../../core/resource-store.ts';
import { type Change, registerList, registerResourceType } from '../../core/resource-types.ts';
import { replicas as refusals } from '../../refusals/replicas.ts';
import { registerActions } from './actions.ts';
import { noteFirstBackup, registerBackups } from './backups.ts';
import { copyChildren, registerChildren } from './children.ts';
import { droppedSource, noteDropped, reviveChildren } from './dropped.ts';
import type { ServerEvents } from './events.ts';
import { noteCreatedSize, registerParameters } from './parameters.ts';
import { registerReadings } from './readings.ts';
import {
  fromSource,
  promoted,
  promotionMode,
  promotionOf,
  refuseByRole,
  refuseUnfollowable,
} from './replicas.ts';
import {
  isReplica,
  namespace,
  property,
  refuseUnlessReady,
  replicasOf,
  serverType,
  sourceServerOf,
  stateOf,
} from './server.ts';
import { serverDocument } from './server-document.ts';
import { refuseCreation, refuseLogin, refuseName, refuseServer, refuseUpdate } from './server-rules.ts';
import { registerVirtualEndpoints } from './virtual-endpoints.ts';

export function registerPostgresql(azure: Azure, events: ServerEvents): void {
  registerServers(azure, events);
  registerActions(azure, events);
  registerChildren(azure, events);
  registerBackups(azure);
  registerVirtualEndpoints(azure);
  registerParameters(azure, events);
  registerReadings(azure);
}

function registerServers(azure: Azure, events: ServerEvents): void {
  const toResponse = (server: Resource) => presentServer(azure, server);
  registerResourceType(azure, {
    type: serverType,
    change: 'accepted',
    patch: true,
    busyOn: (sent, change) => {
      const other = otherServer(azure, sent, change);
      return other === undefined ? [change.id] : [change.id, other];
    },
    accept: (whole, change) =>
      change.existing ? updated(azure, whole, change) : created(azure, whole, change),
    whileRunning: (body, { existing }) =>
      merge(existing ? existing.body : body, {
        properties: { state: existing ? 'Updating' : 'Provisioning' },
      }),
    completed: (server, change) => completed(azure, server, change, events),
    mayDelete: (server) => {
      // https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas: replicas go first.
      const [replica] = replicasOf(azure, server.id);
      if (replica) throw refusals.primaryDeletedFirst(server.name, replica.name);
    },
    deleted: async (server) => {
      await events({ kind: 'deleted', server: server.id });
    },
    toResponse,
  });
  azure.store.beforeDeletion(serverType, (server) => {
    if (!isReplica(server)) noteDropped(azure, server);
  });
  for (const template of [
    '/subscriptions/{s}/providers/Microsoft.DBforPostgreSQL/flexibleServers',
    `${namespace}/flexibleServers`,
  ])
    registerList(azure, serverType, { template, toResponse });
}

/** Every running operation shows, also the creation of a replica or of a private endpoint (azurerm issue 29177). */
function presentServer(azure: Azure, server: Resource): JsonObject {
  const document = toDocument(server);
  if (stateOf(server.body) !== 'Ready' || !azure.operations.isBusy(server.id)) return document;
  return merge(document, { properties: { state: 'Updating' } });
}

/** The primary, if a replica's creation, promotion or deletion also changes it. */
function otherServer(azure: Azure, sent: JsonObject, { existing, method }: Change): string | undefined {
  if (!existing) return property(sent, 'sourceServerResourceId');
  const concerned = method === 'DELETE' || promotionMode(sent) !== undefined;
  return concerned ? sourceServerOf(azure, existing.body)?.id : undefined;
}

function created(azure: Azure, sent: JsonObject, change: Change): JsonObject {
  refuseName(azure, change);
  refuseCreation(sent, change);
  const mode = property(sent, 'createMode') ?? 'Default';
  const fresh = mode === 'Default' || mode === 'Create';
  const document = serverDocument(fresh ? sent : fromSource(azure, sent, mode, change), change);
  if (fresh) refuseLogin(sent, document, undefined);
  refuseServer(azure, document, change);
  refuseUnfollowable(azure, document, change);
  return document;
}

/** @param merged the existing document with the PATCH already merged in, or a PUT with `createMode: Update` */
function updated(azure: Azure, merged: JsonObject, change: Change): JsonObject {
  const { existing, sent, id } = change;
  const before = existing?.body ?? {};
  if (existing) refuseUnlessReady(existing);
  // It affects two servers, when the operation ends.
  if (promotionOf(azure, sent, azure.store.get(id))) return before;
  const whole = change.method === 'PUT' ? merge(before, sent) : merged;
  const document = serverDocument(whole, change);
  refuseLogin(sent, document, before);
  const lowered = azure.memory.map<number>('tierLoweredAt').get(id.toLowerCase());
  refuseUpdate(before, document, sent, { now: azure.clock.now(), tierLoweredAt: lowered });
  if (existing) refuseByRole(azure, existing, document);
  refuseServer(azure, document, change);
  refuseUnfollowable(azure, document, change);
  return document;
}

/** Creates the administrator with a password, or sets its password. */
async function passwordSent({ id, body }: Resource, sent: JsonObject, events: ServerEvents): Promise<void> {
  const login = property(body, 'administratorLogin');
  const password = property(sent, 'administratorLoginPassword');
  if (login !== undefined && password !== undefined)
    await events({ kind: 'passwordSet', server: id, login, password });
}

async function completed(
  azure: Azure,
  server: Resource,
  { existing, sent }: Change,
  events: ServerEvents,
): Promise<void> {
  const { id, body } = server;
  const source = sourceServerOf(azure, body);
  if (!existing) {
    const replica = source !== undefined;
    noteCreatedSize(azure, server, source);
    if (source) copyChildren(azure, source, server);
    else noteFirstBackup(azure, server);
    const revived = property(sent, 'createMode') === 'ReviveDropped';
    if (revived) reviveChildren(azure, droppedSource(azure, sent, server.name), server);
    const entra = property(body, 'authConfig', 'activeDirectoryAuth') === 'Enabled';
    await events({
      kind: 'created',
      server: id,
      entra,
      replica,
      revived,
      ...(source ? { source: source.id } : {}),
    });
    if (!replica) await passwordSent(server, sent, events);
    return;
  }
  await passwordSent(server, sent, events);
  const mode = promotionMode(sent);
  if (mode !== undefined && source) {
    await events({ kind: 'promoted', server: id, primary: source.id, standalone: mode === 'Standalone' });
    promoted(azure, { mode, replica: server, primary: source });
    if (mode === 'Standalone') noteFirstBackup(azure, server);
    return;
  }
  const rank = (one: JsonObject) => storageTierRank(property(one, 'storage', 'tier') ?? '');
  if (rank(body) < rank(existing.body))
    azure.memory.map<number>('tierLoweredAt').set(id.toLowerCase(), azure.clock.now());
  // Another size of machine is another machine: https://learn.microsoft.com/azure/postgresql/scale-compute
  if (textAt(body, 'sku', 'name') !== textAt(existing.body, 'sku', 'name')) {
    objectAt(body, 'properties')['state'] = 'Ready';
    await events({ kind: 'scaled', server: id });
  }
}
