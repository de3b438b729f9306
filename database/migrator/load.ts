/**
 * Loads one migration for node-pg-migrate. Its statements run in one transaction, after those that set role and limits and
 * before the one that updates the ledger.
 */
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MigrationBuilder, RunnerOption } from 'node-pg-migrate';
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { type MigrationFile, readMigration, sectionOf } from './files.ts';
import { type Direction, successStatement } from './ledger.ts';

export interface Limits {
  /** Milliseconds that a statement may wait for a lock, and the application behind it. @default 5000 */
  readonly lockTimeout?: number;
  /** Milliseconds that a statement may run. @default 900000 */
  readonly statementTimeout?: number;
}

/** Limits of a migration unless its run sets others. */
export const defaultLimits = { lockTimeout: 5_000, statementTimeout: 15 * 60_000 } as const;

export interface Step {
  readonly file: MigrationFile;
  readonly direction: Direction;
  /** Id of the attempt in the ledger. */
  readonly attempt: string;
  readonly limits: Limits;
  /** SQL to run first inside the transaction. @default - none */
  readonly guard?: string;
}

type Action = (pgm: MigrationBuilder) => void | Promise<void>;
type Strategies = NonNullable<RunnerOption['migrationLoaderStrategies']>;

/** Loads the file of a step; replaces the loaders of node-pg-migrate. */
export function strategiesFor(step: Step, connection: Connection): Strategies {
  return [
    {
      extensions: [`.${step.file.kind}`],
      loader: async (paths) => {
        const action = await loadAction(step.file, step.direction);
        const wrapped = wrap(step, action, connection);
        return paths.map((path) => ({ id: path, filePaths: [path], actions: { [step.direction]: wrapped } }));
      },
    },
  ];
}

/** Pattern of the file names that node-pg-migrate ignores: all but this file. */
export function allBut(file: MigrationFile): string {
  return `(?!${basename(file.path).replace(/[.]/g, '\\.')}$).*`;
}

function wrap(
  { file, direction, attempt, limits, guard }: Step,
  action: Action,
  { client }: Connection,
): Action {
  return async (pgm) => {
    // A migration can run statements itself (pgm.db), before its transaction begins or without one.
    await client.query(`SET ROLE ${roleOf(file)}`);
    if (guard) pgm.sql(`SET LOCAL ROLE llama_owner; ${guard}`);
    pgm.sql(opening(file, limits));
    await action(pgm);
    // The migration may leave another role set; the tables of the ledger belong to the owner.
    pgm.sql('SET ROLE llama_owner');
    pgm.sql(successStatement(attempt, file, direction));
  };
}

/** First statements in the transaction of a migration: they set its role and limits. */
export function opening(file: Pick<MigrationFile, 'runAs'>, limits: Limits = {}): string {
  return [
    `SET LOCAL ROLE ${roleOf(file)}`,
    `SET LOCAL lock_timeout = ${limits.lockTimeout ?? defaultLimits.lockTimeout}`,
    `SET LOCAL statement_timeout = ${limits.statementTimeout ?? defaultLimits.statementTimeout}`,
  ].join('; ');
}

/** Role of a migration for SET ROLE; NONE means the login. */
export function roleOf({ runAs }: Pick<MigrationFile, 'runAs'>): string {
  return runAs === 'login' ? 'NONE' : 'llama_owner';
}

async function loadAction(file: MigrationFile, direction: Direction): Promise<Action> {
  const action = file.kind === 'sql' ? loadSql(file, direction) : await loadTypeScript(file, direction);
  if (action) return action;
  throw new Fault(
    'migration/section-missing',
    `Migration ${file.name} has no ${direction} section`,
    file.kind === 'sql'
      ? `it contains no line "-- ${direction === 'up' ? 'Up' : 'Down'} Migration"`
      : `it exports no function ${direction}(pgm)`,
    direction === 'up' ? 'Add it.' : 'Add it, or undo the change with a new migration.',
  );
}

async function loadTypeScript(file: MigrationFile, direction: Direction): Promise<Action | undefined> {
  const module: Record<string, unknown> = await import(pathToFileURL(file.path).href);
  const action = module[direction];
  return typeof action === 'function' ? (pgm) => action(pgm) : undefined;
}

function loadSql(file: MigrationFile, direction: Direction): Action | undefined {
  const section = sectionOf(readMigration(file.path), direction);
  return section && ((pgm) => pgm.sql(section.sql));
}
