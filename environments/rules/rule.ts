import type { Problem } from '../problems.ts';
import type { EnvironmentSettings } from '../settings.ts';

/** A problem before it is known whose: the environment's name is added where all rules are run. */
export type Finding = Omit<Problem, 'environment'>;

/** One thing that must hold. Finds nothing when it does. */
export type Rule = (settings: EnvironmentSettings) => readonly Finding[];

/** What every finding of a rule shares; the field and its value come with each. */
export interface RuleText {
  readonly rule: string;
  readonly source: string;
  /** @default - the rule says enough */
  readonly remedy?: string;
}

export function finding(field: string, value: unknown, text: RuleText): Finding {
  return { field, value, ...text };
}

/** The finding, unless the condition holds. */
export function check(holds: boolean, field: string, value: unknown, text: RuleText): readonly Finding[] {
  return holds ? [] : [finding(field, value, text)];
}

/**
 * Whether the environment says its data must survive: a lock, or refusing to be destroyed. What follows from it
 * (no public network, no state on one person's disk) must not hang on a name somebody may change.
 */
export function isProtected(settings: EnvironmentSettings): boolean {
  return settings.protection.deletionLock !== 'none' || settings.protection.preventDestroy;
}

/** Values that occur more than once, with the positions of every occurrence but the first. */
export function repeated<T>(items: readonly T[], key: (item: T) => string): { item: T; position: number }[] {
  const seen = new Set<string>();
  return items.flatMap((item, position) => {
    const name = key(item);
    if (seen.has(name)) return [{ item, position }];
    seen.add(name);
    return [];
  });
}

export const urls = {
  naming: 'https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules',
  limits: 'https://learn.microsoft.com/azure/postgresql/configure-maintain/concepts-limits',
  computes: 'https://learn.microsoft.com/azure/postgresql/compute-storage/concepts-compute',
  highAvailability:
    'https://learn.microsoft.com/azure/postgresql/high-availability/concepts-high-availability',
  replicas: 'https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas',
  endpoints:
    'https://learn.microsoft.com/azure/postgresql/read-replica/concepts-read-replicas-virtual-endpoints',
  backup: 'https://learn.microsoft.com/azure/postgresql/backup-restore/concepts-backup-restore',
  pgBouncer: 'https://learn.microsoft.com/azure/postgresql/connectivity/concepts-pgbouncer',
  queryStore: 'https://learn.microsoft.com/azure/postgresql/monitor/concepts-query-store',
  encryption: 'https://learn.microsoft.com/azure/postgresql/security/security-data-encryption',
  firewall: 'https://learn.microsoft.com/azure/postgresql/security/security-firewall-rules',
  privateLink: 'https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private-link',
  injection: 'https://learn.microsoft.com/azure/postgresql/network/concepts-networking-private',
  subnets: 'https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq',
  entra: 'https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts',
  keyVault: 'https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation',
  softDelete: 'https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview',
  tags: 'https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources',
  provider: 'https://github.com/hashicorp/terraform-provider-azurerm/tree/v4.55.0/internal/services/postgres',
  roles: 'https://www.postgresql.org/docs/17/sql-createrole.html',
} as const;
