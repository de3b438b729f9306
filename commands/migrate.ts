import { type Command, Option } from 'commander';
import { withConnection } from '../database/connection.ts';
import { dryRunDocument, reportDryRun } from '../database/migrator/describe.ts';
import { withLock } from '../database/migrator/lock.ts';
import { dryRun, migrate } from '../database/migrator/migrate.ts';
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
  readonly sql?: boolean;
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('migrate')))
    .description('apply pending migrations, and nothing else of the post-deploy step')
    .option('--lock-wait <seconds>', 'how long to wait for another run', wholeNumber, 60)
    .option('--allow-out-of-order', 'apply files that come before others already applied')
    .addOption(
      new Option('--dry-run', 'name what would be applied and change nothing at all').conflicts('sql'),
    )
    .option('--sql', 'print what would be run as a script for psql, and change nothing at all')
    .addHelpText('after', '\nExample: llama-db migrate staging --dry-run')
    .action(async (environment: string | undefined, options: Options) => {
      const reporter = reporterFor(options);
      const target = await targetOf(environment, options);
      const applicationName = 'llama-db migrate';
      const { allowOutOfOrder = false } = options;
      const look = { migrationsDirectory: options.migrations, allowOutOfOrder };
      const reading = { applicationName, session: 'reading', acceptStandby: true } as const;
      if (options.sql) {
        // Loaded here: it needs node-pg-migrate, which the rest of this command may do without.
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
