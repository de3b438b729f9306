/** What makes the local Azure worth believing: it refuses what Azure refuses, and what it does not know. */
import { existsSync } from 'node:fs';
import net from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocalAzure, startLocalAzure } from '../../rehearsal/azure/index.ts';
import { AzureClient } from './azure-client.ts';

let azure: LocalAzure;
let client: AzureClient;
let group: string;

beforeEach(async () => {
  azure = await startLocalAzure({ containers: ['states/production'], latency: () => 150 });
  client = new AzureClient(azure);
  group = `/subscriptions/${azure.subscriptionId}/resourceGroups/database`;
  await client.arm('PUT', group, { location: 'eastus' }, '2023-07-01');
});
afterEach(() => azure.stop());

const serverPath = (name: string) => `${group}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${name}`;

interface ServerChanges {
  readonly location?: string;
  readonly sku?: object;
  readonly properties?: object;
}

function server(changes: ServerChanges = {}) {
  const { properties, ...rest } = changes;
  return {
    location: 'eastus',
    sku: { name: 'Standard_D4s_v3', tier: 'GeneralPurpose' },
    ...rest,
    properties: {
      version: '17',
      authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled' },
      storage: { storageSizeGB: 128 },
      network: { publicNetworkAccess: 'Disabled' },
      ...properties,
    },
  };
}

describe('what it does not know', () => {
  it('is answered 501 with method, path and version, and recorded', async () => {
    const answer = await client.arm(
      'PUT',
      `${group}/providers/Microsoft.Compute/disks/one`,
      {},
      '2024-03-02',
    );
    expect(answer.status).toBe(501);
    expect(answer.body.error.message).toMatch(
      /^PUT .*Microsoft\.Compute\/disks\/one\?api-version=2024-03-02/,
    );
    expect(azure.unknown).toEqual([answer.body.error.message]);
  });

  it('includes a version of a known type that nobody has looked at', async () => {
    const answer = await client.arm('GET', serverPath('one'), undefined, '2024-08-01');
    expect(answer.status).toBe(501);
    expect(azure.unknown[0]).toMatch(/only api-version 2025-08-01 is known here/);
  });

  it('includes hosts that are not part of it', async () => {
    await expect(client.connect('example.com')).rejects.toThrow('CONNECT example.com: 502');
    expect(azure.unknown).toEqual(['CONNECT example.com: this host is not part of the local Azure']);
  });
});

describe('who may ask', () => {
  it('nobody without a token, with one for something else, or with one that expired', async () => {
    const without = await client.call('GET', `${group}?api-version=2023-07-01`);
    const foreign = await client.call('GET', `${group}?api-version=2023-07-01`, {
      headers: await client.authorization('https://storage.azure.com'),
    });
    azure.directory.expireCredentials();
    const expired = await client.arm('GET', group, undefined, '2023-07-01');
    expect([without.status, foreign.status, expired.status]).toEqual([401, 401, 401]);
  });

  it.each([
    ['a wrong secret', { client_secret: 'guess' }, /AADSTS7000215/],
    ['an unknown application', { client_id: 'nobody' }, /AADSTS700016/],
  ])('gets no token for %s', async (_what, change, message) => {
    const answer = await client.call('POST', `/${azure.tenantId}/oauth2/v2.0/token`, {
      host: 'login.microsoftonline.com',
      body: new URLSearchParams({
        client_id: azure.environment['ARM_CLIENT_ID'] ?? '',
        client_secret: 'local-client-secret',
        scope: 'https://management.azure.com/.default',
        ...change,
      }).toString(),
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.error_description).toMatch(message);
  });

  it('keeps a closed vault closed to a valid token', async () => {
    const vault = `${group}/providers/Microsoft.KeyVault/vaults/closed`;
    await client.arm(
      'PUT',
      vault,
      { location: 'eastus', properties: { publicNetworkAccess: 'Disabled' } },
      '2023-02-01',
    );
    const bare = await client.call('GET', '/secrets/one?api-version=7.4', { host: 'closed.vault.azure.net' });
    expect(bare.status).toBe(401);
    expect(bare.headers['www-authenticate']).toContain(azure.tenantId);
    const answer = await client.call('GET', '/secrets/one?api-version=7.4', {
      host: 'closed.vault.azure.net',
      headers: await client.authorization('https://vault.azure.net'),
    });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'Forbidden' } } });
  });
});

