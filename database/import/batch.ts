/** One batch: comparing its rows with the target, and writing those that are missing or differ. */
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import { isLockFailure } from '../lock-retry.ts';
import { briefly } from '../maintain/run.ts';
import { asRole } from '../migrator/prepare.ts';
import type { Row } from './source.ts';
import {
  type ChunkRow,
  content,
  hashed,
  identifier,
  nothing,
  plus,
  type Shape,
  type Sum,
  sumOf,
} from './tables.ts';

/** A row that the target does not take. */
export interface Refused {
  readonly row: Row;
  readonly reason: string;
  /** SQLSTATE, if the server refused it. */
  readonly code?: string;
}

/** A row beside what the target has under its key. */
export interface Inspected {
  readonly row: Row;
  readonly tenant: string | null;
  /** First day of its month, `2026-12-01`; null for a table without months. */
  readonly month: string | null;
  readonly sum: Sum;
  /** `left`: others have written the record since, or retention erased it. */
  readonly state: 'same' | 'missing' | 'differs' | 'left';
}

/** The batch as its audit row describes it. */
export interface Description {
  readonly source: string;
  readonly run: string;
  readonly batch: number;
  readonly given: number;
  readonly refused: number;
}

/** User agent of the audit rows of an import. */
export const agent = 'llama-db import';

/**
 * Compares rows with the target. Rows that have no valid value for a column are refused one by one.
 */
export async function inspect(
  connection: Connection,
  shape: Shape,
  rows: readonly Row[],
): Promise<{ readonly inspected: readonly Inspected[]; readonly refused: readonly Refused[] }> {
  const inspected: Inspected[] = [];
  const found: Refused[] = [];
  const { refused } = await isolate(rows, async (part) => {
    const compared = await compareOnce(connection, shape, part);
    inspected.push(...compared.inspected);
    found.push(...compared.refused);
  });
  return { inspected, refused: [...refused, ...found] };
}

interface Comparison {
  readonly nth: number;
  readonly tenant: string | null;
  readonly month: string | null;
  readonly one: string;
  readonly two: string;
  readonly lossy: string | null;
  readonly again: boolean;
  readonly present: boolean;
  readonly same: boolean | null;
  readonly written: boolean;
}

async function compareOnce(connection: Connection, shape: Shape, rows: readonly Row[]) {
  const { rows: comparisons } = await asRole(connection, 'import_writer', () =>
    connection.client.query<Comparison>(comparison(shape), [shape.table, ...columnsOf(shape, rows)]),
  );
  const inspected: Inspected[] = [];
  const refused: Refused[] = [];
  for (const { nth, tenant, month, one, two, lossy, again, present, same, written } of comparisons) {
    const row = rows[nth - 1];
    if (!row) throw new Error(`the comparison returned row ${nth} of ${rows.length}`);
    if (lossy !== null) {
      refused.push({
        row,
        reason: `column ${lossy} has a longer or more precise value than the column of the target`,
      });
    } else if (again) {
      refused.push({ row, reason: 'the source has another row with this key' });
    } else {
      const sum = sumOf({ rows: '1', one, two });
      const state = same === true ? 'same' : written ? 'left' : present ? 'differs' : 'missing';
      inspected.push({ row, tenant, month, sum, state });
    }
  }
  return { inspected, refused };
}

/**
 * $1 is the table, then one array of texts per column. A record that others have written has a row of its own in the audit
 * trail, which an import does not write for a record that it adds. A record that an import replaced has one of its removal, and exists.
 */
