/** The Flexible Server's document, and what Azure refuses of one that the provider lets through. */
import { region } from '../../azure/regions.ts';
import { type Sku, skus } from '../../azure/skus.ts';
import { storageTierRank, storageTiers } from '../../azure/storage.ts';
import type { Azure } from './context.ts';
import { ArmError } from './http.ts';
import { type JsonObject, merge, numberAt, objectAt, objectsAt, textAt } from './json.ts';
import { sameId } from './resource-id.ts';
import { type Resource, toDocument } from './resource-store.ts';
import type { Change } from './resource-types.ts';

export const serverType = 'Microsoft.DBforPostgreSQL/flexibleServers';

/** Most replicas of one primary: https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas */
const replicaLimit = 5;

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
  return /AsyncReplica$/.test(textAt(server?.body, 'properties', 'replicationRole') ?? '');
}

/** Server whose data a new one starts from, and which is busy meanwhile. */
export function sourceOf(sent: JsonObject): string | undefined {
  return textAt(sent, 'properties', 'sourceServerResourceId');
}

/** What clients see: the state of replication beside what is kept. */
export function presentServer(server: Resource): JsonObject {
  const role = textAt(server.body, 'properties', 'replicationRole');
  const state = isReplica(server) ? { replicationState: 'Active' } : {};
  return toDocument({
    ...server,
    body: merge(server.body, {
      properties: {
        replica: { role: role ?? null, ...state, ...objectAt(server.body, 'properties', 'replica') },
      },
    }),
  });
}

export function createdServer(azure: Azure, sent: JsonObject, change: Change): JsonObject {
  refuseTakenName(azure, change);
  const mode = textAt(sent, 'properties', 'createMode') ?? 'Default';
  const body = mode === 'Default' || mode === 'Create' ? sent : fromSource(azure, sent, mode, change);
  const document = serverDocument(body, change);
  refuseServer(azure, document, change, mode);
  return document;
}

/** @param merged the existing document with the PATCH (or `createMode: Update` PUT) already merged in */
export function updatedServer(azure: Azure, merged: JsonObject, change: Change): JsonObject {
  const before = change.existing?.body ?? {};
  const document = serverDocument(merged, change);
  refuseUpdate(before, document);
  refuseServer(azure, document, change, 'Update');
  return document;
}

function serverDocument(sent: JsonObject, { name, existing }: Change): JsonObject {
  const properties = objectAt(sent, 'properties');
  const {
    administratorLoginPassword: _password,
    createMode: _mode,
    pointInTimeUTC: _time,
    ...kept
  } = properties;
  const authConfig = {
    activeDirectoryAuth: 'Disabled',
    passwordAuth: 'Enabled',
    ...objectAt(properties, 'authConfig'),
  };
  const delegated = textAt(properties, 'network', 'delegatedSubnetResourceId');
  const document: JsonObject = {
    ...sent,
    properties: {
      ...kept,
      authConfig,
      state: 'Ready',
      minorVersion: '1',
      fullyQualifiedDomainName: `${name}.postgres.database.azure.com`,
      availabilityZone: textAt(properties, 'availabilityZone') ?? '1',
      storage: storageDocument(objectAt(properties, 'storage'), existing),
      backup: {
        backupRetentionDays: 7,
        geoRedundantBackup: 'Disabled',
        earliestRestoreDate: new Date().toISOString(),
        ...objectAt(properties, 'backup'),
      },
      network: {
        ...objectAt(properties, 'network'),
        publicNetworkAccess:
          delegated === undefined
            ? (textAt(properties, 'network', 'publicNetworkAccess') ?? 'Enabled')
            : 'Disabled',
      },
      highAvailability: availabilityDocument(properties),
      maintenanceWindow: {
        customWindow: 'Disabled',
        dayOfWeek: 0,
        startHour: 0,
        startMinute: 0,
        ...objectAt(properties, 'maintenanceWindow'),
      },
      dataEncryption: { type: 'SystemManaged', ...objectAt(properties, 'dataEncryption') },
      replicationRole: textAt(properties, 'replicationRole') ?? 'Primary',
      replicaCapacity: replicaLimit,
      privateEndpointConnections: objectsAt(properties, 'privateEndpointConnections'),
    },
  };
  // Without password login the API no longer says who the administrator was (azurerm issue 20900).
  if (authConfig.passwordAuth === 'Disabled') delete objectAt(document, 'properties')['administratorLogin'];
  return document;
}

