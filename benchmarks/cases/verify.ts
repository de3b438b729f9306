/**
 * The seconds of a verification on five partitioned tables of 120 months: every check except those of Azure's control
 * plane, with the two-tenant probe, without and with drift. On a machine with other load, only the processor time is
 * comparable.
 */
import { readFileSync } from 'node:fs';
import type pg from 'pg';
import { type Connection, withConnection } from '../../database/connection.ts';
import { groups } from '../../verification/check.ts';
import { runChecks } from '../../verification/run.ts';
import { type Benchmark, median } from '../benchmark.ts';
import { migrateServer, onServer, secondsOfCommand, silent, versionOf } from '../subject.ts';

const months = 120;
const withoutDrift = groups.filter((group) => group !== 'drift');

/** A fifth table, as a migration would create it. */
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

export const benchmark: Benchmark = {
  name: 'verify',
  description: 'seconds of llama-db verify on 5 tables of 120 months, without and with drift',
  rounds: 7,
  run: ({ rounds, log }) =>
    onServer({ databases: ['llama_mapper'] }, async (server) => {
      const target = await migrateServer(server);
      await withConnection(target, { session: 'maintenance' }, (connection) => addMonths(connection, log));
      const seconds = {
        checks: [] as number[],
        drift: [] as number[],
        processor: [] as number[],
        command: [] as number[],
      };
      let slowest = new Map<string, number>();
      for (let round = 1; round <= rounds; round += 1) {
        const reading = { session: 'reading', reporter: silent } as const;
        await withConnection(target, reading, ({ client }) =>
          timed(seconds.checks, () => runChecks({ client }, { groups: withoutDrift })),
        );
        await withConnection(target, reading, async ({ client }) => {
          const before = await processorSeconds(client);
          slowest = timeStatements(client);
          const report = await timed(seconds.drift, () => runChecks({ client }));
          seconds.processor.push((await processorSeconds(client)) - before);
          const { passed, failed, skipped } = report.counts;
          log(
            `round ${round}: ${seconds.drift.at(-1)?.toFixed(2)} s with drift; ${passed} passed, ${failed} failed, ${skipped} skipped`,
          );
        });
        // The fifth table is no part of the schema, which is a finding.
        const command = ['verify', '--url', server.url('migrator')];
        seconds.command.push(await secondsOfCommand(command, [0, 1]));
      }
      log('longest statements of the last round, in ms:');
      for (const [text, spent] of [...slowest].sort((a, b) => b[1] - a[1]).slice(0, 12))
        log(`${spent.toFixed(1).padStart(8)}  ${text}`);
      return {
        serverVersion: await versionOf(server),
        figures: {
          checks: { value: median(seconds.checks), unit: 's' },
          'checks with drift': { value: median(seconds.drift), unit: 's' },
          'processor time with drift': { value: median(seconds.processor), unit: 's' },
          'whole command': { value: median(seconds.command), unit: 's' },
        },
      };
    }),
};

async function addMonths({ client, restoreSession }: Connection, log: (line: string) => void): Promise<void> {
  await restoreSession();
  await client.query(fifth);
  await client.query('SET ROLE llama_owner');
  // One year per statement: a transaction keeps the locks of every leaf that it creates.
  for (let first = 1 - months + 4; first <= 4; first += 12)
    await client.query(grow, [first - 1, Math.min(first + 10, 3)]);
  await client.query('RESET ROLE');
  const { rows } = await client.query<{ leaves: number }>(
    "SELECT count(*)::int AS leaves FROM pg_catalog.pg_class WHERE relispartition AND relkind = 'r'",
  );
  log(`${rows[0]?.leaves} leaves`);
}

/** Appends the seconds of the work to a list. */
async function timed<Result>(into: number[], work: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    into.push((performance.now() - start) / 1000);
  }
}

/** Processor seconds of this process and of the client's server process so far (Linux; elsewhere only this process). */
async function processorSeconds(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ pid: number }>('SELECT pg_catalog.pg_backend_pid() AS pid');
  const { user, system } = process.cpuUsage();
  const own = (user + system) / 1e6;
  if (process.platform !== 'linux') return own;
  const ticks = readFileSync(`/proc/${rows[0]?.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return own + (Number(ticks[11]) + Number(ticks[12])) / 100;
}

/** Wraps the client. @returns milliseconds per statement, filled as statements run */
function timeStatements(client: pg.Client): Map<string, number> {
  const spent = new Map<string, number>();
  const original = client.query.bind(client) as (...parameters: unknown[]) => Promise<unknown>;
  Reflect.set(client, 'query', async (...parameters: unknown[]) => {
    const start = performance.now();
    try {
      return await original(...parameters);
    } finally {
      const text = String(parameters[0]).replace(/\s+/g, ' ').trim().slice(0, 90);
      spent.set(text, (spent.get(text) ?? 0) + performance.now() - start);
    }
  });
  return spent;
}