describe('a Flexible Server', () => {
  it('takes its time, shows it, and is busy meanwhile', async () => {
    const created = await client.arm('PUT', serverPath('main'), server());
    expect(created.status).toBe(202);
    expect(created.headers).toMatchObject({
      'retry-after': '0',
      location: expect.stringContaining('https://'),
    });
    const during = await client.arm('GET', serverPath('main'));
    expect(during.body.properties.state).toBe('Provisioning');
    const busy = await client.arm('PATCH', serverPath('main'), { tags: {} });
    expect(busy).toMatchObject({ status: 409, body: { error: { code: 'ServerIsBusy' } } });
    expect(await client.done('PUT', `${serverPath('main')}/databases/llama`, {})).toMatchObject({
      status: 409,
    });
    await expect
      .poll(async () => (await client.arm('GET', serverPath('main'))).body.properties.state)
      .toBe('Ready');
    expect(azure.operations.map(({ outcome, error }) => error?.code ?? outcome)).toEqual([
      'Succeeded',
      'Succeeded',
      'ServerIsBusy',
      'ServerIsBusy',
    ]);
  });

  it('is busy while a private endpoint to it is made', async () => {
    await client.done('PUT', serverPath('main'), server());
    const network = `${group}/providers/Microsoft.Network/virtualNetworks/net`;
    const space = { location: 'eastus', properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } } };
    await client.done('PUT', network, space, '2025-01-01');
    await client.done(
      'PUT',
      `${network}/subnets/one`,
      { properties: { addressPrefix: '10.0.1.0/24' } },
      '2025-01-01',
    );
    const endpoint = {
      location: 'eastus',
      properties: {
        subnet: { id: `${network}/subnets/one` },
        privateLinkServiceConnections: [
          {
            name: 'main',
            properties: { privateLinkServiceId: serverPath('main'), groupIds: ['postgresqlServer'] },
          },
        ],
      },
    };
    const path = `${group}/providers/Microsoft.Network/privateEndpoints/main`;
    expect((await client.arm('PUT', path, endpoint, '2025-01-01')).status).toBe(201);
    const busy = await client.arm('PUT', `${serverPath('main')}/databases/llama`, {});
    expect(busy.body.error.code).toBe('ServerIsBusy');
  });

  it.each([
    ['an unknown region', { location: 'atlantis' }, 'LocationNotAvailableForResourceType'],
    ['an unknown size', { sku: { name: 'Standard_D5s_v3', tier: 'GeneralPurpose' } }, 'InvalidSku'],
    [
      'high availability of a Burstable one',
      {
        sku: { name: 'Standard_B2s', tier: 'Burstable' },
        properties: { highAvailability: { mode: 'SameZone' } },
      },
      'HighAvailabilityNotSupported',
    ],
    [
      'a standby in its own zone',
      {
        properties: {
          availabilityZone: '1',
          highAvailability: { mode: 'ZoneRedundant', standbyAvailabilityZone: '1' },
        },
      },
      'InvalidStandbyZone',
    ],
    [
      'a tier below its size',
      { properties: { storage: { storageSizeGB: 1024, tier: 'P10' } } },
      'InvalidStorageTier',
    ],
    [
      'geo-redundant backup where the region has no pair',
      { location: 'austriaeast', properties: { backup: { geoRedundantBackup: 'Enabled' } } },
      'GeoRedundantBackupNotSupported',
    ],
    [
      'nobody who could log in',
      { properties: { authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Disabled' } } },
      'InvalidAuthConfig',
    ],
    [
      'a subnet that is not delegated',
      { properties: { network: { delegatedSubnetResourceId: '/subscriptions/x/nothing' } } },
      'SubnetNotDelegated',
    ],
  ])('is refused with %s', async (_what, changes, code) => {
    const answer = await client.arm('PUT', serverPath('main'), server(changes));
    expect(answer).toMatchObject({ status: 400, body: { error: { code } } });
    expect((await client.arm('GET', serverPath('main'))).status).toBe(404);
  });

  it('has a name that nobody else in Azure has', async () => {
    await client.done('PUT', serverPath('main'), server());
    await client.arm('PUT', `${group}-two`, { location: 'eastus' }, '2023-07-01');
    const twin = await client.arm(
      'PUT',
      serverPath('main').replace('/database/', '/database-two/'),
      server(),
    );
    expect(twin.body.error.code).toBe('ServerNameAlreadyExists');
  });

  it('never shows a password', async () => {
    const secret = 'Canary-of-a-password-1';
    const withPassword = server({
      properties: {
        administratorLogin: 'llama_admin',
        administratorLoginPassword: secret,
        authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
      },
    });
    await client.done('PUT', serverPath('main'), withPassword);
    const shown = await client.arm('GET', serverPath('main'));
    expect(shown.body.properties.administratorLogin).toBe('llama_admin');
    expect(shown.text).not.toContain(secret);
  });

  it('does not shrink, and keeps its kind of backup', async () => {
    await client.done('PUT', serverPath('main'), server());
    const patch = (properties: object) => client.arm('PATCH', serverPath('main'), { properties });
    const shrunk = await patch({ storage: { storageSizeGB: 64 } });
    const moved = await patch({ backup: { geoRedundantBackup: 'Enabled' } });
    expect([shrunk.body.error.code, moved.body.error.code]).toEqual([
      'StorageDecreaseNotSupported',
      'GeoRedundantBackupImmutable',
    ]);
  });
});

