import type { Command } from 'commander';
import type { Severity } from '../core/severity.ts';
import { loginPasswords } from '../database/principals.ts';
import { postDeploy } from '../pipeline/release/post-deploy.ts';
import {
  failOnOption,
  type LockWaitOptions,
  lastEnvironment,
  lockWaitOption,
  type MigrationsOptions,
  withMigrations,
  withTarget,
} from './common/options.ts';
import { printJson, reporterFor, targetOf } from './common/target.ts';

interface Options extends MigrationsOptions, LockWaitOptions {
  readonly failOn: Severity;
}

export function register(program: Command): void {
  withMigrations(withTarget(program.command('post-deploy')))
    .description('apply migrations and settings to the database, verify it, record the release')
    .addOption(lockWaitOption())
    .addOption(failOnOption('findings of at least this severity fail the step', 'high'))
    .addHelpText('after', `\nExample: llama-db post-deploy ${lastEnvironment}`)
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
