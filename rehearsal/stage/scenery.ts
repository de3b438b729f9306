/** What stands on a stage: a local Azure, the PostgreSQL behind its servers, a scratch project, and who deploys it. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { nameOf } from '../../azure/resource-id.ts';
import { withheldActions } from '../../azure/resource-types.ts';
import { textAt } from '../../core/json.ts';
import type { EnvironmentSettings } from '../../environments/settings.ts';
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
  workflowToken,
} from '../../local/azure/index.ts';
import { serverType } from '../../local/azure/providers/postgresql/server.ts';
import { closeAll, ending, type Part } from '../../local/closing.ts';
import { type LocalPostgres, randomPassword } from '../../local/postgres/server.ts';
import { admit } from '../entra-login.ts';
import type { Secrets } from '../secrets.ts';
import { serverFor } from '../start.ts';
import { CdktfDeployer } from '../terraform/cdktf.ts';
import { type Deployer, TerraformDeployer } from '../terraform/deployer.ts';
import type { Line } from '../terraform/program.ts';
import { Project } from '../terraform/project.ts';
import { deploymentOf } from './environments.ts';

export interface SceneryOptions {
  readonly settings: EnvironmentSettings;
  /** Are told every secret that this scenery knows. */
  readonly secrets: Secrets;
  /** @default 'terraform' */
  readonly deployer?: Deployer['kind'] | undefined;
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number | undefined;
  /** Hears what Terraform and cdktf write. @default - nobody */
  readonly hear?: ((line: Line) => void) | undefined;
}

/** An identity that a workflow signs in as without a secret. */
export interface PipelineIdentity {
  readonly clientId: string;
  /** Subject of the workflow's tokens. */
  readonly subject: string;
  /** Further variables of its environment. @default - none */
  readonly variables?: Readonly<Record<string, string>>;
}

/** Where a scenery begins. */
interface Beginning {
  postgres(): Promise<LocalPostgres>;
  project(): Promise<Project>;
  readonly state?: AzureSnapshot;
}

export class Scenery {
  /** Called for each request before it is answered, to fail it on purpose or to act in the middle of a deployment. */
  intercept: ((request: AzureRequest) => Interception | Promise<Interception>) | undefined;
  /** Called with each answer before it is sent, to say it otherwise. */
  interceptAnswer:
    | ((request: AzureRequest, answer: AzureResponse) => Interception | Promise<Interception>)
    | undefined;
  /** Environment of the identity that everything is signed in as. @default - the deploying identity with a secret */
  identityEnvironment: Readonly<Record<string, string>> = {};
  readonly #options: SceneryOptions;
  readonly #parts: Part[] = [];
  #postgres: LocalPostgres | undefined;
  #project: Project | undefined;
  #behind: PostgresBehind | undefined;
  #azure: LocalAzure | undefined;
  #deployer: Deployer | undefined;

  private constructor(options: SceneryOptions) {
    this.#options = options;
  }

