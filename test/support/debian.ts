/**
 * Debian's PostgreSQL 15 with pg_cron and pgaudit, which the servers of other tests do not have.
 *
 * Version 15 is not a supported target: it lacks `GRANT … WITH INHERIT` and pg_input_is_valid(). The migrations are applied
 * without the first and with an SQL replacement of the second. Tests use it only for these two extensions.
 */
import { chownSync, existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { serverAccount, temporaryDirectory } from '../../local/postgres/account.ts';
import { onFreePort, ServerProcess } from '../../local/postgres/process.ts';
import { Guardian } from '../../local/processes/guardian.ts';
import { apply, migrations, prepare } from '../migrations/apply.ts';

const programs = '/usr/lib/postgresql/15/bin';
const extensions = '/usr/share/postgresql/15/extension';

/** Why this machine cannot use it; undefined if it can. */
export function whyNoDebianPostgres(): string | undefined {
  if (!existsSync(join(programs, 'postgres'))) return `needs Debian's PostgreSQL 15 in ${programs}`;
  for (const name of ['pg_cron', 'pgaudit']) {
    if (!existsSync(join(extensions, `${name}.control`))) {
      return `needs Debian's postgresql-15-${name.replace('pg_', '')}`;
    }
  }
  return undefined;
}

export interface DebianPostgres {
  /** A superuser's client, closed by `stop`. */
  connect(user?: string): Promise<pg.Client>;
  log(): string;
  stop(): Promise<void>;
}

/** Starts a server with a migrated database `llama`, in which pg_cron is installed too. */
export async function startDebianPostgres(
  settings: Readonly<Record<string, string>>,
): Promise<DebianPostgres> {
  const account = serverAccount();
  const directory = mkdtempSync(join(temporaryDirectory(account), 'llama-db-postgres15-'));
  const data = join(directory, 'data');
  mkdirSync(data, 0o700);
  if (account) for (const path of [directory, data]) chownSync(path, account.uid, account.gid);
  const guardian = new Guardian(directory);
  const server = new ServerProcess(guardian, data, join(directory, 'server.log'));
  const clients: pg.Client[] = [];
  let port = 0;
  const connect = async (user = 'postgres', database = 'llama') => {
    const client = new pg.Client({ host: '127.0.0.1', port, user, database });
    await client.connect();
    clients.push(client);
    return client;
  };
  const stop = async () => {
    await Promise.all(clients.map((client) => client.end()));
    await server.end('SIGINT');
    await guardian.finish();
  };
  try {
    await server.run(
      {
        program: join(programs, 'initdb'),
        args: ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8'],
        account,
      },
      'initdb of PostgreSQL 15 failed',
    );
    await onFreePort(async (free) => {
      port = free;
      const all = {
        listen_addresses: '127.0.0.1',
        port: String(free),
        unix_socket_directories: '',
        shared_preload_libraries: 'pg_cron,pgaudit,pg_stat_statements',
        'cron.database_name': 'llama',
        // Background workers need no entry in pg_hba.conf.
        'cron.use_background_workers': 'on',
        max_worker_processes: '20',
        fsync: 'off',
        // For the function below, which the migrations expect in pg_catalog.
        allow_system_table_mods: 'on',
        ...settings,
      };
      writeFileSync(
        join(data, 'postgresql.conf'),
        Object.entries(all)
          .map(([name, value]) => `${name} = '${value}'\n`)
          .join(''),
      );
      await server.start({ program: join(programs, 'postgres'), args: ['-D', data], account }, () =>
        join(data, 'postmaster.pid'),
      );
    });
    await (await connect('postgres', 'postgres')).query('CREATE DATABASE llama');
    await migrate(await connect());
    return { connect: (user) => connect(user), log: () => server.log(), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function migrate(client: pg.Client): Promise<void> {
  await client.query(`
    CREATE FUNCTION pg_catalog.pg_input_is_valid(input text, type text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
    DECLARE
      -- Assignments convert without a statement, which pgaudit would log.
      as_uuid uuid;
      as_inet inet;
      as_jsonb jsonb;
    BEGIN
      IF type = 'uuid' THEN as_uuid := input;
      ELSIF type = 'inet' THEN as_inet := input;
      ELSIF type = 'jsonb' THEN as_jsonb := input;
      ELSE RAISE EXCEPTION 'not replaced here: %', type;
      END IF;
      RETURN input IS NOT NULL;
    EXCEPTION WHEN data_exception THEN RETURN false;
    END $$`);
  // Remove the clauses that version 15 does not have.
  const older = Object.create(client) as pg.Client;
  older.query = ((text: string, values?: unknown[]) =>
    client.query(
      text
        .replaceAll(/ WITH INHERIT FALSE, SET TRUE/g, '')
        .replaceAll(/AND m\.set_option/g, '')
        .replaceAll(/ DEFAULT SYSTEM_USER/g, ''),
      values,
    )) as typeof client.query;
  await prepare(older);
  for (const migration of migrations) await apply(older, migration, 'up');
}