describe('a replica', () => {
  const replica = (properties: object = {}, location = 'westus2') => ({
    location,
    properties: { createMode: 'Replica', sourceServerResourceId: serverPath('main'), ...properties },
  });

  it('follows its primary, which is busy while it is made and cannot go before it', async () => {
    await client.done('PUT', serverPath('main'), server());
    expect((await client.arm('PUT', serverPath('reader'), replica())).status).toBe(202);
    expect((await client.arm('PATCH', serverPath('main'), { tags: {} })).body.error.code).toBe(
      'ServerIsBusy',
    );
    await expect
      .poll(async () => (await client.arm('GET', serverPath('reader'))).body.properties.state)
      .toBe('Ready');
    const { properties } = (await client.arm('GET', serverPath('reader'))).body;
    expect(properties).toMatchObject({
      replicationRole: 'GeoAsyncReplica',
      sourceServerResourceId: serverPath('main'),
      version: '17',
      storage: { storageSizeGB: 128 },
    });
    expect((await client.arm('DELETE', serverPath('main'))).body.error.code).toBe('ServerHasReadReplicas');
    const database = await client.arm('PUT', `${serverPath('reader')}/databases/llama`, {});
    expect(database.body.error.code).toBe('ReplicaIsReadOnly');
  });

  it.each([
    ['smaller storage', { storage: { storageSizeGB: 64 } }],
    ['high availability', { highAvailability: { mode: 'ZoneRedundant' } }],
    ['geo-redundant backup', { backup: { geoRedundantBackup: 'Enabled' } }],
  ])('is refused with %s', async (_what, properties) => {
    await client.done('PUT', serverPath('main'), server());
    const answer = await client.arm('PUT', serverPath('reader'), replica(properties));
    expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
  });

  it('is refused for a Burstable primary', async () => {
    await client.done(
      'PUT',
      serverPath('main'),
      server({ sku: { name: 'Standard_B2s', tier: 'Burstable' } }),
    );
    const answer = await client.arm('PUT', serverPath('reader'), replica());
    expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
  });
});

describe('a server parameter', () => {
  const parameter = (name: string) => `${serverPath('main')}/configurations/${name}`;
  const set = (name: string, value: string) => client.done('PUT', parameter(name), { properties: { value } });
  beforeEach(async () => {
    await client.done('PUT', serverPath('main'), server());
  });

  it('that is static waits for the restart', async () => {
    await set('max_connections', '500');
    expect((await client.arm('GET', parameter('max_connections'))).body.properties).toMatchObject({
      value: '500',
      defaultValue: '1718',
      isConfigPendingRestart: true,
    });
    await client.done('POST', `${serverPath('main')}/restart`, {});
    expect(
      (await client.arm('GET', parameter('max_connections'))).body.properties.isConfigPendingRestart,
    ).toBe(false);
  });

  it('that does not exist is not there', async () => {
    expect((await client.arm('GET', parameter('azure.extensions.enabled'))).status).toBe(404);
  });

  it.each([
    ['work_mem', '75% of available memory'],
    ['max_connections', '0'],
    ['azure.extensions', 'nonsense'],
    ['log_timezone', 'Europe/Berlin'],
  ])('%s refuses %s', async (name, value) => {
    expect((await set(name, value)).status).toBe(400);
  });
});

describe('a lock', () => {
  const locks = (scope: string) => `${scope}/providers/Microsoft.Authorization/locks/keep`;

  it('protects everything below it, until it is gone', async () => {
    await client.done('PUT', serverPath('main'), server());
    await client.done('PUT', `${serverPath('main')}/databases/llama`, {});
    const lock = locks(serverPath('main'));
    const made = await client.arm('PUT', lock, { properties: { level: 'CanNotDelete' } }, '2020-05-01');
    expect(made.status).toBe(201);
    const refused = await client.arm('DELETE', `${serverPath('main')}/databases/llama`);
    expect(refused).toMatchObject({ status: 409, body: { error: { code: 'ScopeLocked' } } });
    expect((await client.arm('DELETE', group, undefined, '2023-07-01')).body.error.code).toBe('ScopeLocked');
    expect((await client.arm('DELETE', lock, undefined, '2020-05-01')).status).toBe(200);
    expect((await client.arm('DELETE', `${serverPath('main')}/databases/llama`)).status).toBe(202);
  });
});

