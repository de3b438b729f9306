/** Which plans may destroy resources that hold data, decided for the whole stack (docs/decisions.md, 8a and 8d). */
import { TerraformResource, type TerraformStack } from 'cdktf';
import type { ResolvedEnvironment } from '../environments/resolved.ts';

/** The plans that Terraform refuses. */
export interface Protection {
  /** Destroying or replacing a resource that the settings still have, for any reason. */
  readonly againstDestruction: boolean;
  /** Destroying a resource that the settings or Azure no longer have. */
  readonly againstRemoval: boolean;
}

/**
 * A lock in place protects everything. Without it, `preventDestroy` decides. A lifted lock allows the removal of what the
 * settings no longer have, a replica for example, but not the replacement of another server.
 */
export function protectionOf({ protection }: Pick<ResolvedEnvironment, 'protection'>): Protection {
  const { deletionLock, preventDestroy } = protection;
  const againstDestruction = deletionLock === 'inPlace' || preventDestroy;
  return { againstDestruction, againstRemoval: againstDestruction && deletionLock !== 'lifted' };
}

/** Resource types whose destruction loses data, each with the loss. */
export const protectedTypes: Readonly<Record<string, string>> = {
  azurerm_postgresql_flexible_server: 'every database of the server, and its backups with it',
  azurerm_postgresql_flexible_server_database: 'every row of the database',
  azurerm_key_vault: 'the keys without which no encrypted field can be read',
  azurerm_log_analytics_workspace: 'the audit logs',
  azurerm_data_protection_backup_vault: 'every weekly backup',
  azurerm_data_protection_backup_policy_postgresql_flexible_server:
    'the retention of the weekly backups that were taken under it',
  azurerm_data_protection_backup_instance_postgresql_flexible_server: 'the weekly backups of its server',
  azurerm_resource_group: 'everything in the group, including what this stack does not know',
  azurerm_management_lock: 'the protection from people and other programs',
};

/**
 * Gives every resource of a protected type its `prevent_destroy`, so that no construct can forget it. Terraform
 * accepts only a constant there, and one such resource makes it refuse a whole plan.
 */
export function protect(stack: TerraformStack, { againstDestruction }: Protection): void {
  for (const element of stack.node.findAll()) {
    if (!(element instanceof TerraformResource)) continue;
    if (!Object.hasOwn(protectedTypes, element.terraformResourceType)) continue;
    const { preventDestroy = false, ...rest } = element.lifecycle ?? {};
    element.lifecycle = { ...rest, preventDestroy: preventDestroy || againstDestruction };
  }
}
