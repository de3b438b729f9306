/** Microsoft.App: environments, jobs, their executions, and the console logs of an environment. */
import { stableGuid } from '../../../../azure/guid.ts';
import { sameId } from '../../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, parseJson, textAt } from '../../../../core/json.ts';
import type { RunContainer } from '../../contract.ts';
import { mayDo } from '../../core/access.ts';
import type { Azure } from '../../core/context.ts';
import { isSameRegion } from '../../core/locations.ts';
import { notPlayed } from '../../core/refusal.ts';
import type { Resource } from '../../core/resource-store.ts';
import { toDocument } from '../../core/resource-store.ts';
import { keep, notFound, refuseUnknownProperties, registerResourceType } from '../../core/resource-types.ts';
import { authorization } from '../../refusals/authorization.ts';
import { containerApps as refusals } from '../../refusals/container-apps.ts';
import { rangesOf } from '../network/private-endpoints.ts';
import { Executions, executionType } from './executions.ts';
import { container, environmentShape, jobShape } from './shapes.ts';

const environmentType = 'Microsoft.App/managedEnvironments';
const jobType = 'Microsoft.App/jobs';
const jobPath = `/subscriptions/{s}/resourceGroups/{g}/providers/${jobType}/{j}`;

/** @param run runs the containers. @default - the start of a job is not played */
export function registerContainerApps(
  azure: Azure,
  run: RunContainer | undefined,
): { stop(): Promise<void> } {
  registerEnvironments(azure);
  registerJobs(azure);
  const executions = new Executions(azure, run);
  registerExecutions(azure, executions);
  registerConsole(azure, executions);
  return { stop: () => executions.stopAll() };
}

function registerEnvironments(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: environmentType,
    shape: environmentShape,
    change: 'polled',
    patch: true,
    accept: (sent, { id, name }) => {
      const subnet = textAt(sent, 'properties', 'vnetConfiguration', 'infrastructureSubnetId');
      if (subnet !== undefined) refuseSubnet(azure, subnet, id);
      const { location } = sent;
      return keep(sent, {
        defaultDomain: `${name}.${location}.azurecontainerapps.io`,
        staticIp: '10.0.0.4',
        customDomainConfiguration: { customDomainVerificationId: stableGuid(id) },
        // Azure sets it for an environment with an internal load balancer.
        publicNetworkAccess: objectAt(sent, 'properties')['publicNetworkAccess'] ?? 'Disabled',
        infrastructureResourceGroup:
          objectAt(sent, 'properties')['infrastructureResourceGroup'] ?? `ME_${name}_${location}`,
      });
    },
    mayDelete: ({ id, name }) => {
      const job = store
        .ofType(jobType)
        .find(({ body }) => sameId(textAt(body, 'properties', 'environmentId'), id));
      if (job) throw refusals.environmentInUse(name, job.name);
    },
  });
}

function refuseSubnet(azure: Azure, subnetId: string, environment: string): void {
  const subnet = azure.store.get(subnetId);
  const delegated = objectsAt(subnet?.body, 'properties', 'delegations').some(
    (one) => textAt(one, 'properties', 'serviceName')?.toLowerCase() === 'microsoft.app/environments',
  );
  if (!delegated) throw refusals.subnetNotDelegated();
  const [range = '/32'] = rangesOf(subnet?.body ?? {});
  if (Number(range.split('/')[1]) > 27) throw refusals.subnetTooSmall(range);
  const other = azure.store
    .ofType(environmentType)
    .find(
      ({ id, body }) =>
        !sameId(id, environment) &&
        sameId(textAt(body, 'properties', 'vnetConfiguration', 'infrastructureSubnetId'), subnetId),
    );
  if (other) throw refusals.subnetInUse(other.name);
}

function registerJobs(azure: Azure): void {
  registerResourceType(azure, {
    type: jobType,
    shape: jobShape,
    change: 'polled',
    patch: true,
    accept: (sent, { existing }) => {
      refuseJob(azure, sent);
      return keep(sent, {
        environmentId:
          textAt(existing?.body, 'properties', 'environmentId') ??
          textAt(sent, 'properties', 'environmentId') ??
          null,
        outboundIpAddresses: [],
        eventStreamEndpoint: '',
      });
    },
  });
  azure.router.on(
    'POST',
    `${jobPath}/listSecrets`,
    ({ request }) => {
      jobAt(azure, parentOfAction(request.path));
      return { status: 200, body: { value: [] } };
    },
    { type: jobType },
  );
}

