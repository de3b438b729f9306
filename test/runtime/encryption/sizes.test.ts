/** Values of every size: each is either refused on write, or can be read, encrypted again, audited and sealed. */
import { randomBytes, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rotate } from '../../../database/keys/rotate.ts';
import { resolveTarget } from '../../../database/target.ts';
import { insertRecord, openRecord, type StoredRecord } from '../../../runtime/encryption/index.ts';
import { randomName } from '../../support/postgres.ts';
import { type EncryptionFixture, sourceHash, startEncryption } from './fixture.ts';

let fixture: EncryptionFixture;
beforeAll(async () => {
  fixture = await startEncryption();
});
afterAll(() => fixture.stop());

const kib = 1024;
const mib = 1024 * kib;
const label = (bytes: number) => (bytes < mib ? `${bytes / kib} KB` : `${bytes / mib} MB`);
const sizes = (...list: readonly number[]) => list.map((bytes) => [label(bytes), bytes] as const);

/** Text that does not compress, with the given number of bytes as JSON. */
const textOf = (bytes: number) =>
  randomBytes(Math.ceil(bytes * 0.75))
    .toString('base64')
    .slice(0, bytes - 2);

/** Returns once every audit row is sealed: other sessions of the server may delay that. */
async function everythingSealed(): Promise<void> {
  const left = `SELECT FROM llama.audit_trail
     WHERE sequence > coalesce((SELECT max(last_sequence) FROM llama.audit_seals), 0) LIMIT 1`;
  for (let tries = 0; tries < 300; tries += 1) {
    await fixture.database.query('superuser', 'SELECT llama.seal_audit_trail()');
    if ((await fixture.database.query('superuser', left)).length === 0) return;
    await sleep(100);
  }
  throw new Error('audit rows are left unsealed');
}

const insert = (tenant: string, mappedData: unknown, metadata: Record<string, unknown> = {}) =>
  fixture.within(tenant, (client) =>
    insertRecord(client, fixture.encryption(), {
      ...{ tenantId: tenant, mappedData, metadata, sourceDataHash: sourceHash },
      ...{ modelVersion: 'm', detectorType: 'd' },
    }),
  );

describe.each(sizes(kib, 64 * kib, mib, 4 * mib, 16 * mib, 64 * mib))('a record of %s', (_, bytes) => {
  it('is decrypted before and after the replacement of its key, and is sealed', async () => {
    const tenant = randomName('tenant');
    const text = textOf(bytes);
    const id = await insert(tenant, text, { part: text.slice(0, bytes / 16) });
    const read = async () => {
      const { rows } = await fixture.within(tenant, (client) =>
        client.query<StoredRecord>(
          'SELECT tenant_id, id, mapped_data, metadata FROM llama.storage_records WHERE id = $1',
          [id],
        ),
      );
      const [row] = rows;
      if (!row) throw new Error('no record');
      const { mappedData, metadata, stale } = await openRecord(fixture.encryption(), row);
      // `toBe` would print both texts on failure.
      return { same: mappedData === text && metadata?.['part'] === text.slice(0, bytes / 16), stale };
    };
    expect(await read()).toEqual({ same: true, stale: false });
    const target = await resolveTarget({ url: fixture.database.url() }, {});
    const reporter = { line: () => undefined, warn: () => undefined };
    const options = { reporter, wrapping: fixture.wrapping, tenant, graceSeconds: 0 };
    expect(await rotate(target, options)).toMatchObject({ records: 1, retired: 1, failures: [] });
    expect(await read()).toEqual({ same: true, stale: false });
    await everythingSealed();
  }, 300_000);
});

