/** Decides for the whole stack which plans may destroy data (docs/decisions.md, 8a and 8d). */
import { TerraformResource, type TerraformStack } from 'cdktf';
import type { ResolvedEnvironment } from '../environments/resolved.ts';

/** Plans that Terraform refuses. */
export interface Protection {
  /** Plans that destroy or replace a resource which the settings still have, whatever causes it. */
  readonly againstDestruction: boolean;
  /** Plans that destroy a resource which the settings no longer have, or create again one which Azure no longer has. */
  readonly againstRemoval: boolean;
}

/**
 * A lock in place protects everything. Without it `preventDestroy` decides. While the lock is lifted, a resource may
 * leave the settings even so: a person who removes the replica has written that down, and a person whose edit replaces
 * the server has not.
 */
export function protectionOf({ protection }: Pick<ResolvedEnvironment, 'protection'>): Protection {
  const { deletionLock, preventDestroy } = protection;
  const againstDestruction = deletionLock === 'inPlace' || preventDestroy;
  return { againstDestruction, againstRemoval: againstDestruction && deletionLock !== 'lifted' };
}

/** Resource types whose destruction loses data, each with what would be lost. */
export const protectedTypes: Readonly<Record<string, string>> = {
  azurerm_postgresql_flexible_server: 'every database of the server, and its backups with it',
  azurerm_postgresql_flexible_server_database: 'every row of the database',
  azurerm_key_vault: 'the keys without which no encrypted field can be read',
  azurerm_log_analytics_workspace: 'the audit logs',
  azurerm_data_protection_backup_vault: 'every weekly backup',
  azurerm_data_protection_backup_policy_postgresql_flexible_server:
    'the retention of the weekly backups that were taken under it',
  azurerm_data_protection_backup_instance_postgresql_flexible_server: 'the weekly backups of its server',
  azurerm_resource_group: 'everything in the group, also what this stack does not know',
  azurerm_management_lock: 'what keeps people and other programs from deleting any of this',
};

/**
 * Gives every resource of a protected type its `prevent_destroy`, so that no construct can forget it. Terraform accepts
 * only a constant there, and refuses the whole plan if one resource that has it would be destroyed.
 */
export function protect(stack: TerraformStack, { againstDestruction }: Protection): void {
  for (const element of stack.node.findAll()) {
    if (!(element instanceof TerraformResource)) continue;
    if (!Object.hasOwn(protectedTypes, element.terraformResourceType)) continue;
    const { preventDestroy = false, ...rest } = element.lifecycle ?? {};
    element.lifecycle = { ...rest, preventDestroy: preventDestroy || againstDestruction };
  }
}
