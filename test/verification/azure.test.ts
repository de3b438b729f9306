import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type JsonObject, objectsAt } from '../../core/json.ts';
import type { Deployment } from '../../database/deployment.ts';
import type { LocalAzure } from '../../local/azure/index.ts';
import { switchOver } from '../../local/azure/providers/postgresql/replicas.ts';
import { catalogue } from '../../verification/catalogue.ts';
import { run } from '../commands/run.ts';
import { migratedDatabase } from '../support/postgres.ts';
import { azureAnswers, change, type DeployedAzure, deployedAzure } from './azure-fixture.ts';
import { idsOf } from './fixture.ts';

let deployed: DeployedAzure;
let before: Awaited<ReturnType<LocalAzure['snapshot']>>;
beforeAll(async () => {
  deployed = await deployedAzure();
  before = await deployed.azure.snapshot();
});
afterAll(() => deployed.stop());

interface AzureRow {
  readonly breaks: string;
  readonly because: string;
  /** @default - this check alone */
  readonly also?: readonly string[];
  /** @default - none */
  readonly skips?: readonly string[];
  readonly change: (deployed: DeployedAzure) => void;
  /** @default - production's */
  readonly deployment?: (deployment: Deployment) => Deployment;
}

const ids = (deployed: DeployedAzure) => deployed.ids as Readonly<Record<string, string>>;
const properties =
  (what: string, changed: JsonObject) =>
  ({ azure, ids }: DeployedAzure) =>
    change(azure, ids[what] ?? '', changed);
const gone =
  (what: string, tail = '') =>
  ({ azure, ids }: DeployedAzure) =>
    azure.state.delete(`${ids[what]}${tail}`);
const insights = '/providers/Microsoft.Insights';
const roleChanged = `${insights}/scheduledQueryRules/llama-mapper-production-role-changed`;

const parameter =
  (what: string, name: string, changed: JsonObject) =>
  ({ azure, ids }: DeployedAzure) => {
    const id = `${ids[what]}/configurations/${name}`;
    if (azure.state.get(id)) change(azure, id, changed);
    else
      azure.state.put(id, {
        properties: { source: 'user-override', isConfigPendingRestart: false, ...changed },
      });
  };

const accessId = (id: string | undefined, { azure }: Deployment, role: 'primary' | 'replica') =>
  `${id}/providers/Microsoft.Authorization/roleAssignments/${azure?.[role]?.access?.[0]?.name}`;

const daysAgo = (days: number) => new Date(Date.now() - days * 24 * 3600 * 1000).toISOString();

