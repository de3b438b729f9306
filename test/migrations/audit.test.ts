import { createHash } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { tenantTables } from '../support/tables.ts';
import { as, migratedDatabase, plant, rowsAs } from './tenants.ts';

interface AuditRow {
  tenant_id: string;
  table_name: string;
  record_id: string | null;
  record_key: string;
  record_timestamp: Date | null;
  operation: string;
  user_id: string;
  login: string;
  old_values: Record<string, unknown> | null;
  new_values: Record<string, unknown> | null;
  content_hash: string | null;
  correlation_id: string | null;
  ip_address: string | null;
  user_agent: string | null;
}

describe('the audit trail', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let tenant: string;
  let record: { id: string; timestamp: Date };
  let number = 0;

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    number += 1;
    tenant = `tenant${number}`;
    record = await plant(client, tenant);
  });

  const trail = (table: string, operation: string) =>
    rowsAs<AuditRow>(
      client,
      'admin_role',
      undefined,
      `SELECT * FROM llama.audit_trail WHERE tenant_id = $1 AND table_name = $2 AND operation = $3`,
      [tenant, table, operation],
    );
  const application = (sql: string, values: unknown[] = []) =>
    rowsAs(client, 'application_role', tenant, sql, values);
  const level = (name: string) =>
    rowsAs(
      client,
      'admin_role',
      undefined,
      'UPDATE llama.tenant_configs SET audit_level = $2 WHERE tenant_id = $1',
      [tenant, name],
    );

  it.each(['storage_records', 'tenant_configs', 'model_metrics', 'detector_executions'])(
    'names %s, not its leaf, for an insert, an update and a delete',
    async (table) => {
      const column = {
        storage_records: 'metadata',
        tenant_configs: 'custom_taxonomy_mappings',
        model_metrics: 'metadata',
        detector_executions: 'error_message',
      }[table];
      const value = table === 'detector_executions' ? `'late'` : `'{"changed": true}'::jsonb`;
      await rowsAs(
        client,
        'admin_role',
        undefined,
        `UPDATE llama.${table} SET ${column} = ${value} WHERE tenant_id = $1`,
        [tenant],
      );
      await rowsAs(client, 'admin_role', undefined, `DELETE FROM llama.${table} WHERE tenant_id = $1`, [
        tenant,
      ]);
      for (const operation of ['INSERT', 'UPDATE', 'DELETE']) {
        const rows = await trail(table, operation);
        expect(rows, operation).toHaveLength(1);
        expect(rows[0]?.record_key).toMatch(table === 'tenant_configs' ? /^tenant\d+$/ : /^[0-9a-f-]{36}$/);
        expect(rows[0]?.record_id).toBe(table === 'tenant_configs' ? null : rows[0]?.record_key);
      }
    },
  );

  it('keeps who acted, for whom, from where and in which request', async () => {
    await as(client, 'application_role', undefined, async () => {
      await client.query('SELECT llama.set_tenant_context($1, $2, $3, $4, $5)', [
        tenant,
        'ann@example.org',
        '8c1f3c1e-54a6-4f0c-9d39-0f8a4b7a2f10',
        '203.0.113.9',
        'mapper/1.0',
      ]);
      await client.query(`UPDATE llama.storage_records SET metadata = '{"by": "ann"}'`);
    });
    const [row] = await trail('storage_records', 'UPDATE');
    expect(row).toMatchObject({
      user_id: 'ann@example.org',
      login: database.server.administrator,
      correlation_id: '8c1f3c1e-54a6-4f0c-9d39-0f8a4b7a2f10',
      ip_address: '203.0.113.9',
      user_agent: 'mapper/1.0',
      record_id: record.id,
      record_timestamp: record.timestamp,
    });
  });

  it('falls back to the connection where the application says nothing, and survives nonsense', async () => {
    await as(client, 'application_role', tenant, async () => {
      await client.query(
        `SELECT set_config('app.correlation_id', 'no uuid', true), set_config('app.client_address', 'nowhere', true),
                set_config('app.current_user_id', repeat('x', 500), true), set_config('application_name', 'loader', true)`,
      );
      await client.query(`UPDATE llama.storage_records SET metadata = '{"a": 1}'`);
    });
    const [row] = await trail('storage_records', 'UPDATE');
    expect(row).toMatchObject({
      correlation_id: null,
      ip_address: '127.0.0.1',
      user_agent: 'loader',
      user_id: 'x'.repeat(100),
      login: database.server.administrator,
    });
  });

  it.each([
    ['a change', 'storage_records', 'UPDATE', `UPDATE llama.storage_records SET metadata = '{"a": 1}'`],
    ['a read', 'storage_records', 'SELECT', `SELECT llama.record_read('storage_records', 'x')`],
    [
      'a data key',
      'data_keys',
      'INSERT',
      `INSERT INTO llama.data_keys (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped)
       VALUES (current_setting('app.current_tenant_id'), gen_random_uuid(), 'index', 'A256GCM', 'local', 'v', '\\x00')`,
    ],
  ])(
    'cuts what a client says too much of, and leaves out what is none, of %s',
    async (_, table, operation, sql) => {
      const said = async (...settings: [string, string, string, string]) => {
        await as(client, 'application_role', tenant, async () => {
          await client.query(
            `SELECT set_config('app.current_user_id', $1, true), set_config('app.user_agent', $2, true),
                  set_config('app.correlation_id', $3, true), set_config('app.client_address', $4, true)`,
            settings,
          );
          await client.query(sql);
        });
        return (await trail(table, operation)).at(-1);
      };
      const agent = `${'é'.repeat(999)}ab`;
      expect(await said('ü'.repeat(101), agent, 'no uuid', '999.0.0.1')).toMatchObject({
        user_id: 'ü'.repeat(100),
        user_agent: `${'é'.repeat(999)}a`,
        correlation_id: null,
        ip_address: '127.0.0.1',
      });
    },
  );

  it('keeps at standard what changed, whole rows that came or went', async () => {
    await application(`UPDATE llama.storage_records SET metadata = '{"a": 1}', confidence_score = 0.5`);
    await application(`DELETE FROM llama.storage_records`);
    const [inserted] = await trail('storage_records', 'INSERT');
    const [updated] = await trail('storage_records', 'UPDATE');
    const [deleted] = await trail('storage_records', 'DELETE');
    expect(inserted?.old_values).toBeNull();
    expect(inserted?.new_values).toMatchObject({ mapped_data: { owner: tenant }, detector_type: 'pii' });
    expect(Object.keys(updated?.old_values ?? {}).sort()).toEqual([
      'confidence_score',
      'metadata',
      'updated_at',
    ]);
    expect(updated?.old_values).toMatchObject({ metadata: {}, confidence_score: 0.9 });
    expect(updated?.new_values).toMatchObject({ metadata: { a: 1 }, confidence_score: 0.5 });
    expect(deleted?.old_values).toMatchObject({ metadata: { a: 1 }, mapped_data: { owner: tenant } });
    expect(deleted?.new_values).toBeNull();
  });

  it('keeps at verbose both whole rows of an update, at minimal no copy of an inserted one', async () => {
    await level('verbose');
    await application(`UPDATE llama.storage_records SET metadata = '{"a": 1}'`);
    const [updated] = await trail('storage_records', 'UPDATE');
    expect(updated?.old_values).toMatchObject({ mapped_data: { owner: tenant }, metadata: {} });
    expect(updated?.new_values).toMatchObject({ mapped_data: { owner: tenant }, metadata: { a: 1 } });

    await level('minimal');
    await application(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       VALUES ($1, 'h', '{"secret": 1}', 'm', 'd')`,
      [tenant],
    );
    const inserted = (await trail('storage_records', 'INSERT')).filter((row) => row.record_id !== record.id);
    expect(inserted).toMatchObject([{ old_values: null, new_values: null }]);
  });

  it('is silent about an update that changes nothing, which leaves updated_at alone too', async () => {
    const before = await application('SELECT updated_at FROM llama.storage_records');
    await application(
      'UPDATE llama.storage_records SET metadata = metadata, confidence_score = confidence_score',
    );
    expect(await trail('storage_records', 'UPDATE')).toEqual([]);
    expect(await application('SELECT updated_at FROM llama.storage_records')).toEqual(before);
    await application(`UPDATE llama.storage_records SET metadata = '{"b": 2}'`);
    expect(await application('SELECT updated_at > created_at AS touched FROM llama.storage_records')).toEqual(
      [{ touched: true }],
    );
  });

  it('records a row that moves to another month as a delete and an insert of one record', async () => {
    await rowsAs(
      client,
      'admin_role',
      undefined,
      `UPDATE llama.storage_records SET "timestamp" = "timestamp" + interval '35 days' WHERE id = $1`,
      [record.id],
    );
    const inserted = await trail('storage_records', 'INSERT');
    const deleted = await trail('storage_records', 'DELETE');
    expect(deleted.map((row) => [row.record_id, row.record_timestamp])).toEqual([
      [record.id, record.timestamp],
    ]);
    expect(inserted.map((row) => row.record_id)).toEqual([record.id, record.id]);
    expect(await trail('storage_records', 'UPDATE')).toEqual([]);
  });

  it("shows neither tenant the other's side when a record changes its tenant", async () => {
    const heir = `${tenant}-heir`;
    await rowsAs(
      client,
      'admin_role',
      undefined,
      'UPDATE llama.storage_records SET tenant_id = $2 WHERE id = $1',
      [record.id, heir],
    );
    const of = (name: string) =>
      rowsAs(
        client,
        'application_role',
        name,
        `SELECT operation, old_values, new_values FROM llama.audit_trail WHERE table_name = 'storage_records'`,
      );
    const mine = await of(tenant);
    const theirs = await of(heir);
    expect(mine.map((row) => row.operation).sort()).toEqual(['DELETE', 'INSERT']);
    expect(theirs.map((row) => row.operation)).toEqual(['INSERT']);
    expect(JSON.stringify(mine)).not.toContain(heir);
    expect(theirs[0]?.old_values).toBeNull();
  });

  it('keeps of a retention delete the key and a hash, not the content', async () => {
    await rowsAs(
      client,
      'admin_role',
      undefined,
      'UPDATE llama.tenant_configs SET storage_retention_days = 0 WHERE tenant_id = $1',
      [tenant],
    );
    const [row] = await rowsAs<{ content: string }>(
      client,
      'admin_role',
      undefined,
      `SELECT to_jsonb(r)::text AS content FROM llama.storage_records r WHERE id = $1`,
      [record.id],
    );
    const session = await database.connect();
    await session.query(`SET timezone = 'Asia/Tokyo'`);
    const erased = await rowsAs<{ n: number }>(
      session,
      'maintenance_role',
      undefined,
      'SELECT llama.apply_retention() AS n',
    );
    expect(erased).toEqual([{ n: 1 }]);
    expect(await trail('storage_records', 'DELETE')).toMatchObject([
      {
        record_id: record.id,
        record_timestamp: record.timestamp,
        old_values: null,
        new_values: null,
        content_hash: createHash('sha256').update(String(row?.content)).digest('hex'),
      },
    ]);
  });

  it('does not let the application pass its own delete off as an erasure', async () => {
    await as(client, 'application_role', tenant, async () => {
      await client.query(`SELECT set_config('app.audit_reason', 'erase', true)`);
      await client.query('DELETE FROM llama.storage_records');
    });
    expect(await trail('storage_records', 'DELETE')).toMatchObject([
      { content_hash: null, old_values: { id: record.id } },
    ]);
  });

  it('takes a read that the application reports, for its own tenant only', async () => {
    await application(`SELECT llama.record_read('storage_records', $1, $2)`, [record.id, record.timestamp]);
    expect(await trail('storage_records', 'SELECT')).toMatchObject([
      {
        record_id: record.id,
        record_timestamp: record.timestamp,
        old_values: null,
        new_values: null,
        tenant_id: tenant,
      },
    ]);
    for (const table of tenantTables) {
      await application(`SELECT llama.record_read('${table}', 'x')`);
      expect(await trail(table, 'SELECT'), table).not.toEqual([]);
    }
    const { rows } = await client.query<{ leaf: string }>(
      `SELECT to_char(now() AT TIME ZONE 'UTC', '"storage_records_y"YYYY"m"MM') AS leaf`,
    );
    for (const other of ['pg_authid', 'partitioned_tables', 'tenant_performance', rows[0]?.leaf, null]) {
      await expect(application('SELECT llama.record_read($1, $2)', [other, 'x'])).rejects.toMatchObject({
        code: '22023',
      });
    }
    await expect(
      rowsAs(client, 'application_role', '', `SELECT llama.record_read('storage_records', 'x')`),
    ).rejects.toMatchObject({ code: '22023', message: expect.stringContaining('no tenant') });
  });

  it.each(['application_role', 'admin_role', 'analytics_role', 'maintenance_role', 'audit_writer'] as const)(
    'is out of reach of changes by %s',
    async (role) => {
      for (const statement of [
        `UPDATE llama.audit_trail SET operation = 'SELECT'`,
        'DELETE FROM llama.audit_trail',
        'TRUNCATE llama.audit_trail',
        'ALTER TABLE llama.storage_records DISABLE TRIGGER ALL',
      ]) {
        await expect(rowsAs(client, role, tenant, statement), statement).rejects.toMatchObject({
          code: '42501',
        });
      }
    },
  );

  it('refuses even its owner, through the table and through a leaf', async () => {
    const leaf = `llama.audit_trail_y${record.timestamp.toISOString().slice(0, 7).replace('-', 'm')}`;
    await as(client, 'llama_owner', undefined, () =>
      client.query('CREATE POLICY slip ON llama.audit_trail TO llama_owner USING (true)'),
    );
    for (const statement of [
      `UPDATE llama.audit_trail SET operation = 'SELECT'`,
      'DELETE FROM llama.audit_trail',
      'TRUNCATE llama.audit_trail',
      `TRUNCATE ${leaf}`,
      `ALTER TABLE ${leaf} NO FORCE ROW LEVEL SECURITY; DELETE FROM ${leaf}`,
    ]) {
      await expect(rowsAs(client, 'llama_owner', tenant, statement), statement).rejects.toMatchObject({
        code: '42501',
        message: expect.stringContaining('append-only'),
      });
    }
    await as(client, 'llama_owner', undefined, () => client.query('DROP POLICY slip ON llama.audit_trail'));
  });
});

describe('the backup status of a record', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let record: { id: string; timestamp: Date };

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
    record = await plant(client, 'alpha');
  });
  afterAll(() => database.drop());

  const report = (tenant: string, status: string | null, blob: string | null) =>
    rowsAs(client, 'application_role', tenant, 'SELECT llama.set_backup_status($1, $2, $3, $4)', [
      record.id,
      record.timestamp,
      status,
      blob,
    ]);

  it('follows what the export reports, leaves a trail, and never completes without a blob', async () => {
    await expect(report('alpha', 'completed', null)).rejects.toMatchObject({ code: 'P0002' });
    await report('alpha', 'failed', null);
    await report('alpha', 'completed', 'records/1.json');
    const [row] = await rowsAs(
      client,
      'application_role',
      'alpha',
      'SELECT backup_status, s3_key FROM llama.storage_records',
    );
    expect(row).toEqual({ backup_status: 'completed', s3_key: 'records/1.json' });
    const trail = await rowsAs(
      client,
      'application_role',
      'alpha',
      `SELECT new_values->>'backup_status' AS status FROM llama.audit_trail WHERE operation = 'UPDATE' AND table_name = 'storage_records' ORDER BY "timestamp"`,
    );
    expect(trail).toEqual([{ status: 'failed' }, { status: 'completed' }]);
  });

  it('cannot be set by another tenant, without one, or to something else', async () => {
    await expect(report('beta', 'failed', null)).rejects.toMatchObject({ code: 'P0002' });
    await expect(report('', 'failed', null)).rejects.toMatchObject({ code: '22023' });
    await expect(report('alpha', 'lost', null)).rejects.toMatchObject({ code: '22023' });
    await expect(report('alpha', null, null)).rejects.toMatchObject({ code: '22023' });
  });
});
