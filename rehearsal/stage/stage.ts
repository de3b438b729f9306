/**
 * Where a rehearsal plays: a local Azure, the PostgreSQL behind its server, and a scratch project that is deployed to
 * them with the real Terraform and azurerm. A scenario acts on it and says what must hold.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { ServerRole } from '../../azure/vocabulary.ts';
import { Fault } from '../../core/fault.ts';
import { type JsonObject, objectAt } from '../../core/json.ts';
import type { Deployment } from '../../database/deployment.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import type { LocalAzure } from '../../local/azure/index.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import type { Blob } from '../../local/azure/providers/storage-blobs.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { type Leak, Secrets } from '../secrets.ts';
import type { Synthesis } from '../terraform/app.ts';
import { type Deployer, type DeployRun, type Difference, synthesize } from '../terraform/deployer.ts';
import { watched } from '../terraform/documents.ts';
import { type Ended, type Line, runProgram, type StopSignals } from '../terraform/program.ts';
import type { Project } from '../terraform/project.ts';
import { deploymentOf, type EnvironmentName, inputOf, isOwn, settingsOf } from './environments.ts';
import { type PipelineIdentity, Scenery } from './scenery.ts';
import { leaksOf } from './search.ts';

export { type EnvironmentName, environmentNames } from './environments.ts';

export interface StageOptions {
  readonly environment: EnvironmentName;
  /** Leave out what the provider watches for minutes: alerts and locks. @default false */
  readonly quick?: boolean;
  /** Who deploys: the cdktf command line, or its steps one by one. @default 'terraform' */
  readonly deployer?: Deployer['kind'];
  /** Changes the settings before anything is deployed. @default - the environment's own */
  readonly change?: (input: EnvironmentInput) => void;
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number;
  /** Hears what Terraform and cdktf write. @default - nobody */
  readonly hear?: ((line: Line) => void) | undefined;
  /** Is told what begins, and what was seen to hold. @default - nobody */
  readonly tell?: ((event: StageEvent) => void) | undefined;
  /** Ends whatever runs. @default - runs to its end */
  readonly signal?: AbortSignal | undefined;
}

export type StageEvent =
  | { readonly kind: 'act'; readonly name: Act['name'] }
  | { readonly kind: 'done'; readonly act: Act }
  | { readonly kind: 'check'; readonly words: string };

/** What differs from an ordinary deployment. */
export interface How extends StopSignals {
  /** Changes the settings, from now on; the result must still obey every rule. @default - as they are */
  readonly change?: (input: EnvironmentInput) => void;
  /** Resource types of {@link watched} that are deployed although the stage is quick, from now on. @default - none */
  readonly keep?: readonly (typeof watched)[number][];
  /** Resource ids that the state takes over, by address, this time. @default - none */
  readonly imports?: Readonly<Record<string, string>>;
}

/** One thing that a rehearsal saw to hold. */
export interface Check {
  readonly words: string;
  readonly at: number;
}

/** One run of cdktf or Terraform on the stage, with what it was for. */
export interface Act {
  readonly name: 'deploy' | 'diff' | 'destroy';
  readonly run: DeployRun;
}

export class Stage {
  /** Everything deployed so far, oldest first. */
  readonly acts: Act[] = [];
  readonly checks: Check[] = [];
  readonly startedAt = Date.now();
  readonly #options: StageOptions;
  readonly #scenery: Scenery;
  readonly #kept: Set<string>;
  #input: EnvironmentInput;

  private constructor(
    options: StageOptions,
    input: EnvironmentInput,
    scenery: Scenery,
    readonly secrets: Secrets,
    kept: Iterable<string> = [],
  ) {
    this.#options = options;
    this.#input = input;
    this.#scenery = scenery;
    this.#kept = new Set(kept);
  }

  /** Sets up everything for a first deployment. Close it, whatever happens. */
  static async open(options: StageOptions): Promise<Stage> {
    const input = inputOf(options.environment);
    options.change?.(input);
    const secrets = new Secrets();
    const scenery = await Scenery.build({ ...options, settings: settingsOf(input), secrets });
    return new Stage(options, input, scenery, secrets);
  }

