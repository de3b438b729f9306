/** Logins of the group roles and the objects that they could change as their owner. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loginRoles } from '../../database/schema/roles.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { migratedServer } from '../proof/migrated.ts';
import { randomName } from '../support/postgres.ts';

/** Its own, because every other database of a server would have such logins too, and verification reports them. */
let server: LocalPostgres;
const clients = new Map<string, pg.Client>();

beforeAll(async () => {
  server = await migratedServer({}, {});
  await within(server.connection('superuser'), async (superuser) => {
    for (const role of loginRoles) {
      const login = { user: randomName('login'), password: 'login-password' };
      // SET too: the worst membership that somebody can give it.
      await superuser.query(
        `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}'; GRANT ${role} TO ${login.user} WITH INHERIT TRUE, SET TRUE`,
      );
      const client = new pg.Client(server.connection(login));
      await client.connect();
      clients.set(role, client);
    }
  });
}, 60_000);
afterAll(async () => {
  for (const client of clients.values()) await client.end();
  await server.stop();
  expect(clients.size).toBe(loginRoles.length);
});

const clientOf = (role: string): pg.Client => {
  const client = clients.get(role);
  if (!client) throw new Error(`no login of ${role}`);
  return client;
};

describe.each(loginRoles)('a login of %s', (role) => {
  it('owns no object of any kind, by itself or by a role that it can become', async () => {
    const { rows } = await clientOf(role).query(
      `SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS object, pg_get_userbyid(d.refobjid) AS owner
         FROM pg_shdepend AS d
        WHERE d.deptype = 'o' AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND pg_has_role(d.refobjid, 'MEMBER')`,
    );
    expect(rows).toEqual([]);
  });

  it.each([
    'CREATE RULE more AS ON INSERT TO llama.tenant_performance DO INSTEAD NOTHING',
    `CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO llama.tenant_performance DO INSTEAD
       SELECT k.tenant_id::varchar(100) AS tenant_id, now() AS hour, 1::bigint AS total_requests, 0::numeric AS avg_confidence,
              0::float8 AS p95_confidence, 1::bigint AS high_confidence_count FROM llama.data_keys AS k`,
    'ALTER VIEW llama.tenant_performance SET (security_invoker = true)',
    'ALTER VIEW llama.tenant_performance RENAME TO other',
    'ALTER FUNCTION llama.set_backup_status(uuid, timestamptz, text, text) RESET search_path',
    'DROP MATERIALIZED VIEW llama.tenant_performance_summary CASCADE',
    'SET ROLE maintenance_owner',
    'SET ROLE llama_owner',
  ])('may not: %s', async (sql) => {
    await expect(clientOf(role).query(sql)).rejects.toMatchObject({ code: '42501' });
  });
});

describe('a login of maintenance_role', () => {
  it('cannot erase a record without its content in the trail, with SET ROLE or without', async () => {
    const client = clientOf('maintenance_role');
    await expect(client.query('DELETE FROM llama.storage_records')).rejects.toMatchObject({ code: '42501' });
    await expect(
      client.query('SET ROLE maintenance_role; DELETE FROM llama.storage_records'),
    ).rejects.toMatchObject({ code: '42501' });
    await client.query('SET ROLE NONE');
  });

  it('runs the work of maintenance through its functions', async () => {
    const client = clientOf('maintenance_role');
    for (const call of [
      'apply_retention(10)',
      'refresh_performance_views()',
      'create_partitions_ahead()',
      'missing_partitions()',
      'analyze_partitioned_tables()',
      'seal_audit_trail()',
    ]) {
      await client.query(`SELECT llama.${call}`);
    }
  });
});
