/** Takes migrations back, newest first, and refuses to destroy rows that nobody agreed to lose. */
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import type { Connection } from '../connection.ts';
import { listMigrations, type MigrationFile } from './files.ts';
import { plan } from './plan.ts';
import { asOwner, isPrepared } from './prepare.ts';
import { reconcile } from './reconcile.ts';
import { runMigrations } from './run.ts';

export interface RollbackOptions {
  readonly reporter: Reporter;
  readonly directory: string;
  /** Version that stays the newest; `0000` takes everything back. */
  readonly to?: string;
  /** How many to take back. @default 1 */
  readonly count?: number;
  /** Tables of schema `llama` whose rows may be lost. */
  readonly acceptDataLoss?: readonly string[];
}

/** Rows beyond this many are not counted: the answer is the same, and the table is locked meanwhile. */
const countLimit = 1_000_000;

/**
 * Rolls back. Hold the lock.
 *
 * @returns the files that were rolled back, newest first.
 * @throws Fault before anything is changed when a file is missing, cannot be undone, or would destroy rows.
 */
export async function rollback(
  connection: Connection,
  options: RollbackOptions,
): Promise<readonly MigrationFile[]> {
  const files = listMigrations(options.directory);
  if (!(await isPrepared(connection))) return nothing(options.reporter);
  const { ledger } = await asOwner(connection, () => reconcile(connection));
  const targets = choose(plan(files, ledger).migrations, options);
  if (targets.length === 0) return nothing(options.reporter);
  await refuseDataLoss(connection, targets, options.acceptDataLoss ?? []);
  const accepted = new Set(options.acceptDataLoss);
  await runMigrations(connection, targets, 'down', {
    reporter: options.reporter,
    guard: (file) => guardStatement(file.losesDataOf.filter((table) => !accepted.has(table))),
  });
  return targets;
}

function nothing(reporter: Reporter): readonly MigrationFile[] {
  reporter.line('Nothing to roll back');
  return [];
}

function choose(
  migrations: ReturnType<typeof plan>['migrations'],
  options: RollbackOptions,
): MigrationFile[] {
  const applied = migrations.filter(({ applied }) => applied !== undefined).reverse();
  const { to, count = 1 } = options;
  if (to !== undefined && to !== '0000' && !applied.some(({ version }) => version === to)) {
    throw new Fault(
      'rollback/1',
      `Version ${to} is not applied here`,
      applied.length === 0
        ? 'no migration is'
        : `applied are ${applied
            .map(({ version }) => version)
            .reverse()
            .join(', ')}`,
      'Name the version that shall stay the newest, or 0000 to take everything back.',
      { exitCode: 2 },
    );
  }
  const chosen = to === undefined ? applied.slice(0, count) : applied.filter(({ version }) => version > to);
  return chosen.map(({ name, state, file }) => {
    if (file && state === 'applied') return file;
    throw new Fault(
      'rollback/2',
      `${name} cannot be rolled back`,
      file
        ? 'its file was changed or renamed after it was applied, so its Down section may not fit'
        : 'its file is missing, and only the file knows how',
      'Check out the version that applied it and roll back from there.',
    );
  });
}

async function refuseDataLoss(
  connection: Connection,
  targets: readonly MigrationFile[],
  accepted: readonly string[],
): Promise<void> {
  const losing = [...new Set(targets.flatMap(({ losesDataOf }) => losesDataOf))];
  const unknown = accepted.filter((table) => !losing.includes(table));
  if (unknown.length > 0) {
    throw new Fault(
      'rollback/3',
      `--accept-data-loss names ${unknown.join(', ')}`,
      losing.length === 0
        ? 'this rollback destroys no rows'
        : `this rollback destroys rows of ${losing.join(', ')} only`,
      'Name only what is meant: a longer list than needed agrees to losses that nobody has looked at.',
      { exitCode: 2 },
    );
  }
  const full: string[] = [];
  for (const table of losing.filter((name) => !accepted.includes(name))) {
    const rows = await countRows(connection, table);
    if (rows > 0) full.push(`${table} (${rows > countLimit ? `more than ${countLimit}` : rows} rows)`);
  }
  if (full.length === 0) return;
  throw new Fault(
    'rollback/4',
    `Rolling back ${targets.map(({ name }) => name).join(', ')} would destroy data`,
    `rows would be lost from ${full.join(', ')}`,
    'Nothing was changed. To go on, agree for each table: --accept-data-loss <table>.',
  );
}

/** Rows of a table, whoever's they are, up to one more than the limit; 0 for a table that does not exist. */
async function countRows(connection: Connection, table: string): Promise<number> {
  const { client } = connection;
  return asOwner(connection, async () => {
    const name = `llama.${pg.escapeIdentifier(table)}`;
    const found = await client.query<{ exists: boolean }>(existence, [table]);
    if (!found.rows[0]?.exists) return 0;
    await client.query('BEGIN');
    try {
      // Forced row-level security hides every tenant's rows from the owner; the ROLLBACK forces it again.
      await client.query(`ALTER TABLE ${name} NO FORCE ROW LEVEL SECURITY`);
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM (SELECT FROM ${name} LIMIT ${countLimit + 1}) AS counted`,
      );
      return rows[0]?.count ?? 0;
    } finally {
      await client.query('ROLLBACK');
    }
  });
}

const existence = `SELECT EXISTS (
  SELECT FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE n.nspname = 'llama' AND c.relname = $1 AND c.relkind IN ('r', 'p')) AS exists`;

/** Looks again inside the transaction of the rollback: rows may have come since they were counted. */
function guardStatement(tables: readonly string[]): string | undefined {
  if (tables.length === 0) return undefined;
  const list = tables.map((table) => pg.escapeLiteral(table)).join(', ');
  return `DO $guard$
    DECLARE
      name text;
      forced boolean;
      filled boolean;
    BEGIN
      FOR name, forced IN
        SELECT c.relname, c.relforcerowsecurity FROM pg_catalog.pg_class AS c
          JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE n.nspname = 'llama' AND c.relkind IN ('r', 'p') AND c.relname = ANY (ARRAY[${list}])
      LOOP
        EXECUTE pg_catalog.format('LOCK TABLE llama.%I IN ACCESS EXCLUSIVE MODE', name);
        IF forced THEN EXECUTE pg_catalog.format('ALTER TABLE llama.%I NO FORCE ROW LEVEL SECURITY', name); END IF;
        EXECUTE pg_catalog.format('SELECT EXISTS (SELECT FROM llama.%I)', name) INTO filled;
        IF filled THEN
          RAISE EXCEPTION 'table llama.% has got rows in the meantime', name
            USING HINT = 'Nothing of this migration was rolled back. Agree with --accept-data-loss ' || name;
        END IF;
        IF forced THEN EXECUTE pg_catalog.format('ALTER TABLE llama.%I FORCE ROW LEVEL SECURITY', name); END IF;
      END LOOP;
    END
    $guard$`;
}
