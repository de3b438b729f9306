/** What every command that connects has in common: its target, and where it prints. */
import { fileURLToPath } from 'node:url';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { resolveTarget, type Target } from '../../database/target.ts';

export interface TargetOptions {
  readonly url?: string;
  readonly hostAddress?: string;
  readonly json?: boolean;
}

const projectDirectory = fileURLToPath(new URL('../..', import.meta.url));

/** Adds `[environment]`, `--url`, `--host-address` and `--json`. */
export function withTarget(command: Command): Command {
  return command
    .argument(
      '[environment]',
      'development, staging or production; found through its Terraform outputs. Inside an apply LLAMA_DB_DEPLOYMENT names it',
    )
    .option(
      '--url <url>',
      'target given directly: postgresql://user@host:5432/database (PGPASSWORD, or an Entra token)',
    )
    .option('--host-address <ip>', 'dial this address, as through a tunnel; TLS still checks the host name')
    .option('--json', 'print the result as JSON on stdout, progress on stderr');
}

/** Adds `--migrations`. */
export function withMigrations(command: Command): Command {
  const option = new Option('--migrations <folder>', 'folder of the migration files');
  return command.addOption(option.default(migrationsDirectory, "the project's own"));
}

export interface MigrationsOptions extends TargetOptions {
  readonly migrations: string;
}

/** @throws Fault (exit 2) when nothing usable names a target. */
export function targetOf(environment: string | undefined, options: TargetOptions): Promise<Target> {
  return resolveTarget(
    {
      ...(environment === undefined ? {} : { environment }),
      ...(options.url === undefined ? {} : { url: options.url }),
      ...(options.hostAddress === undefined ? {} : { hostAddress: options.hostAddress }),
      readOutputs,
    },
    process.env,
  );
}

/** Progress goes to stdout, unless stdout belongs to the JSON result. */
export function reporterFor(options: { readonly json?: boolean }): Reporter {
  const stream = options.json ? process.stderr : process.stdout;
  return {
    line: (text) => void stream.write(`${text}\n`),
    warn: (text) => void stream.write(`Note: ${text}\n`),
  };
}

/** For commands that only look: whatever keeps them from it is exit 2, because 1 means that they found something. */
export async function looking<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fault) || error.exitCode === 2) throw error;
    throw new Fault('target/1', error.what, error.why, error.remedy, { cause: error.cause, exitCode: 2 });
  }
}

/** Prints the result of a command that was asked for JSON. */
export function printJson(result: object): void {
  process.stdout.write(`${JSON.stringify({ ok: true, ...result })}\n`);
}

/** For commander: a whole number that is not negative. */
export function wholeNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError('It must be a whole number, 0 or more.');
}

async function readOutputs(environment: string): Promise<unknown> {
  // Both are needed for this kind of target only, and the settings take a while to load.
  const [{ environments }, { readDeploymentOutput }] = await Promise.all([
    import('../../environments/index.ts'),
    import('../../database/outputs.ts'),
  ]);
  return readDeploymentOutput(environments.nameOf(environment), {
    projectDirectory,
    output: process.env['CDKTF_OUTDIR'],
  });
}
