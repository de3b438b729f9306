/** Microsoft.DBforPostgreSQL: Flexible Servers and what belongs to one. */
import type { Azure } from './context.ts';
import {
  createdServer,
  isReplica,
  presentServer,
  replicasOf,
  serverType,
  sourceOf,
  updatedServer,
} from './flexible-server.ts';
import { ArmError, jsonBody } from './http.ts';
import { at, type JsonObject, merge, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import { nameOf, parentOf, sameId } from './resource-id.ts';
import type { Resource } from './resource-store.ts';
import { type Change, notFound, registerList, registerResourceType } from './resource-types.ts';
import type { ServerEvents } from './server-events.ts';
import { applyPending, registerParameters } from './server-parameters.ts';

const apiVersions = ['2025-08-01'];
const namespace = '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.DBforPostgreSQL';

export function registerPostgresql(azure: Azure, events: ServerEvents): void {
  registerServers(azure, events);
  registerChildren(azure, events);
  registerVirtualEndpoints(azure);
  registerParameters(azure, apiVersions, events);
}

function registerServers(azure: Azure, events: ServerEvents): void {
  const { store, router, operations } = azure;
  registerResourceType(azure, {
    type: serverType,
    apiVersions,
    change: 'accepted',
    patch: true,
    busyOn: (sent, { id, existing }) => {
      const source = existing ? undefined : sourceOf(sent);
      return source === undefined ? [id] : [id, source];
    },
    accept: (sent, change) => {
      if (!change.existing) return createdServer(azure, sent, change);
      const whole = change.method === 'PUT' ? merge(change.existing.body, sent) : sent;
      return updatedServer(azure, whole, change);
    },
    during: (body, { existing }) =>
      merge(body, { properties: { state: existing ? 'Updating' : 'Provisioning' } }),
    present: presentServer,
    completed: ({ id, body }, { existing }) => {
      if (existing) return;
      store.put(`${id}/backups/backup_1`, {
        properties: { backupType: 'Full', completedTime: new Date().toISOString(), source: 'Automatic' },
      });
      const entra = textAt(body, 'properties', 'authConfig', 'activeDirectoryAuth') === 'Enabled';
      return events({ kind: 'created', server: id, entra });
    },
    mayDelete: (server) => {
      // https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas: replicas go first.
      const [replica] = replicasOf(azure, server.id);
      if (replica)
        throw new ArmError(
          409,
          'ServerHasReadReplicas',
          `Server '${server.name}' cannot be deleted before its replica '${replica.name}'.`,
        );
    },
    deleted: (server) => void events({ kind: 'deleted', server: server.id }),
  });
  registerList(azure, serverType, {
    apiVersions,
    template: '/subscriptions/{s}/providers/Microsoft.DBforPostgreSQL/flexibleServers',
    present: presentServer,
  });
  registerList(azure, serverType, {
    apiVersions,
    template: `${namespace}/flexibleServers`,
    present: presentServer,
  });
  router.on(
    'GET',
    `${namespace}/flexibleServers/{server}/privateEndpointConnections`,
    ({ request }) => {
      const server = store.get(parentPath(request.path));
      if (!server) throw notFound(azure, parentPath(request.path));
      return {
        status: 200,
        body: { value: objectsAt(server.body, 'properties', 'privateEndpointConnections') },
      };
    },
    { apiVersions },
  );
  router.on(
    'POST',
    `${namespace}/flexibleServers/{server}/restart`,
    ({ request }) => {
      const server = store.get(parentPath(request.path));
      if (!server) throw notFound(azure, parentPath(request.path));
      const failover = at(jsonBody(request), 'restartWithFailover') === true;
      if (failover && textAt(server.body, 'properties', 'highAvailability', 'mode') === 'Disabled')
        throw new ArmError(
          400,
          'FailoverNotSupported',
          `Server '${server.name}' has no standby to fail over to.`,
        );
      const before = server.body;
      const operation = operations.start({
        method: 'POST',
        target: request.path,
        busyOn: [server.id],
        effect: async () => {
          server.body = failover ? withZonesSwapped(before) : before;
          applyPending(azure, server.id);
          await events({ kind: 'restarted', server: server.id });
        },
        failed: () => {
          server.body = before;
        },
      });
      server.body = merge(before, { properties: { state: 'Restarting' } });
      return { status: 202, headers: operations.pollingHeaders(operation, request) };
    },
    { apiVersions },
  );
}

function parentPath(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}

/** The zones of a server and its standby after a failover. */
export function withZonesSwapped(body: JsonObject): JsonObject {
  return merge(body, {
    properties: {
      availabilityZone: at(body, 'properties', 'highAvailability', 'standbyAvailabilityZone') ?? null,
      highAvailability: { standbyAvailabilityZone: at(body, 'properties', 'availabilityZone') ?? null },
    },
  });
}

function onServer(_sent: JsonObject, { id }: Change): readonly string[] {
  return [parentOf(id)];
}

function serverOf(azure: Azure, { id }: Change): Resource {
  const server = azure.store.get(parentOf(id));
  if (!server) throw notFound(azure, parentOf(id));
  return server;
}

function registerChildren(azure: Azure, events: ServerEvents): void {
  registerResourceType(azure, {
    type: `${serverType}/databases`,
    apiVersions,
    change: 'accepted',
    busyOn: onServer,
    during: (body) => body,
    accept: (sent, change) => {
      if (isReplica(serverOf(azure, change)))
        throw new ArmError(
          400,
          'ReplicaIsReadOnly',
          `A database cannot be created on a replica (${change.id}).`,
        );
      return { properties: { charset: 'UTF8', collation: 'en_US.utf8', ...objectAt(sent, 'properties') } };
    },
    completed: ({ name }, change) =>
      events({ kind: 'databaseCreated', server: serverOf(azure, change).id, database: name }),
    deleted: ({ name }, change) =>
      void events({ kind: 'databaseDeleted', server: serverOf(azure, change).id, database: name }),
  });
  registerResourceType(azure, {
    type: `${serverType}/firewallRules`,
    apiVersions,
    change: 'accepted',
    busyOn: onServer,
    during: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      if (textAt(server.body, 'properties', 'network', 'delegatedSubnetResourceId') !== undefined)
        throw new ArmError(
          400,
          'FirewallRulesNotSupported',
          `Firewall rule operations cannot be requested for the private access enabled server '${server.name}'.`,
        );
      return sent;
    },
  });
  registerResourceType(azure, {
    type: `${serverType}/administrators`,
    apiVersions,
    change: 'accepted',
    busyOn: onServer,
    during: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      if (textAt(server.body, 'properties', 'authConfig', 'activeDirectoryAuth') !== 'Enabled')
        throw new ArmError(
          400,
          'AadAuthOperationCannotBePerformedWhenDisabled',
          `Microsoft Entra authentication is not enabled on server '${server.name}'.`,
        );
      return { properties: { ...objectAt(sent, 'properties'), objectId: change.name } };
    },
  });
  for (const child of ['databases', 'firewallRules', 'administrators', 'backups'])
    registerList(azure, `${serverType}/${child}`, {
      apiVersions,
      template: `${namespace}/flexibleServers/{server}/${child}`,
    });
}

