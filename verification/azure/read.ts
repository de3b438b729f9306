/**
 * Reads what the checks of group azure compare, with GET requests only and with the identity that is signed in. A
 * missing permission makes one part unreadable; the other parts are still read.
 */
import { setMaxListeners } from 'node:events';
import type { ManagementLockClient } from '@azure/arm-locks';
import type { MonitorClient } from '@azure/arm-monitor';
import type { PostgreSQLManagementFlexibleServerClient, Server } from '@azure/arm-postgresql-flexible';
import type { GenericResource, ResourceManagementClient } from '@azure/arm-resources';
import { versionFor } from '../../azure/resource-types.ts';
import { serverRoles } from '../../azure/vocabulary.ts';
import { at, type JsonObject, numberAt, objectAt, objectsAt, textAt, textsAt } from '../../core/json.ts';
import { type AzureAccess, azureReason, parseResourceId, signedIn } from '../../database/azure-access.ts';
import type { Deployment } from '../../database/deployment.ts';
import type {
  Alert,
  AzureFacts,
  Diagnostics,
  LogAlert,
  Read,
  RoleAssignment,
  ServerFacts,
  ServerReadings,
} from './facts.ts';

/** Limit for all requests together; a part without an answer by then is unreadable. */
const timeoutSeconds = 60;

/** The management clients of one subscription, and the signal that ends their requests. */
interface Control {
  readonly servers: PostgreSQLManagementFlexibleServerClient;
  readonly monitor: MonitorClient;
  readonly locks: ManagementLockClient;
  readonly resources: ResourceManagementClient;
  readonly abortSignal: AbortSignal;
}

interface Named {
  readonly group: string;
  readonly name: string;
}

/**
 * Reads the control plane once.
 *
 * @returns the reason if the deployment names no Azure resource or nobody is signed in
 */
export async function readAzure(deployment: Deployment, access?: AzureAccess): Promise<Read<AzureFacts>> {
  const primary = parseResourceId(deployment.primary.id);
  if (!primary || !deployment.azure)
    return { unreadable: 'the deployment names no Azure resource', absent: true };
  const control = await connect(primary.subscription, access ?? (await signedIn()));
  if ('unreadable' in control) return control;
  const writer = parseResourceId(deployment[deployment.writer]?.id) ?? primary;
  const roles = serverRoles.filter((role) => deployment[role]?.id !== undefined);
  const [servers, ofWriter, surroundings, postDeployJob] = await Promise.all([
    Promise.all(
      roles.map((role) =>
        readServer(control.value, role, deployment[role]?.id ?? '', deployment.azure?.[role]?.access ?? []),
      ),
    ),
    readWriter(control.value, writer),
    readSurroundings(control.value, deployment.surroundings),
    readJob(control.value, deployment.postDeployJob),
  ]);
  return { value: { now: new Date(), servers, ...ofWriter, ...surroundings, postDeployJob } };
}

async function connect(
  subscription: string,
  { credential, options = {} }: AzureAccess,
): Promise<Read<Control>> {
  const abortSignal = AbortSignal.timeout(timeoutSeconds * 1000);
  // Every request listens to it, and more than ten at once are intended.
  setMaxListeners(0, abortSignal);
  try {
    const token = await credential.getToken('https://management.azure.com/.default', { abortSignal });
    if (!token) return { unreadable: 'nobody is signed in to Azure here' };
  } catch (error) {
    return { unreadable: `nobody is signed in to Azure here: ${identityReason(error)}` };
  }
  const [
    { PostgreSQLManagementFlexibleServerClient },
    { MonitorClient },
    { ManagementLockClient },
    { ResourceManagementClient },
  ] = await Promise.all([
    import('@azure/arm-postgresql-flexible'),
    import('@azure/arm-monitor'),
    import('@azure/arm-locks'),
    import('@azure/arm-resources'),
  ]);
  return {
    value: {
      servers: new PostgreSQLManagementFlexibleServerClient(credential, subscription, options),
      monitor: new MonitorClient(credential, subscription, options),
      locks: new ManagementLockClient(credential, subscription, options),
      resources: new ResourceManagementClient(credential, subscription, options),
      abortSignal,
    },
  };
}

