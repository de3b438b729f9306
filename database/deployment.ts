/**
 * The deployment document, input of the post-deploy step: attributes of the resources and the settings that concern the
 * database. It contains no secrets.
 *
 * Inside an apply, where outputs cannot be read, it is the variable `LLAMA_DB_DEPLOYMENT` of the provisioner's
 * environment. Afterwards the same document is the Terraform output `deployment`.
 */
import { z } from 'zod';
import {
  deletionLockModes,
  highAvailabilityStates,
  networkModes,
  principalTypes,
  serverRoles,
  tiers,
} from '../azure/vocabulary.ts';
import { loginRoles } from './schema/roles.ts';

const server = z.object({
  /** Azure resource id; absent for a target given by URL. */
  id: z.string().optional(),
  /** Host name that its certificate must carry. */
  host: z.string(),
});

const parameters = z.record(z.string(), z.string());

/** The expected properties of one server; `writer` is taken into account. */
const expectedServer = z.object({
  /** Size without its tier's prefix: `Standard_D4s_v3`. */
  sku: z.string(),
  tier: z.enum(tiers),
  /** GB. With auto-grow it is the minimum. */
  storageGb: z.number().int(),
  autoGrow: z.boolean(),
  /** Zone of the server and of its standby, which a failover exchanges. @default - chosen by Azure */
  zones: z.array(z.string()).optional(),
  highAvailability: z.enum(highAvailabilityStates),
  /** Only the writer has backups of its own. */
  backup: z.object({ retentionDays: z.number().int(), geoRedundant: z.boolean() }).optional(),
  /** Values as Azure spells them. */
  parameters,
  /** Role assignments on the server, by their names. @default - not compared */
  access: z.array(z.object({ name: z.string(), objectId: z.string(), roleId: z.string() })).optional(),
  /** Second place of its logs. @default - the workspace only */
  archive: z
    .object({
      storageAccountId: z.string().optional(),
      eventHub: z.object({ authorizationRuleId: z.string(), name: z.string().optional() }).optional(),
    })
    .optional(),
});

/** The expected state of the deployment in Azure, derived from its settings. */
const expectedAzure = z.object({
  primary: expectedServer,
  replica: expectedServer.optional(),
  network: z.enum(networkModes),
  /** Address ranges that may connect to public servers. */
  allowedRanges: z.array(z.object({ start: z.string(), end: z.string() })),
  passwordLogin: z.boolean(),
  /** Entra administrators by object id. */
  administrators: z.array(z.object({ name: z.string(), objectId: z.string() })),
  maintenanceWindow: z.object({
    dayOfWeek: z.number().int(),
    startHour: z.number().int(),
    startMinute: z.number().int(),
  }),
  virtualEndpoint: z.string().optional(),
  alertsEnabled: z.boolean(),
  /** Receivers of alerts by kind and name: `email on-call`. @default - at least one */
  receivers: z.array(z.string()).optional(),
  deletionLock: z.enum(deletionLockModes),
  /** @default - there is none */
  postDeployJob: z
    .object({ image: z.string(), identityId: z.string(), timeoutSeconds: z.number().int() })
    .optional(),
});

/** Azure resources beside the servers. Absent if nothing is deployed. */
const surroundings = z.object({
  workspaceId: z.string(),
  actionGroupId: z.string(),
  /** Resource group of the alerts. */
  alertGroup: z.string(),
  metricAlerts: z.array(z.string()),
  activityAlerts: z.array(z.string()),
  /** With the query in Kusto's language. */
  logAlerts: z.array(z.object({ name: z.string(), query: z.string() })),
  /** Resource id of the vault; absent for an adopted vault, which others monitor and lock. */
  vaultId: z.string().optional(),
  /** Resource id of the field-encryption key. */
  keyId: z.string(),
  /** Resource id of the weekly backup's instance. @default - there is none */
  weeklyBackupId: z.string().optional(),
});

export type ExpectedServer = z.output<typeof expectedServer>;
export type ExpectedAzure = z.output<typeof expectedAzure>;

export const deploymentSchema = z.object({
  environment: z.string(),
  subscriptionId: z.string().optional(),
  primary: server,
  replica: server.optional(),
  /** The server of the pair that accepts writes. */
  writer: z.enum(serverRoles),
  /** Host names that follow a switchover. */
  endpoints: z.object({ writer: z.string(), reader: z.string() }).optional(),
  database: z.string(),
  /** PostgreSQL major version. */
  version: z.number().int(),
  /** First Entra administrator, the name of a group. */
  administrator: z.string(),
  /** Login of the administrator with a password. @default - password login is off */
  passwordAdministrator: z.string().optional(),
  authentication: z.enum(['entra', 'password']),
  extensions: z.array(z.string()),
  /** Server parameters, values as Azure spells them. */
  parameters,
  logins: z.array(
    z.object({
      name: z.string(),
      objectId: z.string(),
      type: z.enum(principalTypes),
      role: z.enum(loginRoles),
    }),
  ),
  /** Whether Azure Backup also keeps a weekly backup of the server. @default - false */
  longTermBackup: z.boolean().optional(),
  pools: z.array(z.object({ name: z.string(), maxSize: z.number().int(), instances: z.number().int() })),
  partitions: z.object({
    monthsAhead: z.number().int(),
    retentionDays: z.record(z.string(), z.number().int()),
  }),
  keyVaultUri: z.string().optional(),
  /** Azure resource ids of the job that runs the post-deploy step inside the network, and of its environment. */
  postDeployJob: z.object({ id: z.string(), environmentId: z.string() }).optional(),
  /** Versionless id of the key that wraps the data keys of the tenants. */
  fieldEncryptionKeyId: z.string().optional(),
  azure: expectedAzure.optional(),
  surroundings: surroundings.optional(),
});

export type Deployment = z.output<typeof deploymentSchema>;
