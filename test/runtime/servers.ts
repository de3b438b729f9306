/** A migrated primary with a standby, for tests that break servers. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import type { DatabaseOptions } from '../../runtime/index.ts';
import { loginSql, until } from './fixture.ts';

const database = 'llama';
const reporter = { line: () => {}, warn: () => {} };

export interface ReplicatedServers {
  readonly primary: LocalPostgres;
  readonly standby: LocalPostgres;
  /** Starts another standby, of this or a promoted server. @param isSynchronous whether its commits wait for the standby */
  follow(of: LocalPostgres, isSynchronous: boolean): Promise<LocalPostgres>;
  readonly login: { readonly user: string; readonly password: string };
  /** The primary, or what leads to it, on a port of 127.0.0.1. */
  options(port: number): DatabaseOptions;
  /** As the superuser. @param on @default - the primary */
  query<Row extends pg.QueryResultRow>(
    sql: string,
    values?: readonly unknown[],
    on?: LocalPostgres,
  ): Promise<Row[]>;
  /** Process ids of the application's sessions. */
  pids(on?: LocalPostgres): Promise<readonly number[]>;
  sessions(on?: LocalPostgres): Promise<number>;
  terminate(pid: number): Promise<void>;
  /** How often each record is stored. */
  stored(ids: readonly string[], on?: LocalPostgres): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

/** @param synchronous whether a commit waits for the standby */
export async function replicatedServers(synchronous = false): Promise<ReplicatedServers> {
  const primary = await startPostgres({ databases: [database], settings: { max_connections: '100' } });
  const target = await resolveTarget({ url: primary.url('migrator') }, {});
  await withConnection(target, { reporter }, (connection) =>
    withLock(connection, { reporter }, () => migrate(connection, { reporter, migrationsDirectory })),
  );
  const login = { user: 'app', password: 'secret-of-app' };
  const clients = new Map<LocalPostgres, pg.Client>();
  const query = async <Row extends pg.QueryResultRow>(
    sql: string,
    values: readonly unknown[] = [],
    on: LocalPostgres = primary,
  ) => {
    let client = clients.get(on);
    if (!client) {
      client = new pg.Client(on.connection('superuser', { database }));
      client.on('error', () => clients.delete(on));
      await client.connect();
      clients.set(on, client);
    }
    return (await client.query<Row>(sql, [...values])).rows;
  };
  await query(loginSql(login));
  const standbys: LocalPostgres[] = [];
  const follow = async (of: LocalPostgres, isSynchronous: boolean) => {
    const standby = await of.standby();
    standbys.push(standby);
    if (!isSynchronous) return standby;
    await query("ALTER SYSTEM SET synchronous_standby_names = '*'", [], of);
    // Local servers do not wait for their disk, and with it not for their standby.
    await query("ALTER SYSTEM SET synchronous_commit = 'on'", [], of);
    await query('SELECT pg_reload_conf()', [], of);
    await until(async () => {
      const state = 'SELECT sync_state AS state FROM pg_stat_replication';
      return (await query<{ state: string }>(state, [], of)).some((row) => row.state === 'sync');
    });
    return standby;
  };
  const standby = await follow(primary, synchronous);
  const pids = async (on?: LocalPostgres) =>
    (
      await query<{ pid: number }>('SELECT pid FROM pg_stat_activity WHERE usename = $1', [login.user], on)
    ).map(({ pid }) => pid);
  return {
    ...{ primary, standby, follow, login, query, pids },
    options: (port) => ({
      ...login,
      ...{ host: 'localhost', address: '127.0.0.1', port, database },
      rootCertificates: readFileSync(primary.caFile, 'utf8'),
    }),
    sessions: async (on) => (await pids(on)).length,
    terminate: async (pid) => void (await query('SELECT pg_terminate_backend($1)', [pid])),
    async stored(ids, on) {
      const rows = await query<{ id: string; times: number }>(
        'SELECT id, count(*)::int AS times FROM llama.storage_records WHERE id = ANY ($1) GROUP BY id',
        [ids],
        on,
      );
      return new Map(rows.map(({ id, times }) => [id, times]));
    },
    async stop() {
      for (const client of clients.values()) await client.end().catch(() => undefined);
      for (const server of [...standbys.reverse(), primary]) await server.stop();
    },
  };
}
