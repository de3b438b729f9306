/**
 * A deployment without Azure: a local server takes the place of the environment's, and the post-deploy step runs as the
 * apply's provisioner runs it.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../core/fault.ts';
import { parseJson } from '../core/json.ts';
import type { Deployment } from '../database/deployment.ts';
import { within } from '../local/postgres/bootstrap.ts';
import { type LocalPostgres, randomPassword, startPostgres } from '../local/postgres/server.ts';
import { runProgram } from '../local/processes/program.ts';

const project = join(import.meta.dirname, '..');

/** The application's login of a deployment, with a password for this server alone. */
export interface ApplicationLogin {
  readonly user: string;
  readonly password: string;
}

/**
 * Starts the server that a deployment describes: its version, host names, database, administrator, extensions and
 * parameters, as far as a vanilla PostgreSQL has them. Writes are durable (fsync).
 *
 * @param as `created`: without the extensions and parameters, which the deployment itself sets later
 * @param more host names beside the deployment's. @default - none
 */
export async function serverFor(
  deployment: Deployment,
  as: 'created' | 'deployed' = 'deployed',
  more: readonly string[] = [],
): Promise<LocalPostgres> {
  const { primary, replica, endpoints } = deployment;
  const names = [primary.host, replica?.host, endpoints?.writer, endpoints?.reader, ...more];
  return startPostgres({
    major: deployment.version,
    hostNames: names.filter((name) => name !== undefined),
    administrator: deployment.passwordAdministrator ?? deployment.administrator,
    databases: [deployment.database],
    ...(as === 'created'
      ? { extensions: [] }
      : { extensions: deployment.extensions, parameters: deployment.parameters }),
    durable: true,
  });
}

/** @throws Fault if no login of the deployment has the application's role */
export function applicationLogin(deployment: Deployment): ApplicationLogin {
  const login = deployment.logins.find(({ role }) => role === 'application_role');
  if (login) return { user: login.name, password: randomPassword() };
  throw new Fault(
    'start/no-application-login',
    `Environment ${deployment.environment} has no login for the application`,
    'none of database.logins has the role application_role',
    `Add one to environments/${deployment.environment}.ts.`,
  );
}

/** Environment variables with which the post-deploy step finds a local server and logs in. */
export function postDeployEnvironment(
  server: LocalPostgres,
  deployment: Deployment,
  application: ApplicationLogin,
): Readonly<Record<string, string>> {
  return {
    LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment),
    LLAMA_DB_LOGIN_PASSWORDS: JSON.stringify({ [application.user]: application.password }),
    PGHOSTADDR: '127.0.0.1',
    PGPORT: String(server.port),
    PGPASSWORD: server.passwords.migrator,
    PGSSLROOTCERT: server.caFile,
  };
}

const result = z.object({
  applied: z.array(z.string()),
  outcome: z.string(),
  checks: z.object({ passed: z.number(), failed: z.number(), skipped: z.number() }),
});

export type PostDeployed = z.output<typeof result>;

const failure = z.object({
  error: z.object({
    code: z.templateLiteral([z.string(), '/', z.string()]),
    what: z.string(),
    why: z.string(),
    remedy: z.string(),
  }),
});

export interface PostDeployRun {
  readonly server: LocalPostgres;
  readonly deployment: Deployment;
  readonly application: ApplicationLogin;
  /** Called with each line of progress. */
  readonly onOutput: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the post-deploy step as a deployment does: in a process of its own that reads LLAMA_DB_DEPLOYMENT and checks the
 * server's real name. Only the address and the passwords are local.
 *
 * @throws Fault with the step's error if it fails, or if its verification ran no check
 */
export async function runPostDeploy(step: PostDeployRun): Promise<PostDeployed> {
  const { server, deployment, application, onOutput, signal } = step;
  const ended = await runProgram(process.execPath, ['commands/llama-db.mjs', 'post-deploy', '--json'], {
    cwd: project,
    environment: { ...process.env, ...postDeployEnvironment(server, deployment, application) },
    // The result on standard output is one line of JSON.
    onOutput: ({ text }) => {
      if (!text.startsWith('{"ok"')) onOutput(text);
    },
    interrupt: signal,
  });
  signal?.throwIfAborted();
  if (ended.exitCode === 0) return requireChecks(result.parse(JSON.parse(ended.stdout)), deployment);
  const refused = failure.safeParse(parseJson(ended.stdout));
  if (refused.success) {
    const { code, what, why, remedy } = refused.data.error;
    throw new Fault(code, what, why, remedy);
  }
  throw new Fault(
    'start/post-deploy-failed',
    'The post-deploy step failed',
    ended.lines.at(-1)?.text ?? `it ended with status ${ended.exitCode}`,
    'Run npm start -- --debug and report it.',
  );
}

/** A deployment may skip checks that it cannot make, but a local run can make them. */
function requireChecks(deployed: PostDeployed, { environment }: Deployment): PostDeployed {
  if (deployed.checks.passed > 0) return deployed;
  throw new Fault(
    'start/nothing-verified',
    `The database of ${environment} was built but not verified`,
    'not one check of verification/ has run on it',
    'Read why each check of verification/catalogue.ts was skipped.',
  );
}

/** The application's view of the database. */
export interface ApplicationView {
  readonly tables: number;
  readonly tlsVersion: string;
}

/**
 * Logs in as the application, under the server's real name, and inspects its privileges.
 *
 * @throws Fault if it can read a tenant's rows without a tenant context, or can read no table
 */
export async function lookAsApplication(
  server: LocalPostgres,
  deployment: Deployment,
  application: ApplicationLogin,
): Promise<ApplicationView> {
  const host = deployment.primary.host;
  return within(server.connection(application, { host }), async (client) => {
    const { rows } = await client.query<{ tables: number; tls: string; rows_seen: number }>(
      `SELECT (SELECT count(*)::int FROM pg_tables WHERE schemaname = 'llama'
                AND has_table_privilege(format('%I.%I', schemaname, tablename), 'SELECT')) AS tables,
              (SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()) AS tls,
              (SELECT count(*)::int FROM llama.storage_records) AS rows_seen`,
    );
    const [found] = rows;
    if (!found || found.tables === 0 || found.rows_seen > 0) {
      throw new Fault(
        'start/application-rights',
        `The application's login ${application.user} has the wrong privileges`,
        found?.tables ? 'it reads rows without a tenant context' : 'it can read no table of schema llama',
        'See migrations/0002_roles.sql and run llama-db verify.',
      );
    }
    return { tables: found.tables, tlsVersion: found.tls };
  });
}
