/**
 * What one environment is: the shape of its settings, their units and their defaults.
 *
 * Only the shape lives here. What must hold between fields, and what Azure would refuse, is in `rules/`, so
 * that every problem of every environment can be reported together before a file is written.
 */
import { z } from 'zod';
import {
  deletionLockModes,
  highAvailabilityModes,
  principalTypes,
  serverRoles,
} from '../azure/vocabulary.ts';
import { loginRoles } from '../database/schema/roles.ts';

const tags = z.record(z.string(), z.string());

/** A resource that is created here, or (`existing: true`) adopted by name and only referred to. */
const adoptable = z.strictObject({
  name: z.string(),
  /** Refer to a resource that already exists instead of creating it. @default false - created here */
  existing: z.boolean().default(false),
  /** Resource group that holds it. @default - the environment's own resource group */
  resourceGroup: z.string().optional(),
});

const subnet = z.strictObject({ name: z.string(), range: z.string() });

const virtualNetwork = adoptable.extend({
  /** CIDR ranges; an adopted network's ranges are repeated here so that its subnets can be checked. */
  addressSpace: z.array(z.string()).min(1),
});

const privateDnsZone = adoptable.omit({ name: true }).extend({
  /** @default - the zone Azure asks for in this network mode */
  name: z.string().optional(),
});

const regionalNetwork = z.strictObject({
  virtualNetwork,
  /** Subnet of the private endpoints (servers and Key Vault). */
  endpointSubnet: subnet,
  /** Subnet delegated to the Flexible Server; only in mode `virtualNetworkInjected`. */
  delegatedSubnet: subnet.optional(),
});

const ipRange = z.strictObject({ name: z.string(), start: z.string(), end: z.string() });

/**
 * How clients reach the servers. One of three; Azure refuses every mixture, some only while applying.
 */
const network = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal('privateEndpoint'),
    primary: regionalNetwork,
    /** Network of the replica's region. Required with a replica. */
    recovery: regionalNetwork.optional(),
    postgresqlZone: privateDnsZone.prefault({}),
    keyVaultZone: privateDnsZone.prefault({}),
  }),
  z.strictObject({
    mode: z.literal('virtualNetworkInjected'),
    primary: regionalNetwork,
    recovery: regionalNetwork.optional(),
    postgresqlZone: privateDnsZone.prefault({}),
    keyVaultZone: privateDnsZone.prefault({}),
  }),
  z.strictObject({
    mode: z.literal('public'),
    /** Every range that may connect, by name. Never the whole internet, never "all Azure services". */
    allowedRanges: z.array(ipRange),
    /** Network of the Key Vault's private endpoint, which stays closed in every mode. */
    primary: regionalNetwork,
    keyVaultZone: privateDnsZone.prefault({}),
  }),
]);

const highAvailability = z.strictObject({
  mode: z.enum(highAvailabilityModes),
  /** Availability zone of the standby when the server is created. @default - Azure chooses */
  standbyZone: z.string().optional(),
});

const maintenanceWindow = z.strictObject({
  /** 0 is Sunday. */
  dayOfWeek: z.int(),
  /** 0-23, UTC. */
  startHour: z.int(),
  /** 0-59. */
  startMinute: z.int().default(0),
});

const storage = z.strictObject({
  sizeGb: z.int(),
  /** Performance tier. @default - the smallest tier of the size */
  tier: z.string().optional(),
  /** Let Azure enlarge a filling disk; Terraform then leaves the size alone. @default true */
  autoGrow: z.boolean().default(true),
  /**
   * Set size and tier once more, for the one deployment that enlarges a disk which may grow by itself; a size below
   * what Azure has made of it meanwhile is refused. @default false
   */
  resize: z.boolean().default(false),
});

const entraPrincipal = z.strictObject({
  /** Display name (group, application, managed identity) or user principal name. Case-sensitive. */
  name: z.string(),
  objectId: z.string(),
  type: z.enum(principalTypes),
});

const authentication = z.strictObject({
  /** Entra administrators; the first, a group, is whom deployments log in as. */
  administrators: z.array(entraPrincipal),
  /** Entra tenant. @default - the tenant of the deploying identity */
  tenantId: z.string().optional(),
  /** Allow password login beside Entra. @default false */
  passwordLogin: z.boolean().default(false),
  /** Only with password login; the password itself is the ephemeral variable `administrator_password`. */
  administratorLogin: z.string().optional(),
  /** Raise it to send a new password. Only with password login. @default 1 */
  passwordVersion: z.int().optional(),
});

