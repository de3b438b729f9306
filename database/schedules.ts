/** Jobs of pg_cron. Without pg_cron, `llama-db maintain` does the same work. */
import type { Reporter } from '../core/report.ts';
import { type Connection, type ConnectOptions, withConnection } from './connection.ts';
import type { Deployment } from './deployment.ts';
import { asOwner } from './migrator/prepare.ts';

interface Job {
  readonly name: string;
  readonly schedule: string;
  readonly command: string;
}

/**
 * pg_cron never deletes the record of a run, and a job that runs every minute adds half a million records per year. The
 * job runs in the database of pg_cron, which holds that table; row-level security limits it to the login's own jobs.
 */
export const historyJob: Job = {
  name: 'prune-job-history',
  schedule: '10 2 * * *',
  command: "DELETE FROM cron.job_run_details WHERE end_time < pg_catalog.now() - interval '30 days'",
};

interface ExistingJob extends Job {
  readonly id: string;
  readonly active: boolean;
}

/**
 * Makes the jobs of this database equal to `llama.scheduled_jobs()`: adds missing jobs, updates changed ones, and removes
 * the others. Job names begin with the name of the database, because pg_cron keeps the jobs of all databases in one
 * table, unique by name and login.
 *
 * @returns whether pg_cron is installed
 */
export async function ensureSchedules(
  connection: Connection,
  options: ConnectOptions & { readonly reporter: Reporter },
): Promise<boolean> {
  const { reporter, ...rest } = options;
  const { target, credential, circumstances } = connection;
  const { database } = circumstances;
  const wanted = await wantedJobs(connection);
  const changed = await withConnection(
    target,
    { ...rest, database: await homeOfScheduler(connection), credential },
    async (home) => {
      if (!(await hasScheduler(home)) && !(await createScheduler(home, target.deployment))) return undefined;
      return synchronise(home, database, wanted);
    },
  );
  if (changed === undefined) {
    reporter.warn('pg_cron is not on this server: schedules are skipped; run llama-db maintain regularly');
    return false;
  }
  if (changed.length > 0) reporter.line(`Scheduled: ${changed.join(', ')}`);
  return true;
}

async function wantedJobs(connection: Connection): Promise<readonly Job[]> {
  return asOwner(connection, async () => {
    const { client } = connection;
    const { rows: found } = await client.query<{ there: boolean }>(
      "SELECT pg_catalog.to_regprocedure('llama.scheduled_jobs()') IS NOT NULL AS there",
    );
    if (!found[0]?.there) return [];
    const { rows } = await client.query<Job>(
      'SELECT job_name AS name, schedule, command FROM llama.scheduled_jobs()',
    );
    return rows;
  });
}

/** The one database with pg_cron, by cron.database_name; on Azure `postgres` by default. */
async function homeOfScheduler({ client }: Connection): Promise<string> {
  // The view omits settings that the login may not see; current_setting would raise an error.
  const { rows } = await client.query<{ home: string }>(
    "SELECT setting AS home FROM pg_catalog.pg_settings WHERE name = 'cron.database_name'",
  );
  return rows[0]?.home || 'postgres';
}

/** Creates the extension if it is allowed and preloaded. Some servers create it by themselves, others do not. */
async function createScheduler({ client }: Connection, deployment: Deployment | undefined): Promise<boolean> {
  if (!deployment?.extensions.includes('pg_cron')) return false;
  const { rowCount } = await client.query(
    "SELECT FROM pg_catalog.pg_available_extensions WHERE name = 'pg_cron'",
  );
  if (rowCount === 0) return false;
  await client.query('CREATE EXTENSION IF NOT EXISTS pg_cron');
  return true;
}

async function hasScheduler({ client }: Connection): Promise<boolean> {
  const { rows } = await client.query<{ there: boolean }>(
    `SELECT EXISTS (
       SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = 'cron' AND p.proname = 'schedule_in_database') AS there`,
  );
  return rows[0]?.there === true;
}

/**
 * Like `ensureSchedules`, on a connection to the database with pg_cron.
 *
 * @param database the database of the jobs
 * @param asked the jobs that it wants, without the prefix of their names
 * @returns the changes, for people: `added llama: prune-job-history`
 */
export async function synchronise(
  { client }: Pick<Connection, 'client'>,
  database: string,
  asked: readonly Job[],
): Promise<readonly string[]> {
  const { rows: existing } = await client.query<ExistingJob>(
    `SELECT jobid::text AS id, jobname AS name, schedule, command, active FROM cron.job
      WHERE username = CURRENT_USER AND pg_catalog.starts_with(jobname, $1 || ': ')
        AND (database = $1 OR database = pg_catalog.current_database() AND jobname = $1 || ': ' || $2)`,
    [database, historyJob.name],
  );
  const named = (job: Job) => ({ ...job, name: `${database}: ${job.name}` });
  const wanted = [
    ...asked.map((job) => ({ ...named(job), home: false })),
    // Without jobs, there are no records to prune.
    ...(asked.length > 0 ? [{ ...named(historyJob), home: true }] : []),
  ];
  const changed: string[] = [];
  for (const { home, ...job } of wanted) {
    const found = existing.find(({ name }) => name === job.name);
    if (found?.active && found.schedule === job.schedule && found.command === job.command) continue;
    await client.query(
      `SELECT cron.schedule_in_database($1, $2, $3,
                CASE WHEN $5 THEN pg_catalog.current_database() ELSE $4 END, NULL, true)`,
      [job.name, job.schedule, job.command, database, home],
    );
    changed.push(`${found ? 'changed' : 'added'} ${job.name}`);
  }
  for (const { id, name } of existing.filter((found) => !wanted.some((job) => job.name === found.name))) {
    await client.query('SELECT cron.unschedule($1::bigint)', [id]);
    changed.push(`removed ${name}`);
  }
  return changed;
}
