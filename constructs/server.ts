import {
  PostgresqlFlexibleServer,
  type PostgresqlFlexibleServerConfig,
  type PostgresqlFlexibleServerCustomerManagedKey,
  type PostgresqlFlexibleServerHighAvailability,
  type PostgresqlFlexibleServerMaintenanceWindow,
} from '@cdktf/provider-azurerm/lib/postgresql-flexible-server/index.js';
import { UserAssignedIdentity } from '@cdktf/provider-azurerm/lib/user-assigned-identity/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { canonicalIdentityId, canonicalKeyId } from '../azure/resource-id.ts';
import { derivedNames } from '../azure/resource-names.ts';
import type { HighAvailabilityMode, NetworkMode } from '../azure/vocabulary.ts';
import { type Condition, preconditions } from './present.ts';

export interface ServerStorage {
  /** GB, one of the sizes that Azure sells (`azure/storage.ts`). */
  readonly sizeGb: number;
  /** Performance tier, `P4` to `P80`. @default - the smallest tier of the size */
  readonly tier?: string | undefined;
  /** Let Azure enlarge a disk that fills up. Terraform then ignores size and tier. */
  readonly autoGrow: boolean;
  /** Set size and tier nevertheless. A plan that would replace the server for it is refused. @default false */
  readonly resize?: boolean;
}

export interface ServerBackup {
  /** Days, 7 to 35. */
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
  /** Key of the backups in the paired region; required with geo-redundant backup. @default - none */
  readonly geoBackup?: ServerKey | undefined;
}

/** How clients reach a server. Chosen at creation: Azure refuses mixtures and changes. */
export type ServerNetwork =
  | { readonly mode: Exclude<NetworkMode, 'virtualNetworkInjected'> }
  | {
      readonly mode: 'virtualNetworkInjected';
      /** Subnet delegated to Flexible Server. */
      readonly subnetId: string;
      readonly privateDnsZoneId: string;
      /** Security group and DNS links, which must be in force before the server exists. */
      readonly ready: readonly ITerraformDependable[];
    };

/** Props that a primary and a replica share. */
export interface ServerProps {
  /** 3-63 lower-case letters, digits and hyphens; unique in all of Azure. */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** SKU as azurerm spells it: `GP_Standard_D4s_v3`. */
  readonly sku: string;
  /**
   * Availability zone at creation. A failover changes it, and Terraform ignores the change.
   * @default - Azure chooses; a region without zones has none
   */
  readonly zone?: string | undefined;
  readonly storage: ServerStorage;
  readonly network: ServerNetwork;
  readonly maintenanceWindow: PostgresqlFlexibleServerMaintenanceWindow;
  /** Only the server that accepts writes has backups of its own. @default - none, as a replica has */
  readonly backup?: ServerBackup | undefined;
  /** Only the server that accepts writes can have a standby. @default - none */
  readonly highAvailability?: ServerHighAvailability | undefined;
  /** @default - keys managed by Azure */
  readonly customerManagedKey?: ServerCustomerManagedKey | undefined;
  /** The server is one of a pair whose roles a switchover exchanges. */
  readonly paired: boolean;
  /** Conditions of every plan with this server. @default - none */
  readonly conditions?: readonly Condition[];
  /** Resources that must be finished before. @default - those that the arguments refer to */
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

/** A server as the constructs around it see it. */
export interface IFlexibleServer {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  /** Host name that its certificate carries. */
  readonly host: string;
  /** Object id of the server's own managed identity. */
  readonly identityPrincipalId: string;
  readonly resource: ITerraformDependable;
  /** Address in the plan: `azurerm_postgresql_flexible_server.server`. */
  readonly address: string;
}

/** A Flexible Server with its managed identity: the base of the primary and of the replica. */
export abstract class Server extends Construct implements IFlexibleServer {
  readonly id: string;
  readonly name: string;
  readonly resourceGroupName: string;
  readonly host: string;
  readonly identityPrincipalId: string;
  readonly resource: PostgresqlFlexibleServer;
  readonly address: string;

  /** @param role arguments that only a primary, or only a replica, has */
  protected constructor(scope: Construct, id: string, props: ServerProps, role: RoleConfig) {
    super(scope, id);
    const { name, resourceGroupName, location } = props;
    // From the first day, because a server that loses its user-assigned identities is replaced (PGR, identity).
    const identity = new UserAssignedIdentity(this, 'identity', {
      name: derivedNames.identity(name),
      resourceGroupName,
      location,
      ...(props.tags && { tags: props.tags }),
    });
    const server = new PostgresqlFlexibleServer(this, 'Default', serverConfig(props, identity.id, role));
    this.id = server.id;
    this.name = name;
    this.resourceGroupName = resourceGroupName;
    this.host = server.fqdn;
    this.identityPrincipalId = identity.principalId;
    this.resource = server;
    this.address = `${server.terraformResourceType}.${server.friendlyUniqueId}`;
  }
}

function serverConfig(
  props: ServerProps,
  identityId: string,
  role: RoleConfig,
): PostgresqlFlexibleServerConfig {
  const key = props.customerManagedKey && canonical(props.customerManagedKey);
  const { resize = false } = props.storage;
  const identityIds = [identityId, key?.primary.identityId, key?.geoBackup?.identityId];
  const after = [
    ...(props.network.mode === 'virtualNetworkInjected' ? props.network.ready : []),
    ...(props.after ?? []),
  ];
  return {
    name: props.name,
    resourceGroupName: props.resourceGroupName,
    location: props.location,
    skuName: props.sku,
    ...(props.zone !== undefined && { zone: props.zone }),
    // Always set: without it, a new server gets 32 GB, replicas included.
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
    ...(props.tags && { tags: props.tags }),
    // A terabyte copied to another region, or a standby of that size, takes longer than the provider's hour.
    timeouts: { create: '4h', update: '4h', delete: '2h' },
    lifecycle: {
      // A disk that has outgrown the set size plans a replacement (PGR 403).
      ...(resize && { preventDestroy: true }),
      ...(props.conditions?.length && { precondition: preconditions(props.conditions) }),
      ignoreChanges: ignoredChanges(props.paired, props.storage.autoGrow && !resize),
    },
    ...(after.length > 0 && { dependsOn: after }),
  };
}

/**
 * Arguments that a failover, a switchover or a growing disk changes. Changing them back would fail the apply (zones) or
 * replace the server (source, geo-redundancy, storage): `docs/decisions.md`, 8.
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

/** With ids as Azure answers them: another spelling would plan a change for ever. */
function canonical({ primary, geoBackup }: ServerCustomerManagedKey): ServerCustomerManagedKey {
  const spelled = ({ keyId, identityId }: ServerKey): ServerKey => ({
    keyId: canonicalKeyId(keyId),
    identityId: canonicalIdentityId(identityId),
  });
  return { primary: spelled(primary), ...(geoBackup && { geoBackup: spelled(geoBackup) }) };
}

/** Set in every mode: the provider's default is an open server, which Azure refuses for an injected one. */
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