const keyReference = z.strictObject({
  /** Key id in a Key Vault or managed HSM, with or without a version. */
  keyId: z.string(),
  /** Resource id of the user-assigned identity that may unwrap with it. */
  identityId: z.string(),
});

const customerManagedKey = z.strictObject({
  primary: keyReference,
  /** Key in the recovery region. Required with geo-redundant backup. */
  geoBackup: keyReference.optional(),
  /** Key in the replica's own region. Required with a replica. */
  replica: keyReference.optional(),
});

const pgBouncer = z.strictObject({
  /** Server connections per user and database. @default 50 */
  defaultPoolSize: z.int().default(50),
  maxClientConnections: z.int().default(5000),
  /** @default 'transaction' */
  poolMode: z.enum(['session', 'transaction', 'statement']).default('transaction'),
});

const parameterValue = z.union([z.string(), z.number(), z.boolean()]);

const server = z.strictObject({
  name: z.string(),
  /** PostgreSQL major version. @default 17 */
  version: z.int().default(17),
  /** SKU as azurerm spells it: tier prefix, `Standard`, size. */
  sku: z.string(),
  zone: z.string(),
  storage,
  highAvailability: highAvailability.optional(),
  backup: z.strictObject({
    /** Days, 7-35. */
    retentionDays: z.int(),
    /** Can only be chosen when the server is created. */
    geoRedundant: z.boolean(),
  }),
  maintenanceWindow,
  authentication,
  customerManagedKey: customerManagedKey.optional(),
  /** Built-in connection pooler on port 6432. @default - off */
  pgBouncer: pgBouncer.optional(),
  /** Extensions to allow and create; what they need preloaded is preloaded. */
  extensions: z.array(z.string()),
  /** Libraries to preload that belong to no extension: `auto_explain`, `wal2json`. @default - none */
  preloadLibraries: z.array(z.string()).default([]),
  /**
   * Classes of statements pgaudit logs in every session. Reads are seen by nothing else; each class costs log
   * volume in proportion to its traffic. @default ['ddl', 'role']
   */
  auditClasses: z
    .array(z.enum(['read', 'write', 'function', 'role', 'ddl', 'misc']))
    .default(['ddl', 'role']),
  /** Server parameters on top of the project's own (`environments/parameters.ts`), in the parameter's own unit. */
  parameters: z.record(z.string(), parameterValue).default({}),
  /** Record query texts, plans and waits. @default - true where the tier has it, which Burstable has not */
  queryStore: z.boolean().optional(),
});

const replica = z.strictObject({
  name: z.string(),
  location: z.string(),
  zone: z.string(),
  /** @default - the primary's; promotion needs the same */
  sku: z.string().optional(),
  /** @default - the primary's */
  storage: storage.optional(),
  /** Parameters that differ from the primary's. */
  parameters: z.record(z.string(), parameterValue).default({}),
});

const keyVault = adoptable.extend({
  /** Premium keeps keys in a hardware module. */
  sku: z.enum(['standard', 'premium']),
  /** Days a deleted vault or key can be recovered, 7-90. @default 90 */
  softDeleteRetentionDays: z.int().default(90),
  fieldEncryptionKey: z.strictObject({
    name: z.string(),
    type: z.enum(['RSA', 'RSA-HSM']),
    size: z.int().default(3072),
    /** ISO 8601 duration after which Key Vault makes a new version. @default P1Y */
    rotateAfter: z.string().default('P1Y'),
    /** ISO 8601 duration after which a version expires; longer than `rotateAfter`. @default P2Y */
    expireAfter: z.string().default('P2Y'),
  }),
});

const logAnalytics = adoptable.extend({
  /** Days, 30-730. */
  retentionDays: z.int(),
  /** Ingestion cap in GB a day. @default - no cap */
  dailyQuotaGb: z.number().optional(),
});

const monitoring = z.strictObject({
  actionGroup: z.strictObject({
    name: z.string(),
    /** 1-12 characters; the sender's name in text messages. */
    shortName: z.string(),
    emails: z.array(z.strictObject({ name: z.string(), address: z.string() })),
  }),
  /** Turn the alerts off without removing them. @default true */
  enabled: z.boolean().default(true),
});

