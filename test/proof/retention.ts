/**
 * The cost of erasing: `llama-db maintain` erases records past their tenant's retention in batches of several sizes. This
 * proof reports rows per second and the duration of the longest transaction, which holds locks and a snapshot.
 */
import pg from 'pg';
import { maintain } from '../../database/maintain/maintain.ts';
import { resolveTarget } from '../../database/target.ts';
import { connectionOf } from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { migratedServer } from './migrated.ts';
import { Disproved, type Log, type Proved } from './proof.ts';

export interface RetentionOptions {
  /** Records past their retention, per batch size. */
  readonly rows: number;
  /** Tenants with such records. As many tenants have only other records. */
  readonly tenants: number;
  readonly log: Log;
}

const sizes = [200, 1000, 5000] as const;

/** Longest duration of a batch of the usual size, in milliseconds. */
const limit = 2_000;

/** @throws Disproved if rows are left, or a batch of the usual size takes too long */
export async function proveRetention({ rows, tenants, log }: RetentionOptions): Promise<Proved> {
  const server = await migratedServer({ max_wal_size: '1GB' }, { durable: true });
  try {
    const results: string[] = [];
    for (const batchSize of sizes) {
      await within(connectionOf(server, 'superuser'), (client) => makeExpired(client, rows, tenants));
      const watched = new Watch(connectionOf(server, 'superuser'));
      const start = performance.now();
      const { actions } = await maintain(await resolveTarget({ url: server.url('migrator') }, {}), {
        reporter: { line: () => {}, warn: () => {} },
        batchSize,
      });
      const seconds = (performance.now() - start) / 1000;
      const longest = await watched.end();
      const erased = actions.find(({ done }) => done === 'erased')?.rows ?? 0;
      const [left] = await within(connectionOf(server, 'superuser'), async (client) => {
        const { rows } = await client.query<{ records: number; traces: number; copies: number }>(
          `SELECT (SELECT count(*)::int FROM llama.storage_records WHERE tenant_id LIKE 'past-%') AS records,
                  (SELECT count(*)::int FROM llama.audit_trail WHERE operation = 'DELETE' AND content_hash IS NOT NULL) AS traces,
                  (SELECT count(*)::int FROM llama.audit_trail WHERE tenant_id LIKE 'past-%' AND table_name = 'storage_records'
                      AND (old_values IS NOT NULL OR new_values IS NOT NULL)) AS copies`,
        );
        await client.query(emptied);
        return rows;
      });
      log(
        `  batches of ${batchSize}: ${erased} rows erased in ${seconds.toFixed(1)} s, ${(erased / seconds).toFixed(0)} rows/s; longest transaction ${longest.toFixed(0)} ms`,
      );
      if (erased !== rows || left?.records !== 0)
        throw new Disproved(`${erased} of ${rows} erased, ${left?.records} left`);
      if (left.copies > 0)
        throw new Disproved(`${left.copies} audit rows still have content of erased records`);
      if (batchSize === 1000 && longest > limit)
        throw new Disproved(`a batch of ${batchSize} took ${longest.toFixed(0)} ms`);
      results.push(`${(erased / seconds).toFixed(0)} rows/s in batches of ${batchSize}`);
    }
    return { summary: results.join(', ') };
  } finally {
    await server.stop();
  }
}

/** As a superuser: without the triggers that refuse it, on the tables and on every leaf. */
const emptied = `DO $$
DECLARE
  guarded regclass[] := ARRAY(SELECT relid FROM pg_partition_tree('llama.storage_records')) || 'llama.tenant_configs'::regclass;
  one regclass;
BEGIN
  FOREACH one IN ARRAY guarded LOOP EXECUTE format('ALTER TABLE %s DISABLE TRIGGER refuse_truncate', one); END LOOP;
  TRUNCATE llama.storage_records, llama.tenant_configs;
  FOREACH one IN ARRAY guarded LOOP EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER refuse_truncate', one); END LOOP;
END $$`;

/** Inserts records past their retention in the current and the last month, and as many others. */
async function makeExpired(client: pg.Client, rows: number, tenants: number): Promise<void> {
  await client.query(
    `INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days)
     SELECT kind || n, CASE kind WHEN 'past-' THEN 0 ELSE 3650 END
       FROM generate_series(1, ${tenants}) AS n, unnest(ARRAY['past-', 'kept-']) AS kind`,
  );
  await client.query(
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp")
     SELECT kind || 1 + n % ${tenants}, md5(n::text), jsonb_build_object('n', n, 'text', repeat('x', 200)), 'm', 'd', 0.5,
            greatest(now() - make_interval(secs => n), date_trunc('month', now(), 'UTC') - interval '1 month')
       FROM generate_series(1, ${rows}) AS n, unnest(ARRAY['past-', 'kept-']) AS kind`,
  );
  await client.query('ANALYZE llama.storage_records');
}

/** Reads the age of maintenance's transaction every 5 ms. */
class Watch {
  #over = false;
  #longest = 0;
  readonly #watching: Promise<void>;

  constructor(config: pg.ClientConfig) {
    this.#watching = this.#watch(config);
  }

  /** @returns the longest erasing transaction, in milliseconds */
  async end(): Promise<number> {
    this.#over = true;
    await this.#watching;
    return this.#longest;
  }

  async #watch(config: pg.ClientConfig): Promise<void> {
    const client = new pg.Client(config);
    await client.connect();
    while (!this.#over) {
      const { rows } = await client.query<{ age: number | null }>(
        `SELECT max(extract(epoch FROM clock_timestamp() - xact_start) * 1000)::float AS age FROM pg_stat_activity
          WHERE application_name LIKE 'llama-db maintain%' AND query LIKE '%apply_retention%'`,
      );
      this.#longest = Math.max(this.#longest, rows[0]?.age ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.end();
  }
}
