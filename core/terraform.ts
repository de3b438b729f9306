/** Terraform commands whose output a program reads. */
import { execFile, spawn } from 'node:child_process';
import { relative } from 'node:path';
import { promisify, stripVTControlCharacters } from 'node:util';
import { Fault } from './fault.ts';

const execute = promisify(execFile);

export interface TerraformRun {
  /** Folder of the synthesized stack. */
  readonly directory: string;
  readonly parameters: readonly string[];
  /** The purpose, for messages: `read the state`. */
  readonly purpose: string;
  /** @default 'terraform' - found on the PATH */
  readonly program?: string;
  /** A way to do without Terraform, appended to the remedy: `or give --url`. @default - none */
  readonly alternative?: string;
  /** Exit status of the Fault if Terraform fails. @default 2 */
  readonly exitCode?: number;
}

/**
 * @returns the standard output
 * @throws Fault if Terraform is missing (exit 2) or fails
 */
export async function runTerraform(run: TerraformRun): Promise<string> {
  const { directory, parameters, program = 'terraform', alternative } = run;
  const or = alternative === undefined ? '' : `, ${alternative}`;
  try {
    const options = { cwd: directory, maxBuffer: 1 << 28, env: { ...process.env, TF_IN_AUTOMATION: '1' } };
    return (await execute(program, [...parameters], options)).stdout;
  } catch (error) {
    if (isMissing(error)) throw missing(program, or);
    const reason = reasonOf(error);
    const where = relative(process.cwd(), directory) || '.';
    const uninitialised = /initiali[sz]|init/i.test(reason);
    throw new Fault(
      'terraform/failed',
      `Terraform did not ${run.purpose} in ${where}`,
      reason,
      uninitialised
        ? `Run terraform -chdir=${where} init with access to the state${or}.`
        : `Correct the cause and run the command again${or}.`,
      { exitCode: run.exitCode ?? 2 },
    );
  }
}

/**
 * Runs a Terraform command whose progress a person follows. An interruption of this program is passed on, so that Terraform
 * saves its state.
 *
 * @param stream receives standard output; standard error stays that of this program
 * @returns the exit status
 * @throws Fault if Terraform is missing (exit 2)
 */
export function followTerraform(
  {
    directory,
    parameters,
    program = 'terraform',
  }: Pick<TerraformRun, 'directory' | 'parameters' | 'program'>,
  stream: NodeJS.WritableStream,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...parameters], {
      cwd: directory,
      env: { ...process.env, TF_IN_AUTOMATION: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const signals = ['SIGINT', 'SIGTERM'] as const;
    const interrupt = () => void child.kill('SIGINT');
    for (const signal of signals) process.on(signal, interrupt);
    const done = () => {
      for (const signal of signals) process.off(signal, interrupt);
    };
    child.stdout.pipe(stream, { end: false });
    child.on('error', (error) => {
      done();
      reject(isMissing(error) ? missing(program, '') : error);
    });
    child.on('close', (status) => {
      done();
      resolve(status ?? 130);
    });
  });
}

const isMissing = (error: unknown) => error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';

const missing = (program: string, or: string) =>
  new Fault(
    'terraform/missing',
    `${program} was not found`,
    'it reads the Terraform state of an environment',
    `Install Terraform 1.11 or newer${or}.`,
    { exitCode: 2 },
  );

/** The first line after `Error:`, without the box that Terraform draws around it. */
function reasonOf(error: unknown): string {
  const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
  const text = typeof stderr === 'string' ? stripVTControlCharacters(stderr).replace(/[│╷╵]/g, ' ') : '';
  const reason = /Error:\s*([^\n]+)/.exec(text)?.[1] ?? text.trim().split('\n')[0];
  return reason?.trim() || 'it gave no reason';
}