describe.each(sizes(kib, mib, 16 * mib))('a value of %s', (_, bytes) => {
  it('is decrypted from columns of text and bytes', async () => {
    const encryption = fixture.encryption();
    const place = { tenant: randomName('tenant'), table: 'notes', record: randomUUID() };
    const text = textOf(bytes);
    const body = await encryption.encrypt({ ...place, column: 'body' }, text);
    const scan = await encryption.encryptBytes({ ...place, column: 'scan' }, text);
    const { rows } = await fixture.within(place.tenant, (client) =>
      client.query(
        'INSERT INTO llama.notes (tenant_id, id, body, scan) VALUES ($1, $2, $3, $4) RETURNING body, scan',
        [place.tenant, place.record, body, scan],
      ),
    );
    expect((await encryption.decryptText({ ...place, column: 'body' }, rows[0].body)) === text).toBe(true);
    expect((await encryption.decryptText({ ...place, column: 'scan' }, rows[0].scan)) === text).toBe(true);
  }, 120_000);
});

describe('a value that could not be read, audited or sealed', () => {
  it('is refused before a key is used', async () => {
    const tenant = randomName('tenant');
    const place = { tenant, table: 'notes', record: '1' };
    const encryption = fixture.encryption();
    const oversized = { problem: 'oversized' };
    const body = encryption.encrypt({ ...place, column: 'body' }, Buffer.alloc(72 * mib + 1));
    await expect(body).rejects.toMatchObject(oversized);
    const scan = encryption.encryptBytes({ ...place, column: 'scan' }, Buffer.alloc(48 * mib + 1));
    await expect(scan).rejects.toMatchObject(oversized);
    await expect(insert(tenant, 'a'.repeat(72 * mib))).rejects.toMatchObject(oversized);
    const keys = "SELECT FROM llama.data_keys WHERE tenant_id = $1 AND purpose = 'encryption'";
    expect(await fixture.asAdmin(keys, [tenant])).toEqual([]);
  });

  const level = (tenant: string, audit: string) =>
    fixture.asAdmin(
      'INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled, audit_level) VALUES ($1, false, $2)',
      [tenant, audit],
    );
  const refused = { code: '54000', message: expect.stringMatching(/100 MiB|96 MiB/) };

  it.each(['standard', 'minimal'])(
    'is refused by the table at audit level %s',
    async (audit) => {
      const tenant = randomName('tenant');
      await level(tenant, audit);
      const record = (mapped: string, metadata = "'{}'") =>
        fixture.within(tenant, (client) =>
          client.query(
            `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, metadata, model_version, detector_type)
           VALUES ($1, 'h', ${mapped}, ${metadata}, 'm', 'd')`,
            [tenant],
          ),
        );
      // One has 108 KB, and more text than PostgreSQL can hold; the other has 130 MB of text.
      await expect(record("('[' || repeat('1e131000,', 8999) || '1]')::jsonb")).rejects.toMatchObject(
        refused,
      );
      await expect(record("('[' || repeat('1e131000,', 999) || '1]')::jsonb")).rejects.toMatchObject(refused);
      // JSON takes six characters per byte.
      await expect(record("to_jsonb(repeat(E'\\x01', 20000000))")).rejects.toMatchObject(refused);
      const half = "jsonb_build_object('a', repeat('a', 60000000))";
      await expect(record(half, half)).rejects.toMatchObject(refused);
      await record("to_jsonb(repeat(E'\\x01', 2000000))");
      const grown = "UPDATE llama.storage_records SET mapped_data = to_jsonb(repeat('a', 110000000))";
      await expect(fixture.within(tenant, (client) => client.query(grown))).rejects.toMatchObject(refused);
      await everythingSealed();
    },
    120_000,
  );

  it('is refused in every audited table, and as the key of an audited read', async () => {
    const tenant = randomName('tenant');
    const run = (sql: string) => fixture.within(tenant, (client) => client.query(sql, [tenant]));
    const metric = `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value, metadata)
      VALUES ($1, 'm', 't', 1, ('[' || repeat('1e131000,', 2000) || '1]')::jsonb)`;
    await expect(run(metric)).rejects.toMatchObject(refused);
    const execution = `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success, error_message)
      VALUES ($1, 'd', 1, false, repeat('a', 110000000))`;
    await expect(run(execution)).rejects.toMatchObject(refused);
    const read = "SELECT llama.record_read('storage_records', repeat($1, 10000))";
    await expect(run(read)).rejects.toMatchObject({ code: '22023' });
    await everythingSealed();
  }, 120_000);
});
