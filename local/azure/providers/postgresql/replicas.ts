/**
 * Servers made from another one: replicas and restores; what keeps a replica able to follow; and its promotion.
 * https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas
 */

import { sameId } from '../../../../azure/resource-id.ts';
import { storageTierRank } from '../../../../azure/storage.ts';
import { type JsonObject, merge, numberAt, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { ArmError } from '../../core/http.ts';
import { canonicalLocation } from '../../core/locations.ts';
import type { Resource } from '../../core/resource-store.ts';
import type { Change } from '../../core/resource-types.ts';
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

/** What a new server takes over from its source, with what was sent on top. */
export function fromSource(azure: Azure, sent: JsonObject, mode: string, change: Change): JsonObject {
  const source = sourceServerOf(azure, sent);
  if (!source)
    throw new ArmError(
      404,
      'ResourceNotFound',
      `The source server '${property(sent, 'sourceServerResourceId')}' of '${change.name}' was not found.`,
    );
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
  if (mode !== 'PointInTimeRestore' && mode !== 'GeoRestore')
    throw new ArmError(501, 'CreateModeNotPlayed', `Create mode '${mode}' is not rehearsed.`);
  refuseRestore(azure, source, sent, mode);
  delete properties['sourceServerResourceId'];
  return whole;
}

/** https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore, "Point-in-time recovery" */
function refuseRestore(azure: Azure, source: Resource, sent: JsonObject, mode: string): void {
  if (isReplica(source))
    throw new ArmError(400, 'RestoreFromReplica', `A replica ('${source.name}') has no backups to restore.`);
  const geo = property(source.body, 'backup', 'geoRedundantBackup') === 'Enabled';
  if (mode === 'GeoRestore' && !geo)
    throw new ArmError(400, 'GeoRestoreNotSupported', `Server '${source.name}' has no geo-redundant backup.`);
  const time = Date.parse(property(sent, 'pointInTimeUTC') ?? '');
  const earliest = Date.parse(property(source.body, 'backup', 'earliestRestoreDate') ?? '');
  if (Number.isNaN(time) || time < earliest || time > azure.clock.now())
    throw new ArmError(
      400,
      'InvalidPointInTime',
      `Server '${source.name}' can be restored to a time from ${new Date(earliest).toISOString()} until now, not to '${property(sent, 'pointInTimeUTC')}'.`,
    );
}

function refuseReplica(azure: Azure, source: Resource, sent: JsonObject, name: string): void {
  const refuse = (message: string) =>
    new ArmError(400, 'ReadReplicaNotSupported', `${message} (replica '${name}')`);
  if (isReplica(source))
    throw new ArmError(
      501,
      'CascadingReplicaNotPlayed',
      `Replicas of a replica ('${source.name}') are a preview of some regions and are not rehearsed.`,
    );
  if (skuOf(source.body)?.tier === 'Burstable' || textAt(sent, 'sku', 'tier') === 'Burstable')
    throw refuse('Read replicas are not supported on the Burstable tier.');
  if (replicasOf(azure, source.id).length >= replicaLimit)
    throw refuse(`Server '${source.name}' already has ${replicaLimit} replicas.`);
  refuseUnlessReady(source);
  if ((property(sent, 'highAvailability', 'mode') ?? 'Disabled') !== 'Disabled')
    throw refuse('High availability cannot be enabled on a replica.');
  // "Unsupported features on read replicas"
  if (property(sent, 'backup', 'geoRedundantBackup') === 'Enabled')
    throw refuse('Geo-redundant backup cannot be enabled on a replica.');
  if (numberAt(sent, 'properties', 'backup', 'backupRetentionDays') !== undefined)
    throw refuse('Backups are not taken of a replica, so their retention cannot be chosen.');
  for (const login of ['administratorLogin', 'administratorLoginPassword'])
    if (property(sent, login) !== undefined)
      throw refuse(`A replica takes its administrator over from its primary; '${login}' cannot be sent.`);
}

/** A server's size, as far as a replica has to match it. */
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
 * Compute and storage of a primary are never more than its smallest replica's: the replica grows first, the primary
 * shrinks first. The same page, "Scale" and "Storage autogrow".
 */
export function refuseUnfollowable(
  azure: Azure,
  body: JsonObject,
  { id, name }: Pick<Change, 'id' | 'name'>,
): void {
  const source = isReplicaDocument(body) ? sourceServerOf(azure, body) : undefined;
  const pairs = source
    ? [{ primary: source.body, replica: body, names: [source.name, name] }]
    : replicasOf(azure, id).map((one) => ({ primary: body, replica: one.body, names: [name, one.name] }));
  for (const { primary, replica, names } of pairs) {
    const [mine, theirs] = [capacityOf(primary), capacityOf(replica)];
    const refuse = (what: string) =>
      new ArmError(
        400,
        'ReplicaSmallerThanPrimary',
        `${what} of replica '${names[1]}' must be at least those of its primary '${names[0]}': scale the replica up first, and the primary down first.`,
      );
    if (skuOf(primary)?.tier === 'Burstable' || skuOf(replica)?.tier === 'Burstable')
      throw new ArmError(
        400,
        'ReadReplicaNotSupported',
        `Read replicas are not supported on the Burstable tier ('${names[0]}', '${names[1]}').`,
      );
    if (theirs.vCores < mine.vCores || theirs.memoryGb < mine.memoryGb) throw refuse('vCores and memory');
    if (theirs.storageGb < mine.storageGb) throw refuse('Storage size');
    if (theirs.tier < mine.tier) throw refuse('Storage performance tier');
    if (mine.autoGrow && !theirs.autoGrow)
      throw new ArmError(
        400,
        'ReplicaAutoGrowRequired',
        `Storage auto-grow must be on at replica '${names[1]}' while it is on at its primary '${names[0]}': enable it on the replica first, disable it on the primary first.`,
      );
  }
}

/** What only a server that takes writes may be told, and what waits until it has no replicas. */
export function refuseByRole(azure: Azure, before: Resource, after: JsonObject): void {
  if (isReplica(before)) {
    const days = (body: JsonObject) => numberAt(body, 'properties', 'backup', 'backupRetentionDays');
    if (days(after) !== days(before.body))
      throw new ArmError(
        400,
        'BackupNotSupportedOnReplica',
        `Backups are not taken of replica '${before.name}', so their retention cannot be changed.`,
      );
  }
  // https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-major-version-upgrade
  if (property(after, 'version') !== property(before.body, 'version')) {
    if (isReplica(before) || replicasOf(azure, before.id).length > 0)
      throw new ArmError(
        400,
        'MajorVersionUpgradeWithReplicas',
        `The major version of '${before.name}' cannot be upgraded while there are read replicas: delete them first.`,
      );
  }
}

export interface Promotion {
  /** Exchange the roles, or become a server of its own. */
  readonly mode: 'Switchover' | 'Standalone';
  readonly replica: Resource;
  readonly primary: Resource;
}

/** Whether a PATCH asks for a promotion, and which. @throws ArmError for a role nobody can be given */
export function promotionMode(sent: JsonObject): Promotion['mode'] | undefined {
  const role = property(sent, 'replica', 'role');
  // Before there was `replica`, a replication role of None meant a standalone server; azurerm still says that.
  if (role === undefined) return property(sent, 'replicationRole') === 'None' ? 'Standalone' : undefined;
  if (!['None', 'Primary'].includes(role))
    throw new ArmError(400, 'InvalidReplicationRole', `A server cannot be given the role '${role}'.`);
  return property(sent, 'replica', 'promoteMode') === 'Switchover' ? 'Switchover' : 'Standalone';
}

/** The promotion that a PATCH asks for, or undefined. @throws ArmError when it is not possible */
export function promotionOf(
  azure: Azure,
  sent: JsonObject,
  server: Resource | undefined,
): Promotion | undefined {
  const mode = promotionMode(sent);
  if (!server || mode === undefined) return undefined;
  const primary = sourceServerOf(azure, server.body);
  if (!isReplica(server) || !primary)
    throw new ArmError(400, 'NotAReplica', `Server '${server.name}' is no replica and cannot be promoted.`);
  if (property(sent, 'administratorLoginPassword') !== undefined)
    throw new ArmError(
      400,
      'PasswordResetWithPromotion',
      'A promotion and a new administrator password cannot be one request.',
    );
  // Forced or planned: without the loss of a region both are held to the same conditions.
  for (const one of [primary, server]) refuseUnlessReady(one);
  if (mode === 'Switchover') refuseSwitchover(azure, primary, server);
  return { mode, replica: server, primary };
}

/** https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-promote, "Server Symmetry" */
function refuseSwitchover(azure: Azure, primary: Resource, replica: Resource): void {
  const endpoint = azure.store
    .children(primary.id, `${serverType}/virtualEndpoints`)
    .find((one) => membersOf(one).includes(replica.name));
  if (!endpoint)
    throw new ArmError(
      400,
      'VirtualEndpointRequired',
      `A switchover needs a virtual endpoint whose reader is '${replica.name}'.`,
    );
  const facts = (one: Resource) => {
    const { vCores, memoryGb, storageGb } = capacityOf(one.body);
    return { 'compute tier': skuOf(one.body)?.tier, vCores, memory: memoryGb, 'storage size': storageGb };
  };
  const theirs = facts(replica);
  for (const [what, value] of Object.entries(facts(primary)))
    if (value !== Object.entries(theirs).find(([name]) => name === what)?.[1])
      throw new ArmError(
        400,
        'ServersAreNotSymmetrical',
        `'${primary.name}' and '${replica.name}' differ in ${what}.`,
      );
}

export function membersOf(endpoint: Resource): string[] {
  const members = objectAt(endpoint.body, 'properties')['members'];
  return Array.isArray(members) ? members.map(String) : [];
}

/** Exchanges the roles, or ends the replication; the endpoints follow as they do in Azure. */
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
  // What else followed the primary follows the new one.
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

/** High availability does not survive it, and backups are taken no more; those there are stay. */
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

/** A switchover that somebody else asked for, in the portal. @throws ArmError when Azure would refuse it */
export function switchOver(azure: Azure, replica: Resource): void {
  const asked = { properties: { replica: { role: 'Primary', promoteMode: 'Switchover' } } };
  const promotion = promotionOf(azure, asked, replica);
  if (promotion) promoted(azure, promotion);
}
