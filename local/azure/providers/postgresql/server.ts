/** Facts about the document of a Flexible Server that this folder shares. */

import { parentOf, sameId } from '../../../../azure/resource-id.ts';
import { type Sku, skus } from '../../../../azure/skus.ts';
import { type JsonObject, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import type { Resource } from '../../core/resource-store.ts';
import { type Change, notFound } from '../../core/resource-types.ts';
import { server as refusals } from '../../refusals/flexible-server.ts';

export const serverType = 'Microsoft.DBforPostgreSQL/flexibleServers';
export const namespace = '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.DBforPostgreSQL';

/** Most replicas of one server: https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas */
export const replicaLimit = 5;

export function skuOf(body: JsonObject | undefined): Sku | undefined {
  const size = textAt(body, 'sku', 'name');
  return skus.find((sku) => sku.size === size && sku.tier === textAt(body, 'sku', 'tier'));
}

export function replicasOf(azure: Azure, source: string): Resource[] {
  return azure.store
    .ofType(serverType)
    .filter((server) => sameId(textAt(server.body, 'properties', 'sourceServerResourceId'), source));
}

export function isReplica(server: Resource | undefined): boolean {
  return isReplicaDocument(server?.body);
}

export function isReplicaDocument(body: JsonObject | undefined): boolean {
  return /AsyncReplica$/.test(textAt(body, 'properties', 'replicationRole') ?? '');
}

/** The server a replica follows. */
export function sourceServerOf(azure: Azure, body: JsonObject | undefined): Resource | undefined {
  return azure.store.get(textAt(body, 'properties', 'sourceServerResourceId'));
}

export function stateOf(body: JsonObject | undefined): string {
  return textAt(body, 'properties', 'state') ?? 'Ready';
}

/** The server a child belongs to. @throws ArmError 404 */
export function serverOf(azure: Azure, { id }: Pick<Change, 'id'>): Resource {
  const server = azure.store.get(parentOf(id));
  if (!server) throw notFound(azure, parentOf(id));
  return server;
}

/**
 * A stopped server accepts only its start and its deletion.
 * https://learn.microsoft.com/azure/postgresql/configure-maintain/how-to-stop-server
 */
export function refuseUnlessReady(server: Resource): void {
  const state = stateOf(server.body);
  if (state !== 'Ready') throw refusals.notReady(server.name, state);
}

/** The text at a path inside `properties`. */
export function property(body: JsonObject | undefined, ...path: readonly string[]): string | undefined {
  return textAt(body, 'properties', ...path);
}
