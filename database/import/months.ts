/** Partitions for imported rows: every month between the oldest and the newest, so that no hole is left. */
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { leafName, month, monthName, monthOf } from '../maintain/months.ts';
import { briefly } from '../maintain/run.ts';
import { asOwner } from '../migrator/prepare.ts';
import type { ImportedTable } from './tables.ts';

/** Months that an import may create, `2024-01` to `2026-12`, both included. */
export interface MonthRange {
  readonly from: string;
  readonly to: string;
}

/** One row with a wrong year must not create a thousand partitions. */
const [monthsBack, monthsAhead] = [240, 36];

export function usualMonths(now: Date): MonthRange {
  return { from: monthName(month(now, -monthsBack)), to: monthName(month(now, monthsAhead)) };
}

/** @param text `2024-01..2026-12` @throws Fault (exit 2) for anything else */
export function parseMonths(text: string): MonthRange {
  const [, from = '', to = ''] = /^(\d{4}-(?:0[1-9]|1[0-2]))\.\.(\d{4}-(?:0[1-9]|1[0-2]))$/.exec(text) ?? [];
  if (from !== '' && from <= to && from >= '1970-01') return { from, to };
  throw new Fault(
    'import/months-malformed',
    `--months ${JSON.stringify(text)} is not a range of months`,
    'it must have two months from 1970-01 on, the earlier one first',
    'Example: --months 2024-01..2026-12.',
    { exitCode: 2 },
  );
}

/** @param day `2024-01-01`, `infinity` or null @returns the reason why it is refused */
export function monthRefusal(day: string | null, { from, to }: MonthRange): string | undefined {
  // The constraint of the table refuses a missing time.
  if (day === null) return undefined;
  const name = /^(\d{4}-\d{2})-01$/.exec(day)?.[1];
  if (name !== undefined && name >= from && name <= to) return undefined;
  return `its month ${name ?? day} is outside ${from} to ${to}; --months permits others`;
}

/**
 * Creates the missing partitions from the oldest to the newest month of the table and of `days`.
 *
 * @param days first days of months, `2024-01-01`
 */
export async function ensureMonths(
  connection: Connection,
  table: ImportedTable,
  days: ReadonlySet<string>,
): Promise<number> {
  const { rows } = await connection.client.query<{ name: string }>(
    `SELECT c.relname AS name
       FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
      WHERE i.inhparent = pg_catalog.format('llama.%I', $1::text)::pg_catalog.regclass AND NOT i.inhdetachpending
        AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$'`,
    [table],
  );
  const attached = new Set(rows.map(({ name }) => name));
  const all = [
    ...rows.map(({ name }) => monthOf(name).from),
    ...[...days].map((day) => new Date(`${day}T00:00:00Z`)),
  ];
  const newest = Math.max(...all.map(Number));
  let made = 0;
  for (
    let first = new Date(Math.min(...all.map(Number)));
    first.getTime() <= newest;
    first = month(first, 1)
  ) {
    const leaf = leafName(table, first);
    if (attached.has(leaf)) continue;
    await asOwner(connection, () =>
      briefly({ connection }, `Creating partition ${leaf}`, () =>
        connection.client.query('SELECT llama.create_monthly_partition($1, $2)', [
          table,
          `${monthName(first)}-01`,
        ]),
      ),
    );
    made += 1;
  }
  return made;
}
