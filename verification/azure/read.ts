/**
 * Reads what the checks of group azure judge: GET requests only, with whatever identity is signed in. A right that
 * is missing leaves its part unread; the others are read all the same.
 */
import { setMaxListeners } from 'node:events';
import type { PostgreSQLManagementFlexibleServerClient, Server } from '@azure/arm-postgresql-flexible';
import { serverRoles } from '../../azure/vocabulary.ts';
import { type AzureAccess, azureReason, parseResourceId, signedIn } from '../../database/azure-access.ts';
import type { Deployment } from '../../database/deployment.ts';
import type { AzureFacts, Diagnostics, Read, ServerFacts, ServerReadings } from './facts.ts';

type Servers = PostgreSQLManagementFlexibleServerClient;

/** Seconds that all of it may take; what has not come by then is unread. */
const patience = 60;

/**
 * One look at the control plane.
 *
 * @returns why there is none, when the deployment names no Azure resource or nobody is signed in
 */
export async function readAzure(deployment: Deployment, access?: AzureAccess): Promise<Read<AzureFacts>> {
  const primary = parseResourceId(deployment.primary.id);
  if (!primary || !deployment.azure) return { unreadable: 'the deployment names no resource of Azure' };
  const { credential, options = {} } = access ?? (await signedIn());
  const cancelled = AbortSignal.timeout(patience * 1000);
  // Every request listens to it; more than ten at once are meant.
  setMaxListeners(0, cancelled);
  try {
    const token = await credential.getToken('https://management.azure.com/.default', {
      abortSignal: cancelled,
    });
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
  const { subscription } = primary;
  const clients = {
    servers: new PostgreSQLManagementFlexibleServerClient(credential, subscription, options),
    monitor: new MonitorClient(credential, subscription, options),
    locks: new ManagementLockClient(credential, subscription, options),
    resources: new ResourceManagementClient(credential, subscription, options),
  };
  const read = <Value>(what: string, work: () => Promise<Value>) => attempted(what, cancelled, work);
  const abort = { abortSignal: cancelled };

  const locksOf = (id: string | undefined) =>
    read('locks', async () => {
      if (!id) return [];
      const levels: string[] = [];
      for await (const lock of clients.locks.managementLocks.listByScope(withoutSlash(id), abort))
        levels.push(lock.level);
      return levels;
    });
  const diagnosticsOf = (id: string | undefined) =>
    read('diagnostic settings', async () => {
      if (!id) return undefined;
      // The client for Azure Monitor speaks a version that does not know groups of categories.
      const setting = `${withoutSlash(id)}/providers/Microsoft.Insights/diagnosticSettings/log-analytics`;
      return found(async () =>
        diagnostics(await clients.resources.resources.getById(setting, '2021-05-01-preview', abort)),
      );
    });

  const both = serverRoles.filter((role) => deployment[role]?.id !== undefined);
  const { surroundings } = deployment;
  const writer = parseResourceId(deployment[deployment.writer]?.id) ?? primary;
  const none = <Value>(): Read<Value> => ({ unreadable: 'the deployment does not name it' });
  const [
    servers,
    administrators,
    backups,
    virtualEndpoints,
    metricAlerts,
    activityAlerts,
    actionGroup,
    vaultDiagnostics,
    vaultLocks,
    key,
  ] = await Promise.all([
    Promise.all(
      both.map(async (role): Promise<ServerReadings> => {
        const id = deployment[role]?.id ?? '';
        const { group = '', name = '' } = parseResourceId(id) ?? {};
        const [server, parameters, connections, firewall, settings, locks] = await Promise.all([
          read('the server', async () => serverFacts(await clients.servers.servers.get(group, name, abort))),
          read('parameters', () => parametersOf(clients.servers, group, name, cancelled)),
          read('private endpoint connections', () => connectionsOf(clients.servers, group, name, cancelled)),
          read('firewall rules', () => firewallOf(clients.servers, group, name, cancelled)),
          diagnosticsOf(id),
          locksOf(id),
        ]);
        return { role, server, parameters, connections, firewall, diagnostics: settings, locks };
      }),
    ),
    read('administrators', async () => {
      const list: { objectId: string; name: string }[] = [];
      const { administratorsMicrosoftEntra: all } = clients.servers;
      for await (const one of all.listByServer(writer.group, writer.name, abort)) {
        list.push({ objectId: one.objectId ?? '', name: one.principalName ?? '' });
      }
      return list;
    }),
    read('backups', async () => {
      const list: { name: string; completed: Date | undefined }[] = [];
      const { backupsAutomaticAndOnDemand: all } = clients.servers;
      for await (const one of all.listByServer(writer.group, writer.name, abort)) {
        list.push({ name: one.name ?? '', completed: one.completedTime });
      }
      return list;
    }),
    read('virtual endpoints', async () => {
      const list: { name: string; members: readonly string[] }[] = [];
      for await (const one of clients.servers.virtualEndpoints.listByServer(
        writer.group,
        writer.name,
        abort,
      )) {
        list.push({ name: one.name ?? '', members: one.members ?? [] });
      }
      return list;
    }),
    surroundings
      ? read('metric alerts', async () => {
          const list = [];
          const all = clients.monitor.metricAlerts.listByResourceGroup(surroundings.alertGroup, abort);
          for await (const { name = '', enabled, actions } of all) {
            const actionGroups = (actions ?? []).flatMap(({ actionGroupId }) => actionGroupId ?? []);
            list.push({ name, enabled, actionGroups });
          }
          return list;
        })
      : none<never>(),
    surroundings
      ? read('activity alerts', async () => {
          const list = [];
          const all = clients.monitor.activityLogAlerts.listByResourceGroup(surroundings.alertGroup, abort);
          for await (const { name = '', enabled = true, actions } of all) {
            const actionGroups = (actions?.actionGroups ?? []).map(({ actionGroupId }) => actionGroupId);
            list.push({ name, enabled, actionGroups });
          }
          return list;
        })
      : none<never>(),
    surroundings
      ? read('the action group', async () => {
          const { group = '', name = '' } = parseResourceId(surroundings.actionGroupId) ?? {};
          const one = await clients.monitor.actionGroups.get(group, name, abort);
          const receivers = Object.entries(one).filter(([property]) => property.endsWith('Receivers'));
          return {
            enabled: one.enabled ?? true,
            receivers: receivers.flatMap(([, list]) => (Array.isArray(list) ? list : [])).length,
          };
        })
      : none<never>(),
    diagnosticsOf(surroundings?.vaultId),
    locksOf(surroundings?.vaultId),
    surroundings
      ? read('the key', async () =>
          keyFacts(
            await clients.resources.resources.getById(withoutSlash(surroundings.keyId), '2023-07-01', abort),
          ),
        )
      : none<never>(),
  ]);
  return {
    value: {
      now: new Date(),
      servers,
      administrators,
      backups,
      virtualEndpoints,
      metricAlerts,
      activityAlerts,
      actionGroup,
      vaultDiagnostics,
      vaultLocks,
      key,
    },
  };
}

/** The clients put one before whatever they are given. */
const withoutSlash = (id: string) => id.replace(/^\//, '');

async function attempted<Value>(
  what: string,
  signal: AbortSignal,
  work: () => Promise<Value>,
): Promise<Read<Value>> {
  try {
    return { value: await work() };
  } catch (error) {
    const reason = signal.aborted ? `no answer within ${patience} s` : azureReason(error);
    return { unreadable: `Azure did not show ${what}: ${reason}` };
  }
}

/** Undefined for what does not exist. */
async function found<Value>(work: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error && Reflect.get(error, 'statusCode') === 404) return undefined;
    throw error;
  }
}