function refuseJob(azure: Azure, sent: JsonObject): void {
  const environmentId = textAt(sent, 'properties', 'environmentId');
  const environment = azure.store.get(environmentId);
  if (!environment || !isSameRegion(environment.body, sent))
    throw refusals.environmentNotFound(environmentId ?? '');
  const assigned = Object.keys(objectAt(sent, 'identity', 'userAssignedIdentities'));
  for (const { identity } of objectsAt(sent, 'properties', 'configuration', 'registries'))
    if (typeof identity === 'string' && !assigned.some((one) => sameId(one, identity)))
      throw refusals.identityNotAssigned(identity);
  for (const one of objectsAt(sent, 'properties', 'template', 'containers')) {
    const { cpu, memory } = objectAt(one, 'resources');
    const size = Number(cpu);
    if (
      !(size >= 0.25 && size <= 4 && Number.isInteger(size * 4)) ||
      Number.parseFloat(String(memory)) !== size * 2
    )
      throw refusals.resourcesNotOffered(String(cpu), String(memory));
  }
}

function registerExecutions(azure: Azure, executions: Executions): void {
  const { router, store } = azure;
  const executionAt = (path: string) => {
    const found = store.get(path);
    if (!found) throw notFound(azure, path);
    return found;
  };
  router.on(
    'POST',
    `${jobPath}/start`,
    ({ request }) => {
      const job = jobAt(azure, parentOfAction(request.path));
      const sent = parseJson(request.body.toString('utf8'));
      const template = objectAt({ sent: sent ?? {} }, 'sent');
      refuseUnknownProperties(template, { containers: [container], initContainers: 'any' }, 'A start');
      const { id, name } = executions.start(job, template);
      return { status: 200, body: { id, name } };
    },
    { type: jobType },
  );
  router.on(
    'GET',
    `${jobPath}/executions`,
    ({ request }) => ({
      status: 200,
      body: {
        value: store.children(jobAt(azure, parentOfAction(request.path)).id, executionType).map(toDocument),
      },
    }),
    { type: executionType },
  );
  router.on(
    'GET',
    `${jobPath}/executions/{e}`,
    ({ request }) => ({ status: 200, body: toDocument(executionAt(request.path)) }),
    { type: executionType },
  );
  router.on(
    'POST',
    `${jobPath}/executions/{e}/stop`,
    async ({ request }) => {
      await executions.stop(executionAt(parentOfAction(request.path)));
      return { status: 200 };
    },
    { type: executionType },
  );
}

const parentOfAction = (path: string) => path.replace(/\/[^/]+\/?$/, '');

function jobAt(azure: Azure, path: string): Resource {
  const job = azure.store.get(path);
  if (!job) throw notFound(azure, path);
  return job;
}

const table = 'ContainerAppConsoleLogs';
/** The one query that is played, in Kusto's language. */
const query =
  /^ContainerAppConsoleLogs \| where ContainerGroupName startswith "([a-z0-9-]+)" \| order by TimeGenerated asc \| project TimeGenerated, Stream, Log$/;

/**
 * Logs of one resource through the resource manager:
 * https://learn.microsoft.com/azure/azure-monitor/logs/api/azure-resource-queries
 */
function registerConsole(azure: Azure, executions: Executions): void {
  azure.router.on(
    'GET',
    '/{scope*}/providers/Microsoft.Insights/logs',
    ({ request }) => {
      const resource = request.path.replace(/\/providers\/Microsoft\.Insights\/logs\/?$/i, '');
      const caller = ['https://management.azure.com', 'https://management.core.windows.net']
        .map((audience) => azure.directory.callerOf(request, audience))
        .find((one) => one !== undefined);
      const action = `Microsoft.Insights/logs/${table}/read`;
      if (!caller || !mayDo(azure, caller.objectId, 'actions', action, resource))
        throw authorization.authorizationFailed(
          caller?.appId ?? '',
          caller?.objectId ?? '',
          action,
          resource,
        );
      const [, replica] = query.exec(request.query.get('query') ?? '') ?? [];
      if (replica === undefined)
        throw notPlayed('QueryNotPlayed', `The query ${request.query.get('query')} is not played.`);
      const rows = executions
        .console(resource)
        .filter((line) => line.replica.startsWith(replica))
        .map(({ at, stream, log }) => [new Date(at).toISOString(), stream, log]);
      const columns = [
        { name: 'TimeGenerated', type: 'datetime' },
        { name: 'Stream', type: 'string' },
        { name: 'Log', type: 'string' },
      ];
      return { status: 200, body: { tables: [{ name: 'PrimaryResult', columns, rows }] } };
    },
    { type: 'Microsoft.Insights/logs', query: ['query', 'timespan'] },
  );
}
