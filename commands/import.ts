import { existsSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { counted } from '../core/text.ts';
import { resolveTarget, type Target } from '../database/target.ts';
import {
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  type TargetOptions,
  wholeNumber,
  withTarget,
} from './common/options.ts';
import { progressOn } from './common/progress.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends TargetOptions, LockWaitOptions {
  readonly from: string;
  readonly schema: string;
  readonly months?: string;
  readonly batchSize: number;
  readonly follow?: boolean;
  readonly compare?: boolean;
  readonly stage?: boolean;
  readonly rejects?: string;
}

export function register(program: Command): void {
  withTarget(program.command('import'))
    .description(
      'copy the rows of another server or of a dump, compare both sides, and follow later changes (docs/importing.md); exit 1 when rows were refused or differ',
    )
    .requiredOption(
      '--from <source>',
      'postgresql://user@host/database (with LLAMA_DB_SOURCE_PASSWORD, or an Entra token), a directory of CSV files, or "staging"',
    )
    .option('--schema <name>', 'schema of the tables at a source that is a database', 'public')
    .option('--months <from..to>', 'months that rows may have, as 2024-01..2026-12; others are refused')
    .option('--batch-size <rows>', 'rows compared and written at once', wholeNumber, 2000)
    .option('--follow', 'also remove what an earlier import brought and the source no longer has')
    .option('--compare', 'only compare counts and contents')
    .option('--stage', 'prepare a database on the target server that the source replicates to')
    .option('--rejects <file>', 'file for refused rows; default: llama-import-rejects-<time>.ndjson')
    .addOption(lockWaitOption())
    .addHelpText('after', `\nExample: llama-db import ${lastEnvironment} --from ./dump`)
    .action(async (environment: string | undefined, options: Options) => {
      const target = await targetOf(environment, options);
      await (options.stage ? stage(target, options) : copy(target, options));
    });
}

async function copy(target: Target, options: Options): Promise<void> {
  const { importRows } = await import('../database/import/import.ts');
  const { parseMonths } = await import('../database/import/months.ts');
  const reporter = reporterFor(options);
  const stream = options.json ? process.stderr : process.stdout;
  const time = new Date().toISOString().replace(/[:.]/g, '-');
  const months = options.months === undefined ? {} : { months: parseMonths(options.months) };
  if (options.batchSize < 1 || options.batchSize > 100_000) {
    throw refuse(
      'import/batch-size',
      `--batch-size is ${options.batchSize}`,
      'it must be 1 to 100000',
      'Leave it out for 2000.',
    );
  }
  const done = await importRows(target, {
    ...months,
    reporter,
    progress: progressOn(stream, reporter),
    openSource: await sourceOf(target, options),
    compareOnly: options.compare ?? false,
    follow: options.follow ?? false,
    batchRows: options.batchSize,
    rejectsFile: options.rejects ?? `llama-import-rejects-${time}.ndjson`,
    lockWaitSeconds: options.lockWait,
  });
  const [refused, left] = [sum(done.tables, 'refused'), sum(done.tables, 'left')];
  const complete = done.tables.every((table) => table.complete);
  const ok = complete && refused + left === 0;
  if (options.json) printJson({ ...done, ok });
  if (refused + left > 0) {
    reporter.warn(
      `${counted(refused, 'row')} refused, ${left} left as others have written them in the target: ${done.rejects ?? ''} has each with its key and reason, and contains data of tenants`,
    );
  }
  if (!complete)
    reporter.warn(
      'Both sides differ. Run the command again; if the difference stays, somebody writes to one of them',
    );
  if (!ok) process.exitCode = 1;
}

function sum(tables: readonly { refused: number; left: number }[], field: 'refused' | 'left'): number {
  return tables.reduce((total, table) => total + table[field], 0);
}

async function sourceOf(target: Target, options: Options) {
  const { databaseSource, dumpSource } = await import('../database/import/source.ts');
  if (options.from !== 'staging' && !/^postgres(ql)?:/.test(options.from)) {
    if (!existsSync(options.from) || !statSync(options.from).isDirectory()) {
      throw refuse(
        'import/source-unknown',
        `--from names nothing that can be read`,
        'it is neither a postgresql:// URL, nor a directory, nor "staging"',
        'Example: --from ./dump.',
      );
    }
    if (options.follow) {
      throw refuse(
        'import/dump-not-followed',
        '--follow needs a database as its source',
        'a file does not show whether a missing row was deleted or never written to it',
        'Leave --follow out.',
      );
    }
    return async () => dumpSource(options.from);
  }
  const { sourceConnection } = await import('../database/import/staging.ts');
  const source = await sourceTarget(target, options);
  return async () => databaseSource(await sourceConnection(source, reporterFor(options)), options.schema);
}

async function sourceTarget(target: Target, { from }: Options): Promise<Target> {
  const { stagingOf } = await import('../database/import/staging.ts');
  if (from === 'staging') return stagingOf(target);
  const { LLAMA_DB_SOURCE_PASSWORD: password, PGSSLROOTCERT: root } = process.env;
  try {
    return await resolveTarget(
      { url: from },
      { ...(password ? { PGPASSWORD: password } : {}), ...(root ? { PGSSLROOTCERT: root } : {}) },
    );
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    const what = error.what.replace('--url', '--from');
    throw new Fault(error.code, what, error.why, error.remedy, { cause: error, exitCode: error.exitCode });
  }
}

async function stage(target: Target, options: Options): Promise<void> {
  if (!/^postgres(ql)?:/.test(options.from)) {
    throw refuse(
      'import/stage-without-database',
      '--stage needs the URL of the source in --from',
      'it reads the tables of the publishing server',
      'Example: --stage --from postgresql://user@host/database.',
    );
  }
  const { prepareStaging } = await import('../database/import/staging.ts');
  const reporter = reporterFor(options);
  const staged = await prepareStaging(target, await sourceTarget(target, options), options.schema, reporter);
  if (options.json) printJson(staged);
  else
    process.stdout.write(
      `\nAt the source:\n${staged.publication}\n\nIn database ${staged.database}:\n${staged.subscription}\n`,
    );
}

function refuse(code: `import/${string}`, what: string, why: string, remedy: string): Fault {
  return new Fault(code, what, why, remedy, { exitCode: 2 });
}
