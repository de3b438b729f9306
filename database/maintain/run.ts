/** Shared by the steps of a maintenance run: their actions, and the lock waits of their statements. */
import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import type { Connection } from '../connection.ts';
import { retryOnLock } from '../lock-retry.ts';
import { asRole } from '../migrator/prepare.ts';

/** One action of a step, or an omission with its reason. */
export interface Action {
  readonly step:
    | 'settings'
    | 'months ahead'
    | 'holes'
    | 'seals'
    | 'partitions'
    | 'records'
    | 'statistics'
    | 'summary';
  readonly done:
    | 'changed'
    | 'created'
    | 'finalized'
    | 'detached'
    | 'dropped'
    | 'attached again'
    | 'left attached'
    | 'left detached'
    | 'sealed'
    | 'closed'
    | 'erased'
    | 'analyzed'
    | 'refreshed';
  /** Table, partition or view, without its schema. */
  readonly object: string;
  /** Reason or amount. */
  readonly detail?: string;
  /** Number of tenants whose storage_retention_days protects rows in the partition. */
  readonly tenants?: number;
  /** Number of rows erased or sealed. */
  readonly rows?: number;
}

/** One line: `Partition storage_records_y2025m01 dropped`. */
export function describe({ step, done, object, detail }: Action): string {
  const partition = step === 'months ahead' || step === 'holes' || step === 'partitions' || done === 'closed';
  const kind = partition ? 'Partition' : step === 'summary' ? 'View' : 'Table';
  return `${kind} ${object} ${done}${detail ? `: ${detail}` : ''}`;
}

export interface Run {
  readonly connection: Connection;
  readonly reporter: Reporter;
  /** Reports an action and adds it to the result. */
  act(action: Action): void;
}

/**
 * Milliseconds that a statement of this session class waits for its lock. Writers do not queue behind any of these statements. The wait exceeds
 * deadlock_timeout (1 s), after which autovacuum gives up its lock.
 */
export const limits = { lockTimeout: 5_000, attempts: 5 };

/**
 * Runs one transaction or statement that holds a lock for a moment: with several attempts, about half a minute in total.
 *
 * @throws Fault naming `what` if no attempt got the lock
 */
export async function briefly<Result>(
  { connection: { circumstances } }: Pick<Run, 'connection'>,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> {
  return retryOnLock(what, { ...limits, holder: circumstances.blocker }, work);
}

/** How a login does the work of maintenance. */
export type Standing = 'owner' | 'member';

/**
 * The login of deployments may act as the owner. The login that the settings give `maintenance_role` has its privileges,
 * and may become no other role.
 *
 * @throws Fault (exit 2) if the login has neither
 */
export async function standingOf({
  client,
  circumstances,
}: Pick<Connection, 'client' | 'circumstances'>): Promise<Standing> {
  const { rows } = await client.query<{ owner: boolean | null; member: boolean | null }>(
    `SELECT pg_catalog.pg_has_role(SESSION_USER, pg_catalog.to_regrole('llama_owner'), 'SET')
        AND pg_catalog.pg_has_role(SESSION_USER, pg_catalog.to_regrole('maintenance_role'), 'SET') AS owner,
            pg_catalog.pg_has_role(SESSION_USER, pg_catalog.to_regrole('maintenance_role'), 'USAGE') AS member`,
  );
  // Without the roles nothing is deployed yet.
  if (rows[0]?.owner === true || rows[0]?.member == null) return 'owner';
  if (rows[0]?.member === true) return 'member';
  throw new Fault(
    'maintain/role-not-held',
    `${circumstances.user} may not maintain ${circumstances.target}`,
    'only members of maintenance_role and logins that may act as llama_owner may do so',
    `Use the login that the settings give maintenance_role. As the administrator, GRANT maintenance_role TO "${circumstances.user}" WITH INHERIT TRUE, SET FALSE adds one.`,
    { exitCode: 2 },
  );
}

/** Runs `work` with the privileges of `maintenance_role`, which a member has without SET ROLE. */
export async function asMaintenance<Result>(
  connection: Pick<Connection, 'client' | 'circumstances'>,
  work: () => Promise<Result>,
): Promise<Result> {
  return (await standingOf(connection)) === 'owner' ? asRole(connection, 'maintenance_role', work) : work();
}