async function readServer(
  control: Control,
  role: ServerReadings['role'],
  id: string,
  access: readonly { readonly name: string }[],
): Promise<ServerReadings> {
  const { group = '', name = '' } = parseResourceId(id) ?? {};
  const { servers, abortSignal } = control;
  const abort = { abortSignal };
  const [server, parameters, connections, firewall, diagnostics, locks, assignments] = await Promise.all([
    read(control, 'the server', async () => serverFacts(await servers.servers.get(group, name, abort))),
    list(control, 'parameters', servers.configurations.listByServer(group, name, abort), (one) => ({
      name: one.name ?? '',
      value: one.value ?? '',
      defaultValue: one.defaultValue ?? '',
      source: one.source ?? '',
      pendingRestart: one.isConfigPendingRestart ?? false,
      readOnly: one.isReadOnly ?? false,
    })),
    list(
      control,
      'private endpoint connections',
      servers.privateEndpointConnections.listByServer(group, name, abort),
      (one) => ({
        name: one.privateEndpoint?.id?.split('/').at(-1) ?? one.name ?? '',
        status: one.privateLinkServiceConnectionState?.status ?? 'unknown',
      }),
    ),
    list(control, 'firewall rules', servers.firewallRules.listByServer(group, name, abort), (one) => ({
      name: one.name ?? '',
      start: one.startIpAddress,
      end: one.endIpAddress,
    })),
    readDiagnostics(control, id),
    readLocks(control, id),
    readAccess(control, id, access),
  ]);
  return { role, server, parameters, connections, firewall, diagnostics, locks, access: assignments };
}

/** The role assignments of these names on a resource. Those that do not exist are left out. */
function readAccess(
  control: Control,
  id: string,
  names: readonly { readonly name: string }[],
): Promise<Read<readonly RoleAssignment[]>> {
  const { resources, abortSignal } = control;
  return read(control, 'role assignments', async () => {
    const found = names.map(({ name }) =>
      unlessMissing(async (): Promise<RoleAssignment> => {
        const path = `${withoutSlash(id)}/providers/Microsoft.Authorization/roleAssignments/${name}`;
        const properties = propertiesOf(
          await resources.resources.getById(path, versionFor(path), { abortSignal }),
        );
        return {
          name,
          objectId: textAt(properties, 'principalId') ?? '',
          roleId: (textAt(properties, 'roleDefinitionId') ?? '').split('/').at(-1) ?? '',
        };
      }),
    );
    return (await Promise.all(found)).filter((one) => one !== undefined);
  });
}

/** Resources that exist once per pair, at the server that takes writes. */
async function readWriter(control: Control, { group, name }: Named) {
  const { servers, abortSignal } = control;
  const abort = { abortSignal };
  const [administrators, backups, virtualEndpoints] = await Promise.all([
    list(
      control,
      'administrators',
      servers.administratorsMicrosoftEntra.listByServer(group, name, abort),
      (one) => ({ objectId: one.objectId ?? '', name: one.principalName ?? '' }),
    ),
    list(control, 'backups', servers.backupsAutomaticAndOnDemand.listByServer(group, name, abort), (one) => ({
      name: one.name ?? '',
      completed: one.completedTime,
    })),
    list(control, 'virtual endpoints', servers.virtualEndpoints.listByServer(group, name, abort), (one) => ({
      name: one.name ?? '',
      members: one.members ?? [],
    })),
  ]);
  return { administrators, backups, virtualEndpoints };
}

async function readSurroundings(control: Control, surroundings: Deployment['surroundings']) {
  if (!surroundings) {
    const absent = { unreadable: 'the deployment does not name it', absent: true } as const;
    return {
      metricAlerts: absent,
      activityAlerts: absent,
      logAlerts: absent,
      actionGroup: absent,
      weeklyBackup: absent,
      workspace: absent,
      vaultDiagnostics: { value: undefined },
      vaultLocks: { value: [] },
      key: absent,
    };
  }
  const { monitor, resources, abortSignal } = control;
  const { alertGroup, actionGroupId, workspaceId, vaultId, keyId, weeklyBackupId } = surroundings;
  const abort = { abortSignal };
  const [
    metricAlerts,
    activityAlerts,
    logAlerts,
    actionGroup,
    workspace,
    vaultDiagnostics,
    vaultLocks,
    key,
    weeklyBackup,
  ] = await Promise.all([
    list(
      control,
      'metric alerts',
      monitor.metricAlerts.listByResourceGroup(alertGroup, abort),
      ({ name = '', enabled, actions }): Alert => ({
        name,
        enabled,
        actionGroups: (actions ?? []).flatMap((action) => action.actionGroupId ?? []),
      }),
    ),
    list(
      control,
      'activity alerts',
      monitor.activityLogAlerts.listByResourceGroup(alertGroup, abort),
      ({ name = '', enabled = true, actions }): Alert => ({
        name,
        enabled,
        actionGroups: (actions?.actionGroups ?? []).map((action) => action.actionGroupId),
      }),
    ),
    readLogAlerts(control, surroundings),
    read(control, 'the action group', async () => {
      const { group = '', name = '' } = parseResourceId(actionGroupId) ?? {};
      const one = await monitor.actionGroups.get(group, name, abort);
      const receivers = Object.entries(one).filter(([property]) => property.endsWith('Receivers'));
      return {
        enabled: one.enabled ?? true,
        receivers: receivers.flatMap(([property, members]) =>
          (Array.isArray(members) ? members : []).map(
            ({ name, status }: { readonly name?: string; readonly status?: string }) => ({
              name: `${property.slice(0, -'Receivers'.length)} ${name}`,
              enabled: status !== 'Disabled',
            }),
          ),
        ),
      };
    }),
    read(control, 'the workspace', async () => {
      const found = await resources.resources.getById(
        withoutSlash(workspaceId),
        versionFor(workspaceId),
        abort,
      );
      return { sharedKeys: at(propertiesOf(found), 'features', 'disableLocalAuth') !== true };
    }),
    vaultId ? readDiagnostics(control, vaultId) : { value: undefined },
    vaultId ? readLocks(control, vaultId) : { value: [] },
    read(control, 'the key', async () =>
      keyFacts(await resources.resources.getById(withoutSlash(keyId), versionFor(keyId), abort)),
    ),
    weeklyBackupId === undefined
      ? { unreadable: 'the settings have no longTermBackup', absent: true as const }
      : read(control, 'the weekly backup', async () => {
          const one = await unlessMissing(() =>
            resources.resources.getById(withoutSlash(weeklyBackupId), versionFor(weeklyBackupId), abort),
          );
          return one === undefined
            ? 'missing'
            : (textAt(propertiesOf(one), 'currentProtectionState') ?? 'unknown');
        }),
  ]);
  return {
    metricAlerts,
    activityAlerts,
    logAlerts,
    actionGroup,
    workspace,
    vaultDiagnostics,
    vaultLocks,
    key,
    weeklyBackup,
  };
}

