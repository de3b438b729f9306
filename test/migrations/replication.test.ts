// Duration: 40 s
import type pg from 'pg';
import pgClient from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';

/** Rows that a subscription applies: the apply worker fires no trigger of statements, and only ALWAYS and REPLICA ones of rows. */
describe('logical replication into an audited table', () => {
  let server: LocalPostgres;
  let source: pg.Client;
  let target: pg.Client;

  beforeAll(async () => {
    server = await startPostgres({
      databases: ['llama_mapper', 'source'],
      settings: { wal_level: 'logical' },
    });
    const reporter = { line: () => {}, warn: () => {} };
    const migrated = await resolveTarget({ url: server.url('migrator') }, {});
    await withConnection(migrated, { reporter }, (connection) =>
      withLock(connection, { reporter }, () => migrate(connection, { reporter, migrationsDirectory })),
    );
    const connected = async (database: string) => {
      const client = new pgClient.Client(server.connection('superuser', { database }));
      await client.connect();
      return client;
    };
    source = await connected('source');
    target = await connected('llama_mapper');
    await source.query(`CREATE SCHEMA llama; CREATE TABLE llama.storage_records (
      id uuid NOT NULL DEFAULT gen_random_uuid(), tenant_id varchar(100) NOT NULL, source_data_hash varchar(64) NOT NULL,
      mapped_data jsonb NOT NULL, model_version varchar(100) NOT NULL, detector_type varchar(50) NOT NULL,
      "timestamp" timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (tenant_id, id, "timestamp"));
      INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
      VALUES ('moved', 'one', '{}', 'm', 'd')`);
    await source.query('CREATE PUBLICATION everything FOR TABLE llama.storage_records');
    await source.query("SELECT pg_create_logical_replication_slot('moving', 'pgoutput')");
    await target.query(
      `CREATE SUBSCRIPTION moving CONNECTION '${server
        .url('superuser', { database: 'source' })
        .replaceAll("'", "''")}' PUBLICATION everything WITH (create_slot = false, copy_data = false)`,
    );
  }, 120_000);
  afterAll(async () => {
    await target?.query('DROP SUBSCRIPTION IF EXISTS moving');
    await Promise.all([source?.end(), target?.end()]);
    await server?.stop();
  });

  const audited = async () => {
    const { rows } = await target.query<{ operation: string; hash: string }>(
      `SELECT operation, coalesce(new_values, old_values) ->> 'source_data_hash' AS hash FROM llama.audit_trail
        WHERE tenant_id = 'moved' ORDER BY sequence`,
    );
    return rows.map(({ operation, hash }) => `${operation} ${hash}`);
  };

  it('is refused as the owner of the table, which every login of Azure is at most', async () => {
    await source.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       VALUES ('moved', 'two', '{}', 'm', 'd')`,
    );
    await vi.waitFor(
      async () => {
        const { rows } = await target.query<{ errors: number }>(
          'SELECT apply_error_count::int AS errors FROM pg_stat_subscription_stats',
        );
        expect(rows[0]?.errors).toBeGreaterThan(0);
      },
      { timeout: 40_000, interval: 300 },
    );
    expect(await audited()).toEqual([]);
    expect((await target.query('SELECT FROM llama.storage_records')).rowCount).toBe(0);
  }, 60_000);

  it('leaves an audit row for each row that a superuser forces through', async () => {
    await target.query('ALTER SUBSCRIPTION moving SET (run_as_owner = true)');
    await source.query(
      "UPDATE llama.storage_records SET source_data_hash = 'three' WHERE source_data_hash = 'two'",
    );
    await source.query("DELETE FROM llama.storage_records WHERE source_data_hash = 'three'");
    await vi.waitFor(
      async () => expect(await audited()).toEqual(['INSERT two', 'UPDATE three', 'DELETE three']),
      { timeout: 40_000, interval: 300 },
    );
  }, 60_000);
});
