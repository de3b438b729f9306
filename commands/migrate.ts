import { type Command, Option } from 'commander';
import { withConnection } from '../database/connection.ts';
import { dryRunDocument, reportDryRun } from '../database/migrator/describe.ts';
import { withLock } from '../database/migrator/lock.ts';
import { dryRun, migrate } from '../database/migrator/migrate.ts';
import {
  firstEnvironment,
  type LockWaitOptions,
  lockWaitOption,
  type MigrationsOptions,
  withMigrations,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions, LockWaitOptions {
  readonly allowOutOfOrder?: boolean;
  readonly dryRun?: boolean;
  readonly sql?: boolean;
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('migrate')))
    .description('apply pending migrations without the rest of the post-deploy step')
    .addOption(lockWaitOption())
    .option('--allow-out-of-order', 'apply files that precede applied ones')
    .addOption(
      new Option('--dry-run', 'print the names of the pending migrations, and change nothing').conflicts(
        'sql',
      ),
    )
    .option('--sql', 'print the pending migrations as a script for psql, and change nothing')
    .addHelpText('after', `\nExample: llama-db migrate ${firstEnvironment} --dry-run`)
    .action(async (environment: string | undefined, options: Options) => {
      const reporter = reporterFor(options);
      const target = await targetOf(environment, options);
      const applicationName = 'llama-db migrate';
      const { allowOutOfOrder = false } = options;
      const look = { migrationsDirectory: options.migrations, allowOutOfOrder };
      const reading = { applicationName, session: 'reading', acceptStandby: true } as const;
      if (options.sql) {
        // Loaded late: only this option needs node-pg-migrate.
        const { migrationScript } = await import('../database/migrator/script.ts');
        const quiet = reporterFor({ json: true });
        const script = await withConnection(target, { ...reading, reporter: quiet }, (connection) =>
          migrationScript(connection, look),
        );
        process.stdout.write(script);
        return;
      }
      if (options.dryRun) {
        const found = await withConnection(target, { ...reading, reporter }, (connection) =>
          dryRun(connection, look),
        );
        reportDryRun(found, reporter);
        if (options.json) printJson(dryRunDocument(found));
        return;
      }
      const { lockWait: waitSeconds } = options;
      const applied = await withConnection(target, { reporter, applicationName }, (connection) =>
        withLock(connection, { reporter, waitSeconds }, () =>
          migrate(connection, { reporter, migrationsDirectory: options.migrations, allowOutOfOrder }),
        ),
      );
      if (options.json) printJson({ applied: applied.map(({ name }) => name) });
    });
}
