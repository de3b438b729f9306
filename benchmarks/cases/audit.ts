/**
 * What the audit trail costs: single-row updates a second with the audit triggers and without, side by side.
 *
 * The same table, the same statement, prepared, by an application login under row-level security; 4 clients, one
 * statement a transaction, fsync and synchronous_commit on. Unaudited is the same table with its audit triggers
 * disabled by the superuser. Rounds alternate, so that a busy machine slows both. Run it with
 * `node --import tsx benchmarks/cases/audit.ts [rounds] [seconds]`; it exits with 1 when the median ratio is below 0.7.
 */
import pg from 'pg';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { startPostgres } from '../../local/postgres/server.ts';

const clients = 4;
const recordsEach = 500;
const goal = 0.7;
const [rounds = 7, seconds = 5] = process.argv.slice(2).map(Number);

const opened: pg.Client[] = [];
const silent = { line: () => {}, warn: () => {} };
const server = await startPostgres({
  databases: ['bench'],
  durable: true,
  settings: { shared_buffers: '256MB', max_wal_size: '4GB', checkpoint_timeout: '30min' },
});
try {
  await withConnection(
    await resolveTarget({ url: server.url('migrator', { database: 'bench' }) }, {}),
    { reporter: silent },
    (connection) =>
      withLock(connection, { reporter: silent }, () =>
        migrate(connection, { reporter: silent, migrationsDirectory }),
      ),
  );
  const superuser = await connected('superuser');
  const { rows: facts } = await superuser.query<{ facts: string }>(
    `SELECT format('PostgreSQL %s, fsync %s, synchronous_commit %s', current_setting('server_version'),
       current_setting('fsync'), current_setting('synchronous_commit')) AS facts`,
  );
  await superuser.query(`
    CREATE ROLE bench_app LOGIN PASSWORD 'bench';
    GRANT application_role TO bench_app;
    INSERT INTO llama.tenant_configs (tenant_id) SELECT 'tenant' || n FROM generate_series(1, ${clients}) n;
    ALTER TABLE llama.storage_records DISABLE TRIGGER USER;
    INSERT INTO llama.storage_records (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
    SELECT md5(t || ' ' || n)::uuid, 'tenant' || t, repeat('0', 64),
           '{"category": "PII.Contact.Email", "confidence": 0.91, "span": [17, 42], "policy": "mask", "source": "detector"}',
           'mapper-2.1', 'pii', 0.9, date_trunc('day', now())
      FROM generate_series(1, ${clients}) t, generate_series(1, ${recordsEach}) n;
    ALTER TABLE llama.storage_records ENABLE TRIGGER USER;
    `);
  await superuser.query('VACUUM ANALYZE llama.storage_records');

  const results: { audited: number; unaudited: number }[] = [];
  const counts = { audited: 0 };
  const workers = await Promise.all(Array.from({ length: clients }, (_, place) => worker(place + 1)));
  for (let round = 0; round <= rounds; round += 1) {
    const order = round % 2 === 0 ? (['unaudited', 'audited'] as const) : (['audited', 'unaudited'] as const);
    const result = { audited: 0, unaudited: 0 };
    for (const kind of order) {
      await triggers(superuser, kind === 'audited' ? 'ENABLE' : 'DISABLE');
      await superuser.query('VACUUM llama.storage_records');
      await superuser.query('CHECKPOINT');
      // The first round only warms up.
      const length = (round === 0 ? 1 : seconds) * 1000;
      const start = performance.now();
      const done = await Promise.all(workers.map((work) => work(start + length)));
      const updates = done.reduce((sum, one) => sum + one, 0);
      result[kind] = updates / ((performance.now() - start) / 1000);
      if (kind === 'audited') counts.audited += updates;
    }
    if (round === 0) continue;
    results.push(result);
    process.stdout.write(
      `round ${round}: unaudited ${result.unaudited.toFixed(0)}/s, audited ${result.audited.toFixed(0)}/s, ratio ${(result.audited / result.unaudited).toFixed(3)}\n`,
    );
  }
  const { rows: written } = await superuser.query<{ rows: number }>(
    `SELECT count(*)::int AS rows FROM llama.audit_trail WHERE operation = 'UPDATE' AND table_name = 'storage_records'`,
  );
  if (written[0]?.rows !== counts.audited) {
    throw new Error(`${counts.audited} audited updates left ${written[0]?.rows} rows in the trail`);
  }
  const ratio = median(results.map(({ audited, unaudited }) => audited / unaudited));
  process.stdout.write(
    `${facts[0]?.facts}, ${clients} clients, ${rounds} rounds of ${seconds} s each way\n` +
      `unaudited ${median(results.map((result) => result.unaudited)).toFixed(0)}/s, audited ${median(results.map((result) => result.audited)).toFixed(0)}/s (medians)\n` +
      `audited updates keep ${ratio.toFixed(3)} of the throughput (goal ${goal}; every update left its row in the trail)\n`,
  );
  if (ratio < goal) process.exitCode = 1;
} finally {
  await Promise.all(opened.map((client) => client.end()));
  await server.stop();
}

async function connected(who: 'superuser' | { user: string; password: string }): Promise<pg.Client> {
  const client = new pg.Client(server.connection(who, { database: 'bench' }));
  await client.connect();
  opened.push(client);
  return client;
}

/** A client that updates its own tenant's records until a moment, and says how often. */
async function worker(tenant: number): Promise<(until: number) => Promise<number>> {
  const client = await connected({ user: 'bench_app', password: 'bench' });
  // For the session, so that nothing but the update is measured; an application sets it in each transaction.
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
      if (rowCount !== 1) throw new Error(`an update met ${rowCount} rows`);
      done += 1;
    }
    return done;
  };
}

async function triggers(superuser: pg.Client, how: 'ENABLE' | 'DISABLE'): Promise<void> {
  const { rows } = await superuser.query<{ statement: string }>(
    `SELECT format('ALTER TABLE %s ${how} TRIGGER %I', tgrelid::regclass, tgname) AS statement
       FROM pg_trigger WHERE tgfoid = ANY (ARRAY(SELECT oid FROM pg_proc WHERE pronamespace = 'llama'::regnamespace AND proname ~ 'audit'))
        AND tgrelid = 'llama.storage_records'::regclass`,
  );
  for (const { statement } of rows) await superuser.query(statement);
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
