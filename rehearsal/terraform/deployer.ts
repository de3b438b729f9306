/** What a person does with an environment: deploy it, look at what a deployment would do, destroy it. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Synthesis } from './app.ts';
import { type Ended, type Line, type ProgramOptions, runProgram, type StopSignals } from './program.ts';
import type { Project } from './project.ts';
import { complaints, type Diagnostic, type ResourceRun, type TerraformRun, TerraformStack } from './stack.ts';

/** One part of a run: synthesis, initialisation, plan, apply. */
export interface Phase {
  readonly name: string;
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface DeployRun extends Ended {
  readonly command: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Each resource the run worked on, in order of completion. */
  readonly resources: readonly ResourceRun[];
  /** What the post-deploy step said, line by line. */
  readonly steps: readonly Line[];
  readonly phases: readonly Phase[];
}

export interface Difference extends DeployRun {
  /** Neither a resource nor an output would change. */
  readonly isEmpty: boolean;
  /** `create azurerm_key_vault.vault`, one a change. */
  readonly changes: readonly string[];
}

export interface Deployer {
  readonly kind: 'cdktf' | 'terraform';
  /** @param synthesis what differs from the project's own settings; undefined synthesizes those */
  deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun>;
  diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference>;
  destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun>;
}

export interface DeployerOptions {
  readonly project: Project;
  /** Name of the stack. */
  readonly name: string;
  /** On top of the project's. */
  readonly environment: Readonly<Record<string, string>>;
  readonly hear?: ((line: Line) => void) | undefined;
}

const app = path.join(import.meta.dirname, 'app.ts');

/** Parameters of `node` that synthesize. */
export async function appFor(project: Project, synthesis: Synthesis | undefined): Promise<readonly string[]> {
  const file = path.join(project.root, 'synthesis.json');
  if (!synthesis) {
    await rm(file, { force: true });
    return ['--import', 'tsx', 'main.ts'];
  }
  await writeFile(file, JSON.stringify(synthesis, undefined, 2));
  return ['--import', 'tsx', app, file];
}

/**
 * Synthesizes the stack of a scratch project, unless the one that is there was made of the same: the same settings and
 * the same sources give the same bytes (test/stacks/synthesis.test.ts).
 *
 * @returns nothing when there was nothing to do
 */
export async function synthesize(
  project: Project,
  synthesis: Synthesis | undefined,
  options: ProgramOptions,
): Promise<Ended | undefined> {
  const made = path.join(project.root, 'synthesized.json');
  const wanted = JSON.stringify(synthesis ?? {});
  if ((await readFile(made, 'utf8').catch(() => undefined)) === wanted) return undefined;
  await rm(made, { force: true });
  const ended = await runProgram(process.execPath, await appFor(project, synthesis), options);
  if (ended.exitCode === 0) await writeFile(made, wanted);
  return ended;
}

/** Synthesis by node, then Terraform, step by step: what the cdktf command line does, without what it adds. */
export class TerraformDeployer implements Deployer {
  readonly kind = 'terraform';
  readonly #options: DeployerOptions;
  #stack: TerraformStack | undefined;

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  async deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#steps(synthesis, stop, async (stack, run) => {
      const planned = await run('plan', () => stack.plan(stop));
      if (planned.exitCode === 0) await run('apply', () => stack.apply(stop));
    });
  }

  async diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference> {
    const found: { isEmpty: boolean; changes: readonly string[] } = { isEmpty: false, changes: [] };
    const done = await this.#steps(synthesis, stop, async (stack, run) => {
      const { isEmpty, changes } = await run('plan', () => stack.plan(stop));
      Object.assign(found, { isEmpty, changes });
    });
    return { ...done, ...found };
  }

  async destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#steps(synthesis, stop, async (stack, run) => {
      await run('destroy', () => stack.destroy(stop));
    });
  }

  async #steps(
    synthesis: Synthesis | undefined,
    stop: StopSignals | undefined,
    steps: (stack: TerraformStack, run: Collect) => Promise<void>,
  ): Promise<DeployRun> {
    const { project, name, environment, hear } = this.#options;
    this.#stack ??= await TerraformStack.in(project, name, environment, hear);
    const stack = this.#stack;
    const runs: { readonly name: string; readonly ended: Ended }[] = [];
    const collect: Collect = async (phase, start) => {
      if (isStopped(stop)) throw new Stopped();
      const ended = await start();
      runs.push({ name: phase, ended });
      return ended;
    };
    const all = async () => {
      if (isStopped(stop)) throw new Stopped();
      const options = { ...{ cwd: project.root, environment: stack.environment, hear }, ...stop };
      const synthesized = await synthesize(project, synthesis, options);
      if (synthesized) runs.push({ name: 'synthesis', ended: synthesized });
      if ((synthesized?.exitCode ?? 0) !== 0) return;
      const ready =
        stack.isInitialised || (await collect('initialisation', () => stack.init(stop))).exitCode === 0;
      if (ready) await steps(stack, collect);
    };
    try {
      await all();
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      // The step before may have ended well: the whole has not.
      return { ...joined(runs), exitCode: 130 };
    }
    return joined(runs);
  }
}

type Collect = <Run extends Ended>(phase: string, start: () => Promise<Run>) => Promise<Run>;

/** Thrown instead of starting another step. */
class Stopped extends Error {}

function isStopped(stop: StopSignals | undefined): boolean {
  return (stop?.interrupt?.aborted ?? false) || (stop?.kill?.aborted ?? false);
}

function joined(runs: readonly { readonly name: string; readonly ended: Ended }[]): DeployRun {
  const all = runs.map(({ ended }) => ended);
  const startedAt = all[0]?.startedAt ?? 0;
  const endedAt = all.at(-1)?.endedAt ?? startedAt;
  return {
    command: runs.map(({ name }) => name).join(', '),
    exitCode: all.at(-1)?.exitCode ?? 1,
    startedAt,
    endedAt,
    milliseconds: endedAt - startedAt,
    lines: all.flatMap(({ lines }) => lines),
    output: all.map(({ output }) => output).join(''),
    diagnostics: all.flatMap((ended) =>
      'diagnostics' in ended ? complaints(ended as TerraformRun) : saidBy(ended),
    ),
    resources: all.flatMap((ended) =>
      'resources' in ended ? (ended.resources as readonly ResourceRun[]) : [],
    ),
    steps: all.flatMap((ended) => ('steps' in ended ? (ended.steps as readonly Line[]) : [])),
    phases: runs.map(({ name, ended }) => ({ name, startedAt: ended.startedAt, endedAt: ended.endedAt })),
  };
}

/** What a program that is not Terraform says when it fails. */
function saidBy({ exitCode, output }: Ended): Diagnostic[] {
  return exitCode === 0 ? [] : [{ severity: 'error', summary: output.trim() }];
}
