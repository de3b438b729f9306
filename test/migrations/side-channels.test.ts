/** Ways to another tenant's rows that are no query of them; what stays open is in docs/isolation.md. */
import { randomBytes, randomUUID } from 'node:crypto';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migratedDatabase, randomName, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let migrator: pg.Client;
let login: { user: string; password: string };
let session: pg.Client;

beforeAll(async () => {
  database = await migratedDatabase();
  migrator = await database.connect();
  login = { user: randomName('app'), password: randomBytes(12).toString('hex') };
  await migrator.query(`CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}'`);
  await migrator.query(`GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`);
  await migrator.query('SET ROLE admin_role');
  for (const [tenant, model, rows] of [
    ['alpha', 'mine', 20],
    ['beta', 'model-of-beta', 2000],
  ] as const)
    await migrator.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       SELECT $1::text, 'hash-of-' || $1::text, '{}', $2::text, 'd' FROM generate_series(1, $3)`,
      [tenant, model, rows],
    );
  await migrator.query('RESET ROLE; SET ROLE llama_owner');
  await migrator.query('ANALYZE llama.storage_records');
  await migrator.query('RESET ROLE');
  session = await database.connect(login);
});
afterAll(async () => {
  await session.end();
  await migrator.query(`DROP ROLE ${login.user}`);
  await database.drop();
});

/** As one request after the other has it in a pooled session. */
async function as<Row extends pg.QueryResultRow = pg.QueryResultRow>(
  tenant: string,
  sql: string,
  values: unknown[] = [],
): Promise<Row[]> {
  await session.query('BEGIN');
  try {
    await session.query('SELECT llama.set_tenant_context($1)', [tenant]);
    const { rows } = await session.query<Row>(sql, values);
    await session.query('COMMIT');
    return rows;
  } catch (error) {
    await session.query('ROLLBACK');
    throw error;
  }
}

const refused = { code: '42501' };

describe('a session that serves one tenant after another', () => {
  it('runs a statement that the driver prepared for one tenant for the other', async () => {
    const seen = { name: 'seen', text: 'SELECT DISTINCT tenant_id FROM llama.storage_records' };
    for (let run = 0; run < 7; run += 1)
      for (const tenant of ['alpha', 'beta']) {
        await session.query('BEGIN');
        await session.query('SELECT llama.set_tenant_context($1)', [tenant]);
        expect((await session.query(seen)).rows).toEqual([{ tenant_id: tenant }]);
        await session.query('COMMIT');
      }
  });

  it('makes no temporary object that could stand in for another', async () => {
    await expect(as('alpha', 'CREATE TEMPORARY TABLE storage_records (a int)')).rejects.toMatchObject(
      refused,
    );
    await expect(
      as('alpha', "CREATE FUNCTION pg_temp.nullif(a text, b text) RETURNS text LANGUAGE sql AS 'SELECT 1'"),
    ).rejects.toMatchObject(refused);
  });

  it('takes no tenant that the tables would cut', async () => {
    await expect(as('a'.repeat(101), 'SELECT 1')).rejects.toMatchObject({ code: '22023' });
    await expect(as(`alpha${' '.repeat(120)}`, 'SELECT 1')).rejects.toMatchObject({ code: '22023' });
  });
});

describe('what the server knows of all tenants', () => {
  it('shows no values from statistics, of tables, expressions or extended ones', async () => {
    for (const view of ['pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs'])
      expect(
        await as('alpha', `SELECT * FROM ${view} WHERE schemaname = 'llama' AND tablename LIKE 'storage%'`),
        view,
      ).toEqual([]);
    for (const catalog of ['pg_statistic', 'pg_statistic_ext_data'])
      await expect(as('alpha', `SELECT * FROM ${catalog}`), catalog).rejects.toMatchObject(refused);
    await expect(
      as('alpha', 'CREATE STATISTICS public.spy ON tenant_id, model_version FROM llama.storage_records'),
    ).rejects.toMatchObject(refused);
  });

  it('shows no value in a plan that is not executed: an estimate for a guess or a range is all there is', async () => {
    const plan = async (condition: string) =>
      (
        await as<{ 'QUERY PLAN': string }>(
          'alpha',
          `EXPLAIN (VERBOSE) SELECT * FROM llama.storage_records WHERE ${condition}`,
        )
      )
        .map((row) => row['QUERY PLAN'])
        .join('\n');
    expect(await plan("model_version > 'a'")).not.toMatch(/model-of-beta|hash-of-beta/);
    const estimate = (text: string) => Number(/rows=(\d+)/.exec(text)?.[1]);
    // Operators that are not leakproof get no help from the statistics of rows that the policies hide.
    expect(estimate(await plan("model_version LIKE '%of-beta'"))).toBeLessThan(300);
    // Leakproof ones do: what docs/isolation.md says stays open. When this fails, it has been closed: say so there.
    expect(estimate(await plan("model_version = 'model-of-beta'"))).toBeGreaterThan(500);
    expect(estimate(await plan("model_version = 'nobody-has-it'"))).toBeLessThan(100);
    expect(estimate(await plan("model_version > 'mode' AND model_version < 'modf'"))).toBeGreaterThan(500);
    expect(estimate(await plan("model_version > 'modf' AND model_version < 'modg'"))).toBeLessThan(100);
  });

  it('counts nothing of other tenants when a plan is executed', async () => {
    const rows = await as<{ 'QUERY PLAN': string }>(
      'alpha',
      `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM llama.storage_records WHERE tenant_id = 'beta'`,
    );
    const text = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(text).not.toMatch(/actual rows=[1-9]\d/);
    expect(text).not.toMatch(/Removed by Filter: \d{3,}/);
  });

  // docs/isolation.md lists this channel as open. If the test fails, the channel is closed: correct the page.
  it('reveals the number of hidden rows that an executed plan visited, also in a range of an index across tenants', async () => {
    const removed = async (condition: string) => {
      await session.query("BEGIN; SELECT llama.set_tenant_context('alpha')");
      await session.query(
        'SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off',
      );
      const { rows } = await session.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT * FROM llama.storage_records
          WHERE ${condition} ORDER BY model_version, "timestamp" DESC`,
      );
      await session.query('COMMIT');
      const text = rows.map((row) => row['QUERY PLAN']).join('\n');
      return Number(/Removed by Filter: (\d+)/.exec(text)?.[1] ?? 0);
    };
    expect(await removed("model_version > 'mode' AND model_version < 'modf'")).toBe(2000);
    expect(await removed("model_version > 'modf' AND model_version < 'modg'")).toBe(0);
  });

  it('shows no statement of another login', async () => {
    await migrator.query('SELECT 1 AS statement_of_the_migrator');
    const seen = await as<{ query: string }>('alpha', 'SELECT query FROM pg_stat_activity');
    expect(seen.map(({ query }) => query).join()).not.toContain('statement_of_the_migrator');
    await expect(as('alpha', 'SELECT * FROM extensions.pg_stat_statements')).rejects.toMatchObject(refused);
  });
});

