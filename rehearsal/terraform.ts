/**
 * The real Terraform on a synthesized stack, in a scratch copy of the project's layout, told by its machine-readable
 * output (https://developer.hashicorp.com/terraform/internals/machine-readable-ui) what it did.
 */
import { spawn, spawnSync } from 'node:child_process';
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../database/fault.ts';

const minimumVersion = [1, 11] as const;
/**
 * Resources worked on at once. Terraform's own 10 makes forty metric alerts, each of which the provider watches for two
 * minutes, wait in four rows; and more at once meets more of what Azure refuses to do at once.
 */
const parallelism = 64;
/** What the bindings of this project pin (@cdktf/provider-azurerm 14.23.1). */
const azurermVersion = '4.55.0';
const projectRoot = fileURLToPath(new URL('..', import.meta.url));

export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly summary: string;
  readonly detail?: string;
  readonly address?: string;
}

export interface TerraformRun {
  readonly command: string;
  readonly exitCode: number;
  readonly milliseconds: number;
  readonly diagnostics: readonly Diagnostic[];
  /** All it wrote, standard output and standard error in order of arrival. */
  readonly output: string;
}

export interface PlanRun extends TerraformRun {
  /** Neither a resource nor an output would change. */
  readonly isEmpty: boolean;
  /** `create azurerm_key_vault.vault`, one a change. */
  readonly changes: readonly string[];
}

export interface ApplyRun extends TerraformRun {
  /** Seconds each resource took, in order of completion. */
  readonly resources: readonly {
    readonly address: string;
    readonly action: string;
    readonly seconds: number;
  }[];
}

export interface StackOptions {
  /** Name of the stack's folder. */
  readonly name: string;
  /** The synthesized stack: the text of its `cdk.tf.json`. */
  readonly document: string;
  /** Environment of Terraform, on top of PATH, HOME and TMPDIR of this process. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Program that plays `commands/llama-db.mjs` in the post-deploy step (an ES module's text).
   * @default - the project's own
   */
  readonly postDeployProgram?: string;
}

/** How a run is stopped before its end. */
export interface StopSignals {
  /** As Ctrl-C does: Terraform finishes or abandons what runs, and saves its state. */
  readonly interrupt?: AbortSignal;
  /** As a machine that goes away does: Terraform and its provider end at once, and nothing is saved. */
  readonly kill?: AbortSignal;
}

/** @throws Fault with exit status 3 when Terraform is not there or too old */
export function findTerraform(): string {
  const found = spawnSync('terraform', ['version', '-json'], {
    encoding: 'utf8',
    env: { ...process.env, CHECKPOINT_DISABLE: '1', TF_CLI_CONFIG_FILE: '' },
  });
  const version = /"terraform_version":\s*"(\d+)\.(\d+)\.[^"]*"/.exec(found.stdout ?? '');
  const needed = minimumVersion.join('.');
  if (!version)
    throw new Fault(
      'No Terraform to rehearse with',
      'the program `terraform` is not on the PATH',
      `Install Terraform ${needed} or newer: https://developer.hashicorp.com/terraform/install`,
      { exitCode: 3 },
    );
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < minimumVersion[0] || (major === minimumVersion[0] && minor < minimumVersion[1]))
    throw new Fault(
      'Terraform is too old to rehearse with',
      `write-only arguments and ephemeral values need ${needed}, and \`terraform\` is ${major}.${minor}`,
      `Install Terraform ${needed} or newer: https://developer.hashicorp.com/terraform/install`,
      { exitCode: 3 },
    );
  return 'terraform';
}

/**
 * Folder of the azurerm provider where Terraform looks without a network.
 * @throws Fault with exit status 3 when it is in none of the places
 */
