/**
 * Plays a pipeline on one machine: the steps of each job in their order, in a clean checkout, as the identity that its subject
 * may sign in as, with the variables, secrets, outputs and artifacts that the file gives it, against a local Azure.
 */
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { sha256 } from '../../../core/digest.ts';
import type { Ended } from '../../../local/processes/program.ts';
import type { Checkout } from '../../../rehearsal/sandbox/checkout.ts';
import type { Sandbox } from '../../../rehearsal/sandbox/sandbox.ts';
import { type Block, type Job, type Step, wordsOf } from './pipelines.ts';

/** One environment: its Azure, its database, and the checkout that its runners have. */
export interface Machine {
  readonly sandbox: Sandbox;
  readonly checkout: Checkout;
}

/** How a platform signs its jobs in. */
export interface Platform {
  /** @default - GitHub */
  readonly issuer?: string;
  readonly subject: (job: Job, step: Step, environment: string | undefined) => string;
}

export interface Played {
  /** Every command of llama-db, oldest first. */
  readonly ended: readonly Ended[];
  /** Name of the first step that failed. */
  readonly failed?: string;
  readonly output: string;
}

export interface PlayOptions {
  readonly inputs?: Readonly<Record<string, string>>;
  /** The set of the matrix. @default - the only one */
  readonly matrix?: Block;
  /** Changes a command before it runs. @default - as written */
  readonly edit?: (words: readonly string[]) => readonly string[];
}

export class Player {
  /** Files by artifact, each by its path inside of it. */
  readonly artifacts = new Map<string, ReadonlyMap<string, Buffer>>();
  /** Digests of the files that a job has signed. */
  readonly #signed = new Set<string>();
  /** Outputs of jobs, as later jobs refer to them. */
  readonly #outputs = new Map<string, string>();

  constructor(
    readonly machines: ReadonlyMap<string, Machine>,
    readonly platform: Platform,
    /** Variables and secrets by reference: `vars.ARM_TENANT_ID`, or those of one environment, `production/vars.ARM_CLIENT_ID`. */
    readonly values: ReadonlyMap<string, string>,
  ) {}

  async play(job: Job, options: PlayOptions = {}): Promise<Played> {
    const matrix = Object.entries(options.matrix ?? job.matrix[0] ?? {});
    const given = new Map<string, string>();
    for (const [name, value] of Object.entries(options.inputs ?? {})) given.set(`inputs.${name}`, value);
    const value = (reference: string, environment?: string): string => {
      const base = environment?.replace(/-nightly$/, '');
      const found =
        given.get(reference) ??
        this.#outputs.get(reference) ??
        this.values.get(`${base}/${reference}`) ??
        this.values.get(reference);
      if (found === undefined) throw new Error(`${job.pipeline} ${job.name}: ${reference} does not exist`);
      return found;
    };
    const fill = (text: string, environment?: string) =>
      text
        .replace(/\$\{\{ ([\w.-]+) \}\}/g, (_, reference) => value(reference, environment))
        .replace(/^\$\[ stageDependencies\.(\w+\.\w+)\.outputs\['(.+)'\] \]$/, (_, stage, output) =>
          value(`${stage}.${output}`),
        )
        .replace(/\$\(([\w.]+)\)/g, (_, reference) => value(reference));
    for (const [name, one] of matrix) given.set(`matrix.${name}`, fill(String(one)));
    const environment = job.environment === undefined ? undefined : fill(job.environment);
    const machine = this.#machineOf(job, environment, given);
    const workspace = await mkdtemp(path.join(tmpdir(), 'runner-'));
    given
      .set('Pipeline.Workspace', workspace)
      .set('github.token', 'token')
      .set('System.AccessToken', 'token');
    const variables = (block: Block) =>
      Object.fromEntries(Object.entries(block).map(([name, one]) => [name, fill(String(one), environment)]));
    const own = variables(job.env);
    for (const [name, one] of Object.entries(own)) given.set(name, one);
    const runner = { job, machine, workspace, environment, own, variables, options };
    try {
      await this.#clean(machine);
      return await this.#run(runner);
    } finally {
      await rm(workspace, { recursive: true });
    }
  }

