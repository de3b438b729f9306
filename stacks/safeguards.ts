/**
 * What outlives a mistake: weekly backups of their own, a budget, the guard of what a setting could take away, and the
 * lock that comes after everything else.
 */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { Budget } from '../constructs/budget.ts';
import { DeletionLock } from '../constructs/deletion-lock.ts';
import { LongTermBackup } from '../constructs/long-term-backup.ts';
import { RemovalGuard } from '../constructs/removal-guard.ts';
import type { EnvironmentSettings } from '../environments/settings.ts';
import type { Foundation } from './foundation.ts';
import type { Observability } from './observability.ts';
import { protectionOf } from './protection.ts';
import type { Servers } from './servers.ts';
import type { Vault } from './vault.ts';

export interface Parts {
  readonly base: Foundation;
  readonly servers: Servers;
  readonly vault: Vault;
  readonly observability: Observability;
}

/** @returns all that whoever comes last, after the locks, must wait for */
export function safeguards(
  scope: Construct,
  settings: EnvironmentSettings,
  { base, servers, vault, observability }: Parts,
): readonly ITerraformDependable[] {
  const { resourceGroup } = base.primary;
  const { longTermBackup, budget, protection, tags } = settings;
  const backups = longTermBackup
    ? new LongTermBackup(scope, 'long_term_backup', {
        ...longTermBackup,
        resourceGroupName: resourceGroup.name,
        location: settings.location,
        serverId: servers.primary.id,
        serverName: settings.server.name,
        serverResourceGroupId: resourceGroup.id,
        tags,
        after: servers.last,
      })
    : undefined;
  const budgets = budget
    ? [
        new Budget(scope, 'budget', {
          ...budget,
          resourceGroupId: resourceGroup.id,
          actionGroupId: observability.actionGroupId,
        }).resource,
      ]
    : [];
  const guard = new RemovalGuard(scope, 'protected', {
    present: {
      resource_group: !settings.resourceGroup.existing,
      recovery_resource_group: settings.recoveryResourceGroup?.existing === false,
      replica: servers.replica !== undefined,
      key_vault: vault.created,
      log_analytics: !settings.logAnalytics.existing,
      long_term_backup: longTermBackup !== undefined,
    },
    kept: {
      server: servers.primary.id,
      database: servers.database.id,
      ...(!settings.logAnalytics.existing && { log_analytics: observability.workspace.id }),
      ...(backups && { long_term_backup: backups.vaultId }),
    },
    preventDestroy: protectionOf(settings).againstRemoval,
  });
  const made = [
    ...servers.last,
    ...vault.resources,
    ...observability.resources,
    ...(backups?.resources ?? []),
  ];
  const locks = new DeletionLock(scope, 'deletion_lock', {
    targets: {
      server: servers.primary.id,
      ...(servers.replica && { replica: servers.replica.id }),
      ...(vault.created && { key_vault: vault.vault.id }),
    },
    mode: protection.deletionLock,
    after: made,
  });
  return [...made, ...base.peering, ...budgets, ...guard.resources, ...locks.resources];
}
