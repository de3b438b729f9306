/** The registry of encrypted columns: permitted columns, readers, and the values that it protects from loss. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rotate } from '../../../database/keys/rotate.ts';
import { resolveTarget } from '../../../database/target.ts';
import { FieldEncryption, keyStoreOf } from '../../../runtime/encryption/index.ts';
import { randomName } from '../../support/postgres.ts';
import { type EncryptionFixture, startEncryption } from './fixture.ts';

let fixture: EncryptionFixture;
beforeAll(async () => {
  fixture = await startEncryption();
});
afterAll(() => fixture.stop());

interface Note {
  readonly id: string;
  readonly body: string | null;
  readonly document: { readonly $enc: string } | null;
  readonly scan: Buffer | null;
}

const placeOf = (tenant: string, record: string, column: string) => ({
  tenant,
  table: 'notes',
  column,
  record,
});

/** A note with a value in each form. Each value names its place. */
async function write(tenant: string, encryption = fixture.encryption()): Promise<string> {
  const id = randomUUID();
  const body = await encryption.encrypt(placeOf(tenant, id, 'body'), `body of ${id}`);
  const document = { $enc: await encryption.encrypt(placeOf(tenant, id, 'document'), `document of ${id}`) };
  const scan = await encryption.encryptBytes(placeOf(tenant, id, 'scan'), `scan of ${id}`);
  await fixture.within(tenant, (client) =>
    client.query(
      'INSERT INTO llama.notes (tenant_id, id, body, document, scan) VALUES ($1, $2, $3, $4, $5)',
      [...[tenant, id, body, JSON.stringify(document), scan]],
    ),
  );
  return id;
}

/** @returns the number of the tenant's notes, after a check of their content, and the number under an older key */
async function read(tenant: string): Promise<{ readonly count: number; readonly stale: number }> {
  const encryption = fixture.encryption();
  const { rows } = await fixture.within(tenant, (client) =>
    client.query<Note>('SELECT id, body, document, scan FROM llama.notes'),
  );
  let old = 0;
  for (const { id, body, document, scan } of rows) {
    const values = { body: body ?? '', document: document?.$enc ?? '', scan: scan ?? '' };
    const stale: boolean[] = [];
    for (const [column, value] of Object.entries(values)) {
      const opened = await encryption.decrypt(placeOf(tenant, id, column), value);
      expect(opened.plaintext.toString()).toBe(`${column} of ${id}`);
      stale.push(opened.stale);
    }
    if (stale.includes(true)) old += 1;
  }
  return { count: rows.length, stale: old };
}

async function rotated(options: { readonly tenant?: string; readonly batchSize?: number } = {}) {
  const target = await resolveTarget({ url: fixture.database.url() }, {});
  const reporter = { line: () => undefined, warn: () => undefined };
  return rotate(target, { reporter, wrapping: fixture.wrapping, graceSeconds: 0, ...options });
}

const states = async (tenant: string) =>
  (
    await fixture.asAdmin<{ state: string }>(
      "SELECT state FROM llama.data_keys WHERE tenant_id = $1 AND purpose = 'encryption' ORDER BY created_at",
      [tenant],
    )
  ).map(({ state }) => state);

/** Dates the retirement of the tenant's retired keys before the oldest month of the audit trail. */
async function ageRetired(tenant: string): Promise<void> {
  await fixture.database.query(
    'superuser',
    `UPDATE llama.data_keys SET state_since = llama.audit_trail_since() - interval '1 day'
      WHERE tenant_id = $1 AND state = 'retired'`,
    [tenant],
  );
}

const owner = (sql: string) => fixture.database.query('superuser', `SET ROLE llama_owner; ${sql}`);

