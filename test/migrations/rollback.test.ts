import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { catalogLines, roleLines } from '../support/catalog.ts';
import { tenantTables } from '../support/tables.ts';
import { apply, migrations, prepare } from './apply.ts';
import { plant, plantOthers } from './tenants.ts';

// A server of its own: rolling the roles back drops them, for every database of the server.
describe('every migration, up and down', () => {
  let server: LocalPostgres;
  let client: pg.Client;

  const snapshot = async (connected: pg.Client) => [
    ...(await catalogLines(connected)),
    ...(await connected.query<{ line: string }>(roleLines)).rows.map(({ line }) => line),
  ];
  const connect = async (database: string) => {
    const connected = new pg.Client(server.connection('migrator', { database }));
    await connected.connect();
    return connected;
  };

  beforeAll(async () => {
    server = await startPostgres({ databases: ['first', 'second'] });
    client = await connect('first');
    await prepare(client);
    // The one thing that stays: schema public, once closed, is not opened again.
    await client.query('REVOKE CREATE ON SCHEMA public FROM PUBLIC');
  });
  afterAll(async () => {
    await client.end();
    await server.stop();
  });

  it('leaves the catalogs as they were, and makes the same again', { timeout: 120_000 }, async () => {
    const before: string[][] = [];
    let after = await snapshot(client);
    for (const migration of migrations) {
      const prior = after;
      before.push(prior);
      await apply(client, migration, 'up');
      after = await snapshot(client);
      expect(after, migration.file).not.toEqual(prior);
      await apply(client, migration, 'down');
      expect(await snapshot(client), `${migration.file} down`).toEqual(prior);
      await apply(client, migration, 'up');
      expect(await snapshot(client), `${migration.file} up again`).toEqual(after);
    }
    const full = after;
    await plant(client, 'alpha');
    await client.query('BEGIN; SET LOCAL ROLE llama_owner');
    await client.query(`SELECT llama.create_monthly_partition('storage_records', '2031-01-01')`);
    await client.query('COMMIT');

    for (const [position, migration] of [...migrations.entries()].reverse()) {
      await apply(client, migration, 'down');
      const left = (await snapshot(client)).filter((line) => !line.includes('_y2031m01'));
      expect(left, `${migration.file} down, with data`).toEqual(before[position]);
    }
    for (const migration of migrations) await apply(client, migration, 'up');
    expect(await snapshot(client)).toEqual(full);
  });

  it('says of which tables it loses rows, and of no others', async () => {
    const counts = async () => {
      const result: Record<string, number> = {};
      for (const table of tenantTables) {
        const { rows } = await client.query<{ there: string | null }>('SELECT to_regclass($1) AS there', [
          `llama.${table}`,
        ]);
        if (rows[0]?.there == null) continue;
        // Row-level security hides rows from the login; only the server's superuser counts them all.
        const all = new pg.Client(server.connection('superuser', { database: 'first' }));
        await all.connect();
        const { rows: counted } = await all.query<{ n: number }>(
          `SELECT count(*)::int AS n FROM llama.${table}`,
        );
        await all.end();
        result[table] = counted[0]?.n ?? 0;
      }
      return result;
    };
    await plant(client, 'beta');
    await plantOthers(client, 'beta');
    for (const migration of [...migrations].reverse()) {
      const prior = await counts();
      await apply(client, migration, 'down');
      const left = await counts();
      const lost = Object.keys(prior).filter((table) => (left[table] ?? 0) < (prior[table] ?? 0));
      // 0003 cannot lose rows that 0005 has destroyed already; on its own it still would.
      expect(migration.losesDataOf, migration.file).toEqual(expect.arrayContaining(lost));
      if (migration.losesDataOf.length === 0) expect(left, migration.file).toEqual(prior);
    }
    for (const migration of migrations) await apply(client, migration, 'up');
  });

  it('leaves alone the roles that another database of the server, or a login, lives by', async () => {
    const second = await connect('second');
    await prepare(second);
    for (const migration of migrations) await apply(second, migration, 'up');
    for (const migration of [...migrations].reverse()) await apply(client, migration, 'down');
    await plant(second, 'alpha');
    await second.query('BEGIN');
    await second.query(`SET LOCAL ROLE application_role; SET LOCAL app.current_tenant_id = 'alpha'`);
    const { rows } = await second.query('SELECT tenant_id FROM llama.storage_records');
    await second.query('COMMIT');
    expect(rows).toEqual([{ tenant_id: 'alpha' }]);

    await second.query('CREATE ROLE app_login LOGIN');
    await second.query('GRANT application_role TO app_login');
    for (const migration of [...migrations].reverse()) await apply(second, migration, 'down');
    const { rows: left } = await second.query<{ rolname: string }>(
      `SELECT rolname FROM pg_roles WHERE rolname ~ '_role$|^audit_(writer|sealer)$' ORDER BY 1`,
    );
    expect(left).toEqual([{ rolname: 'application_role' }]);
    await second.query('DROP ROLE app_login');
    for (const migration of migrations) await apply(second, migration, 'up');
    await second.end();
  });

  it('refuses a role of that name which could pass row-level security by', async () => {
    const database = await connect('first');
    await client.query('ALTER ROLE analytics_role LOGIN');
    const roles = migrations.find((migration) => migration.name === '0002_roles');
    if (roles === undefined) throw new Error('there is no migration for roles');
    await apply(database, migrations[0] ?? roles, 'up');
    await expect(apply(database, roles, 'up')).rejects.toMatchObject({
      code: '0P000',
      message: 'role analytics_role exists with attributes that a group role must not have',
    });
    await client.query('ALTER ROLE analytics_role NOLOGIN');
    await apply(database, roles, 'up');
    await database.end();
  });
});
