import type { Cron, Session, Snapshot } from '../../verification/snapshot/snapshot.ts';
import { deployment, withSettings } from './fixture.ts';
import { otherMigrations, probeChecks, type Row } from './rows.ts';

export const encryptionRows: readonly Row[] = [
  { breaks: 'ENC-001', sql: 'GRANT EXECUTE ON FUNCTION llama.encryption_key(text) TO analytics_role' },
  {
    breaks: 'ENC-002',
    sql: `CREATE OR REPLACE FUNCTION llama.encrypt_sensitive_data(data text, key_id text DEFAULT NULL) RETURNS text
      LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN ''pgp1:first:'' || data; END'`,
  },
  {
    breaks: 'ENC-003',
    also: ['SET-020'],
    because: 'app.encryption_key set for a role',
    bend: (snapshot) => ({
      ...snapshot,
      roleSettings: [
        ...snapshot.roleSettings,
        { role: 'verify_app', database: null, name: 'app.encryption_key', value: 'c2VjcmV0' },
      ],
    }),
  },
  {
    breaks: 'ENC-004',
    sql: "DO $$ BEGIN PERFORM set_config('app.encryption_keys', '{}', true); END $$",
  },
];

export const roleRows: readonly Row[] = [
  { breaks: 'ROL-001', sql: 'ALTER ROLE analytics_role CREATEDB' },
  { breaks: 'ROL-001', sql: 'ALTER ROLE application_role LOGIN' },
  { breaks: 'ROL-002', also: ['ROL-014'], sql: 'ALTER VIEW llama.tenant_performance OWNER TO admin_role' },
  { breaks: 'ROL-003', also: ['ROL-013'], sql: 'GRANT maintenance_role TO llama_owner WITH INHERIT TRUE' },
  { breaks: 'ROL-004', also: ['ROL-013'], sql: 'CREATE ROLE verify_role; GRANT llama_owner TO verify_role' },
  { breaks: 'ROL-005', sql: 'REVOKE application_role FROM verify_app' },
  {
    breaks: 'ROL-005',
    because: 'a login of the settings that does not exist',
    deployment: {
      logins: [
        ...deployment.logins,
        { name: 'missing_login', objectId: '-', type: 'User', role: 'admin_role' },
      ],
    },
  },
  {
    breaks: 'ROL-006',
    also: ['ROL-013'],
    sql: 'CREATE ROLE verify_role; GRANT analytics_role TO verify_role',
  },
  { breaks: 'ROL-007', sql: 'GRANT UPDATE ON llama.model_metrics TO analytics_role' },
  { breaks: 'ROL-008', sql: 'GRANT SELECT ON llama.model_metrics TO admin_role WITH GRANT OPTION' },
  {
    breaks: 'ROL-009',
    also: ['ROL-013'],
    sql: 'CREATE ROLE verify_role; GRANT pg_read_server_files TO verify_role',
  },
  { breaks: 'ROL-010', also: ['ROL-013'], sql: 'GRANT pg_read_all_data TO verify_app' },
  { breaks: 'ROL-011', sql: 'ALTER ROLE verify_app REPLICATION' },
  { breaks: 'ROL-012', also: ['ROL-013'], sql: 'GRANT pg_monitor TO verify_app' },
  { breaks: 'ROL-012', also: ['ROL-013'], sql: 'GRANT pg_signal_backend TO application_role' },
  { breaks: 'ROL-012', also: ['ROL-013'], sql: 'GRANT pg_signal_backend TO analytics_role' },
  { breaks: 'ROL-011', sql: 'CREATE ROLE verify_role REPLICATION' },
  { breaks: 'ROL-013', sql: 'GRANT application_role TO verify_app WITH SET TRUE' },
  { breaks: 'ROL-013', also: ['ROL-008'], sql: 'GRANT application_role TO verify_app WITH ADMIN TRUE' },
  { breaks: 'ROL-013', sql: 'CREATE ROLE verify_role; GRANT azure_pg_admin TO verify_role' },
  { breaks: 'ROL-013', sql: 'CREATE ROLE verify_role; GRANT pg_checkpoint TO verify_role' },
  { breaks: 'ROL-013', sql: 'CREATE ROLE verify_role; GRANT verify_role TO verify_app' },
  { breaks: 'ROL-013', sql: 'CREATE ROLE verify_role; GRANT maintenance_owner TO verify_role' },
  { breaks: 'ROL-013', sql: 'CREATE ROLE verify_role; GRANT import_writer TO verify_role' },
  {
    breaks: 'ROL-016',
    because: 'Azure Backup leaves out databases of azure_pg_admin',
    deployment: { longTermBackup: true },
  },
  {
    breaks: 'ROL-016',
    because: 'and those of azuresu',
    sql: 'ALTER DATABASE llama_mapper OWNER TO azuresu',
    deployment: { longTermBackup: true },
  },
  { breaks: 'ROL-014', sql: 'ALTER SCHEMA public OWNER TO verify_app' },
  {
    breaks: 'ROL-014',
    also: ['ISO-063'],
    sql: 'CREATE TYPE public.colour AS ENUM (); ALTER TYPE public.colour OWNER TO verify_app',
  },
  { breaks: 'ROL-014', also: ['ISO-031'], sql: 'ALTER DATABASE llama_mapper OWNER TO verify_app' },
  {
    breaks: 'ROL-015',
    sql: `CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN END';
      REVOKE EXECUTE ON FUNCTION public.watch() FROM PUBLIC;
      CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.watch()`,
  },
];

