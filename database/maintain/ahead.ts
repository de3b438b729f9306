/** The registry of partitioned tables, and the partitions that must exist before their month begins. */
import { counted } from '../../core/text.ts';
import type { Deployment } from '../deployment.ts';
import { asOwner } from '../migrator/prepare.ts';
import { leafName, month, monthName } from './months.ts';
import { briefly, type Run } from './run.ts';

export interface Registered {
  readonly table: string;
  readonly monthsAhead: number;
  readonly retentionDays: number;
}

/** Reads the registry; call it again after `followSettings`. */
export async function readRegistry({ connection }: Run): Promise<readonly Registered[]> {
  return asOwner(connection, async () => {
    const { rows } = await connection.client.query<Registered>(
      `SELECT table_name AS "table", months_ahead AS "monthsAhead", retention_days AS "retentionDays"
         FROM llama.partitioned_tables ORDER BY table_name`,
    );
    return rows;
  });
}

/**
 * Writes the numbers of the environment's settings into the registry, which the jobs of pg_cron also read. A table that
 * the settings do not name keeps its numbers.
 */
export async function followSettings(
  run: Run,
  registry: readonly Registered[],
  { monthsAhead, retentionDays }: Deployment['partitions'],
): Promise<void> {
  for (const { table, ...now } of registry) {
    const days = retentionDays[table] ?? now.retentionDays;
    if (days === now.retentionDays && monthsAhead === now.monthsAhead) continue;
    await asOwner(run.connection, () =>
      run.connection.client.query(
        'UPDATE llama.partitioned_tables SET months_ahead = $2, retention_days = $3 WHERE table_name = $1',
        [table, monthsAhead, days],
      ),
    );
    const [before, after] = [now, { monthsAhead, retentionDays: days }].map(
      (numbers) =>
        `${counted(numbers.monthsAhead, 'month')} ahead, ${counted(numbers.retentionDays, 'day')} kept`,
    );
    run.act({ step: 'settings', done: 'changed', object: table, detail: `${after}; before: ${before}` });
  }
  for (const table of Object.keys(retentionDays)) {
    if (registry.some((registered) => registered.table === table)) continue;
    run.reporter.warn(`The settings name a retention for ${table}, which is not a partitioned table here`);
  }
}

/** Creates missing partitions of this month (UTC, by the server's clock) and of the next `monthsAhead` months. */
export async function createMonthsAhead(run: Run, registry: readonly Registered[]): Promise<void> {
  const { client } = run.connection;
  const { rows } = await client.query<{ now: Date }>('SELECT pg_catalog.now() AS now');
  const now = rows[0]?.now;
  if (!now) throw new Error('the query for the clock of the server returned no row');
  for (const { table, monthsAhead } of registry) {
    const wanted = Array.from({ length: monthsAhead + 1 }, (_, offset) => month(now, offset));
    const missing = await missingOf(run, table, wanted);
    for (const first of missing) {
      const object = leafName(table, first);
      await asOwner(run.connection, () =>
        briefly(run, `Creating partition ${object}`, () =>
          client.query('SELECT llama.create_monthly_partition($1, $2)', [table, `${monthName(first)}-01`]),
        ),
      );
      run.act({ step: 'months ahead', done: 'created', object });
    }
  }
}

async function missingOf({ connection }: Run, table: string, wanted: readonly Date[]) {
  const { rows } = await connection.client.query<{ name: string }>(
    `SELECT c.relname AS name
       FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
      WHERE i.inhparent = pg_catalog.format('llama.%I', $1::text)::pg_catalog.regclass AND NOT i.inhdetachpending`,
    [table],
  );
  const attached = new Set(rows.map(({ name }) => name));
  return wanted.filter((first) => !attached.has(leafName(table, first)));
}
