/** Rolls migrations back, newest first, and refuses to destroy rows unless the loss is accepted. */
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { counted } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { listMigrations, type MigrationFile } from './files.ts';
import { plan } from './plan.ts';
import { asOwner, isPrepared } from './prepare.ts';
import { reconcile } from './reconcile.ts';
import { runMigrations } from './run.ts';

export interface RollbackOptions {
  readonly reporter: Reporter;
  readonly migrationsDirectory: string;
  /** Version that remains the newest; `0000` rolls all migrations back. */
  readonly to?: string;
  /** Number of migrations to roll back. @default 1 */
  readonly count?: number;
  /** Tables of schema `llama` whose rows may be lost. */
  readonly acceptDataLoss?: readonly string[];
}

/** Counting stops here: more rows do not change the answer, and the count locks the table. */
const countLimit = 1_000_000;

/**
 * Rolls migrations back. The caller holds the lock.
 *
 * @returns the files that were rolled back, newest first
 * @throws Fault before any change, if a file is missing or changed, or if the rollback would destroy rows
 */
export async function rollback(
  connection: Connection,
  options: RollbackOptions,
): Promise<readonly MigrationFile[]> {
  const files = listMigrations(options.migrationsDirectory);
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
      'rollback/version-not-applied',
      `Version ${to} is not applied here`,
      applied.length === 0
        ? 'no migration is applied'
        : `the applied versions are ${applied
            .map(({ version }) => version)
            .reverse()
            .join(', ')}`,
      'Name the version that remains the newest, or 0000 to roll all migrations back.',
      { exitCode: 2 },
    );
  }
  const chosen = to === undefined ? applied.slice(0, count) : applied.filter(({ version }) => version > to);
  return chosen.map(({ name, state, file }) => {
    if (file && state === 'applied') return file;
    throw new Fault(
      file ? 'rollback/file-changed' : 'rollback/file-missing',
      `${name} cannot be rolled back`,
      file
        ? 'its file was changed or renamed after it was applied, so its Down section may not fit'
        : 'its file, which contains the Down section, is missing',
      'Check out the version that applied it, and roll back from there.',
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
      'rollback/needless-acceptance',
      `--accept-data-loss names ${unknown.join(', ')}`,
      losing.length === 0
        ? 'this rollback destroys no rows'
        : `this rollback destroys rows of ${losing.join(', ')} only`,
      'Name only the tables whose loss you accept; a longer list could accept an unexpected loss.',
      { exitCode: 2 },
    );
  }
  const full: string[] = [];
  for (const table of losing.filter((name) => !accepted.includes(name))) {
    const rows = await countRows(connection, table);
    if (rows > 0)
      full.push(`${table} (${rows > countLimit ? `more than ${countLimit} rows` : counted(rows, 'row')})`);
  }
  if (full.length === 0) return;
  throw new Fault(
    'rollback/would-lose-rows',
    `Rolling back ${targets.map(({ name }) => name).join(', ')} would destroy data`,
    `rows would be lost from ${full.join(', ')}`,
    'Nothing was changed. To continue, accept the loss for each table: --accept-data-loss <table>.',
  );
}

/** Rows of a table, of all tenants, up to one more than the limit; 0 if the table does not exist. */
async function countRows(connection: Connection, table: string): Promise<number> {
  const { client } = connection;
  return asOwner(connection, async () => {
    const name = `llama.${pg.escapeIdentifier(table)}`;
    const found = await client.query<{ exists: boolean }>(existence, [table]);
    if (!found.rows[0]?.exists) return 0;
    await client.query('BEGIN');
    try {
      // Forced row-level security hides the rows of all tenants from the owner; the ROLLBACK restores it.
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

/** SQL that checks again inside the transaction of the rollback, because rows may have been added since the count. */
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
          RAISE EXCEPTION 'rows were added to table llama.% in the meantime', name
            USING HINT = 'Nothing of this migration was rolled back. Accept the loss with --accept-data-loss ' || name;
        END IF;
        IF forced THEN EXECUTE pg_catalog.format('ALTER TABLE llama.%I FORCE ROW LEVEL SECURITY', name); END IF;
      END LOOP;
    END
    $guard$`;
}
