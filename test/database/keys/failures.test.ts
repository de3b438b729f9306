/** Damaged values and forged keys of one tenant do not affect the other tenants. */
import { randomBytes, randomUUID } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rewrap } from '../../../database/keys/rewrap.ts';
import { rotate } from '../../../database/keys/rotate.ts';
import { resolveTarget } from '../../../database/target.ts';
import {
  EncryptionError,
  insertRecord,
  LocalKey,
  openRecord,
  type StoredRecord,
  type WrappingKey,
} from '../../../runtime/encryption/index.ts';
import { run } from '../../commands/run.ts';
import { type EncryptionFixture, sourceHash, startEncryption } from '../../runtime/encryption/fixture.ts';
import { randomName } from '../../support/postgres.ts';

let fixture: EncryptionFixture;
beforeEach(async () => {
  fixture = await startEncryption();
});
afterEach(() => fixture.stop());

async function plant(tenant: string, count: number): Promise<void> {
  const encryption = fixture.encryption();
  await fixture.within(tenant, async (client) => {
    for (let number = 0; number < count; number += 1)
      await insertRecord(client, encryption, {
        ...{ tenantId: tenant, mappedData: { number }, sourceDataHash: sourceHash },
        ...{ modelVersion: 'm', detectorType: 'd' },
      });
  });
}

async function stale(
  tenant: string,
): Promise<{ readonly read: number; readonly stale: number; readonly lost: number }> {
  const encryption = fixture.encryption();
  const { rows } = await fixture.within(tenant, (client) =>
    client.query<StoredRecord>('SELECT tenant_id, id, mapped_data, metadata FROM llama.storage_records'),
  );
  const opened = await Promise.allSettled(rows.map((row) => openRecord(encryption, row)));
  const read = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return {
    read: read.length,
    stale: read.filter((one) => one.stale).length,
    lost: rows.length - read.length,
  };
}

/** Two healthy tenants that sort before and after the third. */
function names() {
  const middle = randomName('tenant');
  return { before: `a_${middle}`, middle: `b_${middle}`, after: `c_${middle}` };
}

const reporter = { line: () => undefined, warn: () => undefined };
const targetOf = () => resolveTarget({ url: fixture.database.url() }, {});
const rotated = async (options: object = {}) =>
  rotate(await targetOf(), { reporter, wrapping: fixture.wrapping, graceSeconds: 0, all: true, ...options });

/** Stores a key that cannot be unwrapped, which a tenant's application is able to do. */
const junkKey = (tenant: string, wrapped = "decode(repeat('ab', 93), 'hex')", version = 'made-up') =>
  fixture.within(tenant, async (client) => {
    await client.query("UPDATE llama.data_keys SET state = 'retiring' WHERE purpose = 'encryption'");
    await client.query(
      `INSERT INTO llama.data_keys (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped)
       VALUES ($1, $2, 'encryption', 'A256GCM', 'local', $3, ${wrapped})`,
      [tenant, randomUUID(), version],
    );
  });

/** Changes a byte in the middle of one value and keeps its form. */
const damage = (tenant: string) =>
  fixture.within(tenant, (client) =>
    client.query(
      `UPDATE llama.storage_records SET mapped_data = jsonb_build_object('$enc',
         overlay(mapped_data ->> '$enc' placing CASE substr(mapped_data ->> '$enc', 70, 1) WHEN 'A' THEN 'B' ELSE 'A' END from 70))
        WHERE id = (SELECT id FROM llama.storage_records LIMIT 1)`,
    ),
  );

