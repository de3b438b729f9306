/**
 * Writes the work of `migrate` as a script for psql, for review or for a run by hand. The script produces the same
 * catalogs and the same ledger.
 *
 * Unlike `migrate`, the script stops if a lock is not free, does not compare the definition of an existing index, and does
 * not record a failure: the attempt stays open, and the next run records it as interrupted.
 */
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { indexScript } from '../indexes/script.ts';
import { type MigrationFile, readMigration, sectionOf } from './files.ts';
import { closing, type LedgerEntry, runnerTable } from './ledger.ts';
import { defaultLimits, opening, roleOf } from './load.ts';
import { deploymentLock } from './lock.ts';
import { dryRun, type MigrateOptions, status } from './migrate.ts';
import { preparation } from './prepare.ts';
import { type Recording, record } from './recording.ts';

/**
 * The script for the pending migrations of a server. Like `dryRun`, it changes nothing.
 *
 * @throws Fault if `migrate` would refuse, or if the statements of a migration depend on the answer to a query
 */
export async function migrationScript(
  connection: Connection,
  options: Pick<MigrateOptions, 'migrationsDirectory' | 'allowOutOfOrder'>,
): Promise<string> {
  const { pending } = await dryRun(connection, options);
  const { attempts } = await status(connection, options.migrationsDirectory);
  const steps = await preparation(connection);
  const parts = [head(connection, pending), session(), lock(), sameHistory(attempts)];
  for (const { sql, shared } of steps) {
    parts.push(shared === undefined ? `SET ROLE llama_owner;\n${ended(sql)}\nRESET ROLE;` : ended(sql));
  }
  parts.push(closeInterrupted(attempts));
  for (const file of pending) parts.push(await migration(file));
  parts.push(`SELECT pg_catalog.pg_advisory_unlock(${deploymentLock}) \\g /dev/null`, '\\echo Done');
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`;
}

function head({ circumstances }: Connection, pending: readonly MigrationFile[]): string {
  return `-- The work of llama-db migrate on ${circumstances.target}, for its state when this script was written.
-- Run it on port 5432, as a member of azure_pg_admin that may SET ROLE llama_owner:
--   psql --no-psqlrc --quiet --file=<this file> "<connection string>"
-- The ledger records the login as executor, or the value of --set=llama_executor=…. Migrations: ${pending.map(({ name }) => name).join(', ') || 'none'}.
\\set ON_ERROR_STOP on
\\set AUTOCOMMIT on
\\set ON_ERROR_ROLLBACK off
\\if :{?llama_executor}
\\else
SELECT session_user AS llama_executor \\gset
\\endif`;
}

/** The settings of the sessions of `migrate`. */
function session(): string {
  return `RESET ALL;
SET TimeZone = 'UTC';
SET search_path = '';
SET statement_timeout = ${defaultLimits.statementTimeout};
SET lock_timeout = ${defaultLimits.lockTimeout};
SET idle_in_transaction_session_timeout = '5min';`;
}

/** SQL that refuses a server whose history has changed since the script was written. */
function sameHistory(attempts: readonly LedgerEntry[]): string {
  const applied = attempts
    .filter(({ direction, outcome }) => direction === 'up' && outcome === 'applied')
    .map(({ version, checksum }) => `${version}:${checksum}`)
    .sort()
    .join(' ');
  return `DO $history$
DECLARE
  applied text := '';
BEGIN
  IF pg_catalog.to_regclass('llama.schema_migrations') IS NOT NULL THEN
    SET LOCAL ROLE llama_owner;
    SELECT coalesce(pg_catalog.string_agg(version || ':' || checksum, ' ' ORDER BY version), '') INTO applied
      FROM llama.schema_migrations WHERE direction = 'up' AND outcome = 'applied';
  END IF;
  IF applied <> ${pg.escapeLiteral(applied)} THEN
    RAISE EXCEPTION 'this script was written for another history of migrations' USING HINT = 'Write it again: llama-db migrate --sql.';
  END IF;
END
$history$;`;
}

function lock(): string {
  return `SELECT pg_catalog.pg_try_advisory_lock(${deploymentLock}) AS llama_locked \\gset
\\if :llama_locked
\\else
DO $lock$ BEGIN RAISE EXCEPTION 'another run works on this database' USING HINT = 'Wait until it has finished.'; END $lock$;
\\endif`;
}

function closeInterrupted(attempts: readonly LedgerEntry[]): string {
  if (!attempts.some(({ outcome }) => outcome === 'running')) return '';
  return `SET ROLE llama_owner;
UPDATE llama.schema_migrations SET outcome = 'interrupted' WHERE outcome = 'running';
RESET ROLE;`;
}

async function migration(file: MigrationFile): Promise<string> {
  const { before, queue, transactional } =
    file.kind === 'sql' ? sqlParts(file) : moduleParts(file, await record(file, 'up'));
  const { version, name, checksum } = file;
  const values = [version, name.slice(version.length + 1), checksum, 'up', 'running'].map((value) =>
    pg.escapeLiteral(value),
  );
  const runnerRow = `INSERT INTO llama.${runnerTable} (name, run_on) VALUES (${pg.escapeLiteral(name)}, pg_catalog.now());`;
  return [
    `\\echo ${name}`,
    'SET ROLE llama_owner;',
    `INSERT INTO llama.schema_migrations (version, description, checksum, direction, outcome, executor)
  VALUES (${values.join(', ')}, :'llama_executor') RETURNING id AS llama_attempt \\gset`,
    `SET ROLE ${roleOf(file)};`,
    ...before,
    ...(transactional ? ['BEGIN;', `${opening(file)};`] : []),
    ...queue.map(ended),
    'SET ROLE llama_owner;',
    ended(closing(':llama_attempt')),
    runnerRow,
    ...(transactional ? ['COMMIT;'] : []),
    'RESET ROLE;',
    session(),
  ].join('\n');
}

interface Parts {
  /** Sent before the transaction begins. */
  readonly before: readonly string[];
  readonly queue: readonly string[];
  readonly transactional: boolean;
}

function sqlParts({ name, path }: MigrationFile): Parts {
  const section = sectionOf(readMigration(path), 'up');
  if (!section) throw new Error(`${name} is listed and has no Up section`);
  return { before: [], queue: [section.sql], transactional: true };
}

function moduleParts({ name }: MigrationFile, { steps, transactional, unseen }: Recording): Parts {
  const bound = steps.find((step) => step.kind === 'sql' && step.values.length > 0);
  const reason = unseen?.reason ?? (bound ? 'it binds values to a statement' : undefined);
  if (reason !== undefined) {
    throw new Fault(
      'migration/not-printable',
      `Migration ${name} cannot be printed (line ${unseen?.line ?? bound?.line})`,
      reason,
      'Apply it with llama-db migrate; --dry-run lists the pending migrations.',
    );
  }
  const text = (step: (typeof steps)[number]): string => {
    if (step.kind === 'sql') return ended(step.sql);
    if (step.action === 'build') return indexScript(step.index);
    throw new Error(`${name} drops an index on its way up`);
  };
  return {
    before: steps.filter(({ when }) => when === 'now').map(text),
    queue: steps.filter(({ when }) => when === 'queued').map(text),
    transactional,
  };
}

/** A statement with an end that psql recognizes, even after a trailing comment. */
function ended(sql: string): string {
  const text = sql.trimEnd();
  return /;$/.test(text) && !/--[^\n]*$/.test(text) ? text : `${text}\n;`;
}
