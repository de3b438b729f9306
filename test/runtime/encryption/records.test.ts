import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findableBy,
  insertRecord,
  normalisation,
  openRecord,
  type StoredRecord,
  sealRecord,
  sourceIndex,
} from '../../../runtime/encryption/index.ts';
import { randomName } from '../../support/postgres.ts';
import { type EncryptionFixture, sourceHash, startEncryption } from './fixture.ts';

let fixture: EncryptionFixture;
beforeAll(async () => {
  fixture = await startEncryption();
});
afterAll(() => fixture.stop());

const kinds = { modelVersion: 'm1', detectorType: 'pii' };
const content = { mappedData: { name: 'Ann', list: [1, 2.5, null] }, metadata: { case: 'Grüße' } };

async function insert(tenant: string, more: object = {}): Promise<string> {
  const encryption = fixture.encryption();
  return fixture.within(tenant, (client) =>
    insertRecord(client, encryption, {
      tenantId: tenant,
      ...content,
      sourceDataHash: sourceHash,
      ...kinds,
      ...more,
    }),
  );
}

interface Row extends StoredRecord {
  readonly encrypted: boolean;
  readonly source_data_hash: string;
}

async function row(tenant: string, id: string): Promise<Row> {
  const { rows } = await fixture.within(tenant, (client) =>
    client.query<Row>(
      `SELECT tenant_id, id, mapped_data, metadata, encrypted, source_data_hash FROM llama.storage_records
        WHERE tenant_id = $1 AND id = $2 AND "timestamp" > now() - interval '1 day'`,
      [tenant, id],
    ),
  );
  const [found] = rows;
  if (!found) throw new Error(`no record ${id}`);
  return found;
}

