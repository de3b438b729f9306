import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { randomName, type TestDatabase } from '../support/postgres.ts';
import { isGranted, sampleInsert, tenantTables as tables } from '../support/tables.ts';
import { as, migratedDatabase, plant, plantOthers, rowsAs } from './tenants.ts';

const refused = { code: '42501' };

describe('isolation of tenants', () => {
  let database: TestDatabase;
  let client: pg.Client;
  let other: { id: string; timestamp: Date };

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
    await plant(client, 'alpha');
    other = await plant(client, 'beta');
    for (const tenant of ['alpha', 'beta']) await plantOthers(client, tenant);
    await as(client, 'maintenance_role', undefined, () =>
      client.query('SELECT llama.refresh_performance_views()'),
    );
  });
  afterAll(() => database.drop());

  it.each([...tables, 'tenant_performance'])(
    'shows the application role only its tenant in %s',
    async (table) => {
      const seen = await rowsAs(
        client,
        'application_role',
        'alpha',
        `SELECT DISTINCT tenant_id FROM llama.${table}`,
      );
      expect(seen).toEqual([{ tenant_id: 'alpha' }]);
    },
  );

  it.each([...tables, 'tenant_performance'])(
    'shows nothing in %s without a tenant, or with an empty one',
    async (table) => {
      const count = `SELECT count(*)::int AS n FROM llama.${table}`;
      expect(await rowsAs(client, 'application_role', '', count)).toEqual([{ n: 0 }]);
      const fresh = await database.connect();
      expect(await rowsAs(fresh, 'application_role', undefined, count)).toEqual([{ n: 0 }]);
      await rowsAs(fresh, 'application_role', 'alpha', count);
      // The setting of the transaction before is '' now, not unset.
      expect(await rowsAs(fresh, 'application_role', undefined, count)).toEqual([{ n: 0 }]);
      await fresh.end();
    },
  );

  it('holds for a login that is only a member of the application role', async () => {
    const user = randomName('app');
    const password = randomBytes(12).toString('hex');
    await client.query(`CREATE ROLE ${user} LOGIN PASSWORD '${password}'`);
    await client.query(`GRANT application_role TO ${user}`);
    try {
      const login = await database.connect({ user, password });
      await login.query('BEGIN');
      await login.query(`SELECT llama.set_tenant_context('alpha', 'ann')`);
      for (const table of tables) {
        const { rows } = await login.query(`SELECT DISTINCT tenant_id FROM llama.${table}`);
        expect(rows, table).toEqual([{ tenant_id: 'alpha' }]);
      }
      await login.query('COMMIT');
      const { rows } = await login.query('SELECT count(*)::int AS n FROM llama.storage_records');
      expect(rows).toEqual([{ n: 0 }]);
      await expect(login.query('CREATE TEMPORARY TABLE storage_records (id int)')).rejects.toMatchObject(
        refused,
      );
      await login.end();
    } finally {
      await client.query(`DROP ROLE ${user}`);
    }
  });

  const insertions: Record<string, string> = {
    storage_records: `(tenant_id, source_data_hash, mapped_data, model_version, detector_type) VALUES ('beta', 'h', '{}', 'm', 'd')`,
    model_metrics: `(tenant_id, model_version, metric_type, metric_value) VALUES ('beta', 'm', 't', 1)`,
    detector_executions: `(tenant_id, detector_type, execution_time_ms, success) VALUES ('beta', 'd', 1, true)`,
    tenant_configs: `(tenant_id) VALUES ('gamma')`,
    audit_trail: `(tenant_id, table_name, operation, record_key) VALUES ('alpha', 'storage_records', 'INSERT', 'x')`,
  };
  it.each(Object.entries(insertions))(
    'refuses a row for another tenant, or a forged one, in %s',
    async (table, row) => {
      await expect(
        rowsAs(client, 'application_role', 'alpha', `INSERT INTO llama.${table} ${row}`),
      ).rejects.toMatchObject(refused);
    },
  );

  it.each(tables)('refuses a made-up row for another tenant in %s', async (table) => {
    await expect(
      rowsAs(client, 'application_role', 'alpha', sampleInsert(table, 'delta', 'application_role')),
    ).rejects.toMatchObject(refused);
  });

  it('changes and deletes nothing of another tenant', async () => {
    const statements = [
      `UPDATE llama.storage_records SET metadata = '{"x": 1}' WHERE tenant_id = 'beta' RETURNING id`,
      `UPDATE llama.tenant_configs SET confidence_threshold = 0 WHERE tenant_id = 'beta' RETURNING tenant_id`,
      `DELETE FROM llama.storage_records WHERE tenant_id = 'beta' RETURNING id`,
    ];
    for (const statement of statements) {
      expect(await rowsAs(client, 'application_role', 'alpha', statement), statement).toEqual([]);
    }
    expect(
      await rowsAs(
        client,
        'admin_role',
        undefined,
        'SELECT id FROM llama.storage_records WHERE tenant_id = $1',
        ['beta'],
      ),
    ).toEqual([{ id: other.id }]);
  });

  it('does not let a row be handed to another tenant, not even by a role that may write the column', async () => {
    const handOver = () =>
      rowsAs(client, 'application_role', 'alpha', `UPDATE llama.storage_records SET tenant_id = 'beta'`);
    await expect(handOver()).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('permission denied'),
    });
    const owner = (sql: string) => as(client, 'llama_owner', undefined, () => client.query(sql));
    await owner('GRANT UPDATE (tenant_id) ON llama.storage_records TO application_role');
    await expect(handOver()).rejects.toMatchObject({
      ...refused,
      message: expect.stringContaining('row-level security'),
    });
    await owner('REVOKE UPDATE (tenant_id) ON llama.storage_records FROM application_role');
  });

  it('does not reveal by a duplicate key that another tenant has a record', async () => {
    const inserted = await rowsAs(
      client,
      'application_role',
      'alpha',
      `INSERT INTO llama.storage_records (id, "timestamp", tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       VALUES ($1, $2, 'alpha', 'h', '{}', 'm', 'd') RETURNING tenant_id`,
      [other.id, other.timestamp],
    );
    expect(inserted).toEqual([{ tenant_id: 'alpha' }]);
  });

  it('keeps a permissive policy that someone adds later above the floor', async () => {
    await as(client, 'llama_owner', undefined, () =>
      client.query('CREATE POLICY careless ON llama.storage_records FOR SELECT USING (true)'),
    );
    const seen = await rowsAs(
      client,
      'application_role',
      'alpha',
      'SELECT DISTINCT tenant_id FROM llama.storage_records',
    );
    await as(client, 'llama_owner', undefined, () =>
      client.query('DROP POLICY careless ON llama.storage_records'),
    );
    expect(seen).toEqual([{ tenant_id: 'alpha' }]);
  });

  it('closes every leaf to every role, also one made later and under careless default privileges', async () => {
    await as(client, 'llama_owner', undefined, async () => {
      await client.query(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA llama GRANT ALL ON TABLES TO application_role, PUBLIC',
      );
      await client.query(
        `SELECT llama.create_monthly_partition(table_name, '2031-05-01') FROM llama.partitioned_tables`,
      );
      await client.query(
        'ALTER DEFAULT PRIVILEGES IN SCHEMA llama REVOKE ALL ON TABLES FROM application_role, PUBLIC',
      );
    });
    const { rows: leaves } = await client.query<{
      leaf: string;
      grants: number;
      guarded: boolean;
      policies: number;
    }>(
      `SELECT c.oid::regclass::text AS leaf, c.relrowsecurity AND c.relforcerowsecurity AS guarded,
              (SELECT count(*)::int FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner) AS grants,
              (SELECT count(*)::int FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
         FROM pg_class c JOIN pg_inherits i ON i.inhrelid = c.oid
        WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind = 'r'`,
    );
    const { rows: registry } = await client.query<{ tables: number }>(
      `SELECT count(*)::int AS tables FROM pg_class WHERE relnamespace = 'llama'::regnamespace AND relkind = 'p'`,
    );
    expect(leaves).toHaveLength(6 * (registry[0]?.tables ?? 0));
    expect(leaves.length).toBeGreaterThanOrEqual(24);
    for (const leaf of leaves) expect(leaf).toMatchObject({ grants: 0, guarded: true, policies: 0 });
    for (const role of ['application_role', 'admin_role', 'analytics_role', 'maintenance_role'] as const) {
      for (const { leaf } of leaves) {
        await expect(rowsAs(client, role, 'alpha', `SELECT * FROM ${leaf}`), leaf).rejects.toMatchObject(
          refused,
        );
      }
    }
  });

  it('leaves even a granted leaf empty for every reader', async () => {
    const { rows } = await client.query<{ leaf: string }>(
      `SELECT to_char(now() AT TIME ZONE 'UTC', '"llama.storage_records_y"YYYY"m"MM') AS leaf`,
    );
    const leaf = rows[0]?.leaf;
    await as(client, 'llama_owner', undefined, () =>
      client.query(`GRANT SELECT, INSERT ON ${leaf} TO application_role`),
    );
    expect(await rowsAs(client, 'application_role', 'alpha', `SELECT * FROM ${leaf}`)).toEqual([]);
    await expect(
      rowsAs(client, 'application_role', 'alpha', `INSERT INTO ${leaf} ${insertions['storage_records']}`),
    ).rejects.toMatchObject(refused);
    await as(client, 'llama_owner', undefined, () =>
      client.query(`REVOKE ALL ON ${leaf} FROM application_role`),
    );
  });

  it('closes the materialized view to tenants', async () => {
    await expect(
      rowsAs(client, 'application_role', 'alpha', 'SELECT * FROM llama.tenant_performance_summary'),
    ).rejects.toMatchObject(refused);
    const all = await rowsAs(
      client,
      'analytics_role',
      undefined,
      'SELECT DISTINCT tenant_id FROM llama.tenant_performance_summary ORDER BY 1',
    );
    expect(all).toEqual([{ tenant_id: 'alpha' }, { tenant_id: 'beta' }]);
  });

  it('lets the analytics role read all tenants and write nothing', async () => {
    const readable = tables.filter((table) => isGranted(table, 'SELECT', 'analytics_role'));
    expect(readable).toEqual(
      expect.arrayContaining(['storage_records', 'tenant_configs', 'model_metrics', 'detector_executions']),
    );
    for (const table of readable) {
      const seen = await rowsAs(
        client,
        'analytics_role',
        undefined,
        `SELECT DISTINCT tenant_id FROM llama.${table} ORDER BY 1`,
      );
      expect(seen, table).toEqual([{ tenant_id: 'alpha' }, { tenant_id: 'beta' }]);
      await expect(
        rowsAs(client, 'analytics_role', undefined, `DELETE FROM llama.${table}`),
      ).rejects.toMatchObject(refused);
    }
    await rowsAs(
      client,
      'analytics_role',
      undefined,
      'SELECT tenant_id, operation, "timestamp" FROM llama.audit_trail',
    );
    await expect(
      rowsAs(client, 'analytics_role', undefined, 'SELECT new_values FROM llama.audit_trail'),
    ).rejects.toMatchObject(refused);
  });

  it('shows the owner of the tables none of their rows', async () => {
    for (const table of tables) {
      expect(await rowsAs(client, 'llama_owner', 'alpha', `SELECT * FROM llama.${table}`), table).toEqual([]);
    }
  });

  it.each([
    'TRUNCATE llama.storage_records',
    `COPY llama.storage_records FROM STDIN`,
    `UPDATE llama.storage_records SET backup_status = 'completed'`,
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, backup_status)
     VALUES ('alpha', 'h', '{}', 'm', 'd', 'completed')`,
    `UPDATE llama.tenant_configs SET audit_level = 'minimal'`,
    `SELECT * FROM llama.partitioned_tables`,
    `SELECT llama.create_monthly_partition('storage_records', '2031-06-01')`,
    `SELECT llama.apply_retention()`,
    `SELECT llama.refresh_performance_views()`,
    `SELECT llama.encrypt_sensitive_data('x', 'k')`,
    `CREATE TABLE llama.mine (id int)`,
    `CREATE TABLE public.mine (id int)`,
  ])('refuses the application role: %s', async (statement) => {
    await expect(rowsAs(client, 'application_role', 'alpha', statement)).rejects.toMatchObject(refused);
  });

  it('reads one tenant through the index that starts with it', async () => {
    const plan = await as(client, 'application_role', 'alpha', async () => {
      await client.query('SET LOCAL enable_seqscan = off');
      const { rows } = await client.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN SELECT * FROM llama.storage_records WHERE "timestamp" >= '2026-01-01 00:00:00+00'`,
      );
      return rows.map((row) => row['QUERY PLAN']).join('\n');
    });
    expect(plan).toMatch(/Index Cond: .*tenant_id\)::text = (\(InitPlan|\$0)/);
  });
});