function comparison(shape: Shape): string {
  const { columns, key, monthly, table } = shape;
  const on = key.map((name) => `t.${identifier(name)} = g.${identifier(name)}`).join(' AND ');
  const lossy = columns.flatMap(({ name, base, type }, at) =>
    base === type
      ? []
      : [`WHEN r.c${at}::${base} IS DISTINCT FROM r.c${at}::${base}::${type} THEN ${quoted(name)}`],
  );
  return `
    WITH given AS MATERIALIZED (
      SELECT r.nth, ${cast(shape)}, ${lossy.length > 0 ? `CASE ${lossy.join(' ')} END` : 'NULL::text'} AS "$lossy"
        FROM unnest(${parameters(shape, 2)}) WITH ORDINALITY AS r (${columns.map((_, at) => `c${at}`).join(', ')}, nth)
    )
    SELECT g.nth::int AS nth, g.tenant_id AS tenant, g."$lossy" AS lossy,
           ${monthly ? `pg_catalog.date_trunc('month', g."timestamp" AT TIME ZONE 'UTC')::date::text` : 'NULL'} AS month,
           h.one::text AS one, h.two::text AS two,
           pg_catalog.row_number() OVER (PARTITION BY ${key.map((name) => `g.${identifier(name)}`).join(', ')}) > 1 AS again,
           t.tenant_id IS NOT NULL AS present,
           ${content('t', shape)} = ${content('g', shape)} AND t.tenant_id IS NOT NULL AS same,
           coalesce(${writtenByOthers('w', 't.tenant_id IS NOT NULL', table)}, false) AS written
      FROM given AS g ${hashed(content('g', shape))}
      LEFT JOIN llama.${identifier(table)} AS t ON ${on}
      LEFT JOIN LATERAL (${lastWrite('g', shape, '$1')}) AS w ON true`;
}

/** The newest audit row of a record. */
export function lastWrite(alias: string, { monthly }: Shape, table: string): string {
  const record = monthly
    ? `a.record_id = ${alias}.id AND a.record_timestamp = ${alias}."timestamp"`
    : `a.record_key = ${alias}.tenant_id`;
  return `SELECT a.operation, a.user_agent FROM llama.audit_trail AS a
           WHERE a.tenant_id = ${alias}.tenant_id AND a.table_name = ${table}::text AND a.operation <> 'SELECT' AND ${record}
           ORDER BY a.sequence DESC LIMIT 1`;
}