/** What Entra itself refused, else the kind of error; never a message, which can quote what was sent. */
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

async function parametersOf(client: Servers, group: string, name: string, abortSignal: AbortSignal) {
  const list = [];
  for await (const one of client.configurations.listByServer(group, name, { abortSignal })) {
    list.push({
      name: one.name ?? '',
      value: one.value ?? '',
      standard: one.defaultValue ?? '',
      source: one.source ?? '',
      pendingRestart: one.isConfigPendingRestart ?? false,
      readOnly: one.isReadOnly ?? false,
    });
  }
  return list;
}

async function connectionsOf(client: Servers, group: string, name: string, abortSignal: AbortSignal) {
  const list = [];
  for await (const one of client.privateEndpointConnections.listByServer(group, name, { abortSignal })) {
    list.push({
      name: one.privateEndpoint?.id?.split('/').at(-1) ?? one.name ?? '',
      status: one.privateLinkServiceConnectionState?.status ?? 'unknown',
    });
  }
  return list;
}

async function firewallOf(client: Servers, group: string, name: string, abortSignal: AbortSignal) {
  const list = [];
  for await (const one of client.firewallRules.listByServer(group, name, { abortSignal })) {
    list.push({ name: one.name ?? '', start: one.startIpAddress, end: one.endIpAddress });
  }
  return list;
}

interface GenericResource {
  // biome-ignore lint/suspicious/noExplicitAny: what Azure calls it; read below by name
  readonly properties?: any;
}

function diagnostics({ properties }: GenericResource): Diagnostics {
  const sent = (list: unknown) =>
    (Array.isArray(list) ? list : [])
      .filter(({ enabled }) => enabled === true)
      .map(({ category, categoryGroup }) => String(categoryGroup ?? category));
  return {
    workspaceId: String(properties?.workspaceId ?? ''),
    logs: sent(properties?.logs),
    metrics: sent(properties?.metrics),
  };
}

function keyFacts({ properties }: GenericResource) {
  const expires = properties?.attributes?.exp;
  const actions = properties?.rotationPolicy?.lifetimeActions;
  return {
    enabled: properties?.attributes?.enabled !== false,
    // Seconds since 1970.
    expires: typeof expires === 'number' ? new Date(expires * 1000) : undefined,
    rotates:
      Array.isArray(actions) && actions.some((one) => String(one?.action?.type).toLowerCase() === 'rotate'),
  };
}