  /** For a first deployment. Close it, whatever happens. */
  static build(options: SceneryOptions): Promise<Scenery> {
    return Scenery.#of(options, {
      postgres: () => serverFor(deploymentOf(options.settings), 'created'),
      project: () => Project.open(),
    });
  }

  /** A second one in the same condition: same resources in Azure, same state, same database, own copies of each. */
  async copy(options: SceneryOptions): Promise<Scenery> {
    const state = await this.azure.snapshot();
    return Scenery.#of(options, {
      state,
      postgres: () => this.postgres.fork(),
      project: () => this.project.fork(),
    });
  }

  static async #of(options: SceneryOptions, beginning: Beginning): Promise<Scenery> {
    const scenery = new Scenery(options);
    let needed: readonly Part[] = scenery.#parts;
    return ending(
      async () => {
        await scenery.#setUp(beginning);
        needed = [];
        return scenery;
      },
      () => needed,
    );
  }

  async #setUp({ postgres: start, project: open, state }: Beginning): Promise<void> {
    const { settings, secrets } = this.#options;
    const postgres = await this.#up('PostgreSQL', start(), (one) => one.stop());
    this.#postgres = postgres;
    secrets.add('the password of the migrating login', postgres.passwords.migrator);
    secrets.add('the password of the superuser', postgres.passwords.superuser);
    const project = await this.#up('the scratch project', open(), (one) => one.close());
    this.#project = project;
    const behind = await this.#up(
      'the PostgreSQL behind replicas',
      PostgresBehind.start({
        server: settings.server.name,
        postgres,
        resolve: (host) => serverBehind(this.azure.azure, host),
      }),
      (one) => one.stop(),
    );
    this.#behind = behind;
    this.#azure = await this.#up('the local Azure', this.#startAzure(behind), (one) => one.stop());
    if (state) await this.azure.restore(state);
    for (const { name, body } of this.azure.state.ofType(serverType)) {
      const source = textAt(body, 'properties', 'sourceServerResourceId');
      if (source !== undefined) behind.knowReplica(name, nameOf(source));
    }
    const { directory } = this.azure;
    for (const { objectId, type } of settings.server.authentication.administrators)
      if (type === 'Group') directory.addMember(objectId, directory.options.client.objectId);
    this.#deployer = this.#newDeployer();
  }

  #newDeployer(): Deployer {
    const { settings, deployer, hear } = this.#options;
    const Kind = deployer === 'cdktf' ? CdktfDeployer : TerraformDeployer;
    const environment = {
      ...this.azure.environment,
      ...this.loginEnvironment(settings),
      ...this.identityEnvironment,
    };
    return new Kind({ project: this.project, name: settings.name, environment, hear });
  }

  /** Signs everything in as an identity of the pipeline from now on, by a token that its workflow would have. */
  async signInAs({ clientId, subject, variables = {} }: PipelineIdentity): Promise<void> {
    const token = workflowToken(subject, 3600);
    this.#options.secrets.add(`the workflow's token (${subject})`, token);
    const folder = await this.#up(
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

  #startAzure(behind: PostgresBehind): Promise<LocalAzure> {
    const { settings, secrets, tokenLifetime } = this.#options;
    const { state } = settings;
    const clientSecret = randomPassword();
    secrets.add('the client secret', clientSecret);
    let tokens = 0;
    return startLocalAzure({
      clientSecret,
      tokenIssued: async (issued: IssuedToken) => {
        secrets.add(`token ${++tokens} (${issued.audience})`, issued.token);
        await admit(issued, this.azure, await this.writer());
      },
      ...(tokenLifetime === undefined ? {} : { tokenLifetime }),
      // As docs/bootstrap.md grants it: without sharedKeys/action the workspace's key cannot enter the state.
      withheldActions,
      intercept: (request) => this.intercept?.(request),
      interceptAnswer: (request, answer) => this.interceptAnswer?.(request, answer),
      serverEvents: behind.events,
      containers: state.backend === 'azurerm' ? [`${state.storageAccount}/${state.container}`] : [],
    });
  }

  /** Starts one part, which is ended with the others from then on. */
  async #up<P>(name: string, starting: Promise<P>, close: (part: P) => Promise<unknown>): Promise<P> {
    const part = await starting;
    this.#parts.push({ name, close: () => close(part) });
    return part;
  }

  get postgres(): LocalPostgres {
    return there(this.#postgres);
  }

  get project(): Project {
    return there(this.#project);
  }

  get behind(): PostgresBehind {
    return there(this.#behind);
  }

  get azure(): LocalAzure {
    return there(this.#azure);
  }

  get deployer(): Deployer {
    return there(this.#deployer);
  }

  /** The PostgreSQL behind the server that takes writes now; a switchover makes it another one. */
  async writer(): Promise<LocalPostgres> {
    const { name } = this.#options.settings.server;
    const server = this.azure.state.ofType(serverType).find((one) => one.name === name);
    const source = textAt(server?.body, 'properties', 'sourceServerResourceId');
    return (await this.behind.serverOf(source === undefined ? name : nameOf(source))) ?? this.postgres;
  }

  /** How the post-deploy step, psql and llama-db find the PostgreSQL here, and log in. */
  loginEnvironment({ server }: EnvironmentSettings): Readonly<Record<string, string>> {
    const { postgres, behind } = this;
    return {
      PGHOSTADDR: '127.0.0.1',
      // One port for all host names: it leads each where Azure's DNS would.
      PGPORT: String(behind.port),
      PGSSLROOTCERT: postgres.caFile,
      // Otherwise an Entra token is the password: entra-login.ts.
      ...(server.authentication.passwordLogin
        ? {
            PGPASSWORD: postgres.passwords.migrator,
            TF_VAR_administrator_password: postgres.passwords.migrator,
          }
        : {}),
    };
  }

  /** Takes all of it down, once. @throws NotEnded that names what did not end, when everything else has */
  async close(): Promise<void> {
    await closeAll(this.#parts.splice(0));
  }
}

function there<P>(part: P | undefined): P {
  if (part === undefined) throw new Error('the stage is not set up yet');
  return part;
}
