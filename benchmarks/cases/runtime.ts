/** The cost of the runtime's transactions, beside `pg` and postgres.js with the same statements. */
import pg from 'pg';
import postgres from 'postgres';
import { within } from '../../local/postgres/bootstrap.ts';
import { randomPassword } from '../../local/postgres/server.ts';
import { Database, type TenantClient } from '../../runtime/index.ts';
import { type Benchmark, median } from '../benchmark.ts';
import { durableServer, migrateServer, onServer, versionOf } from '../subject.ts';

const clients = 8;
const transactions = 1600;

const read = 'SELECT id FROM llama.storage_records LIMIT 1';
const write = `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
               VALUES ($1, 'h', '{}', 'm', 'd')`;
const begin = (access: string) =>
  `BEGIN; RESET ALL; COMMIT; BEGIN ISOLATION LEVEL READ COMMITTED ${access} NOT DEFERRABLE`;
/** The statement with which the runtime begins a transaction of a tenant. */
const context = `
  SELECT llama.set_tenant_context($1, $2, $3::uuid, $4::inet, $5),
         pg_catalog.set_config('statement_timeout', $6, true),
         pg_catalog.set_config('idle_in_transaction_session_timeout', $7, true),
         pg_catalog.set_config('application_name', $8, true),
         pg_catalog.set_config('TimeZone', 'UTC', true),
         pg_catalog.current_setting('app.current_tenant_id') AS tenant,
         pg_catalog.pg_is_in_recovery() AS recovering,
         pg_catalog.pg_last_wal_replay_lsn()::text AS replayed`;
const contextOf = (tenant: string) => [tenant, null, null, null, null, '60000', '60000', 'bench'];
const commit = 'COMMIT; SELECT pg_catalog.pg_current_wal_insert_lsn()::text AS lsn';

/** A transaction of a tenant, by one of the libraries. */
type Way = (tenant: string) => Promise<unknown>;

export const benchmark: Benchmark = {
  name: 'runtime',
  description: `reads and writes of tenants per second from ${clients} callers: the runtime, and pg and postgres.js with its statements`,
  rounds: 6,
  run: ({ rounds, log }) =>
    onServer({ ...durableServer, databases: ['llama_mapper'] }, async (server) => {
      await migrateServer(server);
      const login = { user: 'bench_app', password: randomPassword() };
      await within(server.connection('superuser'), (client) =>
        client.query(
          `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}';
           GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`,
        ),
      );
      const { ssl, host, port, database } = server.connection(login);
      const roots = typeof ssl === 'object' ? String(ssl.ca) : '';
      const db = new Database({
        ...login,
        ...{ host: 'localhost', address: '127.0.0.1', port: server.port, rootCertificates: roots },
        ...{ database: database ?? '', pool: { max: clients } },
      });
      const pool = new pg.Pool({ ...server.connection(login), max: clients });
      const other = postgres({
        ...{
          host: host ?? '',
          port: port ?? 0,
          database: database ?? '',
          username: login.user,
          password: login.password,
        },
        ...{ max: clients, ssl: { ca: roots, servername: 'localhost' }, onnotice: () => {} },
      });
      const rates: Record<string, number[]> = {};
      try {
        // Round 0 compiles the code of each library and does not count.
        for (let round = 0; round <= rounds; round += 1) {
          // The first reads after durable writes are slower, so the libraries take turns in being first.
          const libraries = [ofRuntime(db), ofPg(pool), ofPostgresJs(other)];
          if (round % 2 === 0) libraries.reverse();
          for (const kind of ['reads', 'writes'])
            for (const [name, way] of libraries.flatMap((one) => Object.entries(one)))
              if (name.startsWith(kind)) {
                const rate = await perSecond(way);
                if (round > 0) rates[name] = [...(rates[name] ?? []), rate];
              }
          if (round === 0) continue;
          log(
            `round ${round}: reads ${ratio(rates, 'reads').toFixed(2)}, writes ${ratio(rates, 'writes').toFixed(2)} of pg`,
          );
        }
      } finally {
        await Promise.all([db.close(), pool.end(), other.end()]);
      }
      return {
        serverVersion: await versionOf(server),
        figures: {
          ...Object.fromEntries(
            Object.entries(rates).map(([name, found]) => [name, { value: Math.max(...found), unit: '/s' }]),
          ),
          'reads, ratio': { value: ratio(rates, 'reads'), unit: '' },
          'writes, ratio': { value: ratio(rates, 'writes'), unit: '' },
        },
      };
    }),
};

/** Median over the rounds of the runtime's rate in that of `pg`. */
function ratio(rates: Readonly<Record<string, readonly number[]>>, kind: string): number {
  return median(
    (rates[`${kind}, runtime`] ?? []).map((rate, round) => rate / (rates[`${kind}, pg`]?.[round] ?? rate)),
  );
}

function ofRuntime(db: Database): Record<string, Way> {
  const reading = (tx: TenantClient) => tx.query(read);
  return {
    'reads, runtime': (tenant) => db.tenant(tenant).read(reading),
    'writes, runtime': (tenant) => db.tenant(tenant).transaction((tx) => tx.query(write, [tenant])),
  };
}

/** A connection of a pool that runs statements and goes back. */
interface Borrowed {
  run(statement: string, values?: (string | null)[]): Promise<unknown>;
  release(): void;
}

function ofPg(pool: pg.Pool): Record<string, Way> {
  return ofPool('pg', async () => {
    const client = await pool.connect();
    return { run: (sql, values) => client.query(sql, values), release: () => client.release() };
  });
}

function ofPostgresJs(sql: postgres.Sql): Record<string, Way> {
  return ofPool('postgres.js', async () => {
    const client = await sql.reserve();
    return { run: (text, values) => client.unsafe(text, values), release: () => client.release() };
  });
}

/** The statements of the runtime on the connections of a library. */
function ofPool(library: string, borrow: () => Promise<Borrowed>): Record<string, Way> {
  const transaction = async (
    access: string,
    end: string,
    tenant: string,
    statement: string,
    values?: string[],
  ) => {
    const connection = await borrow();
    try {
      await connection.run(begin(access));
      await connection.run(context, contextOf(tenant));
      await connection.run(statement, values);
      await connection.run(end);
    } finally {
      connection.release();
    }
  };
  return {
    [`reads, ${library}`]: (tenant) => transaction('READ ONLY', 'COMMIT', tenant, read),
    [`writes, ${library}`]: (tenant) => transaction('READ WRITE', commit, tenant, write, [tenant]),
  };
}

/** Transactions per second of several callers. */
async function perSecond(way: Way): Promise<number> {
  const start = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, caller) => {
      for (let nth = 0; nth < transactions / clients; nth += 1) await way(`tenant-${caller}`);
    }),
  );
  return transactions / ((performance.now() - start) / 1000);
}
