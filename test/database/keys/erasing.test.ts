/** Concurrent creation of a data key and erasure of its tenant, in every order. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eraseTenant } from '../../../database/keys/erase.ts';
import { resolveTarget } from '../../../database/target.ts';
import { makeDataKey } from '../../../runtime/encryption/field-encryption.ts';
import { keyStoreOf } from '../../../runtime/encryption/index.ts';
import type { Purpose } from '../../../runtime/encryption/wrapping-key.ts';
import { type EncryptionFixture, startEncryption } from '../../runtime/encryption/fixture.ts';
import { randomName } from '../../support/postgres.ts';

let fixture: EncryptionFixture;
let observer: pg.Client;
beforeAll(async () => {
  fixture = await startEncryption();
  observer = await fixture.database.connect('superuser');
});
afterAll(() => fixture.stop());

const isolations = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE'] as const;
type Isolation = (typeof isolations)[number];

/** A session with an open transaction in a role, for a tenant. */
async function begin(
  role: 'application_role' | 'admin_role',
  tenant: string,
  isolation: Isolation = 'READ COMMITTED',
): Promise<pg.Client> {
  const client = await fixture.database.connect();
  await client.query(`BEGIN ISOLATION LEVEL ${isolation}; SET LOCAL ROLE ${role}`);
  await client.query("SELECT set_config('app.current_tenant_id', $1, true)", [tenant]);
  return client;
}

const insert = (client: pg.ClientBase, tenant: string, purpose: Purpose) =>
  client.query(
    `INSERT INTO llama.data_keys (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped)
     VALUES ($1, $2, $3, 'A256GCM', 'local', 'v', '\\x00') ON CONFLICT (tenant_id, purpose) WHERE state = 'active' DO NOTHING`,
    [tenant, randomUUID(), purpose],
  );
const erase = (client: pg.ClientBase, tenant: string) =>
  client.query(
    "UPDATE llama.data_keys SET state = 'erased', wrapped = NULL WHERE tenant_id = $1 AND state <> 'erased'",
    [tenant],
  );

async function withKey(tenant: string, purpose: Purpose): Promise<void> {
  const client = await begin('application_role', tenant);
  await insert(client, tenant, purpose);
  await client.query('COMMIT');
}

/** The SQLSTATE of a statement; undefined on success. */
const outcome = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error: { code?: string }) => error.code ?? String(error),
  );

/** Returns as soon as the session waits for a lock. */
async function waits(client: pg.Client): Promise<void> {
  const { processID } = client as pg.Client & { readonly processID: number };
  for (let left = 250; left > 0; left -= 1) {
    const { rows } = await observer.query<{ blocked: boolean }>(
      'SELECT cardinality(pg_blocking_pids($1)) > 0 AS blocked',
      [processID],
    );
    if (rows[0]?.blocked) return;
    await sleep(20);
  }
  throw new Error('the statement did not wait for a lock');
}

/** The distinct states of the tenant's keys. Every key of an erased tenant is `erased`. */
async function statesOf(tenant: string): Promise<readonly string[]> {
  const rows = await fixture.asAdmin<{ state: string }>(
    'SELECT DISTINCT state FROM llama.data_keys WHERE tenant_id = $1 ORDER BY 1',
    [tenant],
  );
  return rows.map(({ state }) => state);
}

/** Begins a key of the other purpose, which waits for the erasure. */
async function makingDuringErasure() {
  const tenant = randomName('tenant');
  await withKey(tenant, 'encryption');
  const eraser = await begin('admin_role', tenant);
  await erase(eraser, tenant);
  const maker = await begin('application_role', tenant);
  const making = outcome(insert(maker, tenant, 'index'));
  await waits(maker);
  return { tenant, eraser, maker, making };
}

