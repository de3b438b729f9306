/** The parts of a sandbox: a local Azure, the PostgreSQL behind its servers, a scratch project and a deployer. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nameOf } from '../../azure/resource-id.ts';
import { textAt } from '../../core/json.ts';
import type { EnvironmentSettings } from '../../environments/settings.ts';
import {
  type AzureRequest,
  type AzureResponse,
  type AzureSnapshot,
  type ContainerRun,
  type Interception,
  type IssuedToken,
  type LocalAzure,
  PostgresBehind,
  serverBehind,
  startLocalAzure,
  workflowToken,
} from '../../local/azure/index.ts';
import type { ServerEvent, ServerEvents } from '../../local/azure/providers/postgresql/events.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { closeAll, type Part, thenClose } from '../../local/closing.ts';
import { type LocalPostgres, randomPassword } from '../../local/postgres/server.ts';
import { type Line, runProgram } from '../../local/processes/program.ts';
import { serverFor } from '../start.ts';
import { CdktfDeployer } from '../terraform/cdktf.ts';
import { type Deployer, TerraformDeployer } from '../terraform/deployer.ts';
import { Project } from '../terraform/project.ts';
import { SharedProvider } from '../terraform/shared-provider.ts';
import { TerraformStack } from '../terraform/stack.ts';
import { admit } from './entra-login.ts';
import { deploymentOf } from './environments.ts';
import { buildImage } from './image.ts';
import { sealAsScheduled } from './schedules.ts';
import type { Secrets } from './secrets.ts';

export interface TestbedOptions {
  readonly settings: EnvironmentSettings;
  /** Collects every secret of the testbed. */
  readonly secrets: Secrets;
  /** @default 'terraform' */
  readonly deployer?: Deployer['kind'] | undefined;
  /**
   * Whether a PostgreSQL runs behind the servers. Without it, the post-deploy step does nothing.
   * @default true
   */
  readonly database?: boolean | undefined;
  /** Folder of the sources to deploy. @default - this checkout */
  readonly sources?: string | undefined;
  /** Host names beside those of the settings, which later settings use. @default - none */
  readonly laterHostNames?: readonly string[] | undefined;
  /** Start the standby of a replica when it is created, not when it is first needed. @default false */
  readonly startsReplicas?: boolean | undefined;
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number | undefined;
  /** Called with each line of Terraform and cdktf. @default - lines are only collected */
  readonly onOutput?: ((line: Line) => void) | undefined;
  /**
   * Whether one process of the provider serves all runs, which saves its starts. Terraform otherwise starts the provider
   * for each run, as in a real deployment.
   * @default false
   */
  readonly sharesProvider?: boolean | undefined;
}

/** An identity that a workflow signs in as without a secret. */
export interface PipelineIdentity {
  readonly clientId: string;
  /** Subject of the workflow's tokens. */
  readonly subject: string;
  /** @default - GitHub */
  readonly issuer?: string;
  /** Further variables of its environment. @default - none */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Something that happened to a server. */
export interface ServerMoment {
  readonly kind: ServerEvent['kind'];
  readonly server: string;
  /** Whether the standby took over. */
  readonly failover: boolean;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly endedAt: number;
}

/** The initial state of a testbed. */
interface Beginning {
  postgres(): Promise<LocalPostgres>;
  project(): Promise<Project>;
  readonly state?: AzureSnapshot;
}

const emptyPostDeployProgram = `process.stdout.write('This rehearsal runs without a database.\\n');`;

export class Testbed {
  /** Called for each request before it is answered, to make it fail or to act in the middle of a deployment. */
  intercept: ((request: AzureRequest) => Interception | Promise<Interception>) | undefined;
  /** Called with each answer before it is sent, to replace it. */
  interceptAnswer:
    | ((request: AzureRequest, answer: AzureResponse) => Interception | Promise<Interception>)
    | undefined;
  /** Folders that the images of jobs have been built from, by the names of the images in their registry. */
  readonly #images = new Map<string, string>();
  /** Whether the programs of the sandbox reach the servers. A job inside the network always does. */
  routeIsOpen = true;
  /** Environment of the identity that everything is signed in as. @default - the deploying identity with a secret */
  identityEnvironment: Readonly<Record<string, string>> = {};
  #options: TestbedOptions;
  readonly #parts: Part[] = [];
  /** Events of the servers, oldest first, without their values. */
  readonly happened: ServerMoment[] = [];
  #postgres: LocalPostgres | undefined;
  #project: Project | undefined;
  #behind: PostgresBehind | undefined;
  #azure: LocalAzure | undefined;
  #deployer: Deployer | undefined;
  #provider: SharedProvider | undefined;

