/**
 * Protection from mistakes: weekly backups that outlive the server, a budget, the guard of resources that a setting can
 * remove, and the locks, which come last.
 */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { Budget } from '../constructs/budget.ts';
import { DeletionLock } from '../constructs/deletion-lock.ts';
import { LongTermBackup } from '../constructs/long-term-backup.ts';
import { RemovalGuard } from '../constructs/removal-guard.ts';
import type { StackContext } from './context.ts';
import type { Observability } from './observability.ts';
import { protectionOf } from './protection.ts';
import type { Servers } from './servers.ts';
import type { Vault } from './vault.ts';

export interface Parts {
  readonly servers: Servers;
  readonly vault: Vault;
  readonly observability: Observability;
}

/** @returns everything that the last resource of the stack, after the locks, waits for */
export function safeguards(
  scope: Construct,
  { environment, foundation }: StackContext,
  { servers, vault, observability }: Parts,
): readonly ITerraformDependable[] {
  const { resourceGroup } = foundation.primary;
  const { longTermBackup, budget, protection, tags } = environment;
  const backups = longTermBackup
    ? new LongTermBackup(scope, 'long_term_backup', {
        ...longTermBackup,
        resourceGroupName: resourceGroup.name,
        location: environment.location,
        serverId: servers.primary.id,
        serverName: environment.servers.primary.name,
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
      resource_group: !environment.resourceGroup.existing,
      recovery_resource_group: environment.recoveryResourceGroup?.existing === false,
      replica: servers.replica !== undefined,
      key_vault: vault.created,
      log_analytics: !environment.logAnalytics.existing,
      long_term_backup: longTermBackup !== undefined,
    },
    kept: {
      server: servers.primary.id,
      database: servers.database.id,
      ...(!environment.logAnalytics.existing && { log_analytics: observability.workspace.id }),
      ...(backups && { long_term_backup: backups.vaultId }),
    },
    preventDestroy: protectionOf(environment).againstRemoval,
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
  return [...made, ...foundation.peering, ...budgets, ...guard.resources, ...locks.resources];
}
