/** The document of a Flexible Server: the request, with everything that Azure adds and derives. */
import { region } from '../../../../azure/regions.ts';
import { storageTiers } from '../../../../azure/storage.ts';
import { type JsonObject, numberAt, objectAt, objectsAt, textAt } from '../../../../core/json.ts';
import { canonicalLocation } from '../../core/locations.ts';
import type { Resource } from '../../core/resource-store.ts';
import type { Change } from '../../core/resource-types.ts';
import { isReplicaDocument, replicaLimit } from './server.ts';

/** IOPS of the performance tiers: https://learn.microsoft.com/azure/postgresql/extensions/concepts-storage */
const iopsOfTier: Readonly<Record<string, number>> = {
  P4: 120,
  P6: 240,
  P10: 500,
  P15: 1100,
  P20: 2300,
  P30: 5000,
  P40: 7500,
  P50: 7500,
  P60: 16_000,
  P70: 18_000,
  P80: 20_000,
};

export function serverDocument(sent: JsonObject, { name, existing }: Change): JsonObject {
  const properties = objectAt(sent, 'properties');
  const {
    administratorLoginPassword: _password,
    createMode: _mode,
    pointInTimeUTC: _time,
    replica: _replica,
    ...kept
  } = properties;
  const authConfig = {
    activeDirectoryAuth: 'Disabled',
    passwordAuth: 'Enabled',
    ...objectAt(properties, 'authConfig'),
  };
  const location = canonicalLocation(textAt(sent, 'location') ?? '');
  const zone = textAt(properties, 'availabilityZone') ?? (region(location)?.hasZones ? '1' : undefined);
  const replica = isReplicaDocument({ properties });
  const document: JsonObject = {
    ...sent,
    location,
    properties: {
      ...kept,
      authConfig,
      state: 'Ready',
      minorVersion: '1',
      fullyQualifiedDomainName: `${name}.postgres.database.azure.com`,
      ...(zone === undefined ? {} : { availabilityZone: zone }),
      storage: storageDocument(objectAt(properties, 'storage'), existing),
      backup: {
        backupRetentionDays: 7,
        geoRedundantBackup: 'Disabled',
        ...objectAt(properties, 'backup'),
      },
      network: networkDocument(properties),
      highAvailability: availabilityDocument(properties, zone),
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
      replica: {
        role: textAt(properties, 'replicationRole') ?? 'Primary',
        capacity: replicaLimit,
        ...(replica ? { replicationState: 'Active' } : {}),
      },
      privateEndpointConnections: objectsAt(existing?.body, 'properties', 'privateEndpointConnections'),
    },
  };
  // Without password login the API does not name the administrator (azurerm issue 20900).
  if (authConfig.passwordAuth === 'Disabled') delete objectAt(document, 'properties')['administratorLogin'];
  return document;
}

function networkDocument(properties: JsonObject): JsonObject {
  const delegated = textAt(properties, 'network', 'delegatedSubnetResourceId');
  const wanted = textAt(properties, 'network', 'publicNetworkAccess');
  return {
    ...objectAt(properties, 'network'),
    publicNetworkAccess: wanted ?? (delegated === undefined ? 'Enabled' : 'Disabled'),
  };
}

function storageDocument(sent: JsonObject, existing: Resource | undefined): JsonObject {
  const size = numberAt(sent, 'storageSizeGB') ?? 32;
  const before = numberAt(existing?.body, 'properties', 'storage', 'storageSizeGB');
  // A new size brings its own default tier unless the request names one.
  const keepsTier = before === undefined || before === size;
  const tiers = storageTiers(size) ?? [];
  const asked = textAt(sent, 'tier');
  const tier = asked !== undefined && (keepsTier || tiers.includes(asked)) ? asked : tiers[0];
  return {
    autoGrow: 'Disabled',
    type: 'Premium_LRS',
    ...sent,
    storageSizeGB: size,
    tier,
    iops: iopsOfTier[tier ?? ''],
  };
}

function availabilityDocument(properties: JsonObject, zone: string | undefined): JsonObject {
  const mode = textAt(properties, 'highAvailability', 'mode') ?? 'Disabled';
  if (mode === 'Disabled') return { mode, state: 'NotEnabled' };
  const standby =
    textAt(properties, 'highAvailability', 'standbyAvailabilityZone') ??
    (mode === 'SameZone' ? zone : zone === '1' ? '2' : '1');
  return {
    mode,
    state: 'Healthy',
    ...(standby === undefined ? {} : { standbyAvailabilityZone: standby }),
  };
}
