/** The parts that the lists of all tables share: their options, their order, their pages. */

import { cursorOf, type Page, type PageOptions, type Place, placeOf } from './cursor.ts';
import { refuse } from './error.ts';
import { Fields } from './fields.ts';
import { Timestamp } from './timestamp.ts';

export interface Range {
  readonly since: string;
  readonly until: string;
  readonly limit: number;
  readonly place: Place | undefined;
}

const usualLimit = 100;
const largestLimit = 1000;

/** @throws RecordError for an unusable option */
export function rangeOf({ since, until, limit = usualLimit, after }: PageOptions): Range {
  const fields = new Fields();
  const range = {
    since: since === undefined ? '-infinity' : (fields.time('since', since)?.toISOString() ?? ''),
    until: until === undefined ? 'infinity' : (fields.time('until', until)?.toISOString() ?? ''),
    limit: fields.integer('limit', limit, 1, largestLimit) ?? usualLimit,
    place: after === undefined ? undefined : placeOf(after),
  };
  refuse('list', fields.problems);
  return range;
}

/**
 * A statement for one page and the first row of the next. Its conditions are index conditions, so a page deep in the list costs
 * as much as the first.
 */
export function pageQuery(
  table: string,
  columns: string,
  tenant: string,
  { since, until, limit, place }: Range,
) {
  const continued = place === undefined ? '' : 'AND ("timestamp", id) < ($5::timestamptz, $6::uuid)';
  return {
    text: `SELECT ${columns} FROM ${table} AS t
      WHERE tenant_id = $1 AND "timestamp" >= $2::timestamptz AND "timestamp" < $3::timestamptz ${continued}
      ORDER BY t."timestamp" DESC, t.id DESC LIMIT $4`,
    values: [tenant, since, until, limit + 1, ...(place ? [place.timestamp, place.id] : [])],
  };
}

/** The page of the rows of `pageQuery`. */
export function pageOf<Row extends { readonly id: string; readonly timestamp: Timestamp }>(
  rows: readonly Row[],
  limit: number,
): Page<Row> {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { rows: page, next: last && cursorOf(last) };
}

/** A column as text: a time with its microseconds, which the driver's Date would lose. */
export const textColumn = (name: string) => `"${name}"::text AS "${name}"`;

/** @throws RecordError for a time that no Date has, such as infinity */
export function timeOf(text: string): Timestamp {
  return Timestamp.of(text);
}
