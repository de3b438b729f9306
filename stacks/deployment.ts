/**
 * What the post-deploy step is told about a deployment. One definition for both who say it: the stack, where the
 * attributes are references that Terraform fills in, and a local run, where they are plain text.
 */
import { parseSku } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import type { Deployment, ExpectedAzure, ExpectedServer } from '../database/deployment.ts';
import { serverParameters } from '../environments/parameters.ts';
import type { EnvironmentSettings } from '../environments/settings.ts';

/** What only the deployed resources know. Nothing sensitive: Terraform would hide the step's whole output. */
export interface DeploymentAttributes
  extends Pick<
    Deployment,
    'subscriptionId' | 'endpoints' | 'keyVaultUri' | 'fieldEncryptionKeyId' | 'surroundings'
  > {
  readonly primary: Deployment['primary'];
  readonly replica?: Deployment['replica'];
}

export function deploymentDocument(
  settings: EnvironmentSettings,
  attributes: DeploymentAttributes,
): Deployment {
  const { server, database } = settings;
  const { administrators, passwordLogin, administratorLogin } = server.authentication;
  const administrator = administrators[0]?.name ?? (passwordLogin ? administratorLogin : undefined);
  if (administrator === undefined) {
    throw new Error(`${settings.name} has nobody who could log in, which its settings' rules refuse`);
  }
  return {
    environment: settings.name,
    ...attributes,
    writer: settings.writer,
    database: database.name,
    version: server.version,
    administrator,
    authentication: administrators.length > 0 ? 'entra' : 'password',
    extensions: [...server.extensions],
    parameters: parametersOf(settings, settings.writer),
    logins: database.logins.map(({ name, objectId, type, role }) => ({ name, objectId, type, role })),
    pools: database.pools.map(({ name, maxSize, instances }) => ({ name, maxSize, instances })),
    partitions: {
      monthsAhead: database.partitions.monthsAhead,
      retentionDays: { ...database.partitions.retentionDays },
    },
    azure: expectedAzure(settings),
  };
}

function parametersOf(settings: EnvironmentSettings, role: ServerRole): Record<string, string> {
  return Object.fromEntries(serverParameters(settings, role).map(({ name, value }) => [name, value]));
}

/** What Terraform leaves alone after the first day, verification compares: so it is told here as well. */
function expectedAzure(settings: EnvironmentSettings): ExpectedAzure {
  const { server, network, replica, virtualEndpoint, protection, monitoring } = settings;
  const { dayOfWeek, startHour, startMinute } = server.maintenanceWindow;
  return {
    primary: expectedServer(settings, 'primary'),
    ...(replica && { replica: expectedServer(settings, 'replica') }),
    network: network.mode,
    allowedRanges:
      network.mode === 'public' ? network.allowedRanges.map(({ start, end }) => ({ start, end })) : [],
    passwordLogin: server.authentication.passwordLogin,
    administrators: server.authentication.administrators.map(({ name, objectId }) => ({ name, objectId })),
    maintenanceWindow: { dayOfWeek, startHour, startMinute },
    ...(virtualEndpoint && { virtualEndpoint: virtualEndpoint.name }),
    alertsEnabled: monitoring.enabled,
    deletionLock: protection.deletionLock,
  };
}

function expectedServer(settings: EnvironmentSettings, role: ServerRole): ExpectedServer {
  const { server, replica } = settings;
  const own = role === 'replica' ? replica : undefined;
  const sku = parseSku(own?.sku ?? server.sku);
  if (!sku)
    throw new Error(`${settings.name} has no SKU called ${server.sku}, which its settings' rules refuse`);
  const storage = own?.storage ?? server.storage;
  const writes = settings.writer === role;
  const standby = writes ? server.highAvailability : undefined;
  const zone = own?.zone ?? server.zone;
  // A server that only became the writer has its standby where Azure put it.
  const zones =
    standby?.mode !== 'ZoneRedundant'
      ? [zone]
      : standby.standbyZone && role === 'primary'
        ? [zone, standby.standbyZone]
        : undefined;
  return {
    sku: sku.size,
    tier: sku.tier,
    storageGb: storage.sizeGb,
    autoGrow: storage.autoGrow,
    ...(zones && { zones }),
    highAvailability: standby?.mode ?? 'Disabled',
    ...(writes && { backup: { ...server.backup } }),
    parameters: parametersOf(settings, role),
  };
}

/**
 * The attributes an environment would have once deployed, without anything being deployed: host names as Azure
 * forms them, no resource ids and no vault.
 */
export function localAttributes(settings: EnvironmentSettings): DeploymentAttributes {
  const host = (name: string) => `${name}.postgres.database.azure.com`;
  const { replica, virtualEndpoint } = settings;
  return {
    primary: { host: host(settings.server.name) },
    ...(replica && { replica: { host: host(replica.name) } }),
    ...(virtualEndpoint && {
      endpoints: {
        writer: host(`${virtualEndpoint.name}.writer`),
        reader: host(`${virtualEndpoint.name}.reader`),
      },
    }),
  };
}
