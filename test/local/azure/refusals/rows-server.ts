import { serverDocument } from '../../../support/azure-fixture.ts';
import { patch, put, type RefusedRows, remove } from './rows.ts';

const main = 'Microsoft.DBforPostgreSQL/flexibleServers/main';
const change = (properties: object) => ({ properties });
const passwords = {
  authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
  administratorLogin: 'llama_admin',
  administratorLoginPassword: 'Canary-of-a-password-1',
};
const standby = (mode: string, standbyAvailabilityZone?: string) => ({
  availabilityZone: '1',
  highAvailability: { mode, standbyAvailabilityZone },
});
const identity = 'Microsoft.ManagedIdentity/userAssignedIdentities/key-user';
const key = (id: string, more: object = {}) => ({
  dataEncryption: {
    type: 'AzureKeyVault',
    primaryKeyURI: 'https://one.vault.azure.net/keys/one',
    primaryUserAssignedIdentityId: id,
    ...more,
  },
});

export const serverRows: RefusedRows = {
  'Flexible Server: regionWithoutCapabilities': (local) =>
    local.client.arm(
      'GET',
      `/subscriptions/${local.azure.subscriptionId}/providers/Microsoft.DBforPostgreSQL/locations/atlantis/capabilities`,
    ),
  'Flexible Server: standbyInAnotherZone': (local) =>
    local.create('main', { properties: standby('SameZone', '2') }),
  'Flexible Server: throughputOfPremiumDisk': (local) =>
    local.create('main', { properties: { storage: { storageSizeGB: 128, throughput: 200 } } }),
  'Flexible Server: diskDoesNotGrow': async (local) => {
    await local.create('main');
    expectRefusal(local, () => local.azure.incidents.growDisk(local.server('main')));
    return undefined;
  },
  'Flexible Server: geoBackupWithoutKey': async (local) => {
    const id = local.resource(identity);
    await put(local, identity);
    return put(local, main, {
      ...serverDocument({
        properties: { ...key(id), backup: { geoRedundantBackup: 'Enabled' } },
      }),
      identity: { type: 'UserAssigned', userAssignedIdentities: { [id]: {} } },
    });
  },
  'Flexible Server: windowOutOfRange': async (local) => {
    await local.create('main');
    return patch(local, main, change({ maintenanceWindow: { customWindow: 'Enabled', dayOfWeek: 7 } }));
  },
  'Flexible Server: roleAtCreation': (local) =>
    local.create('main', { properties: { replicationRole: 'AsyncReplica' } }),
  'Flexible Server: loginChanged': async (local) => {
    await local.create('main', { properties: passwords });
    return patch(local, main, change({ administratorLogin: 'another_admin' }));
  },
  'Flexible Server: versionLowered': async (local) => {
    await local.create('main');
    return patch(local, main, change({ version: '16' }));
  },
  'Flexible Server: propertyImmutable': async (local) => {
    await local.create('main', { properties: { availabilityZone: '1' } });
    return patch(local, main, change({ availabilityZone: '2' }));
  },
  'Flexible Server: keyIdentityNotAttached': async (local) => {
    await put(local, identity);
    return local.create('main', { properties: key(local.resource(identity)) });
  },
  'Flexible Server: zoneWithoutSubnet': (local) => {
    const zone = local.resource('Microsoft.Network/privateDnsZones/llama.postgres.database.azure.com');
    return local.create('main', { properties: { network: { privateDnsZoneArmResourceId: zone } } });
  },
  'Flexible Server: zoneChangedWithStandby': async (local) => {
    const zone = (name: string) => `Microsoft.Network/privateDnsZones/${name}.postgres.database.azure.com`;
    const net = 'Microsoft.Network/virtualNetworks/net';
    await put(local, net, { properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } } });
    await put(local, `${net}/subnets/servers`, {
      location: undefined,
      properties: {
        addressPrefix: '10.0.1.0/24',
        delegations: [
          { name: 'one', properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' } },
        ],
      },
    });
    for (const name of ['first', 'second']) await put(local, zone(name), { location: 'global' });
    const placed = (name: string) => ({
      network: {
        delegatedSubnetResourceId: local.resource(`${net}/subnets/servers`),
        privateDnsZoneArmResourceId: local.resource(zone(name)),
      },
    });
    await local.create('main', { properties: { ...placed('first'), ...standby('ZoneRedundant', '2') } });
    return patch(local, main, change(placed('second')));
  },
  'Parts of a Flexible Server: databaseReserved': async (local) => {
    await local.create('main');
    return put(local, `${main}/databases/azure_sys`, { location: undefined });
  },
  'Parts of a Flexible Server: databasePostgresDeleted': async (local) => {
    await local.create('main');
    local.azure.state.put(`${local.server('main')}/databases/postgres`, { properties: {} });
    return remove(local, `${main}/databases/postgres`);
  },
  'Parts of a Flexible Server: endpointOnReplica': async (local) => {
    await pair(local);
    return virtualEndpoint(local, 'reader', ['main']);
  },
  'Parts of a Flexible Server: endpointWithTwoReaders': async (local) => {
    await pair(local);
    return virtualEndpoint(local, 'main', ['reader', 'another']);
  },
  'Replicas, restores and promotions: sourceNotFound': (local) => replica(local, 'reader', 'absent'),
  'Replicas, restores and promotions: lowerDiskTier': async (local) => {
    await pair(local);
    return patch(local, main, change({ storage: { tier: 'P30' } }));
  },
  'Replicas, restores and promotions: passwordReset': async (local) => {
    await local.create('main', { properties: passwords });
    await replica(local);
    return patch(
      local,
      'Microsoft.DBforPostgreSQL/flexibleServers/reader',
      change({ administratorLoginPassword: 'Another-password-1' }),
    );
  },
  'Replicas, restores and promotions: restoreFromReplica': async (local) => {
    await pair(local);
    return restored(local, 'PointInTimeRestore', 'reader');
  },
  'Replicas, restores and promotions: geoRestoreWithoutBackup': async (local) => {
    await local.create('main');
    return restored(local, 'GeoRestore', 'main');
  },
  'Replicas, restores and promotions: roleUnknown': async (local) => {
    await pair(local);
    return promoted(local, { replica: { role: 'AsyncReplica' } });
  },
  'Replicas, restores and promotions: promotionWithPassword': async (local) => {
    await pair(local);
    return promoted(local, {
      replica: { role: 'None', promoteMode: 'Standalone' },
      administratorLoginPassword: 'Another-password-1',
    });
  },
};

