/**
 * What the post-deploy step is told about a deployment. One definition for both who say it: the stack, where the
 * attributes are references that Terraform fills in, and a local run, where they are plain text.
 */
import type { Deployment } from '../database/deployment.ts';
import { serverParameters } from '../environments/parameters.ts';
import type { EnvironmentSettings } from '../environments/settings.ts';

/** What only the deployed resources know. Nothing sensitive: Terraform would hide the step's whole output. */
export interface DeploymentAttributes
  extends Pick<Deployment, 'subscriptionId' | 'endpoints' | 'keyVaultUri' | 'fieldEncryptionKeyId'> {
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
    parameters: Object.fromEntries(serverParameters(settings).map(({ name, value }) => [name, value])),
    logins: database.logins.map(({ name, objectId, type, role }) => ({ name, objectId, type, role })),
    pools: database.pools.map(({ name, maxSize, instances }) => ({ name, maxSize, instances })),
    partitions: {
      monthsAhead: database.partitions.monthsAhead,
      retentionDays: { ...database.partitions.retentionDays },
    },
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
