/**
 * The shape of an environment's settings: names, types, units and defaults.
 *
 * Rules between fields, and Azure's own rules, are in `rules/`, so that one run reports every problem of every
 * environment before it writes a file.
 */
import { z } from 'zod';
import { alertRoles, serverAccessRoles } from '../azure/built-in-roles.ts';
import {
  deletionLockModes,
  highAvailabilityModes,
  networkModes,
  principalTypes,
  serverRoles,
} from '../azure/vocabulary.ts';
import { loginRoles } from '../database/schema/roles.ts';

const tags = z.record(z.string(), z.string());

/** A resource that this project creates or, with `existing: true`, only refers to by name. */
const adoptable = z.strictObject({
  name: z.string(),
  /** Refer to a resource that exists already. @default false - the project creates it */
  existing: z.boolean().default(false),
  /** Resource group of the resource. @default - the environment's own resource group */
  resourceGroup: z.string().optional(),
});

/** The same where the resource may be in another subscription of the tenant, a hub for example. */
const shareable = adoptable.extend({
  /**
   * Subscription of an existing resource. The stack then refers to it by its id and does not read it, so that the
   * deploying identity needs no role there but to use it. @default - the environment's own
   */
  subscriptionId: z.string().optional(),
});

const subnet = z.strictObject({
  name: z.string(),
  range: z.string(),
  /**
   * Refer to a subnet of an adopted network. Its owner has made it, with security group, route table and delegation.
   * @default false - the project creates it with a security group
   */
  existing: z.boolean().default(false),
});

const virtualNetwork = shareable.extend({
  /** CIDR ranges. Repeat those of an adopted network, so that the rules can check its subnets. */
  addressSpace: z.array(z.string()).min(1),
});

const privateDnsZone = shareable.omit({ name: true }).extend({
  /**
   * Leave zone, links and records to an Azure Policy that registers private endpoints. @default false
   */
  byPolicy: z.boolean().default(false),
  /** @default - the zone of this network mode (`endpointZones` in `resolved.ts`) */
  name: z.string().optional(),
});

const regionalNetwork = z.strictObject({
  virtualNetwork,
  /** Subnet of the private endpoints (servers and Key Vault). */
  endpointSubnet: subnet,
  /** Subnet delegated to the Flexible Server. Only in mode `virtualNetworkInjected`. */
  delegatedSubnet: subnet.optional(),
});

const ipRange = z.strictObject({ name: z.string(), start: z.string(), end: z.string() });

const [privateEndpoint, virtualNetworkInjected, publicRanges] = networkModes;

/** How clients reach the servers, in one of three modes. Azure refuses mixtures, some of them only in an apply. */
const network = z.discriminatedUnion('mode', [
  z.strictObject({
    mode: z.literal(privateEndpoint),
    primary: regionalNetwork,
    /** Network of the recovery region. Required with a replica there. */
    recovery: regionalNetwork.optional(),
    postgresqlZone: privateDnsZone.prefault({}),
    keyVaultZone: privateDnsZone.prefault({}),
  }),
  z.strictObject({
    mode: z.literal(virtualNetworkInjected),
    primary: regionalNetwork,
    recovery: regionalNetwork.optional(),
    postgresqlZone: privateDnsZone.prefault({}),
    keyVaultZone: privateDnsZone.prefault({}),
  }),
  z.strictObject({
    mode: z.literal(publicRanges),
    /** Ranges that may connect, by name. Never the whole internet, never "all Azure services". */
    allowedRanges: z.array(ipRange),
    /** Network of the private endpoint of the Key Vault, which is closed in every mode. */
    primary: regionalNetwork,
    keyVaultZone: privateDnsZone.prefault({}),
  }),
]);