export const extensionRows: readonly Row[] = [
  { breaks: 'EXT-001', sql: 'DROP EXTENSION pg_trgm' },
  { breaks: 'EXT-002', sql: 'CREATE EXTENSION citext WITH SCHEMA public' },
  {
    breaks: 'EXT-003',
    sql: "DROP EXTENSION pg_trgm; CREATE EXTENSION pg_trgm WITH SCHEMA extensions VERSION '1.5'",
  },
  setting('EXT-004', { 'azure.extensions': 'pgcrypto,pg_stat_statements' }),
  setting('EXT-005', { shared_preload_libraries: 'pg_stat_statements,pgaudit' }),
  { breaks: 'EXT-006', sql: 'CREATE EXTENSION dblink WITH SCHEMA extensions' },
];

function setting(breaks: string, values: Readonly<Record<string, string>>): Row {
  const because = Object.entries(values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ');
  return { breaks, because, bend: (snapshot) => withSettings(snapshot, values) };
}

function server(change: Partial<Snapshot['server']>): Pick<Row, 'bend'> {
  return { bend: (snapshot) => ({ ...snapshot, server: { ...snapshot.server, ...change } }) };
}

export const settingRows: readonly Row[] = [
  {
    breaks: 'SET-001',
    bend: (snapshot) => withSettings(snapshot, { max_connections: { pendingRestart: true } }),
  },
  setting('SET-002', { ssl_min_protocol_version: 'TLSv1.1' }),
  setting('SET-002', { ssl: 'off' }),
  setting('SET-002', { require_secure_transport: 'off' }),
  { breaks: 'SET-003', ...server({ tls: null }) },
  { breaks: 'SET-003', ...server({ tls: { version: 'TLSv1.1', cipher: 'AES' } }) },
  setting('SET-004', { log_statement: 'all' }),
  setting('SET-004', { log_statement: 'ddl' }),
  { breaks: 'SET-004', also: ['SET-020'], sql: "ALTER ROLE verify_app SET log_statement = 'mod'" },
  setting('SET-005', { log_parameter_max_length: '-1' }),
  setting('SET-005', { log_parameter_max_length_on_error: '1024' }),
  setting('SET-006', { statement_timeout: '0' }),
  setting('SET-006', { idle_in_transaction_session_timeout: '0' }),
  setting('SET-007', { log_connections: 'off' }),
  setting('SET-008', { log_lock_waits: 'off' }),
  setting('SET-008', { log_temp_files: '-1' }),
  setting('SET-009', { log_line_prefix: '%t-%c-' }),
  setting('SET-010', { autovacuum: 'off' }),
  { breaks: 'SET-010', sql: 'ALTER TABLE llama.tenant_configs SET (autovacuum_enabled = false)' },
  setting('SET-011', { default_transaction_read_only: 'on' }),
  {
    breaks: 'SET-011',
    also: ['SET-020'],
    sql: 'ALTER ROLE verify_app IN DATABASE llama_mapper SET default_transaction_read_only = true',
  },
  { breaks: 'SET-012', also: ['SET-020'], sql: 'ALTER ROLE verify_app SET synchronous_commit = off' },
  setting('SET-012', { synchronous_commit: 'off' }),
  { breaks: 'SET-013', ...server({ encoding: 'SQL_ASCII' }) },
  setting('SET-014', { password_encryption: 'md5' }),
  setting('SET-015', { 'pgaudit.log': 'none' }),
  setting('SET-015', { 'pgaudit.log_parameter': 'on' }),
  setting('SET-016', { work_mem: '8192' }),
  {
    breaks: 'SET-017',
    skips: otherMigrations.skips,
    because: 'the manifest does not describe an unsupported version',
    ...server({ version: 150_018 }),
    deployment: { version: 15 },
  },
  { breaks: 'SET-018', deployment: { version: 15 } },
  { breaks: 'SET-019', ...server({ frozenAge: 1_500_000_000 }) },
  { breaks: 'SET-020', sql: 'ALTER ROLE verify_app SET row_security = off' },
  { breaks: 'SET-020', sql: 'ALTER ROLE verify_app SET transaction_read_only = on' },
  { breaks: 'SET-020', sql: 'ALTER DATABASE llama_mapper SET transaction_read_only = on' },
  {
    breaks: 'SET-020',
    sql: "ALTER ROLE verify_app IN DATABASE postgres SET local_preload_libraries = 'missing'",
  },
  { breaks: 'SET-020', sql: 'ALTER ROLE ALL SET statement_timeout = 1' },
  { breaks: 'SET-020', also: ['DRI-013'], sql: "ALTER DATABASE llama_mapper SET datestyle = 'German'" },
  { breaks: 'SET-024', sql: 'ALTER DATABASE llama_mapper CONNECTION LIMIT 5' },
  { breaks: 'SET-024', sql: 'ALTER DATABASE llama_mapper IS_TEMPLATE true' },
  { breaks: 'SET-024', also: ['DRI-010'], sql: 'REVOKE CONNECT ON DATABASE llama_mapper FROM PUBLIC' },
  setting('SET-025', { row_security: 'off' }),
  setting('SET-025', { session_preload_libraries: 'auto_explain' }),
  setting('SET-025', { DateStyle: 'German, DMY' }),
  { breaks: 'SET-026', sql: 'ALTER ROLE verify_app NOLOGIN' },
  { breaks: 'SET-026', sql: "ALTER ROLE verify_app VALID UNTIL '2020-01-01'" },
  { breaks: 'SET-026', sql: 'ALTER ROLE verify_app CONNECTION LIMIT 0' },
  { breaks: 'SET-026', sql: 'ALTER ROLE verify_app NOINHERIT' },
  { breaks: 'SET-026', sql: "ALTER ROLE database_admins VALID UNTIL '2030-01-01'" },
];

const session: Session = {
  pid: 4711,
  user: 'verify_app',
  application: 'worker',
  state: 'active',
  transactionAge: 1,
  stateAge: 1,
  lockWait: null,
  tls: true,
  remote: true,
};

function sessions(...changes: readonly Partial<Session>[]): Pick<Row, 'bend'> {
  return {
    bend: (snapshot) => ({
      ...snapshot,
      activity: { ...snapshot.activity, sessions: changes.map((change) => ({ ...session, ...change })) },
    }),
  };
}

export const connectionRows: readonly Row[] = [
  { breaks: 'CON-001', deployment: { pools: [{ name: 'application', maxSize: 20, instances: 10 }] } },
  { breaks: 'CON-002', ...sessions(...Array.from({ length: 80 }, (_, pid) => ({ pid }))) },
  { breaks: 'CON-003', ...sessions({ transactionAge: 7200 }) },
  { breaks: 'CON-004', ...sessions({ state: 'idle in transaction', stateAge: 900, transactionAge: 900 }) },
  {
    breaks: 'CON-005',
    bend: (snapshot) => ({
      ...snapshot,
      activity: { ...snapshot.activity, prepared: [{ gid: 'order 17', age: 86_400 }] },
    }),
  },
  { breaks: 'CON-006', ...sessions({ tls: false }) },
  { breaks: 'CON-007', ...sessions({ lockWait: 90 }) },
];

function cron(change: (cron: Cron) => Partial<Cron>): Pick<Row, 'bend'> {
  return {
    bend: (snapshot) =>
      'jobs' in snapshot.cron
        ? { ...snapshot, cron: { ...snapshot.cron, ...change(snapshot.cron) } }
        : snapshot,
  };
}

export const scheduleRows: readonly Row[] = [
  { breaks: 'SCH-001', because: 'a job is missing', ...cron(({ jobs }) => ({ jobs: jobs.slice(1) })) },
  {
    breaks: 'SCH-001',
    because: 'a job is inactive',
    ...cron(({ jobs }) => ({ jobs: jobs.map((job, place) => ({ ...job, active: place > 0 })) })),
  },
  {
    breaks: 'SCH-001',
    because: 'a job runs at another time',
    ...cron(({ jobs }) => ({ jobs: jobs.map((job) => ({ ...job, schedule: '0 0 1 1 *' })) })),
  },
  {
    breaks: 'SCH-002',
    ...cron(({ runs }) => ({
      runs: runs.map((run) => ({ ...run, status: 'failed', message: 'disk full' })),
    })),
  },
  {
    breaks: 'SCH-003',
    ...cron(({ runs }) => ({
      runs: runs.map((run) => ({ ...run, endedAt: new Date('2020-01-01T00:00:00Z') })),
    })),
  },
  {
    breaks: 'SCH-004',
    ...cron(({ jobs }) => ({
      jobs: [...jobs, ...jobs.slice(0, 1).map((job) => ({ ...job, id: 99, name: 'old' }))],
    })),
  },
];

function replication(change: Partial<Snapshot['replication']>): Pick<Row, 'bend'> {
  return { bend: (snapshot) => ({ ...snapshot, replication: { ...snapshot.replication, ...change } }) };
}

export const replicationRows: readonly Row[] = [
  {
    breaks: 'REP-001',
    because: 'checks that write are skipped on a replica',
    skips: [...probeChecks, 'ENC-002'],
    ...server({ inRecovery: true }),
  },
  {
    breaks: 'REP-002',
    ...replication({
      standbys: [{ application: 'replica', state: 'catchup', lagBytes: 0, lagSeconds: null }],
    }),
  },
  {
    breaks: 'REP-003',
    ...replication({
      standbys: [{ application: 'replica', state: 'streaming', lagBytes: 2 * 2 ** 30, lagSeconds: 1 }],
    }),
  },
  {
    breaks: 'REP-004',
    ...replication({
      slots: [
        { name: 'forgotten', logical: true, active: false, walStatus: 'extended', retained: 5 * 2 ** 30 },
      ],
    }),
  },
  {
    breaks: 'REP-004',
    ...replication({
      slots: [{ name: 'late', logical: false, active: false, walStatus: 'lost', retained: null }],
    }),
  },
];
