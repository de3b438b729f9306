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
import { ServerAccess } from '../constructs/server-access.ts';
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

export interface Safeguards {
  /** Everything that the last resource of the stack, after the locks, waits for. */
  readonly resources: readonly ITerraformDependable[];
  /** Resource id of the weekly backup's instance. @default - there is no weekly backup */
  readonly weeklyBackupId?: string;
}

export function safeguards(
  scope: Construct,
  { environment, foundation }: StackContext,
  { servers, vault, observability }: Parts,
): Safeguards {
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
  const built = { server: servers.primary, ...(servers.replica && { replica: servers.replica }) };
  const access = Object.entries(built).map(
    ([id, server]) =>
      new ServerAccess(scope, `${id}_access`, {
        server,
        readers: environment.servers.primary.access,
        after: servers.last,
      }),
  );
  const made = [
    ...servers.last,
    ...access.flatMap(({ resources }) => resources),
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
  return {
    resources: [...made, ...foundation.peering, ...budgets, ...guard.resources, ...locks.resources],
    ...(backups && { weeklyBackupId: backups.instanceId }),
  };
}