const highAvailability = z.strictObject({
  mode: z.enum(highAvailabilityModes),
  /** Availability zone of the standby at creation, beside `server.zone`. @default - Azure chooses */
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
  /** Performance tier, `P4` to `P80`. @default - the smallest tier of the size */
  tier: z.string().optional(),
  /** Let Azure enlarge a disk that fills up. Terraform then ignores the size. @default true */
  autoGrow: z.boolean().default(true),
  /**
   * Set size and tier nevertheless, for the one deployment that enlarges an auto-growing disk. Terraform refuses a size
   * below the current one. @default false
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
  /** Entra administrators. Deployments log in as the first one, a group. */
  administrators: z.array(entraPrincipal),
  /** Entra tenant. @default - the tenant of the deploying identity */
  tenantId: z.string().optional(),
  /** Allow password login beside Entra. @default false */
  passwordLogin: z.boolean().default(false),
  /** Only with password login. The password itself is the ephemeral variable `administrator_password`. */
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
  /** Availability zone at creation. @default - Azure chooses; a region without zones has none */
  zone: z.string().optional(),
  storage,
  highAvailability: highAvailability.optional(),
  backup: z.strictObject({
    /** Days, 7 to 35. */
    retentionDays: z.int(),
    /** Cannot change after the creation of the server. */
    geoRedundant: z.boolean(),
  }),
  maintenanceWindow,
  authentication,
  customerManagedKey: customerManagedKey.optional(),
  /** Built-in connection pooler on port 6432. @default - off */
  pgBouncer: pgBouncer.optional(),
  /** Extensions to allow and create. Their libraries are preloaded. */
  extensions: z.array(z.string()),
  /** Libraries to preload that do not belong to an extension: `auto_explain`, `wal2json`. @default - none */
  preloadLibraries: z.array(z.string()).default([]),
  /**
   * Classes of statements that pgaudit logs in every session. Nothing else records reads. The log volume of a class is
   * proportional to its traffic. @default ['ddl', 'role']
   */
  auditClasses: z
    .array(z.enum(['read', 'write', 'function', 'role', 'ddl', 'misc']))
    .default(['ddl', 'role']),
  /** Server parameters in addition to the project's own (`environments/parameters.ts`), in the parameter's own unit. */
  parameters: z.record(z.string(), parameterValue).default({}),
  /**
   * Who may read the servers and their metrics in Azure, which is not a login of the database. Bootstrap lets the
   * deploying identity assign these roles only. @default - nobody beside those who have a role above the server
   */
  access: z
    .array(
      z.strictObject({ objectId: z.string(), type: z.enum(principalTypes), role: z.enum(serverAccessRoles) }),
    )
    .default([]),
  /** Record query texts, plans and waits. @default - true, except for Burstable, which has no query store */
  queryStore: z.boolean().optional(),
});

const replica = z.strictObject({
  name: z.string(),
  /** The recovery region, or the primary's own region for a replica that only serves reads. */
  location: z.string(),
  /** Availability zone at creation. @default - Azure chooses; a region without zones has none */
  zone: z.string().optional(),
  /** @default - the primary's, which a promotion needs */
  sku: z.string().optional(),
  /** @default - the primary's */
  storage: storage.optional(),
  /** Parameters that differ from the primary's. */
  parameters: z.record(z.string(), parameterValue).default({}),
});

const keyVault = adoptable.extend({
  /** `premium` keeps keys in a hardware module. */
  sku: z.enum(['standard', 'premium']),
  /** Days during which a deleted vault or key can be recovered, 7 to 90. @default 90 */
  softDeleteRetentionDays: z.int().default(90),
  fieldEncryptionKey: z.strictObject({
    name: z.string(),
    type: z.enum(['RSA', 'RSA-HSM']),
    size: z.int().default(3072),
    /** ISO 8601 duration after which Key Vault creates a new version. @default P1Y */
    rotateAfter: z.string().default('P1Y'),
    /** ISO 8601 duration after which a version expires, longer than `rotateAfter`. @default P2Y */
    expireAfter: z.string().default('P2Y'),
  }),
});

const logAnalytics = shareable.extend({
  /** Days, 30 to 730. */
  retentionDays: z.int(),
  /** Ingestion cap in GB per day. @default - no cap */
  dailyQuotaGb: z.number().optional(),
});

const telephone = z.strictObject({
  name: z.string(),
  /** Digits without `+`: '49'. */
  countryCode: z.string(),
  phoneNumber: z.string(),
});

/** A second place for logs and metrics, in the region of the resources that send them. At least one of the two. */
const archive = z.strictObject({
  /** Resource id of a storage account, in any subscription of the tenant. */
  storageAccountId: z.string().optional(),
  eventHub: z
    .strictObject({
      /** Resource id of a rule of the namespace with the rights Manage, Send and Listen. */
      authorizationRuleId: z.string(),
      /** @default - Azure makes one hub per category */
      name: z.string().optional(),
    })
    .optional(),
});

const monitoring = z.strictObject({
  actionGroup: z.strictObject({
    name: z.string(),
    /** 1-12 characters: the sender's name in text messages. */
    shortName: z.string(),
    emails: z.array(z.strictObject({ name: z.string(), address: z.string() })),
    /** Text messages. @default - none */
    texts: z.array(telephone).default([]),
    /** Calls with a spoken text. @default - none */
    calls: z.array(telephone).default([]),
    /**
     * Addresses that get each alert as JSON. The state and the repository show them: without `application`, anyone who
     * reads one can send to it. @default - none
     */
    webhooks: z
      .array(
        z.strictObject({
          name: z.string(),
          url: z.string(),
          /** Object id of the Entra application that the receiver checks the sender's token for. @default - no token */
          application: z.string().optional(),
        }),
      )
      .default([]),
    /** E-mail to everyone who has a role on the subscription. @default - none */
    roles: z.array(z.strictObject({ name: z.string(), role: z.enum(alertRoles) })).default([]),
  }),
  /** Logs and metrics in a second place, beside the workspace. @default - the workspace only */
  archive: archive.optional(),
  /** The same for a replica in the recovery region. @default - its workspace only */
  recoveryArchive: archive.optional(),
  /** Whether the alerts are evaluated. @default true */
  enabled: z.boolean().default(true),
});

