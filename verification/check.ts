/**
 * The words of verification: what a check is, what it may answer, and what a run of them hands back.
 */
import type pg from 'pg';
import type { Severity } from '../core/severity.ts';
import type { Deployment } from '../database/deployment.ts';
import type { AzureFacts, Read } from './azure/facts.ts';
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

/** One thing that is not as it must be. */
export interface Finding {
  /** The object, as a person would name it: `llama.storage_records`, `parameter log_lock_waits`. */
  readonly object: string;
  /** What is wrong with it, with the value found. */
  readonly detail: string;
}

/**
 * What a check answers. A check that could not look says `skipped`, never `passed`.
 */
export type Outcome =
  | { readonly status: 'passed'; readonly inspected: string }
  | { readonly status: 'failed'; readonly inspected: string; readonly findings: readonly Finding[] }
  | {
      readonly status: 'skipped';
      readonly reason: string;
      /** The check itself is at fault, not what it looks at. @default false */
      readonly defective?: true;
    };

/** Where checks look. */
export interface CheckContext {
  /**
   * A connection of the migrating login (member of azure_pg_admin, may SET ROLE llama_owner), outside any
   * transaction. Nothing is written but by the two-tenant probe, whose transaction is always rolled back.
   */
  readonly client: pg.Client;
  /** @default - checks that compare with a deployment's settings are skipped */
  readonly deployment?: Deployment;
  /** Folder of the migration files and their schema manifest. @default - the project's own `migrations/` */
  readonly migrationsDir?: string;
  /** Connections to other databases of the server, for pg_cron. @default - what lies there is skipped */
  readonly openDatabase?: OpenDatabase;
  /** What Azure's control plane says, read once. @default - group azure is skipped */
  readonly azure?: () => Promise<Read<AzureFacts>>;
}

/** A context with the catalogs already read. */
export interface CheckInput extends CheckContext {
  readonly snapshot: Snapshot;
}

export interface Check {
  /** Stable; never used again for another check. */
  readonly id: `${Uppercase<string>}-${number}`;
  /** Readable and unique, in kebab case; accepted wherever the id is. */
  readonly name: string;
  readonly group: Group;
  readonly severity: Severity;
  /** The assertion that holds if the check passes, without a full stop. */
  readonly title: string;
  /** Catalogs, settings or statements that it reads. */
  readonly inspects: string;
  /** What goes wrong if the assertion does not hold. */
  readonly why: string;
  /** What to do about a finding. */
  readonly remedy: string;
  /** Rule, manual or experiment it comes from. */
  readonly source: string;
  run(input: CheckInput): Outcome | Promise<Outcome>;
}

/** The checks of one group, as a file of `checks/` exports them. */
export function checksOf(group: Group, checks: readonly Omit<Check, 'group'>[]): readonly Check[] {
  return checks.map((check) => ({ ...check, group }));
}

/** What `explain` and the reports need to know of a check. */
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

export interface Report {
  readonly checks: readonly CheckResult[];
  readonly counts: Counts;
  readonly durationMs: number;
}

export interface RunOptions {
  /** @default - every group */
  readonly groups?: readonly Group[];
  /** Ids or names of checks. @default - every check of the groups */
  readonly only?: readonly string[];
}