const protection = z.strictObject({
  /**
   * `inPlace` locks servers and vault in Azure, and Terraform refuses every plan that destroys or replaces what holds
   * data. `lifted` removes the locks for one deployment, which removing or replacing a child needs.
   */
  deletionLock: z.enum(deletionLockModes),
  /**
   * Refuse those plans without a lock as well. While the lock is lifted, only what is taken out of the settings may go.
   */
  preventDestroy: z.boolean(),
});

const longTermBackup = z.strictObject({
  vaultName: z.string(),
  /** ISO 8601 duration, e.g. P7Y; at most ten years. */
  retention: z.string(),
  /** First weekly run, RFC 3339. */
  firstRun: z.string(),
});

const budget = z.strictObject({
  name: z.string(),
  /** In the subscription's currency, a month. */
  monthlyAmount: z.number(),
  /** First day of a month, RFC 3339. */
  startDate: z.string(),
  contacts: z.array(z.string()),
});

const state = z.discriminatedUnion('backend', [
  z.strictObject({ backend: z.literal('local') }),
  z.strictObject({
    backend: z.literal('azurerm'),
    resourceGroup: z.string(),
    storageAccount: z.string(),
    container: z.string(),
    key: z.string(),
  }),
]);

/** A login of the database: an Entra principal (or, with password login, a password role) put in one group role. */
const databaseLogin = entraPrincipal.extend({
  role: z.enum(loginRoles),
});

const connectionPool = z.strictObject({
  name: z.string(),
  /** Connections each instance may open. */
  maxSize: z.int(),
  /** Instances of the client at full scale. */
  instances: z.int(),
});

const database = z.strictObject({
  name: z.string(),
  /** @default 'UTF8' */
  charset: z.string().default('UTF8'),
  /** @default 'en_US.utf8' */
  collation: z.string().default('en_US.utf8'),
  logins: z.array(databaseLogin),
  /** Everything that connects, for the arithmetic against `max_connections`. */
  pools: z.array(connectionPool),
  partitions: z
    .strictObject({
      /** Partitions kept ready beyond the current month. @default 3 */
      monthsAhead: z.int().default(3),
      /** Days kept, a table; older partitions are removed by `llama-db maintain`. */
      retentionDays: z
        .strictObject({
          storage_records: z.int().default(400),
          audit_trail: z.int().default(400),
          model_metrics: z.int().default(90),
          detector_executions: z.int().default(90),
        })
        .prefault({}),
    })
    .prefault({}),
});

export const environmentSettings = z.strictObject({
  /** Stack id and name on the command line: `cdktf deploy production`. */
  name: z.string(),
  location: z.string(),
  /**
   * Region of the replica and its network. Geo-redundant backup is not among it: Azure keeps that in the paired
   * region (`azure/regions.ts`), which for eastus is westus. @default - none
   */
  recoveryLocation: z.string().optional(),
  resourceGroup: adoptable.omit({ resourceGroup: true }),
  recoveryResourceGroup: adoptable.omit({ resourceGroup: true }).optional(),
  tags: tags.default({}),
  /** Names of tags that an Azure Policy adds to resources; deployments leave them alone. @default - none */
  policyTags: z.array(z.string()).default([]),
  network,
  server,
  /** Which of the pair takes writes; flipped together with a switchover. @default 'primary' */
  writer: z.enum(serverRoles).default('primary'),
  /**
   * Which of the two servers takes a change first. Azure refuses a server that is larger than its replica, or has a
   * higher inherited limit (`max_connections` and four more): what grows, grows on the follower first, and what
   * shrinks, on the writer. A first deployment needs `primary`, because the replica is made from it, and so does
   * a destruction, because Azure deletes no primary before its replica.
   * @default primary
   */
  changeFirst: z.enum(serverRoles).default('primary'),
  replica: replica.optional(),
  /** Stable host names that follow a switchover: `<name>.writer.…` and `<name>.reader.…`. */
  virtualEndpoint: z.strictObject({ name: z.string() }).optional(),
  database,
  keyVault,
  logAnalytics,
  monitoring,
  protection,
  longTermBackup: longTermBackup.optional(),
  budget: budget.optional(),
  state,
});

/** As written in an environment's file: defaults may be left out. */
export type EnvironmentInput = z.input<typeof environmentSettings>;
/** As the stacks read it: parsed, defaults filled in, every rule checked. */
export type EnvironmentSettings = z.output<typeof environmentSettings>;
export type NetworkSettings = EnvironmentSettings['network'];
export type ServerSettings = EnvironmentSettings['server'];
export type ReplicaSettings = NonNullable<EnvironmentSettings['replica']>;
