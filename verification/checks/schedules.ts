import { historyJob } from '../../database/schedules.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import { counted, judge, unread } from '../outcome.ts';
import type { Cron, ScheduledJob, Snapshot } from '../snapshot/snapshot.ts';

/** Periods after which a job without a run is late. */
const latePeriods = 3;
/** Days after which the runs of jobs must be pruned. */
const historyDays = 60;

type Job = Cron['jobs'][number];

/** pg_cron keeps the jobs of all databases in one table, so their names contain the database. */
const jobName = ({ server }: Snapshot, { name }: ScheduledJob) => `${server.database}: ${name}`;

/** The jobs of this database, and the one that prunes the history in the database of pg_cron. */
const expectedJobs = (jobs: readonly ScheduledJob[]) => (jobs.length > 0 ? [...jobs, historyJob] : jobs);

/** Compares the jobs of this database with `llama.scheduled_jobs()`. */
function compareJobs(
  snapshot: Snapshot,
  find: (wanted: readonly ScheduledJob[], jobs: readonly Job[], cron: Cron) => readonly Finding[],
): Outcome {
  const { cron, scheduledJobs, server } = snapshot;
  if ('unreadable' in cron) return unread(cron);
  if ('unreadable' in scheduledJobs) return unread(scheduledJobs, 'llama.scheduled_jobs() cannot be called');
  const wanted = expectedJobs(scheduledJobs.rows);
  const jobs = cron.jobs.filter(
    ({ database, name }) => database === server.database || name === jobName(snapshot, historyJob),
  );
  return judge(
    `${counted(jobs.length, 'job')} of ${server.login}, ${wanted.length} expected`,
    find(wanted, jobs, cron),
  );
}

/** Longest time between two runs in seconds, for the forms of schedule that this project uses. */
function period(schedule: string): number {
  const [minute = '*', hour = '*', day = '*', , weekday = '*'] = schedule.split(/\s+/);
  const every = /^\*\/(\d+)$/.exec(minute)?.[1];
  if (hour === '*') return every ? Number(every) * 60 : minute === '*' ? 60 : 3600;
  if (weekday !== '*') return 7 * 24 * 3600;
  return day === '*' ? 24 * 3600 : 31 * 24 * 3600;
}

export const checks = checksOf('schedules', [
  {
    id: 'SCH-001',
    name: 'jobs-scheduled',
    loses: 'availability',
    title: 'Every maintenance job is scheduled as defined and active',
    inspects: `cron.job of this login against llama.scheduled_jobs(), and ${historyJob.name}`,
    why: 'Without its jobs the server creates no partitions, erases nothing and shows old figures, without any error.',
    remedy: 'Run llama-db post-deploy, which schedules the jobs of llama.scheduled_jobs().',
    source: 'migrations/0011_maintenance.sql; citusdata/pg_cron',
    run: ({ snapshot }) =>
      compareJobs(snapshot, (wanted, jobs) =>
        wanted.flatMap((job): Finding[] => {
          const name = jobName(snapshot, job);
          const found = jobs.find((candidate) => candidate.name === name);
          if (!found) return [{ object: `job ${name}`, detail: 'is not scheduled' }];
          if (!found.active) return [{ object: `job ${name}`, detail: 'is inactive' }];
          if (found.schedule !== job.schedule) {
            return [{ object: `job ${name}`, detail: `runs at ${found.schedule}, expected ${job.schedule}` }];
          }
          return found.command === job.command
            ? []
            : [{ object: `job ${name}`, detail: `runs ${found.command}, expected ${job.command}` }];
        }),
      ),
  },
  {
    id: 'SCH-002',
    name: 'latest-runs-succeeded',
    loses: 'availability',
    title: 'The latest run of every job succeeded',
    inspects: 'cron.job_run_details: the latest ended run of each job',
    why: 'pg_cron does not notify anybody when a job fails.',
    remedy: 'Fix the cause in the message, then run the job once by hand.',
    source: 'citusdata/pg_cron (job_run_details)',
    run: ({ snapshot }) =>
      compareJobs(snapshot, (_, jobs, { runs }) =>
        jobs.flatMap((job): Finding[] => {
          const run = runs.find((candidate) => candidate.job === job.id);
          return run && run.status !== 'succeeded'
            ? [{ object: `job ${job.name}`, detail: `${run.status}: ${run.message ?? 'no message'}` }]
            : [];
        }),
      ),
  },
  {
    id: 'SCH-003',
    name: 'jobs-run-on-time',
    loses: 'availability',
    title: 'Every job has run on time',
    inspects: `age of the latest run of each job that has run before, against ${latePeriods} times its period`,
    why: 'A job that never starts (no free worker, no launcher) leaves no failed run.',
    remedy:
      'Check max_worker_processes and cron.max_running_jobs; restart the server if the launcher is gone.',
    source: 'citusdata/pg_cron',
    run: ({ snapshot }) =>
      compareJobs(snapshot, (_, jobs, { runs }) =>
        jobs.flatMap((job): Finding[] => {
          const run = runs.find((candidate) => candidate.job === job.id);
          if (!run || !job.active) return [];
          const age = (snapshot.server.now.getTime() - run.endedAt.getTime()) / 1000;
          return age > latePeriods * period(job.schedule)
            ? [{ object: `job ${job.name}`, detail: `last ran at ${run.endedAt.toISOString()}` }]
            : [];
        }),
      ),
  },
  {
    id: 'SCH-004',
    name: 'no-unknown-job',
    loses: 'time',
    title: 'No unknown or duplicate job is scheduled in this database',
    inspects:
      'jobs of this login and database in cron.job that llama.scheduled_jobs() does not list, and commands that are scheduled more than once',
    why: 'A job is unique only by name and login: a deployment under another login leaves the old jobs behind, and both run.',
    remedy: 'SELECT cron.unschedule(jobid).',
    source: 'citusdata/pg_cron; a redeployment under another identity duplicated the jobs on PostgreSQL 15',
    run: ({ snapshot }) =>
      compareJobs(snapshot, (wanted, jobs) => {
        const names = new Set(wanted.map((job) => jobName(snapshot, job)));
        return jobs
          .filter(({ name }) => !names.has(name ?? ''))
          .map(({ id, name, command }) => ({ object: `job ${name ?? id}`, detail: `runs ${command}` }));
      }),
  },
  {
    id: 'SCH-005',
    name: 'job-history-pruned',
    loses: 'upkeep',
    title: `Job history is kept for at most ${historyDays} days`,
    inspects: 'the oldest run in cron.job_run_details',
    why: 'pg_cron never deletes a run: a job that runs every minute adds half a million rows per year.',
    remedy: `Run llama-db post-deploy, which schedules ${historyJob.name}; then check its latest run.`,
    source: 'supabase#50211; citusdata/pg_cron (job_run_details)',
    run: ({ snapshot: { cron, server } }) => {
      if ('unreadable' in cron) return unread(cron);
      const days = cron.oldestRun ? (server.now.getTime() - cron.oldestRun.getTime()) / 86_400_000 : 0;
      return judge(
        cron.oldestRun ? `oldest run ${cron.oldestRun.toISOString()}` : 'no runs',
        days > historyDays
          ? [{ object: 'cron.job_run_details', detail: `keeps runs for ${counted(Math.floor(days), 'day')}` }]
          : [],
      );
    },
  },
]);
