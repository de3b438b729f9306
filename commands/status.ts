import type { Command } from 'commander';
import { withConnection } from '../database/connection.ts';
import { describeStatus, diverges, statusDocument } from '../database/migrator/describe.ts';
import { status } from '../database/migrator/migrate.ts';
import { lastEnvironment, type MigrationsOptions, withMigrations, withTarget } from './common/options.ts';
import { looking, print, printJson, reporterFor, targetOf } from './common/target.ts';

export function register(program: Command): void {
  withMigrations(withTarget(program.command('status')))
    .description('compare the files with the ledger: applied, pending, edited, missing, out of order')
    .addHelpText('after', `\nExample: llama-db status ${lastEnvironment} --json`)
    .action(async (environment: string | undefined, options: MigrationsOptions) => {
      const reporter = reporterFor(options);
      const connect = {
        reporter,
        applicationName: 'llama-db status',
        session: 'reading',
        acceptStandby: true,
      } as const;
      const found = await looking(async () =>
        withConnection(await targetOf(environment, options), connect, (connection) =>
          status(connection, options.migrations),
        ),
      );
      if (options.json) printJson({ ...statusDocument(found), ok: !diverges(found) });
      else print(`${describeStatus(found)}\n`);
      if (diverges(found)) process.exitCode = 1;
    });
}