describe('a function with more rights than its caller', () => {
  it("exists for the application three times, each limited to the transaction's tenant", async () => {
    const found = await as(
      'alpha',
      `SELECT p.proname AS name FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.prosecdef AND has_function_privilege(p.oid, 'EXECUTE') AND has_schema_privilege(n.oid, 'USAGE') ORDER BY 1`,
    );
    expect(found).toEqual([{ name: 'find_records' }, { name: 'record_read' }, { name: 'set_backup_status' }]);
  });

  it("gives the same answer about another tenant's record as about a missing one", async () => {
    await migrator.query('SET ROLE admin_role');
    const { rows } = await migrator.query<{ id: string; at: string }>(
      `SELECT id, "timestamp"::text AS at FROM llama.storage_records WHERE tenant_id = 'beta' LIMIT 1`,
    );
    await migrator.query('RESET ROLE');
    const set = (id: string) =>
      as('alpha', "SELECT llama.set_backup_status($1, $2, 'failed')", [id, rows[0]?.at]).catch(
        (error: { code: string; message: string }) => `${error.code} ${error.message.replace(id, 'ID')}`,
      );
    const [theirs, nobodys] = [await set(rows[0]?.id ?? ''), await set(randomUUID())];
    expect(theirs).toBe(nobodys);
    expect(theirs).toContain('P0002');
  });
});

describe('what is no table', () => {
  it.each([
    ['another role', 'SET ROLE admin_role'],
    ['the owner', 'SET ROLE llama_owner'],
    ['the group role itself', 'SET ROLE application_role'],
    ['policies switched off', 'SET LOCAL row_security = off; SELECT count(*) FROM llama.storage_records'],
    ['TRUNCATE', 'TRUNCATE llama.storage_records'],
    [
      'a partition by name',
      `SELECT count(*) FROM llama.storage_records_${new Date()
        .toISOString()
        .slice(0, 7)
        .replace(/(\d+)-(\d+)/, 'y$1m$2')}`,
    ],
    ['COPY FROM', 'COPY llama.storage_records (tenant_id) FROM STDIN'],
    ['a replication slot', "SELECT pg_create_logical_replication_slot('spy', 'pgoutput')"],
    ['a file of the server', "SELECT pg_read_file('postgresql.conf')"],
    ['large objects of the catalog', 'SELECT * FROM pg_largeobject'],
    ['a table in public', 'CREATE TABLE public.copy AS SELECT * FROM llama.storage_records'],
  ])('is closed: %s', async (_, sql) => {
    await expect(as('alpha', sql)).rejects.toMatchObject({
      code: expect.stringMatching(/^(42501|0A000|55000)$/),
    });
  });

  it('gives whole schemas as XML only as the tenant sees them', async () => {
    const rows = await as<{ xml: string }>(
      'alpha',
      "SELECT query_to_xml('SELECT DISTINCT tenant_id FROM llama.storage_records', true, false, '')::text AS xml",
    );
    expect(rows[0]?.xml).toContain('alpha');
    expect(rows[0]?.xml).not.toContain('beta');
  });
});