describe('a data key and the erasure of its tenant', () => {
  it('run one after the other: a key of the other purpose waits for the erasure, and is refused', async () => {
    const { tenant, eraser, making } = await makingDuringErasure();
    await eraser.query('COMMIT');
    expect(await making).toBe('55000');
    expect(await statesOf(tenant)).toEqual(['erased']);
  });

  it('store the key if the erasure is rolled back', async () => {
    const { tenant, eraser, maker, making } = await makingDuringErasure();
    await eraser.query('ROLLBACK');
    expect(await making).toBeUndefined();
    await maker.query('COMMIT');
    expect(await statesOf(tenant)).toEqual(['active']);
  });

  it.each([
    ['beside another key', true],
    ['as the first of its tenant', false],
  ])('a key that is being made %s is erased with the others, or none is', async (_, other) => {
    const tenant = randomName('tenant');
    if (other) await withKey(tenant, 'encryption');
    const maker = await begin('application_role', tenant);
    await insert(maker, tenant, 'index');
    if (!other) await withKey(tenant, 'encryption');
    const eraser = await begin('admin_role', tenant);
    const erasing = outcome(erase(eraser, tenant));
    await waits(eraser);
    await maker.query('COMMIT');
    // The statement began before the key was committed and cannot have erased it, so it must not commit.
    expect(await erasing).toBe('55000');
    await eraser.query('ROLLBACK');
    expect(await statesOf(tenant)).toEqual(['active']);
  });

  it('llama-db keys erase also erases a key that was being made when it began', async () => {
    const tenant = randomName('tenant');
    await withKey(tenant, 'encryption');
    const maker = await begin('application_role', tenant);
    await insert(maker, tenant, 'index');
    const erasing = erased(tenant);
    await sleep(300);
    await maker.query('COMMIT');
    expect(await erasing).toBe(2);
    expect(await statesOf(tenant)).toEqual(['erased']);
  });

  it.each(isolations.slice(1))(
    'are both refused in a %s transaction, which can see an old state',
    async (isolation) => {
      const tenant = randomName('tenant');
      const maker = await begin('application_role', tenant, isolation);
      await maker.query('SELECT FROM llama.data_keys');
      await withKey(tenant, 'encryption');
      const eraser = await begin('admin_role', tenant, isolation);
      expect(await outcome(erase(eraser, tenant))).toBe('25000');
      await erased(tenant);
      expect(await outcome(insert(maker, tenant, 'index'))).toBe('25000');
      expect(await statesOf(tenant)).toEqual(['erased']);
    },
  );

  it('a tenant is erased completely: no statement destroys one of its keys and leaves another', async () => {
    const tenant = randomName('tenant');
    await withKey(tenant, 'encryption');
    await withKey(tenant, 'index');
    const eraser = await begin('admin_role', tenant);
    const one =
      "UPDATE llama.data_keys SET state = 'erased', wrapped = NULL WHERE tenant_id = $1 AND purpose = 'index'";
    await expect(eraser.query(one, [tenant])).rejects.toMatchObject({
      code: '55000',
      message: expect.stringContaining('must erase all data keys of tenant'),
    });
  });

  it.each([
    'DELETE FROM llama.data_keys',
    'DELETE FROM llama.data_keys WHERE false',
    'TRUNCATE llama.data_keys',
  ])('cannot be undone by removing its rows: %s', async (statement) => {
    const tenant = randomName('tenant');
    await withKey(tenant, 'encryption');
    await erased(tenant);
    const refused = { code: '42501', message: expect.stringContaining('lost erasure') };
    await expect(observer.query(statement)).rejects.toMatchObject(refused);
    await expect(
      fixture.database.query('superuser', `SET ROLE llama_owner; ${statement}`),
    ).rejects.toMatchObject(refused);
    expect(await statesOf(tenant)).toEqual(['erased']);
  });

  it('first keys of both purposes do not wait for each other', async () => {
    const tenant = randomName('tenant');
    const [first, second] = [
      await begin('application_role', tenant),
      await begin('application_role', tenant),
    ];
    await insert(first, tenant, 'encryption');
    await insert(second, tenant, 'index');
    await first.query('COMMIT');
    await second.query('COMMIT');
    expect(await statesOf(tenant)).toEqual(['active']);
  });

  it('never leave a usable key of an erased tenant, and never deadlock, in any order', async () => {
    const store = keyStoreOf(fixture.pool);
    const make = (tenant: string, purpose: Purpose, replaces?: string) =>
      sleep(Math.random() * 60).then(() =>
        outcome(makeDataKey(store, fixture.wrapping, { tenant, purpose }, replaces)),
      );
    const seen = new Set<string | undefined>();
    for (let round = 0; round < 25; round += 1) {
      const tenant = randomName('tenant');
      await withKey(tenant, 'encryption');
      const [key] = await store.list(tenant);
      const [keys, ...made] = await Promise.all([
        erased(tenant),
        make(tenant, 'index'),
        make(tenant, 'index'),
        make(tenant, 'encryption', key?.keyId),
        make(tenant, 'encryption', key?.keyId),
      ]);
      expect(keys).toBeGreaterThan(0);
      for (const code of made) seen.add(code);
      expect(await statesOf(tenant)).toEqual(['erased']);
    }
    for (const code of seen) expect(code === undefined || code === '55000', String(code)).toBe(true);
  });
});

/** Erases a tenant as `llama-db keys erase` does. @returns the number of destroyed keys */
async function erased(tenant: string): Promise<number> {
  const target = await resolveTarget({ url: fixture.database.url() }, {});
  const reporter = { line: () => undefined, warn: () => undefined };
  const { keys } = await eraseTenant(target, { reporter, tenant, confirm: tenant });
  return keys;
}
