/** What Azure refuses of a Flexible Server that the provider lets through. Each rule has its source beside it. */
import { region } from '../../../../azure/regions.ts';
import { sameId } from '../../../../azure/resource-id.ts';
import { storageTierRank, storageTiers } from '../../../../azure/storage.ts';
import { majorVersion } from '../../../../azure/versions.ts';
import { backupRetentionDays, isAvailabilityZone } from '../../../../azure/vocabulary.ts';
import { at, type JsonObject, numberAt, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { ArmError } from '../../core/http.ts';
import { isTakenElsewhere, refuseReservedName } from '../../core/names.ts';
import type { Change } from '../../core/resource-types.ts';
import { isReplicaDocument, property, serverType, skuOf } from './server.ts';
import { refuseEncryption, refuseNetwork } from './server-surroundings.ts';

function refused(code: string, message: string): ArmError {
  return new ArmError(400, code, message);
}

/**
 * 3 to 63 characters, unique in all of Azure because they become host names.
 * https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftdbforpostgresql
 */
export function refuseName(azure: Azure, { id, name }: Pick<Change, 'id' | 'name'>): void {
  if (!/^[a-z0-9](?:[a-z0-9-]{1,61}[a-z0-9])$/.test(name))
    throw refused(
      'InvalidServerName',
      `Server name '${name}' must have 3 to 63 lower-case letters, digits and hyphens, with no hyphen at either end.`,
    );
  refuseReservedName(name);
  const twin = azure.store
    .ofType(serverType)
    .find((server) => server.name.toLowerCase() === name.toLowerCase() && !sameId(server.id, id));
  if (twin || isTakenElsewhere(azure, 'postgres', name))
    throw new ArmError(409, 'ServerNameAlreadyExists', `Specified server name '${name}' is already used.`);
}

/** What must hold of any server, new or changed. */
export function refuseServer(azure: Azure, body: JsonObject, { id, name }: Change): void {
  const location = textAt(body, 'location') ?? '';
  if (!region(location))
    throw refused(
      'LocationNotAvailableForResourceType',
      `Location '${location}' is not available for ${serverType}.`,
    );
  if (!skuOf(body))
    throw refused(
      'InvalidSku',
      `Sku '${textAt(body, 'sku', 'name')}' of tier '${textAt(body, 'sku', 'tier')}' does not exist.`,
    );
  const version = property(body, 'version');
  if (!majorVersion(Number(version)))
    throw refused('InvalidServerVersion', `Version '${version}' of server '${name}' is not offered.`);
  refuseAvailability(body, name);
  refuseStorage(body);
  refuseBackup(body);
  refuseWindow(body);
  refuseEncryption(azure, body);
  refuseNetwork(azure, body, { id, name });
  const auth = objectAt(body, 'properties', 'authConfig');
  if (auth['activeDirectoryAuth'] === 'Disabled' && auth['passwordAuth'] === 'Disabled')
    throw refused('InvalidAuthConfig', 'At least one way to log in must be enabled.');
}

/** https://learn.microsoft.com/azure/reliability/reliability-postgresql-flexible-server, "Limitations" */
function refuseAvailability(body: JsonObject, name: string): void {
  const location = textAt(body, 'location') ?? '';
  const mode = property(body, 'highAvailability', 'mode');
  const zone = property(body, 'availabilityZone');
  const standby = property(body, 'highAvailability', 'standbyAvailabilityZone');
  const zonal = region(location)?.hasZones === true;
  if (mode === 'ZoneRedundant' && !zonal)
    throw refused('ZoneRedundantHaNotSupported', `Region '${location}' has no availability zones.`);
  for (const one of [zone, standby]) {
    if (one === undefined) continue;
    if (!zonal)
      throw refused('AvailabilityZoneNotSupported', `Region '${location}' has no availability zones.`);
    if (!isAvailabilityZone(one))
      throw refused('InvalidAvailabilityZone', `Availability zone '${one}' of '${name}' is not 1, 2 or 3.`);
  }
  if (mode === 'Disabled') return;
  if (skuOf(body)?.tier === 'Burstable')
    throw refused(
      'HighAvailabilityNotSupported',
      'High availability is not supported on the Burstable tier.',
    );
  if (isReplicaDocument(body))
    throw refused('HighAvailabilityOnReplica', 'High availability cannot be enabled on a replica.');
  if (mode === 'ZoneRedundant' && standby === zone)
    throw refused(
      'InvalidStandbyZone',
      `The standby zone of '${name}' must differ from its own zone ${zone}.`,
    );
  if (mode === 'SameZone' && standby !== zone)
    throw refused('InvalidStandbyZone', `A standby in the same zone as '${name}' is in zone ${zone}.`);
}

/** https://learn.microsoft.com/azure/postgresql/extensions/concepts-storage */
function refuseStorage(body: JsonObject): void {
  const size = numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  const tier = property(body, 'storage', 'tier') ?? '';
  const tiers = storageTiers(size);
  if (!tiers) throw refused('InvalidStorageSize', `A disk of ${size} GB is not sold.`);
  if (!tiers.includes(tier))
    throw refused('InvalidStorageTier', `Storage tier '${tier}' is not available for ${size} GB.`);
  const type = property(body, 'storage', 'type');
  if (type !== 'Premium_LRS')
    throw new ArmError(501, 'StorageTypeNotPlayed', `Disks of type '${type}' are not rehearsed.`);
  const throughput = at(body, 'properties', 'storage', 'throughput');
  if (throughput !== undefined)
    throw refused('InvalidStorageThroughput', 'Throughput can be chosen for Premium SSD v2 disks only.');
}

/** https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore */
function refuseBackup(body: JsonObject): void {
  const days = numberAt(body, 'properties', 'backup', 'backupRetentionDays') ?? backupRetentionDays.minimum;
  const { minimum, maximum } = backupRetentionDays;
  if (!Number.isInteger(days) || days < minimum || days > maximum)
    throw refused(
      'InvalidBackupRetention',
      `Backups are kept from ${minimum} to ${maximum} days, not ${days}.`,
    );
  if (property(body, 'backup', 'geoRedundantBackup') !== 'Enabled') return;
  const location = textAt(body, 'location') ?? '';
  if (region(location)?.pair === undefined)
    throw refused(
      'GeoRedundantBackupNotSupported',
      `Region '${location}' has no paired region for geo-redundant backup.`,
    );
  const encrypted = property(body, 'dataEncryption', 'type') === 'AzureKeyVault';
  if (encrypted && property(body, 'dataEncryption', 'geoBackupKeyURI') === undefined)
    throw refused(
      'GeoBackupKeyRequired',
      'Geo-redundant backup with a customer-managed key needs a second key in the paired region.',
    );
}

/** https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-maintenance */
function refuseWindow(body: JsonObject): void {
  const limits = { dayOfWeek: 6, startHour: 23, startMinute: 59 };
  for (const [name, most] of Object.entries(limits)) {
    const value = numberAt(body, 'properties', 'maintenanceWindow', name) ?? 0;
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw refused(
        'InvalidMaintenanceWindow',
        `${name} of a maintenance window is 0 to ${most}, not ${value}.`,
      );
  }
}

/** What must hold of a new server with logins of its own. */
export function refuseCreation(sent: JsonObject, { name }: Change): void {
  // azurerm sends it in a PATCH of its own, because Azure does not take it here (PGR 676-691).
  if (property(sent, 'maintenanceWindow', 'customWindow') === 'Enabled')
    throw refused(
      'MaintenanceWindowNotSupportedOnCreate',
      `The maintenance window of '${name}' can be set once the server exists.`,
    );
  const role = property(sent, 'replicationRole');
  if (role !== undefined && role !== 'None')
    throw refused('InvalidReplicationRole', `A new server cannot be given the replication role '${role}'.`);
}

/**
 * https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts and
 * https://learn.microsoft.com/rest/api/postgresql/servers/create-or-update
 */
export function refuseLogin(sent: JsonObject, after: JsonObject, before: JsonObject | undefined): void {
  const login = property(sent, 'administratorLogin');
  const secret = property(sent, 'administratorLoginPassword');
  if (property(after, 'authConfig', 'passwordAuth') !== 'Enabled') {
    if (login !== undefined || secret !== undefined)
      throw refused(
        'AdministratorLoginNotAllowed',
        'An administrator login and its password need password authentication, which is disabled.',
      );
    return;
  }
  if (before === undefined && (login === undefined || secret === undefined))
    throw refused('MissingAdministratorLogin', 'Password login needs an administrator login and a password.');
  const known = property(before, 'administratorLogin');
  if (known !== undefined && login !== undefined && login !== known)
    throw refused('AdministratorLoginImmutable', `The administrator login '${known}' cannot be changed.`);
  if (
    login !== undefined &&
    /^(?:azure_superuser|azure_pg_admin|admin|administrator|root|guest|public|pg_.*)$/i.test(login)
  )
    throw refused('InvalidAdministratorLogin', `The administrator login '${login}' is reserved.`);
  // https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas, "Considerations"
  if (secret !== undefined && isReplicaDocument(before))
    throw refused('PasswordResetOnReplica', 'The administrator password cannot be reset on a replica.');
  if (secret !== undefined) refusePassword(secret, login ?? known ?? '');
}

/** 8 to 128 characters of three of the four kinds, without the login's name in it. */
function refusePassword(secret: string, login: string): void {
  const kinds = [/[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/].filter((kind) => kind.test(secret)).length;
  const named = login !== '' && secret.toLowerCase().includes(login.toLowerCase());
  if (secret.length < 8 || secret.length > 128 || kinds < 3 || named)
    throw refused(
      'InvalidPassword',
      'The administrator password must have 8 to 128 characters of three of: upper case, lower case, digits, others; and not the login.',
    );
}

/** @param clock milliseconds since the epoch; `tierLoweredAt` when the tier was lowered last */
export function refuseUpdate(
  before: JsonObject,
  after: JsonObject,
  sent: JsonObject,
  cooling: { readonly now: number; readonly tierLoweredAt: number | undefined },
): void {
  const size = (body: JsonObject) => numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  if (size(after) < size(before))
    throw refused(
      'StorageDecreaseNotSupported',
      `Storage cannot shrink from ${size(before)} to ${size(after)} GB.`,
    );
  // https://learn.microsoft.com/azure/virtual-machines/disks-change-performance, "Restrictions"
  const rank = (body: JsonObject) => storageTierRank(property(body, 'storage', 'tier') ?? '');
  const hours = (cooling.now - (cooling.tierLoweredAt ?? -Infinity)) / 3_600_000;
  if (rank(after) < rank(before) && hours < 12)
    throw refused('StorageTierDowngradeTooSoon', 'A performance tier can be lowered once in 12 hours.');
  if (property(after, 'backup', 'geoRedundantBackup') !== property(before, 'backup', 'geoRedundantBackup'))
    throw refused(
      'GeoRedundantBackupImmutable',
      'Geo-redundant backup can only be chosen when the server is created.',
    );
  refuseVersionChange(before, after);
  const availability = (body: JsonObject) => property(body, 'highAvailability', 'mode');
  // https://learn.microsoft.com/azure/postgresql/high-availability/how-to-configure-high-availability
  const modes = [availability(before), availability(after)];
  if (modes[0] !== modes[1] && !modes.includes('Disabled'))
    throw refused(
      'InvalidParameterValue',
      `Cannot switch Properties.HighAvailability.Mode directly from ${modes.join(' to ')}. Please disable HA and then enable HA.`,
    );
  // azurerm issue 27612: leaving Burstable and turning availability on cannot be one change.
  if (
    textAt(before, 'sku', 'tier') === 'Burstable' &&
    textAt(after, 'sku', 'tier') !== 'Burstable' &&
    availability(after) !== availability(before)
  )
    throw refused(
      'HighAvailabilityWithTierChange',
      'Compute tier and high availability cannot change together.',
    );
  for (const path of [
    ['availabilityZone'],
    ['network', 'delegatedSubnetResourceId'],
    ['sourceServerResourceId'],
  ])
    if (property(sent, ...path) !== undefined && property(after, ...path) !== property(before, ...path))
      throw refused(
        'ImmutableProperty',
        `'${path.at(-1)}' of a server cannot be changed after its creation.`,
      );
  // https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private, "Use a Private DNS zone"
  const zone = (body: JsonObject) => property(body, 'network', 'privateDnsZoneArmResourceId')?.toLowerCase();
  if (zone(after) !== zone(before) && availability(before) !== 'Disabled')
    throw refused(
      'PrivateDnsZoneChangeNotSupported',
      'The private DNS zone of a server with high availability cannot be changed.',
    );
}

/** https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-major-version-upgrade */
function refuseVersionChange(before: JsonObject, after: JsonObject): void {
  const version = (body: JsonObject) => Number(property(body, 'version'));
  if (version(after) < version(before))
    throw refused(
      'VersionDowngradeNotSupported',
      `Version ${version(before)} cannot become ${version(after)}.`,
    );
}
