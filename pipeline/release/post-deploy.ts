/**
 * The post-deploy step: applies migrations and settings to one database, verifies it, and records the release.
 *
 * It can run again at any time, also after an interruption. A run with nothing to do only verifies.
 */

import { Fault } from '../../core/fault.ts';
import type { Reporter } from '../../core/report.ts';
import { duration } from '../../core/text.ts';
import { admitAdministrators, letLoginIn, shareDatabase } from '../../database/administrators.ts';
import { keepHead, keptHeads } from '../../database/audit/heads.ts';
import { logHead } from '../../database/audit/logged-heads.ts';
import { headOfDeployment } from '../../database/audit/seals.ts';
import { type Connection, type ConnectOptions, withConnection } from '../../database/connection.ts';
import type { Deployment } from '../../database/deployment.ts';
import { ensureExtensions } from '../../database/extensions.ts';
import { createMonthsAhead, fillHoles, followSettings, readRegistry } from '../../database/maintain/ahead.ts';
import { type Action, describe } from '../../database/maintain/run.ts';
import { listMigrations, migrationsDirectory } from '../../database/migrator/files.ts';
import { type LockOptions, withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resetOverrides } from '../../database/overrides.ts';
import { ensureLogins } from '../../database/principals.ts';
import { pendingRestarts, type RestartServer, restart } from '../../database/restart.ts';
import { ensureSchedules } from '../../database/schedules.ts';
import type { Target } from '../../database/target.ts';
import { digestOfMigrations, digestOfSettings, type Release, recordRelease } from './releases.ts';

export interface PostDeployOptions extends ConnectOptions {
  readonly reporter: Reporter;
  /** Seconds to wait for another run. @default 60 */
  readonly lockWaitSeconds?: number;
  /** @default - the project's own */
  readonly migrationsDirectory?: string;
  /** Passwords of logins on a server without Entra. @default - none */
  readonly loginPasswords?: ReadonlyMap<string, string>;
  /** Restarts the server. @default - through Azure Resource Manager */
  readonly restartServer?: RestartServer;
  /** Findings of this severity or a higher one fail the step. @default 'high' */
  readonly failOn?: 'critical' | 'high' | 'medium' | 'low';
}

export interface PostDeployResult {
  readonly target: string;
  /** Migrations applied by this run. */
  readonly applied: readonly string[];
  readonly restarted: boolean;
  readonly schedules: 'pg_cron' | 'skipped';
  readonly outcome: Release['outcome'];
  readonly checks: Release['counts'];
  /** `number:hash` of the audit trail's newest seal, for `llama-db audit verify --expect`; null without one. */
  readonly auditHead: Release['auditHead'];
  /** Milliseconds. */
  readonly durationMs: number;
}

/**
 * Runs the step on one database.
 *
 * @throws Fault `post-deploy/findings` if verification finds something at or above `failOn`. The release is recorded
 * with the findings before that.
 * @throws Fault of any part that fails: connecting, migrating, logins, schedules
 */
export async function postDeploy(target: Target, options: PostDeployOptions): Promise<PostDeployResult> {
  const start = performance.now();
  const { reporter } = options;
  let restarted = false;
  const first = await withRun(target, options, async (connection) => {
    // Before all else: such a setting can make jobs, logins and the verification fail.
    const reset = await resetOverrides(connection, reporter);
    // First, because an extension may need a library that is loaded only after the restart.
    const pending = await pendingRestarts(connection, reporter);
    restarted = pending.servers.length > 0 && (await restart(pending, target.deployment, options));
    return restarted || reset ? undefined : deploy(connection, options);
  });
  // A restart ends the session and its lock, and a session keeps the settings with which it began, so the other parts run
  // in a second one.
  const done = first ?? (await withRun(target, options, (connection) => deploy(connection, options)));
  const durationMs = performance.now() - start;
  const result = { ...done, restarted, durationMs };
  if (done.finding) {
    throw new Fault(
      'post-deploy/findings',
      `Deployed ${result.target}, but its verification failed`,
      done.finding,
      `Run llama-db verify${target.environment ? ` ${target.environment}` : ''} for the details, correct them and deploy again.`,
    );
  }
  reporter.line(`Done: ${result.target} is deployed, ${result.outcome} (${duration(durationMs)})`);
  return result;
}

type Deployed = Omit<PostDeployResult, 'restarted' | 'durationMs'> & {
  /** Names of the checks that fail the step. @default - none does */
  readonly finding?: string;
};

function withRun<Result>(
  target: Target,
  options: PostDeployOptions,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const { reporter, lockWaitSeconds } = options;
  const lock: LockOptions = {
    reporter,
    ...(lockWaitSeconds === undefined ? {} : { waitSeconds: lockWaitSeconds }),
  };
  const named = { applicationName: 'llama-db post-deploy', ...options };
  return withConnection(target, named, (connection) => withLock(connection, lock, () => work(connection)));
}