async function readJob(
  control: Control,
  job: Deployment['postDeployJob'],
): Promise<AzureFacts['postDeployJob']> {
  if (!job) return { unreadable: 'the settings have no postDeployJob', absent: true };
  const { resources, abortSignal } = control;
  const diagnostics = await readDiagnostics(control, job.environmentId);
  if ('unreadable' in diagnostics) return diagnostics;
  return read(control, 'the post-deploy job', async () => {
    const found = await unlessMissing(() =>
      resources.resources.getById(withoutSlash(job.id), versionFor(job.id), { abortSignal }),
    );
    return found && { ...jobFacts(found), diagnostics: diagnostics.value };
  });
}

/** The client for Azure Monitor has an older version of the type, which does not list these rules. */
function readLogAlerts(
  control: Control,
  { alertGroup, logAlerts, actionGroupId }: NonNullable<Deployment['surroundings']>,
): Promise<Read<readonly LogAlert[]>> {
  const { resources, abortSignal } = control;
  const { subscription = '' } = parseResourceId(actionGroupId) ?? {};
  return read(control, 'log alerts', async () => {
    const found = logAlerts.map(({ name }) =>
      unlessMissing(async (): Promise<LogAlert> => {
        const id = `subscriptions/${subscription}/resourceGroups/${alertGroup}/providers/Microsoft.Insights/scheduledQueryRules/${name}`;
        const properties = propertiesOf(
          await resources.resources.getById(id, versionFor(`/${id}`), { abortSignal }),
        );
        return {
          name,
          enabled: at(properties, 'enabled') !== false,
          actionGroups: textsAt(properties, 'actions', 'actionGroups'),
          query: textAt(objectsAt(properties, 'criteria', 'allOf')[0], 'query') ?? '',
        };
      }),
    );
    return (await Promise.all(found)).filter((alert) => alert !== undefined);
  });
}

function readLocks(control: Control, id: string): Promise<Read<readonly string[]>> {
  const { locks, abortSignal } = control;
  const found = locks.managementLocks.listByScope(withoutSlash(id), { abortSignal });
  return list(control, 'locks', found, ({ level }) => level);
}

function readDiagnostics(control: Control, id: string): Promise<Read<Diagnostics | undefined>> {
  const { resources, abortSignal } = control;
  // The client for Azure Monitor uses an API version without category groups.
  const setting = `${withoutSlash(id)}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`;
  return read(control, 'diagnostic settings', () =>
    unlessMissing(async () =>
      diagnosticsFacts(await resources.resources.getById(setting, versionFor(setting), { abortSignal })),
    ),
  );
}

