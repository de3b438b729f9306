/** The deployment document as Terraform keeps it once an apply has ended: output `deployment` of a stack. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../core/fault.ts';

const execute = promisify(execFile);
const couldNotLook = { exitCode: 2 };

export interface OutputOptions {
  readonly projectDirectory: string;
  /** Folder of the synthesized stacks, from the project's unless it is absolute: CDKTF_OUTDIR. @default 'cdktf.out' */
  readonly output?: string | undefined;
  /** @default 'terraform' - found on the PATH */
  readonly program?: string;
}

/**
 * Reads output `deployment` of an environment's stack.
 *
 * @throws Fault (exit 2) for an unknown environment, or when stack, program or output are missing.
 */
export async function readDeploymentOutput(environment: string, options: OutputOptions): Promise<unknown> {
  const { projectDirectory, output: folder = 'cdktf.out', program = 'terraform' } = options;
  const directory = join(folder, 'stacks', environment);
  if (!existsSync(resolve(projectDirectory, directory, 'cdk.tf.json'))) {
    throw new Fault(
      'outputs/2',
      `${directory} holds no stack`,
      `environment ${environment} is not synthesized here, so its Terraform state cannot be found`,
      `Run npm run synth and terraform -chdir=${directory} init, or give --url instead of an environment.`,
      couldNotLook,
    );
  }
  const outputs = await run(program, directory, projectDirectory);
  const output: unknown = isRecord(outputs) ? outputs['deployment'] : undefined;
  if (!isRecord(output) || output['value'] === undefined) {
    throw new Fault(
      'outputs/3',
      `Environment ${environment} has no output deployment`,
      'its state is empty or older than this project',
      `Deploy it first: cdktf deploy ${environment}.`,
      couldNotLook,
    );
  }
  const { value } = output;
  return typeof value === 'string' ? parse(value) : value;
}

async function run(program: string, directory: string, cwd: string): Promise<unknown> {
  try {
    const { stdout } = await execute(program, [`-chdir=${directory}`, 'output', '-json', '-no-color'], {
      cwd,
      maxBuffer: 16 * 1024 * 1024,
    });
    return parse(stdout);
  } catch (error) {
    if (error instanceof Fault) throw error;
    const missing = error instanceof Error && Reflect.get(error, 'code') === 'ENOENT';
    throw new Fault(
      'outputs/4',
      missing ? `${program} was not found` : `${program} could not read the outputs in ${directory}`,
      missing ? 'the outputs of an environment are read with it' : lastWords(error),
      missing
        ? 'Install Terraform 1.11 or newer, or give --url instead of an environment.'
        : `Run ${program} -chdir=${directory} init with access to the state, or give --url instead of an environment.`,
      couldNotLook,
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Fault(
      'outputs/5',
      'The Terraform outputs are not JSON',
      'terraform output -json printed something else',
      'Run it by hand and look.',
      couldNotLook,
    );
  }
}

/** Terraform draws a box around its errors; what stands after `Error:` is the reason. */
function lastWords(error: unknown): string {
  const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
  const text = typeof stderr === 'string' ? stderr.replace(/[│╷╵]/g, ' ') : '';
  const reason = /Error:\s*([^\n]+)/.exec(text)?.[1] ?? text.trim().split('\n')[0];
  return reason?.trim() || 'it gave no reason';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
