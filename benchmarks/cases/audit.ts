/**
 * The cost of the audit trail: single-row updates per second with the audit triggers, and with them disabled.
 *
 * Both use the same table and the same prepared statement, by an application login under row-level security: 4 clients,
 * one statement per transaction, fsync and synchronous_commit on. The two alternate, so that other load on the machine
 * affects both alike.
 */
import pg from 'pg';
import { type Benchmark, median } from '../benchmark.ts';
import { durableServer, migrateServer, onServer, setAuditTriggers, versionOf } from '../subject.ts';

const clients = 4;
const recordsPerClient = 500;
const seconds = 5;

type Who = 'superuser' | { readonly user: string; readonly password: string };
type Worker = (until: number) => Promise<number>;

export const benchmark: Benchmark = {
  name: 'audit',
  description: 'share of single-row updates per second that remains with the audit trail, at 4 clients',
  rounds: 7,
  run: ({ rounds, log }) =>
    onServer(durableServer, async (server) => {
      await migrateServer(server);
      const opened: pg.Client[] = [];
      const connect = async (who: Who) => {
        const client = new pg.Client(server.connection(who, { database: 'bench' }));
        await client.connect();
        opened.push(client);
        return client;
      };
      try {
        const superuser = await connect('superuser');
        await prepare(superuser);
        const workers = await Promise.all(
          Array.from({ length: clients }, async (_, nth) =>
            startWorker(await connect({ user: 'bench_app', password: 'bench' }), nth + 1),
          ),
        );
        const results = await measure(superuser, workers, rounds, log);
        const ratio = median(results.map(({ audited, unaudited }) => audited / unaudited));
        return {
          serverVersion: await versionOf(server),
          figures: {
            unaudited: { value: median(results.map((one) => one.unaudited)), unit: 'updates/s' },
            audited: { value: median(results.map((one) => one.audited)), unit: 'updates/s' },
            ratio: { value: ratio, unit: '' },
          },
        };
      } finally {
        await Promise.all(opened.map((client) => client.end()));
      }
    }),
};

async function prepare(superuser: pg.Client): Promise<void> {
  await superuser.query(`
    CREATE ROLE bench_app LOGIN PASSWORD 'bench';
    GRANT application_role TO bench_app;
    INSERT INTO llama.tenant_configs (tenant_id) SELECT 'tenant' || n FROM generate_series(1, ${clients}) n;
    ALTER TABLE llama.storage_records DISABLE TRIGGER USER;
    INSERT INTO llama.storage_records (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
    SELECT md5(t || ' ' || n)::uuid, 'tenant' || t, repeat('0', 64),
           '{"category": "PII.Contact.Email", "confidence": 0.91, "span": [17, 42], "policy": "mask", "source": "detector"}',
           'mapper-2.1', 'pii', 0.9, date_trunc('day', now())
      FROM generate_series(1, ${clients}) t, generate_series(1, ${recordsPerClient}) n;
    ALTER TABLE llama.storage_records ENABLE TRIGGER USER, ENABLE REPLICA TRIGGER audit_replica,
      ENABLE REPLICA TRIGGER audit_replica_update;
    `);
  await superuser.query('VACUUM ANALYZE llama.storage_records');
}

interface Rates {
  audited: number;
  unaudited: number;
}

/** @throws Error if an audited update left no row in the trail */
async function measure(
  superuser: pg.Client,
  workers: readonly Worker[],
  rounds: number,
  log: (line: string) => void,
): Promise<readonly Rates[]> {
  const results: Rates[] = [];
  let audited = 0;
  for (let round = 0; round <= rounds; round += 1) {
    const order = round % 2 === 0 ? (['unaudited', 'audited'] as const) : (['audited', 'unaudited'] as const);
    const result: Rates = { audited: 0, unaudited: 0 };
    for (const kind of order) {
      await setAuditTriggers(superuser, kind === 'audited' ? 'ENABLE' : 'DISABLE');
      await superuser.query('VACUUM llama.storage_records');
      await superuser.query('CHECKPOINT');
      // Round 0 only warms up.
      const length = (round === 0 ? 1 : seconds) * 1000;
      const start = performance.now();
      const done = await Promise.all(workers.map((work) => work(start + length)));
      const updates = done.reduce((sum, one) => sum + one, 0);
      result[kind] = updates / ((performance.now() - start) / 1000);
      if (kind === 'audited') audited += updates;
    }
    if (round === 0) continue;
    results.push(result);
    log(
      `round ${round}: unaudited ${result.unaudited.toFixed(0)}/s, audited ${result.audited.toFixed(0)}/s, ratio ${(result.audited / result.unaudited).toFixed(3)}`,
    );
  }
  const { rows } = await superuser.query<{ rows: number }>(
    `SELECT count(*)::int AS rows FROM llama.audit_trail WHERE operation = 'UPDATE' AND table_name = 'storage_records'`,
  );
  if (rows[0]?.rows !== audited)
    throw new Error(`${audited} audited updates left ${rows[0]?.rows} rows in the trail`);
  return results;
}

/** A client that updates its own tenant's records until a moment. @returns the number of updates */
async function startWorker(client: pg.Client, tenant: number): Promise<Worker> {
  // Per session, so that only the update is measured. An application sets them in each transaction.
  await client.query(
    `SELECT set_config('app.current_tenant_id', $1, false), set_config('app.current_user_id', 'bench@example.org', false),
            set_config('app.correlation_id', gen_random_uuid()::text, false), set_config('app.client_address', '203.0.113.9', false),
            set_config('app.user_agent', 'bench/1.0', false)`,
    [`tenant${tenant}`],
  );
  const { rows } = await client.query<{ id: string; timestamp: Date }>(
    'SELECT id, "timestamp" FROM llama.storage_records ORDER BY id',
  );
  let turn = 0;
  return async (until) => {
    let done = 0;
    while (performance.now() < until) {
      turn += 1;
      const row = rows[turn % rows.length];
      const { rowCount } = await client.query({
        name: 'update',
        text: `UPDATE llama.storage_records SET confidence_score = $3 WHERE id = $1 AND "timestamp" = $2`,
        values: [row?.id, row?.timestamp, ((turn * 7919) % 10_000) / 10_000],
      });
      if (rowCount !== 1) throw new Error(`an update changed ${rowCount} rows`);
      done += 1;
    }
    return done;
  };
}