describe('a storage record', () => {
  it('is encrypted and marked as a whole, and decrypted again', async () => {
    const tenant = randomName('tenant');
    const stored = await row(tenant, await insert(tenant));
    expect(stored.encrypted).toBe(true);
    expect(Object.keys(stored.mapped_data as object)).toEqual(['$enc']);
    expect(Object.keys(stored.metadata ?? {})).toEqual(['$enc']);
    // Nothing shorter: two letters of base64 are found once in twenty runs.
    expect(JSON.stringify(stored)).not.toMatch(/"Ann|Grüße|(?:ab){8}/);
    expect(await openRecord(fixture.encryption(), stored)).toEqual({ ...content, stale: false });
  });

  it('is decrypted for every spelling of its id', async () => {
    const tenant = randomName('tenant');
    for (const spell of [
      (id: string) => id.toUpperCase(),
      (id: string) => `{${id}}`,
      (id: string) => id.replaceAll('-', ''),
    ]) {
      const id = randomUUID();
      expect(await insert(tenant, { id: spell(id) })).toBe(id);
      expect(await openRecord(fixture.encryption(), await row(tenant, id))).toMatchObject(content);
    }
    await expect(insert(tenant, { id: 'no uuid' })).rejects.toThrow(TypeError);
  });

  it('stays in clear, and is marked so, if its tenant has encryption off', async () => {
    const tenant = randomName('tenant');
    await fixture.asAdmin(
      'INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ($1, false)',
      [tenant],
    );
    const stored = await row(tenant, await insert(tenant));
    expect(stored).toMatchObject({
      encrypted: false,
      mapped_data: content.mappedData,
      source_data_hash: sourceHash,
    });
    expect(await openRecord(fixture.encryption(), stored)).toEqual({ ...content, stale: false });
    expect(await fixture.asAdmin('SELECT FROM llama.data_keys WHERE tenant_id = $1', [tenant])).toEqual([]);
  });

  describe('in clear', () => {
    const clearTenant = async () => {
      const tenant = randomName('tenant');
      await fixture.asAdmin(
        'INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) VALUES ($1, false)',
        [tenant],
      );
      return tenant;
    };

    it('is found by its search values, and keeps its own metadata', async () => {
      const tenant = await clearTenant();
      const id = await insert(tenant, { search: { email: 'ann@example.org' } });
      await insert(tenant, { search: { email: 'bob@example.org' } });
      const condition = await findableBy(fixture.encryption(), tenant, 'email', 'ann@example.org');
      const { rows } = await fixture.within(tenant, (client) =>
        client.query('SELECT id FROM llama.storage_records WHERE metadata @> $1::jsonb', [condition]),
      );
      expect(rows).toEqual([{ id }]);
      const stored = await row(tenant, id);
      expect(stored).toMatchObject({ encrypted: false, mapped_data: content.mappedData });
      expect(JSON.stringify(stored)).not.toMatch(/ann@/);
      expect(await openRecord(fixture.encryption(), stored)).toEqual({ ...content, stale: false });
    });

    it('keeps a $search that another program wrote, and refuses $search and $enc in new content', async () => {
      const tenant = await clearTenant();
      for (const foreign of ['all', { email: 'ann@example.org' }, ['token'], { terms: { a: 1 } }]) {
        const stored = {
          tenant_id: tenant,
          id: randomUUID(),
          mapped_data: 1,
          metadata: { $search: foreign, a: 1 },
        };
        const { metadata } = await openRecord(fixture.encryption(), stored);
        expect(metadata).toEqual({ $search: foreign, a: 1 });
      }
      for (const reserved of [
        { metadata: { $search: { email: 'x' } } },
        { metadata: { $enc: 'x' } },
        { mappedData: { $enc: 'x' } },
        { mappedData: { $search: 'x' } },
      ]) {
        await expect(insert(tenant, reserved)).rejects.toThrow(TypeError);
      }
      // In an encrypted record both are ordinary content.
      const other = randomName('tenant');
      const own = { mappedData: { $enc: 'x' }, metadata: { $search: 'x', $enc: 'y' } };
      const id = await insert(other, { ...own, search: { email: 'ann' } });
      expect(await openRecord(fixture.encryption(), await row(other, id))).toMatchObject(own);
    });

    it('is refused only with a text that PostgreSQL cannot store', async () => {
      const tenant = await clearTenant();
      for (const text of ['\0', 'a\0b', '\ud800', '\udc00x', '\\\0', `${'a'.repeat(100_000)}\0`]) {
        await expect(insert(tenant, { mappedData: { text } }), JSON.stringify(text)).rejects.toThrow(
          TypeError,
        );
        await expect(insert(tenant, { metadata: { [text]: 1 } }), JSON.stringify(text)).rejects.toThrow(
          TypeError,
        );
        const encrypted = randomName('tenant');
        const id = await insert(encrypted, { mappedData: { text } });
        const { mappedData } = await openRecord(fixture.encryption(), await row(encrypted, id));
        expect(mappedData).toEqual({ text });
      }
      for (const text of ['\\u0000', '\\\\u0000', 'a\\ud800', '\u{1f600}', '\u0001', '']) {
        const id = await insert(tenant, { mappedData: { text, [text]: 1 } });
        expect((await row(tenant, id)).mapped_data).toEqual({ text, [text]: 1 });
      }
    });
  });

  it('has a keyed hash of its source, and is found by it', async () => {
    const tenant = randomName('tenant');
    const source = createHash('sha256').update('+49 30 1234').digest('hex');
    const id = await insert(tenant, { sourceDataHash: source });
    const stored = await row(tenant, id);
    expect(stored.source_data_hash).not.toBe(source);
    expect(stored.source_data_hash).toMatch(/^[0-9a-f]{64}$/);
    expect(stored.source_data_hash).toBe(
      await sourceIndex(fixture.encryption(), tenant, source.toUpperCase()),
    );
  });

  it('is found by its search values', async () => {
    const tenant = randomName('tenant');
    const index = { normalise: normalisation.caseless };
    const id = await insert(tenant, { search: { email: 'Ann@Example.org' }, index });
    await insert(tenant, { search: { email: 'bob@example.org' }, index });
    const condition = await findableBy(fixture.encryption(), tenant, 'email', ' ann@example.ORG', index);
    const { rows } = await fixture.within(tenant, (client) =>
      client.query('SELECT id FROM llama.storage_records WHERE metadata @> $1::jsonb', [condition]),
    );
    expect(rows).toEqual([{ id }]);
    const stored = await row(tenant, id);
    expect(JSON.stringify(stored)).not.toMatch(/example/i);
    expect((await openRecord(fixture.encryption(), stored)).metadata).toEqual(content.metadata);
  });

  it('is refused in another record and in another column', async () => {
    const tenant = randomName('tenant');
    const [one, two] = [await insert(tenant), await insert(tenant)];
    const swap = `UPDATE llama.storage_records AS r SET mapped_data = o.mapped_data, metadata = o.mapped_data
      FROM llama.storage_records AS o WHERE r.id = $1 AND o.id = $2`;
    await fixture.within(tenant, (client) => client.query(swap, [one, two]));
    await expect(openRecord(fixture.encryption(), await row(tenant, one))).rejects.toMatchObject({
      problem: 'refused',
    });
    const stored = await row(tenant, two);
    const moved = { ...stored, metadata: stored.mapped_data as Row['metadata'] };
    await expect(openRecord(fixture.encryption(), moved)).rejects.toMatchObject({ problem: 'refused' });
  });
});

it('reads the data key id of a value only, also quickly from long texts', async () => {
  const id = '11111111-2222-3333-4444-555555555555';
  const text = `gcm1:${id}:${'A'.repeat(38)}`;
  const keyOf = async (value: string | null) =>
    (await fixture.asAdmin<{ key: string | null }>('SELECT llama.data_key_of($1) AS key', [value]))[0]?.key;
  for (const value of [text, `gcm1:${id}:${'Az09_-'.repeat(20_000)}`]) expect(await keyOf(value)).toBe(id);
  const none = [null, '', 'gcm1:', text.slice(0, -1), `${text}+`, `${text}\n`, `${text} `, ` ${text}`];
  none.push(text.toUpperCase(), text.replace('gcm1', 'gcm2'), text.replace('1111-2222', '11112222-'));
  for (const value of none) expect(await keyOf(value), String(value)).toBeNull();
  const begun = performance.now();
  await fixture.asAdmin(
    "SELECT count(llama.data_key_of($1 || repeat('A', n % 7))) FROM generate_series(1, 200) AS n",
    [`gcm1:${id}:${'A'.repeat(4000)}`],
  );
  expect(performance.now() - begun).toBeLessThan(1500);
});

describe('the table itself', () => {
  const write = (tenant: string, mapped: unknown, metadata: unknown = {}, encrypted?: boolean) =>
    fixture.within(tenant, async (client) => {
      const { rows } = await client.query<{ encrypted: boolean }>(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, metadata, model_version, detector_type, encrypted)
         VALUES ($1, 'h', $2, $3, 'm', 'd', coalesce($4, true)) RETURNING encrypted`,
        [tenant, JSON.stringify(mapped), metadata === null ? null : JSON.stringify(metadata), encrypted],
      );
      return rows[0]?.encrypted;
    });
  const seal = async (tenant: string, metadata: Record<string, unknown> = {}) => {
    const id = randomUUID();
    const record = { tenantId: tenant, id, mappedData: 1, metadata, sourceDataHash: sourceHash };
    return sealRecord(fixture.encryption(), record);
  };

  it('marks readable content as not encrypted, even if the writer claims otherwise', async () => {
    const tenant = randomName('tenant');
    expect(await write(tenant, { a: 1 })).toBe(false);
    expect(await write(tenant, { a: 1 }, {}, true)).toBe(false);
    expect(await write(tenant, [1], null)).toBe(false);
    const sealed = await seal(tenant);
    expect(await write(tenant, sealed.mapped_data, {}, false)).toBe(true);
    expect(await write(tenant, sealed.mapped_data, null)).toBe(true);
    const { rows } = await fixture.within(tenant, (client) =>
      client.query(
        'UPDATE llama.storage_records SET encrypted = NOT encrypted RETURNING encrypted, mapped_data',
      ),
    );
    for (const { encrypted, mapped_data } of rows) expect(encrypted).toBe('$enc' in Object(mapped_data));
  });

  it('refuses a half-encrypted record', async () => {
    const tenant = randomName('tenant');
    const { mapped_data: sealed } = await seal(tenant);
    const refused = { code: '22023' };
    await expect(write(tenant, sealed, { name: 'Ann' })).rejects.toMatchObject(refused);
    await expect(write(tenant, { a: 1 }, sealed)).rejects.toMatchObject(refused);
    await expect(write(tenant, { ...(sealed as object), name: 'Ann' })).rejects.toMatchObject(refused);
    await expect(write(tenant, { $enc: 'Ann' })).rejects.toMatchObject(refused);
    await expect(write(tenant, { $enc: 7 })).rejects.toMatchObject(refused);
  });

  it("refuses a record whose key is unknown, another tenant's, or destroyed", async () => {
    const [mine, theirs] = [randomName('tenant'), randomName('tenant')];
    const refused = { code: '55000' };
    const unknown = { $enc: `gcm1:${randomUUID()}:${'A'.repeat(60)}` };
    await expect(write(mine, unknown)).rejects.toMatchObject(refused);
    await expect(write(mine, (await seal(theirs)).mapped_data)).rejects.toMatchObject(refused);
    const own = await seal(mine);
    expect(await write(mine, own.mapped_data)).toBe(true);
    const become = (state: string) =>
      fixture.asAdmin(
        `UPDATE llama.data_keys SET state = '${state}' WHERE tenant_id = $1 AND purpose = 'encryption'`,
        [mine],
      );
    await become('retiring');
    expect(await write(mine, own.mapped_data)).toBe(true);
    await expect(become('retired')).rejects.toMatchObject({ code: '2BP01' });
    await fixture.within(mine, (client) => client.query('DELETE FROM llama.storage_records'));
    await become('retired');
    await expect(write(mine, own.mapped_data)).rejects.toMatchObject(refused);
  });

  it('keeps an index key, because no record of its uses exists', async () => {
    const tenant = randomName('tenant');
    await seal(tenant);
    const retire = "UPDATE llama.data_keys SET state = 'retired' WHERE tenant_id = $1 AND purpose = 'index'";
    await expect(fixture.asAdmin(retire, [tenant])).rejects.toMatchObject({
      code: '2BP01',
      message: expect.stringContaining('blind indexes'),
    });
  });

  it('does not let the application delete or replace a wrapped key', async () => {
    const tenant = randomName('tenant');
    await seal(tenant);
    const denied = { code: '42501' };
    for (const statement of [
      'DELETE FROM llama.data_keys',
      "UPDATE llama.data_keys SET wrapped = 'x'",
      "UPDATE llama.data_keys SET wrapping_key = 'local'",
      "UPDATE llama.data_keys SET tenant_id = 'other'",
      'TRUNCATE llama.data_keys',
    ])
      await expect(
        fixture.within(tenant, (client) => client.query(statement)),
        statement,
      ).rejects.toMatchObject(denied);
    const destroy = "UPDATE llama.data_keys SET state = 'destroyed'";
    await expect(fixture.within(tenant, (client) => client.query(destroy))).rejects.toMatchObject({
      code: '23514',
    });
    const back = "UPDATE llama.data_keys SET state = 'active' WHERE state = 'retiring'";
    await fixture.asAdmin("UPDATE llama.data_keys SET state = 'retiring' WHERE tenant_id = $1", [tenant]);
    await expect(fixture.within(tenant, (client) => client.query(back))).rejects.toMatchObject({
      code: '23000',
    });
    const { rows } = await fixture.within(randomName('tenant'), (client) =>
      client.query('SELECT FROM llama.data_keys'),
    );
    expect(rows).toEqual([]);
  });

  it('audits every change of a key, and never the key itself', async () => {
    const tenant = randomName('tenant');
    await seal(tenant);
    await fixture.asAdmin(
      "UPDATE llama.data_keys SET state = 'retiring' WHERE tenant_id = $1 AND purpose = 'encryption'",
      [tenant],
    );
    const trail = await fixture.asAdmin(
      `SELECT operation, record_key, old_values, new_values FROM llama.audit_trail
        WHERE tenant_id = $1 AND table_name = 'data_keys' ORDER BY "timestamp"`,
      [tenant],
    );
    expect(trail.map(({ operation }) => operation)).toEqual(['INSERT', 'INSERT', 'UPDATE']);
    expect(trail.at(-1)).toMatchObject({
      old_values: { state: 'active' },
      new_values: { state: 'retiring' },
    });
    const keys = await fixture.asAdmin<{ wrapped: Buffer }>(
      'SELECT wrapped FROM llama.data_keys WHERE tenant_id = $1',
      [tenant],
    );
    for (const { wrapped } of keys)
      for (const form of ['hex', 'base64'] as const)
        expect(JSON.stringify(trail)).not.toContain(wrapped.toString(form).slice(0, 24));
  });
});
