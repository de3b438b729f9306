/** Shapes of an environment that none of the three has, but that its settings allow. */
import { afterAll, describe, expect, it } from 'vitest';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { type LocalAzure, startLocalAzure } from '../../local/azure/index.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { TerraformStack } from '../../rehearsal/terraform/stack.ts';
import { stackOf } from '../stacks/stack.ts';
import { expectClean, withoutSlowTypes } from '../support/deploying.ts';

const missing =
  process.env['LLAMA_REHEARSAL'] === 'complete'
    ? await whyNoTerraform()
    : 'takes minutes; LLAMA_REHEARSAL=complete runs it';

const open: { stop(): Promise<void> }[] = [];
afterAll(async () => {
  for (const one of open.reverse()) await one.stop();
});

const group = (azure: LocalAzure, name: string) =>
  `/subscriptions/${azure.subscriptionId}/resourceGroups/${name}`;

/** Resources that existed before: adopted by name, or referred to by id. */
function make(azure: LocalAzure, resourceGroup: string, types: Readonly<Record<string, object>>): void {
  const parent = group(azure, resourceGroup);
  azure.state.put(parent, { location: 'eastus', tags: {}, properties: { provisioningState: 'Succeeded' } });
  for (const [path, properties] of Object.entries(types))
    azure.state.put(`${parent}/providers/${path}`, {
      location: 'eastus',
      tags: {},
      properties: { provisioningState: 'Succeeded', ...properties },
    });
}

const subscription = '2b0942f3-9bca-484b-a508-abdae2db5e64';
const identity = (region: string) =>
  `/subscriptions/${subscription}/resourceGroups/keys-rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${region}`;

const shapes: readonly {
  readonly name: string;
  readonly environment: 'development' | 'staging' | 'production';
  readonly change: (input: EnvironmentInput) => void;
  readonly before?: (azure: LocalAzure) => void;
  readonly environmentVariables?: Readonly<Record<string, string>>;
}[] = [
  {
    name: 'a public server',
    environment: 'development',
    change: (input) => {
      input.network = {
        mode: 'public',
        primary: input.network.primary,
        allowedRanges: [{ name: 'office', start: '20.50.10.8', end: '20.50.10.15' }],
      };
    },
  },
  {
    name: 'password login and a customer-managed key',
    environment: 'staging',
    environmentVariables: { TF_VAR_administrator_password: 'Canary-of-the-administrator-1' },
    change: (input) => {
      Object.assign(input.server.authentication, {
        passwordLogin: true,
        administratorLogin: 'llama_admin',
        passwordVersion: 2,
      });
      const key = (region: string) => ({
        keyId: `https://comply-ai-${region}.vault.azure.net/keys/data`,
        identityId: identity(region),
      });
      input.server.customerManagedKey = { primary: key('eastus'), geoBackup: key('westus') };
    },
    before: (azure) =>
      make(azure, 'keys-rg', {
        'Microsoft.ManagedIdentity/userAssignedIdentities/eastus': {},
        'Microsoft.ManagedIdentity/userAssignedIdentities/westus': {},
      }),
  },
  {
    name: 'injected servers in adopted surroundings',
    environment: 'production',
    change: (input) => {
      const { primary, recovery } = input.network as Extract<
        typeof input.network,
        { mode: 'privateEndpoint' }
      >;
      if (!recovery) throw new Error('production has no recovery network');
      input.resourceGroup.existing = true;
      input.network = {
        mode: 'virtualNetworkInjected',
        primary: {
          ...primary,
          virtualNetwork: { ...primary.virtualNetwork, existing: true, resourceGroup: 'network-rg' },
          delegatedSubnet: { name: 'servers', range: '10.30.2.0/24' },
        },
        recovery: { ...recovery, delegatedSubnet: { name: 'servers', range: '10.31.2.0/24' } },
        keyVaultZone: { existing: true, resourceGroup: 'dns-rg' },
      };
      Object.assign(input.keyVault, { existing: true, resourceGroup: 'comply-ai-rg' });
      Object.assign(input.logAnalytics, { existing: true, resourceGroup: 'comply-ai-rg' });
    },
    before: (azure) => {
      make(azure, 'comply-ai-production-rg', {});
      make(azure, 'network-rg', {
        'Microsoft.Network/virtualNetworks/comply-ai-vnet-production': {
          addressSpace: { addressPrefixes: ['10.30.0.0/16'] },
        },
      });
      make(azure, 'dns-rg', { 'Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net': {} });
      make(azure, 'comply-ai-rg', {
        'Microsoft.KeyVault/vaults/comply-ai-kv-production': {
          vaultUri: 'https://comply-ai-kv-production.vault.azure.net/',
          tenantId: azure.tenantId,
          sku: { family: 'A', name: 'premium' },
          publicNetworkAccess: 'Disabled',
          enableRbacAuthorization: true,
          enablePurgeProtection: true,
          enableSoftDelete: true,
          softDeleteRetentionInDays: 90,
        },
        'Microsoft.OperationalInsights/workspaces/comply-ai-logs-production': {
          sku: { name: 'PerGB2018' },
          retentionInDays: 365,
        },
      });
    },
  },
];

describe('a shape that the settings allow, deployed to the local Azure', () => {
  it.concurrent.for(shapes)('$name', { timeout: 600_000 }, async (shape, context) => {
    context.skip(missing !== undefined, missing);
    const azure = await startLocalAzure({
      subscriptionId: subscription,
      containers: [
        'complyaistatestaging/llama-mapper-staging',
        'complyaistateproduction/llama-mapper-production',
      ],
    });
    open.push(azure);
    shape.before?.(azure);
    const stack = await TerraformStack.open({
      name: shape.environment,
      document: withoutSlowTypes(stackOf(shape.environment, shape.change).text),
      environment: { ...azure.environment, ...shape.environmentVariables },
      // The post-deploy step knows nothing of these shapes; the three environments run it for real.
      postDeployProgram: '',
    });
    open.push({ stop: () => stack.close() });
    for (const run of [await stack.init(), await stack.validate(), await stack.apply()]) expectClean(run);
    const second = await stack.plan();
    expectClean(second);
    expect(second.changes).toEqual([]);
    expect(second.isEmpty).toBe(true);
    expect(azure.unknown).toEqual([]);
    expect(azure.operations.filter(({ outcome }) => outcome !== 'Succeeded')).toEqual([]);
    const left = [
      ...(await stack.artefacts()),
      ...azure.blobs.list().map(([name, { content }]): [string, Buffer] => [name, content]),
    ];
    expect(
      left.filter(([, content]) => content.includes('Canary-of-the-administrator')).map(([name]) => name),
    ).toEqual([]);
  });
});
