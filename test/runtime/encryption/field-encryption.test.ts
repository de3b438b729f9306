import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  EncryptionError,
  type FieldEncryption,
  keyStoreOf,
  LocalKey,
  normalisation,
  type Place,
} from '../../../runtime/encryption/index.ts';
import { KeyCache } from '../../../runtime/encryption/key-cache.ts';
import { randomName } from '../../support/postgres.ts';
import { CountingKey, type EncryptionFixture, startEncryption } from './fixture.ts';

let fixture: EncryptionFixture;
beforeAll(async () => {
  fixture = await startEncryption();
});
afterAll(() => fixture.stop());

const place = (tenant: string): Place => ({ tenant, table: 'notes', column: 'body', record: randomUUID() });
const keysOf = (tenant: string) =>
  fixture.asAdmin<{ key_id: string; state: string; purpose: string; values_reserved: string }>(
    'SELECT key_id, state, purpose, values_reserved FROM llama.data_keys WHERE tenant_id = $1 ORDER BY created_at',
    [tenant],
  );

describe('encryption with data keys in PostgreSQL', () => {
  it('decrypts its values, in another process too', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const text = await fixture.encryption().encrypt(where, 'Grüße');
    const bytes = await fixture.encryption().encryptBytes(where, Buffer.from([0, 255, 1]));
    const other = fixture.encryption();
    expect(await other.decryptText(where, text)).toBe('Grüße');
    expect(await other.decrypt(where, bytes)).toEqual({
      plaintext: Buffer.from([0, 255, 1]),
      stale: false,
    });
  });

  it('makes one key per tenant under concurrent first calls', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const processes = Array.from({ length: 10 }, () => fixture.encryption());
    const values = await Promise.all(
      processes.flatMap((one) => Array.from({ length: 5 }, (_, n) => one.encrypt(where, `value ${n}`))),
    );
    const keys = await keysOf(tenant);
    expect(keys).toMatchObject([{ state: 'active', purpose: 'encryption' }]);
    const [reader] = processes;
    for (const [n, value] of values.entries()) {
      expect(value).toContain(keys[0]?.key_id);
      expect(await reader?.decryptText(where, value)).toBe(`value ${n % 5}`);
    }
  });

  it('unwraps a key once for concurrent calls, and again after its cache expires', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const value = await fixture.encryption().encrypt(where, 'x');
    const wrapping = new CountingKey(fixture.wrapping);
    const one = fixture.encryption({ wrapping, cache: { maxAgeSeconds: 0.5 } });
    await Promise.all(Array.from({ length: 50 }, () => one.decrypt(where, value)));
    expect(wrapping.unwraps).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    await one.decrypt(where, value);
    expect(wrapping.unwraps).toBe(2);
    one.forget(tenant);
    await one.decrypt(where, value);
    expect(wrapping.unwraps).toBe(3);
  });

  it('refuses a value of another tenant, whose key it cannot see', async () => {
    const [mine, theirs] = [randomName('tenant'), randomName('tenant')];
    const one = fixture.encryption();
    const value = await one.encrypt({ ...place(theirs), record: 'same' }, 'theirs');
    await one.encrypt(place(mine), 'mine');
    await expect(one.decrypt({ ...place(mine), record: 'same' }, value)).rejects.toMatchObject({
      problem: 'unknown',
    });
  });

  it('refuses a wrapped key that was moved to another tenant', async () => {
    const [mine, theirs] = [randomName('tenant'), randomName('tenant')];
    const one = fixture.encryption();
    await one.encrypt(place(mine), 'x');
    await one.encrypt(place(theirs), 'x');
    await fixture.asAdmin(
      `UPDATE llama.data_keys AS k SET wrapped = o.wrapped FROM llama.data_keys AS o
        WHERE k.tenant_id = $1 AND o.tenant_id = $2`,
      [mine, theirs],
    );
    await expect(fixture.encryption().encrypt(place(mine), 'x')).rejects.toMatchObject({
      problem: 'refused',
      message: expect.stringContaining('made for another tenant'),
    });
  });

  it('refuses a wrapped key that was changed, and one of another wrapping key', async () => {
    const tenant = randomName('tenant');
    await fixture.encryption().encrypt(place(tenant), 'x');
    const other = new LocalKey([randomBytes(32)]);
    await expect(fixture.encryption({ wrapping: other }).encrypt(place(tenant), 'x')).rejects.toMatchObject({
      problem: 'destroyed',
      message: expect.stringContaining('is not in the key file'),
    });
    await fixture.asAdmin(
      'UPDATE llama.data_keys SET wrapped = set_byte(wrapped, 20, 255 - get_byte(wrapped, 20)) WHERE tenant_id = $1',
      [tenant],
    );
    await expect(fixture.encryption().encrypt(place(tenant), 'x')).rejects.toMatchObject({
      problem: 'refused',
    });
  });

  it('replaces a key at its limit, once for all processes, and still decrypts its values', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const processes = Array.from({ length: 6 }, () => fixture.encryption());
    const early = await Promise.all(processes.map((one) => one.encrypt(where, 'early')));
    // Every process has reserved a block, and no further values are left.
    await fixture.asAdmin('UPDATE llama.data_keys SET values_reserved = 4294967296 WHERE tenant_id = $1', [
      tenant,
    ]);
    const late = (
      await Promise.all(
        processes.map(async (one) => {
          const values: string[] = [];
          for (let n = 0; n < 1100; n += 1) values.push(await one.encrypt(where, 'late'));
          return values.at(-1) ?? '';
        }),
      )
    ).filter((value) => value !== '');
    const keys = await keysOf(tenant);
    expect(keys.map(({ state }) => state)).toEqual(['retiring', 'active']);
    for (const value of late) expect(value).toContain(keys[1]?.key_id);
    const reader = fixture.encryption();
    for (const value of early)
      expect(await reader.decrypt(where, value)).toEqual({ plaintext: Buffer.from('early'), stale: true });
    const renewed = await reader.renew(where, early[0] ?? '');
    expect(renewed).toContain(keys[1]?.key_id);
    expect(await reader.decryptText(where, renewed ?? '')).toBe('early');
    expect(await reader.renew(where, renewed ?? '')).toBeUndefined();
  });

  it('never counts fewer values than it encrypts', async () => {
    const tenant = randomName('tenant');
    const processes = [fixture.encryption(), fixture.encryption()];
    await Promise.all(
      processes.map((one) =>
        Promise.all(Array.from({ length: 3000 }, () => one.encrypt(place(tenant), 'x'))),
      ),
    );
    const [key] = await keysOf(tenant);
    expect(Number(key?.values_reserved)).toBeGreaterThanOrEqual(6000);
    expect(Number(key?.values_reserved)).toBeLessThan(20_000);
  });

  it('replaces a key that is too old', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const first = await fixture.encryption().encrypt(where, 'x');
    const [key] = await keysOf(tenant);
    const store = keyStoreOf(fixture.pool);
    const aged: typeof store = {
      ...store,
      list: async (name) =>
        (await store.list(name)).map((one) =>
          one.keyId === key?.key_id ? { ...one, createdAt: new Date(Date.now() - 31 * 86_400_000) } : one,
        ),
    };
    const processes = [1, 2, 3].map(() => fixture.encryption({ store: aged, maxKeyAgeDays: 30 }));
    await Promise.all(processes.map((one) => one.encrypt(where, 'y')));
    expect((await keysOf(tenant)).map(({ state }) => state)).toEqual(['retiring', 'active']);
    expect(await processes[0]?.decrypt(where, first)).toMatchObject({ stale: true });
  });

  it('keeps a key even if the transaction that needed it is rolled back', async () => {
    const tenant = randomName('tenant');
    const where = place(tenant);
    const one = fixture.encryption();
    let value = '';
    await expect(
      fixture.within(tenant, async () => {
        value = await one.encrypt(where, 'kept');
        throw new Error('rolled back');
      }),
    ).rejects.toThrow('rolled back');
    expect(await fixture.encryption().decryptText(where, value)).toBe('kept');
  });
});

