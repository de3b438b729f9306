/**
 * An isolated copy of an environment: a local Azure, the PostgreSQL behind its servers, and a scratch project that the
 * real Terraform and azurerm deploy to them. A scenario acts on it and states what must hold.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { Fault } from '../../core/fault.ts';
import { type JsonObject, objectAt } from '../../core/json.ts';
import type { Deployment } from '../../database/deployment.ts';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import type { LocalAzure } from '../../local/azure/index.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import type { Blob } from '../../local/azure/providers/storage-blobs.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { type Ended, type Line, runProgram, type StopSignals } from '../../local/processes/program.ts';
import type { Synthesis } from '../terraform/changed-stack.ts';
import type { Deployer, DeployRun, Difference } from '../terraform/deployer.ts';
import { slowTypes } from '../terraform/documents.ts';
import type { Project } from '../terraform/project.ts';
import type { TerraformStack } from '../terraform/stack.ts';
import { synthesize } from '../terraform/synthesis.ts';
import { Checkout } from './checkout.ts';
import { deploymentOf, isOwn } from './environments.ts';
import { LeakSearch, type Output } from './leaks.ts';
import { type Leak, Secrets } from './secrets.ts';
import { type PipelineIdentity, type ServerMoment, Testbed } from './testbed.ts';

export interface SandboxOptions {
  readonly environment: EnvironmentName;
  /** Leave out the resources that azurerm polls for minutes: alerts and locks. @default false */
  readonly quick?: boolean;
  /** Leave out these types too. @default - none */
  readonly leaveOut?: readonly string[];
  /** Deploy only these resource types. @default - all */
  readonly only?: readonly string[];
  /** Run a PostgreSQL behind the servers, and the post-deploy step on it. @default true */
  readonly database?: boolean;
  /** The cdktf command line, or its steps one by one. @default 'terraform' */
  readonly deployer?: Deployer['kind'];
  /** Changes the settings before anything is deployed. @default - the environment's own */
  readonly change?: (input: EnvironmentInput) => void;
  /** Other sources to synthesize and deploy, with their settings. @default - this checkout's */
  readonly sources?: Sources;
  /** See {@link Testbed}. @default - none */
  readonly laterHostNames?: readonly string[];
  /** See {@link Testbed}. @default false */
  readonly startsReplicas?: boolean;
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number;
  /** Called with each line of Terraform and cdktf. @default - lines are only collected */
  readonly onOutput?: ((line: Line) => void) | undefined;
  /** Serve all runs of Terraform from one process of the provider; see {@link Testbed}. @default false */
  readonly sharesProvider?: boolean;
  /** Called when a run starts or ends and when a check has passed. @default - nothing */
  readonly onEvent?: ((event: SandboxEvent) => void) | undefined;
  /** Interrupts the program that runs. @default - programs run to their end */
  readonly signal?: AbortSignal | undefined;
}

export type SandboxEvent =
  | { readonly kind: 'started'; readonly name: NamedRun['name'] }
  | { readonly kind: 'ended'; readonly run: NamedRun }
  | { readonly kind: 'check'; readonly claim: string };

/** How a deployment differs from an ordinary one. */
export interface DeployOptions extends StopSignals {
  /** Changes the settings, also for later deployments; the result must obey every rule. @default - unchanged */
  readonly change?: (input: EnvironmentInput) => void;
  /** Types of {@link slowTypes} to deploy although the sandbox is quick, also later. @default - none */
  readonly include?: readonly (typeof slowTypes)[number][];
  /** Azure ids to import into the state, by address, this time. @default - none */
  readonly imports?: Readonly<Record<string, string>>;
}

/** A checkout of the project with the settings that it has for the environment. */
export interface Sources {
  readonly folder: string;
  readonly input: EnvironmentInput;
}

/** An assertion that held. */
export interface Check {
  readonly claim: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** One run of cdktf or Terraform in the sandbox. */
export interface NamedRun {
  readonly name: 'deploy' | 'diff' | 'destroy';
  readonly run: DeployRun;
}

const program = fileURLToPath(new URL('../../commands/llama-db.mjs', import.meta.url));

/** A scratch project that is a checkout of its own runs its own program. */
function programOf(root: string): string {
  return existsSync(path.join(root, '.git')) ? checkedOut(root) : program;
}

function checkedOut(root: string): string {
  return path.join(root, 'commands/llama-db.mjs');
}

export class Sandbox {
  /** Every run so far, oldest first. */
  readonly runs: NamedRun[] = [];
  readonly checks: Check[] = [];
  readonly #options: SandboxOptions;
  readonly #testbed: Testbed;
  readonly #included: Set<string>;
  readonly #leakSearch: LeakSearch;
  /** Output of commands that was not searched for secrets yet. */
  readonly #commands: Output[] = [];
  #input: EnvironmentInput;
  #sources: Sources | undefined;

