/**
 * A local Azure: what Terraform's azurerm provider and backend need of it, on the loopback, keeping state and refusing
 * what Azure refuses. Nothing here is an emulator of a service's work; it is the control plane's side of a deployment.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Clock } from './core/clock.ts';
import type { Azure } from './core/context.ts';
import { Directory, type IssuedToken, type Principal } from './core/directory.ts';
import { registerEntra } from './core/entra.ts';
import { ArmError, type AzureRequest, type AzureResponse, UnknownRequest } from './core/http.ts';
import { type AzureSnapshot, Memory } from './core/memory.ts';
import { type Latency, type OperationRecord, Operations, quickLatency } from './core/operations.ts';
import { startProxy } from './core/proxy.ts';
import { ResourceStore } from './core/resource-store.ts';
import { Router } from './core/router.ts';
import { Throttle } from './core/throttle.ts';
import { registerAuthorization } from './providers/authorization.ts';
import { registerConsumption } from './providers/consumption.ts';
import { registerDataProtection } from './providers/data-protection.ts';
import { registerInsights } from './providers/insights/insights.ts';
import { registerKeyVault } from './providers/key-vault/control.ts';
import { registerManagedIdentity } from './providers/managed-identity.ts';
import { registerNetwork } from './providers/network/network.ts';
import { registerOperationalInsights } from './providers/operational-insights.ts';
import { type Incidents, incidents } from './providers/postgresql/actions.ts';
import type { ServerEvents } from './providers/postgresql/events.ts';
import { registerPostgresql } from './providers/postgresql/servers.ts';
import { registerResources } from './providers/resources/resources.ts';
import { BlobStore, registerBlobs } from './providers/storage-blobs.ts';
import { general } from './refusals/general.ts';

export interface LocalAzureOptions {
  /** @default - a fixed example id */
  readonly subscriptionId?: string;
  /** @default - a fixed example id */
  readonly tenantId?: string;
  /** Secret of the deploying identity; choose a canary to search for afterwards. @default 'local-client-secret' */
  readonly clientSecret?: string;
  /** Seconds a token is valid. @default 3600 */
  readonly tokenLifetime?: number;
  /** Told of each token before its owner has it, and waited for. @default - nobody */
  readonly tokenIssued?: (token: IssuedToken) => void | Promise<void>;
  /** Milliseconds each long-running operation takes. @default quickLatency */
  readonly latency?: Latency;
  /** Seconds in the Retry-After header of an operation. @default 0 - clients poll at once */
  readonly retryAfterSeconds?: number;
  /** Containers that exist from the start, as `account/container`. @default - none */
  readonly containers?: readonly string[];
  /** Users, groups and applications of the directory beside the deploying identity. @default - none */
  readonly principals?: readonly Principal[];
  /** Whether the deploying identity may read workspaces' shared keys. @default true */
  readonly mayReadSharedKeys?: boolean;
  /**
   * Called for each request before it is answered, to fail it on purpose before anything is done.
   * @default - nothing fails
   */
  readonly intercept?: (request: AzureRequest) => Interception | Promise<Interception>;
  /**
   * Called with each answer before it is sent, to fail what is done already.
   * @default - every answer is sent
   */
  readonly interceptAnswer?: (
    request: AzureRequest,
    answer: AzureResponse,
  ) => Interception | Promise<Interception>;
  /**
   * Whether the resource manager answers 429 to more requests than Azure takes.
   * @default false: what takes an hour there takes seconds here, with the same number of requests
   */
  readonly throttled?: boolean;
  /** Milliseconds until a role assignment has an effect; Azure's are minutes. @default 0 */
  readonly rolesTake?: number;
  /** Names other people have, `postgres/name` or `vault/name`: they are unique in all of Azure. @default - none */
  readonly takenNames?: readonly string[];
  /** Told what happens to servers, inside the operation. @default - nobody */
  readonly serverEvents?: ServerEvents;
  /** More certificate authorities its clients must trust, PEM. @default - the system's only */
  readonly trust?: readonly string[];
}

/** What becomes of a request: another answer, `drop` for a cut connection, or what would have become of it. */
export type Interception = AzureResponse | 'drop' | undefined;

/** One request and how it was answered. Neither bodies nor headers are kept: they may carry secrets. */
export interface RequestRecord {
  readonly at: number;
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly apiVersion: string | undefined;
  readonly status: number | 'dropped';
}

