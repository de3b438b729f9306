/**
 * One migration as node-pg-migrate runs it: the file's own steps between the role and limits before them and
 * the ledger's row after them, all in the same transaction.
 */
import { basename } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { MigrationBuilder, RunnerOption } from 'node-pg-migrate';
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { type MigrationFile, readMigration, sectionOf } from './files.ts';
import { type Direction, successStatement } from './ledger.ts';

export interface Limits {
  /** Milliseconds a statement may wait for a lock before the application would notice. @default 5000 */
  readonly lockTimeout?: number;
  /** Milliseconds a statement may run. @default 900000 */
  readonly statementTimeout?: number;
}

export interface Step {
  readonly file: MigrationFile;
  readonly direction: Direction;
  /** Row of the ledger that this run of it fills. */
  readonly attempt: string;
  readonly limits: Limits;
  /** SQL to run first, inside the transaction. @default - none */
  readonly guard?: string;
}

type Action = (pgm: MigrationBuilder) => void | Promise<void>;
type Strategies = NonNullable<RunnerOption['migrationLoaderStrategies']>;

/** Loads the one file of a step in place of node-pg-migrate's own loaders. */
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

/** Pattern of file names that node-pg-migrate must not see: all but this one. */
export function allBut(file: MigrationFile): string {
  return `(?!${basename(file.path).replace(/[.]/g, '\\.')}$).*`;
}

function wrap(
  { file, direction, attempt, limits, guard }: Step,
  action: Action,
  { client }: Connection,
): Action {
  return async (pgm) => {
    // For statements that a migration runs itself (pgm.db) before the transaction begins, or without one.
    await client.query(`SET ROLE ${roleOf(file)}`);
    if (guard) pgm.sql(`SET LOCAL ROLE llama_owner; ${guard}`);
    pgm.sql(opening(file, limits));
    await action(pgm);
    // Both tables of the ledger belong to the owner, whatever role the migration left behind.
    pgm.sql('SET ROLE llama_owner');
    pgm.sql(successStatement(attempt, file, direction));
  };
}

/** First statements of a migration's transaction: its role, and how long it may wait and run. */
export function opening(file: Pick<MigrationFile, 'runAs'>, limits: Limits = {}): string {
  return [
    `SET LOCAL ROLE ${roleOf(file)}`,
    `SET LOCAL lock_timeout = ${limits.lockTimeout ?? 5000}`,
    `SET LOCAL statement_timeout = ${limits.statementTimeout ?? 900_000}`,
  ].join('; ');
}

/** Role that a migration runs as; NONE is the login. */
export function roleOf({ runAs }: Pick<MigrationFile, 'runAs'>): string {
  return runAs === 'login' ? 'NONE' : 'llama_owner';
}

async function loadAction(file: MigrationFile, direction: Direction): Promise<Action> {
  const action = file.kind === 'sql' ? loadSql(file, direction) : await loadTypeScript(file, direction);
  if (action) return action;
  throw new Fault(
    'load/1',
    `Migration ${file.name} cannot be run ${direction}`,
    file.kind === 'sql'
      ? `it has no "-- ${direction === 'up' ? 'Up' : 'Down'} Migration" section`
      : `it exports no function ${direction}(pgm)`,
    direction === 'up' ? 'Write it.' : 'Write it, or go forward with a new migration instead.',
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
