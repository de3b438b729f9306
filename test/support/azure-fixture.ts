/** One local Azure a test, with a resource group in it, and what its tests ask for again and again. */
import { afterEach, beforeEach } from 'vitest';
import { type LocalAzure, type LocalAzureOptions, startLocalAzure } from '../../local/azure/index.ts';
import { type Answer, AzureClient } from './azure-client.ts';

export interface AzureFixture {
  readonly azure: LocalAzure;
  readonly client: AzureClient;
  /** Id of a resource group in eastus. */
  readonly group: string;
  /** Id of the Flexible Server of that name in the group. */
  server(name: string): string;
  /** Id of anything else in the group: `Microsoft.Network/virtualNetworks/net`. */
  resource(path: string): string;
  /** Creates a server and waits for it. */
  create(name: string, changes?: ServerChanges): Promise<Answer>;
  /** Lets operations that begin from now on run until the function it returns is called. */
  hold(): () => void;
}

/** Names of all refusals that tests of this file were answered so far. */
export const provoked = new Set<string>();

/** Starts one before each test of the file, and stops it after. */
export function useLocalAzure(options: LocalAzureOptions = {}): AzureFixture {
  let azure: LocalAzure;
  let client: AzureClient;
  let held: Promise<void> | undefined;
  const group = () => `/subscriptions/${azure.subscriptionId}/resourceGroups/database`;
  const server = (name: string) => `${group()}/providers/Microsoft.DBforPostgreSQL/flexibleServers/${name}`;
  beforeEach(async () => {
    azure = await startLocalAzure({ latency: () => held ?? 5, ...options });
    client = new AzureClient(azure);
    await client.arm('PUT', group(), { location: 'eastus' });
  });
  afterEach(async () => {
    held = undefined;
    for (const refusal of azure.refusals) provoked.add(refusal);
    await azure.stop();
  });
  return {
    get azure() {
      return azure;
    },
    get client() {
      return client;
    },
    get group() {
      return group();
    },
    server,
    resource: (path) => `${group()}/providers/${path}`,
    hold() {
      let release: () => void = () => undefined;
      held = new Promise((resolve) => {
        release = resolve;
      });
      return () => {
        held = undefined;
        release();
      };
    },
    create: (name, changes) => client.done('PUT', server(name), serverDocument(changes)),
  };
}

export interface ServerChanges {
  readonly location?: string;
  readonly sku?: object;
  readonly tags?: object;
  readonly properties?: object;
}

/** The request body that creates a General Purpose server with private access and Entra login. */
export function serverDocument(changes: ServerChanges = {}) {
  const { properties, ...rest } = changes;
  return {
    location: 'eastus',
    sku: { name: 'Standard_D4s_v3', tier: 'GeneralPurpose' },
    ...rest,
    properties: {
      version: '17',
      authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled' },
      storage: { storageSizeGB: 128 },
      network: { publicNetworkAccess: 'Disabled' },
      ...properties,
    },
  };
}
