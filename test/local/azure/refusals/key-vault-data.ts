import { constants, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  keyVersions,
  rotateKey,
  setKeyAttributes,
} from '../../../../local/azure/providers/key-vault/data.ts';
import { AzureClient } from '../../../support/azure-client.ts';
import { useLocalAzure } from '../../../support/azure-fixture.ts';

describe('refusals of the data plane of a vault', () => {
  const user = 'e147488a-f6f5-4113-8e2d-b22465e65bf6';
  const local = useLocalAzure();
  let inside: AzureClient;
  const vault = () => local.resource('Microsoft.KeyVault/vaults/wrapping-kv');
  const key = () => `${vault()}/keys/fields`;
  const host = 'wrapping-kv.vault.azure.net';

  const data = async (
    client: AzureClient,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; code: string; inner: string; value: string; text: string }> => {
    const { status, text } = await client.call(method, `${path}?api-version=2025-07-01`, {
      host,
      headers: {
        ...(await client.authorization('https://vault.azure.net')),
        'content-type': 'application/json',
      },
      ...(body === undefined ? {} : { body }),
    });
    const parsed = JSON.parse(text);
    return {
      status,
      text,
      code: parsed.error?.code ?? '',
      inner: parsed.error?.innererror?.code ?? '',
      value: parsed.value ?? '',
    };
  };
  const call = (operation: string, version: string, value: Buffer, alg = 'RSA-OAEP-256') =>
    data(inside, 'POST', `/keys/fields/${version}/${operation}`, { alg, value: value.toString('base64url') });
  const newest = () => keyVersions(local.azure.azure, key()).at(-1) ?? '';

  beforeEach(async () => {
    inside = new AzureClient(local.azure, 'network');
    const { client } = local;
    await client.arm('PUT', vault(), {
      location: 'eastus',
      properties: {
        tenantId: local.azure.tenantId,
        sku: { family: 'A', name: 'standard' },
        enableRbacAuthorization: true,
        publicNetworkAccess: 'Disabled',
        networkAcls: { defaultAction: 'Deny', bypass: 'None' },
      },
    });
    await client.arm('PUT', key(), {
      properties: { kty: 'RSA', keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] },
    });
  });

  async function connect(): Promise<void> {
    const { client } = local;
    const network = local.resource('Microsoft.Network/virtualNetworks/net');
    await client.done('PUT', network, {
      location: 'eastus',
      properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
    });
    const subnet = `${network}/subnets/endpoints`;
    await client.done('PUT', subnet, { properties: { addressPrefix: '10.0.1.0/24' } });
    const connection = { name: 'vault', properties: { privateLinkServiceId: vault(), groupIds: ['vault'] } };
    const made = await client.done('PUT', local.resource('Microsoft.Network/privateEndpoints/vault'), {
      location: 'eastus',
      properties: { subnet: { id: subnet }, privateLinkServiceConnections: [connection] },
    });
    expect(made.text).toContain('Succeeded');
  }

  async function assign(): Promise<void> {
    const { azure, client } = local;
    const { status, text } = await client.arm(
      'PUT',
      `${key()}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555`,
      {
        properties: {
          roleDefinitionId: `/subscriptions/${azure.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${user}`,
          principalId: azure.directory.options.client.objectId,
          principalType: 'ServicePrincipal',
        },
      },
    );
    expect(status, text).toBe(201);
  }

  describe('the data plane of a closed vault', () => {
    it('is closed without a private endpoint, and open with one only inside the network', async () => {
      await assign();
      for (const client of [local.client, inside])
        expect(await data(client, 'GET', '/keys/fields')).toMatchObject({
          status: 403,
          inner: 'ForbiddenByConnection',
        });
      await connect();
      expect(await data(local.client, 'GET', '/keys/fields')).toMatchObject({
        inner: 'ForbiddenByConnection',
      });
      expect(await data(inside, 'GET', '/keys/fields')).toMatchObject({ status: 200 });
    });

    it('requires a token first, then a role on the key', async () => {
      await connect();
      const bare = await inside.call('GET', '/keys/fields?api-version=2025-07-01', { host });
      expect(bare.status).toBe(401);
      expect(bare.headers['www-authenticate']).toContain('resource="https://vault.azure.net"');
      expect(await data(inside, 'GET', '/keys/fields')).toMatchObject({
        status: 403,
        inner: 'ForbiddenByRbac',
      });
    });

    it('wraps and unwraps with real RSA, each version its own', async () => {
      await connect();
      await assign();
      const secret = randomBytes(65);
      const first = newest();
      const wrapped = await call('wrapkey', first, secret);
      expect(Buffer.from(wrapped.value, 'base64url')).toHaveLength(256);
      const { key: jwk } = JSON.parse((await data(inside, 'GET', '/keys/fields')).text);
      const half = createPublicKey({ key: { kty: 'RSA', n: jwk.n, e: jwk.e }, format: 'jwk' });
      const elsewhere = publicEncrypt(
        { key: half, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
        secret,
      );
      for (const value of [Buffer.from(wrapped.value, 'base64url'), elsewhere])
        expect(Buffer.from((await call('unwrapkey', first, value)).value, 'base64url')).toEqual(secret);
      rotateKey(local.azure.azure, key());
      expect(newest()).not.toBe(first);
      expect(JSON.parse((await data(inside, 'GET', '/keys/fields')).text).key.kid).toBe(
        `https://${host}/keys/fields/${newest()}`,
      );
      expect(await call('unwrapkey', newest(), elsewhere)).toMatchObject({
        status: 400,
        code: 'BadParameter',
      });
      expect((await call('unwrapkey', first, elsewhere)).status).toBe(200);
      expect(await call('unwrapkey', first, elsewhere, 'RSA-OAEP')).toMatchObject({ status: 400 });
    });

    it('does not unwrap with a disabled version, nor wrap with an expired one', async () => {
      await connect();
      await assign();
      const version = newest();
      const wrapped = Buffer.from((await call('wrapkey', version, randomBytes(32))).value, 'base64url');
      setKeyAttributes(local.azure.azure, key(), version, { enabled: false });
      expect(await call('unwrapkey', version, wrapped)).toMatchObject({ status: 403, inner: 'KeyDisabled' });
      setKeyAttributes(local.azure.azure, key(), version, { enabled: true, expires: 1_000_000_000 });
      expect(await call('unwrapkey', version, wrapped)).toMatchObject({ status: 200 });
      expect(await call('wrapkey', version, randomBytes(32))).toMatchObject({ status: 403 });
    });

    it('answers unknown requests with 501', async () => {
      await connect();
      await assign();
      expect(await data(inside, 'GET', '/keys/other')).toMatchObject({
        status: 403,
        inner: 'ForbiddenByRbac',
      });
      expect(await call('unwrapkey', 'f'.repeat(32), randomBytes(256))).toMatchObject({
        status: 404,
        code: 'KeyNotFound',
      });
      expect(await data(inside, 'POST', '/keys/fields/rotate')).toMatchObject({ status: 501 });
    });
  });
});
