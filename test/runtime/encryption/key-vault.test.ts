/** The wrapping key in a vault as the stacks deploy it: closed, with a private endpoint and a role on the key. */
import https from 'node:https';
import { Duplex } from 'node:stream';
import type { CryptographyClientOptions } from '@azure/keyvault-keys';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { type LocalAzure, startLocalAzure } from '../../../local/azure/index.ts';
import { keyVersions, rotateKey, setKeyAttributes } from '../../../local/azure/providers/key-vault/data.ts';
import { type KeyVaultOptions, KeyVaultWrappingKey } from '../../../runtime/encryption/index.ts';
import { run } from '../../commands/run.ts';
import { AzureClient } from '../../support/azure-client.ts';
import { type ClosedVault, closedVault } from '../../support/closed-vault.ts';
import { type EncryptionFixture, startEncryption } from './fixture.ts';

let azure: LocalAzure;
let vault: ClosedVault;
let fixture: EncryptionFixture;
// Each command is a separate process.
vi.setConfig({ testTimeout: 120_000 });

beforeAll(async () => {
  [azure, fixture] = await Promise.all([startLocalAzure({ latency: () => 5 }), startEncryption()]);
  vault = await closedVault(azure);
});
afterAll(() => Promise.all([azure.stop(), fixture.stop()]));

/** Azure's clients accept no separate certificate authority with a proxy, so this one opens the connections itself. */
class Tunnel extends https.Agent {
  readonly #connect: (host: string) => Promise<Duplex>;
  constructor(connect: (host: string) => Promise<Duplex>) {
    super();
    this.#connect = connect;
  }
  override createConnection(
    options: https.AgentOptions,
    callback?: (error: Error | null, socket: Duplex) => void,
  ): null {
    this.#connect(String(options.host)).then(
      (socket) => callback?.(null, socket),
      (error: Error) => callback?.(error, new Duplex()),
    );
    return null;
  }
}

function through(agent: https.Agent): KeyVaultOptions {
  return {
    credential: {
      getToken: async () => ({
        token: await azure.directory.issue('https://vault.azure.net'),
        expiresOnTimestamp: Date.now() + 3_600_000,
      }),
    },
    client: {
      retryOptions: { maxRetries: 0 },
      additionalPolicies: [
        {
          position: 'perRetry',
          policy: {
            name: 'tunnel',
            sendRequest: (request, next) => {
              request.agent = agent;
              return next(request);
            },
          },
        },
      ],
    } satisfies CryptographyClientOptions,
  };
}

/** The options of a client that reaches the local Azure from a place in the network. */
function from(position: 'internet' | 'network'): KeyVaultOptions {
  const client = new AzureClient(azure, position);
  return through(new Tunnel((host) => client.connect(host)));
}

const key = (position: 'internet' | 'network' = 'network') =>
  new KeyVaultWrappingKey(vault.keyUri, from(position));
const versions = () => keyVersions(azure.azure, vault.keyId);

describe('a wrapping key in Key Vault', () => {
  it('wraps with the newest version, and unwraps with the version that wrapped', async () => {
    const one = key();
    const first = await one.wrap(Buffer.from('data key'));
    expect(first).toMatchObject({ version: versions().at(-1) });
    expect(first.bytes).toHaveLength(256);
    rotateKey(azure.azure, vault.keyId);
    expect(await one.newest()).toBe(first.version);
    expect(await one.newest(true)).toBe(versions().at(-1));
    const second = await one.wrap(Buffer.from('data key'));
    expect(second.version).not.toBe(first.version);
    for (const wrapped of [first, second])
      expect(await key().unwrap(wrapped)).toEqual(Buffer.from('data key'));
    await expect(one.unwrap({ ...first, version: second.version })).rejects.toMatchObject({
      problem: 'refused',
    });
  });

  it("unwraps with an expired version, which Azure's client would refuse, and does not wrap with it", async () => {
    const one = key();
    const wrapped = await one.wrap(Buffer.from('data key'));
    setKeyAttributes(azure.azure, vault.keyId, wrapped.version, { expires: 1_000_000_000 });
    expect(await key().unwrap(wrapped)).toEqual(Buffer.from('data key'));
    await expect(key().wrap(Buffer.from('x'))).rejects.toMatchObject({
      problem: 'denied',
      message: expect.stringContaining('az keyvault key rotate'),
    });
    rotateKey(azure.azure, vault.keyId);
    expect((await key().wrap(Buffer.from('x'))).version).toBe(versions().at(-1));
  });

  it('reports the reason of each failure', async () => {
    const wrapped = await key().wrap(Buffer.from('data key'));
    await expect(key('internet').unwrap(wrapped)).rejects.toMatchObject({
      problem: 'denied',
      message: expect.stringContaining('ForbiddenByConnection'),
    });
    setKeyAttributes(azure.azure, vault.keyId, wrapped.version, { enabled: false });
    await expect(key().unwrap(wrapped)).rejects.toMatchObject({
      problem: 'denied',
      message: expect.stringContaining('KeyDisabled'),
    });
    await expect(key().newest(true)).rejects.toMatchObject({
      message: expect.stringContaining('it is disabled'),
    });
    setKeyAttributes(azure.azure, vault.keyId, wrapped.version, { enabled: true });
    await expect(key().unwrap({ ...wrapped, version: 'f'.repeat(32) })).rejects.toMatchObject({
      problem: 'destroyed',
    });
    const role = await vault.takeRole();
    await expect(key().unwrap(wrapped)).rejects.toMatchObject({
      problem: 'denied',
      message: expect.stringContaining('Key Vault Crypto Service Encryption User'),
    });
    await role.giveBack();
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    const gone = new KeyVaultWrappingKey(vault.keyUri, through(new Tunnel(() => Promise.reject(refused))));
    await expect(gone.unwrap(wrapped)).rejects.toMatchObject({ problem: 'unavailable' });
  });

  it('has its address without a version as its only valid id', () => {
    for (const id of ['', 'local', `${vault.keyUri}/${'a'.repeat(32)}`, 'https://example.org/keys/x'])
      expect(() => new KeyVaultWrappingKey(id)).toThrow('does not name a wrapping key');
  });
});

describe('data keys wrapped by Key Vault', () => {
  it("encrypt for applications, and a command with its environment's identity wraps them again", async () => {
    const { encryption, database } = fixture;
    const place = { tenant: 'vaulted', table: 'notes', column: 'body', record: '1' };
    const application = encryption({ wrapping: key() });
    const value = await application.encrypt(place, 'kept');
    rotateKey(azure.azure, vault.keyId);
    const environment = { ...azure.networkEnvironment };
    const args = ['--url', database.url(), '--wrapping-key', vault.keyUri, '--json'];
    const before = await run(['keys', 'status', ...args], environment);
    expect(before.stderr).not.toContain('defect');
    expect(JSON.parse(before.stdout)).toMatchObject({ ok: false, toRewrap: 1, tenants: 1 });
    const outside = await run(['keys', 'rewrap', ...args], { ...azure.environment });
    expect(outside.code).not.toBe(0);
    expect(outside.stderr).toContain('ForbiddenByConnection');
    const done = await run(['keys', 'rewrap', ...args], environment);
    expect(done.stderr, done.stdout).not.toContain('defect');
    expect(JSON.parse(done.stdout)).toMatchObject({ ok: true, rewrapped: 1, version: versions().at(-1) });
    const after = await run(['keys', 'status', ...args], environment);
    expect(after.code, after.stdout).toBe(0);
    expect(await encryption({ wrapping: key() }).decryptText(place, value)).toBe('kept');
  });
});
