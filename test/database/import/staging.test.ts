// Duration: 60 s
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { withConnection } from '../../../database/connection.ts';
import { migrationsDirectory } from '../../../database/migrator/files.ts';
import { withLock } from '../../../database/migrator/lock.ts';
import { migrate } from '../../../database/migrator/migrate.ts';
import { resolveTarget } from '../../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { run as runProgram } from '../../commands/run.ts';
import { recordsOf, sourceRows, sourceTables } from './source.ts';

const records = 300;
const replicator = { user: 'replicator', password: 'replicates-0123456789' };

let old: LocalPostgres;
let target: LocalPostgres;
const clients: pg.Client[] = [];
let source: pg.Client;
let staging: pg.Client;
let there: pg.Client;

async function connected(
  server: LocalPostgres,
  who: 'superuser' | 'migrator',
  database: string,
): Promise<pg.Client> {
  const client = new pg.Client(server.connection(who, { database }));
  await client.connect();
  clients.push(client);
  return client;
}

/** Partitioned by month, as the existing server has it; its key must then contain the time. */
const partitioned = sourceTables
  .replace('id uuid PRIMARY KEY DEFAULT gen_random_uuid()', 'id uuid NOT NULL DEFAULT gen_random_uuid()')
  .replace(
    'CHECK (length(tenant_id) > 0));',
    'CHECK (length(tenant_id) > 0)) PARTITION BY RANGE (timestamp);',
  )
  .concat(
    [1, 2, 3, 4, 5, 6]
      .map(
        (n) =>
          `CREATE TABLE storage_records_y2024m0${n} PARTITION OF storage_records FOR VALUES FROM ('2024-0${n}-01Z') TO ('2024-0${n + 1}-01Z');`,
      )
      .join('\n'),
  );

beforeAll(async () => {
  [old, target] = await Promise.all([
    startPostgres({ databases: ['old'], settings: { wal_level: 'replica' } }),
    startPostgres({ databases: ['llama_mapper'] }),
  ]);
  const reporter = { line: () => {}, warn: () => {} };
  await withConnection(await resolveTarget({ url: target.url('migrator') }, {}), { reporter }, (connection) =>
    withLock(connection, { reporter }, () => migrate(connection, { reporter, migrationsDirectory })),
  );
  source = await connected(old, 'superuser', 'old');
  await source.query(`SET timezone = 'UTC'; ${partitioned} ${sourceRows(records)}
    CREATE ROLE replicator LOGIN REPLICATION PASSWORD '${replicator.password}';
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO replicator`);
  there = await connected(target, 'superuser', 'llama_mapper');
}, 180_000);
afterAll(async () => {
  await staging?.query('DROP SUBSCRIPTION IF EXISTS llama_import').catch(() => undefined);
  for (const client of clients) await client.end().catch(() => undefined);
  await Promise.all([old?.stop(), target?.stop()]);
}, 120_000);

const run = async (...args: readonly string[]) => {
  const { code, stdout, stderr } = await runProgram([
    'import',
    '--url',
    target.url('migrator'),
    '--json',
    ...args,
  ]);
  const result: {
    readonly ok: boolean;
    readonly error?: { readonly code: string; readonly why: string };
    readonly publication: string;
    readonly subscription: string;
    readonly tables: readonly { readonly table: string }[];
  } = JSON.parse(stdout);
  return { code, stderr, ...result };
};
const stage = () => run('--stage', '--from', old.url(replicator, { database: 'old' }));

it('carries large data by logical replication, its later changes included', async () => {
  // Each condition of the source is checked before anything is created.
  expect((await stage()).error).toMatchObject({ code: 'import/source-cannot-publish' });
  await source.end();
  clients.splice(clients.indexOf(source), 1);
  await old.restart({ settings: { wal_level: 'logical' } });
  source = await connected(old, 'superuser', 'old');
  await source.query("SET timezone = 'UTC'");
  expect((await stage()).error?.why).toMatch(/storage_records_y2024m01.*no replica identity/);
  await source.query('ALTER TABLE storage_records ADD PRIMARY KEY (id, timestamp)');
  expect((await stage()).error).toMatchObject({ code: 'import/subscription-forbidden' });
  // Only an administrator of the platform can do this.
  await there.query(`GRANT pg_create_subscription TO ${target.administrator}`);

  const staged = await stage();
  expect(staged.code, staged.stderr).toBe(0);
  expect((await stage()).code).toBe(0);
  expect(JSON.stringify(staged)).not.toContain(replicator.password);
  await source.query(staged.publication);

  staging = await connected(target, 'migrator', 'llama_mapper_staging');
  // The copy of this table cannot begin.
  const blocker = await connected(target, 'migrator', 'llama_mapper_staging');
  await blocker.query('BEGIN; LOCK TABLE model_metrics IN SHARE MODE');
  await staging.query(staged.subscription.replace('<password>', replicator.password));
  expect((await run('--from', 'staging')).error).toMatchObject({ code: 'import/staging-not-copied' });
  await blocker.query('ROLLBACK');
  await vi.waitFor(
    async () => {
      const { rows } = await staging.query<{ open: number }>(
        "SELECT count(*)::int AS open FROM pg_subscription_rel WHERE srsubstate <> 'r'",
      );
      expect(rows[0]?.open).toBe(0);
    },
    { timeout: 60_000, interval: 200 },
  );

  const first = await run('--from', 'staging');
  expect(first.code, first.stderr).toBe(0);
  expect(first.tables).toContainEqual(
    expect.objectContaining({ table: 'storage_records', added: records, equal: records }),
  );

  await source.query(`
    UPDATE storage_records SET metadata = '{"changed": true}', encrypted = true WHERE tenant_id = 'acme' AND timestamp < '2024-02-01';
    DELETE FROM storage_records WHERE tenant_id = 'globex' AND timestamp >= '2024-06-01';
    INSERT INTO storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, timestamp)
    VALUES ('late', 'h', '{}', 'm', 'd', '2024-06-30')`);
  // The statement of docs/importing.md: nothing is left to send.
  await vi.waitFor(
    async () => {
      const { rows } = await source.query<{ sent: boolean }>(
        "SELECT bool_and(confirmed_flush_lsn >= pg_current_wal_lsn()) AS sent FROM pg_replication_slots WHERE slot_name = 'llama_import'",
      );
      expect(rows[0]?.sent).toBe(true);
    },
    { timeout: 60_000, interval: 200 },
  );
  const second = await run('--from', 'staging', '--follow');
  expect(second.code, second.stderr).toBe(0);
  expect(await recordsOf(there, 'llama.storage_records')).toEqual(await recordsOf(source, 'storage_records'));
  const compared = await run('--from', old.url(replicator, { database: 'old' }), '--compare');
  expect(compared).toMatchObject({ code: 0, ok: true });
  const { rows } = await there.query('SELECT DISTINCT encrypted FROM llama.storage_records');
  expect(rows).toEqual([{ encrypted: false }]);
}, 240_000);
