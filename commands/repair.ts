import type { Command } from 'commander';
import { counted } from '../core/text.ts';
import { withConnection } from '../database/connection.ts';
import { withLock } from '../database/migrator/lock.ts';
import { repair } from '../database/schema/repair.ts';
import { confirm } from './common/confirm.ts';
import {
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  type MigrationsOptions,
  withMigrations,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions, LockWaitOptions {
  readonly beforeRestore?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('repair')))
    .description('put roles, owners, grants and default privileges back as the schema manifest has them')
    .option(
      '--before-restore',
      'prepare an empty database for pg_restore: create the roles, and let this login inherit them until the next repair',
    )
    .option('--dry-run', 'list the statements, and change nothing')
    .option('--yes', 'do not ask for confirmation')
    .addOption(lockWaitOption())
    .addHelpText('after', `\nExample: llama-db repair ${lastEnvironment} --dry-run`)
    .action(async (environment: string | undefined, options: Options) => {
      const reporter = reporterFor(options);
      const target = await targetOf(environment, options);
      const { lockWait: waitSeconds, beforeRestore = false, dryRun = false, yes = false } = options;
      const question = (statements: number) => confirm(`Run ${counted(statements, 'statement')}?`);
      const done = await withConnection(
        target,
        { reporter, applicationName: 'llama-db repair' },
        (connection) =>
          withLock(connection, { reporter, waitSeconds }, () =>
            repair(connection, {
              ...{ reporter, migrationsDirectory: options.migrations, beforeRestore, dryRun },
              ...(yes ? {} : { confirm: question }),
            }),
          ),
      );
      for (const { object, sql, reason } of done.remaining) {
        reporter.warn(`not put back: ${object}: ${reason}${sql ? ` (${sql})` : ''}`);
      }
      const count = counted(done.statements.length, 'statement');
      const left = done.remaining.length;
      reporter.line(
        done.applied
          ? `${count}, ${left === 0 ? 'nothing remains' : `${counted(left, 'difference')} remain`}`
          : done.statements.length === 0
            ? 'Roles, owners, grants and default privileges are as the migrations make them'
            : `${count}, none of them run`,
      );
      if (options.json) printJson({ ok: left === 0, ...done });
      if (left > 0 || (!done.applied && done.statements.length > 0 && !dryRun)) process.exitCode = 1;
    });
}
