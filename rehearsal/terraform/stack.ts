/**
 * Runs the real Terraform on a synthesized stack in a scratch project, and reads its machine-readable output:
 * https://developer.hashicorp.com/terraform/internals/machine-readable-ui
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Ended, type Line, runProgram, type StopSignals } from '../../local/processes/program.ts';
import { findTerraform } from './installation.ts';
import { Project } from './project.ts';
import type { SharedProvider } from './shared-provider.ts';

/**
 * Resources that Terraform works on at once. With its default of 10, forty metric alerts wait in four rounds of two
 * minutes; and a higher number provokes more of Azure's refusals of parallel operations.
 */
export const parallelism = 64;

const unattended = ['-json', '-no-color', `-parallelism=${parallelism}`, '-auto-approve'];

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
  /** True if neither a resource nor an output would change. */
  readonly isEmpty: boolean;
  /** One entry per change: `create azurerm_key_vault.vault`. */
  readonly changes: readonly string[];
}

/** The work of an apply on one resource. */
export interface ResourceRun {
  readonly address: string;
  /** `create`, `update`, `delete` or `read`. */
  readonly action: string;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly seconds: number;
  readonly outcome: 'complete' | 'errored';
  /** The provider's id of the resource, once it has one. */
  readonly id?: string;
}

export interface ApplyRun extends TerraformRun {
  /** Each resource the run worked on, in order of completion. */
  readonly resources: readonly ResourceRun[];
  /** The lines of the post-deploy step. */
  readonly steps: readonly Line[];
  /** When its plan was complete and the apply began, in milliseconds since the epoch; undefined if it did not begin. */
  readonly plannedAt?: number;
}

export interface StackOptions {
  /** Name of the stack's folder. */
  readonly name: string;
  /** The synthesized stack: the text of its `cdk.tf.json`. */
  readonly document: string;
  /** Environment variables of Terraform beside the scratch project's. */
  readonly environment: Readonly<Record<string, string>>;
  /** See {@link Project.open}. @default - the project's own program */
  readonly postDeployProgram?: string;
}

/** A stack in a scratch folder. Nothing of it reaches the checkout's `cdktf.out`. */
export class TerraformStack {
  constructor(
    readonly project: Project,
    readonly directory: string,
    readonly environment: Readonly<Record<string, string>>,
    /** Called with each line that Terraform writes. @default - lines are only collected */
    readonly onOutput?: (line: Line) => void,
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

  /** A stack of an existing scratch project. */
  static async in(
    project: Project,
    name: string,
    environment: Readonly<Record<string, string>>,
    onOutput?: (line: Line) => void,
  ): Promise<TerraformStack> {
    const directory = await project.stackFolder(name);
    return new TerraformStack(project, directory, { ...project.environment, ...environment }, onOutput);
  }

  /** The same stack with a provider that runs already. */
  async servedBy(provider: SharedProvider): Promise<TerraformStack> {
    const environment = { ...this.environment, ...(await provider.variables(this.directory)) };
    return new TerraformStack(this.project, this.directory, environment, this.onOutput);
  }

  /** The text of its `cdk.tf.json`. */
  async document(): Promise<string> {
    return readFile(path.join(this.directory, 'cdk.tf.json'), 'utf8');
  }

  /** Replaces its `cdk.tf.json`, as the next synthesis does. */
  async replace(document: string): Promise<void> {
    await writeFile(path.join(this.directory, 'cdk.tf.json'), document);
  }

  /** Whether {@link init} has succeeded here: the lock file is the last file that it writes. */
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

  /** Plans a deployment, and writes the plan to the file `plan`. */
  async plan(stop?: StopSignals, ...options: readonly string[]): Promise<PlanRun> {
    const how = ['-json', '-no-color', '-detailed-exitcode', '-out=plan'];
    const run = await this.run(['plan', ...how, ...options], stop);
    const changes = messagesOf(run).flatMap(({ message }) => {
      const change = message['type'] === 'planned_change' ? message['change'] : undefined;
      if (!isRecord(change) || !isRecord(change['resource'])) return [];
      return [`${change['action']} ${change['resource']['addr']}`];
    });
    // -detailed-exitcode: 0 means no changes, 1 an error, 2 changes.
    return { ...run, exitCode: run.exitCode === 2 ? 0 : run.exitCode, isEmpty: run.exitCode === 0, changes };
  }

  /** Plans and applies in one command, as the cdktf command line does. */
  async apply(stop?: StopSignals): Promise<ApplyRun> {
    return withResources(await this.run(['apply', ...unattended], stop));
  }

  async destroy(stop?: StopSignals): Promise<ApplyRun> {
    return withResources(await this.run(['destroy', ...unattended], stop));
  }

  /** The output of `terraform show -json`: the state, or the plan in `file`. */
  async show(file?: string): Promise<unknown> {
    const run = await this.run(['show', '-json', ...(file === undefined ? [] : [file])]);
    if (run.exitCode !== 0) throw new Error(run.output);
    return JSON.parse(run.output);
  }

  /** Runs a Terraform command to its end or until it is stopped. */
  async run(parameters: readonly string[], stop: StopSignals = {}): Promise<TerraformRun> {
    const { directory: cwd, environment, onOutput } = this;
    const ended = await runProgram('terraform', parameters, { cwd, environment, onOutput, ...stop });
    const diagnostics = messagesOf(ended).flatMap(({ message }) =>
      message['type'] === 'diagnostic' ? asDiagnostic(message['diagnostic']) : [],
    );
    return { ...ended, command: `terraform ${parameters.join(' ')}`, diagnostics };
  }

  /** Every file that could hold a secret: state, plan, backups. */
  artefacts(): Promise<Map<string, Buffer>> {
    return this.project.artefacts();
  }

  close(): Promise<void> {
    return this.project.close();
  }
}

/** Errors and warnings of a run, without the one warning that a local copy of the provider always causes. */
export function complaints(run: TerraformRun): readonly Diagnostic[] {
  return run.diagnostics.filter((one) => !/^Incomplete lock file information/.test(one.summary));
}

function withResources(run: TerraformRun): ApplyRun {
  const started = new Map<string, number>();
  const messages = messagesOf(run);
  const summary = messages.findIndex(({ message }) => message['type'] === 'change_summary');
  // While it plans, the read of a data source starts and ends in the words of an apply.
  const applied = summary < 0 ? [] : messages.slice(summary + 1);
  const resources = applied.flatMap(({ at, message }): ResourceRun[] => {
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
  const steps = applied.flatMap(({ at, message }): Line[] => {
    const hook = message['type'] === 'provision_progress' ? message['hook'] : undefined;
    if (!isRecord(hook)) return [];
    const texts = String(hook['output']).split('\n');
    return texts.flatMap((text) => (text.trim() === '' ? [] : [{ at, text: text.trim() }]));
  });
  // An interrupted plan has a summary too, but nothing is applied after it.
  const began = applied.some(({ message }) =>
    ['apply_start', 'change_summary'].includes(`${message['type']}`),
  );
  const plannedAt = began ? messages[summary]?.at : undefined;
  return { ...run, resources, steps, ...(plannedAt === undefined ? {} : { plannedAt }) };
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
      return []; // A provisioner's line that only looks like one of Terraform's.
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
