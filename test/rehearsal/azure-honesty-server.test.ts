/** What Azure refuses of a Flexible Server, the local one refuses too. */
import { describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from './azure-fixture.ts';

const fixture = useLocalAzure({ latency: () => 150 });

describe('a Flexible Server', () => {
  it('takes its time, shows it, and is busy meanwhile', async () => {
    const created = await fixture.client.arm('PUT', fixture.server('main'), serverDocument());
    expect(created.status).toBe(202);
    expect(created.headers).toMatchObject({
      'retry-after': '0',
      location: expect.stringContaining('https://'),
    });
    const during = await fixture.client.arm('GET', fixture.server('main'));
    expect(during.body.properties.state).toBe('Provisioning');
    const busy = await fixture.client.arm('PATCH', fixture.server('main'), { tags: {} });
    expect(busy).toMatchObject({ status: 409, body: { error: { code: 'ServerIsBusy' } } });
    expect(await fixture.client.done('PUT', `${fixture.server('main')}/databases/llama`, {})).toMatchObject({
      status: 409,
    });
    await expect
      .poll(async () => (await fixture.client.arm('GET', fixture.server('main'))).body.properties.state)
      .toBe('Ready');
    expect(fixture.azure.operations.map(({ outcome, error }) => error?.code ?? outcome)).toEqual([
      'Succeeded',
      'Succeeded',
      'ServerIsBusy',
      'ServerIsBusy',
    ]);
  });

  it('is busy while a private endpoint to it is made', async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    const network = `${fixture.group}/providers/Microsoft.Network/virtualNetworks/net`;
    const space = { location: 'eastus', properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } } };
    await fixture.client.done('PUT', network, space, '2025-01-01');
    await fixture.client.done(
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
            properties: { privateLinkServiceId: fixture.server('main'), groupIds: ['postgresqlServer'] },
          },
        ],
      },
    };
    const path = `${fixture.group}/providers/Microsoft.Network/privateEndpoints/main`;
    expect((await fixture.client.arm('PUT', path, endpoint, '2025-01-01')).status).toBe(201);
    const busy = await fixture.client.arm('PUT', `${fixture.server('main')}/databases/llama`, {});
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
    const answer = await fixture.client.arm('PUT', fixture.server('main'), serverDocument(changes));
    expect(answer).toMatchObject({ status: 400, body: { error: { code } } });
    expect((await fixture.client.arm('GET', fixture.server('main'))).status).toBe(404);
  });

  it('has a name that nobody else in Azure has', async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    await fixture.client.arm('PUT', `${fixture.group}-two`, { location: 'eastus' }, '2023-07-01');
    const twin = await fixture.client.arm(
      'PUT',
      fixture.server('main').replace('/database/', '/database-two/'),
      serverDocument(),
    );
    expect(twin.body.error.code).toBe('ServerNameAlreadyExists');
  });

  it('never shows a password', async () => {
    const secret = 'Canary-of-a-password-1';
    const withPassword = serverDocument({
      properties: {
        administratorLogin: 'llama_admin',
        administratorLoginPassword: secret,
        authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
      },
    });
    await fixture.client.done('PUT', fixture.server('main'), withPassword);
    const shown = await fixture.client.arm('GET', fixture.server('main'));
    expect(shown.body.properties.administratorLogin).toBe('llama_admin');
    expect(shown.text).not.toContain(secret);
  });

  it('does not shrink, and keeps its kind of backup', async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    const patch = (properties: object) => fixture.client.arm('PATCH', fixture.server('main'), { properties });
    const shrunk = await patch({ storage: { storageSizeGB: 64 } });
    const moved = await patch({ backup: { geoRedundantBackup: 'Enabled' } });
    expect([shrunk.body.error.code, moved.body.error.code]).toEqual([
      'StorageDecreaseNotSupported',
      'GeoRedundantBackupImmutable',
    ]);
  });
});
