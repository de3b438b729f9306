/** Runs migrations one after the other through node-pg-migrate, and records each in the ledger. */
import { dirname, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { diagnose } from '../diagnosis.ts';
import { watchingIndexBuilds } from '../indexes/watch.ts';
import { isLockFailure, pauseAfter } from '../lock-retry.ts';
import { type MigrationFile, readMigration, sectionOf } from './files.ts';
import { closeFailed, type Direction, openAttempt, runnerTable } from './ledger.ts';
import { allBut, type Limits, type Step, strategiesFor } from './load.ts';
import { asOwner } from './prepare.ts';
import { silent } from './silent.ts';

export interface RunOptions {
  readonly reporter: Reporter;
  readonly limits?: Limits;
  /** Attempts at a migration that does not get a lock, or that loses a deadlock. @default 5 */
  readonly attempts?: number;
  /** SQL to run first inside the transaction of a file. @default - none */
  readonly guard?: (file: MigrationFile) => string | undefined;
  /** Milliseconds between two reports about the progress of an index build. @default 10000 */
  readonly progressEvery?: number;
}

/** Milliseconds before the second attempt at a migration. */
const firstPause = 500;

/**
 * Runs migrations in the given order, each in its own transaction unless it declares none.
 *
 * @throws Fault for the first failure. Earlier migrations stay applied, and a failed transactional one is rolled back.
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
      if (usable && number < tries && isLockFailure(error)) {
        const pause = pauseAfter(number, firstPause);
        options.reporter.warn(
          `${file.name} did not get a lock; retrying in ${duration(pause)} (${number} of ${tries - 1})`,
        );
        await sleep(pause);
        continue;
      }
      const fault = explain(error, step, connection);
      if (usable) {
        // A full disk refuses this row too. The fault itself matters more than the failure to record it.
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
    // Its documentation states the default true, but undefined means false.
    singleTransaction: false,
    // plan() has checked the order. The check of the library would refuse every run after one accepted exception.
    checkOrder: false,
    noLock: true,
    logger: silent,
    migrationLoaderStrategies: strategiesFor(step, connection),
  });
  if (done.length !== 1)
    throw new Error(`node-pg-migrate ran ${done.length} migrations instead of ${step.file.name}`);
}

/** Rolls back, which the library omits on a client that it did not open. @returns whether the session is still usable */
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
    return new Fault(fault.code, `${doing}: ${fault.what}`, fault.why, fault.remedy, { cause });
  }
  return new Fault(
    'migration/failed',
    doing,
    fault.message,
    'Correct the migration and run the command again.',
    { cause },
  );
}

/** The error that a migration file threw while it was loaded; node-pg-migrate wraps it. */
function unwrap(error: unknown): unknown {
  const wrapped = error instanceof Error && error.message.startsWith('Error loading migration files');
  return wrapped && error.cause !== undefined ? error.cause : error;
}

/** File, with the line if the server reported a position. */
function placeOf(error: unknown, { file, direction }: Step): string {
  const path = relative(process.cwd(), file.path);
  const position = error instanceof Error ? Number(Reflect.get(error, 'position')) : Number.NaN;
  if (file.kind !== 'sql' || !Number.isInteger(position)) return path;
  const section = sectionOf(readMigration(file.path), direction);
  if (!section) return path;
  const before = Array.from(section.sql).slice(0, position).join('');
  return `${path}:${section.line + before.split('\n').length - 1}`;
}
