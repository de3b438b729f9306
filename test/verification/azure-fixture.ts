/** The deployed production environment in a local Azure, which tests change without a deployment. */

import type { JsonObject } from '../../core/json.ts';
import type { AzureAccess } from '../../database/azure-access.ts';
import type { Deployment } from '../../database/deployment.ts';
import { type LocalAzure, startLocalAzure } from '../../local/azure/index.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { readAzure } from '../../verification/azure/read.ts';
import { catalogue } from '../../verification/catalogue.ts';
import type { CheckResult } from '../../verification/check.ts';
import { evaluate } from '../../verification/run.ts';
import type { Snapshot } from '../../verification/snapshot/snapshot.ts';
import { AzureClient } from '../support/azure-client.ts';
import { environments } from '../support/environments.ts';

type HttpClient = NonNullable<NonNullable<AzureAccess['options']>['httpClient']>;
type Answer = Awaited<ReturnType<HttpClient['sendRequest']>>;

/** Someone who reads the servers in Azure. */
const reader = { objectId: '5b1f0c7e-4a52-4f07-9d2c-0d6a1e8b7c33', type: 'Group', role: 'Reader' } as const;

const postDeployJob = {
  name: 'post-deploy',
  subnet: { name: 'post-deploy', range: '10.30.9.0/27', existing: false },
  image: `complyai.azurecr.io/post-deploy@sha256:${'a'.repeat(64)}`,
  identityId:
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/post-deploy',
  cpu: 0.5,
  timeoutMinutes: 60,
};

