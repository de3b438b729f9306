/** Statistics of the server, each read on its own: a missing permission costs that one. */
import { DatabaseFailure } from '../errors.ts';
import type { Collector, Sample } from './families.ts';

/** The part of `pg.Pool` and `pg.Client` that monitoring uses. The login needs pg_read_all_stats for other logins' sessions. */
export interface Queryable {
  query(text: string): Promise<{ readonly rows: readonly Readonly<Record<string, unknown>>[] }>;
}

type Row = Readonly<Record<string, unknown>>;

/** Facts about the server. */
export interface ConnectionInfo {
  /** `version()`. */
  readonly postgresVersion: string;
  /** Such as `17.6`. */
  readonly serverVersion: string;
  /** Extensions that Azure permits on this server; undefined on another server. */
  readonly azureExtensions: readonly string[] | undefined;
  /** Such as `12 MB`. */
  readonly databaseSize: string;
}

/** Facts about the server that Azure runs. */
export async function azureConnectionInfo(on: Queryable): Promise<ConnectionInfo> {
  const [row = {}] = await rowsOf(
    on,
    `SELECT version() AS version, current_setting('server_version') AS server_version,
            current_setting('azure.extensions', true) AS extensions,
            pg_size_pretty(pg_database_size(current_database())) AS size`,
  );
  const extensions = row['extensions'];
  return {
    postgresVersion: String(row['version']),
    serverVersion: String(row['server_version']),
    azureExtensions:
      typeof extensions === 'string'
        ? extensions
            .split(',')
            .map((name) => name.trim())
            .filter((name) => name !== '')
        : undefined,
    databaseSize: String(row['size']),
  };
}

/** A statement of pg_stat_statements. */
export interface SlowQuery {
  readonly queryId: string;
  /** Text with placeholders for constants. Utility statements keep theirs. */
  readonly query: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly meanMs: number;
  readonly rows: number;
  /** Blocks from the shared buffers, in percent; undefined without any block. */
  readonly hitPercent: number | undefined;
}

/**
 * The slowest statements of this database.
 *
 * @param slowerThanMs mean duration
 * @throws DatabaseFailure `monitoring/not-permitted`, `monitoring/no-statistics`
 */
export async function slowQueries(
  on: Queryable,
  slowerThanMs = 100,
  most = 10,
): Promise<readonly SlowQuery[]> {
  await requireStatistics(on);
  const [extension] = await rowsOf(
    on,
    `SELECT quote_ident(n.nspname) AS schema FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
      WHERE e.extname = 'pg_stat_statements'`,
  );
  if (!extension) {
    throw new DatabaseFailure(
      'monitoring/no-statistics',
      'Slow statements are not known',
      'the database has no extension pg_stat_statements',
      'Add pg_stat_statements to azure.extensions and create the extension.',
    );
  }
  const rows = await rowsOf(
    on,
    `SELECT queryid::text AS id, query, calls, total_exec_time AS total, mean_exec_time AS mean, rows,
            100.0 * shared_blks_hit / nullif(shared_blks_hit + shared_blks_read, 0) AS hit
       FROM ${extension['schema']}.pg_stat_statements
      WHERE mean_exec_time > ${Number(slowerThanMs)} AND queryid IS NOT NULL
        AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND toplevel
      ORDER BY mean_exec_time DESC LIMIT ${Number(most)}`,
  );
  return rows.map((row) => ({
    queryId: String(row['id']),
    query: String(row['query']),
    calls: Number(row['calls']),
    totalMs: Number(row['total']),
    meanMs: Number(row['mean']),
    rows: Number(row['rows']),
    hitPercent: row['hit'] === null ? undefined : Number(row['hit']),
  }));
}

/** @throws DatabaseFailure `monitoring/not-permitted`: without the right the server shows NULL, not an error */
async function requireStatistics(on: Queryable): Promise<void> {
  const [row] = await rowsOf(
    on,
    "SELECT pg_has_role('pg_read_all_stats', 'USAGE') AS permitted, current_user AS login",
  );
  if (row?.['permitted'] === true) return;
  throw new DatabaseFailure(
    'monitoring/not-permitted',
    'Sessions and statements of other logins are not visible',
    `${row?.['login']} does not have pg_read_all_stats`,
    'Grant pg_monitor to the login of monitoring, never to a login that serves tenants.',
  );
}

