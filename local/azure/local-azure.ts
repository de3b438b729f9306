/**
 * A local Azure on the loopback for Terraform's azurerm provider and backend. It keeps state and refuses what Azure
 * refuses. It plays the control plane of a deployment, and not the work of the services.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { answer, type History, recorded, respond } from './answering.ts';
import type { LocalAzure, LocalAzureOptions } from './contract.ts';
import { Clock } from './core/clock.ts';
import type { Azure } from './core/context.ts';
import { Directory } from './core/directory.ts';
import { registerEntra } from './core/entra.ts';
import { Memory } from './core/memory.ts';
import { Operations, quickLatency } from './core/operations.ts';
import { type AzureProxy, startProxy } from './core/proxy.ts';
import { ResourceStore } from './core/resource-store.ts';
import { Router } from './core/router.ts';
import { Throttle } from './core/throttle.ts';
import { grantToClient, registerAuthorization } from './providers/authorization.ts';
import { registerConsumption } from './providers/consumption.ts';
import { registerContainerApps } from './providers/container-apps/container-apps.ts';
import { registerDataProtection } from './providers/data-protection.ts';
import { registerInsights } from './providers/insights/insights.ts';
import { registerKeyVault } from './providers/key-vault/control.ts';
import { registerLogQueries } from './providers/log-queries.ts';
import { registerManagedIdentity } from './providers/managed-identity.ts';
import { registerNetwork } from './providers/network/network.ts';
import { registerOperationalInsights } from './providers/operational-insights.ts';
import { incidents } from './providers/postgresql/actions.ts';
import { registerPostgresql } from './providers/postgresql/servers.ts';
import { registerResources } from './providers/resources/resources.ts';
import { registerStorage } from './providers/storage.ts';
import { BlobStore, registerBlobs } from './providers/storage-blobs.ts';

const example = {
  subscriptionId: '2b0942f3-9bca-484b-a508-abdae2db5e64',
  tenantId: '9d2ac018-e843-4e14-9e2b-4e0ddac75450',
};
const client = {
  objectId: 'd0f3a1c5-7c6e-4b8e-9a55-3c2f9e1b7a20',
  kind: 'ServicePrincipal',
  displayName: 'local-deployer',
  appId: '6f1c3b1e-5d2a-4c58-8f0e-0f5a3a7d9b10',
} as const;

export async function startLocalAzure(options: LocalAzureOptions = {}): Promise<LocalAzure> {
  const history: History = { requests: [], unknown: [], refusals: [] };
  const memory = new Memory();
  const azure = assemble(options, memory, history);
  const { subscriptionId, tenantId, directory, clock } = azure;
  const sharedKeys = memory.map<string>('sharedKeys');
  const blobs = new BlobStore(memory);
  for (const entry of options.containers ?? []) {
    const [account = '', container = ''] = entry.split('/');
    blobs.addContainer(account, container);
  }
  const containers = registerContainerApps(azure, options.runContainer);
  register(azure, options, blobs, sharedKeys);
  grantToClient(azure, options.clientRoles);

  const proxy = await startProxy(
    (request) => answer(azure, request, options, history),
    (host) => history.unknown.push(`CONNECT ${host}: this host is not part of the local Azure`),
  );
  const trust = await trustFile(proxy, options.trust ?? []);
  const environment = (url: string) => environmentFor(azure, url, trust.file);
  return {
    subscriptionId,
    tenantId,
    environment: environment(proxy.url),
    networkEnvironment: environment(proxy.networkUrl),
    ...history,
    operations: azure.operations.records,
    state: azure.store,
    blobs,
    directory,
    sharedKeys,
    azure,
    incidents: recorded(incidents(azure, options.serverEvents ?? (() => undefined)), history),
    clock,
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
      await containers.stop();
      await proxy.stop();
      await trust.remove();
    },
  };
}

/** The parts that every resource provider receives. */
function assemble(options: LocalAzureOptions, memory: Memory, history: History): Azure {
  const { subscriptionId, tenantId } = { ...example, ...options };
  const directory = new Directory(memory, {
    tenantId,
    client,
    clientSecret: options.clientSecret ?? 'local-client-secret',
    tokenLifetime: options.tokenLifetime ?? 3600,
    tokenIssued: options.tokenIssued,
  });
  for (const principal of options.principals ?? []) directory.add(principal);
  for (const name of options.takenNames ?? []) memory.map<true>('takenNames').set(name.toLowerCase(), true);
  const clock = new Clock(memory);
  const azure: Azure = {
    subscriptionId,
    tenantId,
    router: new Router(),
    memory,
    clock,
    throttle: options.throttled ? new Throttle(clock) : undefined,
    roleAssignmentDelayMs: options.roleAssignmentDelayMs ?? 0,
    store: new ResourceStore(memory),
    operations: new Operations({
      latency: options.latency ?? quickLatency,
      subscriptionId,
      retryAfterSeconds: options.retryAfterSeconds ?? 0,
      onUnknown: (message) => history.unknown.push(message),
      onRefused: (refusal) => history.refusals.push(refusal),
    }),
    directory,
    dispatch: (request) => respond(azure, request, history),
  };
  return azure;
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
  registerOperationalInsights(azure, sharedKeys);
  registerLogQueries(azure, options.serverLog);
  registerInsights(azure);
  registerPostgresql(azure, options.serverEvents ?? (() => undefined));
  registerDataProtection(azure);
  registerConsumption(azure);
  registerStorage(azure, blobs);
  registerBlobs(azure, blobs);
}

/** A file with every authority that a client must trust. */
async function trustFile(
  proxy: AzureProxy,
  others: readonly string[],
): Promise<{ readonly file: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'local-azure-'));
  const file = path.join(folder, 'authorities.pem');
  await writeFile(file, [proxy.authority, ...others, await systemAuthorities()].join('\n'));
  return { file, remove: () => rm(folder, { recursive: true, force: true }) };
}

function environmentFor(
  { subscriptionId, tenantId, directory }: Azure,
  url: string,
  authorities: string,
): Record<string, string> {
  const { clientSecret } = directory.options;
  return {
    HTTPS_PROXY: url,
    https_proxy: url,
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
    SSL_CERT_FILE: authorities,
    NODE_EXTRA_CA_CERTS: authorities,
    CHECKPOINT_DISABLE: '1',
    ARM_SUBSCRIPTION_ID: subscriptionId,
    ARM_TENANT_ID: tenantId,
    ARM_CLIENT_ID: client.appId,
    ARM_CLIENT_SECRET: clientSecret,
    ARM_USE_CLI: 'false',
    ARM_USE_MSI: 'false',
    ARM_USE_OIDC: 'false',
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: client.appId,
    AZURE_CLIENT_SECRET: clientSecret,
  };
}

/** The authorities of the system, because SSL_CERT_FILE replaces them for everything that Terraform starts. */
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
        // Try the next file.
      }
  return '';
}
