import { type Command, Option } from 'commander';
import { loginPasswords } from '../database/principals.ts';
import { postDeploy } from '../pipeline/release/post-deploy.ts';
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
  readonly failOn: 'critical' | 'high' | 'medium' | 'low';
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('post-deploy')))
    .description('bring the database to what its files and settings say, verify it, record the release')
    .option('--lock-wait <seconds>', 'how long to wait for another run', wholeNumber, 60)
    .addOption(
      new Option('--fail-on <severity>', 'fail when verification finds something at or above it')
        .choices(['critical', 'high', 'medium', 'low'])
        .default('high'),
    )
    .addHelpText('after', '\nExample: llama-db post-deploy production')
    .action(async (environment: string | undefined, options: Options) => {
      const result = await postDeploy(await targetOf(environment, options), {
        reporter: reporterFor(options),
        lockWaitSeconds: options.lockWait,
        failOn: options.failOn,
        migrationsDirectory: options.migrations,
        loginPasswords: loginPasswords(process.env),
      });
      if (options.json) printJson(result);
    });
}
