/**
 * The ledger: one row per attempt at a migration, up or down, with its outcome.
 *
 * The table of node-pg-migrate records names only. The ledger also records content, executor, duration and failures.
 */
import pg from 'pg';
import type { Connection } from '../connection.ts';
import type { MigrationFile } from './files.ts';

export type Direction = 'up' | 'down';
export type AttemptOutcome = 'running' | 'applied' | 'failed' | 'interrupted' | 'rolled back';

export interface LedgerEntry {
  readonly id: string;
  /** `0007` */
  readonly version: string;
  /** `audit_trail` */
  readonly description: string;
  readonly checksum: string;
  readonly direction: Direction;
  readonly outcome: AttemptOutcome;
  readonly appliedAt: Date;
  /** Milliseconds. */
  readonly executionTime: number;
  /** Object id of the Entra identity, or the login. */
  readonly executor: string;
  readonly error: string | null;
}

/** Table of node-pg-migrate in schema `llama`. */
export const runnerTable = 'pgmigrations';

/** Created by `prepare`, because the ledger must exist before the first migration. */
export const ledgerTables: readonly { readonly name: string; readonly sql: string }[] = [
  {
    name: 'schema_migrations',
    // A migration is applied if it has an `applied` row of direction up; a rollback turns that row to `rolled back`.
    sql: `CREATE TABLE IF NOT EXISTS llama.schema_migrations (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      version varchar(50) NOT NULL,
      description text NOT NULL,
      checksum varchar(64) NOT NULL,
      direction text NOT NULL DEFAULT 'up' CHECK (direction IN ('up', 'down')),
      outcome text NOT NULL CHECK (outcome IN ('running', 'applied', 'failed', 'interrupted', 'rolled back')),
      applied_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
      execution_time_ms integer NOT NULL DEFAULT 0 CHECK (execution_time_ms >= 0),
      executor text NOT NULL,
      error text
    );
    CREATE UNIQUE INDEX IF NOT EXISTS schema_migrations_applied ON llama.schema_migrations (version)
      WHERE direction = 'up' AND outcome = 'applied'`,
  },
  {
    name: runnerTable,
    sql: `CREATE TABLE IF NOT EXISTS llama.${runnerTable} (
      id serial PRIMARY KEY,
      name varchar(255) NOT NULL,
      run_on timestamp NOT NULL
    )`,
  },
  {
    name: 'releases',
    sql: `CREATE TABLE IF NOT EXISTS llama.releases (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      environment text NOT NULL,
      released_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
      migrations_digest varchar(64) NOT NULL,
      settings_digest varchar(64) NOT NULL,
      executor text NOT NULL,
      outcome text NOT NULL CHECK (outcome IN ('verified', 'findings', 'not verified')),
      checks_passed integer NOT NULL,
      checks_failed integer NOT NULL,
      checks_skipped integer NOT NULL,
      -- number:hash of the newest seal at that time; NULL while nothing was sealed.
      audit_head text,
      -- Of llama-db release; NULL in the rows of the post-deploy step, which runs inside its apply.
      release_digest varchar(64),
      artifact_digest varchar(64),
      commit varchar(64),
      -- When the apply began.
      started_at timestamptz,
      plan jsonb,
      verification jsonb,
      CHECK (pg_catalog.num_nulls(release_digest, artifact_digest, commit, started_at, plan, verification) IN (0, 6))
    )`,
  },
];

/** Every attempt, oldest first. Run it as the owner, which may read the ledger. */
export async function readLedger({ client }: Pick<Connection, 'client'>): Promise<readonly LedgerEntry[]> {
  const { rows } = await client.query<LedgerEntry>(
    `SELECT id::text, version, description, checksum, direction, outcome, applied_at AS "appliedAt",
            execution_time_ms AS "executionTime", executor, error
       FROM llama.schema_migrations ORDER BY schema_migrations.id`,
  );
  return rows;
}

/** Names of the migrations that node-pg-migrate considers applied. */
export async function readRunnerNames({ client }: Pick<Connection, 'client'>): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(`SELECT name FROM llama.${runnerTable} ORDER BY id`);
  return rows.map(({ name }) => name);
}

/** Records the start of an attempt in its own transaction, so that a killed attempt leaves a record. Run as the owner. */
export async function openAttempt(
  { client }: Pick<Connection, 'client'>,
  file: MigrationFile,
  direction: Direction,
  executor: string,
): Promise<string> {
  const { rows } = await client.query<{ id: string }>(
    `INSERT INTO llama.schema_migrations (version, description, checksum, direction, outcome, executor)
     VALUES ($1, $2, $3, $4, 'running', $5) RETURNING id::text`,
    [file.version, file.name.slice(file.version.length + 1), file.checksum, direction, executor],
  );
  const [row] = rows;
  if (!row) throw new Error('INSERT ... RETURNING returned nothing');
  return row.id;
}

/**
 * SQL that records an attempt as successful. It runs last in the transaction of the migration, so ledger and schema always
 * agree. The execution time counts from the start of the attempt.
 */
export function successStatement(attempt: string, file: MigrationFile, direction: Direction): string {
  const close = closing(pg.escapeLiteral(attempt));
  if (direction === 'up') return close;
  return `${close};
    UPDATE llama.schema_migrations SET outcome = 'rolled back'
    WHERE version = ${pg.escapeLiteral(file.version)} AND direction = 'up' AND outcome = 'applied'`;
}

/** SQL that records an attempt as applied. @param attempt SQL expression of its id */
export function closing(attempt: string): string {
  return `UPDATE llama.schema_migrations
    SET outcome = 'applied', applied_at = pg_catalog.clock_timestamp(),
        execution_time_ms = (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - applied_at) * 1000)::integer
    WHERE id = ${attempt}`;
}

/** Records an attempt as failed. Run as the owner, outside the failed transaction. */
export async function closeFailed(
  { client }: Pick<Connection, 'client'>,
  attempt: string,
  error: string,
): Promise<void> {
  await client.query(
    `UPDATE llama.schema_migrations
        SET outcome = 'failed', error = $2, applied_at = pg_catalog.clock_timestamp(),
            execution_time_ms = (EXTRACT(EPOCH FROM pg_catalog.clock_timestamp() - applied_at) * 1000)::integer
      WHERE id = $1 AND outcome = 'running'`,
    [attempt, error],
  );
}
