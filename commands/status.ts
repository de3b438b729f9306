import type { Command } from 'commander';
import { withConnection } from '../database/connection.ts';
import { describeStatus, diverges, statusDocument } from '../database/migrations/describe.ts';
import { migrationsDirectory } from '../database/migrations/files.ts';
import { status } from '../database/migrations/migrate.ts';
import { printJson, reporterFor, type TargetOptions, targetOf, withTarget } from './common/target.ts';

export function register(program: Command): void {
  withTarget(program.command('status'))
    .description('compare the files with the ledger: applied, pending, edited, missing, out of order')
    .addHelpText('after', '\nExample: llama-db status production --json')
    .action(async (environment: string | undefined, options: TargetOptions) => {
      const reporter = reporterFor(options);
      const connect = {
        reporter,
        applicationName: 'llama-db status',
        session: 'reading',
        acceptStandby: true,
      } as const;
      const found = await withConnection(await targetOf(environment, options), connect, (connection) =>
        status(connection, migrationsDirectory),
      );
      if (options.json) printJson({ ...statusDocument(found), ok: !diverges(found) });
      else process.stdout.write(`${describeStatus(found)}\n`);
      if (diverges(found)) process.exitCode = 1;
    });
}
