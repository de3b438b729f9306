import type pg from 'pg';
import { freshDatabase, type TestDatabase } from '../support/postgres.ts';
import { otherTables, sampleInsert } from '../support/tables.ts';
import { migrate } from './apply.ts';

export type Role =
  | 'application_role'
  | 'admin_role'
  | 'analytics_role'
  | 'maintenance_role'
  | 'maintenance_owner'
  | 'audit_writer'
  | 'audit_sealer'
  | 'llama_owner';

/** A database with every migration applied. */
export async function migratedDatabase(): Promise<{ database: TestDatabase; client: pg.Client }> {
  const database = await freshDatabase();
  const client = await database.connect();
  await migrate(client);
  return { database, client };
}

/** Runs `work` in a transaction of `role` with the tenant set; what it did is kept. */
export async function as<Result>(
  client: pg.Client,
  role: Role,
  tenant: string | undefined,
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query('BEGIN');
  try {
    await client.query(`SET LOCAL ROLE ${role}`);
    if (tenant !== undefined) {
      await client.query("SELECT set_config('app.current_tenant_id', $1, true)", [tenant]);
    }
    const result = await work();
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** One statement as `role`; an empty result and a refusal are different things to a test. */
export async function rowsAs<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  client: pg.Client,
  role: Role,
  tenant: string | undefined,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return as(client, role, tenant, async () => (await client.query<Row>(sql, values)).rows);
}

/** A row in every table but the audit trail, which the triggers fill. */
export async function plant(client: pg.Client, tenant: string): Promise<{ id: string; timestamp: Date }> {
  return as(client, 'admin_role', undefined, async () => {
    await client.query(
      `INSERT INTO llama.tenant_configs (tenant_id, detector_whitelist) VALUES ($1, '{a}')`,
      [tenant],
    );
    await client.query(
      `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value) VALUES ($1, 'm1', 'f1', 0.5)`,
      [tenant],
    );
    await client.query(
      `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success) VALUES ($1, 'pii', 7, true)`,
      [tenant],
    );
    const { rows } = await client.query<{ id: string; timestamp: Date }>(
      `INSERT INTO llama.storage_records
         (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
       VALUES ($1::varchar, repeat('0', 64), jsonb_build_object('owner', $1::varchar), 'm1', 'pii', 0.9, date_trunc('milliseconds', now()))
       RETURNING id, "timestamp"`,
      [tenant],
    );
    const [row] = rows;
    if (row === undefined) throw new Error('the insert returned no row');
    return row;
  });
}

/** A made-up row in each of `otherTables`. */
export async function plantOthers(client: pg.Client, tenant: string): Promise<void> {
  await as(client, 'admin_role', undefined, async () => {
    for (const table of otherTables) await client.query(sampleInsert(table, tenant, 'admin_role'));
  });
}
