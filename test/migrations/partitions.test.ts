import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { as, migratedDatabase, rowsAs } from './tenants.ts';

describe('monthly partitions', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
  });
  afterAll(() => database.drop());

  const create = (table: string | null, date: string | null, on = client) =>
    as(on, 'llama_owner', undefined, () =>
      on.query('SELECT llama.create_monthly_partition($1, $2)', [table, date]),
    );

  async function bounds(table: string): Promise<{ leaf: string; bounds: string }[]> {
    await client.query(`SET timezone = 'UTC'`);
    const { rows } = await client.query<{ leaf: string; bounds: string }>(
      `SELECT c.relname AS leaf, pg_get_expr(c.relpartbound, c.oid) AS bounds
         FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass ORDER BY 1`,
      [`llama.${table}`],
    );
    return rows;
  }

  /** The registry as migrations fill it: a partitioned table has its row here. */
  const registered = [
    { table_name: 'audit_trail', months_ahead: 3, retention_days: 400, append_only: true },
    { table_name: 'detector_executions', months_ahead: 3, retention_days: 90, append_only: false },
    { table_name: 'model_metrics', months_ahead: 3, retention_days: 90, append_only: false },
    { table_name: 'storage_records', months_ahead: 3, retention_days: 400, append_only: false },
  ];

  it('exist for last month, this month and three ahead, in UTC, on the tables of the registry', async () => {
    const known = await rowsAs(
      client,
      'maintenance_owner',
      undefined,
      'SELECT * FROM llama.partitioned_tables ORDER BY 1',
    );
    expect(known).toEqual(registered);
    const now = new Date();
    const month = (n: number) =>
      new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + n, 1)).toISOString();
    for (const { table_name: table } of known) {
      expect(await bounds(table)).toEqual(
        [-1, 0, 1, 2, 3].map((n) => ({
          leaf: `${table}_y${month(n).slice(0, 4)}m${month(n).slice(5, 7)}`,
          bounds: `FOR VALUES FROM ('${month(n).slice(0, 10)} 00:00:00+00') TO ('${month(n + 1).slice(0, 10)} 00:00:00+00')`,
        })),
      );
    }
  });

  it('have bounds in UTC whatever the time zone and date style of the session, over the turn of a year', async () => {
    for (const [zone, style, date] of [
      ['America/New_York', 'SQL, DMY', '2035-11-01'],
      ['Pacific/Kiritimati', 'German', '2035-12-31'],
      ['Asia/Kolkata', 'ISO', '2036-01-15'],
      ['UTC', 'Postgres', '2036-02-29'],
    ] as const) {
      const session = await database.connect();
      await session.query(`SET timezone = '${zone}'`);
      await session.query(`SET datestyle = '${style}'`);
      await as(session, 'llama_owner', undefined, () =>
        session.query(
          `SELECT llama.create_monthly_partition('model_metrics', make_date(${date.split('-').map(Number).join(', ')}))`,
        ),
      );
      const after = await session.query<{ zone: string }>(`SELECT current_setting('timezone') AS zone`);
      expect(after.rows).toEqual([{ zone }]);
      await session.end();
    }
    const made = (await bounds('model_metrics')).filter(({ leaf }) => /y203[56]/.test(leaf));
    expect(made).toEqual([
      {
        leaf: 'model_metrics_y2035m11',
        bounds: "FOR VALUES FROM ('2035-11-01 00:00:00+00') TO ('2035-12-01 00:00:00+00')",
      },
      {
        leaf: 'model_metrics_y2035m12',
        bounds: "FOR VALUES FROM ('2035-12-01 00:00:00+00') TO ('2036-01-01 00:00:00+00')",
      },
      {
        leaf: 'model_metrics_y2036m01',
        bounds: "FOR VALUES FROM ('2036-01-01 00:00:00+00') TO ('2036-02-01 00:00:00+00')",
      },
      {
        leaf: 'model_metrics_y2036m02',
        bounds: "FOR VALUES FROM ('2036-02-01 00:00:00+00') TO ('2036-03-01 00:00:00+00')",
      },
    ]);
  });

  it('take the last microsecond of December and the first of January apart', async () => {
    const { rows } = await as(client, 'admin_role', undefined, () =>
      client.query(
        `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value, "timestamp")
         VALUES ('t', 'm', 'x', 1, '2035-12-31 23:59:59.999999+00'), ('t', 'm', 'x', 1, '2035-12-31 19:00:00-05')
         RETURNING tableoid::regclass::text AS leaf`,
      ),
    );
    expect(rows).toEqual([
      { leaf: 'llama.model_metrics_y2035m12' },
      { leaf: 'llama.model_metrics_y2036m01' },
    ]);
  });

  it('are made once, however often and from however many sessions at once', async () => {
    const sessions = await Promise.all([1, 2, 3, 4].map(() => database.connect()));
    await Promise.all(sessions.map((session) => create('storage_records', '2037-01-01', session)));
    await create('storage_records', '2037-01-31');
    expect((await bounds('storage_records')).filter(({ leaf }) => leaf.includes('y2037'))).toHaveLength(1);
  });

  it('look like their parent: columns, defaults, checks and triggers, and no check of their own', async () => {
    const constraints = await client.query(
      `SELECT conname, pg_get_constraintdef(oid) AS definition FROM pg_constraint
        WHERE contype = 'c' AND conrelid = 'llama.storage_records_y2037m01'::regclass
       EXCEPT
       SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'llama.storage_records'::regclass`,
    );
    expect(constraints.rows).toEqual([]);
    const { rows } = await client.query<{ tgname: string }>(
      `SELECT tgname FROM pg_trigger WHERE tgrelid = 'llama.storage_records_y2037m01'::regclass AND tgenabled = 'O' ORDER BY 1`,
    );
    expect(rows.map((row) => row.tgname)).toEqual([
      'guard_sealed',
      'guard_sealed_update',
      'guard_size',
      'refuse_leaf_write',
      'touch_updated_at',
      'write_audit_of_move',
    ]);
  });

  it.each([
    ['tenant_configs', '2037-01-01', '22023'],
    ['pg_class', '2037-01-01', '22023'],
    ['storage_records; DROP TABLE llama.storage_records', '2037-01-01', '22023'],
    [null, '2037-01-01', '22023'],
    ['storage_records', null, '22023'],
    ['storage_records', 'infinity', '22023'],
    ['storage_records', '1969-12-01', '22023'],
  ])('are refused for table %s and date %s', async (table, date, code) => {
    await expect(create(table, date)).rejects.toMatchObject({ code });
  });

  it('are not taken for present when the name belongs to a detached table or to another month', async () => {
    await as(client, 'llama_owner', undefined, () =>
      client.query(`CREATE TABLE llama.storage_records_y2038m01 (LIKE llama.storage_records)`),
    );
    await expect(create('storage_records', '2038-01-01')).rejects.toMatchObject({
      code: '42P07',
      message: expect.stringContaining('not a partition'),
    });
    await as(client, 'llama_owner', undefined, async () => {
      await client.query('DROP TABLE llama.storage_records_y2038m01');
      await client.query(
        `CREATE TABLE llama.storage_records_y2038m01 PARTITION OF llama.storage_records
           FOR VALUES FROM ('2038-01-01 05:00:00+00') TO ('2038-02-01 05:00:00+00')`,
      );
    });
    await expect(create('storage_records', '2038-01-01')).rejects.toMatchObject({ code: '42P17' });
  });

  it('appear without making readers or writers of the table wait', async () => {
    const busy = await database.connect();
    await busy.query('BEGIN');
    await busy.query('SET LOCAL ROLE admin_role');
    await busy.query(
      `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success) VALUES ('t', 'd', 1, true)`,
    );
    // The writer's transaction is open: a lock that conflicts with it would time out here.
    await create('detector_executions', '2039-01-01');
    const maker = await database.connect();
    await maker.query('BEGIN');
    await maker.query('SET LOCAL ROLE llama_owner');
    await maker.query(`SELECT llama.create_monthly_partition('detector_executions', '2039-02-01')`);
    // And the maker's is: the writer goes on.
    await busy.query(`SET LOCAL lock_timeout = '200ms'`);
    await busy.query(
      `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success) VALUES ('t', 'd', 2, true)`,
    );
    await busy.query('COMMIT');
    await maker.query('ROLLBACK');
  });

  it('are made ahead by one call, which says how many were missing', async () => {
    const ahead = () =>
      rowsAs(client, 'maintenance_role', undefined, 'SELECT llama.create_partitions_ahead() AS made');
    expect(await ahead()).toEqual([{ made: 0 }]);
    await as(client, 'llama_owner', undefined, () =>
      client.query('UPDATE llama.partitioned_tables SET months_ahead = 5'),
    );
    expect(await ahead()).toEqual([{ made: 2 * registered.length }]);
    expect(await ahead()).toEqual([{ made: 0 }]);
  });

  it('past retention are named, and counted as protected while a tenant keeps rows in them', async () => {
    for (const table of ['storage_records', 'model_metrics', 'audit_trail']) {
      await create(table, '2024-01-01');
      await create(table, '2024-02-01');
    }
    await as(client, 'admin_role', undefined, async () => {
      await client.query(
        `INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ('keeper', 36500), ('forever', NULL), ('brief', 90)`,
      );
      for (const [tenant, day] of [
        ['keeper', '2024-01-31 23:30:00+00'],
        ['forever', '2024-01-10 00:00:00+00'],
        ['brief', '2024-02-10 00:00:00+00'],
      ]) {
        await client.query(
          `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
           VALUES ($1, 'h', '{}', 'm', 'd', $2)`,
          [tenant, day],
        );
      }
    });
    const session = await database.connect();
    await session.query(`SET timezone = 'Asia/Tokyo'`);
    const past = await rowsAs(
      session,
      'llama_owner',
      undefined,
      `SELECT partition_name, upper_bound, protected_by::int FROM llama.partitions_past_retention()
        WHERE table_name <> 'detector_executions'`,
    );
    const february = new Date('2024-02-01T00:00:00Z');
    const march = new Date('2024-03-01T00:00:00Z');
    expect(past).toEqual([
      { partition_name: 'audit_trail_y2024m01', upper_bound: february, protected_by: 0 },
      { partition_name: 'audit_trail_y2024m02', upper_bound: march, protected_by: 0 },
      { partition_name: 'model_metrics_y2024m01', upper_bound: february, protected_by: 0 },
      { partition_name: 'model_metrics_y2024m02', upper_bound: march, protected_by: 0 },
      { partition_name: 'storage_records_y2024m01', upper_bound: february, protected_by: 2 },
      { partition_name: 'storage_records_y2024m02', upper_bound: march, protected_by: 0 },
    ]);
  });

  it('get statistics on the parent, which autovacuum never gives them', async () => {
    const count = async () =>
      (
        await client.query<{ reltuples: number }>(
          `SELECT reltuples FROM pg_class WHERE oid = 'llama.model_metrics'::regclass`,
        )
      ).rows;
    expect(await count()).toEqual([{ reltuples: -1 }]);
    await rowsAs(client, 'maintenance_role', undefined, 'SELECT llama.analyze_partitioned_tables()');
    expect(await count()).toEqual([{ reltuples: 2 }]);
  });
});