const rows: readonly AzureRow[] = [
  { breaks: 'AZU-001', because: 'stopped', change: properties('replica', { state: 'Stopped' }) },
  {
    breaks: 'AZU-002',
    because: 'high availability was switched off',
    change: properties('server', {
      highAvailability: { mode: 'Disabled', state: 'NotEnabled', standbyAvailabilityZone: null },
    }),
  },
  {
    breaks: 'AZU-003',
    because: 'the standby is copying',
    change: properties('server', { highAvailability: { state: 'ReplicatingData' } }),
  },
  {
    breaks: 'AZU-004',
    because: 'the standby is in another zone',
    change: properties('server', { highAvailability: { standbyAvailabilityZone: '3' } }),
  },
  {
    breaks: 'AZU-004',
    because: 'a replica in another zone',
    change: properties('replica', { availabilityZone: '3' }),
  },
  {
    breaks: 'AZU-005',
    because: 'shortened',
    change: properties('server', { backup: { backupRetentionDays: 7 } }),
  },
  {
    breaks: 'AZU-006',
    because: 'no restore point',
    change: properties('server', { backup: { earliestRestoreDate: null } }),
  },
  {
    breaks: 'AZU-006',
    because: 'it does not reach back',
    change: ({ azure, ids }) => {
      const server = azure.state.get(ids['server']);
      if (server) server.body = { ...server.body, systemData: { createdAt: daysAgo(100) } };
    },
  },
  {
    breaks: 'AZU-007',
    because: 'the last one is old',
    change: ({ azure, ids }) =>
      change(azure, `${ids['server']}/backups/backup_1`, { completedTime: daysAgo(3) }),
  },
  {
    breaks: 'AZU-008',
    because: 'restored without it',
    change: properties('server', { backup: { geoRedundantBackup: 'Disabled' } }),
  },
  {
    breaks: 'AZU-009',
    also: ['AZU-038'],
    because: 'made smaller, both of them',
    change: ({ azure, ids }) => {
      for (const one of ['server', 'replica']) {
        const server = azure.state.get(ids[one]);
        if (server)
          server.body = { ...server.body, sku: { name: 'Standard_D2s_v3', tier: 'GeneralPurpose' } };
      }
    },
  },
  {
    breaks: 'AZU-010',
    because: 'auto-grow is off',
    change: properties('server', { storage: { autoGrow: 'Disabled' } }),
  },
  {
    breaks: 'AZU-010',
    because: 'restored with a smaller disk',
    change: (one) => {
      properties('server', { storage: { storageSizeGB: 512 } })(one);
      properties('replica', { storage: { storageSizeGB: 512 } })(one);
    },
  },
  {
    breaks: 'AZU-011',
    because: 'upgraded by hand',
    change: (one) => {
      properties('server', { version: '18' })(one);
      properties('replica', { version: '18' })(one);
    },
  },
  {
    breaks: 'AZU-012',
    because: 'no window',
    change: properties('server', { maintenanceWindow: { customWindow: 'Disabled' } }),
  },
  {
    breaks: 'AZU-013',
    because: 'a switchover takes the endpoint along, but not the standby',
    also: ['AZU-002', 'AZU-016'],
    change: ({ azure, ids }) => {
      const replica = azure.state.get(ids['replica']);
      if (replica) switchOver(azure.azure, replica);
    },
  },
  {
    breaks: 'AZU-013',
    because: 'a replica promoted to a standalone server',
    change: properties('replica', { replicationRole: 'None', sourceServerResourceId: null }),
  },
  {
    breaks: 'AZU-014',
    because: 'it broke',
    change: properties('replica', { replica: { replicationState: 'Broken' } }),
  },
  {
    breaks: 'AZU-015',
    because: 'the disk of one grew',
    change: properties('server', { storage: { storageSizeGB: 2048 } }),
  },
  {
    breaks: 'AZU-016',
    because: 'without its reader',
    change: ({ azure, ids }) =>
      change(azure, `${ids['server']}/virtualEndpoints/llama-mapper-endpoint-production`, {
        members: ['llama-mapper-production'],
      }),
  },
  {
    breaks: 'AZU-016',
    because: 'removed',
    change: gone('server', '/virtualEndpoints/llama-mapper-endpoint-production'),
  },
  {
    breaks: 'AZU-020',
    because: 'public access is on',
    change: properties('server', { network: { publicNetworkAccess: 'Enabled' } }),
  },
  {
    breaks: 'AZU-021',
    because: 'rejected',
    change: properties('replica', {
      privateEndpointConnections: [
        {
          name: 'replica-endpoint',
          properties: { privateLinkServiceConnectionState: { status: 'Rejected' } },
        },
      ],
    }),
  },
  { breaks: 'AZU-021', because: 'removed', change: properties('server', { privateEndpointConnections: [] }) },
  {
    breaks: 'AZU-022',
    because: 'passwords',
    change: properties('server', { authConfig: { passwordAuth: 'Enabled' } }),
  },
  {
    breaks: 'AZU-023',
    because: 'one too many',
    change: ({ azure, ids }) =>
      azure.state.put(`${ids['server']}/administrators/99999999-0000-4000-8000-000000000000`, {
        properties: {
          objectId: '99999999-0000-4000-8000-000000000000',
          principalName: 'bob',
          principalType: 'User',
        },
      }),
  },
  {
    breaks: 'AZU-024',
    because: 'lost in a promotion',
    change: parameter('replica', 'pgbouncer.enabled', { value: 'false' }),
  },
  {
    breaks: 'AZU-025',
    because: 'waits for a restart',
    change: parameter('server', 'shared_preload_libraries', { isConfigPendingRestart: true }),
  },
  {
    breaks: 'AZU-026',
    because: 'tried by hand',
    change: parameter('server', 'work_mem', { value: '65536' }),
  },
  {
    breaks: 'AZU-026',
    because: "tried by hand, one of PostgreSQL's own",
    change: parameter('server', 'vacuum_cost_delay', { value: '20' }),
  },
  {
    breaks: 'AZU-038',
    because: 'computed for the size that the server was created with',
    change: parameter('server', 'shared_buffers', { value: '131072', source: 'system-default' }),
  },
  {
    breaks: 'AZU-027',
    because: 'one too many',
    change: ({ azure, ids }) => {
      const value = azure.state.get(`${ids['server']}/configurations/azure.extensions`)?.body[
        'properties'
      ] as JsonObject;
      parameter('server', 'azure.extensions', { value: `${value['value']},dblink` })(deployed);
    },
  },
  {
    breaks: 'AZU-028',
    also: ['AZU-024'],
    because: 'raised by hand on the primary only',
    change: parameter('server', 'max_connections', { value: '4000' }),
  },
  {
    breaks: 'AZU-030',
    because: 'removed',
    change: gone('group', `${insights}/metricAlerts/llama-mapper-production-cpu`),
  },
  {
    breaks: 'AZU-030',
    because: 'disabled',
    change: ({ azure, ids }) =>
      change(azure, `${ids['group']}${insights}/metricAlerts/llama-mapper-production-cpu`, {
        enabled: false,
      }),
  },
  {
    breaks: 'AZU-031',
    because: 'removed',
    change: gone('group', `${insights}/activityLogAlerts/llama-mapper-production-server-deleted`),
  },
  {
    breaks: 'AZU-032',
    because: 'without an action group',
    change: ({ azure, ids }) =>
      change(azure, `${ids['group']}${insights}/activityLogAlerts/llama-mapper-production-server-health`, {
        actions: { actionGroups: [] },
      }),
  },
  { breaks: 'AZU-039', because: 'removed', change: gone('group', roleChanged) },
  {
    breaks: 'AZU-039',
    because: 'disabled',
    change: ({ azure, ids }) => change(azure, `${ids['group']}${roleChanged}`, { enabled: false }),
  },
  {
    breaks: 'AZU-039',
    because: 'a query that finds nothing',
    change: ({ azure, ids }) =>
      change(azure, `${ids['group']}${roleChanged}`, {
        criteria: { allOf: [{ query: 'PGSQLServerLogs | where false' }] },
      }),
  },
  {
    breaks: 'AZU-032',
    because: 'a log alert without an action group',
    change: ({ azure, ids }) =>
      change(azure, `${ids['group']}${roleChanged}`, { actions: { actionGroups: [] } }),
  },
  {
    breaks: 'AZU-033',
    because: 'without a receiver',
    change: properties('actionGroup', { emailReceivers: [] }),
  },
  {
    breaks: 'AZU-033',
    because: 'the receiver of the settings was replaced',
    change: properties('actionGroup', {
      emailReceivers: [{ name: 'someone', emailAddress: 'someone@example.com', status: 'Enabled' }],
    }),
  },
  {
    breaks: 'AZU-033',
    because: 'its receiver has unsubscribed',
    change: ({ azure, ids }) =>
      change(azure, ids['actionGroup'] ?? '', {
        emailReceivers: objectsAt(
          azure.state.get(ids['actionGroup'])?.body,
          'properties',
          'emailReceivers',
        ).map((one) => ({ ...one, status: 'Disabled' })),
      }),
  },
  { breaks: 'AZU-033', because: 'disabled', change: properties('actionGroup', { enabled: false }) },
  {
    breaks: 'AZU-034',
    because: 'the replica sends no logs',
    change: gone('replica', `${insights}/diagnosticSettings/log-analytics`),
  },
  {
    breaks: 'AZU-034',
    because: 'the vault sends its logs elsewhere',
    change: ({ azure, ids }) =>
      change(azure, `${ids['vault']}${insights}/diagnosticSettings/log-analytics`, {
        workspaceId: '/subscriptions/x',
      }),
  },
  {
    breaks: 'AZU-034',
    because: 'the archive of the server was switched off',
    change: ({ azure, ids }) =>
      change(azure, `${ids['server']}${insights}/diagnosticSettings/log-analytics`, {
        storageAccountId: null,
      }),
  },
  {
    breaks: 'AZU-034',
    because: 'the replica sends its logs to an event hub as well',
    change: ({ azure, ids }) =>
      change(azure, `${ids['replica']}${insights}/diagnosticSettings/log-analytics`, {
        eventHubAuthorizationRuleId: '/subscriptions/x',
      }),
  },
  {
    breaks: 'AZU-040',
    because: 'the role of the replica was taken away',
    change: ({ azure, deployment, ids }) =>
      azure.state.delete(accessId(ids['replica'], deployment, 'replica')),
  },
  {
    breaks: 'AZU-040',
    because: 'another principal has the assignment',
    change: ({ azure, deployment, ids }) =>
      change(azure, accessId(ids['server'], deployment, 'primary'), { principalId: 'other' }),
  },
  {
    breaks: 'AZU-041',
    because: 'its protection was stopped',
    change: properties('weeklyBackup', { currentProtectionState: 'ProtectionStopped' }),
  },
  { breaks: 'AZU-041', because: 'its instance was deleted', change: gone('weeklyBackup') },
  {
    breaks: 'AZU-035',
    because: 'removed',
    change: gone('server', '/providers/Microsoft.Authorization/locks/do-not-delete'),
  },
  {
    breaks: 'AZU-035',
    because: 'lifted and forgotten',
    change: () => {},
    deployment: (deployment) => ({
      ...deployment,
      ...(deployment.azure && { azure: { ...deployment.azure, deletionLock: 'lifted' as const } }),
    }),
  },
  {
    breaks: 'AZU-042',
    because: 'somebody gave it another image',
    change: properties('job', {
      template: { containers: [{ image: `other.azurecr.io/code@sha256:${'b'.repeat(64)}` }] },
    }),
  },
  {
    breaks: 'AZU-042',
    because: 'it starts by itself',
    change: properties('job', { configuration: { triggerType: 'Schedule' } }),
  },
  {
    breaks: 'AZU-042',
    because: 'it runs as another identity',
    change: ({ azure, ids }) => {
      const job = azure.state.get(ids['job'] ?? '');
      if (job) job.body = { ...job.body, identity: { type: 'None' } };
    },
  },
  { breaks: 'AZU-044', because: 'it was deleted', change: gone('job') },
  {
    breaks: 'AZU-044',
    because: 'it has less time',
    change: properties('job', { configuration: { replicaTimeout: 60 } }),
  },
  {
    breaks: 'AZU-044',
    because: 'it is repeated',
    change: properties('job', { configuration: { replicaRetryLimit: 3 } }),
  },
  {
    breaks: 'AZU-043',
    because: 'its output goes nowhere',
    change: gone('jobEnvironment', `${insights}/diagnosticSettings/log-analytics`),
  },
  { breaks: 'AZU-036', because: 'disabled', change: properties('key', { attributes: { enabled: false } }) },
  {
    breaks: 'AZU-036',
    because: 'about to expire',
    change: properties('key', { attributes: { exp: Math.floor(Date.now() / 1000) + 10 * 24 * 3600 } }),
  },
  {
    breaks: 'AZU-036',
    because: 'it no longer rotates',
    change: properties('key', { rotationPolicy: { lifetimeActions: [] } }),
  },
  {
    breaks: 'AZU-037',
    because: 'shared keys were permitted for an agent',
    change: properties('workspace', { features: { disableLocalAuth: false } }),
  },
  {
    breaks: 'AZU-037',
    because: 'the property was never set',
    change: properties('workspace', { features: { disableLocalAuth: null } }),
  },
];

