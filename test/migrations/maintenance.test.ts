import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { as, migratedDatabase, plant, rowsAs } from './tenants.ts';

describe('scheduled maintenance', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
    await plant(client, 'alpha');
  });
  afterAll(() => database.drop());

  const maintain = (sql: string) => rowsAs(client, 'maintenance_role', undefined, sql);
  const summary = () =>
    rowsAs(
      client,
      'admin_role',
      undefined,
      'SELECT tenant_id, hour, total_requests::int FROM llama.tenant_performance_summary ORDER BY 1, 2',
    );

  it('runs every scheduled command as it is written, twice, as the login that pg_cron would run it as', async () => {
    const jobs = await maintain('SELECT job_name, schedule, command FROM llama.scheduled_jobs()');
    expect(jobs.map((job) => job.job_name)).toEqual([
      'refresh-performance-views',
      'create-partitions-ahead',
      'seal-audit-trail',
      'apply-retention',
      'analyze-partitioned-tables',
    ]);
    for (const { command, schedule } of jobs) {
      expect(schedule).toMatch(/^(\S+ ){4}\S+$/);
      for (let run = 0; run < 2; run += 1) {
        const session = await database.connect();
        await session.query(command);
        await session.end();
      }
    }
  });

  it('fills the summary at migration and refreshes it afterwards without blocking its readers', async () => {
    await as(client, 'maintenance_owner', undefined, () =>
      client.query('REFRESH MATERIALIZED VIEW llama.tenant_performance_summary WITH NO DATA'),
    );
    await expect(summary()).rejects.toMatchObject({ code: '55000' });
    await maintain('SELECT llama.refresh_performance_views()');
    expect(await summary()).toMatchObject([{ tenant_id: 'alpha', total_requests: 1 }]);

    const reader = await database.connect();
    await reader.query('BEGIN; SET LOCAL ROLE admin_role; SELECT * FROM llama.tenant_performance_summary');
    await plant(client, 'beta');
    await as(client, 'maintenance_role', undefined, async () => {
      await client.query(`SET LOCAL lock_timeout = '2s'`);
      await client.query('SELECT llama.refresh_performance_views()');
    });
    await reader.query('COMMIT');
    expect(await summary()).toMatchObject([{ tenant_id: 'alpha' }, { tenant_id: 'beta' }]);
  });

  it('counts by hours of UTC, whichever role refreshes', async () => {
    const session = await database.connect();
    await session.query(`SET timezone = 'Asia/Kolkata'`);
    await rowsAs(session, 'maintenance_role', undefined, 'SELECT llama.refresh_performance_views()');
    for (const row of await summary()) expect(row.hour.getTime() % 3_600_000).toBe(0);
  });

  it('erases what a tenant no longer keeps, in batches, and nothing else', async () => {
    await as(client, 'admin_role', undefined, async () => {
      await client.query(
        `INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days)
         VALUES ('short', 7), ('long', 3650), ('always', NULL), ('negative', -1)`,
      );
      await client.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
         SELECT tenant, 'h', '{}', 'm', 'd', now() - make_interval(days => days)
           FROM unnest(ARRAY['short', 'long', 'always', 'negative', 'unconfigured']) AS tenant, generate_series(1, 20) AS days
          WHERE now() - make_interval(days => days) >= (date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month') AT TIME ZONE 'UTC'`,
      );
    });
    const counts = () =>
      rowsAs(
        client,
        'admin_role',
        undefined,
        `SELECT tenant_id, count(*)::int AS n FROM llama.storage_records
                                                WHERE source_data_hash = 'h' GROUP BY 1 ORDER BY 1`,
      );
    expect((await counts()).map((row) => row.n)).toEqual([20, 20, 20, 20, 20]);
    const erased: number[] = [];
    for (let n = -1; n !== 0; ) {
      const [row] = await maintain('SELECT llama.apply_retention(5) AS n');
      n = Number(row?.n);
      erased.push(n);
    }
    expect(erased).toEqual([5, 5, 4, 0]);
    expect(await counts()).toEqual([
      { tenant_id: 'always', n: 20 },
      { tenant_id: 'long', n: 20 },
      { tenant_id: 'negative', n: 20 },
      { tenant_id: 'short', n: 6 },
      { tenant_id: 'unconfigured', n: 20 },
    ]);
    await expect(maintain('SELECT llama.apply_retention(0)')).rejects.toMatchObject({ code: '22023' });
  });

  it('passes over a row that somebody holds, and erases it later', async () => {
    await as(client, 'admin_role', undefined, async () => {
      await client.query(
        "INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ('a held', 0), ('b free', 0)",
      );
      await client.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
         VALUES ('a held', 'h', '{}', 'm', 'd'), ('b free', 'h', '{}', 'm', 'd')`,
      );
    });
    const holder = await database.connect();
    await holder.query(
      "BEGIN; SET LOCAL ROLE admin_role; SELECT FROM llama.storage_records WHERE tenant_id = 'a held' FOR UPDATE",
    );
    expect(await maintain('SELECT llama.apply_retention() AS n')).toEqual([{ n: 1 }]);
    expect(await maintain('SELECT llama.apply_retention() AS n')).toEqual([{ n: 0 }]);
    await holder.query('ROLLBACK');
    await holder.end();
    expect(await maintain('SELECT llama.apply_retention() AS n')).toEqual([{ n: 1 }]);
  });

  it('lets the maintenance role change nothing else', async () => {
    for (const statement of [
      `UPDATE llama.storage_records SET mapped_data = '{}'`,
      `INSERT INTO llama.storage_records (tenant_id) VALUES ('x')`,
      'SELECT * FROM llama.audit_trail',
      'SELECT custom_taxonomy_mappings FROM llama.tenant_configs',
      'DELETE FROM llama.model_metrics',
      `UPDATE llama.partitioned_tables SET retention_days = 1`,
    ]) {
      await expect(maintain(statement), statement).rejects.toMatchObject({ code: '42501' });
    }
  });
});