  #machineOf(job: Job, environment: string | undefined, given: ReadonlyMap<string, string>): Machine {
    const named = environment ?? given.get('matrix.environment') ?? job.name;
    const found = this.machines.get(named.replace(/-nightly$/, ''));
    if (!found) throw new Error(`${job.pipeline} ${job.name} runs in no environment of this machine`);
    return found;
  }

  /** A runner is new: files of an earlier job are gone, also those that git ignores. */
  async #clean({ checkout }: Machine): Promise<void> {
    const kept = ['node_modules', 'docs', 'test', 'tmp'].flatMap((name) => ['--exclude', name]);
    await checkout.git('clean', '-ffdxq', ...kept);
  }

  async #run(runner: Runner): Promise<Played> {
    const ended: Ended[] = [];
    let failed: string | undefined;
    for (const step of runner.job.steps) {
      if (failed !== undefined && !step.isAlways) continue;
      const run = await this.#step(runner, step);
      if (run) ended.push(run);
      if (run && run.exitCode !== 0) failed ??= step.name;
    }
    const output = ended.map((one) => one.output).join('\n');
    return { ended, output, ...(failed === undefined ? {} : { failed }) };
  }

  async #step(runner: Runner, step: Step): Promise<Ended | undefined> {
    const { machine, workspace, options } = runner;
    const { root } = machine.checkout;
    const { uses = '', run } = step;
    const inputs = runner.variables(
      Object.fromEntries(Object.entries(step.with).filter(([, one]) => typeof one === 'string')),
    );
    if (run === undefined) {
      if (uses.startsWith('actions/upload-artifact@'))
        await this.#keep(inputs['name'], root, String(inputs['path']).split('\n'));
      else if (uses === 'publish') await this.#keep(inputs['artifact'], root, [String(inputs['publish'])]);
      else if (uses.startsWith('actions/download-artifact@'))
        await this.#take(inputs['name'], path.join(root, inputs['path'] ?? '.'));
      else if (uses === 'download')
        await this.#take(inputs['artifact'], path.join(workspace, inputs['artifact'] ?? ''));
      else if (uses.startsWith('actions/attest@'))
        this.#signed.add(await digestOf(root, inputs['subject-path']));
      // Checkout, tools and the sign-in of a CLI are this machine's own.
      else if (
        !/^(actions\/(checkout|setup-node)|hashicorp\/setup-terraform|azure\/login)@|^(checkout|UseNode|TerraformInstaller)/.test(
          uses,
        )
      )
        throw new Error(`${runner.job.pipeline} uses ${uses}, which this machine does not have`);
      return undefined;
    }
    const variables = { ...runner.own, ...runner.variables(step.env) };
    const words = wordsOf(run, { ...variables, 'Pipeline.Workspace': workspace });
    if (words === undefined) {
      const [program, ...rest] = run.split(' ');
      if (program === 'rm') await rm(path.join(root, rest.at(-1) ?? ''), { force: true });
      else if (program === 'gh' && !this.#signed.has(await digestOf(root, rest[2])))
        throw new Error(`${rest[2]} was not signed`);
      else if (program !== 'gh' && program !== 'npm') throw new Error(`this machine does not run ${run}`);
      return undefined;
    }
    const outputs = path.join(workspace, 'outputs');
    await writeFile(outputs, '');
    await machine.sandbox.signInAs({
      clientId: variables['ARM_CLIENT_ID'] ?? '',
      subject: this.platform.subject(runner.job, step, runner.environment),
      ...(this.platform.issuer === undefined ? {} : { issuer: this.platform.issuer }),
      variables: {
        ...variables,
        ...(this.platform.issuer ? { TF_BUILD: 'True' } : { GITHUB_OUTPUT: outputs }),
      },
    });
    // A comment needs GitHub itself.
    const asWritten = words.filter((word) => word !== '--post');
    const ended = await machine.sandbox.command(...(options.edit?.(asWritten) ?? asWritten));
    this.#remember(runner.job, step, ended, await readFile(outputs, 'utf8'));
    return ended;
  }

  /** Keeps the outputs of a step, which later jobs read. */
  #remember({ name, outputs }: Job, { id }: Step, { output }: Ended, written: string): void {
    const found = [
      ...written.matchAll(/^(\w+)=(.*)$/gm),
      ...output.matchAll(/^##vso\[task\.setvariable variable=(\w+);isOutput=true\](.*)$/gm),
    ];
    for (const [, key = '', one = ''] of found) {
      for (const [as, expression] of Object.entries(outputs))
        if (expression === `\${{ steps.${id}.outputs.${key} }}`)
          this.#outputs.set(`needs.${name}.outputs.${as}`, one);
      this.#outputs.set(`${name.replace(' ', '.')}.${name.split(' ').at(-1)}.${id}.${key}`, one);
    }
  }

  /** Hands files over, by their paths below their common folder. */
  async #keep(name: string | undefined, root: string, paths: readonly string[]): Promise<void> {
    const files = new Map<string, Buffer>();
    for (const one of paths) {
      const file = path.join(root, one);
      if (!existsSync(file)) continue;
      const names = (await stat(file)).isDirectory() ? await readdir(file) : [''];
      for (const inner of names)
        files.set(inner === '' ? path.basename(file) : inner, await readFile(path.join(file, inner)));
    }
    this.artifacts.set(name ?? '', files);
  }

  async #take(name: string | undefined, folder: string): Promise<void> {
    const files = this.artifacts.get(name ?? '');
    if (!files) throw new Error(`no job has handed over ${name}`);
    await mkdir(folder, { recursive: true });
    for (const [file, content] of files) await writeFile(path.join(folder, file), content);
  }
}

interface Runner {
  readonly job: Job;
  readonly machine: Machine;
  /** Folder of the runner outside the checkout. */
  readonly workspace: string;
  readonly environment: string | undefined;
  /** Environment variables of the job. */
  readonly own: Readonly<Record<string, string>>;
  readonly variables: (block: Block) => Record<string, string>;
  readonly options: PlayOptions;
}

const digestOf = async (root: string, file = ''): Promise<string> =>
  sha256(await readFile(path.join(root, file)));
