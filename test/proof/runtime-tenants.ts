/** Many tenants on few connections, while connections break: nobody sees a row of another tenant. */
import { Database } from '../../runtime/index.ts';
import type { ApplicationDatabase } from '../runtime/fixture.ts';
import { startPgbouncer } from '../runtime/pgbouncer.ts';
import { NetworkProxy } from '../runtime/proxy.ts';
import { Disproved, type Log, type Proved } from './proof.ts';
import type { Random } from './random.ts';

export interface RuntimeTenants {
  readonly testbed: Pick<ApplicationDatabase, 'options' | 'server' | 'login'>;
  readonly tenants: number;
  readonly connections: number;
  readonly through: 'PgBouncer' | 'nothing';
  readonly random: Random;
  readonly log: Log;
}

const insert = `
  INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
  SELECT current_setting('app.current_tenant_id'), 'h', jsonb_build_object('of', $1::text), 'm', 'd'
   WHERE NOT EXISTS (SELECT FROM llama.storage_records)`;
const select = `SELECT tenant_id, mapped_data->>'of' AS of, current_setting('app.current_tenant_id') AS context FROM llama.storage_records`;
/** Leaves another tenant in the session, if something did. */
const trespass = "SET app.current_tenant_id = 'nobody'; SELECT 1 / 0";
const turns = 3;

/**
 * Each tenant writes a row and reads it three times, all tenants at once. Some transactions set another tenant and fail, some are
 * aborted, and connections are cut at random bytes.
 *
 * @throws Disproved if a read returns another row than the tenant's own, or fails
 */
export async function proveRuntimeTenants(given: RuntimeTenants): Promise<Proved> {
  const { testbed, tenants, connections, through, random, log } = given;
  const pgbouncer =
    through === 'PgBouncer'
      ? await startPgbouncer(testbed.server, { ...testbed.login, size: connections / 2 })
      : undefined;
  const proxy = await NetworkProxy.start(pgbouncer?.port ?? testbed.server.port);
  proxy.cutAfter = () => 10_000 + random.below(200_000);
  const db = new Database({
    ...testbed.options,
    ...{
      port: proxy.port,
      pool: { max: connections },
      timeouts: { acquire: 120_000 },
      retry: { forMs: 120_000 },
    },
    ...(pgbouncer ? { rootCertificates: pgbouncer.roots } : {}),
  });
  let reads = 0;
  const work = async (nth: number) => {
    const id = `${through}-${random.seed}-${nth}`;
    const tenant = db.tenant(id);
    await tenant.transaction((tx) => tx.query(insert, [id]), { idempotent: true });
    for (let turn = 0; turn < turns; turn += 1) {
      if (random.chance(0.1)) await tenant.transaction((tx) => tx.query(trespass)).catch(() => undefined);
      if (random.chance(0.01)) {
        const signal = AbortSignal.timeout(5);
        await tenant.read((tx) => tx.query('SELECT pg_sleep(1)'), { signal }).catch(() => undefined);
      }
      const { rows } = await tenant.read((tx) => tx.query(select));
      reads += 1;
      const seen = JSON.stringify(rows);
      if (seen !== JSON.stringify([{ tenant_id: id, of: id, context: id }]))
        throw new Disproved(`${id} saw ${seen}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: tenants }, (_, nth) => work(nth)));
  } finally {
    await db.close({ graceMs: 1000 });
    await proxy.stop();
    await pgbouncer?.stop();
  }
  const summary = `${tenants} tenants on ${connections} connections through ${through}: ${reads} reads of own rows, with ${proxy.cuts} connections cut`;
  log(summary);
  return { summary };
}