  private constructor(
    options: SandboxOptions,
    input: EnvironmentInput,
    testbed: Testbed,
    readonly secrets: Secrets,
    included: Iterable<string> = [],
  ) {
    this.#options = options;
    this.#input = input;
    this.#sources = options.sources;
    this.#testbed = testbed;
    this.#included = new Set(included);
    this.#leakSearch = new LeakSearch(secrets);
  }

  /** Sets up a sandbox for a first deployment. The caller must close it. */
  static async open(options: SandboxOptions): Promise<Sandbox> {
    const { sources } = options;
    const input = structuredClone(sources?.input ?? environments.inputOf(options.environment));
    options.change?.(input);
    const secrets = new Secrets();
    const settings = environments.changed(input);
    const testbed = await Testbed.build({ ...options, sources: sources?.folder, settings, secrets });
    return new Sandbox(options, input, testbed, secrets);
  }

  /** Sets up a second sandbox with copies of the resources in Azure, the Terraform state and the database. */
  async fork(
    options: Pick<
      SandboxOptions,
      'onOutput' | 'onEvent' | 'signal' | 'tokenLifetime' | 'sharesProvider'
    > = {},
  ): Promise<Sandbox> {
    const all = { ...this.#options, ...options };
    const secrets = new Secrets();
    const sources = this.#sources?.folder;
    const testbed = await this.#testbed.copy({ ...all, sources, settings: this.settings, secrets });
    return new Sandbox(all, structuredClone(this.#input), testbed, secrets, this.#included);
  }

  get environment(): EnvironmentName {
    return this.#options.environment;
  }

  /** The settings of the next deployment. */
  get settings(): EnvironmentSettings {
    return environments.changed(this.#input);
  }

  get deployment(): Deployment {
    return deploymentOf(this.settings);
  }

  get azure(): LocalAzure {
    return this.#testbed.azure;
  }

  /** The PostgreSQL of the server that is the primary at first; after a switchover, {@link writer} is another one. */
  get postgres(): LocalPostgres {
    return this.#testbed.postgres;
  }

  get project(): Project {
    return this.#testbed.project;
  }

  /** Called for each request before it is answered, to make it fail or to act in the middle of a deployment. */
  set intercept(intercept: Testbed['intercept']) {
    this.#testbed.intercept = intercept;
  }

  /** Called with each answer before it is sent, to replace it. */
  set interceptAnswer(intercept: Testbed['interceptAnswer']) {
    this.#testbed.interceptAnswer = intercept;
  }

  /** Deploys other sources with their settings from now on, on top of what is deployed. */
  async take(sources: Sources): Promise<void> {
    const settings = environments.changed(sources.input);
    this.#input = structuredClone(sources.input);
    this.#sources = sources;
    await this.#testbed.take(sources.folder, settings);
  }

  /** Signs Terraform, cdktf and llama-db in as an identity of the pipeline from now on. */
  signInAs(identity: PipelineIdentity): Promise<void> {
    return this.#testbed.signInAs(identity);
  }

  /** Builds the image of the post-deploy job from the scratch project, and puts it into its registry. */
  pushImage(image: string): Promise<void> {
    return this.#testbed.pushImage(image);
  }

  /** Closes or opens the route from the programs of this sandbox to the servers. */
  set routeIsOpen(open: boolean) {
    this.#testbed.routeIsOpen = open;
    this.#testbed.renewDeployer();
  }

  /** Azure id of one of the environment's servers. */
  serverId(which: ServerRole): string {
    const { server, replica } = this.settings;
    const name = which === 'primary' ? server.name : replica?.name;
    const found = this.azure.state.ofType(serverType).find((one) => one.name === name);
    if (!found) throw new Error(`${this.environment} has no ${which}`);
    return found.id;
  }

  /** Properties of one of the environment's servers, as the control plane returns them. */
  serverProperties(which: ServerRole): JsonObject {
    return objectAt(this.azure.state.get(this.serverId(which))?.body, 'properties');
  }

  /** The PostgreSQL of the server that accepts writes now; a switchover changes it. */
  writer(): Promise<LocalPostgres> {
    return this.#testbed.writer();
  }

  /** Events of the servers, oldest first. */
  get happened(): readonly ServerMoment[] {
    return this.#testbed.happened;
  }

  get quick(): boolean {
    return this.#options.quick ?? false;
  }

  /** Synthesizes the next deployment's stack. @returns the text of its `cdk.tf.json` */
  async synthesized(options: DeployOptions = {}): Promise<string> {
    const { project, settings, variables: environment } = this;
    const run = await synthesize(project, this.#synthesis(options), { cwd: project.root, environment });
    if (run && run.exitCode !== 0)
      throw new Fault(
        'rehearsal/synthesis-failed',
        'The stack does not synthesize',
        run.output.trim(),
        'Correct the named settings.',
      );
    return readFile(path.join(await project.stackFolder(settings.name), 'cdk.tf.json'), 'utf8');
  }

  /**
   * Makes the scratch project a git checkout of its own, with one commit of the sources, whose app synthesizes the next
   * deployment of this sandbox.
   */
  checkOut(options: DeployOptions = {}): Promise<Checkout> {
    const synthesis = this.#synthesis(options) ?? { input: this.#input, leftOut: [] };
    return Checkout.in(this.project.root, synthesis);
  }

  /** Deploys. A failure is part of the result. */
  async deploy(options: DeployOptions = {}): Promise<DeployRun> {
    const { deployer } = this.#testbed;
    await this.#testbed.runSchedules();
    return this.#record('deploy', deployer.deploy(this.#synthesis(options), this.#stops(options)));
  }

  /** Deploys. @throws Fault if the deployment fails */
  async assertDeploys(options: DeployOptions = {}, claim = 'the deployment succeeds'): Promise<DeployRun> {
    const run = await this.deploy(options);
    this.check(claim, run.exitCode === 0, () => reasonOf(run));
    return run;
  }

  /** Deploys. @throws Fault if the deployment succeeds, or if its first error does not match `reason` */
  async assertRefused(
    reason: RegExp,
    options: DeployOptions = {},
    claim = 'the deployment is refused',
  ): Promise<DeployRun> {
    const run = await this.deploy(options);
    this.check(claim, run.exitCode !== 0, () => 'it succeeded');
    const found = reasonOf(run);
    this.check(`it gives the reason (${reason.source})`, reason.test(found), () => `the error is: ${found}`);
    return run;
  }

  /** Plans a deployment. @throws Fault if the plan fails */
  async diff(options: DeployOptions = {}): Promise<Difference> {
    const { deployer } = this.#testbed;
    const run = await this.#record('diff', deployer.diff(this.#synthesis(options), this.#stops(options)));
    if (run.exitCode !== 0)
      throw new Fault('rehearsal/plan-failed', 'The plan failed', reasonOf(run), 'Resolve the named error.');
    return run;
  }

  /** @throws Fault if a deployment would change anything now */
  async assertEmptyPlan(claim = 'the plan is empty', options: DeployOptions = {}): Promise<void> {
    const { isEmpty, changes } = await this.diff(options);
    this.check(claim, isEmpty, () => `it would ${changes.join(', ') || 'change outputs'}`);
  }

  /** Destroys the environment. A failure is part of the result. */
  async destroy(options: DeployOptions = {}): Promise<DeployRun> {
    const { deployer } = this.#testbed;
    return this.#record('destroy', deployer.destroy(this.#synthesis(options), this.#stops(options)));
  }

  /** Runs `llama-db` on this sandbox, as an operator does. */
  async command(...parameters: string[]): Promise<Ended> {
    const { root } = this.project;
    const own = this.#sources ? checkedOut(root) : programOf(root);
    await this.#testbed.runSchedules();
    const run = await runProgram(process.execPath, [own, ...parameters], {
      cwd: root,
      environment: { ...this.variables, CDKTF_OUTDIR: path.join(root, 'cdktf.out') },
      ...this.#stops({}),
    });
    this.#commands.push({ name: `llama-db ${parameters[0]}`, run });
    return run;
  }

  /**
   * States what must hold.
   *
   * @throws Fault with the claim and the detail if it does not hold
   */
  check(claim: string, holds: boolean, detail: () => string = () => 'it does not hold'): void {
    if (!holds)
      throw new Fault(
        'rehearsal/check-failed',
        `The rehearsal of ${this.environment} fails at "${claim}"`,
        detail(),
        'Run it again with --keep to inspect the deployment, or with --debug to see all output.',
      );
    this.checks.push({ claim, at: Date.now() });
    this.#options.onEvent?.({ kind: 'check', claim });
  }

  /** Changes requested from Azure since a moment (`DELETE <id>`), whether Azure accepted them or not. */
  changesSince(moment: number): readonly string[] {
    return this.azure.operations
      .filter(({ startedAt }) => startedAt >= moment)
      .map(({ method, target }) => `${method} ${target}`);
  }

  /** The Terraform state in its storage account; undefined for a local file, or before the first deployment. */
  get stateBlob(): Blob | undefined {
    const { state } = this.settings;
    if (state.backend !== 'azurerm') return undefined;
    return this.azure.blobs.container(state.storageAccount, state.container)?.get(state.key);
  }

  /** The text of the Terraform state, from its storage account or its local file; undefined if there is none yet. */
  async stateText(): Promise<string | undefined> {
    if (this.settings.state.backend === 'azurerm') return this.stateBlob?.content.toString();
    return (await this.project.artefacts()).get(`${this.environment}.tfstate`)?.toString();
  }

  /** @throws Fault if the local Azure met an unknown request, or if a secret was left anywhere */
  async assertInvariants(): Promise<void> {
    const { unknown } = this.azure;
    this.check(
      'the local Azure could answer every request',
      unknown.length === 0,
      () => `it could not answer: ${[...new Set(unknown)].join('; ')}`,
    );
    const leaks = await this.leaks();
    this.check(`none of ${this.secrets.count} secrets was left anywhere`, leaks.length === 0, () =>
      leaks.map(({ what, where }) => `${what} is in ${where}`).join('; '),
    );
  }

  /** Secrets in the files, blobs, output and logs that runs and commands left; see {@link LeakSearch}. */
  leaks(): Promise<readonly Leak[]> {
    return this.#leakSearch.search(this.#testbed, [...this.runs, ...this.#commands.splice(0)]);
  }

  /** Environment variables with which terraform, cdktf, psql and llama-db reach this sandbox. */
  get variables(): Readonly<Record<string, string>> {
    return { ...this.project.environment, ...this.#testbed.environment };
  }

  /** Terraform in the folder of a stack, beside the deployments. @default name - the environment's stack */
  terraform(name: string = this.settings.name): Promise<TerraformStack> {
    return this.#testbed.stack(name);
  }

  /** Closes all parts. @throws NotClosed that names the parts that did not close */
  close(): Promise<void> {
    return this.#testbed.close();
  }

  async #record<Run extends DeployRun>(name: NamedRun['name'], running: Promise<Run>): Promise<Run> {
    const { onEvent, signal } = this.#options;
    onEvent?.({ kind: 'started', name });
    const run = await running;
    this.runs.push({ name, run });
    onEvent?.({ kind: 'ended', run: { name, run } });
    signal?.throwIfAborted();
    return run;
  }

  #synthesis({ change, include = [], imports }: DeployOptions): Synthesis | undefined {
    if (change) {
      const next = structuredClone(this.#input);
      change(next);
      environments.changed(next);
      this.#input = next;
    }
    for (const type of include) this.#included.add(type);
    const { only, leaveOut = [] } = this.#options;
    const slow = this.quick ? slowTypes.filter((type) => !this.#included.has(type)) : [];
    const leftOut = [...slow, ...leaveOut];
    if (this.#sources) return { leftOut };
    const isUnchanged = isOwn(this.#input, this.environment) && leftOut.length === 0 && !imports && !only;
    if (isUnchanged) return undefined;
    return { input: this.#input, leftOut, ...(only ? { only } : {}), ...(imports ? { imports } : {}) };
  }

  /** Adds the sandbox's own signal, which interrupts every run. */
  #stops({ interrupt, kill }: StopSignals): StopSignals {
    const { signal } = this.#options;
    const signals = [interrupt, signal].filter((one) => one !== undefined);
    return { ...(signals.length > 0 ? { interrupt: AbortSignal.any(signals) } : {}), kill };
  }
}

/** The first error of a failed run, in one line. */
export function reasonOf({ diagnostics, exitCode }: DeployRun): string {
  const error = diagnostics.find(({ severity }) => severity === 'error');
  if (!error) return `it ended with status ${exitCode} and without an error message`;
  const where = error.address === undefined ? '' : ` (${error.address})`;
  return [`${error.summary}${where}`, error.detail ?? ''].filter((part) => part !== '').join(': ');
}
