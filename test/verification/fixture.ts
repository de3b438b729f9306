/** A migrated database on a separate server, and ways to verify it with one thing broken. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { RecordedHead } from '../../database/audit/heads.ts';
import { withConnection } from '../../database/connection.ts';
import type { Deployment } from '../../database/deployment.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { historyJob } from '../../database/schedules.ts';
import { expectedOn } from '../../database/schema/manifest.ts';
import { readManifest } from '../../database/schema/manifest-file.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { catalogue } from '../../verification/catalogue.ts';
import type { CheckResult, Outcome } from '../../verification/check.ts';
import { evaluate } from '../../verification/run.ts';
import type { Setting, Snapshot } from '../../verification/snapshot/snapshot.ts';
import { takeSnapshot } from '../../verification/snapshot/snapshot.ts';

const manifest = readManifest(migrationsDirectory);
const createdExtensions = ((manifest && expectedOn(manifest, 17))?.areas.extensions ?? []).map(({ object }) =>
  object.replace('extension ', ''),
);

const silent = { line: () => {}, warn: () => {} };

/** Login of the application in these tests; the project has no role of this name. */
export const applicationLogin = 'verify_app';

export interface VerifiedServer {
  readonly server: LocalPostgres;
  /** The superuser, who may break everything. */
  readonly superuser: pg.Client;
  readonly migrator: pg.Client;
  stop(): Promise<void>;
}

export async function startVerifiedServer(): Promise<VerifiedServer> {
  const server = await startPostgres({ databases: ['llama_mapper'] });
  const target = await resolveTarget({ url: server.url('migrator') }, {});
  await withConnection(target, { reporter: silent }, (connection) =>
    withLock(connection, { reporter: silent }, () =>
      migrate(connection, { reporter: silent, migrationsDirectory }),
    ),
  );
  const connected = async (who: 'superuser' | 'migrator') => {
    const client = new pg.Client(server.connection(who));
    await client.connect();
    return client;
  };
  const [superuser, migrator] = await Promise.all([connected('superuser'), connected('migrator')]);
  await superuser.query(
    `CREATE ROLE ${applicationLogin} LOGIN;
     GRANT application_role TO ${applicationLogin} WITH INHERIT TRUE, SET FALSE`,
  );
  await sealSomething(superuser);
  return {
    server,
    superuser,
    migrator,
    async stop() {
      await Promise.all([superuser.end(), migrator.end()]);
      await server.stop();
    },
  };
}

/** Rows of last month and this month in three seals, so that rows can break them. */
async function sealSomething(superuser: pg.Client): Promise<void> {
  for (const months of [1, 0, 0]) {
    await superuser.query(
      `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
       SELECT 'some tenant', 'storage_records', 'SELECT', n::text, now() - make_interval(months => $1)
         FROM generate_series(1, 3) AS n`,
      [months],
    );
    for (let run = 0; run < 2; run += 1) await superuser.query('SELECT llama.seal_audit_trail()');
  }
  // Otherwise autovacuum could analyze leaves whose parent has no statistics.
  await superuser.query('ANALYZE llama.audit_trail');
}

/** The deployment of that server. */
export const deployment: Deployment = {
  environment: 'test',
  primary: { host: 'llama-mapper-test.postgres.database.azure.com' },
  replica: { host: 'llama-mapper-test-replica.postgres.database.azure.com' },
  writer: 'primary',
  database: 'llama_mapper',
  version: 17,
  administrator: 'database_admins',
  authentication: 'entra',
  extensions: [...createdExtensions, 'pg_cron'],
  parameters: {
    work_mem: '4096',
    'pgbouncer.enabled': 'true',
    'pgbouncer.default_pool_size': '20',
  },
  logins: [
    {
      name: applicationLogin,
      objectId: '00000000-0000-0000-0000-000000000001',
      type: 'ServicePrincipal',
      role: 'application_role',
    },
  ],
  pools: [{ name: 'application', maxSize: 5, instances: 4 }],
  partitions: {
    monthsAhead: 3,
    retentionDays: { storage_records: 400, audit_trail: 400, model_metrics: 90, detector_executions: 90 },
  },
};

/** All checks except those of group azure (azure.test.ts). */
export const databaseChecks = catalogue.filter(({ group }) => group !== 'azure');

export function majorOf({ server }: Snapshot): number {
  return Math.floor(server.version / 10_000);
}

/** Parameters of an Azure server with those of the environment. */
const azureParameters: Readonly<Record<string, string>> = {
  'azure.extensions': [...createdExtensions, 'pg_cron'].join(',').toUpperCase(),
  shared_preload_libraries: 'pg_cron,pg_stat_statements,pgaudit',
  'cron.database_name': 'llama_mapper',
  'pgaudit.log': 'ddl,role,write',
  'pgaudit.log_parameter': 'off',
  require_secure_transport: 'on',
  log_statement: 'none',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  statement_timeout: '900000',
  lock_timeout: '30000',
  idle_in_transaction_session_timeout: '300000',
  log_connections: 'on',
  log_disconnections: 'on',
  log_lock_waits: 'on',
  log_checkpoints: 'on',
  log_temp_files: '10240',
  log_autovacuum_min_duration: '10000',
  log_min_duration_statement: '1000',
  log_line_prefix: '%t-%c-user=%u,db=%d,app=%a,client=%h:',
  synchronous_commit: 'on',
  fsync: 'on',
  full_page_writes: 'on',
  data_checksums: 'on',
  'pg_qs.query_capture_mode': 'top',
  'pg_qs.parameters_capture_mode': 'capture_parameterless_only',
};

