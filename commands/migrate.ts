import type { Command } from 'commander';
import { withConnection } from '../database/connection.ts';
import { withLock } from '../database/migrations/lock.ts';
import { migrate, status } from '../database/migrations/migrate.ts';
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
  readonly allowOutOfOrder?: boolean;
  readonly dryRun?: boolean;
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('migrate')))
    .description('apply pending migrations, and nothing else of the post-deploy step')
    .option('--lock-wait <seconds>', 'how long to wait for another run', wholeNumber, 60)
    .option('--allow-out-of-order', 'apply files that come before others already applied')
    .option('--dry-run', 'name what would be applied and change nothing at all')
    .addHelpText('after', '\nExample: llama-db migrate staging --dry-run')
    .action(async (environment: string | undefined, options: Options) => {
      const reporter = reporterFor(options);
      const target = await targetOf(environment, options);
      const applicationName = 'llama-db migrate';
      if (options.dryRun) {
        const connect = { reporter, applicationName, session: 'reading' } as const;
        const { pending } = await withConnection(target, connect, (connection) =>
          status(connection, options.migrations),
        );
        for (const { name } of pending) reporter.line(`Would apply ${name}`);
        if (pending.length === 0) reporter.line('Nothing to migrate');
        if (options.json) printJson({ pending: pending.map(({ name }) => name) });
        return;
      }
      const { allowOutOfOrder = false, lockWait: waitSeconds } = options;
      const applied = await withConnection(target, { reporter, applicationName }, (connection) =>
        withLock(connection, { reporter, waitSeconds }, () =>
          migrate(connection, { reporter, directory: options.migrations, allowOutOfOrder }),
        ),
      );
      if (options.json) printJson({ applied: applied.map(({ name }) => name) });
    });
}
