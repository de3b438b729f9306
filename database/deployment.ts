/**
 * What the post-deploy step is told about a deployment: attributes of the resources and the settings that
 * concern the database, nothing secret.
 *
 * Inside an apply it arrives as `LLAMA_DB_DEPLOYMENT` in the provisioner's environment (outputs cannot be read
 * there); afterwards the same document is the Terraform output `deployment`.
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

/** What one server should be, `writer` taken into account. */
const expectedServer = z.object({
  /** Size without its tier's prefix: `Standard_D4s_v3`. */
  sku: z.string(),
  tier: z.enum(tiers),
  /** GB; the least there may be where it grows by itself. */
  storageGb: z.number().int(),
  autoGrow: z.boolean(),
  /** Zone of the server and, with a standby, the other's: a failover exchanges them. Absent: Azure chose one. */
  zones: z.array(z.string()).optional(),
  highAvailability: z.enum(highAvailabilityStates),
  /** Only the server that takes writes has backups of its own. */
  backup: z.object({ retentionDays: z.number().int(), geoRedundant: z.boolean() }).optional(),
  /** As set, values as Azure spells them. */
  parameters,
});

/** What Azure should say of the deployment, as its settings have it. */
const expectedAzure = z.object({
  primary: expectedServer,
  replica: expectedServer.optional(),
  network: z.enum(networkModes),
  /** Ranges that may connect to public servers. */
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
  deletionLock: z.enum(deletionLockModes),
});

/** Azure resources beside the servers. Absent where nothing is deployed. */
const surroundings = z.object({
  workspaceId: z.string(),
  actionGroupId: z.string(),
  /** Resource group of the alerts. */
  alertGroup: z.string(),
  metricAlerts: z.array(z.string()),
  activityAlerts: z.array(z.string()),
  /** Resource id of the vault; absent where it is adopted and others watch and lock it. */
  vaultId: z.string().optional(),
  /** Resource id of the field-encryption key. */
  keyId: z.string(),
});

export type ExpectedServer = z.output<typeof expectedServer>;
export type ExpectedAzure = z.output<typeof expectedAzure>;

export const deploymentSchema = z.object({
  environment: z.string(),
  subscriptionId: z.string().optional(),
  primary: server,
  replica: server.optional(),
  /** Which of the two takes writes. */
  writer: z.enum(serverRoles),
  /** Host names that follow a switchover. */
  endpoints: z.object({ writer: z.string(), reader: z.string() }).optional(),
  database: z.string(),
  /** PostgreSQL major version. */
  version: z.number().int(),
  /** Entra administrator (a group's name), or the administrator login where passwords are allowed. */
  administrator: z.string(),
  authentication: z.enum(['entra', 'password']),
  extensions: z.array(z.string()),
  /** Server parameters as set, values as Azure spells them. */
  parameters,
  logins: z.array(
    z.object({
      name: z.string(),
      objectId: z.string(),
      type: z.enum(principalTypes),
      role: z.enum(loginRoles),
    }),
  ),
  pools: z.array(z.object({ name: z.string(), maxSize: z.number().int(), instances: z.number().int() })),
  partitions: z.object({
    monthsAhead: z.number().int(),
    retentionDays: z.record(z.string(), z.number().int()),
  }),
  keyVaultUri: z.string().optional(),
  /** Versionless id of the key that wraps the tenants' data keys. */
  fieldEncryptionKeyId: z.string().optional(),
  azure: expectedAzure.optional(),
  surroundings: surroundings.optional(),
});

export type Deployment = z.output<typeof deploymentSchema>;
