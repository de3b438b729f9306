import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, it } from 'vitest';
import { stableGuid } from '../../../azure/guid.ts';
import { objectAt, textAt } from '../../../core/json.ts';
import type { AzureAccess } from '../../../database/azure-access.ts';
import type { Deployment } from '../../../database/deployment.ts';
import type { ContainerRun } from '../../../local/azure/index.ts';
import { jobVariables, lastLine } from '../../../pipeline/job/inside.ts';
import { type JobOptions, runInJob } from '../../../pipeline/job/run.ts';
import { deploymentDocument, localAttributes } from '../../../stacks/deployment.ts';
import { job as settings } from '../../environments/refused/job.ts';
import type { AzureClient } from '../../support/azure-client.ts';
import { useLocalAzure } from '../../support/azure-fixture.ts';
import { environments } from '../../support/environments.ts';

type Behave = (run: ContainerRun) => Promise<number | undefined>;
let behave: Behave = async () => 0;
const local = useLocalAzure({ runContainer: (run) => behave(run) });

const { image } = settings('10.30.9.0/27');
const jobPath = 'Microsoft.App/jobs/post-deploy';
const environmentPath = 'Microsoft.App/managedEnvironments/post-deploy-environment';
const identityPath = 'Microsoft.ManagedIdentity/userAssignedIdentities/post-deploy';

/** The resources of the stack, without the network around them. */
beforeEach(() => {
  const { state, directory } = local.azure;
  const identityId = local.resource(identityPath);
  directory.add({
    objectId: stableGuid('principal'),
    kind: 'ServicePrincipal',
    displayName: 'post-deploy',
    appId: stableGuid('client'),
  });
  state.put(identityId, {
    location: 'eastus',
    properties: { principalId: stableGuid('principal'), clientId: stableGuid('client') },
  });
  state.put(local.resource(environmentPath), { location: 'eastus', properties: {} });
  state.put(
    `${local.resource(environmentPath)}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`,
    {
      properties: { workspaceId: 'w', logs: [{ categoryGroup: 'allLogs', enabled: true }] },
    },
  );
  state.put(local.resource(jobPath), {
    location: 'eastus',
    identity: { type: 'UserAssigned', userAssignedIdentities: { [identityId]: {} } },
    properties: {
      environmentId: local.resource(environmentPath),
      configuration: { triggerType: 'Manual', replicaTimeout: 60 },
      template: {
        containers: [
          {
            name: 'post-deploy',
            image,
            command: ['node', 'commands/llama-db.mjs'],
            args: ['post-deploy'],
            env: [{ name: 'AZURE_CLIENT_ID', value: stableGuid('client') }],
            resources: { cpu: 0.5, memory: '1Gi' },
          },
        ],
      },
    },
  });
});

const ends = (code: number, ...lines: readonly (readonly ['stdout' | 'stderr', string])[]): Behave => {
  return async ({ environment, onLine }) => {
    for (const [stream, text] of lines) onLine(stream, text);
    onLine('stdout', lastLine(environment[jobVariables.mark] ?? '', code));
    return code;
  };
};

interface Ran {
  readonly lines: string[];
  readonly fault?: unknown;
}

async function run(options: Partial<JobOptions> = {}, timeoutSeconds = 60): Promise<Ran> {
  const lines: string[] = [];
  const reporter = { line: () => undefined, warn: () => undefined };
  const ran = runInJob(deployment(timeoutSeconds), {
    reporter,
    parameters: ['--fail-on', 'high'],
    onLine: ({ stream, text }) => lines.push(`${stream}: ${text}`),
    access: accessOf(local.client),
    pollMs: 20,
    startSeconds: 1,
    consoleSeconds: 1,
    ...options,
  });
  return ran.then(
    () => ({ lines }),
    (fault: unknown) => ({ lines, fault }),
  );
}

const statuses = () =>
  local.azure.state
    .ofType('Microsoft.App/jobs/executions')
    .map(({ body }) => textAt(objectAt(body, 'properties'), 'status'));