function storageDocument(sent: JsonObject, existing: Resource | undefined): JsonObject {
  const size = numberAt(sent, 'storageSizeGB') ?? 32;
  const before = numberAt(existing?.body, 'properties', 'storage', 'storageSizeGB');
  // A new size brings its own default tier unless one is asked for.
  const keepsTier = before === undefined || before === size;
  const tiers = storageTiers(size) ?? [];
  const asked = textAt(sent, 'tier');
  const tier = asked !== undefined && (keepsTier || tiers.includes(asked)) ? asked : tiers[0];
  return { autoGrow: 'Disabled', type: 'Premium_LRS', ...sent, storageSizeGB: size, tier };
}

function availabilityDocument(properties: JsonObject): JsonObject {
  const mode = textAt(properties, 'highAvailability', 'mode') ?? 'Disabled';
  if (mode === 'Disabled') return { mode, state: 'NotEnabled' };
  const zone = textAt(properties, 'availabilityZone') ?? '1';
  const standby =
    textAt(properties, 'highAvailability', 'standbyAvailabilityZone') ??
    (mode === 'SameZone' ? zone : zone === '1' ? '2' : '1');
  return { mode, state: 'Healthy', standbyAvailabilityZone: standby };
}

function fromSource(azure: Azure, sent: JsonObject, mode: string, change: Change): JsonObject {
  const source = azure.store.get(sourceOf(sent));
  if (!source)
    throw new ArmError(
      404,
      'ResourceNotFound',
      `The source server '${sourceOf(sent)}' of '${change.name}' was not found.`,
    );
  if (mode !== 'Replica' && mode !== 'PointInTimeRestore' && mode !== 'GeoRestore')
    throw new ArmError(400, 'InvalidCreateMode', `Create mode '${mode}' is not offered here.`);
  const inherited = objectAt(source.body, 'properties');
  const properties: JsonObject = {
    version: inherited['version'],
    authConfig: inherited['authConfig'],
    administratorLogin: inherited['administratorLogin'],
    ...objectAt(sent, 'properties'),
    storage: merge(objectAt(inherited, 'storage'), objectAt(sent, 'properties', 'storage')),
  };
  if (mode !== 'Replica') {
    delete properties['sourceServerResourceId'];
    return { sku: source.body['sku'], ...sent, properties };
  }
  refuseReplica(azure, source, sent, change);
  properties['replicationRole'] =
    textAt(sent, 'location') === textAt(source.body, 'location') ? 'AsyncReplica' : 'GeoAsyncReplica';
  return { sku: source.body['sku'], ...sent, properties };
}

