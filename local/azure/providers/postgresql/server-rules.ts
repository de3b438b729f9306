/** Rules of Azure about a Flexible Server that the provider does not check. */
import { region } from '../../../../azure/regions.ts';
import { reservedAdministrators } from '../../../../azure/reserved-names.ts';
import { sameId } from '../../../../azure/resource-id.ts';
import { storageTierRank, storageTiers } from '../../../../azure/storage.ts';
import { majorVersion } from '../../../../azure/versions.ts';
import { backupRetentionDays, isAvailabilityZone } from '../../../../azure/vocabulary.ts';
import { at, type JsonObject, numberAt, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isTakenElsewhere, refuseReservedName } from '../../core/names.ts';
import { notPlayed } from '../../core/refusal.ts';
import type { Change } from '../../core/resource-types.ts';
import { server as refusals } from '../../refusals/flexible-server.ts';
import { replicas } from '../../refusals/replicas.ts';
import { isReplicaDocument, property, serverType, skuOf } from './server.ts';
import { refuseEncryption, refuseNetwork } from './server-surroundings.ts';

/**
 * 3 to 63 characters, unique in all of Azure because they become host names.
 * https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftdbforpostgresql
 */
export function refuseName(azure: Azure, { id, name }: Pick<Change, 'id' | 'name'>): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(name)) throw refusals.nameNotValid(name);
  refuseReservedName(name);
  const twin = azure.store
    .ofType(serverType)
    .find((server) => server.name.toLowerCase() === name.toLowerCase() && !sameId(server.id, id));
  if (twin || isTakenElsewhere(azure, 'postgres', name)) throw refusals.nameTaken(name);
}

/** Rules about every server, new or changed. */
export function refuseServer(azure: Azure, body: JsonObject, { id, name }: Change): void {
  const location = textAt(body, 'location') ?? '';
  if (!region(location)) throw refusals.regionUnknown(location, serverType);
  if (!skuOf(body))
    throw refusals.skuUnknown(textAt(body, 'sku', 'name') ?? '', textAt(body, 'sku', 'tier') ?? '');
  const version = property(body, 'version');
  if (!majorVersion(Number(version))) throw refusals.versionNotOffered(version ?? '', name);
  refuseAvailability(body, name);
  refuseStorage(body);
  refuseBackup(body);
  refuseWindow(body);
  refuseEncryption(azure, body);
  refuseNetwork(azure, body, { id, name });
  const auth = objectAt(body, 'properties', 'authConfig');
  if (auth['activeDirectoryAuth'] === 'Disabled' && auth['passwordAuth'] === 'Disabled')
    throw refusals.noAuthentication();
}

/** https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server, "Limitations" */
function refuseAvailability(body: JsonObject, name: string): void {
  const location = textAt(body, 'location') ?? '';
  const mode = property(body, 'highAvailability', 'mode');
  const zone = property(body, 'availabilityZone');
  const standby = property(body, 'highAvailability', 'standbyAvailabilityZone');
  const zonal = region(location)?.hasZones === true;
  if (mode === 'ZoneRedundant' && !zonal) throw refusals.zoneRedundancyWithoutZones(location);
  for (const one of [zone, standby]) {
    if (one === undefined) continue;
    if (!zonal) throw refusals.zoneWithoutZones(location);
    if (!isAvailabilityZone(one)) throw refusals.zoneUnknown(one, name);
  }
  if (mode === 'Disabled') return;
  if (skuOf(body)?.tier === 'Burstable') throw refusals.standbyOnBurstable();
  if (isReplicaDocument(body)) throw refusals.standbyOnReplica();
  if (mode === 'ZoneRedundant' && standby === zone) throw refusals.standbyInSameZone(name, zone ?? '');
  if (mode === 'SameZone' && standby !== zone) throw refusals.standbyInAnotherZone(name, zone ?? '');
}

/** https://learn.microsoft.com/azure/postgresql/extensions/concepts-storage */
function refuseStorage(body: JsonObject): void {
  const size = numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  const tier = property(body, 'storage', 'tier') ?? '';
  const tiers = storageTiers(size);
  if (!tiers) throw refusals.diskSizeUnknown(size);
  if (!tiers.includes(tier)) throw refusals.diskTierUnknown(tier, size);
  const type = property(body, 'storage', 'type');
  if (type !== 'Premium_LRS')
    throw notPlayed('StorageTypeNotPlayed', `Disks of type '${type}' are not played.`);
  const throughput = at(body, 'properties', 'storage', 'throughput');
  if (throughput !== undefined) throw refusals.throughputOfPremiumDisk();
}

/** https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore */
function refuseBackup(body: JsonObject): void {
  const { minimum, maximum } = backupRetentionDays;
  const days = numberAt(body, 'properties', 'backup', 'backupRetentionDays') ?? minimum;
  if (!Number.isInteger(days) || days < minimum || days > maximum) throw refusals.retentionOutOfRange(days);
  if (property(body, 'backup', 'geoRedundantBackup') !== 'Enabled') return;
  const location = textAt(body, 'location') ?? '';
  if (region(location)?.pair === undefined) throw refusals.geoBackupWithoutPair(location);
  const encrypted = property(body, 'dataEncryption', 'type') === 'AzureKeyVault';
  if (encrypted && property(body, 'dataEncryption', 'geoBackupKeyURI') === undefined)
    throw refusals.geoBackupWithoutKey();
}