describe('llama-db keys rotate', () => {
  it('skips a damaged value and keeps its key, and completes the other records and tenants', async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, middle, after]) await plant(tenant, 3);
    await damage(middle);
    const done = await rotated({ batchSize: 2 });
    expect(done).toMatchObject({ replaced: 3, records: 8, retired: 2 });
    expect(done.failures).toMatchObject([
      {
        tenant: middle,
        what: expect.stringContaining('mapped_data'),
        why: expect.stringContaining('changed'),
      },
    ]);
    expect(await stale(before)).toEqual({ read: 3, stale: 0, lost: 0 });
    expect(await stale(middle)).toEqual({ read: 2, stale: 0, lost: 1 });
    expect(await stale(after)).toEqual({ read: 3, stale: 0, lost: 0 });
    const command = await run([
      'keys',
      'rotate',
      '--url',
      fixture.database.url(),
      '--wrapping-key',
      fixture.wrappingFile,
      '--json',
    ]);
    expect(command.code, command.stderr).toBe(1);
    expect(JSON.parse(command.stdout)).toMatchObject({ ok: false, failures: [{ tenant: middle }] });
    expect(command.stderr).toContain(middle);
    await fixture.within(middle, (client) => client.query('DELETE FROM llama.storage_records'));
    expect(await rotated({ all: false })).toMatchObject({ retired: 1, failures: [] });
  });

  it("leaves a tenant's table after twenty failures, so that time remains for the others", async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, after]) await plant(tenant, 2);
    await plant(middle, 30);
    await junkKey(middle);
    const done = await rotated({ all: false, batchSize: 7 });
    expect(done.failures).toHaveLength(20);
    expect(await rotated({ tenant: before })).toMatchObject({ replaced: 1, records: 2 });
    await fixture.within(middle, (client) => client.query('DELETE FROM llama.storage_records'));
  });

  it('skips a data key that its tenant forged', async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, middle, after]) await plant(tenant, 2);
    await junkKey(middle);
    const done = await rotated({ all: false });
    expect(done.failures.map(({ tenant }) => tenant)).toEqual([middle, middle]);
    const all = await rotated();
    expect(all.records).toBeGreaterThanOrEqual(6);
    for (const tenant of [before, middle, after])
      expect(await stale(tenant)).toEqual({ read: 2, stale: 0, lost: 0 });
  });

  it('skips a record that its table refuses', async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, middle, after]) await plant(tenant, 3);
    const superuser = await fixture.database.connect('superuser');
    await superuser.query(`
      CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
      CREATE TRIGGER refuse BEFORE UPDATE ON llama.storage_records FOR EACH ROW
        WHEN (NEW.detector_type = 'refused') EXECUTE FUNCTION public.refuse()`);
    await superuser.query(
      `SET session_replication_role = replica;
       UPDATE llama.storage_records SET detector_type = 'refused'
        WHERE id = (SELECT id FROM llama.storage_records WHERE tenant_id = '${middle}' LIMIT 1)`,
    );
    const done = await rotated();
    expect(done.failures).toMatchObject([{ tenant: middle, why: 'no' }]);
    expect(await stale(middle)).toEqual({ read: 3, stale: 1, lost: 0 });
    expect(await stale(after)).toEqual({ read: 3, stale: 0, lost: 0 });
    await superuser.query('DROP TRIGGER refuse ON llama.storage_records; DROP FUNCTION public.refuse()');
    expect(await rotated({ all: false })).toMatchObject({ records: 1, failures: [] });
  });

  it('stops if the wrapping key is unavailable, and continues if one tenant makes a request fail', async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, middle, after]) await plant(tenant, 1);
    let down = false;
    const unavailable = new EncryptionError(
      'unavailable',
      'The keeper failed',
      'it answered 500',
      'Try again.',
    );
    const wrapping: WrappingKey = {
      id: fixture.wrapping.id,
      algorithm: fixture.wrapping.algorithm,
      newest: async (fresh) => {
        if (down) throw unavailable;
        return fixture.wrapping.newest(fresh);
      },
      wrap: (plain) => fixture.wrapping.wrap(plain),
      unwrap: async (wrapped) => {
        if (down || wrapped.version === 'odd') throw unavailable;
        return fixture.wrapping.unwrap(wrapped);
      },
    };
    for (const tenant of [before, after]) await rotated({ tenant, seconds: 0 });
    await junkKey(middle, undefined, 'odd');
    const done = await rotated({ wrapping, all: false });
    expect(done.records).toBe(2);
    expect(done.failures.length).toBeGreaterThan(0);
    for (const { tenant } of done.failures) expect(tenant).toBe(middle);
    for (const tenant of [before, after]) expect(await stale(tenant)).toMatchObject({ stale: 0 });
    down = true;
    await expect(rotated({ wrapping })).rejects.toMatchObject({ code: 'encryption/unavailable' });
  });
});

describe('llama-db keys rewrap', () => {
  it('skips and reports keys that cannot be unwrapped', async () => {
    const { before, middle, after } = names();
    for (const tenant of [before, middle, after]) await plant(tenant, 1);
    await junkKey(middle);
    await junkKey(after, "''");
    const wrapping = new LocalKey([...fixture.secrets, randomBytes(32)]);
    const done = await rewrap(await targetOf(), { reporter, wrapping });
    const failed = done.failures.map(({ tenant }) => tenant);
    expect(failed).toEqual(expect.arrayContaining([middle, after]));
    expect(failed).not.toContain(before);
    const left = await fixture.asAdmin<{ tenant: string }>(
      `SELECT tenant_id AS tenant FROM llama.data_keys WHERE wrapped IS NOT NULL AND wrapping_key_version <> $1 ORDER BY 1`,
      [done.version],
    );
    expect(left.map(({ tenant }) => tenant).sort()).toEqual([...failed].sort());
  });
});

describe('the table of keys', () => {
  it.each([
    ['a key of megabytes', "decode(repeat('ab', 2000000), 'hex')", 'v1'],
    ['a version with a path', "''", '../../secrets/x'],
    ['a version with a query', "''", 'v1?x=1'],
    ['no version', "''", ''],
  ])('refuses from an application %s', async (_, wrapped, version) => {
    const tenant = randomName('tenant');
    await plant(tenant, 1);
    await expect(junkKey(tenant, wrapped, version)).rejects.toMatchObject({ code: '23514' });
  });
});
