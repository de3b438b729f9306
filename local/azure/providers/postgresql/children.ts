/** Databases, firewall rules and Entra administrators of a server. */

import { builtInDatabases } from '../../../../azure/reserved-names.ts';
import { type JsonObject, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { Resource } from '../../core/resource-store.ts';
import { type Change, registerList, registerResourceType } from '../../core/resource-types.ts';
import { children as refusals } from '../../refusals/server-children.ts';
import type { ServerEvents } from './events.ts';
import {
  isReplica,
  namespace,
  property,
  refuseUnlessReady,
  replicasOf,
  serverOf,
  serverType,
} from './server.ts';

const databaseType = `${serverType}/databases` as const;
const administratorType = `${serverType}/administrators` as const;

export function registerChildren(azure: Azure, events: ServerEvents): void {
  registerDatabases(azure, events);
  registerFirewallRules(azure);
  registerAdministrators(azure, events);
  for (const child of ['databases', 'firewallRules', 'administrators'] as const)
    registerList(azure, `${serverType}/${child}`, {
      template: `${namespace}/flexibleServers/{server}/${child}`,
    });
}

/** Copies the contents of a server's files, and its parameters at that moment. */
export function copyChildren(azure: Azure, from: Resource, to: Resource): void {
  for (const type of ['databases', 'administrators', 'configurations'])
    for (const child of azure.store.children(from.id, `${serverType}/${type}`))
      azure.store.put(`${to.id}/${type}/${child.name}`, {
        ...structuredClone(child.body),
        // The copy starts with them, so none of them waits for a restart.
        ...(type === 'configurations' ? { inForce: textAt(child.body, 'properties', 'value') ?? '' } : {}),
      });
}

const onServer = (azure: Azure) => (_sent: JsonObject, change: Change) => [serverOf(azure, change).id];

/** Refuses a change that needs a server that accepts writes. */
function refuseOnReplica(server: Resource, what: string): void {
  refuseUnlessReady(server);
  if (isReplica(server)) throw refusals.replicaReadOnly(what, server.name);
}

/** Changes a primary and its replicas, which share the contents of its files. */
function everywhere(azure: Azure, server: Resource, change: (server: Resource) => void): void {
  for (const one of [server, ...replicasOf(azure, server.id)]) change(one);
}

/**
 * The owner of a new database: the administrator with the password, or with Entra login alone the group of administrators.
 * If there is no administrator yet, it is Azure's superuser. https://github.com/hashicorp/terraform-provider-azurerm/issues/27895,
 * https://github.com/cyrilgdn/terraform-provider-postgresql/issues/500
 */
function ownerOfNew(azure: Azure, server: Resource): string {
  const administrators = azure.store.children(server.id, administratorType);
  const group = administrators.length > 0 ? 'azure_pg_admin' : 'azuresu';
  return property(server.body, 'administratorLogin') ?? group;
}

function registerDatabases(azure: Azure, events: ServerEvents): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: databaseType,
    change: 'accepted',
    busyOn: onServer(azure),
    whileRunning: (body) => body,
    accept: (sent, change) => {
      refuseOnReplica(serverOf(azure, change), 'A database');
      // Databases of Azure itself: https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-servers
      const plain = change.name.toLowerCase();
      if (plain !== 'postgres' && builtInDatabases.includes(plain))
        throw refusals.databaseReserved(change.name);
      return { properties: { charset: 'UTF8', collation: 'en_US.utf8', ...objectAt(sent, 'properties') } };
    },
    completed: async ({ name, body }, change) => {
      const server = serverOf(azure, change);
      if (!change.existing)
        await events({
          kind: 'databaseCreated',
          server: server.id,
          database: name,
          owner: ownerOfNew(azure, server),
        });
      everywhere(azure, server, (one) => store.put(`${one.id}/databases/${name}`, structuredClone(body)));
    },
    mayDelete: ({ name }, change) => {
      refuseOnReplica(serverOf(azure, change), 'A database');
      if (name === 'postgres') throw refusals.databasePostgresDeleted();
    },
    deleted: async ({ name }, change) => {
      const server = serverOf(azure, change);
      everywhere(azure, server, (one) => store.delete(`${one.id}/databases/${name}`));
      await events({ kind: 'databaseDeleted', server: server.id, database: name });
    },
  });
}

/** https://learn.microsoft.com/azure/postgresql/network/concepts-networking-public */
function registerFirewallRules(azure: Azure): void {
  registerResourceType(azure, {
    type: `${serverType}/firewallRules`,
    change: 'accepted',
    busyOn: onServer(azure),
    whileRunning: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      refuseUnlessReady(server);
      if (
        property(server.body, 'network', 'delegatedSubnetResourceId') !== undefined ||
        property(server.body, 'network', 'publicNetworkAccess') === 'Disabled'
      )
        throw refusals.firewallRuleOfPrivateServer(server.name);
      const [start, end] = ['startIpAddress', 'endIpAddress'].map((one) => number(property(sent, one)));
      if (start === undefined || end === undefined || start > end)
        throw refusals.firewallRuleNotValid(change.name);
      return sent;
    },
  });
}

function number(address: string | undefined): number | undefined {
  const octets = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/
    .exec(address ?? '')
    ?.slice(1)
    .map(Number);
  if (!octets || octets.some((octet) => octet > 255)) return undefined;
  return octets.reduce((sum, octet) => sum * 256 + octet, 0);
}

/** https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts */
function registerAdministrators(azure: Azure, events: ServerEvents): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: administratorType,
    change: 'accepted',
    busyOn: onServer(azure),
    whileRunning: (body) => body,
    accept: (sent, change) => {
      const server = serverOf(azure, change);
      // The login is a role in the database, and a replica has the roles of its primary.
      refuseOnReplica(server, 'An Entra administrator');
      if (property(server.body, 'authConfig', 'activeDirectoryAuth') !== 'Enabled')
        throw refusals.entraLoginOff(server.name);
      if (property(sent, 'tenantId')?.toLowerCase() !== azure.tenantId.toLowerCase())
        throw refusals.administratorOfAnotherTenant(property(sent, 'principalName') ?? '', azure.tenantId);
      return { properties: { ...objectAt(sent, 'properties'), objectId: change.name } };
    },
    completed: async ({ name, body }, change) => {
      const server = serverOf(azure, change);
      await events({ kind: 'administratorAdded', server: server.id, ...administrator(name, body) });
      everywhere(azure, server, (one) =>
        store.put(`${one.id}/administrators/${name}`, structuredClone(body)),
      );
    },
    mayDelete: (_administrator, change) => refuseOnReplica(serverOf(azure, change), 'An Entra administrator'),
    deleted: async ({ name, body }, change) => {
      const server = serverOf(azure, change);
      everywhere(azure, server, (one) => store.delete(`${one.id}/administrators/${name}`));
      await events({
        kind: 'administratorRemoved',
        server: server.id,
        name: administrator(name, body).name,
      });
    },
  });
}

function administrator(objectId: string, body: JsonObject) {
  return {
    name: textAt(body, 'properties', 'principalName') ?? objectId,
    objectId,
    principalType: textAt(body, 'properties', 'principalType') ?? 'Unknown',
  };
}
