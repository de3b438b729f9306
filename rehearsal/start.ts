/**
 * One deployment without Azure: the stacks are synthesized, a local server takes the place of the one the
 * deployment describes, and the post-deploy step is run the way the apply's provisioner runs it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { Fault } from '../core/fault.ts';
import { parseJson } from '../core/json.ts';
import type { Deployment } from '../database/deployment.ts';
import { within } from '../local/postgres/bootstrap.ts';
import { type LocalPostgres, randomPassword, startPostgres } from '../local/postgres/server.ts';

export interface SynthesizedStack {
  readonly name: string;
  /** Path of its Terraform JSON, relative to the project unless CDKTF_OUTDIR is not. */
  readonly path: string;
}

const project = join(import.meta.dirname, '..');

/**
 * Synthesizes every environment to `cdktf.out`, or where cdktf's own CDKTF_OUTDIR says.
 *
 * @param names the environments, in the order to return them

 * @throws Fault when the app fails, with what it said
 */
export async function synthesize(
  names: readonly string[],
  signal?: AbortSignal,
): Promise<SynthesizedStack[]> {
  const app = await run(['--import', 'tsx', 'main.ts'], { signal });
  if (app.status !== 0) {
    throw new Fault(
      'start/1',
      'The environments do not synthesize',
      app.errors.join('\n') || `main.ts ended with status ${app.status}`,
      'Mend the settings that are named and run the command again.',
    );
  }
  const folder = process.env['CDKTF_OUTDIR'] || 'cdktf.out';
  const { stacks } = manifest.parse(
    JSON.parse(readFileSync(resolve(project, folder, 'manifest.json'), 'utf8')),
  );
  return names.map((name) => {
    const path = join(folder, stacks[name]?.synthesizedStackPath ?? name);
    if (stacks[name] && existsSync(resolve(project, path))) return { name, path };
    throw new Fault(
      'start/2',
      `Environment ${name} was not written to ${folder}`,
      'main.ts ended well, and its manifest or the file the manifest names is missing',
      `Remove ${folder} and run the command again.`,
    );
  });
}

/** What cdktf says about the folder it wrote. */
const manifest = z.object({ stacks: z.record(z.string(), z.object({ synthesizedStackPath: z.string() })) });

/** The application's login of a deployment, with a password for this server alone. */
export interface ApplicationLogin {
  readonly user: string;
  readonly password: string;
}

/**
 * Starts the server that a deployment describes: its version, host names, database, administrator, extensions
 * and parameters, as far as a vanilla PostgreSQL has them. Writes are as safe as on any other server.
 *
 * @param as `created`: without the extensions and parameters, which the deployment's own operations set
 */
export async function serverFor(
  deployment: Deployment,
  as: 'created' | 'deployed' = 'deployed',
): Promise<LocalPostgres> {
  const { primary, replica, endpoints } = deployment;
  const names = [primary.host, replica?.host, endpoints?.writer, endpoints?.reader];
  return startPostgres({
    major: deployment.version,
    hostNames: names.filter((name) => name !== undefined),
    administrator: deployment.administrator,
    databases: [deployment.database],
    ...(as === 'created'
      ? { extensions: [] }
      : { extensions: deployment.extensions, parameters: deployment.parameters }),
    durable: true,
  });
}

/** @throws Fault when no login of the deployment has the application's role */
export function applicationLogin(deployment: Deployment): ApplicationLogin {
  const login = deployment.logins.find(({ role }) => role === 'application_role');
  if (login) return { user: login.name, password: randomPassword() };
  throw new Fault(
    'start/3',
    `Environment ${deployment.environment} has no login for the application`,
    'none of database.logins has the role application_role',
    `Add one to environments/${deployment.environment}.ts.`,
  );
}

const result = z.object({
  applied: z.array(z.string()),
  outcome: z.string(),
  checks: z.object({ passed: z.number(), failed: z.number(), skipped: z.number() }),
});

export type PostDeployed = z.output<typeof result>;

export interface PostDeployRun {
  readonly server: LocalPostgres;
  readonly deployment: Deployment;
  readonly application: ApplicationLogin;
  /** Hears what the step says, line by line. */
  readonly hear: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs the post-deploy step as a deployment does: a process of its own, told about the deployment by
 * LLAMA_DB_DEPLOYMENT, that checks the server's real name. Only where it dials and its passwords are local.
 *
 * @throws Fault with what the step said when it fails, and when its verification looked at nothing
 */
export async function runPostDeploy(step: PostDeployRun): Promise<PostDeployed> {
  const { server, deployment, application, hear, signal } = step;
  const ended = await run(['commands/llama-db.mjs', 'post-deploy', '--json'], {
    signal,
    hear,
    environment: {
      LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment),
      LLAMA_DB_LOGIN_PASSWORDS: JSON.stringify({ [application.user]: application.password }),
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(server.port),
      PGPASSWORD: server.passwords.migrator,
      PGSSLROOTCERT: server.caFile,
    },
  });
  if (ended.status === 0) return verified(result.parse(JSON.parse(ended.output)), deployment);
  const refused = z
    .object({ error: z.object({ what: z.string(), why: z.string(), remedy: z.string() }) })
    .safeParse(parseJson(ended.output));
  if (refused.success) {
    const { what, why, remedy } = refused.data.error;
    throw new Fault('start/4', what, why, remedy);
  }
  throw new Fault(
    'start/5',
    'The post-deploy step failed',
    ended.errors.at(-1) ?? `it ended with status ${ended.status}`,
    'Run npm start -- --debug and report it.',
  );
}

/** A deployment may skip checks it cannot make; a rehearsal has everything it takes to look. */
function verified(deployed: PostDeployed, { environment }: Deployment): PostDeployed {
  if (deployed.checks.passed > 0) return deployed;
  throw new Fault(
    'start/6',
    `The database of ${environment} was built and not verified`,
    'not one check of verification/ could look at it',
    'Look at which checks verification/catalogue.ts lists, and why each of them was skipped.',
  );
}

/** What the application's login finds. */
export interface ApplicationView {
  readonly tables: number;
  readonly tlsVersion: string;
}

/**
 * Logs in as the application, under the server's real name, and looks at what it was given.
 *
 * @throws Fault when it can read a tenant's table without a tenant's context, or has no table at all
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
        'start/7',
        `The application's login ${application.user} has the wrong rights`,
        found?.tables ? 'it reads rows without a tenant' : 'it can read no table of schema llama',
        'See migrations/0002_roles.sql and llama-db verify.',
      );
    }
    return { tables: found.tables, tlsVersion: found.tls };
  });
}

interface Ended {
  readonly status: number | null;
  readonly output: string;
  readonly errors: readonly string[];
}

async function run(
  args: readonly string[],
  options: {
    readonly environment?: Readonly<Record<string, string>>;
    readonly hear?: (line: string) => void;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd: project,
    env: { ...process.env, ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.signal ? { signal: options.signal } : {}),
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
  });
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    errors.push(line);
    options.hear?.(line);
  });
  const [status] = await once(child, 'close');
  return { status, output, errors };
}