const protection = z.strictObject({
  /**
   * `inPlace` locks servers and vault in Azure, and Terraform refuses every plan that destroys or replaces a resource
   * that holds data. `lifted` removes the locks for one deployment that removes or replaces a child.
   */
  deletionLock: z.enum(deletionLockModes),
  /**
   * Refuse those plans without a lock as well. While the lock is lifted, a plan may remove only resources that the
   * settings no longer have.
   */
  preventDestroy: z.boolean(),
});

const longTermBackup = z.strictObject({
  vaultName: z.string(),
  /** ISO 8601 duration of at most ten years, like P7Y. */
  retention: z.string(),
  /** First weekly run, RFC 3339. */
  firstRun: z.string(),
});

const budget = z.strictObject({
  name: z.string(),
  /** Amount per month, in the subscription's currency. */
  monthlyAmount: z.number(),
  contacts: z.array(z.string()),
});

/**
 * A Container Apps job that runs the post-deploy step inside the network, for a pipeline that does not reach the server.
 * The step runs directly wherever it reaches the server (docs/runners.md).
 */
const postDeployJob = z.strictObject({
  /** 2-32 characters. The environment of Container Apps is called `<name>-environment`. */
  name: z.string(),
  /** In `network.primary.virtualNetwork`, delegated to Microsoft.App/environments, for this alone. */
  subnet,
  /** `<registry>.azurecr.io/<repository>@sha256:<digest>`, as the registry prints it (pipelines/job/Dockerfile). */
  image: z.string(),
  /**
   * Resource id of an existing user-assigned identity. It pulls the image (AcrPull), and is a member of the first group
   * of `server.authentication.administrators`, under whose name the step logs in.
   */
  identityId: z.string(),
  /** vCores, each with 2 GB of memory. @default 0.5 */
  cpu: z.number().default(0.5),
  /** Minutes after which Azure ends the step. @default 60 */
  timeoutMinutes: z.int().default(60),
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

/** A login of the database: an Entra principal (or, with password login, a password role) in one group role. */
const databaseLogin = entraPrincipal.extend({
  role: z.enum(loginRoles),
});

const connectionPool = z.strictObject({
  name: z.string(),
  /** Connections per instance. */
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
  /** All clients, for the comparison with `max_connections`. */
  pools: z.array(connectionPool),
  partitions: z
    .strictObject({
      /** Partitions kept ready beyond the current month. @default 3 */
      monthsAhead: z.int().default(3),
      /** Days that rows are kept, per table. `llama-db maintain` removes older partitions. */
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
  /** Names that all environments share. Bootstrap names the identities of the pipeline and their roles by `name`. */
  project: z.strictObject({ name: z.string(), organization: z.string() }),
  location: z.string(),
  /**
   * Region of a replica elsewhere and its network. Geo-redundant backups are elsewhere: in the paired region
   * (`azure/regions.ts`), which is westus for eastus. @default - none
   */
  recoveryLocation: z.string().optional(),
  resourceGroup: adoptable.omit({ resourceGroup: true }),
  recoveryResourceGroup: adoptable.omit({ resourceGroup: true }).optional(),
  tags: tags.default({}),
  /** Names of tags that an Azure Policy adds to resources. Deployments ignore them. @default - none */
  policyTags: z.array(z.string()).default([]),
  network,
  server,
  /** The server of the pair that accepts writes. Change it together with a switchover. @default 'primary' */
  writer: z.enum(serverRoles).default('primary'),
  /**
   * The server that takes a change first. Azure refuses a server that is larger than its replica, or that has a higher
   * inherited limit (`max_connections` and four more): grow the follower first, and shrink the writer first. A first
   * deployment needs `primary`, because Azure creates the replica from it. A destruction needs `primary` too, because
   * Azure does not delete a primary before its replica.
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
  /** @default - none; the post-deploy step needs a machine that reaches the server */
  postDeployJob: postDeployJob.optional(),
  state,
});

/** Settings as in an environment's file, where defaults may be left out. */
export type EnvironmentInput = z.input<typeof environmentSettings>;
/** Parsed settings, with defaults. `environments/index.ts` checks every rule; stacks take `ResolvedEnvironment`. */
export type EnvironmentSettings = z.output<typeof environmentSettings>;
export type NetworkSettings = EnvironmentSettings['network'];
export type ServerSettings = EnvironmentSettings['server'];
export type ReplicaSettings = NonNullable<EnvironmentSettings['replica']>;
