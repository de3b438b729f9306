/**
 * Where a rehearsal plays: a local Azure, the PostgreSQL behind its server, and a scratch project that is deployed to
 * them with the real Terraform and azurerm. A scenario acts on it and says what must hold.
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type { Deployment } from '../database/deployment.ts';
import { Fault } from '../database/fault.ts';
import { development } from '../environments/development.ts';
import { parseEnvironments } from '../environments/index.ts';
import { production } from '../environments/production.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../environments/settings.ts';
import { staging } from '../environments/staging.ts';
import { deploymentDocument, localAttributes } from '../stacks/deployment.ts';
import {
  type AzureRequest,
  type AzureResponse,
  type AzureSnapshot,
  type Interception,
  type IssuedToken,
  type LocalAzure,
  PostgresBehind,
  serverBehind,
  startLocalAzure,
} from './azure/index.ts';
import { type JsonObject, objectAt, textAt } from './azure/json.ts';
import { privateParts } from './azure/key-vault-data.ts';
import { serverType } from './azure/postgresql/server.ts';
import { nameOf } from './azure/resource-id.ts';
import type { Blob } from './azure/storage-blobs.ts';
import { admit } from './entra-login.ts';
import { serverFor } from './postgres/deployment.ts';
import { type LocalPostgres, randomPassword } from './postgres/server.ts';
import { type Leak, Secrets } from './secrets.ts';
import type { Synthesis } from './terraform/app.ts';
import { CdktfDeployer } from './terraform/cdktf.ts';
import {
  appFor,
  type Deployer,
  type DeployRun,
  type Difference,
  TerraformDeployer,
} from './terraform/deployer.ts';
import { watched } from './terraform/documents.ts';
import { type Line, runProgram, type StopSignals } from './terraform/program.ts';
import { Project } from './terraform/project.ts';

const inputs = { development, staging, production } as const;
export type EnvironmentName = keyof typeof inputs;
export const environmentNames = Object.keys(inputs) as readonly EnvironmentName[];

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

interface Parts {
  readonly options: StageOptions;
  readonly input: EnvironmentInput;
  readonly project: Project;
  readonly postgres: LocalPostgres;
  readonly state?: AzureSnapshot;
  readonly kept?: ReadonlySet<string>;
}

export class Stage {
  /** Everything deployed so far, oldest first. */
  readonly acts: Act[] = [];
  readonly checks: Check[] = [];
  readonly startedAt = Date.now();
  readonly secrets = new Secrets();
  /** Called for each request before it is answered, to fail it on purpose or to act in the middle of a deployment. */
  intercept: ((request: AzureRequest) => Interception | Promise<Interception>) | undefined;
  /** Called with each answer before it is sent, to say it otherwise. */
  interceptAnswer:
    | ((request: AzureRequest, answer: AzureResponse) => Interception | Promise<Interception>)
    | undefined;
  readonly #options: StageOptions;
  readonly #kept: Set<string>;
  #input: EnvironmentInput;
  #azure: LocalAzure | undefined;
  #behind: PostgresBehind | undefined;
  #deployer: Deployer | undefined;

  private constructor(
    options: StageOptions,
    readonly project: Project,
    readonly postgres: LocalPostgres,
    input: EnvironmentInput,
    kept: ReadonlySet<string> = new Set(),
  ) {
    this.#options = options;
    this.#input = input;
    this.#kept = new Set(kept);
  }

  /** Sets up everything for a first deployment. Close it, whatever happens. */
  static async open(options: StageOptions): Promise<Stage> {
    const input = structuredClone(inputs[options.environment]);
    options.change?.(input);
    const postgres = await serverFor(deploymentOf(settingsOf(input)), 'created');
    const project = await orStop(Project.open(), postgres);
    return Stage.#of({ options, input, postgres, project });
  }

  /** A second stage in the same condition: same resources in Azure, same state, same database, own copies of each. */
  async fork(options: Pick<StageOptions, 'hear' | 'tell' | 'signal' | 'tokenLifetime'> = {}): Promise<Stage> {
    const state = await this.azure.snapshot();
    const postgres = await this.postgres.fork();
    const project = await orStop(this.project.fork(), postgres);
    return Stage.#of({
      options: { ...this.#options, ...options },
      input: structuredClone(this.#input),
      project,
      postgres,
      state,
      kept: this.#kept,
    });
  }

  static async #of({ options, input, project, postgres, state, kept }: Parts): Promise<Stage> {
    const stage = new Stage(options, project, postgres, input, kept);
    try {
      await stage.#setUp(options, state);
      return stage;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  async #setUp(options: StageOptions, state: AzureSnapshot | undefined): Promise<void> {
    const { settings, secrets, project, postgres } = this;
    const clientSecret = randomPassword();
    secrets.add('the client secret', clientSecret);
    secrets.add('the password of the migrating login', postgres.passwords.migrator);
    secrets.add('the password of the superuser', postgres.passwords.superuser);
    let tokens = 0;
    const tokenIssued = async (issued: IssuedToken) => {
      secrets.add(`token ${++tokens} (${issued.audience})`, issued.token);
      await admit(issued, this.azure, await this.writer());
    };
    const behind = await PostgresBehind.start({
      server: settings.server.name,
      postgres,
      resolve: (host) => serverBehind(this.azure.azure, host),
    });
    this.#behind = behind;
    this.#azure = await startLocalAzure({
      clientSecret,
      tokenIssued,
      ...(options.tokenLifetime === undefined ? {} : { tokenLifetime: options.tokenLifetime }),
      // As docs/bootstrap.md grants it: without sharedKeys/action the workspace's key cannot enter the state.
      mayReadSharedKeys: false,
      intercept: (request) => this.intercept?.(request),
      interceptAnswer: (request, answer) => this.interceptAnswer?.(request, answer),
      serverEvents: behind.events,
      containers:
        settings.state.backend === 'azurerm'
          ? [`${settings.state.storageAccount}/${settings.state.container}`]
          : [],
    });
    if (state) await this.azure.restore(state);
    for (const { name, body } of this.azure.state.ofType(serverType)) {
      const source = textAt(body, 'properties', 'sourceServerResourceId');
      if (source !== undefined) behind.knowReplica(name, nameOf(source));
    }
    const { directory, environment } = this.azure;
    for (const { objectId, type } of settings.server.authentication.administrators)
      if (type === 'Group') directory.addMember(objectId, directory.options.client.objectId);
    const Kind = options.deployer === 'cdktf' ? CdktfDeployer : TerraformDeployer;
    this.#deployer = new Kind({
      project,
      name: settings.name,
      environment: { ...environment, ...this.#loginEnvironment() },
      hear: options.hear,
    });
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
    if (!this.#azure) throw new Error('the stage is not set up yet');
    return this.#azure;
  }

  /** Resource id of one of the environment's servers. */
  serverId(which: 'primary' | 'replica'): string {
    const { server, replica } = this.settings;
    const name = which === 'primary' ? server.name : replica?.name;
    const found = this.azure.state.ofType(serverType).find((one) => one.name === name);
    if (!found) throw new Error(`${this.environment} has no ${which}`);
    return found.id;
  }

  /** Properties of one of the environment's servers, as the control plane shows them. */
  serverProperties(which: 'primary' | 'replica'): JsonObject {
    return objectAt(this.azure.state.get(this.serverId(which))?.body, 'properties');
  }

  /** The PostgreSQL behind the server that takes writes now; a switchover makes it another one. */
  async writer(): Promise<LocalPostgres> {
    const { name } = this.settings.server;
    const server = this.azure.state.ofType(serverType).find((one) => one.name === name);
    const source = textAt(server?.body, 'properties', 'sourceServerResourceId');
    return (await this.#behind?.serverOf(source === undefined ? name : nameOf(source))) ?? this.postgres;
  }

  get quick(): boolean {
    return this.#options.quick ?? false;
  }

  /** Who deploys. */
  get deployer(): Deployer['kind'] {
    return this.#play.kind;
  }

  /** The stack as the next deployment would be: the text of its `cdk.tf.json`. */
  async synthesized(how: How = {}): Promise<string> {
    const { project, settings, variables: environment } = this;
    const run = await runProgram(process.execPath, await appFor(project, this.#synthesis(how)), {
      cwd: project.root,
      environment,
    });
    if (run.exitCode !== 0)
      throw new Fault('The stack does not synthesize', run.output.trim(), 'Mend what is named there.');
    return readFile(path.join(await project.stackFolder(settings.name), 'cdk.tf.json'), 'utf8');
  }

  /** Deploys, whatever comes of it. */
  async deploy(how: How = {}): Promise<DeployRun> {
    return this.#act('deploy', this.#play.deploy(this.#synthesis(how), this.#stops(how)));
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
    const run = await this.#act('diff', this.#play.diff(this.#synthesis(how), this.#stops(how)));
    if (run.exitCode !== 0) throw new Fault('The plan failed', reasonOf(run), 'Mend what is named there.');
    return run;
  }

  /** Fails the rehearsal when a deployment would change anything now. */
  async unchanged(words = 'the plan is empty'): Promise<void> {
    const { isEmpty, changes } = await this.diff();
    this.check(words, isEmpty, () => `it would ${changes.join(', ') || 'change outputs'}`);
  }

  /** Destroys, whatever comes of it. */
  async destroy(how: How = {}): Promise<DeployRun> {
    return this.#act('destroy', this.#play.destroy(this.#synthesis(how), this.#stops(how)));
  }

  /**
   * States what must hold.
   *
   * @throws Fault with the words and the detail when it does not
   */
  check(words: string, holds: boolean, detail: () => string = () => 'it does not'): void {
    if (!holds)
      throw new Fault(
        `The rehearsal of ${this.environment} fails at "${words}"`,
        detail(),
        'Run it again with --keep to look at what was deployed, or with --debug to see everything that was said.',
      );
    this.checks.push({ words, at: Date.now() });
    this.#options.tell?.({ kind: 'check', words });
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
  async leaks(): Promise<readonly Leak[]> {
    for (const [id, key] of this.azure.sharedKeys) this.secrets.add(`the shared key of ${id}`, key);
    for (const [id, pem] of privateParts(this.azure.azure)) {
      // However the text is wrapped, some line of it stands somewhere as it is.
      const lines = pem.split('\n').filter((line) => !line.startsWith('-') && line.length > 40);
      for (const [index, line] of lines.entries())
        this.secrets.add(`line ${index + 1} of the private part of key ${id}`, line);
    }
    const blobs = this.azure.blobs
      .list()
      .flatMap(([name, { content, metadata }]): [string, string | Buffer][] => [
        [`blob ${name}`, content],
        [`metadata of blob ${name}`, JSON.stringify(metadata)],
      ]);
    const said = this.acts.map(({ name, run }, index): [string, string] => [
      `the output of ${name} (${index + 1})`,
      run.output,
    ]);
    const searched: (readonly [string, string | Buffer])[] = [
      ...(await this.project.artefacts()),
      ...blobs,
      ...said,
      ['the log of PostgreSQL', this.postgres.log()],
      ['the local Azure’s operations', JSON.stringify(this.azure.operations)],
    ];
    return searched.flatMap(([where, content]) => this.secrets.search(where, content));
  }

  /** Environment under which terraform, cdktf, psql and llama-db reach this stage. */
  get variables(): Readonly<Record<string, string>> {
    return { ...this.project.environment, ...this.azure.environment, ...this.#loginEnvironment() };
  }

  async close(): Promise<void> {
    await this.#behind?.stop();
    await Promise.all([this.#azure?.stop(), this.postgres.stop(), this.project.close()]);
  }

  get #play(): Deployer {
    if (!this.#deployer) throw new Error('the stage is not set up yet');
    return this.#deployer;
  }

  async #act<Run extends DeployRun>(name: Act['name'], running: Promise<Run>): Promise<Run> {
    this.#options.tell?.({ kind: 'act', name });
    const run = await running;
    this.acts.push({ name, run });
    this.#options.tell?.({ kind: 'done', act: { name, run } });
    this.#options.signal?.throwIfAborted();
    return run;
  }

  #loginEnvironment(): Readonly<Record<string, string>> {
    const { postgres, settings } = this;
    const behind = this.#behind;
    const { passwordLogin } = settings.server.authentication;
    return {
      PGHOSTADDR: '127.0.0.1',
      // One port for all host names: it leads each where Azure's DNS would.
      PGPORT: String(behind?.port ?? postgres.port),
      PGSSLROOTCERT: postgres.caFile,
      // Otherwise an Entra token is the password: entra-login.ts.
      ...(passwordLogin
        ? {
            PGPASSWORD: postgres.passwords.migrator,
            TF_VAR_administrator_password: postgres.passwords.migrator,
          }
        : {}),
    };
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
    const own = JSON.stringify(this.#input) === JSON.stringify(inputs[this.environment]);
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

/** What was asked for; when that fails, the server does not outlive it. */
async function orStop<Result>(asked: Promise<Result>, server: LocalPostgres): Promise<Result> {
  try {
    return await asked;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The first thing a failed run complains about, in one line. */
export function reasonOf({ diagnostics, exitCode }: DeployRun): string {
  const error = diagnostics.find(({ severity }) => severity === 'error');
  if (!error) return `it ended with status ${exitCode} and said no reason`;
  const where = error.address === undefined ? '' : ` (${error.address})`;
  return [`${error.summary}${where}`, error.detail ?? ''].filter((part) => part !== '').join(': ');
}

/** @throws SettingsError with every rule that the settings break */
function settingsOf(input: EnvironmentInput): EnvironmentSettings {
  const others = Object.values(inputs).filter(({ name }) => name !== input.name);
  const found = parseEnvironments([...others, input]).find(({ name }) => name === input.name);
  if (!found) throw new Error(`no environment ${input.name}`);
  return found;
}

function deploymentOf(settings: EnvironmentSettings): Deployment {
  return deploymentDocument(settings, localAttributes(settings));
}