/** https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-virtual-endpoints */
function registerVirtualEndpoints(azure: Azure): void {
  const { store } = azure;
  const type = `${serverType}/virtualEndpoints`;
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
    apiVersions,
    change: 'accepted',
    patch: true,
    busyOn: (sent, change) => memberServers(sent, change).map((server) => server.id),
    during: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      const members = textsAt(sent, 'properties', 'members');
      const [member, ...more] = members;
      if (more.length > 0)
        throw new ArmError(400, 'TooManyMembers', 'A virtual endpoint leads to one reader.');
      const known = [server, ...replicasOf(azure, server.id)].map((one) => one.name);
      if (member !== undefined && !known.includes(member))
        throw new ArmError(400, 'InvalidMember', `Server '${member}' is no replica of '${server.name}'.`);
      if (isReplica(server))
        throw new ArmError(
          400,
          'VirtualEndpointOnReplica',
          `A virtual endpoint belongs to a primary, and '${server.name}' is a replica.`,
        );
      if (store.children(server.id, type).some((other) => !sameId(other.id, change.id)))
        throw new ArmError(
          409,
          'VirtualEndpointExists',
          `Server '${server.name}' already has a virtual endpoint.`,
        );
      return {
        properties: {
          endpointType: 'ReadWrite',
          ...objectAt(sent, 'properties'),
          members: [...new Set([server.name, ...(member === undefined ? [] : [member])])],
          virtualEndpoints: ['writer', 'reader'].map(
            (role) => `${change.name}.${role}.postgres.database.azure.com`,
          ),
        },
      };
    },
  });
  registerList(azure, type, {
    apiVersions,
    template: `${namespace}/flexibleServers/{server}/virtualEndpoints`,
  });
}

/** Promotes a replica: a planned switchover, after which the two have changed roles. */
export function switchOver(azure: Azure, replica: Resource): void {
  const source = azure.store.get(textAt(replica.body, 'properties', 'sourceServerResourceId'));
  if (!source) throw new ArmError(400, 'NotAReplica', `Server '${replica.name}' is no replica.`);
  const endpoint = azure.store.children(source.id, `${serverType}/virtualEndpoints`)[0];
  if (!endpoint || !textsAt(endpoint.body, 'properties', 'members').includes(replica.name))
    throw new ArmError(
      400,
      'VirtualEndpointRequired',
      `A switchover needs a virtual endpoint that leads to '${replica.name}'.`,
    );
  for (const fact of ['tier', 'storageSizeGB'])
    if (at(source.body, 'properties', 'storage', fact) !== at(replica.body, 'properties', 'storage', fact))
      throw new ArmError(
        400,
        'ServersAreNotSymmetrical',
        `'${source.name}' and '${replica.name}' differ in storage ${fact}.`,
      );
  if (textAt(source.body, 'sku', 'name') !== textAt(replica.body, 'sku', 'name'))
    throw new ArmError(
      400,
      'ServersAreNotSymmetrical',
      `'${source.name}' and '${replica.name}' differ in size.`,
    );
  const role = textAt(replica.body, 'properties', 'replicationRole') ?? 'AsyncReplica';
  replica.body = merge(replica.body, {
    properties: { replicationRole: 'Primary', sourceServerResourceId: null },
  });
  // High availability does not survive becoming a replica.
  source.body = merge(source.body, {
    properties: {
      replicationRole: role,
      sourceServerResourceId: replica.id,
      highAvailability: { mode: 'Disabled', state: 'NotEnabled', standbyAvailabilityZone: null },
    },
  });
  azure.store.delete(endpoint.id);
  azure.store.put(`${replica.id}/virtualEndpoints/${endpoint.name}`, {
    properties: { ...objectAt(endpoint.body, 'properties'), members: [replica.name, source.name] },
  });
}
