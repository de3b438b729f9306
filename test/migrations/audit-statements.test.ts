/** Statements that insert, change and delete by other names: what each row of theirs leaves in the audit trail. */
import { randomUUID } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { as, migratedDatabase, plant, type Role, rowsAs } from './tenants.ts';

let database: TestDatabase;
let client: pg.Client;
let tenant: string;
let other: string;
let record: { id: string; timestamp: Date };
let seen: number;
let number = 0;

beforeAll(async () => {
  ({ database, client } = await migratedDatabase());
});
afterAll(() => database.drop());
beforeEach(async () => {
  number += 1;
  [tenant, other] = [`tenant${number}`, `other${number}`];
  record = await plant(client, tenant);
  await plant(client, other);
  seen = (await rowsAs(client, 'admin_role', undefined, 'SELECT FROM llama.audit_trail')).length;
});

interface Left {
  readonly tenant: string;
  readonly table: string;
  readonly operation: string;
  readonly key: string;
  readonly old: Record<string, unknown> | null;
  readonly new: Record<string, unknown> | null;
}

/** Rows of the trail since the test began, of every tenant, in order. */
async function left(): Promise<Left[]> {
  const rows = await rowsAs<Left>(
    client,
    'admin_role',
    undefined,
    `SELECT tenant_id AS tenant, table_name AS "table", operation, record_key AS key, old_values AS old, new_values AS new
       FROM llama.audit_trail ORDER BY sequence OFFSET $1`,
    [seen],
  );
  return rows;
}

const brief = (rows: readonly Left[]) =>
  rows.map((row) => `${row.operation} ${row.table} ${row.key} of ${row.tenant}`);
const application = (sql: string, values: unknown[] = []) =>
  rowsAs(client, 'application_role', tenant, sql, values);

const columns = 'tenant_id, id, "timestamp", source_data_hash, mapped_data, model_version, detector_type';
const conflicting = (ids: readonly string[]) => ({
  sql: `INSERT INTO llama.storage_records (${columns})
        SELECT $1, id, $3, 'h', '{"new": true}', 'm2', 'd2' FROM unnest($2::uuid[]) AS id
        ON CONFLICT (tenant_id, id, "timestamp")`,
  values: [tenant, ids, record.timestamp],
});

describe('INSERT … ON CONFLICT', () => {
  it('DO UPDATE leaves an update for the row that was there and an insert for the one that was not', async () => {
    const fresh = randomUUID();
    const { sql, values } = conflicting([record.id, fresh]);
    await application(
      `${sql} DO UPDATE SET mapped_data = EXCLUDED.mapped_data, model_version = EXCLUDED.model_version`,
      values,
    );
    const rows = await left();
    expect(brief(rows)).toEqual([
      `UPDATE storage_records ${record.id} of ${tenant}`,
      `INSERT storage_records ${fresh} of ${tenant}`,
    ]);
    const [updated, inserted] = rows;
    expect(updated?.old).toMatchObject({ mapped_data: { owner: tenant }, model_version: 'm1' });
    expect(updated?.new).toMatchObject({ mapped_data: { new: true }, model_version: 'm2' });
    // Not one of the columns that the statement left alone.
    expect(updated?.new).not.toHaveProperty('detector_type');
    expect(inserted).toMatchObject({ old: null, new: { id: fresh, detector_type: 'd2' } });
  });

  it('DO UPDATE leaves nothing where it changes nothing, or its condition leaves the row alone', async () => {
    const { sql, values } = conflicting([record.id]);
    await application(`${sql} DO UPDATE SET metadata = storage_records.metadata`, values);
    await application(
      `${sql} DO UPDATE SET mapped_data = '{}' WHERE storage_records.model_version = 'm9'`,
      values,
    );
    expect(await left()).toEqual([]);
  });

  it('DO NOTHING leaves an insert for each row that came, and nothing for those that were there', async () => {
    const fresh = [randomUUID(), randomUUID()];
    const { sql, values } = conflicting([fresh[0] ?? '', record.id, fresh[1] ?? '']);
    await application(`${sql} DO NOTHING`, values);
    expect(brief(await left())).toEqual(fresh.map((id) => `INSERT storage_records ${id} of ${tenant}`));
  });

  it('leaves the same of a table that only grows, and of the configuration', async () => {
    const id = randomUUID();
    const insert = `INSERT INTO llama.model_metrics (tenant_id, id, "timestamp", model_version, metric_type, metric_value)
                    VALUES ($1, $2, $3, 'm', 'f1', 1) ON CONFLICT DO NOTHING`;
    await application(insert, [tenant, id, record.timestamp]);
    await application(insert, [tenant, id, record.timestamp]);
    await rowsAs(
      client,
      'admin_role',
      undefined,
      `INSERT INTO llama.tenant_configs (tenant_id, audit_level) VALUES ($1, 'standard'), ($2, 'standard')
       ON CONFLICT (tenant_id) DO UPDATE SET storage_retention_days = 7`,
      [tenant, `${tenant}-new`],
    );
    expect(brief(await left())).toEqual([
      `INSERT model_metrics ${id} of ${tenant}`,
      `UPDATE tenant_configs ${tenant} of ${tenant}`,
      `INSERT tenant_configs ${tenant}-new of ${tenant}-new`,
    ]);
  });
});

