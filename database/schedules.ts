/** Jobs of pg_cron: what the database does by itself. Without pg_cron `llama-db maintain` does the same work. */

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
 * pg_cron keeps the report of every run for ever, and a job every minute adds half a million a year. Its own table lies
 * in its own database, so this one runs there; row-level security leaves the login only the reports of its own jobs.
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
 * Makes the jobs of this database equal to `llama.scheduled_jobs()`: missing ones are added, changed ones
 * changed, those that are no longer wanted removed. Jobs carry the database's name, because pg_cron keeps those
 * of all databases in one place, unique by name and login.
 *
 * @returns whether pg_cron is there.
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
    reporter.warn(
      'pg_cron is not on this server: schedules are skipped, run llama-db maintain regularly instead',
    );
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

/** pg_cron lives in the one database that cron.database_name names, on Azure `postgres` unless it was changed. */
async function homeOfScheduler({ client }: Connection): Promise<string> {
  // The view leaves out what the login may not see; current_setting would refuse.
  const { rows } = await client.query<{ home: string }>(
    "SELECT setting AS home FROM pg_catalog.pg_settings WHERE name = 'cron.database_name'",
  );
  return rows[0]?.home || 'postgres';
}

/** Allowing pg_cron and loading its library is not yet having it: some servers create it by themselves, some do not. */
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
 * As `ensureSchedules`, on a connection to the database that pg_cron lives in.
 *
 * @param database whose jobs they are.
 * @param asked what runs in that database, by its name there.
 * @returns what was changed
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
    // Without jobs there are no reports.
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
