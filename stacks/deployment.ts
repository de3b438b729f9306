/**
 * The deployment document: what the post-deploy step and verification know of a deployment. Two callers build it: the
 * stack, with references that Terraform resolves, and a local run, with plain text.
 */
import { builtInRoles } from '../azure/built-in-roles.ts';
import { derivedNames } from '../azure/resource-names.ts';
import type { Deployment, ExpectedAzure, ExpectedServer } from '../database/deployment.ts';
import type { ResolvedEnvironment, ResolvedServer } from '../environments/resolved.ts';

/** Attributes that only the deployed resources know. None is sensitive: Terraform would hide the step's whole output. */
export interface DeploymentAttributes
  extends Pick<
    Deployment,
    'subscriptionId' | 'endpoints' | 'keyVaultUri' | 'fieldEncryptionKeyId' | 'surroundings' | 'postDeployJob'
  > {
  readonly primary: Deployment['primary'];
  readonly replica?: Deployment['replica'];
}

export function deploymentDocument(
  environment: ResolvedEnvironment,
  attributes: DeploymentAttributes,
): Deployment {
  const { writer, database, authentication } = environment;
  return {
    environment: environment.name,
    ...attributes,
    writer: writer.role,
    database: database.name,
    version: environment.version,
    administrator: authentication.administrators[0].name,
    ...(authentication.passwordLogin && { passwordAdministrator: authentication.passwordLogin.login }),
    authentication: 'entra',
    extensions: [...environment.extensions],
    parameters: Object.fromEntries(writer.parameters),
    logins: database.logins.map(({ name, objectId, type, role }) => ({ name, objectId, type, role })),
    ...(environment.longTermBackup && { longTermBackup: true }),
    pools: database.pools.map(({ name, maxSize, instances }) => ({ name, maxSize, instances })),
    partitions: {
      monthsAhead: database.partitions.monthsAhead,
      retentionDays: { ...database.partitions.retentionDays },
    },
    azure: expectedAzure(environment),
  };
}

/** Verification compares these with Azure, because Terraform ignores changes of some of them after the creation. */
function expectedAzure(environment: ResolvedEnvironment): ExpectedAzure {
  const { servers, network, authentication, virtualEndpoint, protection, monitoring, postDeployJob } =
    environment;
  const { dayOfWeek, startHour, startMinute } = environment.maintenanceWindow;
  return {
    primary: expectedServer(servers.primary),
    ...(servers.replica && { replica: expectedServer(servers.replica) }),
    network: network.mode,
    allowedRanges:
      network.mode === 'public' ? network.allowedRanges.map(({ start, end }) => ({ start, end })) : [],
    passwordLogin: authentication.passwordLogin !== undefined,
    administrators: authentication.administrators.map(({ name, objectId }) => ({ name, objectId })),
    maintenanceWindow: { dayOfWeek, startHour, startMinute },
    ...(virtualEndpoint && { virtualEndpoint: virtualEndpoint.name }),
    alertsEnabled: monitoring.enabled,
    receivers: receiversOf(monitoring.actionGroup),
    deletionLock: protection.deletionLock,
    ...(postDeployJob && {
      postDeployJob: {
        image: postDeployJob.image,
        identityId: postDeployJob.identityId,
        timeoutSeconds: postDeployJob.timeoutMinutes * 60,
      },
    }),
  };
}

function expectedServer(server: ResolvedServer): ExpectedServer {
  const { name, sku, storage, zones, highAvailability, backup, parameters, access, archive } = server;
  return {
    sku: sku.size,
    tier: sku.tier,
    storageGb: storage.sizeGb,
    autoGrow: storage.autoGrow,
    ...(zones && { zones: [...zones] }),
    highAvailability: highAvailability?.mode ?? 'Disabled',
    ...(backup && { backup: { ...backup } }),
    parameters: Object.fromEntries(parameters),
    ...(access.length > 0 && {
      access: access.map(({ objectId, role }) => ({
        name: derivedNames.serverAccess(name, objectId, role),
        objectId,
        roleId: builtInRoles[role].id,
      })),
    }),
    ...(archive && { archive }),
  };
}

/** By the names that Azure has for the kinds. */
function receiversOf(group: ResolvedEnvironment['monitoring']['actionGroup']): string[] {
  const { emails, texts, calls, webhooks, roles } = group;
  return Object.entries({
    email: emails,
    sms: texts,
    voice: calls,
    webhook: webhooks,
    armRole: roles,
  }).flatMap(([kind, receivers]) => receivers.map(({ name }) => `${kind} ${name}`));
}

/**
 * The attributes that an environment would have after a deployment, without one: host names as Azure forms them, no
 * resource ids and no vault.
 */
export function localAttributes({ servers, virtualEndpoint }: ResolvedEnvironment): DeploymentAttributes {
  const host = (name: string) => `${name}.postgres.database.azure.com`;
  return {
    primary: { host: host(servers.primary.name) },
    ...(servers.replica && { replica: { host: host(servers.replica.name) } }),
    ...(virtualEndpoint && {
      endpoints: {
        writer: host(`${virtualEndpoint.name}.writer`),
        reader: host(`${virtualEndpoint.name}.reader`),
      },
    }),
  };
}
