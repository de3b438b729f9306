/**
 * Servers with a source: replicas and restores, the limits that let a replica follow, and promotions.
 * https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas
 */

import { sameId } from '../../../../azure/resource-id.ts';
import { storageTierRank } from '../../../../azure/storage.ts';
import { type JsonObject, merge, numberAt, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { canonicalLocation } from '../../core/locations.ts';
import { notPlayed } from '../../core/refusal.ts';
import type { Resource } from '../../core/resource-store.ts';
import type { Change } from '../../core/resource-types.ts';
import { replicas as refusals } from '../../refusals/replicas.ts';
import { droppedSource } from './dropped.ts';
import {
  isReplica,
  isReplicaDocument,
  property,
  refuseUnlessReady,
  replicaLimit,
  replicasOf,
  serverType,
  skuOf,
  sourceServerOf,
} from './server.ts';

/** The document of a new server: that of its source, with the request on top. */
export function fromSource(azure: Azure, sent: JsonObject, mode: string, change: Change): JsonObject {
  const revives = mode === 'ReviveDropped';
  const source = revives ? droppedSource(azure, sent, change.name).server : sourceServerOf(azure, sent);
  if (!source) throw refusals.sourceNotFound(property(sent, 'sourceServerResourceId') ?? '', change.name);
  const inherited = objectAt(source.body, 'properties');
  const properties: JsonObject = {
    version: inherited['version'],
    authConfig: inherited['authConfig'],
    administratorLogin: inherited['administratorLogin'],
    ...objectAt(sent, 'properties'),
    storage: merge(objectAt(inherited, 'storage'), objectAt(sent, 'properties', 'storage')),
  };
  const whole = { sku: source.body['sku'], ...sent, properties };
  if (mode === 'Replica') {
    refuseReplica(azure, source, sent, change.name);
    const near = canonicalLocation(textAt(sent, 'location') ?? '') === textAt(source.body, 'location');
    properties['replicationRole'] = near ? 'AsyncReplica' : 'GeoAsyncReplica';
    return whole;
  }
  if (!revives && mode !== 'PointInTimeRestore' && mode !== 'GeoRestore')
    throw notPlayed('CreateModeNotPlayed', `Create mode '${mode}' is not played.`);
  if (!revives) refuseRestore(azure, source, sent, mode);
  delete properties['sourceServerResourceId'];
  return whole;
}

/** https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore, "Point-in-time recovery" */
function refuseRestore(azure: Azure, source: Resource, sent: JsonObject, mode: string): void {
  if (isReplica(source)) throw refusals.restoreFromReplica(source.name);
  const geo = property(source.body, 'backup', 'geoRedundantBackup') === 'Enabled';
  if (mode === 'GeoRestore' && !geo) throw refusals.geoRestoreWithoutBackup(source.name);
  const time = Date.parse(property(sent, 'pointInTimeUTC') ?? '');
  const earliest = Date.parse(property(source.body, 'backup', 'earliestRestoreDate') ?? '');
  if (Number.isNaN(time) || time < earliest || time > azure.clock.now())
    throw refusals.restoreTimeOutOfRange(
      source.name,
      new Date(earliest).toISOString(),
      property(sent, 'pointInTimeUTC') ?? '',
    );
}

function refuseReplica(azure: Azure, source: Resource, sent: JsonObject, name: string): void {
  if (isReplica(source))
    throw notPlayed(
      'CascadingReplicaNotPlayed',
      `Replicas of a replica ('${source.name}') are a preview of some regions and are not played.`,
    );
  if (skuOf(source.body)?.tier === 'Burstable' || textAt(sent, 'sku', 'tier') === 'Burstable')
    throw refusals.onBurstable(name);
  if (replicasOf(azure, source.id).length >= replicaLimit)
    throw refusals.tooMany(name, source.name, replicaLimit);
  refuseUnlessReady(source);
  if ((property(sent, 'highAvailability', 'mode') ?? 'Disabled') !== 'Disabled')
    throw refusals.withStandby(name);
  // "Unsupported features on read replicas"
  if (property(sent, 'backup', 'geoRedundantBackup') === 'Enabled') throw refusals.withGeoBackup(name);
  if (numberAt(sent, 'properties', 'backup', 'backupRetentionDays') !== undefined)
    throw refusals.withRetention(name);
  for (const login of ['administratorLogin', 'administratorLoginPassword'])
    if (property(sent, login) !== undefined) throw refusals.withLogin(name, login);
}

/** The size of a server that a replica has to match. */
interface Capacity {
  readonly vCores: number;
  readonly memoryGb: number;
  readonly storageGb: number;
  readonly tier: number;
  readonly autoGrow: boolean;
}

function capacityOf(body: JsonObject): Capacity {
  const sku = skuOf(body);
  return {
    vCores: sku?.vCores ?? 0,
    memoryGb: sku?.memoryGb ?? 0,
    storageGb: numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0,
    tier: storageTierRank(property(body, 'storage', 'tier') ?? ''),
    autoGrow: property(body, 'storage', 'autoGrow') === 'Enabled',
  };
}

/**
 * Compute and storage of a primary never exceed those of its smallest replica: the replica grows first, the primary
 * shrinks first. The same page, "Scale" and "Storage autogrow".
 */
export function refuseUnfollowable(
  azure: Azure,
  body: JsonObject,
  { id, name }: Pick<Change, 'id' | 'name'>,
): void {
  const source = isReplicaDocument(body) ? sourceServerOf(azure, body) : undefined;
  const pairs = source
    ? [{ primary: source.body, replica: body, names: [name, source.name] as const }]
    : replicasOf(azure, id).map((one) => ({
        primary: body,
        replica: one.body,
        names: [one.name, name] as const,
      }));
  for (const { primary, replica, names } of pairs) {
    const [mine, theirs] = [capacityOf(primary), capacityOf(replica)];
    if (skuOf(primary)?.tier === 'Burstable' || skuOf(replica)?.tier === 'Burstable')
      throw refusals.onBurstable(names[0]);
    if (theirs.vCores < mine.vCores || theirs.memoryGb < mine.memoryGb)
      throw refusals.lessCompute('vCores and memory', ...names);
    if (theirs.storageGb < mine.storageGb) throw refusals.lessStorage('Storage size', ...names);
    if (theirs.tier < mine.tier) throw refusals.lowerDiskTier('Storage performance tier', ...names);
    if (mine.autoGrow && !theirs.autoGrow) throw refusals.withoutAutoGrow(...names);
  }
}

/** Refuses changes that need a server that accepts writes, or one without replicas. */
export function refuseByRole(azure: Azure, before: Resource, after: JsonObject): void {
  if (isReplica(before)) {
    const days = (body: JsonObject) => numberAt(body, 'properties', 'backup', 'backupRetentionDays');
    if (days(after) !== days(before.body)) throw refusals.retentionChanged(before.name);
  }
  // https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-major-version-upgrade
  if (property(after, 'version') !== property(before.body, 'version')) {
    if (isReplica(before) || replicasOf(azure, before.id).length > 0) throw refusals.upgraded(before.name);
  }
}

export interface Promotion {
  /** Exchange the roles, or become a server of its own. */
  readonly mode: 'Switchover' | 'Standalone';
  readonly replica: Resource;
  readonly primary: Resource;
}

/** The promotion that a PATCH asks for. @throws ArmError for a role that cannot be given */
export function promotionMode(sent: JsonObject): Promotion['mode'] | undefined {
  const role = property(sent, 'replica', 'role');
  // Older versions had no `replica`, and promoted with the replication role None, as azurerm still does.
  if (role === undefined) return property(sent, 'replicationRole') === 'None' ? 'Standalone' : undefined;
  if (!['None', 'Primary'].includes(role)) throw refusals.roleUnknown(role);
  return property(sent, 'replica', 'promoteMode') === 'Switchover' ? 'Switchover' : 'Standalone';
}

/** The promotion that a PATCH asks for, or undefined. @throws ArmError if it is not possible */
export function promotionOf(
  azure: Azure,
  sent: JsonObject,
  server: Resource | undefined,
): Promotion | undefined {
  const mode = promotionMode(sent);
  if (!server || mode === undefined) return undefined;
  const primary = sourceServerOf(azure, server.body);
  if (!isReplica(server) || !primary) throw refusals.notAReplica(server.name);
  if (property(sent, 'administratorLoginPassword') !== undefined) throw refusals.promotionWithPassword();
  // Without the loss of a region, forced and planned promotions have the same conditions.
  for (const one of [primary, server]) refuseUnlessReady(one);
  if (mode === 'Switchover') refuseSwitchover(azure, primary, server);
  return { mode, replica: server, primary };
}

/** https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-promote, "Server Symmetry" */
function refuseSwitchover(azure: Azure, primary: Resource, replica: Resource): void {
  const endpoint = azure.store
    .children(primary.id, `${serverType}/virtualEndpoints`)
    .find((one) => membersOf(one).includes(replica.name));
  if (!endpoint) throw refusals.switchoverWithoutEndpoint(replica.name);
  const facts = (one: Resource) => {
    const { vCores, memoryGb, storageGb } = capacityOf(one.body);
    return { 'compute tier': skuOf(one.body)?.tier, vCores, memory: memoryGb, 'storage size': storageGb };
  };
  const theirs = facts(replica);
  for (const [what, value] of Object.entries(facts(primary)))
    if (value !== Object.entries(theirs).find(([name]) => name === what)?.[1])
      throw refusals.notSymmetrical(primary.name, replica.name, what);
}

export function membersOf(endpoint: Resource): string[] {
  const members = objectAt(endpoint.body, 'properties')['members'];
  return Array.isArray(members) ? members.map(String) : [];
}

/** Exchanges the roles, or ends the replication. The virtual endpoints follow as in Azure. */
export function promoted(azure: Azure, { mode, replica, primary }: Promotion): void {
  const role = property(replica.body, 'replicationRole') ?? 'AsyncReplica';
  const endpoints = azure.store.children(primary.id, `${serverType}/virtualEndpoints`);
  replica.body = asPrimary(replica.body);
  if (mode === 'Standalone') {
    for (const endpoint of endpoints)
      if (membersOf(endpoint).includes(replica.name))
        endpoint.body = merge(endpoint.body, { properties: { members: [primary.name] } });
    return;
  }
  primary.body = asReplica(primary.body, replica.id, role);
  // Other replicas follow the new primary.
  for (const other of replicasOf(azure, primary.id))
    if (!sameId(other.id, replica.id))
      other.body = merge(other.body, { properties: { sourceServerResourceId: replica.id } });
  for (const endpoint of endpoints) {
    azure.store.delete(endpoint.id);
    azure.store.put(
      `${replica.id}/virtualEndpoints/${endpoint.name}`,
      merge(endpoint.body, { properties: { members: [replica.name, primary.name] } }),
    );
  }
}

function asPrimary(body: JsonObject): JsonObject {
  return merge(body, {
    properties: {
      state: 'Ready',
      replicationRole: 'Primary',
      replica: { role: 'Primary', replicationState: null },
      sourceServerResourceId: null,
    },
  });
}

/** Ends high availability and further backups; existing backups stay. */
function asReplica(body: JsonObject, source: string, role: string): JsonObject {
  return merge(body, {
    properties: {
      state: 'Ready',
      replicationRole: role,
      replica: { role, replicationState: 'Active' },
      sourceServerResourceId: source,
      highAvailability: { mode: 'Disabled', state: 'NotEnabled', standbyAvailabilityZone: null },
    },
  });
}

/** A switchover from the portal. @throws ArmError if Azure would refuse it */
export function switchOver(azure: Azure, replica: Resource): void {
  const asked = { properties: { replica: { role: 'Primary', promoteMode: 'Switchover' } } };
  const promotion = promotionOf(azure, asked, replica);
  if (promotion) promoted(azure, promotion);
}
