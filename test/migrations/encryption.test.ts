import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { as, migratedDatabase, rowsAs } from './tenants.ts';

describe('the break-glass encryption functions', () => {
  let database: TestDatabase;
  let client: pg.Client;
  const key = () => randomBytes(32).toString('base64');
  const ring = { 'tenant-a.2026': key(), 'tenant-a.2027': key() };

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
  });
  afterAll(() => database.drop());

  const call = (
    sql: string,
    values: unknown[],
    keys: Record<string, string> | string | undefined = ring,
    current: string | undefined = undefined,
  ): Promise<{ value: string | null }[]> =>
    as(client, 'admin_role', undefined, async () => {
      if (keys !== undefined) {
        const text = typeof keys === 'string' ? keys : JSON.stringify(keys);
        await client.query(`SELECT set_config('app.encryption_keys', $1, true)`, [text]);
      }
      if (current !== undefined) {
        await client.query(`SELECT set_config('app.encryption_key_id', $1, true)`, [current]);
      }
      return (await client.query<{ value: string | null }>(sql, values)).rows;
    });
  const encrypt = async (data: string | null, id: string | null = null, ...rest: [typeof ring?, string?]) =>
    (await call('SELECT llama.encrypt_sensitive_data($1, $2) AS value', [data, id], ...rest))[0]?.value ??
    null;
  const decrypt = async (
    data: string | null,
    id: string | null = null,
    keys: Record<string, string> | string | undefined = ring,
  ) =>
    (await call('SELECT llama.decrypt_sensitive_data($1, $2) AS value', [data, id], keys))[0]?.value ?? null;

  it.each(['plain', '', 'Ünïcödé 密文', 'a'.repeat(100_000)])(
    'give back what they took (row %#)',
    async (text) => {
      const sealed = await encrypt(text, 'tenant-a.2026');
      expect(sealed).toMatch(/^pgp1:tenant-a\.2026:[A-Za-z0-9+/]+=*$/);
      expect(sealed).not.toContain(text === '' ? '::' : text);
      expect(await decrypt(sealed)).toBe(text);
    },
  );

  it('never make the same value twice', async () => {
    expect(await encrypt('same', 'tenant-a.2026')).not.toBe(await encrypt('same', 'tenant-a.2026'));
  });

  it('use the current key where none is named, and find the old one after it changed', async () => {
    const old = await encrypt('kept', null, ring, 'tenant-a.2026');
    const recent = await encrypt('kept', null, ring, 'tenant-a.2027');
    expect(old).toContain('pgp1:tenant-a.2026:');
    expect(recent).toContain('pgp1:tenant-a.2027:');
    expect(await decrypt(old)).toBe('kept');
  });

  it('take NULL for NULL, but not instead of a key', async () => {
    expect(await encrypt(null, 'tenant-a.2026')).toBeNull();
    expect(await decrypt(null, 'tenant-a.2026')).toBeNull();
    await expect(encrypt(null, 'lost')).rejects.toMatchObject({ code: '22023' });
    await expect(call('SELECT llama.encrypt_sensitive_data($1) AS value', ['x'], '')).rejects.toMatchObject({
      message: 'no encryption keys are set for this transaction',
    });
  });

  it('say that a key is missing, and refuse another one than the value names', async () => {
    await expect(encrypt('x', 'lost')).rejects.toMatchObject({
      message: "the encryption key that was named is not in this transaction's key ring",
    });
    const sealed = await encrypt('x', 'tenant-a.2026');
    await expect(decrypt(sealed, null, { 'tenant-a.2027': ring['tenant-a.2027'] })).rejects.toMatchObject({
      message: expect.stringContaining("is not in this transaction's key ring"),
    });
    await expect(decrypt(sealed, 'tenant-a.2027')).rejects.toMatchObject({
      message: expect.stringContaining("was encrypted with key 'tenant-a.2026'"),
    });
  });

  it('refuse another key of that name, a damaged value and one that is no ciphertext', async () => {
    const sealed = (await encrypt('x', 'tenant-a.2026')) ?? '';
    await expect(decrypt(sealed, null, { 'tenant-a.2026': key() })).rejects.toMatchObject({ code: 'XX001' });
    const body = sealed.split(':')[2] ?? '';
    const flipped = body.slice(0, 60) + (body[60] === 'A' ? 'B' : 'A') + body.slice(61);
    await expect(decrypt(`pgp1:tenant-a.2026:${flipped}`)).rejects.toMatchObject({ code: 'XX001' });
    await expect(decrypt('pgp1:tenant-a.2026:AAA')).rejects.toMatchObject({ code: 'XX001' });
    await expect(decrypt('plain text')).rejects.toMatchObject({ code: '22023' });
  });

  it('refuse keys and rings that are none', async () => {
    for (const keys of [
      'not json',
      '[]',
      '"text"',
      JSON.stringify({ k: 'short' }),
      JSON.stringify({ k: 7 }),
    ]) {
      await expect(
        call('SELECT llama.encrypt_sensitive_data($1, $2)', ['x', 'k'], keys),
        keys,
      ).rejects.toMatchObject({
        code: '22023',
      });
    }
    await expect(encrypt('x', 'a:b')).rejects.toMatchObject({ code: '22023' });
  });

  it('say neither key nor plaintext, in errors, notices or the transaction after', async () => {
    const canary = 'canary-plaintext';
    const secret = key();
    const hexadecimal = Buffer.from(secret, 'base64').toString('hex');
    const attempts: [string, unknown[], string][] = [
      ['SELECT llama.encrypt_sensitive_data($1, $2)', [canary, 'missing'], JSON.stringify({ k: secret })],
      // As the original design had it: the key in the place of its name.
      ['SELECT llama.encrypt_sensitive_data($1, $2)', [canary, hexadecimal], JSON.stringify({ k: secret })],
      ['SELECT llama.encrypt_sensitive_data($1, $2)', [canary, 'k'], JSON.stringify({ k: `${secret}!` })],
      ['SELECT llama.encrypt_sensitive_data($1, $2)', [canary, 'k'], `{"k": "${secret}", }`],
      [
        'SELECT llama.decrypt_sensitive_data($1, $2)',
        [`pgp1:k:${Buffer.from(canary).toString('base64')}`, 'k'],
        JSON.stringify({ k: secret }),
      ],
    ];
    for (const [sql, values, keys] of attempts) {
      const error = await call(sql, values, keys).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(Error);
      const printed = JSON.stringify(error, Object.getOwnPropertyNames(error));
      expect(printed).not.toContain(canary);
      expect(printed).not.toContain(secret);
      expect(printed).not.toContain(hexadecimal);
    }
    const { rows } = await client.query(`SELECT current_setting('app.encryption_keys', true) AS left`);
    expect(rows).toEqual([{ left: '' }]);
  });

  it.each(['application_role', 'analytics_role', 'maintenance_role'] as const)(
    'are not for %s',
    async (role) => {
      for (const name of ['encrypt_sensitive_data', 'decrypt_sensitive_data']) {
        await expect(rowsAs(client, role, 'alpha', `SELECT llama.${name}('x', 'k')`)).rejects.toMatchObject({
          code: '42501',
        });
      }
    },
  );
});
