/** The registry of partitioned tables, and the partitions that must exist before their month begins. */
import { Fault } from '../../core/fault.ts';
import { counted } from '../../core/text.ts';
import type { Deployment } from '../deployment.ts';
import { asOwner } from '../migrator/prepare.ts';
import { leafName } from './months.ts';
import { asMaintenance, briefly, type Run, standingOf } from './run.ts';

export interface Registered {
  readonly table: string;
  readonly monthsAhead: number;
  readonly retentionDays: number;
}

/** Reads the registry; call it again after `followSettings`. */
export async function readRegistry({ connection }: Run): Promise<readonly Registered[]> {
  return asMaintenance(connection, async () => {
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
    // The numbers decide which rows are removed, so a login that only maintains does not change them.
    if ((await standingOf(run.connection)) === 'member') {
      throw new Fault(
        'maintain/settings-differ',
        `Months ahead or retention of ${table} are not those of the settings`,
        `the database has ${counted(now.monthsAhead, 'month')} and ${counted(now.retentionDays, 'day')}, the settings ${monthsAhead} and ${days}; only the login of deployments may change them`,
        'Run llama-db post-deploy, which writes them.',
      );
    }
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

interface Missing {
  readonly table: string;
  /** First day: `2026-12-01`. */
  readonly month: string;
  /** Why it cannot be created; null if it can. */
  readonly obstacle: string | null;
}

/** Creates missing partitions of this month (UTC, by the server's clock) and of the months ahead. */
export function createMonthsAhead(run: Run): Promise<void> {
  return create(run, false);
}

/**
 * Creates missing partitions between the oldest partition and this month, as an outage leaves them. Months past retention
 * are not missing.
 */
export function fillHoles(run: Run): Promise<void> {
  return create(run, true);
}

/** @throws Fault naming every month that cannot be created, after the others were created */
async function create(run: Run, holes: boolean): Promise<void> {
  const { client } = run.connection;
  const { rows } = await asMaintenance(run.connection, () =>
    client.query<Missing>(
      `SELECT table_name AS "table", pg_catalog.to_char(month, 'YYYY-MM-DD') AS month, obstacle
         FROM llama.missing_partitions() WHERE hole = $1`,
      [holes],
    ),
  );
  for (const { table, month: first } of rows.filter(({ obstacle }) => obstacle === null)) {
    const object = leafName(table, new Date(`${first}T00:00:00Z`));
    await asMaintenance(run.connection, () =>
      briefly(run, `Creating partition ${object}`, () =>
        client.query('SELECT llama.create_missing_partition($1, $2)', [table, first]),
      ),
    );
    run.act({ step: holes ? 'holes' : 'months ahead', done: 'created', object });
  }
  const left = rows.filter(({ obstacle }) => obstacle !== null);
  if (left.length === 0) return;
  throw new Fault(
    'maintain/month-not-created',
    `${counted(left.length, 'partition')} ${left.length === 1 ? 'is' : 'are'} missing and could not be created`,
    left.map(({ table, month: first, obstacle }) => `${table} ${first.slice(0, 7)}: ${obstacle}`).join('; '),
    'Attach, archive or rename the table that is in the way and run llama-db maintain again. For a month of the audit trail, run llama-db audit verify first. Until then rows of the month are refused.',
  );
}