export function withSettings(
  snapshot: Snapshot,
  values: Readonly<Record<string, string | Partial<Setting>>>,
): Snapshot {
  const settings = new Map(snapshot.settings);
  for (const [name, change] of Object.entries(values)) {
    const known = settings.get(name) ?? {
      value: '',
      builtIn: null,
      unit: null,
      pendingRestart: false,
      category: 'Customized Options',
      type: 'string',
    };
    settings.set(name, { ...known, ...(typeof change === 'string' ? { value: change } : change) });
  }
  return { ...snapshot, settings };
}

/** The same facts as on Azure, with parameters, jobs and a replica, so that no check is skipped. */
export function asOnAzure(snapshot: Snapshot): Snapshot {
  const { server, scheduledJobs } = snapshot;
  const wanted = 'rows' in scheduledJobs ? scheduledJobs.rows : [];
  const jobs = [...wanted, historyJob].map((job, place) => ({
    ...job,
    id: place + 1,
    name: `${server.database}: ${job.name}`,
    database: job === historyJob ? 'postgres' : server.database,
    active: true,
    owner: server.login,
  }));
  const runs = jobs.map(({ id }) => ({ job: id, status: 'succeeded', message: null, endedAt: server.now }));
  return withSettings(
    {
      ...snapshot,
      server: { ...server, isAzure: true },
      availableExtensions: [...snapshot.availableExtensions, 'pg_cron', 'pgaudit'],
      cron: { jobs, runs, oldestRun: server.now },
      activity: { ...snapshot.activity, statisticsDays: 40, indexUse: [] },
      replication: {
        standbys: [{ application: 'replica', state: 'streaming', lagBytes: 1024, lagSeconds: 0.2 }],
        slots: [
          { name: 'azure_replica', logical: false, active: true, walStatus: 'reserved', retained: 1024 },
        ],
      },
    },
    azureParameters,
  );
}

export interface Break {
  /** Statements of the superuser, in the transaction that is rolled back. `{leaf:table:0}` is a leaf, see `fill`. */
  readonly sql?: string;
  /** Changes the facts, if only Azure has them or a rollback cannot undo the change. */
  readonly bend?: (snapshot: Snapshot) => Snapshot;
  readonly deployment?: Partial<Deployment>;
  /** Heads in the server log. @default - none */
  readonly logged?: readonly RecordedHead[];
  /** Changes a copy of the migration files. */
  readonly files?: (directory: string) => void;
}

/** The deployment with the version of this server, unless the row changes the version. */
function deploymentOf(major: number, change: Partial<Deployment> = {}): Deployment {
  const { version = deployment.version } = change;
  return { ...deployment, ...change, version: version === deployment.version ? major : version };
}

/** Outcomes of all checks with one thing broken; the change is rolled back. */
export async function answersWith(verified: VerifiedServer, change: Break): Promise<readonly CheckResult[]> {
  const { superuser: client, server } = verified;
  const directory = mkdtempSync(join(tmpdir(), 'llama-db-verify-'));
  await client.query('BEGIN');
  try {
    cpSync(migrationsDirectory, directory, { recursive: true });
    change.files?.(directory);
    if (change.sql) await client.query(await fill(client, change.sql));
    // The checks run with the privileges of the login that verifies.
    await client.query(`RESET ROLE; SET LOCAL SESSION AUTHORIZATION ${server.administrator}`);
    const seen = asOnAzure(await takeSnapshot(client));
    const snapshot = change.bend?.(seen) ?? seen;
    const input = {
      client,
      snapshot,
      deployment: deploymentOf(majorOf(snapshot), change.deployment),
      migrationsDir: directory,
      loggedHeads: async () => ({ value: change.logged ?? [] }),
    };
    return await evaluate(input, databaseChecks);
  } finally {
    await client.query('ROLLBACK');
    // A rollback does not undo statistics of statements and table reads.
    await client.query('SELECT extensions.pg_stat_statements_reset(), pg_stat_reset()');
    rmSync(directory, { recursive: true });
  }
}

/** `{leaf:model_metrics:1}`: the leaf of next month; 0 this month, -1 the one before. */
async function fill(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<{ now: Date }>('SELECT now()');
  const now = rows[0]?.now ?? new Date();
  return sql
    .replace(/\{leaf:(\w+):(-?\d+)\}/g, (_, table: string, offset: string) => {
      const first = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + Number(offset)));
      const [year, month] = first.toISOString().split('-');
      return `llama.${table}_y${year}m${month}`;
    })
    .replace(
      /\{month:(-?\d+)\}/g,
      (_, offset: string) =>
        `'${new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + Number(offset))).toISOString().slice(0, 10)}'`,
    );
}

export function idsOf(results: readonly CheckResult[], status: Outcome['status']): readonly string[] {
  return results.filter(({ outcome }) => outcome.status === status).map(({ check }) => check.id);
}
