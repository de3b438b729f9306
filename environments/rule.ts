/** The form of a rule about settings. Each rule has a stable id; `environments/catalogue.ts` lists all of them. */
import type { Problem, RuleId } from './problems.ts';
import type { Candidate } from './resolved.ts';
import type { EnvironmentSettings } from './settings.ts';

/** A place where a rule does not hold. */
export interface Finding {
  /** Path of the field, as in the settings file: `server.backup.retentionDays`. */
  readonly field: string;
  readonly value: unknown;
  /** The rule for this value, in place of the rule's general sentence. @default - the general sentence */
  readonly rule?: string;
  /** @default - the rule's */
  readonly source?: string;
  /** @default - the rule's */
  readonly remedy?: string;
}

/** Text of a rule, for `docs/settings-rules.md` and for problems. */
export interface RuleText {
  /** The requirement, as a sentence that starts in lower case and has no period. */
  readonly rule: string;
  /** Link, document or rule id where the rule comes from. */
  readonly source: string;
  /** Advice, if the rule is not enough. @default - none */
  readonly remedy?: string;
}

/** A rule about one environment. */
export interface Rule extends RuleText {
  /** @returns every place where the rule does not hold */
  readonly check: (candidate: Candidate) => readonly Finding[];
}

export type Rules<Text extends RuleText = Rule> = Readonly<Record<RuleId, Text>>;

/**
 * Declares rules by id, `family/what-must-hold`: the family is the name of the file in `environments/rules/`. The order
 * of the table is the order of the reports.
 */
export function defineRules<const Ids extends RuleId>(
  rules: Readonly<Record<Ids, Rule>>,
): Readonly<Record<Ids, Rule>> {
  return rules;
}

/** A finding with everything that its rule says. */
export function problemOf(environment: string, id: RuleId, text: RuleText, finding: Finding): Problem {
  const { rule, source, remedy } = text;
  return { environment, id, rule, source, ...(remedy !== undefined && { remedy }), ...finding };
}

/** A finding unless the condition holds. */
export function check(
  holds: boolean,
  field: string,
  value: unknown,
  detail: Pick<Finding, 'rule' | 'source' | 'remedy'> = {},
): readonly Finding[] {
  return holds ? [] : [{ field, value, ...detail }];
}

/** The remedy for a name that is not in a list: the nearest name of the list, or else the given advice. */
export function didYouMean(guess: string | undefined, otherwise: string): string {
  return guess === undefined ? otherwise : `Did you mean ${guess}?`;
}

/**
 * Whether the settings protect the environment's data, by a lock or by refusing to destroy. The rules that follow from
 * it (no public network, a shared state) must not depend on the environment's name.
 */
export function isProtected({ protection }: Pick<EnvironmentSettings, 'protection'>): boolean {
  return protection.deletionLock !== 'none' || protection.preventDestroy;
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
  containerAppsSubnet: 'https://learn.microsoft.com/azure/container-apps/custom-virtual-networks',
  entra: 'https://learn.microsoft.com/azure/postgresql/security/security-entra-concepts',
  keyVault: 'https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation',
  softDelete: 'https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview',
  tags: 'https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources',
  provider: 'https://github.com/hashicorp/terraform-provider-azurerm/tree/v4.55.0/internal/services/postgres',
  roles: 'https://www.postgresql.org/docs/17/sql-createrole.html',
} as const;
