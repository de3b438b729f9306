import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freshDatabase, randomName, type TestDatabase } from '../../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await freshDatabase();
});
afterAll(() => database.drop());

describe('the migrating role is as weak as on Azure', () => {
  it('is a member of azure_pg_admin that may create roles, not a superuser', async () => {
    const [role] = await database.query(
      'migrator',
      `SELECT rolsuper, rolbypassrls, rolreplication, rolcreaterole,
              pg_has_role(current_user, 'azure_pg_admin', 'member') AS member,
              pg_has_role(current_user, 'pg_read_all_data', 'usage') AS reads
       FROM pg_roles WHERE rolname = current_user`,
    );
    expect(role).toEqual({
      rolsuper: false,
      rolbypassrls: false,
      rolreplication: false,
      rolcreaterole: true,
      member: true,
      reads: true,
    });
  });

  it('works in a database and a schema public that azure_pg_admin owns', async () => {
    const [owners] = await database.query(
      'migrator',
      `SELECT (SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()) AS database,
              (SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public') AS public,
              has_schema_privilege('public', 'public', 'CREATE') AS everybody_creates`,
    );
    expect(owners).toEqual({
      database: 'azure_pg_admin',
      public: 'azure_pg_admin',
      everybody_creates: true,
    });
  });

  it.each([
    ['change a server setting', "ALTER SYSTEM SET work_mem = '64MB'"],
    ['reload the configuration', 'SELECT pg_reload_conf()'],
    ['make a superuser', 'CREATE ROLE climber SUPERUSER'],
    ['make a role that bypasses row-level security', 'CREATE ROLE climber BYPASSRLS'],
    ['make a replication role', 'CREATE ROLE climber REPLICATION'],
    ['make itself a superuser', 'ALTER ROLE CURRENT_USER SUPERUSER'],
    ['join the superuser', 'GRANT azuresu TO CURRENT_USER'],
    ['hand its administrator role on', 'CREATE ROLE climber IN ROLE azure_pg_admin'],
    ['write all data', 'CREATE ROLE climber IN ROLE pg_write_all_data'],
    ['write a file on the server', "COPY (SELECT 1) TO '/dev/null'"],
    ['run a program on the server', "COPY (SELECT 1) TO PROGRAM 'true'"],
    ['read a file on the server', "SELECT pg_read_file('PG_VERSION')"],
    ['use an untrusted language', "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS 'x'"],
    ['make an event trigger', 'CREATE EVENT TRIGGER t ON ddl_command_end EXECUTE FUNCTION pg_notify()'],
    ['make a tablespace', "CREATE TABLESPACE t LOCATION '/tmp'"],
    ['keep application settings on a role', "ALTER ROLE CURRENT_USER SET app.encryption_key = 'k'"],
    ['switch triggers off for its session', 'SET session_replication_role = replica'],
    ['create an extension that is not allowed', 'CREATE EXTENSION dblink'],
    ['create another that is not allowed, though vanilla trusts it', 'CREATE EXTENSION hstore'],
  ])('may not %s', async (_, sql) => {
    await expect(database.query('migrator', sql)).rejects.toThrow(
      /permission denied|must be superuser|must have|must be a member|only roles with|42501/i,
    );
  });

  it.each(['pg_stat_statements', 'pg_buffercache', 'pgcrypto', 'uuid-ossp', 'btree_gin', 'pg_trgm'])(
    'may create the allowed extension %s',
    async (extension) => {
      await database.query('migrator', `CREATE EXTENSION ${pg.escapeIdentifier(extension)}`);
      const rows = await database.query('migrator', 'SELECT 1 FROM pg_extension WHERE extname = $1', [
        extension,
      ]);
      expect(rows).toHaveLength(1);
    },
  );

  it('lets only members of azure_pg_admin create extensions, as Azure does', async () => {
    const login = { user: randomName('nobody'), password: 'only-for-this-test' };
    await database.query('migrator', `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}'`);
    try {
      await database.query('migrator', 'DROP EXTENSION IF EXISTS pgcrypto');
      await expect(database.query(login, 'CREATE EXTENSION pgcrypto')).rejects.toThrow(/permission denied/);
    } finally {
      await database.query('migrator', `DROP ROLE ${login.user}`);
    }
  });

  it('can use the preloaded pg_stat_statements', async () => {
    const [setting] = await database.query('migrator', 'SHOW shared_preload_libraries');
    expect(setting).toEqual({ shared_preload_libraries: 'pg_stat_statements' });
  });
});
