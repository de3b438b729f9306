import type { Command } from 'commander';
import { withConnection } from '../database/connection.ts';
import { withLock } from '../database/migrator/lock.ts';
import { rollback } from '../database/migrator/rollback.ts';
import {
  type MigrationsOptions,
  printJson,
  reporterFor,
  targetOf,
  wholeNumber,
  withMigrations,
  withTarget,
} from './common/target.ts';

interface Options extends MigrationsOptions {
  readonly lockWait: number;
  readonly to?: string;
  readonly count?: number;
  readonly acceptDataLoss?: string[];
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('rollback')))
    .description('take migrations back, newest first; refuses to destroy rows that nobody agreed to lose')
    .option('--to <version>', 'version that stays the newest, e.g. 0007; 0000 takes everything back')
    .option('--count <n>', 'how many to take back (default: 1)', wholeNumber)
    .option('--accept-data-loss <table>', 'a table whose rows may be lost; give it once for each', collect)
    .option('--lock-wait <seconds>', 'how long to wait for another run', wholeNumber, 60)
    .addHelpText('after', '\nExample: llama-db rollback development --to 0007')
    .action(async (environment: string | undefined, options: Options, command: Command) => {
      if (options.to !== undefined && options.count !== undefined) {
        command.error('error: --to and --count exclude each other', { exitCode: 2 });
      }
      const reporter = reporterFor(options);
      const { to, count, acceptDataLoss = [], lockWait: waitSeconds } = options;
      const target = await targetOf(environment, options);
      const connect = { reporter, applicationName: 'llama-db rollback' };
      const undone = await withConnection(target, connect, (connection) =>
        withLock(connection, { reporter, waitSeconds }, () =>
          rollback(connection, {
            reporter,
            migrationsDirectory: options.migrations,
            acceptDataLoss,
            ...(to === undefined ? {} : { to }),
            ...(count === undefined ? {} : { count }),
          }),
        ),
      );
      if (options.json) printJson({ rolledBack: undone.map(({ name }) => name) });
    });
}

function collect(table: string, list: readonly string[] = []): readonly string[] {
  return [...list, table.replace(/^llama\./, '')];
}
