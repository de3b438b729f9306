// Duration: 60 s
/** Commands that wait behind a lock without a timeout of its own: `SET lock_timeout = 0; LOCK TABLE …`. */
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withoutValues } from '../../database/without-values.ts';
import { run } from '../commands/run.ts';
import { migratedDatabase, randomName, type TestDatabase } from '../support/postgres.ts';

/** Milliseconds within which every command gives up, on a loaded machine. */
const bound = 90_000;

let database: TestDatabase;
let login: string;

beforeEach(async () => {
  database = await migratedDatabase();
  login = randomName('app');
  await database.query(
    'superuser',
    `CREATE ROLE ${login} LOGIN PASSWORD 'app-password'; GRANT application_role TO ${login} WITH INHERIT TRUE, SET FALSE`,
  );
});
afterEach(async () => {
  await database.drop();
});

async function holding(sql: string): Promise<pg.Client> {
  const client = await database.connect({ user: login, password: 'app-password' });
  await client.query(
    `SET lock_timeout = 0; SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0`,
  );
  await client.query('BEGIN');
  await client.query(sql);
  return client;
}

describe('a lock that the application holds without a limit', () => {
  it.each([
    ['maintain', ['maintain']],
    ['migrate', ['migrate', '--lock-wait', '5']],
    ['audit seal', ['audit', 'seal']],
    ['verify', ['verify', '--group', 'isolation']],
  ])(
    'ends %s in time, with the name of the holder and without its values',
    async (name, args) => {
      // The lock of each command: the records, its advisory lock, or the audit trail's own.
      const sql =
        name === 'migrate'
          ? "SELECT pg_advisory_lock(7241865325823964), 'a secret'"
          : "LOCK TABLE llama.storage_records IN ACCESS EXCLUSIVE MODE; SELECT 'a secret'";
      const holder = await holding(sql);
      const started = performance.now();
      const { code, stdout, stderr } = await run([...args, '--url', database.url()]);
      const text = stdout + stderr;
      expect(performance.now() - started).toBeLessThan(bound);
      expect(text).not.toContain('secret');
      await holder.query('ROLLBACK');
      if (name === 'audit seal') {
        // It does not read the records.
        expect(code).toBe(0);
        return;
      }
      expect(code).toBe(name === 'verify' ? 2 : 1);
      expect(text).toMatch(new RegExp(`backend \\d+, .*login ${login}`));
    },
    bound * 2,
  );
});

describe('a statement without its values', () => {
  it.each([
    ["LOCK TABLE llama.storage_records; SELECT 'a secret'", 'LOCK TABLE llama.storage_records; SELECT ?'],
    ["SELECT 'it''s', E'a\\'secret', 1.5e3, x1, $1 FROM t2", 'SELECT ?, ?'],
    ['SELECT $tag$secret \'x\'$tag$, $$secret$$, "Name 1"', 'SELECT ?, ?, "Name 1"'],
    ['SELECT 1 -- secret\n, /* secret */ 2', 'SELECT ? , ?'],
    ["SELECT 'a secret that is cut", 'SELECT ?'],
    ['SELECT $$secret that is cut', 'SELECT ?'],
    ["SELECT B'0101', X'1F', U&'secret', N'secret'", 'SELECT ?, ?, ?, ?'],
    ['SELECT \u001b[31m1', 'SELECT [?'],
  ])('shows %j as %j', (sql, shown) => {
    expect(withoutValues(sql)).toBe(shown);
  });
});