  /** A second stage in the same condition: same resources in Azure, same state, same database, own copies of each. */
  async fork(options: Pick<StageOptions, 'hear' | 'tell' | 'signal' | 'tokenLifetime'> = {}): Promise<Stage> {
    const all = { ...this.#options, ...options };
    const secrets = new Secrets();
    const scenery = await this.#scenery.copy({ ...all, settings: this.settings, secrets });
    return new Stage(all, structuredClone(this.#input), scenery, secrets, this.#kept);
  }

  get environment(): EnvironmentName {
    return this.#options.environment;
  }

  /** As they are deployed now. */
  get settings(): EnvironmentSettings {
    return settingsOf(this.#input);
  }

  get deployment(): Deployment {
    return deploymentOf(this.settings);
  }

  get azure(): LocalAzure {
    return this.#scenery.azure;
  }

  /** The server that the environment's primary begins with; after a switchover, {@link writer} is another one. */
  get postgres(): LocalPostgres {
    return this.#scenery.postgres;
  }

  get project(): Project {
    return this.#scenery.project;
  }

  /** Called for each request before it is answered, to fail it on purpose or to act in the middle of a deployment. */
  set intercept(act: Scenery['intercept']) {
    this.#scenery.intercept = act;
  }

  /** Called with each answer before it is sent, to say it otherwise. */
  set interceptAnswer(act: Scenery['interceptAnswer']) {
    this.#scenery.interceptAnswer = act;
  }

  /** Signs Terraform, cdktf and llama-db in as an identity of the pipeline from now on. */
  signInAs(identity: PipelineIdentity): Promise<void> {
    return this.#scenery.signInAs(identity);
  }

  /** Resource id of one of the environment's servers. */
  serverId(which: ServerRole): string {
    const { server, replica } = this.settings;
    const name = which === 'primary' ? server.name : replica?.name;
    const found = this.azure.state.ofType(serverType).find((one) => one.name === name);
    if (!found) throw new Error(`${this.environment} has no ${which}`);
    return found.id;
  }

  /** Properties of one of the environment's servers, as the control plane shows them. */
  serverProperties(which: ServerRole): JsonObject {
    return objectAt(this.azure.state.get(this.serverId(which))?.body, 'properties');
  }

  /** The PostgreSQL behind the server that takes writes now; a switchover makes it another one. */
  writer(): Promise<LocalPostgres> {
    return this.#scenery.writer();
  }

  get quick(): boolean {
    return this.#options.quick ?? false;
  }

  /** Who deploys. */
  get deployer(): Deployer['kind'] {
    return this.#scenery.deployer.kind;
  }

  /** The stack as the next deployment would be: the text of its `cdk.tf.json`. */
  async synthesized(how: How = {}): Promise<string> {
    const { project, settings, variables: environment } = this;
    const run = await synthesize(project, this.#synthesis(how), { cwd: project.root, environment });
    if (run && run.exitCode !== 0)
      throw new Fault(
        'stage/1',
        'The stack does not synthesize',
        run.output.trim(),
        'Mend what is named there.',
      );
    return readFile(path.join(await project.stackFolder(settings.name), 'cdk.tf.json'), 'utf8');
  }

  /** Deploys, whatever comes of it. */
  async deploy(how: How = {}): Promise<DeployRun> {
    return this.#act('deploy', this.#scenery.deployer.deploy(this.#synthesis(how), this.#stops(how)));
  }

  /** Deploys, and fails the rehearsal when that fails. */
  async deployed(how: How = {}, words = 'the deployment succeeds'): Promise<DeployRun> {
    const run = await this.deploy(how);
    this.check(words, run.exitCode === 0, () => reasonOf(run));
    return run;
  }

  /** Deploys, and fails the rehearsal when that succeeds or when it does not say what it should. */
  async refused(says: RegExp, how: How = {}, words = 'the deployment is refused'): Promise<DeployRun> {
    const run = await this.deploy(how);
    this.check(words, run.exitCode !== 0, () => 'it succeeded');
    const reason = reasonOf(run);
    this.check(`it says why (${says.source})`, says.test(reason), () => `it said: ${reason}`);
    return run;
  }

  /** What a deployment would do now. */
  async diff(how: How = {}): Promise<Difference> {
    const run = await this.#act('diff', this.#scenery.deployer.diff(this.#synthesis(how), this.#stops(how)));
    if (run.exitCode !== 0)
      throw new Fault('stage/2', 'The plan failed', reasonOf(run), 'Mend what is named there.');
    return run;
  }

  /** Fails the rehearsal when a deployment would change anything now. */
  async unchanged(words = 'the plan is empty', how: How = {}): Promise<void> {
    const { isEmpty, changes } = await this.diff(how);
    this.check(words, isEmpty, () => `it would ${changes.join(', ') || 'change outputs'}`);
  }

  /** Destroys, whatever comes of it. */
  async destroy(how: How = {}): Promise<DeployRun> {
    return this.#act('destroy', this.#scenery.deployer.destroy(this.#synthesis(how), this.#stops(how)));
  }

  /** Runs `llama-db`, as a person does who looks after what is deployed. */
  async command(...parameters: string[]): Promise<Ended> {
    const { root } = this.project;
    return runProgram(process.execPath, [path.join(root, 'commands/llama-db.mjs'), ...parameters], {
      cwd: root,
      environment: { ...this.variables, CDKTF_OUTDIR: path.join(root, 'cdktf.out') },
      ...this.#stops({}),
    });
  }

  /**
   * States what must hold.
   *
   * @throws Fault with the words and the detail when it does not
   */
  check(words: string, holds: boolean, detail: () => string = () => 'it does not'): void {
    if (!holds)
      throw new Fault(
        'stage/3',
        `The rehearsal of ${this.environment} fails at "${words}"`,
        detail(),
        'Run it again with --keep to look at what was deployed, or with --debug to see everything that was said.',
      );
    this.checks.push({ words, at: Date.now() });
    this.#options.tell?.({ kind: 'check', words });
  }

  /**
   * Takes everything of a type away behind Terraform's back, so that it need not do so itself: what it deletes, the
   * provider goes on looking for, a link of a DNS zone for two minutes.
   *
   * @param scope what it lies on or in. @default - anything
   */
  removeByHand(type: string, scope?: string): void {
    const { state } = this.azure;
    const within = scope === undefined ? state.list() : state.within(scope);
    const there = within.filter((one) => one.type.toLowerCase() === type.toLowerCase());
    if (there.length === 0) throw new Error(`there is no ${type} to take away`);
    for (const { id } of there) state.delete(id);
  }

  /** Changes that Azure was asked for since a moment, `DELETE <id>`, whether it did them or not. */
  changesSince(moment: number): readonly string[] {
    return this.azure.operations
      .filter(({ startedAt }) => startedAt >= moment)
      .map(({ method, target }) => `${method} ${target}`);
  }

  /** The state of Terraform in its storage account; undefined where it is a local file, or not there yet. */
  get stateBlob(): Blob | undefined {
    const { state } = this.settings;
    if (state.backend !== 'azurerm') return undefined;
    return this.azure.blobs.container(state.storageAccount, state.container)?.get(state.key);
  }

  /** What is wrong with a rehearsal whatever it was about: requests nobody could answer, secrets left somewhere. */
  async sound(): Promise<void> {
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

  /** Secrets in what the deployments left: files, blobs, output, PostgreSQL's log. */
  leaks(): Promise<readonly Leak[]> {
    return leaksOf(this.#scenery, this.acts, this.secrets);
  }

  /** Environment under which terraform, cdktf, psql and llama-db reach this stage. */
  get variables(): Readonly<Record<string, string>> {
    const { project, azure, settings } = this;
    const { identityEnvironment } = this.#scenery;
    return {
      ...project.environment,
      ...azure.environment,
      ...this.#scenery.loginEnvironment(settings),
      ...identityEnvironment,
    };
  }

  /** Takes everything down. @throws NotEnded that names what did not end, when everything else has */
  close(): Promise<void> {
    return this.#scenery.close();
  }

  async #act<Run extends DeployRun>(name: Act['name'], running: Promise<Run>): Promise<Run> {
    this.#options.tell?.({ kind: 'act', name });
    const run = await running;
    this.acts.push({ name, run });
    this.#options.tell?.({ kind: 'done', act: { name, run } });
    this.#options.signal?.throwIfAborted();
    return run;
  }

  #synthesis({ change, keep = [], imports }: How): Synthesis | undefined {
    if (change) {
      const next = structuredClone(this.#input);
      change(next);
      settingsOf(next);
      this.#input = next;
    }
    for (const type of keep) this.#kept.add(type);
    const leftOut = this.quick ? watched.filter((type) => !this.#kept.has(type)) : [];
    const own = isOwn(this.#input, this.environment);
    if (own && leftOut.length === 0 && !imports) return undefined;
    return { input: this.#input, leftOut, ...(imports ? { imports } : {}) };
  }

  /** A rehearsal that is ended from outside interrupts what runs. */
  #stops({ interrupt, kill }: StopSignals): StopSignals {
    const { signal } = this.#options;
    const signals = [interrupt, signal].filter((one) => one !== undefined);
    return { ...(signals.length > 0 ? { interrupt: AbortSignal.any(signals) } : {}), kill };
  }
}

/** The first thing a failed run complains about, in one line. */
export function reasonOf({ diagnostics, exitCode }: DeployRun): string {
  const error = diagnostics.find(({ severity }) => severity === 'error');
  if (!error) return `it ended with status ${exitCode} and said no reason`;
  const where = error.address === undefined ? '' : ` (${error.address})`;
  return [`${error.summary}${where}`, error.detail ?? ''].filter((part) => part !== '').join(': ');
}