export interface DeployedAzure {
  readonly azure: LocalAzure;
  readonly deployment: Deployment;
  /** Azure's own clients, answered without a network between. */
  readonly access: AzureAccess;
  /** The same through the local Azure's proxy, over TLS. */
  readonly proxied: AzureAccess;
  /** Id of what is called so: `server`, `replica`, `vault`, `key`, `group`, `replicaGroup`, `actionGroup`. */
  readonly ids: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

function direct({ azure }: LocalAzure): HttpClient {
  return {
    async sendRequest(request) {
      const url = new URL(request.url);
      const sent: Record<string, string> = {};
      for (const [name, value] of request.headers) sent[name.toLowerCase()] = value;
      const answer = await azure.dispatch({
        method: request.method,
        host: url.hostname,
        path: decodeURIComponent(url.pathname),
        query: url.searchParams,
        headers: sent,
        body: Buffer.from(request.body ? String(request.body) : ''),
      });
      const { headers } = request;
      for (const [name] of [...headers]) headers.delete(name);
      headers.set('content-type', 'application/json');
      return { request, status: answer.status, headers, bodyAsText: JSON.stringify(answer.body) } as Answer;
    },
  };
}

function throughProxy(client: AzureClient): HttpClient {
  return {
    async sendRequest(request) {
      const url = new URL(request.url);
      const sent: Record<string, string> = {};
      for (const [name, value] of request.headers) sent[name.toLowerCase()] = value;
      const answer = await client.call(request.method, url.pathname + url.search, {
        host: url.hostname,
        headers: sent,
        ...(request.body ? { body: String(request.body) } : {}),
      });
      const { headers } = request;
      for (const [name] of [...headers]) headers.delete(name);
      headers.set('content-type', 'application/json');
      return { request, status: answer.status, headers, bodyAsText: answer.text } as Answer;
    },
  };
}

/** @param serverLog see LocalAzureOptions */
export async function deployedAzure(
  serverLog: (server: string) => string | undefined = () => undefined,
): Promise<DeployedAzure> {
  const settings = environments.named('production');
  const azure = await startLocalAzure({ latency: () => 1, serverLog });
  const client = new AzureClient(azure);
  const groups = `/subscriptions/${azure.subscriptionId}/resourceGroups`;
  const group = `${groups}/comply-ai-production-rg`;
  const replicaGroup = `${groups}/comply-ai-production-dr-rg`;
  const flexible = 'providers/Microsoft.DBforPostgreSQL/flexibleServers';
  const vault = `${group}/providers/Microsoft.KeyVault/vaults/comply-ai-kv-production`;
  const ids = {
    group,
    replicaGroup,
    server: `${group}/${flexible}/llama-mapper-production`,
    replica: `${replicaGroup}/${flexible}/llama-mapper-replica-production`,
    vault,
    key: `${vault}/keys/field-encryption`,
    weeklyBackup: `${group}/providers/Microsoft.DataProtection/backupVaults/backups/backupInstances/weekly`,
    archive: `${group}/providers/Microsoft.Storage/storageAccounts/logs`,
    workspace: `${group}/providers/Microsoft.OperationalInsights/workspaces/comply-ai-logs-production`,
    actionGroup: `${group}/providers/Microsoft.Insights/actionGroups/llama-mapper-alerts-production`,
    job: `${group}/providers/Microsoft.App/jobs/post-deploy`,
    jobEnvironment: `${group}/providers/Microsoft.App/managedEnvironments/post-deploy-environment`,
  };
  const local = localAttributes(settings);
  const archive = { storageAccountId: ids.archive };
  const { primary, replica } = settings.servers;
  const servers = {
    primary: { ...primary, access: [reader], archive },
    ...(replica && { replica: { ...replica, access: [reader] } }),
  };
  const deployment = deploymentDocument(
    { ...settings, servers, postDeployJob },
    {
      ...local,
      postDeployJob: { id: ids.job, environmentId: ids.jobEnvironment },
      subscriptionId: azure.subscriptionId,
      primary: { ...local.primary, id: ids.server },
      ...(local.replica && { replica: { ...local.replica, id: ids.replica } }),
      surroundings: {
        workspaceId: ids.workspace,
        actionGroupId: ids.actionGroup,
        alertGroup: 'comply-ai-production-rg',
        metricAlerts: ['llama-mapper-production-cpu', 'comply-ai-kv-production-availability'],
        activityAlerts: ['llama-mapper-production-server-deleted', 'llama-mapper-production-server-health'],
        logAlerts: [{ name: 'llama-mapper-production-role-changed', query: 'PGSQLServerLogs' }],
        vaultId: vault,
        keyId: ids.key,
        weeklyBackupId: ids.weeklyBackup,
      },
    },
  );
  await deploy(azure, client, deployment, ids);
  const { authorization } = await client.authorization('https://management.azure.com');
  const by = (httpClient: HttpClient): AzureAccess => ({
    credential: {
      getToken: async () => ({
        token: authorization?.replace('Bearer ', '') ?? '',
        expiresOnTimestamp: Date.now() + 3_600_000,
      }),
    },
    options: { httpClient, retryOptions: { maxRetries: 0 } },
  });
  return {
    azure,
    deployment,
    ids,
    access: by(direct(azure)),
    proxied: by(throughProxy(client)),
    stop: () => azure.stop(),
  };
}

/** The resources of production, in the form that the provider sends them. */
async function deploy(
  azure: LocalAzure,
  client: AzureClient,
  deployment: Deployment,
  ids: Readonly<Record<string, string>>,
): Promise<void> {
  const done = async (path: string, body: unknown, method = 'PUT') => {
    const answer = await client.done(method, path, body);
    if (answer.status >= 300 || answer.body.status === 'Failed') throw new Error(`${path}: ${answer.text}`);
  };
  for (const id of [ids['group'], ids['replicaGroup']]) {
    azure.state.put(id ?? '', { location: 'eastus', properties: { provisioningState: 'Succeeded' } });
  }
  const common = {
    version: '17',
    storage: { storageSizeGB: 1024, autoGrow: 'Enabled' },
    network: { publicNetworkAccess: 'Disabled' },
    availabilityZone: '1',
  };
  const sku = { name: 'Standard_D4s_v3', tier: 'GeneralPurpose' };
  await done(ids['server'] ?? '', {
    location: 'eastus',
    sku,
    properties: {
      ...common,
      createMode: 'Default',
      authConfig: { activeDirectoryAuth: 'Enabled', passwordAuth: 'Disabled', tenantId: azure.tenantId },
      backup: { backupRetentionDays: 35, geoRedundantBackup: 'Enabled' },
      highAvailability: { mode: 'ZoneRedundant', standbyAvailabilityZone: '2' },
    },
  });
  await done(ids['replica'] ?? '', {
    location: 'westus2',
    sku,
    properties: { ...common, createMode: 'Replica', sourceServerResourceId: ids['server'] },
  });
  const maintenanceWindow = { customWindow: 'Enabled', dayOfWeek: 0, startHour: 2, startMinute: 0 };
  for (const role of ['server', 'replica'])
    await done(ids[role] ?? '', { properties: { maintenanceWindow } }, 'PATCH');
  const connection = (name: string) => ({
    name,
    properties: {
      privateEndpoint: { id: `${ids['group']}/providers/Microsoft.Network/privateEndpoints/${name}` },
      privateLinkServiceConnectionState: { status: 'Approved', description: 'Auto-approved' },
      provisioningState: 'Succeeded',
    },
  });
  for (const role of ['server', 'replica'] as const) {
    const id = ids[role] ?? '';
    change(azure, id, { privateEndpointConnections: [connection(`${role}-endpoint`)] });
    const parameters = deployment.azure?.[role === 'server' ? 'primary' : 'replica']?.parameters ?? {};
    for (const [name, value] of Object.entries(parameters)) {
      azure.state.put(`${id}/configurations/${name}`, {
        properties: { value, source: 'user-override', isConfigPendingRestart: false },
      });
    }
  }
  const [administrator] = deployment.azure?.administrators ?? [];
  azure.state.put(`${ids['server']}/administrators/${administrator?.objectId}`, {
    properties: {
      objectId: administrator?.objectId ?? '',
      principalName: administrator?.name ?? '',
      principalType: 'Group',
      tenantId: azure.tenantId,
    },
  });
  await done(`${ids['server']}/virtualEndpoints/llama-mapper-endpoint-production`, {
    properties: { endpointType: 'ReadWrite', members: ['llama-mapper-replica-production'] },
  });
  surroundings(azure, deployment, ids);
}

function surroundings(
  { state }: LocalAzure,
  { surroundings: around, azure }: Deployment,
  ids: Readonly<Record<string, string>>,
): void {
  const { actionGroup = '', workspace = '', vault = '', key = '' } = ids;
  state.put(actionGroup, {
    location: 'global',
    properties: {
      enabled: true,
      groupShortName: 'llama-prod',
      emailReceivers: (azure?.receivers ?? []).map((one) => ({
        name: one.replace(/^email /, ''),
        emailAddress: 'on-call@example.com',
        status: 'Enabled',
      })),
    },
  });
  const insights = `${ids['group']}/providers/Microsoft.Insights`;
  for (const name of around?.metricAlerts ?? []) {
    state.put(`${insights}/metricAlerts/${name}`, {
      location: 'global',
      properties: {
        enabled: true,
        severity: 2,
        evaluationFrequency: 'PT5M',
        windowSize: 'PT5M',
        scopes: [ids['server'] ?? ''],
        criteria: { 'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria', allOf: [] },
        actions: [{ actionGroupId: actionGroup }],
      },
    });
  }
  for (const name of around?.activityAlerts ?? []) {
    state.put(`${insights}/activityLogAlerts/${name}`, {
      location: 'global',
      properties: {
        enabled: true,
        scopes: [ids['server'] ?? ''],
        condition: { allOf: [] },
        actions: { actionGroups: [{ actionGroupId: actionGroup }] },
      },
    });
  }
  for (const { name, query } of around?.logAlerts ?? []) {
    state.put(`${insights}/scheduledQueryRules/${name}`, {
      location: 'eastus',
      properties: {
        enabled: true,
        scopes: [workspace],
        criteria: { allOf: [{ query, operator: 'GreaterThan', threshold: 0 }] },
        actions: { actionGroups: [actionGroup] },
      },
    });
  }
  state.put(workspace, {
    location: 'eastus',
    properties: { retentionInDays: 90, features: { disableLocalAuth: true } },
  });
  state.put(vault, {
    location: 'eastus',
    properties: { vaultUri: 'https://comply-ai-kv-production.vault.azure.net/' },
  });
  state.put(key, {
    location: 'eastus',
    properties: {
      attributes: { enabled: true, exp: Math.floor(Date.now() / 1000) + 400 * 24 * 3600 },
      rotationPolicy: {
        lifetimeActions: [{ action: { type: 'rotate' }, trigger: { timeAfterCreate: 'P1Y' } }],
      },
    },
  });
  state.put(ids['job'] ?? '', {
    location: 'eastus',
    identity: { type: 'UserAssigned', userAssignedIdentities: { [postDeployJob.identityId]: {} } },
    properties: {
      environmentId: ids['jobEnvironment'] ?? '',
      configuration: { triggerType: 'Manual', replicaTimeout: 3600, replicaRetryLimit: 0 },
      template: {
        containers: [
          {
            name: 'post-deploy',
            image: postDeployJob.image,
            command: ['node', 'commands/llama-db.mjs'],
            args: ['post-deploy'],
          },
        ],
      },
    },
  });
  state.put(`${ids['jobEnvironment']}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`, {
    properties: { workspaceId: workspace, logs: [{ categoryGroup: 'allLogs', enabled: true }] },
  });
  state.put(ids['weeklyBackup'] ?? '', { properties: { currentProtectionState: 'ProtectionConfigured' } });
  for (const [role, server] of [
    ['primary', ids['server']],
    ['replica', ids['replica']],
  ] as const)
    for (const { name, objectId, roleId } of azure?.[role]?.access ?? [])
      state.put(`${server}/providers/Microsoft.Authorization/roleAssignments/${name}`, {
        properties: {
          principalId: objectId,
          roleDefinitionId: `/subscriptions/x/providers/Microsoft.Authorization/roleDefinitions/${roleId}`,
        },
      });
  for (const id of [ids['server'] ?? '', ids['replica'] ?? '', vault]) {
    state.put(`${id}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`, {
      properties: {
        workspaceId: workspace,
        ...(id !== ids['replica'] && { storageAccountId: ids['archive'] ?? '' }),
        logs: [{ category: null, categoryGroup: 'allLogs', enabled: true }],
        metrics: [{ category: 'AllMetrics', enabled: true }],
      },
    });
    state.put(`${id}/providers/Microsoft.Authorization/locks/do-not-delete`, {
      properties: { level: 'CanNotDelete' },
    });
  }
}

/** Changes properties of a resource, like a click in the portal. */
export function change(azure: LocalAzure, id: string, properties: JsonObject): void {
  const resource = azure.state.get(id);
  if (!resource) throw new Error(`there is no ${id}`);
  const merged = (one: JsonObject, other: JsonObject): JsonObject =>
    Object.fromEntries([
      ...Object.entries(one),
      ...Object.entries(other).map(([name, value]) => {
        const before = one[name];
        const plain = (given: unknown): given is JsonObject =>
          typeof given === 'object' && given !== null && !Array.isArray(given);
        return [name, plain(before) && plain(value) ? merged(before, value) : value];
      }),
    ]);
  azure.state.put(id, merged(resource.body, { properties }));
}

/** Present outcomes of the checks of group azure. */
export async function azureAnswers(
  deployed: DeployedAzure,
  deployment: Deployment = deployed.deployment,
): Promise<readonly CheckResult[]> {
  const facts = readAzure(deployment, deployed.access);
  // No check of the group reads the database.
  const input = { client: undefined as never, snapshot: {} as Snapshot, deployment, azure: () => facts };
  return evaluate(
    input,
    catalogue.filter(({ group }) => group === 'azure'),
  );
}
