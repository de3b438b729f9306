/** What Azure refuses of a read replica, the local one refuses too. */
import { describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from './azure-fixture.ts';

const fixture = useLocalAzure({ latency: () => 150 });

describe('a replica', () => {
  const replica = (properties: object = {}, location = 'westus2') => ({
    location,
    properties: { createMode: 'Replica', sourceServerResourceId: fixture.server('main'), ...properties },
  });

  it('follows its primary, which is busy while it is made and cannot go before it', async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    expect((await fixture.client.arm('PUT', fixture.server('reader'), replica())).status).toBe(202);
    expect((await fixture.client.arm('PATCH', fixture.server('main'), { tags: {} })).body.error.code).toBe(
      'ServerIsBusy',
    );
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
    ['smaller storage', { storage: { storageSizeGB: 64 } }],
    ['high availability', { highAvailability: { mode: 'ZoneRedundant' } }],
    ['geo-redundant backup', { backup: { geoRedundantBackup: 'Enabled' } }],
  ])('is refused with %s', async (_what, properties) => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    const answer = await fixture.client.arm('PUT', fixture.server('reader'), replica(properties));
    expect(answer.body.error.code).toBe('ReadReplicaNotSupported');
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
