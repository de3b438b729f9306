// Duration: 8 s
/** Test databases of applications, made as their test suites make them. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StorageRecords } from '../../runtime/records/index.ts';
import { type TestDatabase, testDatabase, useTestDatabase } from '../../runtime/testing/index.ts';
import { copyOf, migratedDatabase, type TestDatabase as Source } from '../support/postgres.ts';

let source: Source;
const made: TestDatabase[] = [];
const make = async (more: object = {}) => {
  const database = await testDatabase({ url: source.url('migrator'), ...more });
  made.push(database);
  return database;
};

beforeAll(async () => {
  source = await migratedDatabase();
  await make();
});
afterAll(async () => {
  for (const database of made) await database.drop();
  // The template is a copy of this file's source.
  const rows = await source.query<{ name: string }>(
    'superuser',
    "SELECT datname AS name FROM pg_database WHERE starts_with(datname, 'llama_template_')",
  );
  for (const { name } of rows) {
    await source.query('superuser', `ALTER DATABASE ${name} WITH IS_TEMPLATE false`);
    await source.query('superuser', `DROP DATABASE ${name}`);
  }
  await source.drop();
});

const record = {
  sourceDataHash: 'a'.repeat(64),
  mappedData: {},
  modelVersion: 'm',
  detectorType: 'd',
};

describe('a test database', () => {
  const database = useTestDatabase(
    { beforeAll, afterAll },
    {
      get url() {
        return source.url('migrator');
      },
    },
  );

  it('can be made in less than 300 ms, the template apart', async () => {
    const [times, bare]: [number[], number[]] = [[], []];
    const timed = async <Result>(list: number[], work: () => Promise<Result>) => {
      const start = performance.now();
      const result = await work();
      list.push(performance.now() - start);
      return result;
    };
    for (let n = 0; n < 3; n += 1) {
      await timed(times, () => make());
      const copy = await timed(bare, () => copyOf(source));
      await copy.drop();
    }
    // On a machine that is busy with other tests, a copy alone takes longer than that.
    expect(Math.min(...times)).toBeLessThan(Math.max(300, 3 * Math.min(...bare)));
  });

  it('is isolated from others, and has two tenants that do not see each other', async () => {
    const { tenants, name } = database();
    const other = await make();
    const records = (of: TestDatabase, nth: 0 | 1) =>
      new StorageRecords(of.tenants[nth], { encryption: 'off' });
    const id = await records(database(), 0).insert(record);
    expect(await records(database(), 0).get(id)).toMatchObject({ id, tenantId: 'acme' });
    expect(await records(database(), 1).get(id)).toBeUndefined();
    expect(await records(other, 0).get(id)).toBeUndefined();
    expect(tenants.map(({ id }) => id)).toEqual(['acme', 'globex']);
    expect(other.name).not.toBe(name);
  });

  it('has the privileges of the database that it was copied from', async () => {
    const acl = async (name: string) => {
      const rows = await source.query<{ privilege: string }>(
        'superuser',
        `SELECT a.privilege_type || ' ' || CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS privilege
           FROM pg_database AS d, aclexplode(d.datacl) AS a
          WHERE d.datname = '${name}' AND a.grantee <> d.datdba ORDER BY 1`,
      );
      return rows.map(({ privilege }) => privilege);
    };
    expect(await acl(source.name)).not.toEqual([]);
    expect(await acl(database().name)).toEqual(await acl(source.name));
  });

  it('has logins as weak as on Azure', async () => {
    const { rows } = await database().admin.query<{ login: string; weak: boolean; groups: string[] }>(
      `SELECT r.rolname AS login,
              NOT (r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication) AS weak,
              ARRAY(SELECT m.roleid::regrole::text FROM pg_auth_members AS m WHERE m.member = r.oid ORDER BY 1) AS groups
         FROM pg_roles AS r WHERE r.rolname IN (current_user, $1) ORDER BY r.rolname = current_user`,
      [database().options.user],
    );
    expect(rows.map(({ weak, groups }) => [weak, groups])).toEqual([
      [true, ['application_role']],
      [true, ['admin_role']],
    ]);
    const [tenant] = database().tenants;
    await expect(tenant.transaction((tx) => tx.query('SET ROLE admin_role'))).rejects.toMatchObject({
      code: '42501',
    });
    await expect(tenant.transaction((tx) => tx.query('CREATE TEMP TABLE t (n int)'))).rejects.toMatchObject({
      code: '42501',
    });
    await expect(database().admin.query('CREATE TABLE llama.t (n int)')).rejects.toMatchObject({
      code: '42501',
    });
  });

  it('shows no password', () => {
    const { db, options } = database();
    expect(JSON.stringify([db])).not.toContain(String(options.password));
  });

  it('leaves nothing behind', async () => {
    const gone = await testDatabase({ url: source.url('migrator') });
    await gone.tenants[0].read((tx) => tx.query('SELECT 1'));
    await gone.drop();
    const rows = await source.query(
      'superuser',
      `SELECT datname FROM pg_database WHERE datname = '${gone.name}'
       UNION ALL SELECT rolname FROM pg_roles WHERE rolname = '${gone.options.user}'`,
    );
    expect(rows).toEqual([]);
  });

  it('has the schema of the source after a further migration', async () => {
    await source.query('migrator', 'SET ROLE llama_owner; CREATE TABLE llama.later (n int)');
    await source.query(
      'superuser',
      'UPDATE llama.schema_migrations SET execution_time_ms = execution_time_ms + 1',
    );
    const { admin } = await make();
    const { rows } = await admin.query("SELECT to_regclass('llama.later') IS NOT NULL AS later");
    expect(rows).toEqual([{ later: true }]);
  });
});

describe('a source that cannot be used is refused', () => {
  it('without a URL', async () => {
    await expect(testDatabase()).rejects.toMatchObject({ code: 'testing/no-source' });
  });

  it('without migrations', async () => {
    const url = new URL(source.url('migrator'));
    url.pathname = '/postgres';
    await expect(testDatabase({ url: url.href })).rejects.toMatchObject({ code: 'testing/not-migrated' });
  });

  it('while somebody is connected to it, at the first copy', async () => {
    const busy = await migratedDatabase();
    const client = new pg.Client(busy.connection('migrator'));
    await client.connect();
    await expect(testDatabase({ url: busy.url('migrator') })).rejects.toMatchObject({
      code: 'testing/source-in-use',
    });
    await client.end();
    await busy.drop();
  });

  it('before its hook has run', () => {
    const database = useTestDatabase({ beforeAll: () => undefined, afterAll: () => undefined });
    expect(() => database()).toThrow(expect.objectContaining({ code: 'testing/not-ready' }));
  });
});