describe('the post-deploy step in a job', () => {
  it('gets the deployment, the digest of the files and the identity, and its output comes back in order', async () => {
    let given: ContainerRun | undefined;
    const end = ends(0, ['stdout', 'one'], ['stderr', 'two'], ['stdout', 'three']);
    behave = (container) => {
      given = container;
      return end(container);
    };
    expect(await run()).toEqual({ lines: ['stdout: one', 'stderr: two', 'stdout: three'] });
    expect(given?.image).toBe(image);
    expect(given?.command).toEqual(['node', 'commands/llama-db.mjs', 'post-deploy', '--fail-on', 'high']);
    expect(given?.environment).toMatchObject({ AZURE_CLIENT_ID: stableGuid('client') });
    expect(given?.environment[jobVariables.files]).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(given?.environment['LLAMA_DB_DEPLOYMENT'] ?? '')).toEqual(deployment(60));
    expect(statuses()).toEqual(['Succeeded']);
  });

  it('gets tokens of its own identity, and of no other', async () => {
    const answers: number[] = [];
    behave = async (container) => {
      const { IDENTITY_ENDPOINT: endpoint, IDENTITY_HEADER: secret = '' } = container.environment;
      const ask = async (client: string, header: string) => {
        const url = `${endpoint}?api-version=2019-08-01&resource=https://management.azure.com&client_id=${client}`;
        answers.push((await fetch(url, { headers: { 'X-IDENTITY-HEADER': header } })).status);
      };
      await ask(stableGuid('client'), secret);
      await ask(stableGuid('other'), secret);
      await ask(stableGuid('client'), 'wrong');
      return ends(0)(container);
    };
    await run();
    expect(answers).toEqual([200, 400, 401]);
  });

  it('brings back the exit status and the last line of a failed step', async () => {
    behave = ends(
      3,
      ['stdout', 'Connected'],
      ['stderr', 'Migration 7 failed: no. Do it. [migration/failed]'],
    );
    const { lines, fault } = await run();
    expect(lines).toHaveLength(2);
    expect(fault).toMatchObject({ code: 'post-deploy/job-failed', exitCode: 3 });
    expect(String(fault)).toMatch(/with exit status 3: Migration 7 failed.*\[migration\/failed\]/);
  });

  it('does not start a job that has another image than the deployment, or that is gone', async () => {
    const { state } = local.azure;
    const resource = state.get(local.resource(jobPath));
    const container = objectAt(resource?.body, 'properties', 'template', 'containers', 0);
    container['image'] = 'other.azurecr.io/code@sha256:0';
    expect((await run()).fault).toMatchObject({ code: 'post-deploy/job-differs' });
    state.delete(local.resource(jobPath));
    expect((await run()).fault).toMatchObject({ code: 'post-deploy/job-missing' });
    expect(statuses()).toEqual([]);
  });

  it('is refused to an identity without the right to start it', async () => {
    const { state } = local.azure;
    for (const { id } of state.ofType('Microsoft.Authorization/roleAssignments')) state.delete(id);
    const { fault } = await run();
    expect(fault).toMatchObject({ code: 'post-deploy/job-refused' });
    expect(String(fault)).toContain('AuthorizationFailed (HTTP 403)');
    expect(String(fault)).toContain('llama-db bootstrap');
  });

  it('never starts if its image cannot be pulled, and is stopped after its time', async () => {
    behave = async () => undefined;
    const { fault } = await run({}, 1);
    expect(fault).toMatchObject({ code: 'post-deploy/job-silent' });
    expect(String(fault)).toContain('its image was not pulled');
  });

  it('is stopped after its time, with what it has written', async () => {
    behave = async ({ onLine, signal }) => {
      onLine('stdout', 'Waiting for a lock');
      await setTimeout(60_000, undefined, { signal }).catch(() => undefined);
      return 137;
    };
    const { lines, fault } = await run({}, 1);
    expect(lines).toEqual(['stdout: Waiting for a lock']);
    expect(fault).toMatchObject({ code: 'post-deploy/job-timed-out' });
    expect(statuses()).toEqual(['Stopped']);
  });

  it('has come to the end of its time, and has not failed, if Azure stops it', async () => {
    const { state } = local.azure;
    const { configuration = {} } = objectAt(state.get(local.resource(jobPath))?.body, 'properties');
    Object.assign(configuration as object, { replicaTimeout: 1 });
    behave = async ({ onLine, signal }) => {
      onLine('stdout', 'Waiting for a lock');
      await setTimeout(60_000, undefined, { signal }).catch(() => undefined);
      return 137;
    };
    const { fault } = await run({ startSeconds: 60 }, 1);
    expect(statuses()).toEqual(['Failed']);
    expect(fault).toMatchObject({ code: 'post-deploy/job-timed-out' });
    expect(String(fault)).toMatch(/stopped after 1 s.*Waiting for a lock/);
  });

  it('is stopped when the command is interrupted', async () => {
    const interrupt = new AbortController();
    behave = async ({ signal }) => {
      interrupt.abort();
      await setTimeout(60_000, undefined, { signal }).catch(() => undefined);
      return 137;
    };
    const { fault } = await run({ signal: interrupt.signal });
    expect(fault).toMatchObject({ code: 'post-deploy/job-stopped' });
    expect(statuses()).toEqual(['Stopped']);
  });

  it('says that it succeeded without its output, if nothing keeps the output', async () => {
    local.azure.state.delete(
      `${local.resource(environmentPath)}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`,
    );
    behave = ends(0, ['stdout', 'one']);
    expect((await run()).fault).toMatchObject({ code: 'post-deploy/job-output-missing' });
  });
});

function deployment(timeoutSeconds: number): Deployment {
  const production = environments.named('production');
  const document = deploymentDocument(production, {
    ...localAttributes(production),
    postDeployJob: { id: local.resource(jobPath), environmentId: local.resource(environmentPath) },
  });
  const identityId = local.resource(identityPath);
  return {
    ...document,
    ...(document.azure && {
      azure: { ...document.azure, postDeployJob: { image, identityId, timeoutSeconds } },
    }),
  };
}

/** Azure through the proxy of the local one, as the deploying identity. */
function accessOf(client: AzureClient): AzureAccess {
  return {
    credential: {
      getToken: async () => {
        const { authorization = '' } = await client.authorization('https://management.azure.com');
        return {
          token: authorization.replace('Bearer ', ''),
          expiresOnTimestamp: Date.now() + 3_600_000,
        };
      },
    },
    options: {
      retryOptions: { maxRetries: 0 },
      httpClient: {
        async sendRequest(request) {
          const { pathname, search, hostname } = new URL(request.url);
          const sent: Record<string, string> = {};
          for (const [name, value] of request.headers) sent[name.toLowerCase()] = value;
          const { status, text } = await client.call(request.method, pathname + search, {
            host: hostname,
            headers: sent,
            ...(request.body ? { body: JSON.parse(String(request.body)) } : {}),
          });
          return { request, status, headers: request.headers, bodyAsText: text };
        },
      },
    },
  };
}
