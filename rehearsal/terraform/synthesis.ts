/** Runs the cdktf app: the project's own, or one with changed settings in a scratch project. */
import { existsSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { Fault } from '../../core/fault.ts';
import {
  type Ended,
  type ProgramOptions,
  runProgram,
  type StopSignals,
} from '../../local/processes/program.ts';
import type { Synthesis } from './changed-stack.ts';
import { changeDocument } from './documents.ts';
import type { Project } from './project.ts';

const checkout = fileURLToPath(new URL('../..', import.meta.url));
const ownApp = ['--import', 'tsx', 'main.ts'] as const;
const changedApp = path.join(import.meta.dirname, 'app.ts');

/** Parameters of `node` that synthesize a scratch project; undefined settings are the project's own. */
export async function appFor(project: Project, synthesis: Synthesis | undefined): Promise<readonly string[]> {
  const file = path.join(project.root, 'synthesis.json');
  if (!synthesis) {
    await rm(file, { force: true });
    return ownApp;
  }
  await writeFile(file, JSON.stringify(synthesis, undefined, 2));
  return ['--import', 'tsx', changedApp, file];
}

/**
 * Synthesizes the stack of a scratch project, unless it was last synthesized from the same settings: the same settings
 * and sources give the same bytes (test/stacks/synthesis.test.ts). Changed settings are synthesized in this process, which
 * takes a tenth of the time of a new one.
 *
 * @returns undefined if the existing stack is current
 */
export async function synthesize(
  project: Project,
  synthesis: Synthesis | undefined,
  options: ProgramOptions,
): Promise<Ended | undefined> {
  const marker = path.join(project.root, 'synthesized.json');
  const wanted = JSON.stringify(synthesis ?? {});
  if ((await readFile(marker, 'utf8').catch(() => undefined)) === wanted) return undefined;
  await rm(marker, { force: true });
  const ended = synthesis?.input
    ? await synthesizeHere(project, synthesis)
    : await runProgram(process.execPath, ownApp, options);
  if (ended.exitCode !== 0) return ended;
  if (synthesis && !synthesis.input) await changeStacks(project, synthesis);
  await writeFile(marker, wanted);
  return ended;
}

/** Applies the changes to every stack that the project's own sources have written. */
async function changeStacks(project: Project, { input: _, ...changes }: Synthesis): Promise<void> {
  const stacks = path.join(project.root, 'cdktf.out/stacks');
  for (const name of await readdir(stacks)) {
    const file = path.join(stacks, name, 'cdk.tf.json');
    await writeFile(file, changeDocument(await readFile(file, 'utf8'), changes));
  }
}

async function synthesizeHere(project: Project, synthesis: Synthesis): Promise<Ended> {
  const startedAt = Date.now();
  const failure = await import('./changed-stack.ts')
    .then(({ writeChangedStack }) => writeChangedStack(synthesis, path.join(project.root, 'cdktf.out')))
    .catch((error: unknown) => {
      if (error instanceof Fault) return error.message;
      throw error;
    });
  const endedAt = Date.now();
  const lines = failure === undefined ? [] : [{ at: endedAt, text: failure }];
  const output = lines.map(({ text }) => `${text}\n`).join('');
  const times = { startedAt, endedAt, milliseconds: endedAt - startedAt };
  return { ...times, exitCode: lines.length, lines, output, stdout: '', stderr: output };
}

export interface SynthesizedStack {
  readonly name: string;
  /** Path of its Terraform JSON, relative to the project unless CDKTF_OUTDIR is absolute. */
  readonly path: string;
}

/** The part of cdktf's manifest.json that names the files. */
const manifest = z.object({ stacks: z.record(z.string(), z.object({ synthesizedStackPath: z.string() })) });

/**
 * Synthesizes every environment of this checkout to `cdktf.out`, or to cdktf's own CDKTF_OUTDIR.
 *
 * @param names the environments, in the order of the result
 * @throws Fault with the app's error output if the app fails
 */
export async function synthesizeCheckout(
  names: readonly string[],
  stop: StopSignals = {},
): Promise<SynthesizedStack[]> {
  const app = await runProgram(process.execPath, ownApp, {
    cwd: checkout,
    environment: process.env,
    ...stop,
  });
  if (app.exitCode !== 0)
    throw new Fault(
      'synthesis/app-failed',
      'The environments do not synthesize',
      app.output.trim() || `main.ts ended with status ${app.exitCode}`,
      'Correct the named settings and run the command again.',
    );
  const folder = process.env['CDKTF_OUTDIR'] || 'cdktf.out';
  const { stacks } = manifest.parse(
    JSON.parse(readFileSync(path.resolve(checkout, folder, 'manifest.json'), 'utf8')),
  );
  return names.map((name) => {
    const file = path.join(folder, stacks[name]?.synthesizedStackPath ?? name);
    if (stacks[name] && existsSync(path.resolve(checkout, file))) return { name, path: file };
    throw new Fault(
      'synthesis/stack-missing',
      `Environment ${name} was not written to ${folder}`,
      'main.ts succeeded, but its manifest or the file named there is missing',
      `Remove ${folder} and run the command again.`,
    );
  });
}
