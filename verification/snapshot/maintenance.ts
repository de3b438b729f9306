/** The registry of partitions, the ledger of migrations, and the jobs of pg_cron. */
import type pg from 'pg';
import { type LedgerEntry, readLedger, readRunnerNames } from '../../database/migrator/ledger.ts';
import { attempt } from '../../database/transaction.ts';
import { asOwner, mapped, nested, type Reader, row, rows, type Unreadable } from './source.ts';

/** A row of llama.partitioned_tables. */
export interface RegisteredTable {
  readonly name: string;
  readonly monthsAhead: number;
  readonly retentionDays: number;
  readonly appendOnly: boolean;
}

/** A row of llama.scheduled_jobs(). */
export interface ScheduledJob {
  readonly name: string;
  readonly schedule: string;
  readonly command: string;
}

/** The jobs of this login in pg_cron, and their latest runs. */
export interface Cron {
  readonly jobs: readonly {
    readonly id: number;
    readonly name: string | null;
    readonly schedule: string;
    readonly command: string;
    readonly database: string;
    readonly active: boolean;
    readonly owner: string;
  }[];
  readonly runs: readonly {
    readonly job: number;
    readonly status: string;
    readonly message: string | null;
    readonly endedAt: Date;
  }[];
  /** Start of the oldest recorded run; null if there is none. */
  readonly oldestRun: Date | null;
}

const readCron = nested({
  jobs: rows<Cron['jobs'][number]>(`
    SELECT j.jobid::int AS id, j.jobname AS name, j.schedule, j.command, j.database, j.active, j.username AS owner
    FROM cron.job j`),
  // The latest ended run of each job.
  runs: rows<Cron['runs'][number]>(`
    SELECT DISTINCT ON (d.jobid) d.jobid::int AS job, d.status, d.return_message AS message, d.end_time AS "endedAt"
    FROM cron.job_run_details d WHERE d.end_time IS NOT NULL ORDER BY d.jobid, d.end_time DESC`),
  oldestRun: mapped(
    row<{ readonly oldestRun: Date | null }>(
      'SELECT min(d.start_time) AS "oldestRun" FROM cron.job_run_details d',
    ),
    ({ oldestRun }) => oldestRun,
  ),
});

/** Finds the database of the jobs. pg_settings omits what the login may not see; current_setting would raise an error. */
const schedulerHome = row<{
  readonly home: string | null;
  /** Whether the login may read the preloaded libraries. */
  readonly visible: boolean;
  readonly loaded: boolean;
  readonly here: string;
  readonly created: boolean;
}>(`
    SELECT (SELECT setting FROM pg_settings WHERE name = 'cron.database_name') AS home,
      EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries') AS visible,
      EXISTS (SELECT FROM pg_settings WHERE name = 'shared_preload_libraries' AND setting ~ '\\mpg_cron\\M') AS loaded,
      current_database() AS here, EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') AS created`);

/** pg_cron keeps the jobs of all databases in the one that `cron.database_name` names. */
async function readScheduler(reader: Reader): Promise<Cron | Unreadable> {
  const { client, openDatabase } = reader;
  const { here, created, visible, loaded, home: named } = await schedulerHome(reader);
  const home = named ?? (created ? here : loaded ? 'postgres' : undefined);
  if (!home) {
    return visible
      ? { unreadable: 'pg_cron is not on this server; llama-db maintain does its work', absent: true }
      : { unreadable: 'the login may not read shared_preload_libraries, so pg_cron may be on this server' };
  }
  const read = (within: pg.Client) => readCron({ client: within, openDatabase });
  if (home !== here) {
    if (!openDatabase)
      return { unreadable: `the jobs are in database ${home}, which this run cannot connect to` };
    return openDatabase(home, read).catch((error: Error) => ({ unreadable: `${home}: ${error.message}` }));
  }
  const result = await attempt(client, () => read(client));
  return 'value' in result ? result.value : { unreadable: result.refused.message };
}

/** A tenant whose records are erased sooner than any environment keeps rows. */
export interface ShortRetention {
  readonly tenant: string;
  readonly days: number;
}

/** Days that `database.partitions.retentionDays` keeps rows at least (docs/settings-rules.md, capacity/retention). */
export const leastRetentionDays = 7;
/** Tenants that are listed at most. */
export const shortRetentionLimit = 20;

/** Reads as the role that sees the configuration of every tenant. */
async function readShortRetention({ client }: Reader): Promise<readonly ShortRetention[] | Unreadable> {
  const result = await attempt(client, async () => {
    await client.query('SET LOCAL ROLE admin_role');
    const { rows: found } = await client.query<ShortRetention>(
      `SELECT c.tenant_id AS tenant, c.storage_retention_days AS days FROM llama.tenant_configs AS c
        WHERE c.storage_retention_days BETWEEN 0 AND $1 ORDER BY 2, 1 LIMIT $2`,
      [leastRetentionDays - 1, shortRetentionLimit + 1],
    );
    await client.query('RESET ROLE');
    return found;
  });
  return 'value' in result ? result.value : { unreadable: result.refused.message };
}

export const maintenanceFacts = {
  shortRetention: readShortRetention,
  registry: asOwner(
    rows<RegisteredTable>(`
    SELECT table_name AS name, months_ahead AS "monthsAhead", retention_days AS "retentionDays", append_only AS "appendOnly"
    FROM llama.partitioned_tables ORDER BY 1`),
  ),
  ledger: asOwner<LedgerEntry>(({ client }) => readLedger({ client })),
  /** Names of the migrations that node-pg-migrate's own table lists as applied. */
  runnerNames: asOwner<string>(({ client }) => readRunnerNames({ client })),
  scheduledJobs: asOwner(
    rows<ScheduledJob>('SELECT job_name AS name, schedule, command FROM llama.scheduled_jobs()'),
  ),
  cron: readScheduler,
};
