/**
 * The real Terraform on a synthesized stack in a scratch project, told by its machine-readable output
 * (https://developer.hashicorp.com/terraform/internals/machine-readable-ui) what it did.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { findTerraform } from './installation.ts';
import { type Ended, type Line, runProgram, type StopSignals } from './program.ts';
import { Project } from './project.ts';

/**
 * Resources worked on at once. Terraform's own 10 makes forty metric alerts, each of which the provider watches for two
 * minutes, wait in four rows; and more at once meets more of what Azure refuses to do at once.
 */
export const parallelism = 64;

export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly summary: string;
  readonly detail?: string;
  readonly address?: string;
}

export interface TerraformRun extends Ended {
  readonly command: string;
  readonly diagnostics: readonly Diagnostic[];
}

export interface PlanRun extends TerraformRun {
  /** Neither a resource nor an output would change. */
  readonly isEmpty: boolean;
  /** `create azurerm_key_vault.vault`, one a change. */
  readonly changes: readonly string[];
}

/** What an apply did to one resource. */
export interface ResourceRun {
  readonly address: string;
  /** `create`, `update`, `delete` or `read`. */
  readonly action: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly seconds: number;
  readonly outcome: 'complete' | 'errored';
  /** The resource's id in Azure, once it has one. */
  readonly id?: string;
}

export interface ApplyRun extends TerraformRun {
  /** Each resource the run worked on, in order of completion. */
  readonly resources: readonly ResourceRun[];
  /** What the post-deploy step said, line by line. */
  readonly steps: readonly Line[];
}

export interface StackOptions {
  /** Name of the stack's folder. */
  readonly name: string;
  /** The synthesized stack: the text of its `cdk.tf.json`. */
  readonly document: string;
  /** Environment of Terraform, on top of the scratch project's. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Program that plays `commands/llama-db.mjs` in the post-deploy step (an ES module's text).
   * @default - the project's own
   */
  readonly postDeployProgram?: string;
}

/** A stack in a scratch folder; nothing of it reaches the project's own `cdktf.out`. */
export class TerraformStack {
  constructor(
    readonly project: Project,
    readonly directory: string,
    readonly environment: Readonly<Record<string, string>>,
    /** Hears each line that Terraform writes. @default - nobody */
    readonly hear?: (line: Line) => void,
  ) {}

  static async open({
    name,
    document,
    environment,
    postDeployProgram,
  }: StackOptions): Promise<TerraformStack> {
    findTerraform();
    const project = await Project.open(postDeployProgram);
    const stack = await TerraformStack.in(project, name, environment);
    await stack.replace(document);
    return stack;
  }

  /** A stack of a scratch project that holds more than the one. */
  static async in(
    project: Project,
    name: string,
    environment: Readonly<Record<string, string>>,
    hear?: (line: Line) => void,
  ): Promise<TerraformStack> {
    const directory = await project.stackFolder(name);
    return new TerraformStack(project, directory, { ...project.environment, ...environment }, hear);
  }

  /** The stack as it was synthesized, or as a test has changed it. */
  async document(): Promise<string> {
    return readFile(path.join(this.directory, 'cdk.tf.json'), 'utf8');
  }

  /** Replaces the stack, as the next synthesis does. */
  async replace(document: string): Promise<void> {
    await writeFile(path.join(this.directory, 'cdk.tf.json'), document);
  }

  /** Whether {@link init} has ended well here: the lock file is the last that it writes. */
  get isInitialised(): boolean {
    return existsSync(path.join(this.directory, '.terraform.lock.hcl'));
  }

  init(stop?: StopSignals): Promise<TerraformRun> {
    return this.run(['init', '-json', '-no-color'], stop);
  }

  async validate(): Promise<TerraformRun> {
    const run = await this.run(['validate', '-json', '-no-color']);
    const report: unknown = JSON.parse(run.output);
    const found = isRecord(report) && Array.isArray(report['diagnostics']) ? report['diagnostics'] : [];
    return { ...run, diagnostics: found.flatMap(asDiagnostic) };
  }

  /** Plans into the file `plan`, which {@link apply} takes. */
  async plan(stop?: StopSignals, ...options: readonly string[]): Promise<PlanRun> {
    const how = ['-json', '-no-color', '-detailed-exitcode', '-out=plan'];
    const run = await this.run(['plan', ...how, ...options], stop);
    const changes = messagesOf(run).flatMap(({ message }) => {
      const change = message['type'] === 'planned_change' ? message['change'] : undefined;
      if (!isRecord(change) || !isRecord(change['resource'])) return [];
      return [`${change['action']} ${change['resource']['addr']}`];
    });
    // -detailed-exitcode: 0 is "no changes", 1 an error, 2 changes.
    return { ...run, exitCode: run.exitCode === 2 ? 0 : run.exitCode, isEmpty: run.exitCode === 0, changes };
  }

