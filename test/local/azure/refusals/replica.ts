/** Refusals of read replicas. */
import { beforeEach, describe, expect, it } from 'vitest';
import { serverBehind } from '../../../../local/azure/index.ts';
import type { Answer } from '../../../support/azure-client.ts';
import { serverDocument, useLocalAzure } from '../../../support/azure-fixture.ts';

describe('refusals of replicas', () => {
  const fixture = useLocalAzure();

  describe('a replica', () => {
    const replica = (properties: object = {}, location = 'westus2') => ({
      location,
      properties: { createMode: 'Replica', sourceServerResourceId: fixture.server('main'), ...properties },
    });

    it('follows its primary, which is busy during the creation and is deleted last', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      const release = fixture.hold();
      expect((await fixture.client.arm('PUT', fixture.server('reader'), replica())).status).toBe(202);
      expect((await fixture.client.arm('PATCH', fixture.server('main'), { tags: {} })).body.error.code).toBe(
        'ServerIsBusy',
      );
      release();
      await expect
        .poll(async () => (await fixture.client.arm('GET', fixture.server('reader'))).body.properties.state)
        .toBe('Ready');
      const { properties } = (await fixture.client.arm('GET', fixture.server('reader'))).body;
      expect(properties).toMatchObject({
        replicationRole: 'GeoAsyncReplica',
        sourceServerResourceId: fixture.server('main'),
        version: '17',
        storage: { storageSizeGB: 128 },
      });
      expect((await fixture.client.arm('DELETE', fixture.server('main'))).body.error.code).toBe(
        'ServerHasReadReplicas',
      );
      const database = await fixture.client.arm('PUT', `${fixture.server('reader')}/databases/llama`, {});
      expect(database.body.error.code).toBe('ReplicaIsReadOnly');
    });

    it.each([
      ['high availability', { highAvailability: { mode: 'ZoneRedundant' } }],
      ['geo-redundant backup', { backup: { geoRedundantBackup: 'Enabled' } }],
    ])('is refused with %s', async (_what, properties) => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      const answer = await fixture.client.arm('PUT', fixture.server('reader'), replica(properties));
      expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
    });

    it.each([
      ['retention of backups', { backup: { backupRetentionDays: 14 } }],
      ['an administrator of its own', { administratorLogin: 'llama_admin' }],
    ])('is refused with %s', async (_what, properties) => {
      await fixture.create('main');
      const answer = await fixture.client.arm('PUT', fixture.server('reader'), replica(properties));
      expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
    });

    it('is never smaller than its primary', async () => {
      await fixture.create('main');
      const smaller = replica({ storage: { storageSizeGB: 64 } });
      const answer = await fixture.client.arm('PUT', fixture.server('reader'), smaller);
      expect(answer.body.error.code).toBe('ReplicaSmallerThanPrimary');
    });

    it('is one of five at most', async () => {
      await fixture.create('main');
      for (const name of ['one', 'two', 'three', 'four', 'five'])
        expect((await fixture.client.done('PUT', fixture.server(name), replica())).body.status).toBe(
          'Succeeded',
        );
      const sixth = await fixture.client.arm('PUT', fixture.server('six'), replica());
      expect(sixth.body.error).toMatchObject({
        code: 'ReadReplicaNotSupported',
        message: expect.stringContaining('already has 5 replicas'),
      });
      const listed = JSON.parse((await fixture.client.arm('GET', `${fixture.server('main')}/replicas`)).text);
      expect(listed.value).toHaveLength(5);
    });

    it('makes its primary show Updating during the creation', async () => {
      await fixture.create('main');
      fixture.hold();
      await fixture.client.arm('PUT', fixture.server('reader'), replica());
      expect((await fixture.client.arm('GET', fixture.server('main'))).body.properties.state).toBe(
        'Updating',
      );
    });

    it('has the parameters of its primary at its creation, and not later ones', async () => {
      const { client } = fixture;
      await fixture.create('main');
      const parameter = (name: string) => `${fixture.server(name)}/configurations/work_mem`;
      await client.done('PUT', parameter('main'), { properties: { value: '8192' } });
      await client.done('PUT', `${fixture.server('main')}/databases/llama`, {});
      await client.done('PUT', fixture.server('reader'), replica());
      await client.done('PUT', parameter('main'), { properties: { value: '16384' } });
      expect((await client.arm('GET', parameter('reader'))).body.properties.value).toBe('8192');
      expect((await client.arm('GET', `${fixture.server('reader')}/databases/llama`)).status).toBe(200);
      await client.done('PUT', `${fixture.server('main')}/databases/later`, {});
      expect((await client.arm('GET', `${fixture.server('reader')}/databases/later`)).status).toBe(200);
    });

    it('is refused for a Burstable primary', async () => {
      await fixture.client.done(
        'PUT',
        fixture.server('main'),
        serverDocument({ sku: { name: 'Standard_B2s', tier: 'Burstable' } }),
      );
      const answer = await fixture.client.arm('PUT', fixture.server('reader'), replica());
      expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
    });
  });

  describe('a primary and its replica', () => {
    const { server } = fixture;
    const replica = {
      location: 'westus2',
      properties: { createMode: 'Replica', sourceServerResourceId: '' },
    };
    const patch = (name: string, body: object) => fixture.client.done('PATCH', server(name), body);
    const code = async (answer: Promise<Answer>) => {
      const { body } = await answer;
      return body.status ?? body.error.code;
    };
    const sku = (name: string) => ({ sku: { name, tier: 'GeneralPurpose' } });
    beforeEach(async () => {
      await fixture.create('main', { properties: { highAvailability: { mode: 'ZoneRedundant' } } });
      replica.properties.sourceServerResourceId = server('main');
      await fixture.client.done('PUT', server('reader'), replica);
    });

    it('scale up from the replica and down from the primary', async () => {
      expect(await code(patch('main', sku('Standard_D8s_v3')))).toBe('ReplicaSmallerThanPrimary');
      expect(await code(patch('reader', sku('Standard_D8s_v3')))).toBe('Succeeded');
      expect(await code(patch('main', sku('Standard_D8s_v3')))).toBe('Succeeded');
      expect(await code(patch('reader', sku('Standard_D4s_v3')))).toBe('ReplicaSmallerThanPrimary');
      expect(await code(patch('main', sku('Standard_D4s_v3')))).toBe('Succeeded');
      expect(await code(patch('reader', sku('Standard_D4s_v3')))).toBe('Succeeded');
    });

    it('grow their disks on the replica first', async () => {
      const size = (storageSizeGB: number) => ({ properties: { storage: { storageSizeGB } } });
      expect(await code(patch('main', size(256)))).toBe('ReplicaSmallerThanPrimary');
      expect(await code(patch('reader', size(256)))).toBe('Succeeded');
      expect(await code(patch('main', size(256)))).toBe('Succeeded');
      const grow = (autoGrow: string) => ({ properties: { storage: { autoGrow } } });
      expect(await code(patch('main', grow('Enabled')))).toBe('ReplicaAutoGrowRequired');
      expect(await code(patch('reader', grow('Enabled')))).toBe('Succeeded');
      expect(await code(patch('main', grow('Enabled')))).toBe('Succeeded');
      expect(await code(patch('reader', grow('Disabled')))).toBe('ReplicaAutoGrowRequired');
    });

    it('raise inherited limits on the replica first, and lower them on the primary first', async () => {
      const set = (name: string, value: string) =>
        code(
          fixture.client.done('PUT', `${server(name)}/configurations/max_worker_processes`, {
            properties: { value },
          }),
        );
      expect(await set('main', '16')).toBe('ReplicaParameterBelowPrimary');
      expect(await set('reader', '16')).toBe('Succeeded');
      expect(await set('main', '16')).toBe('Succeeded');
      expect(await set('reader', '8')).toBe('ReplicaParameterBelowPrimary');
    });

    it('stay at their version, and the replica without standby, backups and passwords', async () => {
      expect(await code(patch('main', { properties: { version: '18' } }))).toBe(
        'MajorVersionUpgradeWithReplicas',
      );
      const availability = { properties: { highAvailability: { mode: 'SameZone' } } };
      expect(await code(patch('reader', availability))).toBe('HighAvailabilityOnReplica');
      expect(await code(patch('reader', { properties: { backup: { backupRetentionDays: 14 } } }))).toBe(
        'BackupNotSupportedOnReplica',
      );
      expect(await code(fixture.client.done('PUT', `${server('reader')}/backups/mine`))).toBe(
        'BackupNotSupportedOnReplica',
      );
    });

    const endpoint = (name: string) => `${server(name)}/virtualEndpoints/llama`;
    const addEndpoint = () =>
      fixture.client.done('PUT', endpoint('main'), {
        properties: { endpointType: 'ReadWrite', members: ['reader'] },
      });
    const promotion = (promoteMode: string) => ({
      properties: { replica: { role: 'Primary', promoteMode, promoteOption: 'Planned' } },
    });
    const shown = async (name: string) => (await fixture.client.arm('GET', server(name))).body.properties;

    it('exchange their roles in a switchover, and the virtual endpoint follows', async () => {
      expect(await code(patch('reader', promotion('Switchover')))).toBe('VirtualEndpointRequired');
      await addEndpoint();
      const { azure } = fixture.azure;
      const leads = () =>
        ['writer', 'reader'].map((role) => serverBehind(azure, `llama.${role}.postgres.database.azure.com`));
      expect(leads()).toEqual([server('main'), server('reader')]);
      expect(await code(patch('reader', promotion('Switchover')))).toBe('Succeeded');
      expect(await shown('reader')).toMatchObject({ replicationRole: 'Primary', state: 'Ready' });
      expect(await shown('main')).toMatchObject({
        replicationRole: 'GeoAsyncReplica',
        sourceServerResourceId: server('reader'),
        highAvailability: { mode: 'Disabled' },
      });
      expect(leads()).toEqual([server('reader'), server('main')]);
      expect((await fixture.client.arm('GET', endpoint('main'))).status).toBe(404);
      expect((await fixture.client.arm('GET', endpoint('reader'))).body.properties.members).toEqual([
        'reader',
        'main',
      ]);
      expect(await code(patch('main', promotion('Switchover')))).toBe('Succeeded');
      expect(await shown('main')).toMatchObject({
        replicationRole: 'Primary',
        highAvailability: { mode: 'Disabled' },
      });
    });

    it('must be alike for a switchover', async () => {
      await addEndpoint();
      await patch('reader', sku('Standard_D8s_v3'));
      expect(await code(patch('reader', promotion('Switchover')))).toBe('ServersAreNotSymmetrical');
      expect(await code(patch('main', promotion('Switchover')))).toBe('NotAReplica');
    });

    it('separate when the replica is promoted alone', async () => {
      await addEndpoint();
      expect(await code(patch('reader', { properties: { replicationRole: 'None' } }))).toBe('Succeeded');
      expect(await shown('reader')).toMatchObject({ replicationRole: 'Primary' });
      expect(await shown('reader')).not.toHaveProperty('sourceServerResourceId');
      expect((await fixture.client.arm('GET', endpoint('main'))).body.properties.members).toEqual(['main']);
      expect((await fixture.client.done('DELETE', server('main'))).body.status).toBe('Succeeded');
    });

    it('are both busy while their only virtual endpoint is created', async () => {
      const release = fixture.hold();
      const made = await fixture.client.arm('PUT', endpoint('main'), { properties: { members: ['reader'] } });
      expect(made.status).toBe(202);
      expect(await code(patch('reader', { tags: {} }))).toBe('ServerIsBusy');
      release();
      await expect.poll(async () => (await shown('reader')).state).toBe('Ready');
      const second = endpoint('main').replace(/llama$/, 'other');
      expect(await code(fixture.client.done('PUT', second, { properties: { members: ['reader'] } }))).toBe(
        'VirtualEndpointExists',
      );
      await fixture.create('stranger');
      const foreign = `${server('stranger')}/virtualEndpoints/other`;
      expect(await code(fixture.client.done('PUT', foreign, { properties: { members: ['reader'] } }))).toBe(
        'InvalidMember',
      );
      expect(
        await code(
          fixture.client.done('PUT', `${server('stranger')}/virtualEndpoints/llama`, { properties: {} }),
        ),
      ).toBe('VirtualEndpointNameAlreadyExists');
    });
  });
});
