/** The target and the output of a command. */
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { printable } from '../../core/text.ts';
import { resolveTarget, type Target } from '../../database/target.ts';
import type { TargetOptions } from './options.ts';

const projectDirectory = fileURLToPath(new URL('../..', import.meta.url));

/** @throws Fault (exit 2) if neither the argument, the options nor the environment variables name a target */
export function targetOf(environment: string | undefined, options: TargetOptions): Promise<Target> {
  // The process list shows arguments to every user of the machine, and not the environment.
  if (options.url !== undefined && URL.canParse(options.url) && new URL(options.url).password !== '') {
    process.stderr.write(
      'Note: the process list shows the password in --url. Put the URL into DATABASE_URL, or the password into PGPASSWORD or a file named by PGPASSFILE.\n',
    );
  }
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

/** Writes progress to stdout, or to stderr if stdout carries the JSON result. */
export function reporterFor(options: { readonly json?: boolean }): Reporter {
  const stream = options.json ? process.stderr : process.stdout;
  return {
    line: (text) => void stream.write(`${printable(text)}\n`),
    warn: (text) => void stream.write(`Note: ${printable(text)}\n`),
  };
}

/** Runs a command that only reads. Every Fault exits with 2, because 1 means that the command has found something. */
export async function looking<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Fault) || error.exitCode === 2) throw error;
    throw new Fault(error.code, error.what, error.why, error.remedy, { cause: error.cause, exitCode: 2 });
  }
}

/** Prints a result as JSON. `ok` is true unless the result says otherwise. */
export function printJson(result: object): void {
  print(`${JSON.stringify({ ok: true, ...result })}\n`);
}

/** Prints a result as text, without the control characters of names and messages. */
export function print(text: string): void {
  process.stdout.write(printable(text));
}

async function readOutputs(environment: string): Promise<unknown> {
  // Loaded late: only this kind of target needs both, and the settings take a while to load.
  const [{ environments }, { readDeploymentOutput }] = await Promise.all([
    import('../../environments/index.ts'),
    import('../../database/outputs.ts'),
  ]);
  return readDeploymentOutput(environments.nameOf(environment), {
    projectDirectory,
    output: process.env['CDKTF_OUTDIR'],
  });
}