export async function findProvider(version: string): Promise<string> {
  const inside = `registry.terraform.io/hashicorp/azurerm/${version}/${platform()}`;
  const roots = [path.join(os.homedir(), '.terraform.d/plugins'), process.env['TF_PLUGIN_CACHE_DIR']];
  for (const root of roots) {
    if (root === undefined || root === '') continue;
    const folder = path.join(root, inside);
    const names = await readdir(folder).catch(() => []);
    if (names.some((name) => name.startsWith('terraform-provider-azurerm'))) return folder;
  }
  throw new Fault(
    'No azurerm provider to rehearse with',
    `version ${version} is not in ~/.terraform.d/plugins/${inside}`,
    'Put it there with: terraform providers mirror ~/.terraform.d/plugins (run in cdktf.out/stacks/development)',
    { exitCode: 3 },
  );
}

/** Why nothing can be rehearsed on this machine, or undefined when everything is there. */
export async function whyNoTerraform(providerVersion = azurermVersion): Promise<string | undefined> {
  try {
    findTerraform();
    await findProvider(providerVersion);
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

function platform(): string {
  const systems: Readonly<Record<string, string>> = { win32: 'windows' };
  const machines: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return `${systems[process.platform] ?? process.platform}_${machines[process.arch] ?? process.arch}`;
}

/** A stack in a scratch folder; nothing of it reaches the project's own `cdktf.out`. */
export class TerraformStack {
  private constructor(
    /** Root of the scratch copy: what `../../..` is for the stack. */
    readonly root: string,
    readonly directory: string,
    readonly environment: Readonly<Record<string, string>>,
  ) {}

  static async open(options: StackOptions): Promise<TerraformStack> {
    findTerraform();
    const root = await mkdtemp(path.join(os.tmpdir(), 'terraform-stack-'));
    const directory = path.join(root, 'cdktf.out/stacks', options.name);
    await mkdir(directory, { recursive: true });
    await writeFile(path.join(directory, 'cdk.tf.json'), options.document);
    if (options.postDeployProgram === undefined) await linkProject(root);
    else {
      await mkdir(path.join(root, 'commands'));
      await writeFile(path.join(root, 'commands/llama-db.mjs'), options.postDeployProgram);
    }
    return new TerraformStack(root, directory, {
      ...inherited(),
      ...options.environment,
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
      CHECKPOINT_DISABLE: '1',
    });
  }

  /** The stack as it was synthesized, or as a test has changed it. */
  async document(): Promise<string> {
    return readFile(path.join(this.directory, 'cdk.tf.json'), 'utf8');
  }

  /** Replaces the stack, as the next synthesis does. */
  async replace(document: string): Promise<void> {
    await writeFile(path.join(this.directory, 'cdk.tf.json'), document);
  }

  init(): Promise<TerraformRun> {
    return this.run(['init', '-json', '-no-color']);
  }

  async validate(): Promise<TerraformRun> {
    const run = await this.run(['validate', '-json', '-no-color']);
    const report: unknown = JSON.parse(run.output);
    const found = isRecord(report) && Array.isArray(report['diagnostics']) ? report['diagnostics'] : [];
    return { ...run, diagnostics: found.flatMap(asDiagnostic) };
  }

  /** Plans into the file `plan`, which {@link apply} takes. */
  async plan(...extra: string[]): Promise<PlanRun> {
    const run = await this.run(['plan', '-json', '-no-color', '-detailed-exitcode', '-out=plan', ...extra]);
    const changes = linesOf(run.output).flatMap((line) => {
      const change = line['type'] === 'planned_change' ? line['change'] : undefined;
      if (!isRecord(change) || !isRecord(change['resource'])) return [];
      return [`${change['action']} ${change['resource']['addr']}`];
    });
    // -detailed-exitcode: 0 is "no changes", 1 an error, 2 changes.
    return { ...run, exitCode: run.exitCode === 2 ? 0 : run.exitCode, isEmpty: run.exitCode === 0, changes };
  }

  /** Applies the file `plan`. */
  async apply(stop: StopSignals = {}): Promise<ApplyRun> {
    return this.#withResources(
      await this.run(['apply', '-json', '-no-color', `-parallelism=${parallelism}`, 'plan'], stop),
    );
  }

  async destroy(...extra: string[]): Promise<ApplyRun> {
    return this.#withResources(
      await this.run([
        'destroy',
        '-json',
        '-no-color',
        `-parallelism=${parallelism}`,
        '-auto-approve',
        ...extra,
      ]),
    );
  }

  /** State, or with a file name a plan, as `terraform show -json` tells it. */
  async show(file?: string): Promise<unknown> {
    const run = await this.run(['show', '-json', ...(file === undefined ? [] : [file])]);
    if (run.exitCode !== 0) throw new Error(run.output);
    return JSON.parse(run.output);
  }

  /** Runs any command of Terraform to its end, or until it is stopped. */
  run(parameters: readonly string[], stop: StopSignals = {}): Promise<TerraformRun> {
    const startedAt = Date.now();
    return new Promise((resolve, reject) => {
      const child = spawn('terraform', [...parameters], {
        cwd: this.directory,
        env: { ...this.environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        // A group of its own where it may be killed: Terraform's provider would live on.
        detached: stop.kill !== undefined,
      });
      const chunks: Buffer[] = [];
      child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
      child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
      const interrupt = () => child.kill('SIGINT');
      stop.interrupt?.addEventListener('abort', interrupt, { once: true });
      const kill = () => killGroup(child.pid);
      stop.kill?.addEventListener('abort', kill, { once: true });
      child.once('error', reject);
      child.once('close', (code) => {
        stop.interrupt?.removeEventListener('abort', interrupt);
        stop.kill?.removeEventListener('abort', kill);
        const output = Buffer.concat(chunks).toString('utf8');
        const diagnostics = linesOf(output).flatMap((line) =>
          line['type'] === 'diagnostic' ? asDiagnostic(line['diagnostic']) : [],
        );
        resolve({
          command: `terraform ${parameters.join(' ')}`,
          exitCode: code ?? 130,
          milliseconds: Date.now() - startedAt,
          diagnostics,
          output,
        });
      });
    });
  }

  #withResources(run: TerraformRun): ApplyRun {
    const resources = linesOf(run.output).flatMap((line) => {
      const hook = line['type'] === 'apply_complete' ? line['hook'] : undefined;
      if (!isRecord(hook) || !isRecord(hook['resource'])) return [];
      return [
        {
          address: String(hook['resource']['addr']),
          action: String(hook['action']),
          seconds: Number(hook['elapsed_seconds']),
        },
      ];
    });
    return { ...run, resources };
  }

  /** Every file Terraform left that could hold a secret: state, plan, backups. The provider itself is left out. */
  async artefacts(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    for (const entry of await readdir(this.directory, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (!entry.isFile() || file.includes(`${path.sep}providers${path.sep}`)) continue;
      found.set(path.relative(this.directory, file), await readFile(file));
    }
    return found;
  }

  close(): Promise<void> {
    return rm(this.root, { recursive: true, force: true });
  }
}

/** Errors and warnings of a run; the one warning that a local copy of the provider causes is no one's fault. */
export function complaints(run: TerraformRun): readonly Diagnostic[] {
  return run.diagnostics.filter((one) => !/^Incomplete lock file information/.test(one.summary));
}

function inherited(): Record<string, string> {
  // Nothing else: a proxy, a subscription or a Terraform setting of this shell would lead the rehearsal astray.
  const names = ['PATH', 'HOME', 'TMPDIR', 'USER', 'TF_PLUGIN_CACHE_DIR', 'SystemRoot', 'APPDATA'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function linkProject(root: string): Promise<void> {
  for (const name of await readdir(projectRoot)) {
    if (name === 'cdktf.out' || name.startsWith('.')) continue;
    await access(path.join(projectRoot, name));
    await symlink(path.join(projectRoot, name), path.join(root, name));
  }
}

function killGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    // It may have ended in the meantime.
    if (!(error instanceof Error) || Reflect.get(error, 'code') !== 'ESRCH') throw error;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function linesOf(output: string): Record<string, unknown>[] {
  return output.split('\n').flatMap((line) => {
    if (!line.startsWith('{')) return [];
    try {
      const parsed: unknown = JSON.parse(line);
      return isRecord(parsed) ? [parsed] : [];
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