export interface LocalAzure {
  readonly subscriptionId: string;
  readonly tenantId: string;
  /** Environment of a Terraform (and of anything started by it) that is to deploy here. */
  readonly environment: Readonly<Record<string, string>>;
  /** The same for a client inside the virtual network, where private endpoints are reached. */
  readonly networkEnvironment: Readonly<Record<string, string>>;
  /** Every request, oldest first. */
  readonly requests: readonly RequestRecord[];
  /** Requests nobody here could answer, one line each; a run with any proves nothing. */
  readonly unknown: readonly string[];
  /** Every change of the control plane, oldest first. */
  readonly operations: readonly OperationRecord[];
  readonly state: ResourceStore;
  readonly blobs: BlobStore;
  readonly directory: Directory;
  /** Shared keys given out, by workspace id; none of them belongs in a state. */
  readonly sharedKeys: ReadonlyMap<string, string>;
  /** For scenarios that change Azure behind Terraform's back. */
  readonly azure: Azure;
  /** What Azure does of itself. */
  readonly incidents: Incidents;
  /** Its time, which can be let pass at once. */
  readonly clock: Clock;
  /**
   * All that Azure knows: resources, deleted vaults, blobs with their leases, directory, tokens. Waits until no
   * operation runs. Neither the history (requests, operations) nor a PostgreSQL behind a server is part of it.
   */
  snapshot(): Promise<AzureSnapshot>;
  /** Puts a snapshot back, of this or of another local Azure. Operations that still run are given up, without their effect. */
  restore(snapshot: AzureSnapshot): Promise<void>;
  stop(): Promise<void>;
}

const exampleSubscription = '2b0942f3-9bca-484b-a508-abdae2db5e64';
const exampleTenant = '9d2ac018-e843-4e14-9e2b-4e0ddac75450';
const clientId = '6f1c3b1e-5d2a-4c58-8f0e-0f5a3a7d9b10';
const clientObjectId = 'd0f3a1c5-7c6e-4b8e-9a55-3c2f9e1b7a20';

