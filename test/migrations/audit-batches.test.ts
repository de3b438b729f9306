/** Statements over many rows and large documents: the trail has every row, and no cost grows faster than the content. */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { migratedDatabase, plant, rowsAs } from './tenants.ts';

let database: TestDatabase;
let client: pg.Client;
let tenant: string;
let record: { id: string; timestamp: Date };
let seen: number;
let number = 0;

beforeAll(async () => {
  ({ database, client } = await migratedDatabase());
});
afterAll(() => database.drop());
beforeEach(async () => {
  number += 1;
  tenant = `tenant${number}`;
  record = await plant(client, tenant);
  seen = (await rowsAs(client, 'admin_role', undefined, 'SELECT FROM llama.audit_trail')).length;
});

const admin = (sql: string, values: unknown[] = []) => rowsAs(client, 'admin_role', undefined, sql, values);

/** `UPDATE <record_key>` of each row of the trail since the test began, sorted. */
async function left(): Promise<string[]> {
  const rows = await admin(
    `SELECT operation || ' ' || record_key AS row FROM llama.audit_trail ORDER BY sequence OFFSET $1`,
    [seen],
  );
  return rows.map(({ row }) => row).sort();
}

/** Inserts records of the test's tenant into its month. */
const insertMany = (count: number, document = "'{}'::jsonb") =>
  admin(
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     SELECT $1, n, ${document}, 'm', 'd', $2 FROM generate_series(1, ${count}) AS n RETURNING id`,
    [tenant, record.timestamp],
  );

describe('a statement over many rows', () => {
  it('pairs old and new values of each updated row, whatever its key becomes', async () => {
    await insertMany(500);
    await admin(
      `UPDATE llama.storage_records SET id = gen_random_uuid(), model_version = source_data_hash || '!'
        WHERE tenant_id = $1 AND length(source_data_hash) < 4`,
      [tenant],
    );
    const [counts] = await admin(
      `SELECT count(*)::int AS updates, count(DISTINCT new_values ->> 'id')::int AS keys,
              count(*) FILTER (WHERE (old_values ->> 'model_version') = 'm' AND EXISTS (
                SELECT FROM llama.audit_trail AS i WHERE i.operation = 'INSERT' AND i.record_key = t.old_values ->> 'id'
                   AND (i.new_values ->> 'source_data_hash') || '!' = t.new_values ->> 'model_version'))::int AS paired
         FROM llama.audit_trail AS t WHERE operation = 'UPDATE' AND tenant_id = $1`,
      [tenant],
    );
    expect(counts).toEqual({ updates: 500, keys: 500, paired: 500 });
  });

  it('leaves nothing for its unchanged rows', async () => {
    await insertMany(20);
    seen += 20;
    await admin(
      `UPDATE llama.storage_records SET model_version = CASE WHEN source_data_hash = '7' THEN 'x' ELSE model_version END
        WHERE tenant_id = $1`,
      [tenant],
    );
    expect((await left()).length).toBe(1);
  });

  it('leaves a delete of each row that a foreign key cascades to', async () => {
    const superuser = await database.connect('superuser');
    await superuser.query(`
      CREATE TABLE public.models (version varchar(100) PRIMARY KEY);
      INSERT INTO public.models VALUES ('cascade'), ('m1');
      INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) SELECT '${tenant}', 'cascade', 'f', n FROM generate_series(1, 3) AS n;
      ALTER TABLE llama.model_metrics ADD CONSTRAINT cascade_test FOREIGN KEY (model_version) REFERENCES public.models ON DELETE CASCADE ON UPDATE CASCADE`);
    try {
      await superuser.query(`UPDATE public.models SET version = 'cascaded' WHERE version = 'cascade'`);
      await superuser.query(`DELETE FROM public.models WHERE version = 'cascaded'`);
    } finally {
      await superuser.query('ALTER TABLE llama.model_metrics DROP CONSTRAINT cascade_test');
    }
    const operations = (await left()).map((row) => row.split(' ')[0]);
    expect(operations).toEqual([
      ...Array(3).fill('DELETE'),
      ...Array(3).fill('INSERT'),
      ...Array(3).fill('UPDATE'),
    ]);
  });

  it.each([
    [
      'UPDATE',
      `UPDATE llama.storage_records SET "timestamp" = "timestamp" + interval '1 month', model_version = 'moved' WHERE tenant_id = $1`,
    ],
    [
      'MERGE',
      `MERGE INTO llama.storage_records AS r USING (VALUES ($1)) AS s (tenant) ON r.tenant_id = s.tenant
        WHEN MATCHED THEN UPDATE SET "timestamp" = r."timestamp" + interval '1 month', model_version = 'moved'`,
    ],
  ])(
    'that moves a record to another month by %s leaves a delete and an insert of the row as stored',
    async (_, sql) => {
      await admin(sql, [tenant]);
      expect(await left()).toEqual([`DELETE ${record.id}`, `INSERT ${record.id}`]);
      const [row] = await admin(
        `SELECT t.new_values = to_jsonb(r) AS same, t.new_values ->> 'model_version' AS version
         FROM llama.audit_trail AS t JOIN llama.storage_records AS r ON r.id = t.record_id
        WHERE t.operation = 'INSERT' AND t.tenant_id = $1 AND t.new_values ->> 'model_version' = 'moved'`,
        [tenant],
      );
      expect(row).toEqual({ same: true, version: 'moved' });
    },
  );

  it('loses no side of a move when the same MERGE also inserts and deletes', async () => {
    const [going] = await insertMany(1);
    const fresh = randomUUID();
    seen += 1;
    await admin(
      `MERGE INTO llama.storage_records AS r
       USING (VALUES ($2::uuid, 'move'), ($3::uuid, 'delete'), ($4::uuid, 'insert')) AS s (id, what) ON r.tenant_id = $1 AND r.id = s.id
        WHEN MATCHED AND s.what = 'delete' THEN DELETE
        WHEN MATCHED THEN UPDATE SET "timestamp" = r."timestamp" + interval '1 month'
        WHEN NOT MATCHED THEN INSERT (tenant_id, id, source_data_hash, mapped_data, model_version, detector_type)
          VALUES ($1, s.id, 'h', '{}', 'm', 'd')`,
      [tenant, record.id, going?.id, fresh],
    );
    // PostgreSQL also lists the moved row among the inserted and the deleted ones, so each side can be there twice.
    expect([...new Set(await left())]).toEqual(
      [`DELETE ${record.id}`, `INSERT ${record.id}`, `DELETE ${going?.id}`, `INSERT ${fresh}`].sort(),
    );
  });

  it('fails when a trigger swallows the new row of a move, because old and new rows no longer match', async () => {
    await insertMany(3);
    const superuser = await database.connect('superuser');
    await superuser.query('BEGIN');
    await superuser.query(`
      CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER swallow BEFORE INSERT ON llama.storage_records FOR EACH ROW EXECUTE FUNCTION public.swallow()`);
    await expect(
      superuser.query(
        `UPDATE llama.storage_records SET model_version = 'x',
                "timestamp" = CASE WHEN source_data_hash = '1' THEN "timestamp" + interval '1 month' ELSE "timestamp" END
          WHERE tenant_id = $1`,
        [tenant],
      ),
    ).rejects.toMatchObject({ code: '23502' });
    await superuser.query('ROLLBACK');
  });
});

describe('a statement that names a leaf', () => {
  it.each([
    [
      'INSERT',
      (leaf: string) =>
        `INSERT INTO ${leaf} SELECT (jsonb_populate_record(r, jsonb_build_object('id', '${randomUUID()}'))).* FROM ${leaf} AS r`,
    ],
    ['UPDATE', (leaf: string) => `UPDATE ${leaf} SET id = gen_random_uuid()`],
    ['DELETE', (leaf: string) => `DELETE FROM ${leaf}`],
    ['INSERT', (leaf: string) => `COPY ${leaf} FROM PROGRAM 'true'`],
    [
      'DELETE',
      (leaf: string) =>
        `MERGE INTO ${leaf} AS l USING (VALUES (1)) AS s (one) ON true WHEN MATCHED THEN DELETE`,
    ],
  ])('is refused to the superuser: %s', async (operation, sql) => {
    const superuser = await database.connect('superuser');
    const { rows: leaves } = await superuser.query<{ leaf: string }>(
      `SELECT i.inhrelid::regclass::text AS leaf FROM pg_inherits AS i JOIN llama.partitioned_tables AS p ON i.inhparent = ('llama.' || p.table_name)::regclass
        WHERE NOT p.append_only`,
    );
    expect(leaves.length).toBeGreaterThan(10);
    for (const { leaf } of leaves) {
      await expect(superuser.query(sql(leaf))).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining(operation),
      });
    }
    expect(await left()).toEqual([]);
  });
});

describe('a large document', () => {
  /** An array of strings of 36 bytes each. */
  const strings = (megabytes: number) =>
    `(SELECT jsonb_build_object('a', jsonb_build_array(), 'b', jsonb_agg(md5(i::text))) FROM generate_series(1, ${Math.round((megabytes * 1e6) / 36)}) AS i)`;

  it('of 8 MB is updated, with both versions in the trail', async () => {
    // With the square of the size it would take half an hour.
    await client.query("SET statement_timeout = '60s'");
    await insertMany(1, strings(4));
    await admin(
      `UPDATE llama.storage_records SET mapped_data = ${strings(8)} WHERE tenant_id = $1 AND source_data_hash = '1'`,
      [tenant],
    );
    await client.query('RESET statement_timeout');
    const [row] = await admin(
      `SELECT jsonb_array_length(old_values #> '{mapped_data,b}') AS old, jsonb_array_length(new_values #> '{mapped_data,b}') AS new
         FROM llama.audit_trail WHERE tenant_id = $1 AND operation = 'UPDATE'`,
      [tenant],
    );
    expect(row).toEqual({ old: 111_111, new: 222_222 });
  }, 90_000);

  it('does not keep its statement from being cancelled, by timeout or by another session', async () => {
    await insertMany(40, strings(0.5));
    const update = () =>
      admin(
        `UPDATE llama.storage_records SET mapped_data = jsonb_set(mapped_data, '{a}', '[1]') WHERE tenant_id = $1`,
        [tenant],
      );
    await client.query("SET statement_timeout = '200ms'");
    const started = Date.now();
    await expect(update()).rejects.toMatchObject({ code: '57014' });
    await client.query('RESET statement_timeout');
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const running = expect(update()).rejects.toMatchObject({ code: '57014' });
    await new Promise((resolve) => setTimeout(resolve, 300));
    await database.query('superuser', 'SELECT pg_cancel_backend($1)', [rows[0]?.pid]);
    await running;
    expect(Date.now() - started).toBeLessThan(30_000);
    expect((await left()).filter((row) => row.startsWith('UPDATE'))).toEqual([]);
  }, 60_000);

  it.each([
    ['huge numbers', '1e131000', 8_000],
    ['huge negative numbers', '-1e131000', 8_000],
    ['long fractions of zeros', `1.${'0'.repeat(16_000)}`, 7_000],
    ['tiny numbers', '1e-16000', 7_000],
  ])('of %s is refused without its text', async (_, value, count) => {
    await client.query("SET statement_timeout = '20s'");
    const [sizes] = await admin(
      `SELECT llama.json_text_size(('{"nested": [' || repeat($1 || ',', $2 - 1) || $1 || ']}')::jsonb, 104857600) AS size`,
      [value, count],
    );
    await client.query('RESET statement_timeout');
    // The text itself would have 112 MB or more.
    expect(sizes?.size).toBe('104857601');
  });

  it.each(['[]', '"x"', '3', 'null', '{"a": [1, 2.50, -3e3], "b": {"c": 1e80}, "d": "ü\\n"}'])(
    'has the size of its text: %s',
    async (json) => {
      const [row] = await admin(
        `SELECT llama.json_text_size($1::jsonb, 1000) AS size, octet_length($1::jsonb::text)::text AS text`,
        [json],
      );
      expect(row?.size).toBe(row?.text);
    },
  );
});