describe('a blind index', () => {
  const field = (tenant: string, column = 'email') => ({ tenant, table: 'people', column });

  it('is equal only for equal values of one column and tenant, in every process', async () => {
    const [a, b] = [randomName('tenant'), randomName('tenant')];
    const [one, two] = [fixture.encryption(), fixture.encryption()];
    const index = await one.blindIndex(field(a), 'ann@example.org');
    expect(Buffer.from(index, 'base64url')).toHaveLength(16);
    expect(await two.blindIndex(field(a), 'ann@example.org')).toBe(index);
    for (const other of [
      one.blindIndex(field(a), 'bob@example.org'),
      one.blindIndex(field(b), 'ann@example.org'),
      one.blindIndex(field(a, 'name'), 'ann@example.org'),
    ])
      expect(await other).not.toBe(index);
    expect(await keysOf(a)).toMatchObject([{ purpose: 'index', state: 'active' }]);
  });

  it('uses the normalisation and the length that the caller chose', async () => {
    const tenant = randomName('tenant');
    const one = fixture.encryption();
    const caseless = { normalise: normalisation.caseless };
    expect(await one.blindIndex(field(tenant), ' ANN@Example.org ', caseless)).toBe(
      await one.blindIndex(field(tenant), 'ann@example.org', caseless),
    );
    expect(await one.blindIndex(field(tenant), 'Ann')).not.toBe(await one.blindIndex(field(tenant), 'ann'));
    const digits = { normalise: normalisation.digits, bits: 32 };
    const short = await one.blindIndexBytes(field(tenant), '+49 (0) 30-12', digits);
    expect(short).toHaveLength(4);
    expect(short).toEqual(await one.blindIndexBytes(field(tenant), '4903012', digits));
    for (const bits of [0, 24, 36, 264])
      await expect(one.blindIndex(field(tenant), 'x', { bits })).rejects.toThrow(RangeError);
  });
});