export async function startLocalAzure(options: LocalAzureOptions = {}): Promise<LocalAzure> {
  const subscriptionId = options.subscriptionId ?? exampleSubscription;
  const tenantId = options.tenantId ?? exampleTenant;
  const clientSecret = options.clientSecret ?? 'local-client-secret';
  const requests: RequestRecord[] = [];
  const unknown: string[] = [];
  const memory = new Memory();
  const sharedKeys = memory.map<string>('sharedKeys');
  const blobs = new BlobStore(memory);
  for (const entry of options.containers ?? []) {
    const [account = '', container = ''] = entry.split('/');
    blobs.addContainer(account, container);
  }
  const directory = new Directory(memory, {
    tenantId,
    clientSecret,
    tokenLifetime: options.tokenLifetime ?? 3600,
    tokenIssued: options.tokenIssued,
    client: {
      objectId: clientObjectId,
      kind: 'ServicePrincipal',
      displayName: 'local-deployer',
      appId: clientId,
    },
  });
  for (const name of options.takenNames ?? []) memory.map<true>('takenNames').set(name.toLowerCase(), true);
  for (const principal of options.principals ?? []) directory.add(principal);
  const clock = new Clock(memory);
  const azure: Azure = {
    subscriptionId,
    tenantId,
    router: new Router(),
    memory,
    clock,
    throttle: options.throttled ? new Throttle(clock) : undefined,
    rolesTake: options.rolesTake ?? 0,
    store: new ResourceStore(memory),
    operations: new Operations({
      latency: options.latency ?? quickLatency,
      subscriptionId,
      retryAfterSeconds: options.retryAfterSeconds ?? 0,
      onUnknown: (message) => unknown.push(message),
    }),
    directory,
    dispatch: (request) => respond(azure, request, unknown),
  };
  register(azure, options, blobs, sharedKeys);

  const proxy = await startProxy(
    async (request) => {
      const at = Date.now();
      const response = await answer(azure, request, options, unknown);
      requests.push({
        at,
        method: request.method,
        host: request.host,
        path: request.path,
        apiVersion: request.query.get('api-version') ?? undefined,
        status: response === 'drop' ? 'dropped' : response.status,
      });
      return response;
    },
    (host) => unknown.push(`CONNECT ${host}: this host is not part of the local Azure`),
  );
  const folder = await mkdtemp(path.join(os.tmpdir(), 'local-azure-'));
  const authorities = path.join(folder, 'authorities.pem');
  await writeFile(
    authorities,
    [proxy.authority, ...(options.trust ?? []), await systemAuthorities()].join('\n'),
  );

  const told = { authorities, subscriptionId, tenantId, clientSecret };
  return {
    subscriptionId,
    tenantId,
    environment: environmentFor({ ...told, url: proxy.url }),
    networkEnvironment: environmentFor({ ...told, url: proxy.networkUrl }),
    requests,
    unknown,
    operations: azure.operations.records,
    state: azure.store,
    blobs,
    directory,
    sharedKeys,
    azure,
    incidents: incidents(azure, options.serverEvents ?? (() => undefined)),
    clock: azure.clock,
    async snapshot() {
      await azure.operations.settled();
      return memory.snapshot();
    },
    async restore(snapshot) {
      await azure.operations.abandon();
      memory.restore(snapshot);
    },
    async stop() {
      azure.operations.stop();
      await proxy.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function register(
  azure: Azure,
  options: LocalAzureOptions,
  blobs: BlobStore,
  sharedKeys: Map<string, string>,
): void {
  registerEntra(azure);
  registerResources(azure);
  registerAuthorization(azure);
  registerManagedIdentity(azure);
  registerNetwork(azure);
  registerKeyVault(azure);
  registerOperationalInsights(azure, { mayReadSharedKeys: options.mayReadSharedKeys ?? true, sharedKeys });
  registerInsights(azure);
  registerPostgresql(azure, options.serverEvents ?? (() => undefined));
  registerDataProtection(azure);
  registerConsumption(azure);
  registerBlobs(azure, blobs);
}

async function answer(
  azure: Azure,
  request: AzureRequest,
  { intercept, interceptAnswer }: LocalAzureOptions,
  unknown: string[],
): Promise<AzureResponse | 'drop'> {
  const intercepted = await intercept?.(request);
  if (intercepted !== undefined) return intercepted;
  const response = await respond(azure, request, unknown);
  return (await interceptAnswer?.(request, response)) ?? response;
}

async function respond(azure: Azure, request: AzureRequest, unknown: string[]): Promise<AzureResponse> {
  const line = `${request.method} https://${request.host}${request.path}?${request.query}`;
  const changes =
    request.host === 'management.azure.com' &&
    !['GET', 'HEAD'].includes(request.method) &&
    !/\/(?:sharedKeys|validate|exportTemplate)$/i.test(request.path);
  const startedAt = Date.now();
  try {
    if (request.host === 'management.azure.com') {
      authorize(azure, request);
      azure.throttle?.take(request);
    }
    const found = azure.router.find(request);
    if ('unknown' in found) throw new UnknownRequest(`${line}: ${found.unknown}`);
    const response = await found.handler(found.match);
    if (response.status === 501) unknown.push(line);
    return response;
  } catch (error) {
    if (error instanceof ArmError) {
      if (error.status === 501) unknown.push(`${line}: ${error.message}`);
      if (changes) azure.operations.note(request.method, request.path, startedAt, error);
      return error.toResponse();
    }
    // A defect of the stand-in is as loud as a request it does not know.
    const message = error instanceof UnknownRequest ? error.message : `${line}: ${String(error)}`;
    unknown.push(message);
    return { status: 501, body: { error: { code: 'NotImplementedByLocalAzure', message } } };
  }
}

function authorize(azure: Azure, request: AzureRequest): void {
  const audiences = ['https://management.azure.com', 'https://management.core.windows.net'];
  if (!audiences.some((audience) => azure.directory.holdsToken(request, audience)))
    throw general.invalidAuthenticationToken();
  const subscription = /^\/subscriptions\/([^/]+)/i.exec(request.path)?.[1];
  if (subscription !== undefined && subscription.toLowerCase() !== azure.subscriptionId)
    throw general.subscriptionNotFound(subscription);
}

function environmentFor(local: {
  readonly url: string;
  readonly authorities: string;
  readonly subscriptionId: string;
  readonly tenantId: string;
  readonly clientSecret: string;
}): Record<string, string> {
  return {
    HTTPS_PROXY: local.url,
    https_proxy: local.url,
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
    SSL_CERT_FILE: local.authorities,
    NODE_EXTRA_CA_CERTS: local.authorities,
    CHECKPOINT_DISABLE: '1',
    ARM_SUBSCRIPTION_ID: local.subscriptionId,
    ARM_TENANT_ID: local.tenantId,
    ARM_CLIENT_ID: clientId,
    ARM_CLIENT_SECRET: local.clientSecret,
    ARM_USE_CLI: 'false',
    ARM_USE_MSI: 'false',
    ARM_USE_OIDC: 'false',
    AZURE_TENANT_ID: local.tenantId,
    AZURE_CLIENT_ID: clientId,
    AZURE_CLIENT_SECRET: local.clientSecret,
  };
}

/** The system's own authorities, because SSL_CERT_FILE replaces them for everything Terraform starts. */
async function systemAuthorities(): Promise<string> {
  for (const file of [
    process.env['SSL_CERT_FILE'],
    '/etc/ssl/certs/ca-certificates.crt',
    '/etc/ssl/cert.pem',
  ])
    if (file !== undefined)
      try {
        return await readFile(file, 'utf8');
      } catch {
        // Not there: the next one.
      }
  return '';
}
