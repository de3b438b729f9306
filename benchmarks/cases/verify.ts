/**
 * Seconds that verification takes on a server with five partitioned tables of 120 months: all checks but those of
 * Azure's control plane, with the two-tenant probe and the comparison with the schema manifest; and the whole command,
 * process and connection included. On a busy machine compare only the processors' time.
 * Run it with `node --import tsx benchmarks/cases/verify.ts [rounds]`.
 */
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { startPostgres } from '../../local/postgres/server.ts';
import { run } from '../../test/commands/run.ts';
import { groups } from '../../verification/check.ts';
import { runChecks } from '../../verification/run.ts';

/** Seconds allowed for the command on two idle cores. */
const limit = 2;
const months = 120;
const rounds = Number(process.argv[2] ?? 7);
const withoutDrift = groups.filter((group) => group !== 'drift');
const silent = { line: () => {}, warn: () => {} };

/** A fifth table, made as the migrations make theirs. */
const fifth = `
  SET ROLE llama_owner;
  CREATE TABLE llama.samples (LIKE llama.model_metrics INCLUDING ALL EXCLUDING INDEXES,
    CONSTRAINT samples_pkey PRIMARY KEY (tenant_id, id, "timestamp")) PARTITION BY RANGE ("timestamp");
  CREATE INDEX idx_samples_version_type ON llama.samples (model_version, metric_type, "timestamp" DESC);
  ALTER TABLE llama.samples ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY tenant_floor_samples ON llama.samples AS RESTRICTIVE FOR ALL TO application_role
    USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
    WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
  INSERT INTO llama.partitioned_tables (table_name, retention_days) VALUES ('samples', 90);
  RESET ROLE`;

const grow = `SELECT llama.create_monthly_partition(p.table_name, month::date)
  FROM llama.partitioned_tables AS p CROSS JOIN LATERAL pg_catalog.generate_series(
    pg_catalog.date_trunc('month', pg_catalog.now() AT TIME ZONE 'UTC') + pg_catalog.make_interval(months => $1),
    pg_catalog.date_trunc('month', pg_catalog.now() AT TIME ZONE 'UTC') + pg_catalog.make_interval(months => $2),
    interval '1 month') AS month`;

function print(name: string, seconds: readonly number[], note = ''): void {
  const sorted = [...seconds].sort((a, b) => a - b);
  const at = (place: number) => (sorted[place] ?? 0).toFixed(2);
  process.stdout.write(
    `${name.padEnd(46)} median ${at(Math.floor(sorted.length / 2))} s, best ${at(0)}, worst ${at(sorted.length - 1)}${note}\n`,
  );
}

async function timed<Result>(into: number[], work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    into.push((performance.now() - start) / 1000);
  }
}

/** Seconds of processor that this process and the server's own process for `client` took so far (Linux). */
async function processor(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  const { user, system } = process.cpuUsage();
  const ticks = readFileSync(`/proc/${rows[0]?.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (user + system) / 1e6 + (Number(ticks[11]) + Number(ticks[12])) / 100;
}

/** How long each statement of one run takes, longest first. */
function watch(client: pg.Client): Map<string, number> {
  const spent = new Map<string, number>();
  const original = client.query.bind(client) as (...args: unknown[]) => Promise<unknown>;
  Reflect.set(client, 'query', async (...args: unknown[]) => {
    const start = performance.now();
    try {
      return await original(...args);
    } finally {
      const text = String(args[0]).replace(/\s+/g, ' ').trim().slice(0, 90);
      spent.set(text, (spent.get(text) ?? 0) + performance.now() - start);
    }
  });
  return spent;
}

const server = await startPostgres({ databases: ['llama_mapper'] });
try {
  const url = server.url('migrator');
  const target = await resolveTarget({ url }, {});
  await withConnection(target, { session: 'maintenance' }, async (connection) => {
    await withLock(connection, { reporter: silent }, () =>
      migrate(connection, { reporter: silent, migrationsDirectory }),
    );
    await connection.restoreSession();
    const { client } = connection;
    await client.query(fifth);
    await client.query('SET ROLE llama_owner');
    // A year at a time: every leaf that a transaction makes keeps its locks until the end.
    for (let first = 1 - months + 4; first <= 4; first += 12) {
      await client.query(grow, [first - 1, Math.min(first + 10, 3)]);
    }
    await client.query('RESET ROLE');
    const { rows } = await client.query<{ leaves: number }>(
      "SELECT count(*)::int AS leaves FROM pg_catalog.pg_class WHERE relispartition AND relkind = 'r'",
    );
    process.stdout.write(`PostgreSQL ${connection.version}, ${rows[0]?.leaves} leaves, ${rounds} rounds\n`);
  });
  const [catalogs, whole, command, work]: [number[], number[], number[], number[]] = [[], [], [], []];
  let slowest = new Map<string, number>();
  for (let round = 1; round <= rounds; round += 1) {
    const options = { session: 'reading' } as const;
    await withConnection(target, options, async ({ client }) => {
      await timed(catalogs, () => runChecks({ client }, { groups: withoutDrift }));
    });
    await withConnection(target, options, async ({ client }) => {
      const before = await processor(client);
      const spent = watch(client);
      const report = await timed(whole, () => runChecks({ client }));
      if (round === 1) {
        const { passed, failed, skipped } = report.counts;
        process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`);
      }
      slowest = spent;
      work.push((await processor(client)) - before);
    });
    await timed(command, () => run(['verify', '--url', url]));
  }
  print('checks, without the comparison', catalogs);
  print('checks, with the comparison', whole);
  print('  processors, both sides', work);
  print('the whole command', command, ` (limit ${limit} s)`);
  process.stdout.write('\nlongest statements of the last run, ms:\n');
  for (const [text, spent] of [...slowest].sort((a, b) => b[1] - a[1]).slice(0, 12)) {
    process.stdout.write(`${spent.toFixed(1).padStart(8)}  ${text}\n`);
  }
} finally {
  await server.stop();
}
