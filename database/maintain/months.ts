/** Months, and the names and bounds of their partitions, in UTC. */

export interface Bounds {
  readonly from: Date;
  readonly to: Date;
}

/** First instant of the month `offset` months after that of `date`. */
export function month(date: Date, offset = 0): Date {
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset));
}

/** `2026-12`. */
export function monthName(date: Date): string {
  return date.toISOString().slice(0, 7);
}

/** `storage_records_y2026m12`, as llama.create_monthly_partition names it. */
export function leafName(table: string, date: Date): string {
  const [year, number] = monthName(date).split('-');
  return `${table}_y${year}m${number}`;
}

/** The month in the name of a partition; a detached table has no bounds. */
export function monthOf(leaf: string): Bounds {
  const [, year, number] = /_y(\d{4})m(\d{2})$/.exec(leaf) ?? [];
  if (!year || !number) throw new Error(`${leaf} does not have the name of a partition`);
  const from = new Date(`${year}-${number}-01T00:00:00Z`);
  return { from, to: month(from, 1) };
}

const range = /^FOR VALUES FROM \('([^']+)'\) TO \('([^']+)'\)$/;

/** Parses bounds printed by pg_get_expr. @returns undefined unless both bounds are instants (DEFAULT, MINVALUE) */
export function parseBounds(expression: string | null): Bounds | undefined {
  const [, from, to] = range.exec(expression ?? '') ?? [];
  if (!from || !to) return undefined;
  const bounds = { from: instant(from), to: instant(to) };
  return Number.isNaN(bounds.from.getTime()) || Number.isNaN(bounds.to.getTime()) ? undefined : bounds;
}

/** Parses `2026-12-01 00:00:00+00`; PostgreSQL omits the minutes of the offset. */
function instant(text: string): Date {
  return new Date(text.replace(' ', 'T').replace(/([+-]\d{2})$/, '$1:00'));
}
