/** The local Azure answers authenticated requests only, and refuses unknown ones. */
import { existsSync } from 'node:fs';
import net from 'node:net';
import { describe, expect, it } from 'vitest';
import { startLocalAzure } from '../../../local/azure/index.ts';
import { AzureClient } from '../../support/azure-client.ts';
import { useLocalAzure } from '../../support/azure-fixture.ts';

const fixture = useLocalAzure({ containers: ['states/production'] });

describe('an unknown request', () => {
  it('is answered 501 with method, path and version, and recorded', async () => {
    const answer = await fixture.client.arm(
      'PUT',
      `${fixture.group}/providers/Microsoft.Compute/disks/one`,
      {},
      '2024-03-02',
    );
    expect(answer.status).toBe(501);
    expect(answer.body.error.message).toMatch(
      /^PUT .*Microsoft\.Compute\/disks\/one\?api-version=2024-03-02/,
    );
    expect(fixture.azure.unknown).toEqual([answer.body.error.message]);
  });

  it('includes an unknown API version of a known type', async () => {
    const answer = await fixture.client.arm('GET', fixture.server('one'), undefined, '2024-08-01');
    expect(answer.status).toBe(501);
    expect(fixture.azure.unknown[0]).toMatch(/only api-version 2025-08-01 is known here/);
  });

  it('includes hosts that are not part of it', async () => {
    await expect(fixture.client.connect('example.com')).rejects.toThrow('CONNECT example.com: 502');
    expect(fixture.azure.unknown).toEqual(['CONNECT example.com: this host is not part of the local Azure']);
  });
});

describe('authentication', () => {
  it('refuses a request without a token, with a token for another audience, or with an expired one', async () => {
    const without = await fixture.client.call('GET', `${fixture.group}?api-version=2023-07-01`);
    const foreign = await fixture.client.call('GET', `${fixture.group}?api-version=2023-07-01`, {
      headers: await fixture.client.authorization('https://storage.azure.com'),
    });
    fixture.azure.directory.expireCredentials();
    const expired = await fixture.client.arm('GET', fixture.group);
    expect([without.status, foreign.status, expired.status]).toEqual([401, 401, 401]);
  });

  it.each([
    ['a wrong secret', { client_secret: 'guess' }, /AADSTS7000215/],
    ['an unknown application', { client_id: 'nobody' }, /AADSTS700016/],
  ])('gets no token for %s', async (_what, change, message) => {
    const answer = await fixture.client.call('POST', `/${fixture.azure.tenantId}/oauth2/v2.0/token`, {
      host: 'login.microsoftonline.com',
      body: new URLSearchParams({
        client_id: fixture.azure.environment['ARM_CLIENT_ID'] ?? '',
        client_secret: 'local-client-secret',
        scope: 'https://management.azure.com/.default',
        ...change,
      }).toString(),
    });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.body.error_description).toMatch(message);
  });

  it('does not open a closed vault', async () => {
    const vault = `${fixture.group}/providers/Microsoft.KeyVault/vaults/closed`;
    await fixture.client.arm('PUT', vault, {
      location: 'eastus',
      properties: { publicNetworkAccess: 'Disabled' },
    });
    const bare = await fixture.client.call('GET', '/secrets/one?api-version=7.4', {
      host: 'closed.vault.azure.net',
    });
    expect(bare.status).toBe(401);
    expect(bare.headers['www-authenticate']).toContain(fixture.azure.tenantId);
    const answer = await fixture.client.call('GET', '/secrets/one?api-version=7.4', {
      host: 'closed.vault.azure.net',
      headers: await fixture.client.authorization('https://vault.azure.net'),
    });
    expect(answer).toMatchObject({ status: 403, body: { error: { code: 'Forbidden' } } });
  });
});

describe('a state on blob storage', () => {
  it('changes only for the holder of its lease', async () => {
    const call = async (method: string, path: string, headers: Record<string, string> = {}, body = '{}') =>
      fixture.client.call(method, path, {
        host: 'states.blob.core.windows.net',
        headers: { ...(await fixture.client.authorization('https://storage.azure.com')), ...headers },
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

describe('an interception', () => {
  it('sends the intercepting answer, or cuts the connection', async () => {
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
      expect(await other.arm('GET', path)).toMatchObject({
        status: 429,
        headers: { 'retry-after': '7' },
      });
      await expect(other.arm('GET', path)).rejects.toThrow();
      expect((await other.arm('GET', path)).status).toBe(404);
    } finally {
      await failing.stop();
    }
  });

  it('closes everything that it opened', async () => {
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