describe('a value in another table than storage_records', () => {
  it('is refused before any key is made or used, if its column is not registered', async () => {
    const tenant = randomName('tenant');
    const encryption = fixture.encryption();
    const { wraps, unwraps } = fixture.wrapping;
    for (const place of [
      { table: 'notes', column: 'title' },
      { table: 'letters', column: 'body' },
      { table: 'llama.notes', column: 'body' },
      { table: 'model_metrics', column: 'metadata' },
    ]) {
      const unregistered = {
        problem: 'unregistered',
        message: expect.stringContaining('register_encrypted_column'),
      };
      await expect(encryption.encrypt({ tenant, record: '1', ...place }, 'x')).rejects.toMatchObject(
        unregistered,
      );
      await expect(encryption.encryptBytes({ tenant, record: '1', ...place }, 'x')).rejects.toMatchObject(
        unregistered,
      );
    }
    expect(await fixture.asAdmin('SELECT FROM llama.data_keys WHERE tenant_id = $1', [tenant])).toEqual([]);
    expect(fixture.wrapping).toMatchObject({ wraps, unwraps });
  });

  it('is accepted as soon as its column is registered, without a restart', async () => {
    const tenant = randomName('tenant');
    const encryption = fixture.encryption();
    const place = { tenant, table: 'notes', column: 'subject', record: '1' };
    await expect(encryption.encrypt(place, 'x')).rejects.toMatchObject({ problem: 'unregistered' });
    await owner(
      "ALTER TABLE llama.notes ADD subject text; SELECT llama.register_encrypted_column('llama.notes', 'subject')",
    );
    await new Promise((resolve) => setTimeout(resolve, 1100));
    expect(await encryption.encrypt(place, 'x')).toMatch(/^gcm1:/);
    await owner(
      "SELECT llama.forget_encrypted_column('notes', 'subject'); ALTER TABLE llama.notes DROP subject",
    );
  });

  it('is encrypted again before its key is retired and destroyed, so that no value is lost', async () => {
    const tenant = randomName('tenant');
    for (let number = 0; number < 7; number += 1) await write(tenant);
    const first = await rotated({ tenant, batchSize: 3 });
    expect(first).toMatchObject({ replaced: 1, records: 7, more: false, failures: [] });
    expect(await read(tenant)).toEqual({ count: 7, stale: 0 });
    expect(await states(tenant)).toEqual(['retired', 'active']);
    await ageRetired(tenant);
    expect(await rotated()).toMatchObject({ destroyed: 1, failures: [] });
    expect(await states(tenant)).toEqual(['destroyed', 'active']);
    expect(await read(tenant)).toEqual({ count: 7, stale: 0 });
  });

  it('protects its key from every statement that would end it', async () => {
    const tenant = randomName('tenant');
    await write(tenant);
    const end = (state: string, wrapped = '') =>
      fixture.asAdmin(`UPDATE llama.data_keys SET state = '${state}'${wrapped} WHERE tenant_id = $1`, [
        tenant,
      ]);
    const needed = { code: '2BP01', message: expect.stringContaining('1 values of notes.body') };
    await end('retiring');
    await expect(end('retired')).rejects.toMatchObject(needed);
    await expect(end('destroyed', ', wrapped = NULL')).rejects.toMatchObject(needed);
    await fixture.within(tenant, (client) =>
      client.query('UPDATE llama.notes SET body = NULL, document = NULL'),
    );
    await expect(end('retired')).rejects.toMatchObject({
      message: expect.stringContaining('1 values of notes.scan'),
    });
    await fixture.within(tenant, (client) => client.query('UPDATE llama.notes SET scan = NULL'));
    await end('retired');
    await expect(end('destroyed', ', wrapped = NULL')).rejects.toMatchObject({
      code: '2BP01',
      message: expect.stringContaining('the audit trail'),
    });
    await ageRetired(tenant);
    await end('destroyed', ', wrapped = NULL');
    // The application does not see all rows, so it may end no key.
    await write(tenant);
    const retire = "UPDATE llama.data_keys SET state = 'retired' WHERE state = 'active'";
    await expect(fixture.within(tenant, (client) => client.query(retire))).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('protects its key while a table or column that is not registered holds a copy', async () => {
    const tenant = randomName('tenant');
    await write(tenant);
    await owner('CREATE TABLE llama.kept (saved jsonb, scans bytea)');
    await fixture.database.query(
      'superuser',
      `INSERT INTO llama.kept (saved) SELECT jsonb_build_object('rows', jsonb_agg(to_jsonb(n) - 'scan')) FROM llama.notes AS n
        WHERE tenant_id = $1`,
      [tenant],
    );
    await rotated({ tenant });
    await ageRetired(tenant);
    const kept = (where: string) => ({ tenant, why: expect.stringContaining(where) });
    expect(await rotated()).toMatchObject({ destroyed: 0, failures: [kept('llama.kept.saved')] });
    await fixture.database.query(
      'superuser',
      `UPDATE llama.kept SET saved = '{}',
         scans = (SELECT '\\x01' || decode(replace(key_id::text, '-', ''), 'hex') || decode(repeat('ab', 40), 'hex')
                    FROM llama.data_keys WHERE tenant_id = '${tenant}' AND state = 'retired')`,
    );
    expect(await rotated()).toMatchObject({ destroyed: 0, failures: [kept('llama.kept.scans')] });
    await owner('ALTER TABLE llama.kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY');
    expect(await rotated()).toMatchObject({
      destroyed: 0,
      failures: [{ why: expect.stringContaining('may be in llama.kept') }],
    });
    await owner('DROP TABLE llama.kept');
    // Written before the column was registered, in a form that rotation does not find.
    await fixture.database.query(
      'superuser',
      `SET session_replication_role = replica;
       INSERT INTO llama.notes (tenant_id, document)
       SELECT '${tenant}', to_jsonb('gcm1:' || key_id || ':' || repeat('A', 40)) FROM llama.data_keys
        WHERE tenant_id = '${tenant}' AND state = 'retired'`,
    );
    expect(await rotated()).toMatchObject({ destroyed: 0, failures: [kept('llama.notes.document')] });
    await fixture.database.query(
      'superuser',
      "DELETE FROM llama.notes WHERE jsonb_typeof(document) = 'string'",
    );
    expect(await rotated()).toMatchObject({ destroyed: 1, failures: [] });
    expect(await read(tenant)).toEqual({ count: 1, stale: 0 });
  });
});

describe('a registered column', () => {
  const insert = (tenant: string, column: string, value: unknown) =>
    fixture.within(tenant, (client) =>
      client.query(`INSERT INTO llama.notes (tenant_id, ${column}) VALUES ($1, $2)`, [tenant, value]),
    );

  it('accepts only values under a key that its tenant uses', async () => {
    const [mine, theirs] = [randomName('tenant'), randomName('tenant')];
    const encryption = fixture.encryption();
    const sealed = (tenant: string) => encryption.encrypt(placeOf(tenant, '1', 'body'), 'x');
    const refused = { code: '55000', message: expect.stringContaining('notes.') };
    const own = await sealed(mine);
    const foreign = await sealed(theirs);
    const unknown = `gcm1:${randomUUID()}:${'A'.repeat(60)}`;
    for (const value of ['clear', '', own.slice(0, 60), `${own} `, foreign, unknown]) {
      await expect(insert(mine, 'body', value), value).rejects.toMatchObject(refused);
      await expect(insert(mine, 'document', JSON.stringify({ $enc: value })), value).rejects.toMatchObject(
        refused,
      );
    }
    for (const document of [{}, 'clear', own, { $enc: own, name: 'Ann' }, [own]]) {
      await expect(insert(mine, 'document', JSON.stringify(document))).rejects.toMatchObject(refused);
    }
    const scan = await encryption.encryptBytes(placeOf(mine, '1', 'scan'), 'x');
    for (const value of [Buffer.from('clear'), Buffer.alloc(0), scan.subarray(0, 40), Buffer.alloc(64, 1)]) {
      await expect(insert(mine, 'scan', value)).rejects.toMatchObject(refused);
    }
    await insert(mine, 'body', own);
    await insert(mine, 'document', JSON.stringify({ $enc: own, $search: { email: 'token' } }));
    await insert(mine, 'scan', scan);
    await insert(mine, 'body', null);
    const clear = fixture.within(mine, (client) => client.query("UPDATE llama.notes SET body = 'clear'"));
    await expect(clear).rejects.toMatchObject(refused);
    await fixture.within(mine, (client) => client.query('DELETE FROM llama.notes'));
    await fixture.asAdmin("UPDATE llama.data_keys SET state = 'retired' WHERE tenant_id = $1", [mine]);
    await expect(insert(mine, 'body', own)).rejects.toMatchObject(refused);
  });

  it('cannot be dropped, and is found after a rename of it or its table and a new registration', async () => {
    const tenant = randomName('tenant');
    await owner(`CREATE TABLE llama.letters (LIKE llama.notes INCLUDING ALL);
      CREATE POLICY administration ON llama.letters FOR ALL TO admin_role USING (true);
      GRANT SELECT, INSERT, UPDATE ON llama.letters TO application_role, admin_role;
      SELECT llama.register_encrypted_column('llama.letters', 'body')`);
    const id = randomUUID();
    const place = { tenant, table: 'letters', column: 'body', record: id };
    const value = await fixture.encryption().encrypt(place, 'kept');
    await fixture.within(tenant, (client) =>
      client.query('INSERT INTO llama.letters (tenant_id, id, body) VALUES ($1, $2, $3)', [
        tenant,
        id,
        value,
      ]),
    );
    await expect(owner('ALTER TABLE llama.letters DROP body')).rejects.toMatchObject({ code: '2BP01' });
    await owner('ALTER TABLE llama.letters RENAME body TO content');
    const lost = await rotated({ tenant });
    expect(lost).toMatchObject({ replaced: 1, records: 0, retired: 0 });
    expect(lost.failures[0]).toMatchObject({ what: expect.stringContaining('letters.body') });
    await owner('ALTER TABLE llama.letters RENAME TO post');
    expect(await rotated()).toMatchObject({ records: 0, retired: 0 });
    await owner("SELECT llama.register_encrypted_column('llama.post', 'content', 'id', 'letters', 'body')");
    expect(await rotated()).toMatchObject({ records: 1, retired: 1, failures: [] });
    const { rows } = await fixture.within(tenant, (client) => client.query('SELECT content FROM llama.post'));
    expect(await fixture.encryption().decryptText(place, rows[0].content)).toBe('kept');
    await expect(
      fixture.within(tenant, (client) => client.query("UPDATE llama.post SET content = 'clear'")),
    ).rejects.toMatchObject({ code: '55000' });
    await owner("SELECT llama.forget_encrypted_column('letters', 'body'); DROP TABLE llama.post");
  });

  it('may belong to a partitioned table whose key has more columns than the record', async () => {
    const tenant = randomName('tenant');
    await owner(`CREATE TABLE llama.mails (
        tenant_id varchar(100) NOT NULL, number bigint NOT NULL, "sent at" timestamptz NOT NULL, "the text" text,
        PRIMARY KEY (tenant_id, number, "sent at")) PARTITION BY RANGE ("sent at");
      CREATE TABLE llama.mails_old PARTITION OF llama.mails FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
      CREATE TABLE llama.mails_new PARTITION OF llama.mails FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
      GRANT SELECT, INSERT, UPDATE ON llama.mails TO application_role, admin_role;
      SELECT llama.register_encrypted_column('llama.mails', 'the text', 'number')`);
    const encryption = fixture.encryption();
    const place = (record: number) => ({
      tenant,
      table: 'mails',
      column: 'the text',
      record: String(record),
    });
    for (let number = 1; number <= 8; number += 1) {
      await fixture.asAdmin('INSERT INTO llama.mails VALUES ($1, $2, $3, $4)', [
        ...[tenant, number, number % 2 ? '2025-05-05 05:05:05.123456+00' : '2026-05-05 05:05:05.654321+00'],
        await encryption.encrypt(place(number), `mail ${number}`),
      ]);
    }
    expect(await rotated({ tenant, batchSize: 3 })).toMatchObject({ records: 8, retired: 1, failures: [] });
    const mails = await fixture.asAdmin<{ number: string; text: string }>(
      'SELECT number, "the text" AS text FROM llama.mails WHERE tenant_id = $1 ORDER BY number',
      [tenant],
    );
    for (const { number, text } of mails) {
      expect(await fixture.encryption().decryptText(place(Number(number)), text)).toBe(`mail ${number}`);
    }
    await owner("SELECT llama.forget_encrypted_column('mails', 'the text'); DROP TABLE llama.mails");
  });

  it.each([
    ['a type that holds neither text nor bytes', "'llama.notes', 'id'", 'not of type text'],
    ['a column that does not exist', "'llama.notes', 'nothing'", 'the column is not there'],
    [
      'a record that is not part of the key',
      "'llama.model_metrics', 'metadata', 'metric_type'",
      'primary key',
    ],
    [
      'a leaf',
      "(SELECT min(inhrelid)::regclass FROM pg_inherits WHERE inhparent = 'llama.storage_records'::regclass), 'metadata'",
      'partition',
    ],
    ['a table without tenants', "'llama.partitioned_tables', 'table_name', 'table_name'", 'tenant_id'],
    ['a table that admin_role may not change', "'llama.audit_trail', 'new_values'", 'admin_role'],
    [
      'a second name for one column',
      "'llama.notes', 'body', 'id', 'other', 'name'",
      'encrypted_columns_place',
    ],
  ])('is not %s', async (_, column, why) => {
    await expect(owner(`SELECT llama.register_encrypted_column(${column})`)).rejects.toThrow(why);
  });

  it('cannot belong to a table with a policy that hides rows from admin_role', async () => {
    const register = "SELECT llama.register_encrypted_column('llama.hidden', 'body')";
    const table = `CREATE TABLE llama.hidden (LIKE llama.notes INCLUDING ALL);
      ALTER TABLE llama.hidden ENABLE ROW LEVEL SECURITY;
      GRANT SELECT, UPDATE ON llama.hidden TO admin_role;`;
    const policy = "CREATE POLICY part ON llama.hidden TO admin_role USING (tenant_id <> 'secret');";
    const bypass = 'CREATE POLICY administration ON llama.hidden TO admin_role USING (true);';
    const restricted =
      "CREATE POLICY narrow ON llama.hidden AS RESTRICTIVE TO PUBLIC USING (tenant_id <> 'secret');";
    for (const policies of ['', policy, `${bypass} ${restricted}`]) {
      await expect(owner(`BEGIN; ${table} ${policies} ${register}`), policies).rejects.toThrow(
        'no policy shows every row',
      );
    }
    await owner(`BEGIN; ${table} ${bypass} ${register}; ROLLBACK`);
  });

  it('is not counted by a role that does not see every row', async () => {
    const tenant = randomName('tenant');
    await write(tenant);
    await fixture.asAdmin("UPDATE llama.data_keys SET state = 'retiring' WHERE tenant_id = $1", [tenant]);
    await owner(
      'DROP POLICY admin_bypass_notes ON llama.notes; CREATE POLICY admin_bypass_notes ON llama.notes TO admin_role USING (body IS NULL)',
    );
    await expect(
      fixture.asAdmin("UPDATE llama.data_keys SET state = 'retired' WHERE tenant_id = $1", [tenant]),
    ).rejects.toMatchObject({ code: '42501', message: expect.stringContaining('cannot be counted') });
    await owner(
      'DROP POLICY admin_bypass_notes ON llama.notes; CREATE POLICY admin_bypass_notes ON llama.notes TO admin_role USING (true)',
    );
  });
});

describe('the registry', () => {
  it('shows the application names only, and only the owner can change it', async () => {
    const denied = { code: '42501' };
    const tenant = randomName('tenant');
    for (const statement of [
      "INSERT INTO llama.encrypted_columns VALUES ('a', 'b', 'llama.notes', 'b', 'id')",
      "UPDATE llama.encrypted_columns SET table_name = 'x'",
      'DELETE FROM llama.encrypted_columns',
      'TRUNCATE llama.encrypted_columns',
      "SELECT llama.register_encrypted_column('llama.notes', 'body')",
      "SELECT llama.forget_encrypted_column('notes', 'body')",
    ]) {
      await expect(
        fixture.within(tenant, (client) => client.query(statement)),
        statement,
      ).rejects.toMatchObject(denied);
      await expect(fixture.asAdmin(statement), statement).rejects.toMatchObject(denied);
    }
    const all = fixture.within(tenant, (client) => client.query('SELECT * FROM llama.encrypted_columns'));
    await expect(all).rejects.toMatchObject(denied);
    const uses = fixture.within(tenant, (client) =>
      client.query('SELECT llama.data_key_uses($1, $2)', [tenant, randomUUID()]),
    );
    await expect(uses).rejects.toMatchObject(denied);
    const store = keyStoreOf(fixture.pool);
    expect(await store.columns()).toContainEqual({ table: 'storage_records', column: 'mapped_data' });
  });

  it('is read once, and again after its cache expires', async () => {
    const store = keyStoreOf(fixture.pool);
    let asked = 0;
    const counting = {
      ...store,
      columns: () => {
        asked += 1;
        return store.columns();
      },
    };
    const one = new FieldEncryption({
      store: counting,
      wrapping: fixture.wrapping,
      cache: { maxAgeSeconds: 0.5 },
    });
    const place = placeOf(randomName('tenant'), '1', 'body');
    await Promise.all(Array.from({ length: 20 }, () => one.encrypt(place, 'x')));
    expect(asked).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 600));
    await one.encrypt(place, 'x');
    expect(asked).toBe(2);
    one.close();
  });
});