const azureIds = catalogue.flatMap(({ id, group }) => (group === 'azure' ? [id] : []));

describe('a change in Azure without a deployment', () => {
  it('does not exist at first: every check passes', async () => {
    const answers = await azureAnswers({ ...deployed, access: deployed.proxied });
    expect(
      answers.flatMap(({ check, outcome }) => (outcome.status === 'passed' ? [] : [[check.id, outcome]])),
    ).toEqual([]);
    expect(deployed.azure.unknown).toEqual([]);
  });

  it.each(rows.map((row) => [`${row.breaks}, ${row.because}`, row] as const))('%s', async (_, row) => {
    try {
      row.change(deployed);
      const answers = await azureAnswers(deployed, row.deployment?.(deployed.deployment));
      expect([...idsOf(answers, 'failed')].sort()).toEqual([row.breaks, ...(row.also ?? [])].sort());
      expect([...idsOf(answers, 'skipped')].sort()).toEqual([...(row.skips ?? [])].sort());
    } finally {
      await deployed.azure.restore(before);
    }
  });

  it('has a row for every check of the group', () => {
    const broken = new Set(rows.map(({ breaks }) => breaks));
    expect(azureIds.filter((id) => !broken.has(id))).toEqual([]);
  });

  it('is not reported after a failover, which exchanges the zones, or if both disks grow', async () => {
    try {
      change(deployed.azure, ids(deployed)['server'] ?? '', {
        availabilityZone: '2',
        highAvailability: { standbyAvailabilityZone: '1' },
        storage: { storageSizeGB: 2048 },
      });
      change(deployed.azure, ids(deployed)['replica'] ?? '', { storage: { storageSizeGB: 2048 } });
      expect(idsOf(await azureAnswers(deployed), 'failed')).toEqual([]);
    } finally {
      await deployed.azure.restore(before);
    }
  });

  it('is reported with the command that reverts it, if Terraform ignores the property', async () => {
    try {
      change(deployed.azure, ids(deployed)['server'] ?? '', { backup: { backupRetentionDays: 7 } });
      const found = (await azureAnswers(deployed)).find(({ check }) => check.id === 'AZU-005')?.outcome;
      expect(found).toMatchObject({
        findings: [
          {
            object: 'server llama-mapper-production',
            detail: `backup retention in days is 7, expected 35: az postgres flexible-server update --ids ${ids(deployed)['server']} --backup-retention 35`,
          },
        ],
      });
    } finally {
      await deployed.azure.restore(before);
    }
  });
});