async function deploy(connection: Connection, options: PostDeployOptions): Promise<Deployed> {
  const { reporter } = options;
  const { deployment } = connection.target;
  const directory = options.migrationsDirectory ?? migrationsDirectory;
  if (connection.superuser) {
    reporter.warn(
      `${connection.target.user} is a superuser, which no login of Azure is: this run proves nothing about Azure`,
    );
  }
  await shareDatabase(connection, reporter);
  await letLoginIn(connection, options);
  await ensureExtensions(connection, deployment?.extensions ?? [], reporter);
  const applied = await migrate(connection, { reporter, migrationsDirectory: directory });
  if (deployment) await followPartitions(connection, deployment.partitions, reporter);
  const passwords = options.loginPasswords;
  await ensureLogins(connection, deployment?.logins ?? [], {
    ...options,
    ...(passwords ? { passwords } : {}),
  });
  await admitAdministrators(connection, reporter);
  const scheduled = await ensureSchedules(connection, options);
  const record = (verification: Pick<Release, 'outcome' | 'counts'>, auditHead: string | null) =>
    recordRelease(connection, {
      environment: connection.target.environment ?? 'none',
      migrationsDigest: digestOfMigrations(listMigrations(directory)),
      settingsDigest: digestOfSettings(deployment ?? {}),
      outcome: verification.outcome,
      counts: verification.counts,
      auditHead,
    });
  const verification = await verify(connection, directory, options).catch(async (error) => {
    // The deployment stays in place. Promotion must see that its state is unknown.
    await connection.client
      .query('ROLLBACK')
      .then(() => connection.restoreSession())
      .then(() => record({ outcome: 'not verified', counts: { passed: 0, failed: 0, skipped: 0 } }, null))
      .catch(() => undefined);
    throw error;
  });
  const auditHead = await headOfDeployment(connection);
  await record(verification, auditHead);
  // The owner of the database cannot change the log of the deployment.
  if (auditHead) {
    reporter.line(`Audit trail: its head is ${auditHead}`);
    keepHead(process.env, auditHead);
    await logHead(connection, auditHead);
  }
  return {
    target: connection.circumstances.target,
    applied: applied.map(({ name }) => name),
    schedules: scheduled ? 'pg_cron' : 'skipped',
    outcome: verification.outcome,
    checks: verification.counts,
    auditHead,
    ...(verification.finding ? { finding: verification.finding } : {}),
  };
}

/** Runs before the jobs are scheduled, because pg_cron's jobs use these numbers. */
async function followPartitions(
  connection: Connection,
  partitions: Deployment['partitions'],
  reporter: Reporter,
): Promise<void> {
  const { rows } = await connection.client.query<{ there: boolean }>(
    "SELECT pg_catalog.to_regclass('llama.partitioned_tables') IS NOT NULL AS there",
  );
  if (!rows[0]?.there) return;
  const run = { connection, reporter, act: (action: Action) => reporter.line(describe(action)) };
  await followSettings(run, await readRegistry(run), partitions);
  await createMonthsAhead(run);
  await fillHoles(run);
  await connection.restoreSession();
}

async function verify(
  connection: Connection,
  directory: string,
  { reporter, failOn = 'high' }: PostDeployOptions,
): Promise<Pick<Release, 'outcome' | 'counts'> & { readonly finding?: string }> {
  const [{ failing, runChecks }, { unreadReasons }, { otherDatabases }] = await Promise.all([
    import('../../verification/run.ts'),
    import('../../verification/verdict.ts'),
    import('../../verification/databases.ts'),
  ]);
  const { deployment } = connection.target;
  const report = await runChecks({
    client: connection.client,
    migrationsDir: directory,
    openDatabase: otherDatabases(connection),
    keptHeads: keptHeads(process.env),
    ...(deployment ? { deployment } : {}),
  });
  await connection.restoreSession();
  const { checks, counts, durationMs } = report;
  const { passed, failed, skipped } = counts;
  reporter.line(`Verified: ${passed} passed, ${failed} failed, ${skipped} skipped (${duration(durationMs)})`);
  for (const { check, outcome } of checks) {
    if (outcome.status !== 'failed') continue;
    const objects = outcome.findings.map(({ object, detail }) => `${object}: ${detail}`).join('; ');
    reporter.warn(`${check.id} (${check.severity}) ${check.title}: ${objects}`);
  }
  const unread = unreadReasons(report);
  for (const reason of unread) reporter.warn(reason);
  const bad = failing(report, failOn);
  if (bad.length > 0) {
    const list = bad.map(({ check }) => `${check.id} ${check.title}`).join('; ');
    return { outcome: 'findings', counts, finding: `${bad.length} at ${failOn} or above: ${list}` };
  }
  return { outcome: passed > 0 && unread.length === 0 ? 'verified' : 'not verified', counts };
}