describe('MERGE', () => {
  it('leaves of each row what was done with it', async () => {
    const [going, fresh] = [randomUUID(), randomUUID()];
    const { sql, values } = conflicting([going]);
    await application(`${sql} DO NOTHING`, values);
    seen += 1;
    await application(
      `MERGE INTO llama.storage_records AS r
       USING (VALUES ($2::uuid, 'change'), ($3::uuid, 'delete'), ($4::uuid, 'insert')) AS s (id, what)
          ON r.tenant_id = $1 AND r.id = s.id AND r."timestamp" = $5
        WHEN MATCHED AND s.what = 'delete' THEN DELETE
        WHEN MATCHED THEN UPDATE SET model_version = 'merged'
        WHEN NOT MATCHED THEN INSERT (${columns}) VALUES ($1, s.id, $5, 'h', '{}', 'm', 'd')`,
      [tenant, record.id, going, fresh, record.timestamp],
    );
    const rows = await left();
    expect(brief(rows).sort()).toEqual(
      [
        `DELETE storage_records ${going} of ${tenant}`,
        `INSERT storage_records ${fresh} of ${tenant}`,
        `UPDATE storage_records ${record.id} of ${tenant}`,
      ].sort(),
    );
    expect(rows.find(({ operation }) => operation === 'UPDATE')).toMatchObject({
      old: { model_version: 'm1' },
      new: { model_version: 'merged' },
    });
    expect(rows.find(({ operation }) => operation === 'DELETE')?.old).toMatchObject({ id: going });
  });

  it("reaches no other tenant's row, and writes nothing if it changes nothing", async () => {
    await application(
      `MERGE INTO llama.storage_records AS r USING (VALUES ($1::text), ($2)) AS s (tenant) ON r.tenant_id = s.tenant
        WHEN MATCHED AND s.tenant = $2 THEN DELETE
        WHEN MATCHED THEN DO NOTHING`,
      [tenant, other],
    );
    expect(await left()).toEqual([]);
  });

  it('over several tenants leaves each its own rows, both sides of one that changed hands', async () => {
    await rowsAs(
      client,
      'admin_role',
      undefined,
      `MERGE INTO llama.storage_records AS r USING (VALUES ($1::text), ($2)) AS s (tenant) ON r.tenant_id = s.tenant
        WHEN MATCHED AND s.tenant = $1 THEN UPDATE SET tenant_id = $2
        WHEN MATCHED THEN UPDATE SET model_version = 'merged'`,
      [tenant, other],
    );
    const rows = await left();
    expect(rows.map(({ operation, tenant: of }) => `${operation} of ${of}`).sort()).toEqual(
      [`DELETE of ${tenant}`, `INSERT of ${other}`, `UPDATE of ${other}`].sort(),
    );
  });
});

/** COPY … FROM STDIN with these lines. */
class CopyIn extends pg.Query {
  readonly #lines: string;
  constructor(sql: string, lines: string, done: (error: Error | null) => void) {
    // The types know the callback of a Query only as one of queries that return rows.
    super(sql, done as never);
    this.#lines = lines;
  }
  handleCopyInResponse(connection: { sendCopyFromChunk(chunk: Buffer): void; endCopyFrom(): void }): void {
    connection.sendCopyFromChunk(Buffer.from(this.#lines));
    connection.endCopyFrom();
  }
}

function copy(into: pg.Client, lines: string): Promise<void> {
  const sql = `COPY llama.storage_records (${columns}) FROM STDIN`;
  return new Promise((resolve, reject) => {
    into.query(new CopyIn(sql, lines, (error) => (error ? reject(error) : resolve())));
  });
}

describe('COPY', () => {
  const line = (of: string, id: string) =>
    `${[of, id, record.timestamp.toISOString(), 'h', '{}', 'm', 'd'].join('\t')}\n`;

  it.each<Role>(['application_role', 'admin_role'])(
    'into a table is refused to %s, with nothing left',
    async (role) => {
      await expect(
        as(client, role, tenant, () => copy(client, line(tenant, randomUUID()))),
      ).rejects.toMatchObject({ code: '0A000' });
      expect(await left()).toEqual([]);
    },
  );

  it('by one whom row-level security does not bind leaves an insert of each row, for its own tenant', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    const [first = '', second = '', third = ''] = ids;
    const superuser = await database.connect('superuser');
    await copy(superuser, line(tenant, first) + line(other, second) + line(tenant, third));
    expect(brief(await left())).toEqual([
      `INSERT storage_records ${first} of ${tenant}`,
      `INSERT storage_records ${second} of ${other}`,
      `INSERT storage_records ${third} of ${tenant}`,
    ]);
  });
});