describe('the command', () => {
  it('reads Azure through the proxy, with the identity of the environment', async () => {
    const database = await migratedDatabase();
    try {
      const environment = {
        ...deployed.azure.environment,
        LLAMA_DB_DEPLOYMENT: JSON.stringify(deployed.deployment),
      };
      const args = ['verify', '--url', database.url(), '--group', 'azure', '--require', 'azure', '--all'];
      const { code, stdout, stderr } = await run(args, environment);
      expect(stdout).toMatch(new RegExp(`azure +${azureIds.length} passed\\n`));
      expect(code).toBe(0);
      expect(deployed.azure.unknown).toEqual([]);
      expect(stderr).toBe('');
    } finally {
      await database.drop();
    }
  }, 60_000);
});

describe('unreadable facts', () => {
  it('skip every check without an identity, and for a deployment without resources', async () => {
    const { access, ...rest } = deployed;
    const credential = { getToken: async () => Promise.reject(new Error('canary-secret')) };
    const signedOut = await azureAnswers({ ...rest, access: { ...access, credential } });
    for (const { outcome } of signedOut) {
      expect(outcome).toEqual({
        status: 'skipped',
        reason: 'nobody is signed in to Azure here: Error',
        blind: true,
      });
    }
    const { id: _, ...primary } = deployed.deployment.primary;
    const unnamed = await azureAnswers(deployed, { ...deployed.deployment, primary });
    expect(idsOf(unnamed, 'skipped')).toEqual(azureIds);
  });

  it('skip only the checks that need them', async () => {
    const refused = { ...deployed.access.options?.httpClient };
    const httpClient: typeof refused.sendRequest = async (request) => {
      const answer = await deployed.access.options?.httpClient?.sendRequest(request);
      if (!answer) throw new Error('no answer');
      if (!/\/locks\?/.test(request.url)) return answer;
      const body = { error: { code: 'AuthorizationFailed', message: 'may not' } };
      return { ...answer, status: 403, bodyAsText: JSON.stringify(body) };
    };
    const access = {
      ...deployed.access,
      options: { ...deployed.access.options, httpClient: { sendRequest: httpClient } },
    };
    const answers = await azureAnswers({ ...deployed, access });
    expect(idsOf(answers, 'skipped')).toEqual(['AZU-035']);
    expect(answers.find(({ check }) => check.id === 'AZU-035')?.outcome).toEqual({
      status: 'skipped',
      reason: 'Azure did not return locks: AuthorizationFailed (HTTP 403)',
      blind: true,
    });
  });

  it('are read with GET requests only', () => {
    const since = deployed.azure.requests.filter(({ host }) => host === 'management.azure.com');
    const writes = since.filter(({ method }) => method !== 'GET');
    // The fixture's own deployment.
    expect(writes.map(({ method }) => method)).toEqual(['PUT', 'PUT', 'PATCH', 'PATCH', 'PUT']);
  });
});