type Local = Parameters<(typeof serverRows)[string]>[0];

/** An incident is no request, so that its refusal is thrown at the one who causes it. */
function expectRefusal(_local: Local, cause: () => void): void {
  try {
    cause();
  } catch {
    return;
  }
  throw new Error('it was not refused');
}

function replica(local: Local, name = 'reader', source = 'main') {
  return local.client.done('PUT', local.server(name), {
    location: 'westus2',
    properties: { createMode: 'Replica', sourceServerResourceId: local.server(source) },
  });
}

async function pair(local: Local): Promise<void> {
  await local.create('main');
  await replica(local);
}

function restored(local: Local, createMode: string, source: string) {
  return local.client.done('PUT', local.server('copy'), {
    location: 'eastus',
    properties: {
      createMode,
      sourceServerResourceId: local.server(source),
      pointInTimeUTC: new Date().toISOString(),
    },
  });
}

function promoted(local: Local, properties: object) {
  return patch(local, 'Microsoft.DBforPostgreSQL/flexibleServers/reader', change(properties));
}

function virtualEndpoint(local: Local, server: string, members: readonly string[]) {
  return local.client.done('PUT', `${local.server(server)}/virtualEndpoints/llama`, {
    properties: { endpointType: 'ReadWrite', members },
  });
}