describe('keys in memory', () => {
  const load = (byte: number, made: Buffer[]) => async () => {
    const key = Buffer.alloc(32, byte);
    made.push(key);
    return key;
  };

  it('are limited in number, and are overwritten on removal', async () => {
    const cache = new KeyCache({ maxKeys: 2 });
    const made: Buffer[] = [];
    for (const byte of [1, 2, 3]) await cache.use(`key ${byte}`, load(byte, made), () => undefined);
    expect(cache.size).toBe(2);
    expect(made.map((key) => key[0])).toEqual([0, 2, 3]);
    await cache.use('key 2', load(2, made), () => undefined);
    await cache.use('key 4', load(4, made), () => undefined);
    expect(made.map((key) => key[0])).toEqual([0, 2, 0, 4]);
    cache.close();
    expect(made.every((key) => key.every((byte) => byte === 0))).toBe(true);
  });

  it('are overwritten when they expire, even without a request', async () => {
    const cache = new KeyCache({ maxAgeSeconds: 0.05 });
    const made: Buffer[] = [];
    await cache.use('key', load(7, made), () => undefined);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(made[0]?.[0]).toBe(0);
    expect(cache.size).toBe(0);
    cache.close();
  });

  it('do not enter the cache if they were forgotten during their load', async () => {
    const cache = new KeyCache();
    const made: Buffer[] = [];
    let release = (): void => undefined;
    const slow = new Promise<void>((resolve) => {
      release = resolve;
    });
    const using = cache.use(
      'key',
      async () => {
        await slow;
        return load(made.length + 1, made)();
      },
      (key) => key[0],
    );
    cache.forget();
    release();
    expect(await using).toBe(2);
    expect(made.map((key) => key[0])).toEqual([0, 2]);
    cache.close();
  });

  it('are loaded again after a failure', async () => {
    const cache = new KeyCache();
    await expect(
      cache.use(
        'key',
        () => Promise.reject(new Error('down')),
        () => 1,
      ),
    ).rejects.toThrow('down');
    expect(await cache.use('key', load(1, []), () => 1)).toBe(1);
    cache.close();
  });
});

it('reports errors in one line, without the input', async () => {
  const one: FieldEncryption = fixture.encryption();
  const error = await one.decrypt(place('nobody'), 'secret plaintext').catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(EncryptionError);
  expect(String(error)).not.toContain('secret plaintext');
  expect(String(error)).not.toContain('\n');
});