  /** Applies the file `plan`. */
  async apply(stop?: StopSignals): Promise<ApplyRun> {
    return withResources(
      await this.run(['apply', '-json', '-no-color', `-parallelism=${parallelism}`, 'plan'], stop),
    );
  }

  async destroy(stop?: StopSignals): Promise<ApplyRun> {
    const how = ['-json', '-no-color', `-parallelism=${parallelism}`, '-auto-approve'];
    return withResources(await this.run(['destroy', ...how], stop));
  }

  /** State, or with a file name a plan, as `terraform show -json` tells it. */
  async show(file?: string): Promise<unknown> {
    const run = await this.run(['show', '-json', ...(file === undefined ? [] : [file])]);
    if (run.exitCode !== 0) throw new Error(run.output);
    return JSON.parse(run.output);
  }

  /** Runs any command of Terraform to its end, or until it is stopped. */
  async run(parameters: readonly string[], stop: StopSignals = {}): Promise<TerraformRun> {
    const { directory: cwd, environment, hear } = this;
    const ended = await runProgram('terraform', parameters, { cwd, environment, hear, ...stop });
    const diagnostics = messagesOf(ended).flatMap(({ message }) =>
      message['type'] === 'diagnostic' ? asDiagnostic(message['diagnostic']) : [],
    );
    return { ...ended, command: `terraform ${parameters.join(' ')}`, diagnostics };
  }

  /** Every file Terraform left that could hold a secret: state, plan, backups. */
  artefacts(): Promise<Map<string, Buffer>> {
    return this.project.artefacts();
  }

  close(): Promise<void> {
    return this.project.close();
  }
}

/** Errors and warnings of a run; the one warning that a local copy of the provider causes is no one's fault. */
export function complaints(run: TerraformRun): readonly Diagnostic[] {
  return run.diagnostics.filter((one) => !/^Incomplete lock file information/.test(one.summary));
}

function withResources(run: TerraformRun): ApplyRun {
  const started = new Map<string, number>();
  const resources = messagesOf(run).flatMap(({ at, message }): ResourceRun[] => {
    const hook = message['hook'];
    if (!isRecord(hook) || !isRecord(hook['resource'])) return [];
    const address = String(hook['resource']['addr']);
    if (message['type'] === 'apply_start') started.set(address, at);
    if (message['type'] !== 'apply_complete' && message['type'] !== 'apply_errored') return [];
    return [
      {
        address,
        action: String(hook['action']),
        startedAt: started.get(address) ?? at,
        endedAt: at,
        seconds: Number(hook['elapsed_seconds']),
        outcome: message['type'] === 'apply_complete' ? 'complete' : 'errored',
        ...(typeof hook['id_value'] === 'string' ? { id: hook['id_value'] } : {}),
      },
    ];
  });
  const steps = messagesOf(run).flatMap(({ at, message }): Line[] => {
    const hook = message['type'] === 'provision_progress' ? message['hook'] : undefined;
    if (!isRecord(hook)) return [];
    const said = String(hook['output']).split('\n');
    return said.flatMap((text) => (text.trim() === '' ? [] : [{ at, text: text.trim() }]));
  });
  return { ...run, resources, steps };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

interface Message {
  readonly at: number;
  readonly message: Record<string, unknown>;
}

function messagesOf({ lines }: Pick<Ended, 'lines'>): Message[] {
  return lines.flatMap(({ at, text }) => {
    if (!text.startsWith('{')) return [];
    try {
      const message: unknown = JSON.parse(text);
      return isRecord(message) ? [{ at, message }] : [];
    } catch {
      return []; // A line of a provisioner that only looks like one of Terraform's.
    }
  });
}

function asDiagnostic(value: unknown): Diagnostic[] {
  if (!isRecord(value)) return [];
  const { severity, summary, detail, address } = value;
  return [
    {
      severity: severity === 'warning' ? 'warning' : 'error',
      summary: String(summary),
      ...(typeof detail === 'string' && detail !== '' ? { detail } : {}),
      ...(typeof address === 'string' ? { address } : {}),
    },
  ];
}
