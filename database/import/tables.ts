/** The tables of an import and their columns, and the digest by which both sides are compared. */
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Connection } from '../connection.ts';
import { asRole } from '../migrator/prepare.ts';

/** In order of import: the configuration of a tenant before its records. */
export const importedTables = [
  'tenant_configs',
  'storage_records',
  'model_metrics',
  'detector_executions',
] as const;

export type ImportedTable = (typeof importedTables)[number];

export interface Column {
  readonly name: string;
  /** Type without and with its length or precision. */
  readonly base: string;
  readonly type: string;
}

/** A table that the source and the target have. */
export interface Shape {
  readonly table: ImportedTable;
  /** Columns that both have, except those that the target derives. */
  readonly columns: readonly Column[];
  /** The primary key of the target. */
  readonly key: readonly string[];
  /** Whether it is partitioned by month on "timestamp". */
  readonly monthly: boolean;
}

/** `storage_records.encrypted` describes the content, so a trigger of the target sets it. */
const derived: Readonly<Partial<Record<ImportedTable, readonly string[]>>> = {
  storage_records: ['encrypted'],
};

/** Columns of the source that the target derives or keeps. */
export function isDerived(table: ImportedTable, column: string): boolean {
  return derived[table]?.includes(column) ?? false;
}

export const identifier = pg.escapeIdentifier;

/**
 * The shape of a table for the columns that the source has.
 *
 * @throws Fault if the source has a column that the target lacks, or lacks one of the key
 */
export async function shapeOf(
  connection: Connection,
  table: ImportedTable,
  given: readonly string[],
): Promise<Shape> {
  const { rows } = await asRole(connection, 'import_writer', () =>
    connection.client.query<Column & { readonly keyed: boolean; readonly monthly: boolean }>(
      `SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, NULL) AS base,
              pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
              a.attnum = ANY (k.indkey) AS keyed, c.relkind = 'p' AS monthly
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
         JOIN pg_catalog.pg_index AS k ON k.indrelid = c.oid AND k.indisprimary
        WHERE c.oid = pg_catalog.format('llama.%I', $1::text)::pg_catalog.regclass
        ORDER BY a.attnum`,
      [table],
    ),
  );
  const known = new Set(rows.map(({ name }) => name));
  const key = rows.filter(({ keyed }) => keyed).map(({ name }) => name);
  const unknown = given.filter((name) => !known.has(name));
  const missing = key.filter((name) => !given.includes(name));
  if (unknown.length > 0 || missing.length > 0) {
    throw new Fault(
      'import/columns-differ',
      `${table} of the source cannot be imported`,
      [
        ...(unknown.length > 0 ? [`llama.${table} has no column ${unknown.join(', ')}`] : []),
        ...(missing.length > 0
          ? [`the source has no column ${missing.join(', ')}, which is part of the key`]
          : []),
      ].join('; '),
      'Write a dump with a query that names the columns of the target (docs/importing.md), or add the column in a migration.',
    );
  }
  return {
    table,
    key,
    columns: rows.filter(({ name }) => given.includes(name) && !isDerived(table, name)),
    monthly: rows.some(({ monthly }) => monthly),
  };
}

/** The text of a row, by which rows are compared. Both sides have the same pinned settings. */
export function content(alias: string, { columns }: Pick<Shape, 'columns'>): string {
  return `ROW(${columns.map(({ name }) => `${alias}.${identifier(name)}`).join(', ')})::text`;
}

/** A lateral subquery `h (one, two)`: the first 128 bits of the SHA-256 of a text. Sums of them do not depend on an order. */
export function hashed(text: string): string {
  return `CROSS JOIN LATERAL (SELECT pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(${text}, 'UTF8')), 'hex') AS hex OFFSET 0) AS x
          CROSS JOIN LATERAL (SELECT ('x' || pg_catalog.left(x.hex, 16))::bit(64)::bigint AS one,
                                     ('x' || pg_catalog.substr(x.hex, 17, 16))::bit(64)::bigint AS two) AS h`;
}

/** Number and digest of a set of rows. */
export interface Sum {
  readonly rows: number;
  readonly one: bigint;
  readonly two: bigint;
}

export const nothing: Sum = { rows: 0, one: 0n, two: 0n };

export function plus(left: Sum, right: Sum): Sum {
  return { rows: left.rows + right.rows, one: left.one + right.one, two: left.two + right.two };
}

export function equal(left: Sum | undefined, right: Sum | undefined): boolean {
  const [a, b] = [left ?? nothing, right ?? nothing];
  return a.rows === b.rows && a.one === b.one && a.two === b.two;
}

/** 32 hexadecimal digits. */
export function digestOf({ one, two }: Sum): string {
  return [one, two].map((part) => BigInt.asUintN(64, part).toString(16).padStart(16, '0')).join('');
}

/** The rows of one tenant and month. */
export interface Chunk extends Sum {
  readonly tenant: string | null;
  /** First instant of the month, `infinity`, or null without a time. */
  readonly month: string | null;
}

export const chunkKey = ({ tenant, month }: Pick<Chunk, 'tenant' | 'month'>): string =>
  JSON.stringify([tenant, month]);

/** A query for all chunks of a relation. */
export function chunksQuery(relation: string, shape: Shape): string {
  const month = shape.monthly
    ? `(pg_catalog.date_trunc('month', t."timestamp" AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::text`
    : 'NULL::text';
  return `SELECT t.tenant_id::text AS tenant, ${month} AS month, count(*)::text AS rows, sum(h.one)::text AS one, sum(h.two)::text AS two
            FROM ${relation} AS t ${hashed(content('t', shape))}
           GROUP BY 1, 2 ORDER BY 1, 2`;
}

export interface ChunkRow {
  readonly tenant: string | null;
  readonly month: string | null;
  readonly rows: string;
  readonly one: string | null;
  readonly two: string | null;
}

export function chunkOf({ tenant, month, ...sum }: ChunkRow): Chunk {
  return { tenant, month, ...sumOf(sum) };
}

export function sumOf({ rows, one, two }: Omit<ChunkRow, 'tenant' | 'month'>): Sum {
  return { rows: Number(rows), one: BigInt(one ?? 0), two: BigInt(two ?? 0) };
}

/** The condition of a chunk on `t`, with its values. */
export function chunkCondition({ tenant, month }: Pick<Chunk, 'tenant' | 'month'>, shape: Shape) {
  const values = [tenant, month].filter((value) => value !== null);
  const parts = [tenant === null ? 't.tenant_id IS NULL' : 't.tenant_id = $1'];
  const at = `$${values.length}::timestamptz`;
  if (shape.monthly && month === null) parts.push('t."timestamp" IS NULL');
  if (shape.monthly && month !== null) {
    parts.push(
      month.includes('infinity')
        ? `t."timestamp" = ${at}`
        : `t."timestamp" >= ${at} AND t."timestamp" < ${at} + interval '1 month'`,
    );
  }
  return { sql: parts.join(' AND '), values };
}
