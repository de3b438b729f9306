/** The synthesized stack of a checkout, and its state. */
import { exec } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../core/fault.ts';
import { numberAt, parseJson, textAt } from '../../core/json.ts';
import { runTerraform } from '../../core/terraform.ts';
import { messageOf } from '../../core/text.ts';

const execute = promisify(exec);

export interface Place {
  /** Root of the checkout. */
  readonly project: string;
  /** Name of the environment. */
  readonly environment: string;
  /** Folder of the synthesized stacks (CDKTF_OUTDIR), absolute or relative to the project. @default 'cdktf.out' */
  readonly output?: string | undefined;
}

export function stackFolder({ project, environment, output = 'cdktf.out' }: Place): string {
  return join(resolve(project, output), 'stacks', environment);
}

/**
 * Runs the app of cdktf.json, as `cdktf synth` does.
 *
 * @returns the folder of the stack
 * @throws Fault `release/not-synthesized`
 */
export async function synthesizeApp(place: Place): Promise<string> {
  const { project, environment, output = 'cdktf.out' } = place;
  const app = textAt(parseJson(readFileSync(join(project, 'cdktf.json'), 'utf8')), 'app') ?? '';
  const refused = (why: string) =>
    new Fault(
      'release/not-synthesized',
      `The stack of ${environment} is not synthesized`,
      why,
      `Run ${app || 'the app of cdktf.json'} by hand and correct the named settings.`,
      { exitCode: 2 },
    );
  try {
    const env = { ...process.env, CDKTF_OUTDIR: resolve(project, output) };
    await execute(app, { cwd: project, env, maxBuffer: 1 << 26 });
  } catch (error) {
    const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
    throw refused(typeof stderr === 'string' && stderr.trim() !== '' ? stderr.trim() : messageOf(error));
  }
  const folder = stackFolder(place);
  if (!existsSync(join(folder, 'cdk.tf.json')))
    throw refused(`the app wrote no ${join(folder, 'cdk.tf.json')}`);
  return folder;
}

export interface StateVersion {
  /** Empty for a state that does not exist yet. */
  readonly lineage: string;
  readonly serial: number;
}

/** @throws Fault `terraform/failed` if the state cannot be read */
export async function stateVersion(directory: string): Promise<StateVersion> {
  const text = await runTerraform({
    directory,
    parameters: ['state', 'pull'],
    purpose: 'read the state',
    exitCode: 1,
  });
  const state = parseJson(text);
  return { lineage: textAt(state, 'lineage') ?? '', serial: numberAt(state, 'serial') ?? 0 };
}

/** `1.11.4` */
export async function terraformVersion(directory: string): Promise<string> {
  const text = await runTerraform({
    directory,
    parameters: ['version', '-json'],
    purpose: 'print its version',
    exitCode: 1,
  });
  return textAt(parseJson(text), 'terraform_version') ?? 'unknown';
}