  private constructor(options: TestbedOptions) {
    this.#options = options;
  }

  /** Sets up a testbed for a first deployment. The caller must close it. */
  static build(options: TestbedOptions): Promise<Testbed> {
    return Testbed.#of(options, {
      postgres: () => serverFor(deploymentOf(options.settings), 'created', options.laterHostNames),
      project: () =>
        Project.open(options.database === false ? emptyPostDeployProgram : undefined, options.sources),
    });
  }

  /** Sets up a second testbed with copies of the resources in Azure, the Terraform state and the database. */
  async copy(options: TestbedOptions): Promise<Testbed> {
    const state = await this.azure.snapshot();
    return Testbed.#of(options, {
      state,
      postgres: () => this.postgres.fork(),
      project: () => this.project.fork(),
    });
  }

  static async #of(options: TestbedOptions, beginning: Beginning): Promise<Testbed> {
    const testbed = new Testbed(options);
    let toClose: readonly Part[] = testbed.#parts;
    return thenClose(
      async () => {
        await testbed.#setUp(beginning);
        toClose = [];
        return testbed;
      },
      () => toClose,
    );
  }

  async #setUp({ postgres, project: open, state }: Beginning): Promise<void> {
    const { settings, database = true } = this.#options;
    if (database) await this.#setUpPostgres(postgres);
    const project = await this.#start('the scratch project', open(), (one) => one.close());
    this.#project = project;
    this.#azure = await this.#start('the local Azure', this.#startAzure(), (one) => one.stop());
    if (state) await this.azure.restore(state);
    for (const { name, body } of this.azure.state.ofType(serverType)) {
      const source = textAt(body, 'properties', 'sourceServerResourceId');
      if (source !== undefined) this.#behind?.knowReplica(name, nameOf(source));
    }
    this.#joinAdministrators(settings);
    this.#deployer = this.#newDeployer();
  }

  /** Deploys other sources and settings from now on. */
  async take(sources: string, settings: EnvironmentSettings): Promise<void> {
    this.#options = { ...this.#options, sources, settings };
    await this.project.take(sources);
    this.#joinAdministrators(settings);
    this.#deployer = this.#newDeployer(this.#provider);
  }

  #joinAdministrators({ server }: EnvironmentSettings): void {
    const { directory } = this.azure;
    for (const { objectId, type } of server.authentication.administrators)
      if (type === 'Group') directory.addMember(objectId, directory.options.client.objectId);
  }

  async pushImage(image: string): Promise<void> {
    const folder = await this.#start('an image', buildImage(this.project.root), (made) =>
      rm(made, { recursive: true, force: true }),
    );
    this.#images.set(image, folder);
  }

  /** Gives later runs the environment as it is now. */
  renewDeployer(): void {
    this.#deployer = this.#newDeployer(this.#provider);
  }

  /** @param running a provider that serves on. @default - a new one, if the testbed shares it */
  #newDeployer(running?: SharedProvider): Deployer {
    const { project, environment } = this;
    const { settings, deployer, onOutput, sharesProvider } = this.#options;
    const Kind = deployer === 'cdktf' ? CdktfDeployer : TerraformDeployer;
    if (sharesProvider && !running) {
      const provider = new SharedProvider({ ...project.environment, ...environment });
      this.#parts.push({ name: 'the provider', close: () => provider.end() });
      this.#provider = provider;
    }
    return new Kind({ project, name: settings.name, environment, onOutput, provider: this.#provider });
  }

  /** Variables of everything that is signed in, beside those of the project. */
  get environment(): Readonly<Record<string, string>> {
    return {
      ...this.azure.environment,
      ...this.loginEnvironment(this.#options.settings),
      // Nothing listens there.
      ...(!this.routeIsOpen && { PGPORT: '1' }),
      ...this.identityEnvironment,
    };
  }

  /** Terraform in the folder of a stack, beside the deployer; served by the shared provider if there is one. */
  async stack(name: string): Promise<TerraformStack> {
    const stack = await TerraformStack.in(this.project, name, this.environment);
    return this.#provider && stack.isInitialised ? stack.servedBy(this.#provider) : stack;
  }

  /** Signs everything in as an identity of the pipeline from now on, by a token that its workflow would have. */
  async signInAs({ clientId, subject, issuer, variables = {} }: PipelineIdentity): Promise<void> {
    const token = workflowToken(subject, 3600, issuer);
    this.#options.secrets.add(`the workflow's token (${subject})`, token);
    const folder = await this.#start(
      'the token of a workflow',
      mkdtemp(path.join(tmpdir(), 'workflow-')),
      (made) => rm(made, { recursive: true, force: true }),
    );
    const file = path.join(folder, 'token');
    await writeFile(file, token, { mode: 0o600 });
    this.identityEnvironment = {
      ARM_CLIENT_ID: clientId,
      ARM_CLIENT_SECRET: '',
      ARM_USE_OIDC: 'true',
      ARM_OIDC_TOKEN_FILE_PATH: file,
      AZURE_CLIENT_ID: clientId,
      AZURE_CLIENT_SECRET: '',
      AZURE_FEDERATED_TOKEN_FILE: file,
      ...variables,
    };
    this.#deployer = this.#newDeployer();
  }

  async #setUpPostgres(start: Beginning['postgres']): Promise<void> {
    const { settings, secrets } = this.#options;
    const postgres = await this.#start('PostgreSQL', start(), (one) => one.stop());
    this.#postgres = postgres;
    secrets.add('the password of the migrating login', postgres.passwords.migrator);
    secrets.add('the password of the superuser', postgres.passwords.superuser);
    this.#behind = await this.#start(
      'the PostgreSQL behind replicas',
      PostgresBehind.start({
        server: settings.server.name,
        postgres,
        resolve: (host) => serverBehind(this.azure.azure, host),
      }),
      (one) => one.stop(),
    );
  }

  #startAzure(): Promise<LocalAzure> {
    const { settings, secrets, tokenLifetime } = this.#options;
    const { state } = settings;
    const clientSecret = randomPassword();
    secrets.add('the client secret', clientSecret);
    let tokens = 0;
    return startLocalAzure({
      clientSecret,
      tokenIssued: async (issued: IssuedToken) => {
        secrets.add(`token ${++tokens} (${issued.audience})`, issued.token);
        if (this.#behind) await admit(issued, this.azure, await this.writer());
      },
      ...(tokenLifetime === undefined ? {} : { tokenLifetime }),
      ...(this.#behind && { runContainer: (run) => this.#runContainer(run) }),
      intercept: (request) => this.intercept?.(request),
      interceptAnswer: (request, answer) => this.interceptAnswer?.(request, answer),
      ...(this.#behind ? { serverEvents: this.#recorded(this.#behind) } : {}),
      containers: state.backend === 'azurerm' ? [`${state.storageAccount}/${state.container}`] : [],
    });
  }

  /** Runs a container as a process with the variables of its job, on the network of the servers. */
  async #runContainer({
    image,
    command,
    environment,
    signal,
    onLine,
  }: ContainerRun): Promise<number | undefined> {
    const root = this.#images.get(image);
    if (root === undefined) return undefined;
    const [program = '', ...parameters] = command;
    const { HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS } = this.azure.networkEnvironment;
    const { exitCode } = await runProgram(program === 'node' ? process.execPath : program, parameters, {
      cwd: root,
      environment: {
        PATH: process.env['PATH'],
        HOME: this.project.root,
        ...{ HTTPS_PROXY, NO_PROXY, NODE_EXTRA_CA_CERTS },
        ...this.loginEnvironment(this.#options.settings),
        ...environment,
      },
      kill: signal,
      onOutput: ({ text }, stream) => onLine(stream, text),
    });
    return exitCode;
  }

  #recorded(behind: PostgresBehind): ServerEvents {
    return async (event) => {
      const startedAt = Date.now();
      try {
        const state = await behind.events(event);
        if (this.#options.startsReplicas && event.kind === 'created' && event.replica)
          void behind.serverOf(nameOf(event.server)).catch(() => undefined);
        return state;
      } finally {
        const { kind, server } = event;
        const failover = event.kind === 'restarted' && event.failover;
        this.happened.push({ kind, server: nameOf(server), failover, startedAt, endedAt: Date.now() });
      }
    };
  }

  /** Waits for one part and registers it to be closed with the others. */
  async #start<P>(name: string, starting: Promise<P>, close: (part: P) => Promise<unknown>): Promise<P> {
    const part = await starting;
    this.#parts.push({ name, close: () => close(part) });
    return part;
  }

  get postgres(): LocalPostgres {
    return required(this.#postgres);
  }

  get project(): Project {
    return required(this.#project);
  }

  get behind(): PostgresBehind {
    return required(this.#behind);
  }

  get azure(): LocalAzure {
    return required(this.#azure);
  }

  get deployer(): Deployer {
    return required(this.#deployer);
  }

  /** The logs of all PostgreSQL servers, by server name; empty without a database. */
  get logs(): readonly (readonly [string, string])[] {
    return this.#behind?.logs() ?? [];
  }

  /** The PostgreSQL behind the server that accepts writes now; a switchover changes it. */
  async writer(): Promise<LocalPostgres> {
    const { name } = this.#options.settings.server;
    const server = this.azure.state.ofType(serverType).find((one) => one.name === name);
    const source = textAt(server?.body, 'properties', 'sourceServerResourceId');
    return (await this.behind.serverOf(source === undefined ? name : nameOf(source))) ?? this.postgres;
  }

  /** Seals the trail, because a testbed on a busy machine lives longer than the trail may stay unsealed. */
  async runSchedules(): Promise<void> {
    if (!this.#behind) return;
    const writer = await this.writer();
    if (!writer.isRunning) return;
    const { name } = this.#options.settings.database;
    await sealAsScheduled((options) => writer.connection('superuser', options), name);
  }

  /** Environment variables with which the post-deploy step, psql and llama-db reach this PostgreSQL and log in. */
  loginEnvironment({ server }: EnvironmentSettings): Readonly<Record<string, string>> {
    if (!this.#behind) return {};
    const { postgres, behind } = this;
    return {
      PGHOSTADDR: '127.0.0.1',
      // One port for all host names: it forwards each to the server that Azure's DNS would name.
      PGPORT: String(behind.port),
      PGSSLROOTCERT: postgres.caFile,
      // Without password login, an Entra token is the password: entra-login.ts.
      ...(server.authentication.passwordLogin
        ? {
            PGPASSWORD: postgres.passwords.migrator,
            TF_VAR_administrator_password: postgres.passwords.migrator,
          }
        : {}),
    };
  }

  /** Closes all parts. Later calls do nothing. @throws NotClosed that names the parts that did not close */
  async close(): Promise<void> {
    await closeAll(this.#parts.splice(0));
  }
}

function required<P>(part: P | undefined): P {
  if (part === undefined) throw new Error('this testbed does not have that part, or not yet');
  return part;
}