/** Configurations are few, so the ordinary trigger records their import; no application may insert one. */
export function writtenByOthers(write: string, present: string, table: string): string {
  const imported =
    table === 'tenant_configs'
      ? ` AND NOT (${write}.operation = 'INSERT' AND pg_catalog.starts_with(${write}.user_agent, '${agent}'))`
      : '';
  return `${write}.operation IS NOT NULL AND NOT (${write}.operation = 'DELETE' AND ${present})${imported}`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function parameters({ columns }: Shape, first: number): string {
  return columns.map((_, at) => `$${first + at}::text[]`).join(', ');
}

function cast({ columns }: Shape): string {
  return columns
    .map(({ name, base, type }, at) => `r.c${at}::${base}::${type} AS ${identifier(name)}`)
    .join(', ');
}

function columnsOf({ columns }: Shape, rows: readonly Row[]): (string | null)[][] {
  return columns.map((_, at) => rows.map(({ values }) => values[at] ?? null));
}

/**
 * Writes rows of one tenant in one transaction, with one audit row. Rows that a constraint or trigger of the target refuses
 * are found by halving, in transactions that are rolled back.
 *
 * @returns the refused rows; all others are in the target
 */
export async function put(
  connection: Connection,
  shape: Shape,
  rows: readonly Inspected[],
  description: Description,
): Promise<readonly { readonly inspected: Inspected; readonly refused: Refused }[]> {
  const attempt = async (part: readonly Inspected[], keep: boolean, refusals: number) =>
    briefly({ connection }, `Importing into ${shape.table}`, () =>
      write(connection, shape, part, { ...description, refused: description.refused + refusals }, keep),
    );
  try {
    await attempt(rows, true, 0);
    return [];
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  const { good, refused } = await isolate(rows, (part) => attempt(part, false, 0));
  if (good.length > 0) await attempt(good, true, refused.length);
  return refused.map(({ row, reason, code }) => ({
    inspected: row,
    refused: { row: row.row, reason, ...(code === undefined ? {} : { code }) },
  }));
}

async function write(
  connection: Connection,
  shape: Shape,
  rows: readonly Inspected[],
  description: Description,
  keep: boolean,
): Promise<void> {
  const { client } = connection;
  await client.query('BEGIN');
  try {
    await client.query('SET LOCAL ROLE import_writer');
    await client.query(
      `SELECT pg_catalog.set_config('app.import_batch', $1, true), pg_catalog.set_config('app.user_agent', $2, true),
              pg_catalog.set_config('app.correlation_id', $3, true)`,
      [JSON.stringify(description), `${agent} from ${description.source}`, description.run],
    );
    const replaced = rows.filter(({ state }) => state === 'differs').map(({ row }) => row);
    if (replaced.length > 0) await client.query(removal(shape), keysOf(shape, replaced));
    const given = rows.map(({ row }) => row);
    const { rows: stored } = await client.query<Omit<ChunkRow, 'tenant' | 'month'>>(
      insertion(shape),
      columnsOf(shape, given),
    );
    const expected = rows.reduce((total, { sum }) => plus(total, sum), nothing);
    const sum = stored[0] ? sumOf(stored[0]) : nothing;
    if (sum.rows !== expected.rows || sum.one !== expected.one || sum.two !== expected.two) {
      throw new DifferentContent();
    }
    await client.query(keep ? 'COMMIT' : 'ROLLBACK');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

/** A trigger or type of the target changed the row. */
class DifferentContent extends Error {
  override readonly message = 'the target would store another content than the source has';
}

function insertion(shape: Shape): string {
  const names = shape.columns.map(({ name }) => identifier(name)).join(', ');
  return `
    WITH put AS (
      INSERT INTO llama.${identifier(shape.table)} (${names})
      SELECT ${cast(shape)} FROM unnest(${parameters(shape, 1)}) AS r (${shape.columns.map((_, at) => `c${at}`).join(', ')})
      RETURNING ${names}
    )
    SELECT count(*)::text AS rows, sum(h.one)::text AS one, sum(h.two)::text AS two FROM put AS t ${hashed(content('t', shape))}`;
}

function keyColumns({ columns, key }: Shape) {
  return key.map((name) => {
    const at = columns.findIndex((column) => column.name === name);
    const column = columns[at];
    if (!column) throw new Error(`key column ${name} is not imported`);
    return { ...column, at };
  });
}

/** Texts of the key, one array per column. */
export function keysOf(shape: Shape, rows: readonly Row[]): (string | null)[][] {
  return keyColumns(shape).map(({ at }) => rows.map(({ values }) => values[at] ?? null));
}

/** `{ tenant_id: 'acme', id: … }` of a row. */
export function keyOf(shape: Shape, { values }: Row): Readonly<Record<string, string | null>> {
  return Object.fromEntries(keyColumns(shape).map(({ name, at }) => [name, values[at] ?? null]));
}

/** `unnest($1::text[], …)` as a relation `k` with the key's columns, from parameter `first` on. */
export function keyRelation(shape: Shape, first: number): string {
  const keys = keyColumns(shape);
  const names = keys.map((_, at) => `c${at}`).join(', ');
  return `(SELECT ${keys.map(({ name, base }, at) => `u.c${at}::${base} AS ${identifier(name)}`).join(', ')}
             FROM unnest(${keys.map((_, at) => `$${first + at}::text[]`).join(', ')}) AS u (${names})) AS k`;
}

function removal(shape: Shape): string {
  const on = shape.key.map((name) => `t.${identifier(name)} = k.${identifier(name)}`).join(' AND ');
  return `DELETE FROM llama.${identifier(shape.table)} AS t USING ${keyRelation(shape, 1)} WHERE ${on}`;
}

/** Errors by which the server refuses a row: invalid values, constraints, triggers and limits. All others stop the import. */
function isRefusal(error: unknown): boolean {
  if (error instanceof DifferentContent) return true;
  if (isLockFailure(error)) return false;
  return /^(?:22|23|P0001|54000|55000)/.test(sqlState(error) ?? '');
}

/** Tries all items; if they are refused, each half alone. */
async function isolate<Item>(
  items: readonly Item[],
  attempt: (part: readonly Item[]) => Promise<void>,
): Promise<{
  readonly good: readonly Item[];
  readonly refused: readonly { readonly row: Item; readonly reason: string; readonly code?: string }[];
}> {
  if (items.length === 0) return { good: [], refused: [] };
  try {
    await attempt(items);
    return { good: items, refused: [] };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const [item] = items;
    if (items.length === 1 && item !== undefined) {
      const code = sqlState(error);
      const reason = error instanceof Error ? error.message : String(error);
      return { good: [], refused: [{ row: item, reason, ...(code === undefined ? {} : { code }) }] };
    }
    const middle = Math.ceil(items.length / 2);
    const left = await isolate(items.slice(0, middle), attempt);
    const right = await isolate(items.slice(middle), attempt);
    return { good: [...left.good, ...right.good], refused: [...left.refused, ...right.refused] };
  }
}