describe('a Key Vault', () => {
  const vault = () => `${group}/providers/Microsoft.KeyVault/vaults/secrets`;
  const put = (properties: object = {}, version = '2023-02-01') =>
    client.arm('PUT', vault(), { location: 'eastus', properties }, version);

  it('leaves its name behind when it is deleted', async () => {
    await put({ enablePurgeProtection: true });
    await client.arm('DELETE', vault(), undefined, '2023-02-01');
    expect((await put()).body.error.code).toBe('ConflictError');
    const deleted = `/subscriptions/${azure.subscriptionId}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/secrets`;
    expect((await client.arm('GET', deleted, undefined, '2023-02-01')).status).toBe(200);
    expect((await client.arm('POST', `${deleted}/purge`, {}, '2023-02-01')).status).toBe(409);
    expect((await put({ createMode: 'recover' })).body.properties.enablePurgeProtection).toBe(true);
  });

  it('makes a key once, and hardware keys only when it is premium', async () => {
    await put({ sku: { family: 'A', name: 'standard' } });
    const key = (name: string, kty: string) =>
      client.arm('PUT', `${vault()}/keys/${name}`, { properties: { kty } }, '2023-07-01');
    expect((await key('hard', 'RSA-HSM')).status).toBe(400);
    const first = await key('soft', 'RSA');
    const again = await key('soft', 'RSA');
    expect(again.body.properties.keyUriWithVersion).toBe(first.body.properties.keyUriWithVersion);
    expect((await client.arm('DELETE', `${vault()}/keys/soft`, undefined, '2023-07-01')).status).toBe(501);
  });
});

describe('a state on blob storage', () => {
  it('belongs to whoever holds its lease', async () => {
    const call = async (method: string, path: string, headers: Record<string, string> = {}, body = '{}') =>
      client.call(method, path, {
        host: 'states.blob.core.windows.net',
        headers: { ...(await client.authorization('https://storage.azure.com')), ...headers },
        ...(method === 'GET' ? {} : { body }),
      });
    const state = '/production/llama.tfstate';
    expect((await call('GET', state)).status).toBe(404);
    expect((await call('PUT', state)).status).toBe(201);
    const lease = (action: string, id: string) =>
      call('PUT', `${state}?comp=lease`, {
        'x-ms-lease-action': action,
        ...(action === 'acquire' ? { 'x-ms-proposed-lease-id': id } : { 'x-ms-lease-id': id }),
      });
    expect((await lease('acquire', 'one')).status).toBe(201);
    expect(await lease('acquire', 'two')).toMatchObject({
      status: 409,
      headers: { 'x-ms-error-code': 'LeaseAlreadyPresent' },
    });
    expect((await call('PUT', state)).headers['x-ms-error-code']).toBe('LeaseIdMissing');
    expect((await call('PUT', state, { 'x-ms-lease-id': 'one' }, '{"serial":2}')).status).toBe(201);
    expect((await lease('release', 'two')).status).toBe(409);
    expect((await lease('release', 'one')).status).toBe(200);
    expect((await call('GET', state)).text).toBe('{"serial":2}');
    expect((await call('GET', '/elsewhere/llama.tfstate')).headers['x-ms-error-code']).toBe(
      'ContainerNotFound',
    );
  });
});

describe('failing on purpose', () => {
  it('answers what it is told to, or cuts the connection', async () => {
    const plan = [
      { status: 429, headers: { 'retry-after': '7' }, body: { error: { code: 'TooManyRequests' } } },
      'drop',
    ] as const;
    let next = 0;
    const failing = await startLocalAzure({
      intercept: ({ path }) => (path.endsWith('/resourceGroups/one') ? plan[next++] : undefined),
    });
    try {
      const other = new AzureClient(failing);
      const path = `/subscriptions/${failing.subscriptionId}/resourceGroups/one`;
      expect(await other.arm('GET', path, undefined, '2023-07-01')).toMatchObject({
        status: 429,
        headers: { 'retry-after': '7' },
      });
      await expect(other.arm('GET', path, undefined, '2023-07-01')).rejects.toThrow();
      expect((await other.arm('GET', path, undefined, '2023-07-01')).status).toBe(404);
    } finally {
      await failing.stop();
    }
  });

  it('ends with everything it opened', async () => {
    const other = await startLocalAzure();
    await other.stop();
    const { hostname, port } = new URL(other.environment['HTTPS_PROXY'] ?? '');
    const refused = new Promise((resolve, reject) => {
      net.connect(Number(port), hostname, () => reject(new Error('still there'))).on('error', resolve);
    });
    await expect(refused).resolves.toMatchObject({ code: 'ECONNREFUSED' });
    expect(existsSync(other.environment['SSL_CERT_FILE'] ?? '')).toBe(false);
  });
});
