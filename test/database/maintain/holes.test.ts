/** Holes between months, as an outage of maintenance leaves them. */
import type pg from 'pg';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { run } from '../../commands/run.ts';
import { migratedDatabase, type TestDatabase } from '../../support/postgres.ts';

const tables = ['storage_records', 'audit_trail', 'model_metrics', 'detector_executions'];
let database: TestDatabase;
let client: pg.Client;

beforeEach(async () => {
  database = await migratedDatabase();
  client = await database.connect();
});
afterEach(() => database.drop());

async function asOwner(sql: string, values: unknown[] = []) {
  await client.query('SET ROLE llama_owner');
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.query('RESET ROLE');
  }
}

/** First day of the month `offset` months from now, in UTC. */
function monthFromNow(offset: number): string {
  const now = new Date();
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset)).toISOString().slice(0, 10);
}

const leafOf = (table: string, offset: number) => {
  const [year, month] = monthFromNow(offset).split('-');
  return `${table}_y${year}m${month}`;
};

/** The months from now that have a partition. */
async function months(table: string): Promise<readonly number[]> {
  const rows = await asOwner(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = format('llama.%I', $1::text)::regclass`,
    [table],
  );
  const names = new Set(rows.map(({ name }) => name));
  return Array.from({ length: 10 }, (_, place) => place - 5).filter((offset) =>
    names.has(leafOf(table, offset)),
  );
}

/** Leaves three months ago and from then on nothing up to the first month ahead, as after an outage. */
async function outage(): Promise<void> {
  await asOwner('UPDATE llama.partitioned_tables SET retention_days = 400');
  for (const table of tables) {
    await asOwner('SELECT llama.create_monthly_partition($1, $2)', [table, monthFromNow(-3)]);
    for (const offset of [-1, 0, 1]) await asOwner(`DROP TABLE llama.${leafOf(table, offset)}`);
  }
}

it('are filled, by the command and by the job, and verified', async () => {
  await outage();
  const before = await run(['verify', '--url', database.url(), '--only', 'PAR-003']);
  expect(before.code).toBe(1);
  expect(before.stdout).toContain('llama-db maintain');
  const { code, stdout } = await run(['maintain', '--url', database.url()]);
  expect(code).toBe(0);
  for (const table of tables) {
    expect(await months(table)).toEqual([-3, -2, -1, 0, 1, 2, 3]);
    expect(stdout).toContain(`Partition ${leafOf(table, -2)} created`);
  }
  expect((await run(['verify', '--url', database.url(), '--group', 'partitions'])).code).toBe(0);
  for (const table of tables) await asOwner(`DROP TABLE llama.${leafOf(table, -2)}`);
  expect(await asOwner('SELECT llama.create_partitions_ahead() AS made')).toEqual([{ made: tables.length }]);
  expect(await months('audit_trail')).toEqual([-3, -2, -1, 0, 1, 2, 3]);
}, 60_000);

it('that cannot be filled are named, with exit 1, after all others', async () => {
  await outage();
  await asOwner(`CREATE TABLE llama.${leafOf('model_metrics', -2)} (a int)`);
  await asOwner(
    `CREATE TABLE llama.part_of_a_month PARTITION OF llama.storage_records FOR VALUES FROM ('${monthFromNow(-2)}') TO ('${monthFromNow(-2).slice(0, 8)}09')`,
  );
  const { code, stderr } = await run(['maintain', '--url', database.url()]);
  expect(code).toBe(1);
  expect(stderr).toContain('[maintain/month-not-created]');
  expect(stderr).toContain(
    `model_metrics ${monthFromNow(-2).slice(0, 7)}: llama.${leafOf('model_metrics', -2)} exists but is not attached`,
  );
  expect(stderr).toContain(
    `storage_records ${monthFromNow(-2).slice(0, 7)}: llama.part_of_a_month covers a part of it`,
  );
  expect(await months('model_metrics')).toEqual([-3, -1, 0, 1, 2, 3]);
  expect(await months('detector_executions')).toEqual([-3, -2, -1, 0, 1, 2, 3]);
}, 60_000);

it('of the audit trail are not filled where sealed rows have gone', async () => {
  await asOwner('SELECT llama.create_monthly_partition($1, $2)', ['audit_trail', monthFromNow(-3)]);
  await asOwner('SELECT llama.create_monthly_partition($1, $2)', ['audit_trail', monthFromNow(-2)]);
  await database.query(
    'superuser',
    `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp") VALUES ('t', 'storage_records', 'SELECT', '1', '${monthFromNow(-2)}')`,
  );
  for (const _ of [1, 2]) expect((await run(['audit', 'seal', '--url', database.url()])).code).toBe(0);
  await database.query('superuser', `DROP TABLE llama.${leafOf('audit_trail', -2)}`);
  const { code, stderr, stdout } = await run(['maintain', '--url', database.url()]);
  expect(code).toBe(1);
  expect(`${stdout}${stderr}`).toContain('its sealed rows are gone');
  expect(await months('audit_trail')).toEqual([-3, -1, 0, 1, 2, 3]);
}, 60_000);

it('past retention stay, because retention removes empty months', async () => {
  await asOwner('UPDATE llama.partitioned_tables SET retention_days = 90');
  await asOwner("SELECT llama.create_monthly_partition('storage_records', '2023-01-01')");
  await client.query('SET ROLE admin_role');
  await client.query(
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     VALUES ('kept', 'h', '{}', 'm', 'd', '2023-01-10')`,
  );
  await client.query('RESET ROLE');
  expect((await run(['maintain', '--url', database.url()])).code).toBe(0);
  const found = await months('storage_records');
  expect(found).toEqual(expect.arrayContaining([-2, -1, 0, 1, 2, 3]));
  expect(found).not.toContain(-5);
  const again = await run(['maintain', '--url', database.url()]);
  expect(again.stdout).not.toMatch(/created|dropped/);
  expect((await run(['verify', '--url', database.url(), '--only', 'PAR-003'])).code).toBe(0);
}, 60_000);
