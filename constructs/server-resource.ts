import {
  PostgresqlFlexibleServer,
  type PostgresqlFlexibleServerConfig,
  type PostgresqlFlexibleServerCustomerManagedKey,
  type PostgresqlFlexibleServerHighAvailability,
  type PostgresqlFlexibleServerMaintenanceWindow,
} from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import type { HighAvailabilityMode, NetworkMode } from '../azure/vocabulary.ts';

export interface ServerStorage {
  /** GB; a size the service sells. */
  readonly sizeGb: number;
  /** Performance tier, `P4` to `P80`. @default - the smallest tier of the size */
  readonly tier?: string | undefined;
  /** Let Azure enlarge a filling disk; Terraform then leaves size and tier alone. */
  readonly autoGrow: boolean;
  /** Set size and tier all the same; a plan that would replace the server for it is refused. @default false */
  readonly resize?: boolean;
}

export interface ServerBackup {
  /** Days, 7-35. */
  readonly retentionDays: number;
  readonly geoRedundant: boolean;
}

export interface ServerHighAvailability {
  readonly mode: HighAvailabilityMode;
  /** @default - Azure chooses */
  readonly standbyZone?: string | undefined;
}

export interface ServerKey {
  /** Key id in a Key Vault or managed HSM, with or without a version. */
  readonly keyId: string;
  /** Resource id of the user-assigned identity that may unwrap with it. */
  readonly identityId: string;
}

export interface ServerCustomerManagedKey {
  readonly primary: ServerKey;
  /** Key for the backups in the other region; required with geo-redundant backup. @default - none */
  readonly geoBackup?: ServerKey | undefined;
}

/** How clients reach a server; chosen at creation, Azure refuses mixtures and changes. */
export type ServerNetwork =
  | { readonly mode: Exclude<NetworkMode, 'virtualNetworkInjected'> }
  | {
      readonly mode: 'virtualNetworkInjected';
      /** Subnet delegated to Flexible Server. */
      readonly subnetId: string;
      readonly privateDnsZoneId: string;
      /** Security group and DNS links, which must be in force when the server appears. */
      readonly ready: readonly ITerraformDependable[];
    };

/** What a primary and a replica have in common. */
export interface ServerProps {
  /** 3-63 lower-case letters, digits and hyphens; unique in all of Azure. */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** SKU as azurerm spells it: `GP_Standard_D4s_v3`. */
  readonly sku: string;
  /** Availability zone at creation; a failover may change it and is left alone. */
  readonly zone: string;
  readonly storage: ServerStorage;
  readonly network: ServerNetwork;
  readonly maintenanceWindow: PostgresqlFlexibleServerMaintenanceWindow;
  /** Only the server that takes writes has backups of its own. @default - none, as a replica has */
  readonly backup?: ServerBackup | undefined;
  /** Only the server that takes writes can have a standby. @default - none */
  readonly highAvailability?: ServerHighAvailability | undefined;
  /** @default - keys managed by Azure */
  readonly customerManagedKey?: ServerCustomerManagedKey | undefined;
  /** The server is one of a pair whose roles a switchover exchanges. */
  readonly paired: boolean;
  /** What must be finished before. @default - nothing beyond what is referred to */
  readonly after?: readonly ITerraformDependable[];
  /** @default - none */
  readonly tags?: Readonly<Record<string, string>>;
}

type RoleConfig = Pick<
  PostgresqlFlexibleServerConfig,
  | 'administratorLogin'
  | 'administratorPasswordWo'
  | 'administratorPasswordWoVersion'
  | 'authentication'
  | 'createMode'
  | 'sourceServerId'
  | 'version'
>;

/** The server and its identity. `role` is what only a primary, or only a replica, may say. */
export function serverResource(scope: Construct, props: ServerProps, role: RoleConfig) {
  const { name, resourceGroupName, location, customerManagedKey: key } = props;
  const { resize = false } = props.storage;
  const tags = props.tags && { tags: props.tags };
  // From the first day, because a server that loses its user-assigned identities is replaced (PGR, identity).
  const identity = new UserAssignedIdentity(scope, 'identity', {
    name: `${name}-identity`,
    resourceGroupName,
    location,
    ...tags,
  });
  const identityIds = [identity.id, key?.primary.identityId, key?.geoBackup?.identityId];
  const after = [
    ...(props.network.mode === 'virtualNetworkInjected' ? props.network.ready : []),
    ...(props.after ?? []),
  ];
  const server = new PostgresqlFlexibleServer(scope, 'Default', {
    name,
    resourceGroupName,
    location,
    skuName: props.sku,
    zone: props.zone,
    // Always said: a server created without it gets 32 GB, replicas too.
    storageMb: props.storage.sizeGb * 1024,
    ...(props.storage.tier && { storageTier: props.storage.tier }),
    autoGrowEnabled: props.storage.autoGrow,
    ...networkConfig(props.network),
    maintenanceWindow: props.maintenanceWindow,
    ...(props.backup && {
      backupRetentionDays: props.backup.retentionDays,
      geoRedundantBackupEnabled: props.backup.geoRedundant,
    }),
    ...(props.highAvailability && { highAvailability: highAvailability(props.highAvailability) }),
    identity: {
      type: 'UserAssigned',
      identityIds: [...new Set(identityIds.filter((id) => id !== undefined))],
    },
    ...(key && { customerManagedKey: customerManagedKey(key) }),
    ...role,
    ...tags,
    // A terabyte copied to another region, or a standby of that size, takes longer than the provider's hour.
    timeouts: { create: '4h', update: '4h', delete: '2h' },
    lifecycle: {
      // A disk that has outgrown the size that is set plans a replacement (PGR 403).
      ...(resize && { preventDestroy: true }),
      ignoreChanges: ignoredChanges(props.paired, props.storage.autoGrow && !resize),
    },
    ...(after.length > 0 && { dependsOn: after }),
  });
  return { server, identity };
}

/**
 * What a failover, a switchover or a growing disk changes on its own. Planned back, it would fail the apply (zones)
 * or replace the server (source, geo-redundancy, storage); `docs/decisions.md`, 8.
 */
function ignoredChanges(paired: boolean, disk: boolean): string[] {
  return [
    'zone',
    'high_availability[0].standby_availability_zone',
    ...(paired
      ? ['create_mode', 'source_server_id', 'replication_role', 'geo_redundant_backup_enabled']
      : []),
    ...(disk ? ['storage_mb', 'storage_tier'] : []),
  ];
}

/** Said in every mode: the provider's default is an open server, and Azure refuses it on an injected one. */
function networkConfig(network: ServerNetwork) {
  return network.mode === 'virtualNetworkInjected'
    ? {
        publicNetworkAccessEnabled: false,
        delegatedSubnetId: network.subnetId,
        privateDnsZoneId: network.privateDnsZoneId,
      }
    : { publicNetworkAccessEnabled: network.mode === 'public' };
}

function highAvailability({
  mode,
  standbyZone,
}: ServerHighAvailability): PostgresqlFlexibleServerHighAvailability {
  return { mode, ...(standbyZone && { standbyAvailabilityZone: standbyZone }) };
}

function customerManagedKey({
  primary,
  geoBackup,
}: ServerCustomerManagedKey): PostgresqlFlexibleServerCustomerManagedKey {
  return {
    keyVaultKeyId: primary.keyId,
    primaryUserAssignedIdentityId: primary.identityId,
    ...(geoBackup && {
      geoBackupKeyVaultKeyId: geoBackup.keyId,
      geoBackupUserAssignedIdentityId: geoBackup.identityId,
    }),
  };
}
