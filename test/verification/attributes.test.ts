// Duration: 90 s
/**
 * Changes every column of the catalogs of roles, memberships and databases. A column without a change has a reason here, so
 * that a column which a later version adds fails this test.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { failing } from '../../verification/run.ts';
import { answersWith, applicationLogin, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

/** Statements that change the column, or why verification does not inspect it. */
type Column = readonly string[] | { readonly because: string };

const subjects = [
  applicationLogin,
  'admin_role',
  'maintenance_owner',
  'llama_owner',
  'database_admins',
  'stranger',
];
const stranger = 'CREATE ROLE stranger LOGIN';

/** The statement for each subject; a stranger is made first. */
const each = (change: (role: string) => string, roles: readonly string[] = subjects): readonly string[] =>
  roles.map((role) => (role === 'stranger' ? `${stranger}; ${change(role)}` : change(role)));

const catalogs: Readonly<Record<string, Readonly<Record<string, Column>>>> = {
  pg_authid: {
    oid: { because: 'the identity of the row' },
    rolname: each(
      (role) => `ALTER ROLE ${role} RENAME TO renamed`,
      [applicationLogin, 'admin_role', 'llama_owner'],
    ),
    rolsuper: each((role) => `ALTER ROLE ${role} SUPERUSER`),
    rolinherit: each(
      (role) => `ALTER ROLE ${role} NOINHERIT`,
      [applicationLogin, 'database_admins', 'llama_owner'],
    ),
    rolcreaterole: each(
      (role) => `ALTER ROLE ${role} CREATEROLE`,
      subjects.filter((role) => role !== 'database_admins'),
    ),
    rolcreatedb: each(
      (role) => `ALTER ROLE ${role} CREATEDB`,
      subjects.filter((role) => role !== 'database_admins'),
    ),
    rolcanlogin: [
      ...each((role) => `ALTER ROLE ${role} NOLOGIN`, [applicationLogin, 'database_admins']),
      ...each((role) => `ALTER ROLE ${role} LOGIN`, ['admin_role', 'maintenance_owner', 'llama_owner']),
    ],
    rolreplication: each((role) => `ALTER ROLE ${role} REPLICATION`),
    rolbypassrls: each((role) => `ALTER ROLE ${role} BYPASSRLS`),
    rolconnlimit: each(
      (role) => `ALTER ROLE ${role} CONNECTION LIMIT 0`,
      subjects.filter((role) => role !== 'stranger'),
    ),
    rolpassword: {
      because:
        'Azure shows pg_authid to nobody, so verification cannot read it; the log of class role, which pgaudit writes, has the statement. With Entra authentication the server refuses passwords',
    },
    rolvaliduntil: each(
      (role) => `ALTER ROLE ${role} VALID UNTIL '2020-01-01'`,
      subjects.filter((role) => role !== 'stranger'),
    ),
  },
  pg_db_role_setting: {
    setdatabase: each((role) => `ALTER ROLE ${role} IN DATABASE llama_mapper SET work_mem = 64`),
    setrole: ['ALTER DATABASE llama_mapper SET work_mem = 64', 'ALTER ROLE ALL SET work_mem = 64'],
    setconfig: [
      ...each((role) => `ALTER ROLE ${role} SET row_security = off`),
      ...each((role) => `ALTER ROLE ${role} IN DATABASE postgres SET statement_timeout = 1`),
      'ALTER DATABASE postgres SET datestyle = German',
      `ALTER ROLE ${applicationLogin} SET role = 'admin_role'`,
    ],
  },
  pg_auth_members: {
    oid: { because: 'the identity of the row' },
    roleid: [
      ...[
        'azure_pg_admin',
        'llama_owner',
        'maintenance_owner',
        'audit_writer',
        'audit_sealer',
        'import_writer',
        'admin_role',
      ].map((role) => `GRANT ${role} TO ${applicationLogin}`),
      ...['azure_pg_admin', 'llama_owner', 'maintenance_owner', 'admin_role', 'pg_signal_backend'].map(
        (role) => `${stranger}; GRANT ${role} TO stranger`,
      ),
    ],
    member: [
      ...['analytics_role', 'llama_owner', 'maintenance_owner'].map(
        (role) => `GRANT application_role TO ${role}`,
      ),
      `REVOKE application_role FROM ${applicationLogin}`,
      'REVOKE admin_role FROM llama_owner GRANTED BY database_admins CASCADE',
    ],
    grantor: {
      because:
        'it decides who may revoke the membership, not what the member may do; ROL-013 judges all grantors together',
    },
    admin_option: [
      `GRANT application_role TO ${applicationLogin} WITH ADMIN TRUE`,
      'GRANT admin_role TO llama_owner WITH ADMIN TRUE',
    ],
    inherit_option: [
      `GRANT application_role TO ${applicationLogin} WITH INHERIT FALSE`,
      'GRANT admin_role TO llama_owner WITH INHERIT TRUE',
      'GRANT application_role TO database_admins WITH INHERIT TRUE',
    ],
    set_option: [
      `GRANT application_role TO ${applicationLogin} WITH SET TRUE`,
      'GRANT admin_role TO llama_owner WITH SET FALSE',
    ],
  },
  pg_database: {
    oid: { because: 'the identity of the row' },
    datname: { because: 'the connection of the verification chooses the database by its name' },
    datdba: [applicationLogin, 'admin_role', 'database_admins'].map(
      (role) => `ALTER DATABASE llama_mapper OWNER TO ${role}`,
    ),
    encoding: { because: 'CREATE DATABASE fixes it; SET-013 judges it from changed facts' },
    datlocprovider: {
      because: 'CREATE DATABASE fixes it, and another value has the same effect as another collation',
    },
    datistemplate: ['ALTER DATABASE llama_mapper IS_TEMPLATE true'],
    datallowconn: ["UPDATE pg_database SET datallowconn = false WHERE datname = 'llama_mapper'"],
    dathasloginevt: { because: 'PostgreSQL sets it for a login event trigger, which ROL-015 reports' },
    datconnlimit: ['ALTER DATABASE llama_mapper CONNECTION LIMIT 3'],
    datfrozenxid: { because: 'vacuum moves it; SET-019 judges its age from changed facts' },
    datminmxid: { because: 'vacuum moves it' },
    dattablespace: {
      because:
        'a move needs a database without sessions, and Azure has no other tablespace; SET-024 compares it',
    },
    datcollate: { because: 'CREATE DATABASE fixes it, from the environment' },
    datctype: { because: 'CREATE DATABASE fixes it, from the environment' },
    datlocale: { because: 'CREATE DATABASE fixes it, from the environment' },
    daticulocale: { because: 'the name of datlocale before version 17' },
    daticurules: { because: 'CREATE DATABASE fixes it, from the environment' },
    datcollversion: {
      because:
        'ALTER DATABASE REFRESH COLLATION VERSION sets it to the version of the library, after a rebuild',
    },
    datacl: [
      `GRANT CREATE ON DATABASE llama_mapper TO ${applicationLogin}`,
      `${stranger}; GRANT CREATE ON DATABASE llama_mapper TO stranger`,
      `${stranger}; GRANT TEMPORARY ON DATABASE llama_mapper TO stranger`,
      `${stranger}; GRANT CONNECT ON DATABASE llama_mapper TO stranger WITH GRANT OPTION`,
      'REVOKE CONNECT ON DATABASE llama_mapper FROM PUBLIC',
    ],
  },
};

describe.each(Object.entries(catalogs))('%s', (catalog, columns) => {
  it('has no column that is neither changed nor left out with a reason', async () => {
    const { rows } = await verified.superuser.query<{ name: string }>(
      'SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped',
      [catalog],
    );
    expect(rows.map(({ name }) => name).filter((name) => columns[name] === undefined)).toEqual([]);
  });

  const changes = Object.values(columns).flatMap((column) => ('because' in column ? [] : column));
  it.each(changes)('%s is reported as high or critical', async (sql) => {
    const checks = await answersWith(verified, { sql });
    const found = failing({ checks });
    expect(found.map(({ check }) => check.id)).not.toEqual([]);
  });
});
