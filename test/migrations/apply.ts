/** Applies migrations like the runner, but one file at a time, so that a test can look in between. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MigrationBuilder } from 'node-pg-migrate';
import type pg from 'pg';
import { listMigrations, type MigrationFile } from '../../database/migrator/files.ts';

export const migrations: readonly MigrationFile[] = listMigrations(
  join(import.meta.dirname, '../../migrations'),
);

/** Creates the objects that the runner creates before the first migration. */
export async function prepare(client: pg.Client): Promise<void> {
  await client.query(`
    DO $$
    BEGIN
      IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'llama_owner') THEN
        CREATE ROLE llama_owner NOLOGIN;
      END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$`);
  await client.query(`
    DO $$
    BEGIN
      EXECUTE format('GRANT llama_owner TO %I WITH INHERIT FALSE, SET TRUE', session_user);
    EXCEPTION WHEN unique_violation THEN NULL;
    END $$`);
  await client.query('CREATE SCHEMA IF NOT EXISTS llama AUTHORIZATION llama_owner');
}

export async function apply(
  client: pg.Client,
  migration: MigrationFile,
  direction: 'up' | 'down',
): Promise<void> {
  const role = migration.runAs === 'login' ? 'NONE' : 'llama_owner';
  if (migration.kind === 'sql') {
    const content = readFileSync(migration.path, 'utf8');
    const middle = content.search(/^-- Down Migration/m);
    const statements = direction === 'up' ? content.slice(0, middle) : content.slice(middle);
    await client.query('BEGIN');
    try {
      await client.query(`SET LOCAL ROLE ${role}; SET LOCAL lock_timeout = '5s'`);
      await client.query(statements);
      await client.query('COMMIT');
    } catch (error) {
      await client.query('ROLLBACK');
      throw error;
    }
    return;
  }
  const module: { up: Step; down: Step } = await import(pathToFileURL(migration.path).href);
  await client.query(`SET ROLE ${role}`);
  try {
    // The two things of the builder that migrations outside a transaction use.
    await module[direction]({ db: client, noTransaction: () => undefined } as unknown as MigrationBuilder);
  } finally {
    await client.query('RESET ROLE');
  }
}

type Step = (pgm: MigrationBuilder) => Promise<void>;

/** Every migration, on a database that has none. */
export async function migrate(client: pg.Client): Promise<void> {
  await prepare(client);
  for (const migration of migrations) await apply(client, migration, 'up');
}
