import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { type MigrationsCopy, migrationsCopy, run } from './run.ts';

// A separate server, because other tests would use transaction ids.
describe('migrate --dry-run and --sql', () => {
  let server: LocalPostgres;
  let migrations: MigrationsCopy;

  beforeAll(async () => {
    server = await startPostgres({ databases: ['empty', 'deployed'], settings: { autovacuum: 'off' } });
    migrations = migrationsCopy();
    const { code, stderr } = await run([
      'migrate',
      '--url',
      server.url('migrator', { database: 'deployed' }),
    ]);
    expect(code, stderr).toBe(0);
    migrations.write(
      '0090_more.sql',
      '-- Up Migration\nCREATE TABLE llama.more (a int);\n-- Down Migration\nDROP TABLE llama.more;\n',
    );
  });
  afterAll(async () => {
    migrations.drop();
    await server.stop();
  });

  const within = async <Result>(
    database: string,
    work: (client: pg.Client) => Promise<Result>,
    on = server,
  ) => {
    const client = new pg.Client(on.connection('superuser', { database }));
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };

  /** Every row of every catalog with the transaction that wrote it, the ledger, the next transaction id, and all locks. */
  const state = (database: string) =>
    within(database, async (client) => {
      const { rows } = await client.query<{ name: string }>(
        `SELECT oid::regclass::text AS name FROM pg_class
          WHERE relkind = 'r' AND (relnamespace = 'pg_catalog'::regnamespace
             OR (relname IN ('schema_migrations', 'pgmigrations', 'releases') AND relnamespace::regnamespace::text = 'llama'))
          ORDER BY 1`,
      );
      const tables: Record<string, unknown> = {};
      for (const { name } of rows) {
        const found = await client.query(
          `SELECT count(*)::int AS rows, md5(string_agg(concat_ws(' ', t.xmin, t.xmax, t.ctid, t), '|' ORDER BY t.ctid)) AS content FROM ${name} AS t`,
        );
        tables[name] = found.rows[0];
      }
      const next = await client.query('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS id');
      const locks = await client.query(
        `SELECT locktype, mode, l.pid FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
          WHERE l.pid <> pg_backend_pid() AND a.backend_type = 'client backend'`,
      );
      return { tables, next: next.rows, locks: locks.rows };
    });

  const dry = (database: string, ...more: string[]) =>
    run([
      'migrate',
      '--url',
      server.url('migrator', { database }),
      '--migrations',
      migrations.directory,
      ...more,
    ]);

  it.each([
    ['an empty database', 'empty', /^Would prepare schema llama, the ledger\nWould apply 0001_extensions$/m],
    ['a deployed one', 'deployed', /^Would apply 0090_more$/m],
  ])('change nothing on %s: catalogs, ledger, transaction ids, locks', async (_, database, printed) => {
    const before = await state(database);
    expect(Object.keys(before.tables).length).toBeGreaterThan(50);
    const named = await dry(database, '--dry-run');
    expect(named.code, named.stderr).toBe(0);
    expect(named.stdout).toMatch(printed);
    const script = await dry(database, '--sql');
    expect(script.code, script.stderr).toBe(0);
    expect(script.stdout).toContain('CREATE TABLE llama.more (a int);');
    expect(await state(database)).toEqual(before);
  });

  it('are compared by a state that an applied migration changes', async () => {
    const before = await state('deployed');
    const copy = migrationsCopy();
    copy.write('0089_other.sql', '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n');
    try {
      const { code } = await run([
        'migrate',
        '--url',
        server.url('migrator', { database: 'deployed' }),
        '--migrations',
        copy.directory,
      ]);
      expect(code).toBe(0);
      expect(await state('deployed')).not.toEqual(before);
      expect(
        (
          await run([
            'rollback',
            '--url',
            server.url('migrator', { database: 'deployed' }),
            '--migrations',
            copy.directory,
          ])
        ).code,
      ).toBe(0);
    } finally {
      copy.drop();
    }
  });

  it('work on a server without writes: read-only after a full disk, and a standby', async () => {
    await within('deployed', (client) =>
      client.query('ALTER DATABASE deployed SET default_transaction_read_only = on'),
    );
    const readOnly = await dry('deployed', '--dry-run');
    await within('deployed', async (client) => {
      await client.query('SET default_transaction_read_only = off');
      await client.query('ALTER DATABASE deployed RESET default_transaction_read_only');
    });
    expect(readOnly.stdout).toMatch(/^Would apply 0090_more$/m);
    const standby = await server.standby();
    try {
      const url = standby.url('migrator', { database: 'deployed' });
      const { code, stdout, stderr } = await run([
        'migrate',
        '--url',
        url,
        '--migrations',
        migrations.directory,
        '--dry-run',
      ]);
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(/^Would apply 0090_more$/m);
    } finally {
      await standby.stop();
    }
  });

  it('refuse the same as migrate', async () => {
    const copy = migrationsCopy();
    copy.remove('0011_maintenance.sql');
    try {
      const url = server.url('migrator', { database: 'deployed' });
      for (const how of ['--dry-run', '--sql']) {
        const { code, stdout, stderr } = await run([
          'migrate',
          '--url',
          url,
          '--migrations',
          copy.directory,
          how,
        ]);
        expect(code).toBe(1);
        expect(stderr).toMatch(/0011_maintenance.*\[migration\/file-missing\]/);
        expect(stdout).not.toContain('CREATE');
      }
      expect((await run(['migrate', '--url', url, '--dry-run', '--sql'])).code).toBe(2);
    } finally {
      copy.drop();
    }
  });
});
