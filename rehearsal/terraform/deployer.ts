/** The three things that a person does with an environment: deploy it, plan a deployment, destroy it. */
import type { Ended, Line, StopSignals } from '../../local/processes/program.ts';
import type { Synthesis } from './changed-stack.ts';
import type { Project } from './project.ts';
import type { SharedProvider } from './shared-provider.ts';
import { complaints, type Diagnostic, type ResourceRun, type TerraformRun, TerraformStack } from './stack.ts';
import { synthesize } from './synthesis.ts';

/** One part of a run: synthesis, initialisation, plan, apply or destroy. */
export interface Phase {
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
}

export interface DeployRun extends Ended {
  readonly command: string;
  readonly diagnostics: readonly Diagnostic[];
  /** Each resource the run worked on, in order of completion. */
  readonly resources: readonly ResourceRun[];
  /** The lines of the post-deploy step. */
  readonly steps: readonly Line[];
  readonly phases: readonly Phase[];
}

export interface Difference extends DeployRun {
  /** True if neither a resource nor an output would change. */
  readonly isEmpty: boolean;
  /** One entry per change: `create azurerm_key_vault.vault`. */
  readonly changes: readonly string[];
}

export interface Deployer {
  readonly kind: 'cdktf' | 'terraform';
  /** @param synthesis the changed settings; undefined deploys the project's own */
  deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun>;
  diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference>;
  destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun>;
}

export interface DeployerOptions {
  readonly project: Project;
  /** Name of the stack. */
  readonly name: string;
  /** Environment variables beside the project's. */
  readonly environment: Readonly<Record<string, string>>;
  readonly onOutput?: ((line: Line) => void) | undefined;
  /**
   * Serves runs that nobody can stop.
   * @default - Terraform starts the provider for each run
   */
  readonly provider?: SharedProvider | undefined;
}

/** Synthesis by node, then Terraform: the steps of the cdktf command line, one by one. */
export class TerraformDeployer implements Deployer {
  readonly kind = 'terraform';
  readonly #options: DeployerOptions;
  #stack: TerraformStack | undefined;

  constructor(options: DeployerOptions) {
    this.#options = options;
  }

  async deploy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run(synthesis, stop, async (stack, run) => {
      await run('plan', () => stack.apply(stop));
    });
  }

  async diff(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<Difference> {
    const found: { isEmpty: boolean; changes: readonly string[] } = { isEmpty: false, changes: [] };
    const done = await this.#run(synthesis, stop, async (stack, run) => {
      const { isEmpty, changes } = await run('plan', () => stack.plan(stop));
      Object.assign(found, { isEmpty, changes });
    });
    return { ...done, ...found };
  }

  async destroy(synthesis: Synthesis | undefined, stop?: StopSignals): Promise<DeployRun> {
    return this.#run(synthesis, stop, async (stack, run) => {
      await run('destroy', () => stack.destroy(stop));
    });
  }

  async #run(
    synthesis: Synthesis | undefined,
    stop: StopSignals | undefined,
    steps: (stack: TerraformStack, run: RunPhase) => Promise<void>,
  ): Promise<DeployRun> {
    const { project, name, environment, onOutput, provider } = this.#options;
    this.#stack ??= await TerraformStack.in(project, name, environment, onOutput);
    const stack = this.#stack;
    // A stopped run must end its own provider.
    const shared = stop?.interrupt || stop?.kill ? undefined : provider;
    const runs: NamedEnded[] = [];
    const runPhase: RunPhase = async (phase, start) => {
      if (isStopped(stop)) throw new Stopped();
      const ended = await start();
      runs.push({ name: phase, ended });
      return ended;
    };
    try {
      if (isStopped(stop)) throw new Stopped();
      const options = { ...{ cwd: project.root, environment: stack.environment, onOutput }, ...stop };
      const synthesized = await synthesize(project, synthesis, options);
      if (synthesized) runs.push({ name: 'synthesis', ended: synthesized });
      if ((synthesized?.exitCode ?? 0) !== 0) return joined(runs);
      const isReady =
        stack.isInitialised || (await runPhase('initialisation', () => stack.init(stop))).exitCode === 0;
      if (isReady) await steps(shared ? await stack.servedBy(shared) : stack, runPhase);
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      // The last finished phase may have succeeded, but the run as a whole did not.
      return { ...joined(runs), exitCode: 130 };
    }
    return joined(runs);
  }
}

type RunPhase = <Run extends Ended>(phase: string, start: () => Promise<Run>) => Promise<Run>;

/** Thrown instead of starting another phase. */
class Stopped extends Error {}

function isStopped(stop: StopSignals | undefined): boolean {
  return (stop?.interrupt?.aborted ?? false) || (stop?.kill?.aborted ?? false);
}

/** A program that has ended, by the name of its first phase. */
interface NamedEnded {
  readonly name: string;
  readonly ended: Ended;
}

function joined(runs: readonly NamedEnded[]): DeployRun {
  const all = runs.map(({ ended }) => ended);
  const startedAt = all[0]?.startedAt ?? 0;
  const endedAt = all.at(-1)?.endedAt ?? startedAt;
  const phases = runs.flatMap(phasesOf);
  return {
    command: phases.map(({ name }) => name).join(', '),
    exitCode: all.at(-1)?.exitCode ?? 1,
    startedAt,
    endedAt,
    milliseconds: endedAt - startedAt,
    lines: all.flatMap(({ lines }) => lines),
    output: all.map(({ output }) => output).join(''),
    stdout: all.map(({ stdout }) => stdout).join(''),
    stderr: all.map(({ stderr }) => stderr).join(''),
    diagnostics: all.flatMap((ended) =>
      'diagnostics' in ended ? complaints(ended as TerraformRun) : failureOf(ended),
    ),
    resources: all.flatMap((ended) =>
      'resources' in ended ? (ended.resources as readonly ResourceRun[]) : [],
    ),
    steps: all.flatMap((ended) => ('steps' in ended ? (ended.steps as readonly Line[]) : [])),
    phases,
  };
}

/** A deployment plans and applies in one run. */
function phasesOf({ name, ended }: NamedEnded): Phase[] {
  const { startedAt, endedAt } = ended;
  const plannedAt = name === 'plan' && 'plannedAt' in ended ? Number(ended.plannedAt) : undefined;
  return plannedAt === undefined
    ? [{ name, startedAt, endedAt }]
    : [
        { name, startedAt, endedAt: plannedAt },
        { name: 'apply', startedAt: plannedAt, endedAt },
      ];
}

/** The output of a failed program other than Terraform, as a diagnostic. */
function failureOf({ exitCode, output }: Ended): Diagnostic[] {
  return exitCode === 0 ? [] : [{ severity: 'error', summary: output.trim() }];
}
