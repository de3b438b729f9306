/** The months of the trail, and the partitions that hold their rows. */
import type pg from 'pg';
import { leafName, monthName, parseBounds } from '../maintain/months.ts';

/**
 * First and last month that the trail can have: llama.create_monthly_partition creates partitions only within them.
 * Instants outside are never sealed.
 */
const firstMonth = '1970-01-01';
const lastMonth = '9999-11-01';

/** Whether a text is the first day of a month that the trail can have. */
export function isMonth(text: string): boolean {
  return /^\d{4}-(0[1-9]|1[0-2])-01$/.test(text) && text >= firstMonth && text <= lastMonth;
}

/** Name of the partition that normally holds a month. */
export function partitionOf(month: string): string {
  return isMonth(month) ? leafName('audit_trail', new Date(`${month}T00:00:00Z`)) : 'audit_trail';
}

/** First instants of the month and of the next month. */
export function boundsOf(month: string): readonly [string, string] {
  const from = new Date(`${month}T00:00:00Z`);
  const to = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + 1));
  return [`${monthName(from)}-01 00:00:00+00`, `${monthName(to)}-01 00:00:00+00`];
}

/** SQL condition on the alias `a`: the row belongs to no month of the trail. */
export const outsideOfMonths = `(a."timestamp" < '${boundsOf(firstMonth)[0]}' OR a."timestamp" >= '${boundsOf(lastMonth)[1]}')`;

/**
 * Months that have a partition, each with the names of its partitions. A partition with other bounds, such as a default
 * partition, could hide rows. It counts for every month of which it holds rows.
 */
export async function partitionsOfMonths(
  client: pg.ClientBase,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await client.query<{ id: string; name: string; bound: string }>(
    `SELECT c.oid::text AS id, c.relname AS name, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
       FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'llama.audit_trail'::pg_catalog.regclass AND NOT i.inhdetachpending
      ORDER BY 2`,
  );
  const months = new Map<string, string[]>();
  const add = (month: string, name: string) => months.set(month, [...(months.get(month) ?? []), name]);
  const others: string[] = [];
  for (const { id, name, bound } of rows) {
    const bounds = parseBounds(bound);
    const month = bounds && `${monthName(bounds.from)}-01`;
    const whole = month && isMonth(month) && bounds.from.getTime() === Date.parse(`${month}T00:00:00Z`);
    if (whole && bounds.to.getTime() === Date.parse(boundsOf(month)[1].slice(0, 10))) add(month, name);
    else others.push(id);
  }
  if (others.length > 0) {
    const { rows: found } = await client.query<{ month: string; name: string }>(
      `SELECT DISTINCT pg_catalog.to_char(a."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month, c.relname AS name
         FROM llama.audit_trail AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.tableoid
        WHERE a.tableoid = ANY ($1::oid[]) AND NOT ${outsideOfMonths}
        ORDER BY 2`,
      [others],
    );
    for (const { month, name } of found) add(month, name);
  }
  return months;
}
