/** Locks and vaults. */
import { describe, expect, it } from 'vitest';
import { serverDocument, useLocalAzure } from './azure-fixture.ts';

const fixture = useLocalAzure();

describe('a lock', () => {
  const locks = (scope: string) => `${scope}/providers/Microsoft.Authorization/locks/keep`;

  it('protects everything below it, until it is gone', async () => {
    await fixture.client.done('PUT', fixture.server('main'), serverDocument());
    await fixture.client.done('PUT', `${fixture.server('main')}/databases/llama`, {});
    const lock = locks(fixture.server('main'));
    const made = await fixture.client.arm(
      'PUT',
      lock,
      { properties: { level: 'CanNotDelete' } },
      '2020-05-01',
    );
    expect(made.status).toBe(201);
    const refused = await fixture.client.arm('DELETE', `${fixture.server('main')}/databases/llama`);
    expect(refused).toMatchObject({ status: 409, body: { error: { code: 'ScopeLocked' } } });
    expect((await fixture.client.arm('DELETE', fixture.group, undefined, '2023-07-01')).body.error.code).toBe(
      'ScopeLocked',
    );
    expect((await fixture.client.arm('DELETE', lock, undefined, '2020-05-01')).status).toBe(200);
    expect((await fixture.client.arm('DELETE', `${fixture.server('main')}/databases/llama`)).status).toBe(
      202,
    );
  });
});

describe('a Key Vault', () => {
  const vault = () => `${fixture.group}/providers/Microsoft.KeyVault/vaults/secrets`;
  const put = (properties: object = {}, version = '2023-02-01') =>
    fixture.client.arm('PUT', vault(), { location: 'eastus', properties }, version);

  it('leaves its name behind when it is deleted', async () => {
    await put({ enablePurgeProtection: true });
    await fixture.client.arm('DELETE', vault(), undefined, '2023-02-01');
    expect((await put()).body.error.code).toBe('ConflictError');
    const deleted = `/subscriptions/${fixture.azure.subscriptionId}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/secrets`;
    expect((await fixture.client.arm('GET', deleted, undefined, '2023-02-01')).status).toBe(200);
    expect((await fixture.client.arm('POST', `${deleted}/purge`, {}, '2023-02-01')).status).toBe(409);
    expect((await put({ createMode: 'recover' })).body.properties.enablePurgeProtection).toBe(true);
  });

  it('makes a key once, and hardware keys only when it is premium', async () => {
    await put({ sku: { family: 'A', name: 'standard' } });
    const key = (name: string, kty: string) =>
      fixture.client.arm('PUT', `${vault()}/keys/${name}`, { properties: { kty } }, '2023-07-01');
    expect((await key('hard', 'RSA-HSM')).status).toBe(400);
    const first = await key('soft', 'RSA');
    const again = await key('soft', 'RSA');
    expect(again.body.properties.keyUriWithVersion).toBe(first.body.properties.keyUriWithVersion);
    expect((await fixture.client.arm('DELETE', `${vault()}/keys/soft`, undefined, '2023-07-01')).status).toBe(
      501,
    );
  });
});
