/** Refusals of Flexible Servers. */
import { describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from '../../../support/azure-fixture.ts';

describe('refusals of a Flexible Server', () => {
  const fixture = useLocalAzure({ takenNames: ['postgres/taken'] });

  describe('a Flexible Server', () => {
    it('shows a running creation, and is busy until it ends', async () => {
      const release = fixture.hold();
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
      expect(await fixture.client.done('PUT', `${fixture.server('main')}/databases/llama`, {})).toMatchObject(
        {
          status: 409,
        },
      );
      release();
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

    it('reports a running operation at its Location, and then its result', async () => {
      const { client } = fixture;
      const at = async (location: unknown) => {
        const { pathname, search } = new URL(String(location));
        const headers = await client.authorization('https://management.azure.com');
        return client.call('GET', pathname + search, { headers });
      };
      const release = fixture.hold();
      const created = await client.arm('PUT', fixture.server('main'), serverDocument());
      const running = await at(created.headers['location']);
      expect(running).toMatchObject({ status: 202, headers: { 'retry-after': '0' }, text: '' });
      release();
      expect(await at(running.headers['location'])).toMatchObject({
        status: 200,
        body: { name: 'main', properties: { state: 'Ready' } },
      });
      const restarted = await client.arm('POST', `${fixture.server('main')}/restart`, {});
      expect(await at(restarted.headers['location'])).toMatchObject({ status: 204 });
      const gone = await client.arm('DELETE', fixture.server('main'));
      expect(await at(gone.headers['location'])).toMatchObject({ status: 204 });
    });

    it('is busy while a private endpoint to it is created', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      const network = `${fixture.group}/providers/Microsoft.Network/virtualNetworks/net`;
      const space = {
        location: 'eastus',
        properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
      };
      await fixture.client.done('PUT', network, space);
      await fixture.client.done('PUT', `${network}/subnets/one`, {
        properties: { addressPrefix: '10.0.1.0/24' },
      });
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
      fixture.hold();
      expect((await fixture.client.arm('PUT', path, endpoint)).status).toBe(201);
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
        'public access from within a virtual network',
        {
          properties: {
            network: {
              privateDnsZoneArmResourceId: '/subscriptions/2b0942f3-9bca-484b-a508-abdae2db5e64/zone',
            },
          },
        },
        'PrivateDnsZoneNotSupported',
      ],
      ['a size that is not sold', { properties: { storage: { storageSizeGB: 100 } } }, 'InvalidStorageSize'],
      [
        'backups kept for a day',
        { properties: { backup: { backupRetentionDays: 1 } } },
        'InvalidBackupRetention',
      ],
      ['a version nobody offers', { properties: { version: '9' } }, 'InvalidServerVersion'],
      ['a fourth zone', { properties: { availabilityZone: '4' } }, 'InvalidAvailabilityZone'],
      [
        'a zone where the region has none',
        { location: 'westus', properties: { availabilityZone: '1' } },
        'AvailabilityZoneNotSupported',
      ],
      [
        'a standby in another zone of a region without zones',
        { location: 'westus', properties: { highAvailability: { mode: 'ZoneRedundant' } } },
        'ZoneRedundantHaNotSupported',
      ],
      [
        'a maintenance window at its creation',
        { properties: { maintenanceWindow: { customWindow: 'Enabled', dayOfWeek: 0 } } },
        'MaintenanceWindowNotSupportedOnCreate',
      ],
      [
        'an administrator login and no password login',
        { properties: { administratorLogin: 'llama_admin' } },
        'AdministratorLoginNotAllowed',
      ],
      [
        'password login and nobody to use it',
        { properties: { authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Enabled' } } },
        'MissingAdministratorLogin',
      ],
      [
        'a reserved administrator login',
        {
          properties: {
            authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
            administratorLogin: 'pg_admin',
            administratorLoginPassword: 'Canary-of-a-password-1',
          },
        },
        'InvalidAdministratorLogin',
      ],
      [
        'a password that is too simple',
        {
          properties: {
            authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
            administratorLogin: 'llama_admin',
            administratorLoginPassword: 'onlyletters',
          },
        },
        'InvalidPassword',
      ],
      [
        'a subnet that is not delegated',
        {
          properties: {
            network: {
              delegatedSubnetResourceId: '/subscriptions/2b0942f3-9bca-484b-a508-abdae2db5e64/nothing',
            },
          },
        },
        'SubnetNotDelegated',
      ],
    ])('is refused with %s', async (_what, changes, code) => {
      const answer = await fixture.client.arm('PUT', fixture.server('main'), serverDocument(changes));
      expect(answer).toMatchObject({ status: 400, body: { error: { code } } });
      expect((await fixture.client.arm('GET', fixture.server('main'))).status).toBe(404);
    });

    it('has a name that is unique in Azure', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      await fixture.client.arm('PUT', `${fixture.group}-two`, { location: 'eastus' });
      const twin = await fixture.client.arm(
        'PUT',
        fixture.server('main').replace('/database/', '/database-two/'),
        serverDocument(),
      );
      expect(twin.body.error.code).toBe('ServerNameAlreadyExists');
    });

    it.each([
      ['too short', 'ab', 400, 'InvalidServerName'],
      ['with a hyphen at the end', 'main-', 400, 'InvalidServerName'],
      ["with a word of Microsoft's", 'my-microsoft-server', 400, 'ReservedResourceName'],
      ['that begins with login', 'login-server', 400, 'ReservedResourceName'],
      ['that somebody else has', 'taken', 409, 'ServerNameAlreadyExists'],
    ])('has no name %s', async (_what, name, status, code) => {
      const answer = await fixture.client.arm('PUT', fixture.server(name), serverDocument());
      expect(answer).toMatchObject({ status, body: { error: { code } } });
      const asked = await fixture.client.arm(
        'POST',
        `/subscriptions/${fixture.azure.subscriptionId}/providers/Microsoft.DBforPostgreSQL/checkNameAvailability`,
        { name, type: 'Microsoft.DBforPostgreSQL/flexibleServers' },
      );
      expect(JSON.parse(asked.text).nameAvailable).toBe(false);
    });

    it('answers an unknown property with 501, and changes nothing', async () => {
      await fixture.create('main');
      const answer = await fixture.client.arm('PATCH', fixture.server('main'), {
        properties: { storage: { colour: 'blue' } },
      });
      expect(answer.status).toBe(501);
      expect(answer.body.error.message).toContain('properties.storage.colour');
      expect(fixture.azure.unknown).toHaveLength(1);
    });

    it('ignores read-only properties', async () => {
      await fixture.create('main');
      await fixture.client.done('PATCH', fixture.server('main'), { properties: { state: 'Dropping' } });
      expect((await fixture.client.arm('GET', fixture.server('main'))).body.properties.state).toBe('Ready');
    });

    it('accepts no change while it is stopped, and continues unchanged', async () => {
      await fixture.create('main');
      const act = (verb: string) => fixture.client.done('POST', `${fixture.server('main')}/${verb}`);
      expect((await act('start')).body.error.code).toBe('OperationNotAllowedOnServerState');
      expect((await act('stop')).body.status).toBe('Succeeded');
      const changes = [
        await fixture.client.arm('PATCH', fixture.server('main'), { tags: {} }),
        await fixture.client.arm('PUT', `${fixture.server('main')}/databases/llama`, {}),
        await fixture.client.arm('PUT', `${fixture.server('main')}/configurations/work_mem`, {
          properties: { value: '8192' },
        }),
        await act('stop'),
      ];
      expect(changes.map(({ body }) => body.error.code)).toEqual(
        Array(4).fill('OperationNotAllowedOnServerState'),
      );
      expect((await act('start')).body.status).toBe('Succeeded');
      expect((await fixture.client.arm('PATCH', fixture.server('main'), { tags: {} })).status).toBe(202);
    });

    it('has the IOPS of its tier, which is lowered once in twelve hours', async () => {
      await fixture.create('main', { properties: { storage: { storageSizeGB: 128, tier: 'P20' } } });
      const tier = async (name: string) =>
        (
          await fixture.client.done('PATCH', fixture.server('main'), {
            properties: { storage: { tier: name } },
          })
        ).body;
      expect((await fixture.client.arm('GET', fixture.server('main'))).body.properties.storage).toMatchObject(
        {
          tier: 'P20',
          iops: 2300,
        },
      );
      expect((await tier('P15')).status).toBe('Succeeded');
      expect((await tier('P10')).error.code).toBe('StorageTierDowngradeTooSoon');
      fixture.azure.clock.advance(12 * 3_600_000);
      expect((await tier('P10')).status).toBe('Succeeded');
    });

    it('leaves the Burstable tier before it gets a standby', async () => {
      await fixture.create('main', { sku: { name: 'Standard_B2s', tier: 'Burstable' } });
      const patch = (body: object) => fixture.client.done('PATCH', fixture.server('main'), body);
      const sku = { name: 'Standard_D4s_v3', tier: 'GeneralPurpose' };
      const properties = { highAvailability: { mode: 'ZoneRedundant' } };
      expect((await patch({ sku, properties })).body.error.code).toBe('HighAvailabilityWithTierChange');
      expect((await patch({ sku })).body.status).toBe('Succeeded');
      expect((await patch({ properties })).body.status).toBe('Succeeded');
      const shown = await fixture.client.arm('GET', fixture.server('main'));
      expect(shown.body.properties.highAvailability).toEqual({
        mode: 'ZoneRedundant',
        state: 'Healthy',
        standbyAvailabilityZone: '2',
      });
    });

    it('changes the mode of its standby only by way of none', async () => {
      await fixture.create('main', { properties: { highAvailability: { mode: 'ZoneRedundant' } } });
      const patch = (mode: string) =>
        fixture.client.done('PATCH', fixture.server('main'), { properties: { highAvailability: { mode } } });
      const { error } = (await patch('SameZone')).body;
      expect(error.message).toContain('directly from ZoneRedundant to SameZone');
      expect((await patch('Disabled')).body.status).toBe('Succeeded');
      expect((await patch('SameZone')).body.status).toBe('Succeeded');
      expect((await patch('ZoneRedundant')).body.error.code).toBe('InvalidParameterValue');
    });

    it('fails over to its standby, and exchanges the zones', async () => {
      await fixture.create('main', {
        properties: {
          availabilityZone: '1',
          highAvailability: { mode: 'ZoneRedundant', standbyAvailabilityZone: '3' },
        },
      });
      await fixture.create('alone');
      const failover = (name: string) =>
        fixture.client.done('POST', `${fixture.server(name)}/restart`, {
          restartWithFailover: true,
          failoverMode: 'PlannedFailover',
        });
      expect((await failover('alone')).body.error.code).toBe('FailoverNotSupported');
      expect((await failover('main')).body.status).toBe('Succeeded');
      const zones = async () => {
        const { properties } = (await fixture.client.arm('GET', fixture.server('main'))).body;
        return [properties.availabilityZone, properties.highAvailability];
      };
      expect(await zones()).toEqual(['3', expect.objectContaining({ standbyAvailabilityZone: '1' })]);
      await fixture.azure.incidents.failOver(fixture.server('main'));
      expect(await zones()).toEqual(['1', expect.objectContaining({ standbyAvailabilityZone: '3' })]);
    });

    it('doubles its disk by itself if auto-grow is on, and never across 4 TB', async () => {
      const { azure, client } = fixture;
      await fixture.create('main', { properties: { storage: { storageSizeGB: 128, autoGrow: 'Enabled' } } });
      azure.incidents.growDisk(fixture.server('main'));
      expect((await client.arm('GET', fixture.server('main'))).body.properties.storage).toMatchObject({
        storageSizeGB: 256,
        tier: 'P15',
      });
      await fixture.create('fixed');
      expect(() => azure.incidents.growDisk(fixture.server('fixed'))).toThrow('does not grow by itself');
      await fixture.create('large', {
        properties: { storage: { storageSizeGB: 4096, autoGrow: 'Enabled' } },
      });
      expect(() => azure.incidents.growDisk(fixture.server('large'))).toThrow('does not grow by itself');
    });

    it('can be restored to a time after its first backup, without a standby', async () => {
      const { azure, client } = fixture;
      await fixture.create('main', { properties: { highAvailability: { mode: 'ZoneRedundant' } } });
      const backups = JSON.parse((await client.arm('GET', `${fixture.server('main')}/backups`)).text).value;
      expect(backups).toMatchObject([{ properties: { backupType: 'Full', source: 'Automatic' } }]);
      const restore = (pointInTimeUTC: string) =>
        client.done('PUT', fixture.server('restored'), {
          location: 'eastus',
          properties: {
            createMode: 'PointInTimeRestore',
            sourceServerResourceId: fixture.server('main'),
            pointInTimeUTC,
          },
        });
      expect((await restore('2020-01-01T00:00:00Z')).body.error.code).toBe('InvalidPointInTime');
      azure.clock.advance(3_600_000);
      expect((await restore(new Date().toISOString())).body.status).toBe('Succeeded');
      const { properties } = (await client.arm('GET', fixture.server('restored'))).body;
      expect(properties).toMatchObject({ version: '17', highAvailability: { mode: 'Disabled' } });
      expect(properties).not.toHaveProperty('sourceServerResourceId');
    });

    it('takes backups on request, which can be deleted, unlike automatic ones', async () => {
      const { client } = fixture;
      await fixture.create('main');
      const backups = `${fixture.server('main')}/backups`;
      expect((await client.done('PUT', `${backups}/before-the-change`)).body.status).toBe('Succeeded');
      const names = () =>
        client
          .arm('GET', backups)
          .then(({ text }) => JSON.parse(text).value.map((one: { name: string }) => one.name));
      const [automatic] = await names();
      expect(await names()).toEqual([automatic, 'before-the-change']);
      expect((await client.arm('DELETE', `${backups}/${automatic}`)).body.error.code).toBe('AutomaticBackup');
      await client.done('DELETE', `${backups}/before-the-change`);
      expect(await names()).toEqual([automatic]);
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

    it('does not shrink, and keeps its backup redundancy', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      const patch = (properties: object) =>
        fixture.client.arm('PATCH', fixture.server('main'), { properties });
      const shrunk = await patch({ storage: { storageSizeGB: 64 } });
      const moved = await patch({ backup: { geoRedundantBackup: 'Enabled' } });
      expect([shrunk.body.error.code, moved.body.error.code]).toEqual([
        'StorageDecreaseNotSupported',
        'GeoRedundantBackupImmutable',
      ]);
    });
  });
});
