import { historyJob } from '../../database/schedules.ts';
import { checksOf, type Finding, type Outcome } from '../check.ts';
import { counted, judge, skip } from '../outcome.ts';
import type { Cron, ScheduledJob, Snapshot } from '../snapshot/facts.ts';

type Job = Cron['jobs'][number];

/** Jobs carry their database's name: pg_cron keeps those of all databases in one place. */
const jobName = ({ server }: Snapshot, { name }: ScheduledJob) => `${server.database}: ${name}`;

/** What must be scheduled for this database: its own jobs, and the one that prunes their reports where pg_cron lives. */
const askedFor = (jobs: readonly ScheduledJob[]) => (jobs.length > 0 ? [...jobs, historyJob] : jobs);

/** Judges the jobs of this database beside what `llama.scheduled_jobs()` asks for. */
function overSchedule(
  snapshot: Snapshot,
  find: (wanted: readonly ScheduledJob[], jobs: readonly Job[], cron: Cron) => readonly Finding[],
): Outcome {
  const { cron, scheduledJobs, server } = snapshot;
  if ('unreadable' in cron) return skip(cron.unreadable);
  if ('unreadable' in scheduledJobs)
    return skip(`llama.scheduled_jobs() cannot be called: ${scheduledJobs.unreadable}`);
  const wanted = askedFor(scheduledJobs.rows);
  const jobs = cron.jobs.filter(
    ({ database, name }) => database === server.database || name === jobName(snapshot, historyJob),
  );
  return judge(
    `${counted(jobs.length, 'job')} of ${server.login}, ${wanted.length} asked for`,
    find(wanted, jobs, cron),
  );
}

/** Longest time between two runs, in seconds, of the schedules that are used here. */
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
    severity: 'high',
    title: 'Every maintenance job is scheduled as written, active',
    inspects: `cron.job of this login against llama.scheduled_jobs(), and ${historyJob.name}`,
    why: 'Without its jobs the server makes no partitions, erases nothing and shows old figures, without an error anywhere.',
    remedy: 'llama-db post-deploy makes the jobs what llama.scheduled_jobs() says.',
    source: 'migrations/0011_maintenance.sql; citusdata/pg_cron',
    run: ({ snapshot }) =>
      overSchedule(snapshot, (wanted, jobs) =>
        wanted.flatMap((job): Finding[] => {
          const name = jobName(snapshot, job);
          const found = jobs.find((candidate) => candidate.name === name);
          if (!found) return [{ object: `job ${name}`, detail: 'is not scheduled' }];
          if (!found.active) return [{ object: `job ${name}`, detail: 'is switched off' }];
          if (found.schedule !== job.schedule) {
            return [{ object: `job ${name}`, detail: `runs at ${found.schedule}, not at ${job.schedule}` }];
          }
          return found.command === job.command
            ? []
            : [{ object: `job ${name}`, detail: `runs ${found.command}, not ${job.command}` }];
        }),
      ),
  },
  {
    id: 'SCH-002',
    name: 'latest-runs-succeeded',
    severity: 'high',
    title: 'The latest run of every job succeeded',
    inspects: 'cron.job_run_details: the latest ended run of each job',
    why: 'pg_cron tells nobody when a job fails.',
    remedy: 'Mend what the message names, then run the job by hand once.',
    source: 'citusdata/pg_cron (job_run_details)',
    run: ({ snapshot }) =>
      overSchedule(snapshot, (_, jobs, { runs }) =>
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
    severity: 'high',
    title: 'Every job has run when it was due',
    inspects: 'age of the latest run of each job that has run at all, against three times its period',
    why: 'A job that never starts (no worker free, the launcher gone) leaves no failed run to find.',
    remedy:
      'Look at max_worker_processes and cron.max_running_jobs; restart the server when the launcher is gone.',
    source: 'citusdata/pg_cron',
    run: ({ snapshot }) =>
      overSchedule(snapshot, (_, jobs, { runs }) =>
        jobs.flatMap((job): Finding[] => {
          const run = runs.find((candidate) => candidate.job === job.id);
          if (!run || !job.active) return [];
          const age = (snapshot.server.now.getTime() - run.endedAt.getTime()) / 1000;
          return age > 3 * period(job.schedule)
            ? [{ object: `job ${job.name}`, detail: `last ran at ${run.endedAt.toISOString()}` }]
            : [];
        }),
      ),
  },
  {
    id: 'SCH-004',
    name: 'no-unknown-job',
    severity: 'medium',
    title: 'Nothing else is scheduled in this database, and nothing twice',
    inspects:
      'cron.job of this login and database that llama.scheduled_jobs() does not name, and commands scheduled more than once',
    why: 'Jobs are unique by name and login only: a deployment under another name leaves its jobs behind, and both run.',
    remedy: 'SELECT cron.unschedule(jobid).',
    source: 'citusdata/pg_cron; a redeployment under another identity duplicated the jobs on PostgreSQL 15',
    run: ({ snapshot }) =>
      overSchedule(snapshot, (wanted, jobs) => {
        const names = new Set(wanted.map((job) => jobName(snapshot, job)));
        return jobs
          .filter(({ name }) => !names.has(name ?? ''))
          .map(({ id, name, command }) => ({ object: `job ${name ?? id}`, detail: `runs ${command}` }));
      }),
  },
  {
    id: 'SCH-005',
    name: 'job-history-pruned',
    severity: 'low',
    title: 'The history of the jobs is pruned',
    inspects: 'the oldest run in cron.job_run_details, against 60 days',
    why: 'pg_cron never removes a run: a job every minute adds half a million rows a year, in a table that nobody vacuums on purpose.',
    remedy: `llama-db post-deploy schedules ${historyJob.name}; look at its latest run.`,
    source: 'supabase#50211; citusdata/pg_cron (job_run_details)',
    run: ({ snapshot: { cron, server } }) => {
      if ('unreadable' in cron) return skip(cron.unreadable);
      const days = cron.oldestRun ? (server.now.getTime() - cron.oldestRun.getTime()) / 86_400_000 : 0;
      return judge(
        cron.oldestRun ? `oldest run ${cron.oldestRun.toISOString()}` : 'no run is kept',
        days > 60
          ? [{ object: 'cron.job_run_details', detail: `keeps runs of ${Math.floor(days)} days` }]
          : [],
      );
    },
  },
]);
