/**
 * The regular work on a database of many tenants and months: looking for expired records of 5,000 tenants in 62 months, of
 * which all but the last are empty for a tenant whose retention is over, and closing a month of the audit trail with many
 * seals. Each is measured at two sizes; linear work grows as its size does, by 4.
 */
import pg from 'pg';
import { type Benchmark, type Figure, median } from '../benchmark.ts';
import { durableServer, migrateServer, onServer, versionOf } from '../subject.ts';

const months = 62;
const tenants = { small: 1_250, large: 5_000 } as const;
/** One per minute of a month would be 43,200. */
const seals = { small: 1_000, large: 4_000 } as const;
const rowsPerSeal = 10;
const batch = 1_000;

export const benchmark: Benchmark = {
  name: 'retention',
  description: `seconds of a batch of retention with ${tenants.large} tenants and ${months} months, of closing an audit month with ${seals.large} seals, and their growth from a quarter of that`,
  rounds: 5,
  run: ({ rounds, log }) =>
    onServer(durableServer, async (server) => {
      await migrateServer(server);
      const superuser = new pg.Client(server.connection('superuser', { database: 'bench' }));
      await superuser.connect();
      try {
        const figures: Record<string, Figure> = {};
        const note = (name: string, [small = 0, large = 0]: readonly number[]) => {
          log(`${name}: ${small.toFixed(3)} s, ${large.toFixed(3)} s`);
          figures[name] = { value: large, unit: 's' };
          figures[`${name} growth`] = { value: large / small, unit: '' };
        };
        await createMonths(superuser);
        const idle: number[] = [];
        const busy: number[] = [];
        for (const count of Object.values(tenants)) {
          await fill(superuser, count);
          idle.push(await timed(superuser, rounds, `SELECT llama.apply_retention(${batch})`, 0));
          await expire(superuser, rounds);
          busy.push(await timed(superuser, rounds, `SELECT llama.apply_retention(${batch})`, batch));
        }
        note('nothing expired', idle);
        note('batch of the last tenant', busy);
        const closing: number[] = [];
        for (const [year, count] of [
          [2021, seals.small],
          [2022, seals.large],
        ] as const) {
          await sealMonth(superuser, `${year}-01-01`, count);
          closing.push(
            await timed(superuser, 1, `SELECT 1 FROM llama.close_audit_partition('${year}-01-01')`, 1),
          );
        }
        note('closing', closing);
        return { serverVersion: await versionOf(server), figures };
      } finally {
        await superuser.end();
      }
    }),
};

async function createMonths(superuser: pg.Client): Promise<void> {
  await superuser.query(`
    SELECT llama.create_monthly_partition(t, (date_trunc('month', now()) - make_interval(months => n))::date)
      FROM unnest(ARRAY['storage_records', 'audit_trail']) AS t, generate_series(0, ${months - 1}) AS n
     WHERE to_regclass(format('llama.%I', t || to_char(now() - make_interval(months => n), '"_y"YYYY"m"MM'))) IS NULL`);
}

/** Tenants with a retention of 30 days and a record of today. */
async function fill(superuser: pg.Client, count: number): Promise<void> {
  const present = 'SELECT count(*) FROM llama.tenant_configs';
  await insert(
    superuser,
    `generate_series((${present}) + 1, ${count}) AS n`,
    "to_char(n, 'FM00000')",
    'now()',
  );
  await superuser.query(`
    INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days)
    SELECT 'tenant-' || to_char(n, 'FM00000'), 30 FROM generate_series((${present}) + 1, ${count}) AS n`);
  await superuser.query('VACUUM ANALYZE llama.storage_records');
  await superuser.query('ANALYZE llama.tenant_configs');
}

/** Enough expired records for every round, of the tenant that comes last. */
async function expire(superuser: pg.Client, rounds: number): Promise<void> {
  const last = '(SELECT right(max(tenant_id), 5) FROM llama.tenant_configs)';
  await insert(superuser, `generate_series(1, ${batch * rounds}) AS n`, last, "now() - interval '100 days'");
}

async function insert(superuser: pg.Client, rows: string, tenant: string, time: string): Promise<void> {
  await superuser.query(`
    INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
    SELECT 'tenant-' || ${tenant}, repeat('0', 64), '{}', 'm', 'd', ${time} FROM ${rows}`);
}

/** A month of the trail with seals of ten rows each. */
async function sealMonth(superuser: pg.Client, month: string, count: number): Promise<void> {
  const rows = count * rowsPerSeal;
  for (const batch of [1, 2, 3]) await superuser.query(`SELECT llama.seal_audit_trail() AS run_${batch}`);
  await superuser.query(`SELECT llama.create_monthly_partition('audit_trail', '${month}')
                          WHERE to_regclass('llama.audit_trail_y${month.slice(0, 4)}m01') IS NULL`);
  await superuser.query(`
    INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, operation, new_values, "timestamp")
    SELECT 'tenant-00001', 'storage_records', gen_random_uuid(), n::text, 'INSERT', jsonb_build_object('mapped_data', repeat('x', 300)),
           '${month}'::timestamptz + n * interval '1 second'
      FROM generate_series(1, ${rows}) AS n`);
  // BRIN has the pages only then.
  await superuser.query('VACUUM ANALYZE llama.audit_trail');
  await superuser.query('SELECT llama.seal_audit_trail()');
  await superuser.query(`SELECT llama.seal_audit_trail(${rowsPerSeal}, 10000)`);
  const { rows: sealed } = await superuser.query<{ seals: number }>(
    `SELECT count(*)::int AS seals FROM llama.audit_seals WHERE month = '${month}'`,
  );
  if (sealed[0]?.seals !== count) throw new Error(`${month} has ${sealed[0]?.seals} seals, not ${count}`);
}

/** @throws Error if the statement returns another number than expected */
async function timed(superuser: pg.Client, rounds: number, sql: string, expected: number): Promise<number> {
  const seconds: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const start = performance.now();
    const { rows } = await superuser.query({ text: sql, rowMode: 'array' });
    seconds.push((performance.now() - start) / 1000);
    if (Number(rows[0]?.[0]) !== expected)
      throw new Error(`${sql} returned ${rows[0]?.[0]}, not ${expected}`);
  }
  return median(seconds);
}