/** https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-maintenance */
function refuseWindow(body: JsonObject): void {
  const limits = { dayOfWeek: 6, startHour: 23, startMinute: 59 };
  for (const [name, most] of Object.entries(limits)) {
    const value = numberAt(body, 'properties', 'maintenanceWindow', name) ?? 0;
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw refusals.windowOutOfRange(name, most, value);
  }
}

/** Rules about a new server with its own logins. */
export function refuseCreation(sent: JsonObject, { name }: Change): void {
  // azurerm sends it in a PATCH of its own (v4.55.0, postgresql_flexible_server_resource.go, lines 676-691).
  if (property(sent, 'maintenanceWindow', 'customWindow') === 'Enabled')
    throw refusals.windowAtCreation(name);
  const role = property(sent, 'replicationRole');
  if (role !== undefined && role !== 'None') throw refusals.roleAtCreation(role);
}

/**
 * https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts and
 * https://learn.microsoft.com/rest/api/postgresql/servers/create-or-update
 */
export function refuseLogin(sent: JsonObject, after: JsonObject, before: JsonObject | undefined): void {
  const login = property(sent, 'administratorLogin');
  const secret = property(sent, 'administratorLoginPassword');
  if (property(after, 'authConfig', 'passwordAuth') !== 'Enabled') {
    if (login !== undefined || secret !== undefined) throw refusals.loginWithoutPasswords();
    return;
  }
  if (before === undefined && (login === undefined || secret === undefined)) throw refusals.loginMissing();
  const known = property(before, 'administratorLogin');
  if (known !== undefined && login !== undefined && login !== known) throw refusals.loginChanged(known);
  if (login !== undefined && (reservedAdministrators.includes(login.toLowerCase()) || /^pg_/i.test(login)))
    throw refusals.loginReserved(login);
  // https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas, "Considerations"
  if (secret !== undefined && isReplicaDocument(before)) throw replicas.passwordReset();
  if (secret !== undefined) refusePassword(secret, login ?? known ?? '');
}

/** 8 to 128 characters of three of the four kinds, without the login's name in it. */
function refusePassword(secret: string, login: string): void {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(secret)).length;
  const named = login !== '' && secret.toLowerCase().includes(login.toLowerCase());
  if (secret.length < 8 || secret.length > 128 || kinds < 3 || named) throw refusals.passwordWeak();
}

/** @param clock milliseconds since the epoch; `tierLoweredAt` when the tier was lowered last */
export function refuseUpdate(
  before: JsonObject,
  after: JsonObject,
  sent: JsonObject,
  cooling: { readonly now: number; readonly tierLoweredAt: number | undefined },
): void {
  const size = (body: JsonObject) => numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  if (size(after) < size(before)) throw refusals.diskShrinks(size(before), size(after));
  // https://learn.microsoft.com/azure/virtual-machines/disks-change-performance, "Restrictions"
  const rank = (body: JsonObject) => storageTierRank(property(body, 'storage', 'tier') ?? '');
  const hours = (cooling.now - (cooling.tierLoweredAt ?? -Infinity)) / 3_600_000;
  if (rank(after) < rank(before) && hours < 12) throw refusals.diskTierLoweredTwice();
  if (property(after, 'backup', 'geoRedundantBackup') !== property(before, 'backup', 'geoRedundantBackup'))
    throw refusals.geoBackupChanged();
  refuseVersionChange(before, after);
  const availability = (body: JsonObject) => property(body, 'highAvailability', 'mode');
  // https://learn.microsoft.com/azure/postgresql/high-availability/how-to-configure-high-availability
  const modes = [availability(before), availability(after)];
  if (modes[0] !== modes[1] && !modes.includes('Disabled'))
    throw refusals.standbyModeSwitched(modes.join(' to '));
  // azurerm issue 27612: leaving Burstable and turning availability on cannot be one change.
  if (
    textAt(before, 'sku', 'tier') === 'Burstable' &&
    textAt(after, 'sku', 'tier') !== 'Burstable' &&
    availability(after) !== availability(before)
  )
    throw refusals.standbyWithTierChange();
  for (const path of [
    ['availabilityZone'],
    ['network', 'delegatedSubnetResourceId'],
    ['sourceServerResourceId'],
  ])
    if (property(sent, ...path) !== undefined && property(after, ...path) !== property(before, ...path))
      throw refusals.propertyImmutable(path.at(-1) ?? '');
  // https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private, "Use a Private DNS zone"
  const zone = (body: JsonObject) => property(body, 'network', 'privateDnsZoneArmResourceId')?.toLowerCase();
  if (zone(after) !== zone(before) && availability(before) !== 'Disabled')
    throw refusals.zoneChangedWithStandby();
}

/** https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-major-version-upgrade */
function refuseVersionChange(before: JsonObject, after: JsonObject): void {
  const version = (body: JsonObject) => Number(property(body, 'version'));
  if (version(after) < version(before)) throw refusals.versionLowered(version(before), version(after));
}
