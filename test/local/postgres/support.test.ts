import pg from 'pg';
import { afterEach, expect, it } from 'vitest';
import { freshDatabase, migratedDatabase, type TestDatabase } from '../../support/postgres.ts';

const made: TestDatabase[] = [];
afterEach(async () => {
  for (const database of made.splice(0)) await database.drop();
});

it('creates empty databases that are independent of each other', async () => {
  const [first, second] = await Promise.all([freshDatabase(), freshDatabase()]);
  made.push(first, second);
  await first.query('migrator', 'CREATE TABLE public.mine ()');
  const tables = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace";
  expect(await first.query('migrator', tables)).toEqual([{ relname: 'mine' }]);
  expect(await second.query('migrator', tables)).toEqual([]);
});

it('creates migrated databases that equal one that was migrated directly', async () => {
  const [first, second] = await Promise.all([migratedDatabase(), migratedDatabase()]);
  made.push(first, second);
  const versions = 'SELECT version FROM llama.schema_migrations ORDER BY version';
  const applied = await first.query('superuser', versions);
  expect(applied.length).toBeGreaterThan(5);
  expect(await second.query('superuser', versions)).toEqual(applied);
  const [rights] = await first.query(
    'superuser',
    `SELECT datdba::regrole::text AS owner, (
       SELECT bool_or(grantee = 0) FROM aclexplode(datacl) WHERE privilege_type = 'TEMPORARY'
     ) AS everybody_makes_temporary_tables
     FROM pg_database WHERE datname = current_database()`,
  );
  expect(rights).toEqual({ owner: 'azure_pg_admin', everybody_makes_temporary_tables: false });
});

it('drops a database with open connections', async () => {
  const database = await freshDatabase();
  const client = new pg.Client(database.connection());
  await client.connect();
  const lost = new Promise<unknown>((resolve) => client.on('error', resolve));
  await database.drop();
  expect(await lost).toMatchObject({ code: '57P01' });
  const other = await freshDatabase();
  made.push(other);
  const left = await other.query('superuser', 'SELECT FROM pg_database WHERE datname = $1', [database.name]);
  expect(left).toEqual([]);
});
