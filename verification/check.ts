/**
 * The terms of verification: a check, its outcome, and the report of a run.
 */
import type pg from 'pg';
import type { Severity } from '../core/severity.ts';
import type { RecordedHead } from '../database/audit/heads.ts';
import type { LoggedHeads } from '../database/audit/logged-heads.ts';
import type { Deployment } from '../database/deployment.ts';
import type { AzureFacts, Read } from './azure/facts.ts';
import { type Loss, losses } from './losses.ts';
import type { Snapshot } from './snapshot/snapshot.ts';
import type { OpenDatabase } from './snapshot/source.ts';

export const groups = [
  'isolation',
  'partitions',
  'indexes',
  'audit',
  'encryption',
  'roles',
  'extensions',
  'settings',
  'connections',
  'schedules',
  'ledger',
  'schema',
  'drift',
  'replication',
  'azure',
] as const;
export type Group = (typeof groups)[number];

/** One violation of a check. */
export interface Finding {
  /** The object by its full name: `llama.storage_records`, `parameter log_lock_waits`. */
  readonly object: string;
  /** The violation with the actual value; continues a sentence that starts with the object. */
  readonly detail: string;
}

/**
 * The result of a check. A check that could not read its facts is `skipped`, never `passed`.
 */
export type Outcome =
  | { readonly status: 'passed'; readonly inspected: string }
  | { readonly status: 'failed'; readonly inspected: string; readonly findings: readonly Finding[] }
  | {
      readonly status: 'skipped';
      readonly reason: string;
      /** The facts exist, but this run could not read them. @default - they do not exist here */
      readonly blind?: true;
      /** The check itself failed with an error. @default - the facts were unreadable or missing */
      readonly defective?: true;
    };

/** The sources that checks read. */
export interface CheckContext {
  /**
   * A connection of the migrating login, which is a member of azure_pg_admin and may SET ROLE llama_owner. Only the
   * two-tenant probe writes, in a transaction that is always rolled back.
   */
  readonly client: pg.Client;
  /** @default - checks that compare with the settings are skipped */
  readonly deployment?: Deployment;
  /** Folder of the migration files and their schema manifest. @default - the project's own `migrations/` */
  readonly migrationsDir?: string;
  /** Connects to other databases of the server, for pg_cron. @default - checks of schedules there are skipped */
  readonly openDatabase?: OpenDatabase;
  /** Heads of the audit trail that were kept outside the database. @default - only those of the releases are compared */
  readonly keptHeads?: readonly RecordedHead[];
  /** Heads of the audit trail in the server log, read once. @default - they are not compared */
  readonly loggedHeads?: () => Promise<LoggedHeads>;
  /** Facts of Azure's control plane, read once. @default - group azure is skipped */
  readonly azure?: () => Promise<Read<AzureFacts>>;
}

/** A context with its snapshot of the catalogs. */
export interface CheckInput extends CheckContext {
  readonly snapshot: Snapshot;
}

export interface Check {
  /** Stable, and never reused for another check. */
  readonly id: `${Uppercase<string>}-${number}`;
  /** Readable and unique, in kebab case; accepted wherever the id is. */
  readonly name: string;
  readonly group: Group;
  /** The loss that a finding brings about, without a further fault. */
  readonly loses: Loss;
  /** Follows from the loss. */
  readonly severity: Severity;
  /** The assertion that holds if the check passes, without a full stop. */
  readonly title: string;
  /** Catalogs, settings or statements that it reads. */
  readonly inspects: string;
  /** The consequence if the assertion does not hold. */
  readonly why: string;
  /** The action that resolves a finding. */
  readonly remedy: string;
  /** Rule, manual or experiment it comes from. */
  readonly source: string;
  run(input: CheckInput): Outcome | Promise<Outcome>;
}

/** The checks of one group, as a file of `checks/` exports them. */
export function checksOf(
  group: Group,
  checks: readonly Omit<Check, 'group' | 'severity'>[],
): readonly Check[] {
  return checks.map((check) => ({ ...check, group, severity: losses[check.loses].severity }));
}

/** A check without its code, for `explain` and the reports. */
export type CheckFacts = Omit<Check, 'run'>;

export interface CheckResult {
  readonly check: CheckFacts;
  readonly outcome: Outcome;
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The verified server, and the login that read it. */
export interface Subject {
  /** Major and minor version of PostgreSQL. */
  readonly version: string;
  readonly login: string;
  /** `number:hash` of the newest seal of the audit trail; null without one, or if it could not be read. */
  readonly auditHead: string | null;
}

export interface Report {
  readonly subject: Subject;
  readonly checks: readonly CheckResult[];
  readonly counts: Counts;
  readonly durationMs: number;
}

export interface RunOptions {
  /** @default - all groups */
  readonly groups?: readonly Group[];
  /** Ids or names of checks. @default - all checks of the groups */
  readonly only?: readonly string[];
}
