import type { Command } from 'commander';
import { Fault } from '../core/fault.ts';
import { interruptible } from '../core/interrupts.ts';
import type { Severity } from '../core/severity.ts';
import { printable } from '../core/text.ts';
import { migrationsDirectory } from '../database/migrator/files.ts';
import { loginPasswords } from '../database/principals.ts';
import type { Target } from '../database/target.ts';
import { beInsideJob, jobVariables } from '../pipeline/job/inside.ts';
import { whyClosed } from '../pipeline/job/route.ts';
import { runInJob } from '../pipeline/job/run.ts';
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
      await beInsideJob(process.env);
      const target = await targetOf(environment, options);
      if (await runsInJob(target, options)) return;
      const result = await postDeploy(target, {
        reporter: reporterFor(options),
        lockWaitSeconds: options.lockWait,
        failOn: options.failOn,
        migrationsDirectory: options.migrations,
        loginPasswords: loginPasswords(process.env),
      });
      if (options.json) printJson(result);
    });
}

/**
 * Runs the step in the job of the deployment if there is one and this machine does not reach the server.
 *
 * @returns whether it ran there
 */
async function runsInJob({ deployment, ...route }: Target, options: Options): Promise<boolean> {
  if (!deployment?.postDeployJob || process.env[jobVariables.mark] !== undefined) return false;
  const closed = await whyClosed(route);
  if (closed === undefined) return false;
  const reporter = reporterFor(options);
  if (options.migrations !== migrationsDirectory)
    throw new Fault(
      'post-deploy/job-other-migrations',
      'The post-deploy job has no other migrations than those of its image',
      `--migrations names ${options.migrations}, and this machine does not reach the server (${closed})`,
      'Leave --migrations out, or run the command inside the network.',
      { exitCode: 2 },
    );
  reporter.line(`No route to the server from here (${closed}): the step runs in the job of the deployment`);
  await interruptible((signal) =>
    runInJob(deployment, {
      reporter,
      signal,
      parameters: [
        ...['--lock-wait', String(options.lockWait), '--fail-on', options.failOn],
        ...(options.json ? ['--json'] : []),
      ],
      onLine: ({ stream, text }) => void process[stream].write(`${printable(text)}\n`),
    }),
  );
  return true;
}
