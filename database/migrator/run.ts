/** Runs one migration after the other through node-pg-migrate, each leaving its row in the ledger. */
import { dirname, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { diagnose, sqlState } from '../diagnosis.ts';
import { watchingIndexBuilds } from '../indexes/watch.ts';
import { type MigrationFile, readMigration, sectionOf } from './files.ts';
import { closeFailed, type Direction, openAttempt, runnerTable } from './ledger.ts';
import { allBut, type Limits, type Step, strategiesFor } from './load.ts';
import { asOwner } from './prepare.ts';

export interface RunOptions {
  readonly reporter: Reporter;
  readonly limits?: Limits;
  /** Times a migration is tried when it could not have a lock, or lost a deadlock. @default 5 */
  readonly attempts?: number;
  /** SQL for a step to run first, inside its transaction. @default - none */
  readonly guard?: (file: MigrationFile) => string | undefined;
  /** Milliseconds between two lines about an index that is being built. @default 10000 */
  readonly progressEvery?: number;
}

/** node-pg-migrate's logger prints failing statements whole, with whatever they contain. */
const silent = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Runs migrations in the given order, each in a transaction of its own (or none, where it says so).
 *
 * @throws Fault at the first that fails; those before it stay applied, and nothing of a transactional one stays.
 */
export async function runMigrations(
  connection: Connection,
  files: readonly MigrationFile[],
  direction: Direction,
  options: RunOptions,
): Promise<void> {
  for (const file of files) {
    const start = performance.now();
    await watchingIndexBuilds(
      connection,
      options.reporter,
      () => runOne(connection, file, direction, options),
      options.progressEvery === undefined ? {} : { every: options.progressEvery },
    );
    const verb = direction === 'up' ? 'Applied' : 'Rolled back';
    options.reporter.line(`${verb} ${file.name} (${duration(performance.now() - start)})`);
  }
}

async function runOne(
  connection: Connection,
  file: MigrationFile,
  direction: Direction,
  options: RunOptions,
): Promise<void> {
  const attempt = await asOwner(connection, () =>
    openAttempt(connection, file, direction, connection.credential.executor),
  );
  const guard = options.guard?.(file);
  const step: Step = { file, direction, attempt, limits: options.limits ?? {}, ...(guard ? { guard } : {}) };
  const tries = options.attempts ?? 5;
  for (let number = 1; ; number += 1) {
    try {
      await runThroughLibrary(connection, step);
      await connection.restoreSession();
      return;
    } catch (error) {
      const usable = await cleanUp(connection);
      if (usable && number < tries && ['55P03', '40P01'].includes(sqlState(error) ?? '')) {
        const pause = 500 * 2 ** (number - 1) * (0.5 + Math.random());
        options.reporter.warn(
          `${file.name} could not have a lock; trying again in ${duration(pause)} (${number} of ${tries - 1})`,
        );
        await sleep(pause);
        continue;
      }
      const fault = explain(error, step, connection);
      if (usable) {
        // A disk that is full refuses this row too; what failed is worth more than why it could not be noted.
        await asOwner(connection, () => closeFailed(connection, attempt, fault.message)).catch(
          () => undefined,
        );
      }
      throw fault;
    }
  }
}

async function runThroughLibrary(connection: Connection, step: Step): Promise<void> {
  const { runner } = await import('node-pg-migrate');
  const { client } = connection;
  await client.query('SET ROLE llama_owner');
  const done = await runner({
    dbClient: client,
    dir: dirname(step.file.path),
    ignorePattern: allBut(step.file),
    file: step.file.name,
    direction: step.direction,
    count: 1,
    migrationsSchema: 'llama',
    migrationsTable: runnerTable,
    // Undefined means false here, though its documentation says true.
    singleTransaction: false,
    // plan() has looked at the order; the library's own check refuses for ever after one exception.
    checkOrder: false,
    noLock: true,
    logger: silent,
    migrationLoaderStrategies: strategiesFor(step, connection),
  });
  if (done.length !== 1)
    throw new Error(`node-pg-migrate ran ${done.length} migrations instead of ${step.file.name}`);
}

/** The library issues no ROLLBACK on a client that it did not open. @returns whether the session still works */
async function cleanUp(connection: Connection): Promise<boolean> {
  try {
    await connection.client.query('ROLLBACK');
    await connection.restoreSession();
    return true;
  } catch {
    return false;
  }
}

function explain(error: unknown, step: Step, connection: Connection): Fault {
  const place = placeOf(error, step);
  const doing = `Migration ${step.file.name} failed (${place})`;
  const cause = unwrap(error);
  const fault = diagnose(cause, connection.circumstances, doing);
  if (fault instanceof Fault) {
    if (fault !== cause) return fault;
    return new Fault('run/1', `${doing}: ${fault.what}`, fault.why, fault.remedy, { cause });
  }
  return new Fault('run/2', doing, fault.message, 'Mend the migration and run the command again.', { cause });
}

/** node-pg-migrate wraps what a migration file throws while it is loaded. */
function unwrap(error: unknown): unknown {
  const wrapped = error instanceof Error && error.message.startsWith('Error loading migration files');
  return wrapped && error.cause !== undefined ? error.cause : error;
}

/** File, and the line where the server could tell. */
function placeOf(error: unknown, { file, direction }: Step): string {
  const path = relative(process.cwd(), file.path);
  const position = error instanceof Error ? Number(Reflect.get(error, 'position')) : Number.NaN;
  if (file.kind !== 'sql' || !Number.isInteger(position)) return path;
  const section = sectionOf(readMigration(file.path), direction);
  if (!section) return path;
  const before = Array.from(section.sql).slice(0, position).join('');
  return `${path}:${section.line + before.split('\n').length - 1}`;
}
