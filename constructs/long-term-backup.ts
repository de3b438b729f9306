import { DataProtectionBackupInstancePostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/data-protection-backup-instance-postgresql-flexible-server/index.js';
import { DataProtectionBackupPolicyPostgresqlFlexibleServer } from '@cdktf/provider-azurerm/lib/data-protection-backup-policy-postgresql-flexible-server/index.js';
import { DataProtectionBackupVault } from '@cdktf/provider-azurerm/lib/data-protection-backup-vault/index.js';
import { RoleAssignment } from '@cdktf/provider-azurerm/lib/role-assignment/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { redundancyOf } from '../azure/regions.ts';
import { derivedNames } from '../azure/resource-names.ts';

export interface LongTermBackupProps {
  readonly vaultName: string;
  readonly resourceGroupName: string;
  /** Region of the server: a vault backs up only servers of its own region. */
  readonly location: string;
  readonly serverId: string;
  readonly serverName: string;
  /** Azure resource id of the group that holds the server. */
  readonly serverResourceGroupId: string;
  /** ISO 8601 duration, at most ten years (P10Y). */
  readonly retention: string;
  /** First run, RFC 3339. The others follow weekly at the same time. */
  readonly firstRun: string;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /**
   * Operations on the server that must be finished before: two at once end in ServerIsBusy.
   * @default - the creation of the server
   */
  readonly after?: readonly ITerraformDependable[];
}

/** Days during which a deleted backup can be recovered. 14 are free of charge. */
const SOFT_DELETE_DAYS = 14;

/**
 * Weekly backups that outlive the server and its own 35 days, in a Backup Vault.
 *
 * The vault's identity needs two roles, and Azure refuses the backup instance without them, so it comes after both. A new
 * role may take some minutes to take effect. If the first deployment fails on `UserErrorMissingRequiredPermissions`,
 * deploy again.
 * https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex
 */
export class LongTermBackup extends Construct {
  /** Azure resource id of the vault. */
  readonly vaultId: string;
  /** Azure resource id of the server's backup instance. */
  readonly instanceId: string;
  /** Everything that is created on or under the server, as dependencies of its lock. */
  readonly resources: readonly ITerraformDependable[];

  constructor(scope: Construct, id: string, props: LongTermBackupProps) {
    super(scope, id);
    const tags = props.tags ? { tags: props.tags } : {};

    const vault = new DataProtectionBackupVault(this, 'vault', {
      name: props.vaultName,
      resourceGroupName: props.resourceGroupName,
      location: props.location,
      datastoreType: 'VaultStore',
      redundancy: redundancyIn(props.location),
      softDelete: 'On',
      retentionDurationInDays: SOFT_DELETE_DAYS,
      identity: { type: 'SystemAssigned' },
      ...tags,
    });
    const interval = weeklyFrom(props.firstRun);
    const policy = new DataProtectionBackupPolicyPostgresqlFlexibleServer(this, 'policy', {
      // A policy never changes, and Azure deletes none in use: the new one comes first, under a name of its own.
      name: derivedNames.weeklyPolicy(props.serverName, `${interval} ${props.retention}`),
      lifecycle: { createBeforeDestroy: true },
      vaultId: vault.id,
      backupRepeatingTimeIntervals: [interval],
      timeZone: 'UTC',
      defaultRetentionRule: {
        lifeCycle: [{ dataStoreType: 'VaultStore', duration: props.retention }],
      },
    });
    const identity = { principalId: vault.identity.principalId, principalType: 'ServicePrincipal' };
    const reader = new RoleAssignment(this, 'reader', {
      ...identity,
      scope: props.serverResourceGroupId,
      roleDefinitionName: 'Reader',
      description: 'The Backup Vault finds the server',
      ...(props.after ? { dependsOn: [...props.after] } : {}),
    });
    const operator = new RoleAssignment(this, 'operator', {
      ...identity,
      scope: props.serverId,
      roleDefinitionName: 'PostgreSQL Flexible Server Long Term Retention Backup Role',
      description: 'The Backup Vault takes backups of the server',
      ...(props.after ? { dependsOn: [...props.after] } : {}),
    });
    const instance = new DataProtectionBackupInstancePostgresqlFlexibleServer(this, 'instance', {
      name: derivedNames.weeklyBackup(props.serverName),
      location: props.location,
      vaultId: vault.id,
      serverId: props.serverId,
      backupPolicyId: policy.id,
      dependsOn: [reader, operator, ...(props.after ?? [])],
    });
    this.vaultId = vault.id;
    this.instanceId = instance.id;
    this.resources = [vault, policy, reader, operator, instance];
  }
}

/**
 * Copies of a backup: in the paired region, or else in the zones of the region, if it has them.
 * https://learn.microsoft.com/azure/backup/backup-vault-overview#storage-settings-in-the-backup-vault
 */
function redundancyIn(location: string): 'GeoRedundant' | 'ZoneRedundant' | 'LocallyRedundant' {
  const { pair, zones } = redundancyOf(location);
  if (pair) return 'GeoRedundant';
  return zones ? 'ZoneRedundant' : 'LocallyRedundant';
}

/** `R/<start>/P1W`, the start with a numeric offset: Azure returns `Z` as `+00:00`, which replaces the policy. */
function weeklyFrom(firstRun: string): string {
  const start = new Date(firstRun);
  if (Number.isNaN(start.getTime())) {
    throw new Error(`the first run of the long-term backup is ${firstRun}, which is not an RFC 3339 time`);
  }
  return `R/${start.toISOString().replace(/\.\d{3}Z$/, '+00:00')}/P1W`;
}