/** The collectors of one database. They send one statement after the other, so one connection is enough. */
export function databaseCollectors(given: Queryable): readonly Collector[] {
  let last: Promise<unknown> = Promise.resolve();
  const on: Queryable = {
    query(text) {
      const running = last.then(() => given.query(text));
      last = running.catch(() => undefined);
      return running;
    },
  };
  const collector = (
    name: string,
    sql: string,
    samples: (row: Row) => readonly Sample[],
    isRestricted = false,
  ): Collector => ({
    name,
    async collect() {
      if (isRestricted) await requireStatistics(on);
      return (await rowsOf(on, sql)).flatMap(samples);
    },
  });
  return [
    {
      name: 'info',
      async collect() {
        const { serverVersion, azureExtensions = [] } = await azureConnectionInfo(on);
        const labels = { version: serverVersion, extensions: azureExtensions.join(',') };
        return [{ name: 'llama_postgres_info', value: 1, labels }];
      },
    },
    collector(
      'settings',
      `SELECT pg_is_in_recovery()::int AS recovering, current_setting('max_connections')::int AS max`,
      (row) => [
        sample('llama_postgres_in_recovery', row['recovering']),
        sample('llama_postgres_connections_max', row['max']),
      ],
    ),
    collector('size', 'SELECT pg_database_size(current_database()) AS size', (row) => [
      sample('llama_postgres_database_size_bytes', row['size']),
    ]),
    collector(
      'sessions',
      `SELECT coalesce(state, 'unknown') AS state, count(*) AS n FROM pg_stat_activity
        WHERE backend_type = 'client backend' GROUP BY 1`,
      (row) => [sample('llama_postgres_connections', row['n'], { state: String(row['state']) })],
      true,
    ),
    collector(
      'transactions',
      `SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) AS age FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`,
      (row) => [sample('llama_postgres_longest_transaction_seconds', row['age'])],
      true,
    ),
    collector(
      'buffers',
      'SELECT coalesce(sum(heap_blks_read), 0) AS read, coalesce(sum(heap_blks_hit), 0) AS hit FROM pg_statio_user_tables',
      (row) => [
        sample('llama_postgres_heap_blocks_read_total', row['read']),
        sample('llama_postgres_heap_blocks_hit_total', row['hit']),
      ],
    ),
    collector(
      'database',
      `SELECT xact_commit, xact_rollback, deadlocks, temp_bytes FROM pg_stat_database WHERE datname = current_database()`,
      (row) => [
        sample('llama_postgres_commits_total', row['xact_commit']),
        sample('llama_postgres_rollbacks_total', row['xact_rollback']),
        sample('llama_postgres_deadlocks_total', row['deadlocks']),
        sample('llama_postgres_temporary_bytes_total', row['temp_bytes']),
      ],
    ),
    collector(
      'waits',
      `SELECT wait_event_type AS type, wait_event AS event, count(*) AS n FROM pg_stat_activity
        WHERE wait_event IS NOT NULL GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 10`,
      (row) => [
        sample('llama_postgres_waiting_sessions', row['n'], {
          type: String(row['type']),
          event: String(row['event']),
        }),
      ],
      true,
    ),
    { name: 'slow_queries', collect: async () => (await slowQueries(on)).flatMap(slowSamples) },
    collector(
      'replication',
      `SELECT coalesce(nullif(application_name, ''), host(client_addr), pid::text) AS replica,
              pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_receive_lsn() ELSE pg_current_wal_lsn() END,
                              replay_lsn) AS bytes,
              coalesce(extract(epoch FROM replay_lag), 0) AS seconds
         FROM pg_stat_replication WHERE replay_lsn IS NOT NULL`,
      (row) => [
        sample('llama_postgres_replication_lag_bytes', row['bytes'], { replica: String(row['replica']) }),
        sample('llama_postgres_replication_lag_seconds', row['seconds'], { replica: String(row['replica']) }),
      ],
      true,
    ),
    collector(
      'replay',
      `SELECT extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS age
        WHERE pg_is_in_recovery() AND pg_last_xact_replay_timestamp() IS NOT NULL`,
      (row) => [sample('llama_postgres_replay_age_seconds', row['age'])],
    ),
  ];
}

function slowSamples(slow: SlowQuery): readonly Sample[] {
  // The text can have contents of statements, so the id alone becomes a label.
  const labels = { queryid: slow.queryId };
  return [
    sample('llama_postgres_slow_query_mean_seconds', slow.meanMs / 1000, labels),
    sample('llama_postgres_slow_query_calls_total', slow.calls, labels),
    sample('llama_postgres_slow_query_seconds_total', slow.totalMs / 1000, labels),
    sample('llama_postgres_slow_query_rows_total', slow.rows, labels),
    ...(slow.hitPercent === undefined
      ? []
      : [sample('llama_postgres_slow_query_hit_ratio', slow.hitPercent / 100, labels)]),
  ];
}

function sample(name: Sample['name'], value: unknown, labels: Sample['labels'] = {}): Sample {
  return { name, value: Number(value), labels };
}

async function rowsOf(on: Queryable, sql: string): Promise<readonly Row[]> {
  return (await on.query(sql)).rows;
}