/** https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas, "Considerations" */
function refuseReplica(azure: Azure, source: Resource, sent: JsonObject, { name }: Change): void {
  const refuse = (message: string) =>
    new ArmError(400, 'ReadReplicaNotSupported', `${message} (replica '${name}')`);
  if (skuOf(source.body)?.tier === 'Burstable' || textAt(sent, 'sku', 'tier') === 'Burstable')
    throw refuse('Read replicas are not supported on the Burstable tier.');
  if (isReplica(source)) throw refuse(`Server '${source.name}' is a replica itself.`);
  if (replicasOf(azure, source.id).length >= replicaLimit)
    throw refuse(`Server '${source.name}' already has ${replicaLimit} replicas.`);
  if (textAt(source.body, 'properties', 'state') !== 'Ready')
    throw new ArmError(
      409,
      'ServerIsBusy',
      `The server '${source.name}' is not ready. Please try again later.`,
    );
  if ((textAt(sent, 'properties', 'highAvailability', 'mode') ?? 'Disabled') !== 'Disabled')
    throw refuse('High availability cannot be enabled on a replica.');
  if (textAt(sent, 'properties', 'backup', 'geoRedundantBackup') === 'Enabled')
    throw refuse('Geo-redundant backup cannot be enabled on a replica.');
  const had = numberAt(source.body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  const wanted = numberAt(sent, 'properties', 'storage', 'storageSizeGB') ?? had;
  if (wanted < had) throw refuse(`Its storage (${wanted} GB) is smaller than its primary's (${had} GB).`);
  const wantedTier = textAt(sent, 'properties', 'storage', 'tier');
  const hadTier = textAt(source.body, 'properties', 'storage', 'tier');
  if (
    wantedTier !== undefined &&
    hadTier !== undefined &&
    storageTierRank(wantedTier) < storageTierRank(hadTier)
  )
    throw refuse(`Its storage tier (${wantedTier}) is below its primary's (${hadTier}).`);
}

/** Names are unique in all of Azure, because they become host names. */
function refuseTakenName(azure: Azure, { id, name }: Change): void {
  const twin = azure.store
    .ofType(serverType)
    .find((server) => server.name.toLowerCase() === name.toLowerCase() && !sameId(server.id, id));
  if (twin)
    throw new ArmError(409, 'ServerNameAlreadyExists', `Specified server name '${name}' is already used.`);
}

function refuseServer(azure: Azure, body: JsonObject, { id, name }: Change, mode: string): void {
  const refuse = (code: string, message: string) => new ArmError(400, code, message);
  const location = textAt(body, 'location') ?? '';
  const where = region(location);
  if (!where)
    throw refuse(
      'LocationNotAvailableForResourceType',
      `Location '${location}' is not available for ${serverType}.`,
    );
  const sku = skuOf(body);
  if (!sku)
    throw refuse(
      'InvalidSku',
      `Sku '${textAt(body, 'sku', 'name')}' of tier '${textAt(body, 'sku', 'tier')}' does not exist.`,
    );
  const availability = textAt(body, 'properties', 'highAvailability', 'mode');
  const zone = textAt(body, 'properties', 'availabilityZone');
  const standby = textAt(body, 'properties', 'highAvailability', 'standbyAvailabilityZone');
  if (availability !== 'Disabled') {
    // https://learn.microsoft.com/azure/postgresql/high-availability/concepts-high-availability, "Limitations"
    if (sku.tier === 'Burstable')
      throw refuse(
        'HighAvailabilityNotSupported',
        'High availability is not supported on the Burstable tier.',
      );
    if (availability === 'ZoneRedundant' && !where.hasZones)
      throw refuse('ZoneRedundantHaNotSupported', `Region '${location}' has no availability zones.`);
    if (availability === 'ZoneRedundant' && standby === zone)
      throw refuse(
        'InvalidStandbyZone',
        `The standby zone of '${name}' must differ from its own zone ${zone}.`,
      );
  }
  const size = numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  const tier = textAt(body, 'properties', 'storage', 'tier') ?? '';
  if (!storageTiers(size)?.includes(tier))
    throw refuse('InvalidStorageTier', `Storage tier '${tier}' is not available for ${size} GB.`);
  // https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore, "Geo-redundant backup"
  if (textAt(body, 'properties', 'backup', 'geoRedundantBackup') === 'Enabled') {
    if (where.pair === undefined)
      throw refuse(
        'GeoRedundantBackupNotSupported',
        `Region '${location}' has no paired region for geo-redundant backup.`,
      );
    const encrypted = textAt(body, 'properties', 'dataEncryption', 'type') === 'AzureKeyVault';
    if (encrypted && textAt(body, 'properties', 'dataEncryption', 'geoBackupKeyURI') === undefined)
      throw refuse(
        'GeoBackupKeyRequired',
        'Geo-redundant backup with a customer-managed key needs a second key in the paired region.',
      );
  }
  refuseEncryption(azure, body);
  refuseNetwork(azure, body, id);
  const auth = objectAt(body, 'properties', 'authConfig');
  if (auth['activeDirectoryAuth'] === 'Disabled' && auth['passwordAuth'] === 'Disabled')
    throw refuse('InvalidAuthConfig', 'At least one way to log in must be enabled.');
  if (
    auth['passwordAuth'] === 'Enabled' &&
    mode === 'Default' &&
    textAt(body, 'properties', 'administratorLogin') === undefined
  )
    throw refuse('MissingAdministratorLogin', 'Password login needs an administrator login.');
}

function refuseEncryption(azure: Azure, body: JsonObject): void {
  const encryption = objectAt(body, 'properties', 'dataEncryption');
  if (encryption['type'] !== 'AzureKeyVault') return;
  const attached = Object.keys(objectAt(body, 'identity', 'userAssignedIdentities'));
  for (const key of ['primaryUserAssignedIdentityId', 'geoBackupUserAssignedIdentityId']) {
    const id = textAt(encryption, key);
    if (id === undefined) continue;
    if (!attached.some((other) => sameId(other, id)) || !azure.store.get(id))
      throw new ArmError(
        400,
        'InvalidUserAssignedIdentity',
        `Identity '${id}' of the customer-managed key is not assigned to the server.`,
      );
  }
}

/** https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private */
function refuseNetwork(azure: Azure, body: JsonObject, id: string): void {
  const subnet = textAt(body, 'properties', 'network', 'delegatedSubnetResourceId');
  if (subnet === undefined) return;
  const found = azure.store.get(subnet);
  const delegation = objectsAt(found?.body, 'properties', 'delegations')
    .map((one) => textAt(one, 'properties', 'serviceName')?.toLowerCase())
    .includes(serverType.toLowerCase());
  if (!delegation)
    throw new ArmError(
      400,
      'SubnetNotDelegated',
      `Subnet '${subnet}' is not delegated to ${serverType} (server '${id}').`,
    );
  const zone = textAt(body, 'properties', 'network', 'privateDnsZoneArmResourceId');
  if (zone === undefined || !azure.store.get(zone))
    throw new ArmError(
      400,
      'PrivateDnsZoneRequired',
      `A server in a delegated subnet needs a private DNS zone; '${zone}' was not found.`,
    );
  if (!/\.postgres\.database\.azure\.com$/i.test(zone))
    throw new ArmError(
      400,
      'InvalidPrivateDnsZoneName',
      'The private DNS zone must end in .postgres.database.azure.com.',
    );
}

function refuseUpdate(before: JsonObject, after: JsonObject): void {
  const refuse = (code: string, message: string) => new ArmError(400, code, message);
  const size = (body: JsonObject) => numberAt(body, 'properties', 'storage', 'storageSizeGB') ?? 0;
  if (size(after) < size(before))
    throw refuse(
      'StorageDecreaseNotSupported',
      `Storage cannot shrink from ${size(before)} to ${size(after)} GB.`,
    );
  const geo = (body: JsonObject) => textAt(body, 'properties', 'backup', 'geoRedundantBackup');
  if (geo(after) !== geo(before))
    throw refuse(
      'GeoRedundantBackupImmutable',
      'Geo-redundant backup can only be chosen when the server is created.',
    );
  const version = (body: JsonObject) => Number(textAt(body, 'properties', 'version'));
  if (version(after) < version(before))
    throw refuse(
      'VersionDowngradeNotSupported',
      `Version ${version(before)} cannot become ${version(after)}.`,
    );
  const tier = (body: JsonObject) => textAt(body, 'sku', 'tier');
  const availability = (body: JsonObject) => textAt(body, 'properties', 'highAvailability', 'mode');
  // azurerm issue 27612: leaving Burstable and turning availability on cannot be one change.
  if (
    tier(before) === 'Burstable' &&
    tier(after) !== 'Burstable' &&
    availability(after) !== availability(before)
  )
    throw refuse(
      'HighAvailabilityWithTierChange',
      'Compute tier and high availability cannot change together.',
    );
  const replica = /AsyncReplica$/.test(textAt(after, 'properties', 'replicationRole') ?? '');
  if (replica && availability(after) !== 'Disabled')
    throw refuse('HighAvailabilityOnReplica', 'High availability cannot be enabled on a replica.');
}