/** The management clients add the leading slash. */
const withoutSlash = (id: string) => id.replace(/^\//, '');

/** Reads one part; an error is the reason why it is unreadable. */
async function read<Value>(
  { abortSignal }: Control,
  part: string,
  work: () => Promise<Value>,
): Promise<Read<Value>> {
  try {
    return { value: await work() };
  } catch (error) {
    const reason = abortSignal.aborted ? `no answer within ${timeoutSeconds} s` : azureReason(error);
    return { unreadable: `Azure did not return ${part}: ${reason}` };
  }
}

/** Reads every page of a list. */
function list<Item, Value>(
  control: Control,
  part: string,
  pages: AsyncIterable<Item>,
  facts: (item: Item) => Value,
): Promise<Read<readonly Value[]>> {
  return read(control, part, async () => {
    const values: Value[] = [];
    for await (const item of pages) values.push(facts(item));
    return values;
  });
}

/** Undefined for a resource that does not exist. */
async function unlessMissing<Value>(work: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'statusCode') === 404) return undefined;
    throw error;
  }
}

/** Entra's error code, or the kind of error. Never the message, which can quote the request. */
function identityReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown reason';
  return /AADSTS\d+/.exec(error.message)?.[0] ?? error.name;
}

function serverFacts(server: Server): ServerFacts {
  const { highAvailability, backup, network, authConfig, maintenanceWindow, storage, sku, replica } = server;
  return {
    name: server.name ?? '',
    id: server.id ?? '',
    state: server.state ?? 'unknown',
    version: server.version ?? '',
    sku: sku?.name ?? '',
    tier: sku?.tier ?? '',
    storageGb: storage?.storageSizeGB ?? 0,
    autoGrow: storage?.autoGrow === 'Enabled',
    zone: server.availabilityZone ?? '',
    highAvailability: {
      mode: highAvailability?.mode ?? 'Disabled',
      state: highAvailability?.state ?? 'NotEnabled',
      standbyZone: highAvailability?.standbyAvailabilityZone ?? '',
    },
    backup: {
      retentionDays: backup?.backupRetentionDays ?? 0,
      geoRedundant: backup?.geoRedundantBackup === 'Enabled',
      earliestRestore: backup?.earliestRestoreDate,
    },
    publicAccess: network?.publicNetworkAccess !== 'Disabled',
    delegatedSubnet: network?.delegatedSubnetResourceId !== undefined,
    passwordLogin: authConfig?.passwordAuth !== 'Disabled',
    entraLogin: authConfig?.activeDirectoryAuth === 'Enabled',
    maintenanceWindow: {
      custom: maintenanceWindow?.customWindow === 'Enabled',
      dayOfWeek: maintenanceWindow?.dayOfWeek ?? 0,
      startHour: maintenanceWindow?.startHour ?? 0,
      startMinute: maintenanceWindow?.startMinute ?? 0,
    },
    replicationRole: server.replicationRole ?? 'None',
    sourceId: server.sourceServerResourceId,
    replicationState: replica?.replicationState,
    createdAt: server.systemData?.createdAt,
  };
}

function diagnosticsFacts(resource: GenericResource): Diagnostics {
  const properties = propertiesOf(resource);
  const sent = (kind: 'logs' | 'metrics') =>
    objectsAt(properties, kind)
      .filter(({ enabled }) => enabled === true)
      .map((entry) => textAt(entry, 'categoryGroup') ?? textAt(entry, 'category') ?? '');
  return {
    workspaceId: textAt(properties, 'workspaceId') ?? '',
    storageAccountId: textAt(properties, 'storageAccountId') ?? '',
    eventHub: {
      authorizationRuleId: textAt(properties, 'eventHubAuthorizationRuleId') ?? '',
      name: textAt(properties, 'eventHubName') ?? '',
    },
    logs: sent('logs'),
    metrics: sent('metrics'),
  };
}

function jobFacts(resource: GenericResource) {
  const properties = propertiesOf(resource);
  const [container] = objectsAt(properties, 'template', 'containers');
  const configuration = objectAt(properties, 'configuration');
  return {
    image: textAt(container, 'image') ?? 'none',
    command: [...textsAt(container, 'command'), ...textsAt(container, 'args')].join(' '),
    identities: Object.keys(resource.identity?.userAssignedIdentities ?? {}),
    trigger: textAt(configuration, 'triggerType') ?? 'unknown',
    retries: numberAt(configuration, 'replicaRetryLimit') ?? 0,
    timeoutSeconds: numberAt(configuration, 'replicaTimeout') ?? 0,
  };
}

function keyFacts(resource: GenericResource) {
  const properties = propertiesOf(resource);
  // Seconds since 1970.
  const expires = numberAt(properties, 'attributes', 'exp');
  return {
    enabled: at(properties, 'attributes', 'enabled') !== false,
    expires: expires === undefined ? undefined : new Date(expires * 1000),
    rotates: objectsAt(properties, 'rotationPolicy', 'lifetimeActions').some(
      (action) => textAt(action, 'action', 'type')?.toLowerCase() === 'rotate',
    ),
  };
}

const propertiesOf = ({ properties }: GenericResource) => properties as JsonObject | undefined;
