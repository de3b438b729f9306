import type { Command } from 'commander';
import { withConnection } from '../database/connection.ts';
import { withLock } from '../database/migrator/lock.ts';
import { rollback } from '../database/migrator/rollback.ts';
import {
  collected,
  firstEnvironment,
  type LockWaitOptions,
  lockWaitOption,
  type MigrationsOptions,
  wholeNumber,
  withMigrations,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions, LockWaitOptions {
  readonly to?: string;
  readonly count?: number;
  readonly acceptDataLoss?: string[];
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('rollback')))
    .description(
      'revert migrations, newest first; refuses to destroy rows unless --accept-data-loss names their table',
    )
    .option('--to <version>', 'the newest version to keep, such as 0007; 0000 reverts everything')
    .option('--count <n>', 'number of migrations to revert (default: 1)', wholeNumber)
    .option('--accept-data-loss <table>', 'a table whose rows may be lost; may be repeated', table)
    .addOption(lockWaitOption())
    .addHelpText('after', `\nExample: llama-db rollback ${firstEnvironment} --to 0007`)
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

function table(name: string, before?: readonly string[]): readonly string[] {
  return collected(name.replace(/^llama\./, ''), before);
}
