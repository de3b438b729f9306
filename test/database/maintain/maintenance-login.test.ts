/** The login that the settings give maintenance_role maintains a database, and may do nothing else. */
import pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../../commands/run.ts';
import { migratedDatabase, randomName, type TestDatabase } from '../../support/postgres.ts';

const old = ['storage_records_y2023m01', 'audit_trail_y2023m01', 'model_metrics_y2023m01'];
let database: TestDatabase;
let owner: pg.Client;
/** The login, as the post-deploy step makes it: it inherits the role, and may not become it. */
let login: string;
let url: string;

beforeEach(async () => {
  database = await migratedDatabase();
  owner = await database.connect();
  login = randomName('maintenance');
  await database.query('superuser', `CREATE ROLE ${login} LOGIN PASSWORD 'maintain'`);
  await database.query(
    'superuser',
    `GRANT maintenance_role TO ${login} WITH ADMIN FALSE, INHERIT TRUE, SET FALSE`,
  );
  const own = new URL(database.url());
  own.username = login;
  own.password = 'maintain';
  url = own.href;
});
afterEach(() => database.drop());

async function as(role: string, sql: string, values: unknown[] = []) {
  await owner.query(`SET ROLE ${role}`);
  try {
    return (await owner.query(sql, values)).rows;
  } finally {
    await owner.query('RESET ROLE');
  }
}

const exists = async (leaf: string) =>
  (await as('llama_owner', "SELECT to_regclass('llama.' || $1) IS NOT NULL AS there", [leaf]))[0]?.there;

it('maintains: months ahead, holes, erasure, seals, removal, statistics, summary', async () => {
  for (const leaf of old) {
    await as('llama_owner', 'SELECT llama.create_monthly_partition($1, $2)', [
      leaf.replace(/_y.*/, ''),
      '2023-01-01',
    ]);
  }
  await as('llama_owner', 'UPDATE llama.partitioned_tables SET months_ahead = months_ahead + 1');
  await as(
    'admin_role',
    "INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ('short', 30)",
  );
  await as(
    'admin_role',
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     VALUES ('short', 'h', '{}', 'm', 'd', '2023-01-10')`,
  );
  const { code, stdout } = await run(['maintain', '--url', url, '--json']);
  expect(code).toBe(0);
  const { actions } = JSON.parse(stdout) as { actions: { step: string; done: string; object: string }[] };
  const done = (what: string) => actions.filter((action) => action.done === what).map(({ object }) => object);
  expect(actions.filter(({ step }) => step === 'months ahead')).toHaveLength(4);
  expect(done('erased')).toEqual(['storage_records']);
  expect(done('sealed')).toEqual(['audit_trail']);
  expect(done('dropped').sort()).toEqual([...old].sort());
  expect(done('analyzed')).toHaveLength(4);
  expect(done('refreshed')).toHaveLength(1);
  for (const leaf of old) expect(await exists(leaf)).toBe(false);
  // The trail explains its own removal, and nothing is left to do.
  expect(await run(['audit', 'verify', '--url', database.url()])).toMatchObject({ code: 0 });
  const again = await run(['maintain', '--url', url, '--json']);
  expect(again.code).toBe(0);
  expect(JSON.parse(again.stdout).actions.map(({ done }: { done: string }) => done)).not.toContain('created');
}, 60_000);

it('leaves a partition that a tenant protects, and rows that are not sealed', async () => {
  await as('llama_owner', "SELECT llama.create_monthly_partition('storage_records', '2023-01-01')");
  await as(
    'admin_role',
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     VALUES ('kept', 'h', '{}', 'm', 'd', '2023-01-10')`,
  );
  const { code, stdout } = await run(['maintain', '--url', url]);
  expect(code).toBe(0);
  expect(stdout).toContain('storage_records_y2023m01 left attached: storage_retention_days of 1 tenant');
  expect(await exists('storage_records_y2023m01')).toBe(true);
});

it('seals the audit trail', async () => {
  await as('admin_role', "INSERT INTO llama.tenant_configs (tenant_id) VALUES ('t')");
  const { code, stdout } = await run(['audit', 'seal', '--url', url]);
  expect(code).toBe(0);
  expect(stdout).toContain('1 row sealed');
});

it('may neither take another role nor read, remove or create anything beyond its work', async () => {
  const client = new pg.Client(url);
  await client.connect();
  const [{ this_month: leaf }] = await as(
    'llama_owner',
    `SELECT 'model_metrics' || to_char(now() AT TIME ZONE 'UTC', '"_y"YYYY"m"MM') AS this_month`,
  );
  try {
    for (const sql of [
      'SET ROLE maintenance_role',
      'SET ROLE llama_owner',
      'SELECT * FROM llama.audit_trail',
      'SELECT * FROM llama.storage_records',
      'SELECT wrapped FROM llama.data_keys',
      'UPDATE llama.partitioned_tables SET retention_days = 1',
      "SELECT llama.create_monthly_partition('model_metrics', '2020-01-01')",
      "SELECT llama.close_audit_partition('2023-01-01')",
      `SELECT llama.remove_partition_past_retention('model_metrics', '${leaf}')`,
      'DROP TABLE llama.model_metrics',
    ]) {
      await expect(client.query(sql), sql).rejects.toThrow(
        /permission denied|must be owner|not a partition .* past its retention/,
      );
    }
    const { rows } = await client.query(
      "SELECT llama.create_missing_partition('model_metrics', '2020-01-01') AS made",
    );
    expect(rows).toEqual([{ made: false }]);
  } finally {
    await client.end();
  }
});

it('refuses what only the owner may do, and a login without the role', async () => {
  const kept = await run(['maintain', '--url', url, '--keep-detached']);
  expect(kept).toMatchObject({ code: 2 });
  expect(kept.stderr).toContain('[maintain/owner-needed]');
  await database.query('superuser', `REVOKE maintenance_role FROM ${login}`);
  for (const command of [['maintain'], ['audit', 'seal']]) {
    const { code, stderr } = await run([...command, '--url', url]);
    expect(code).not.toBe(0);
    expect(stderr).toContain('[maintain/role-not-held]');
  }
});
