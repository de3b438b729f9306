/** Sources of an import: a database that is read in one snapshot, or a directory of CSV files. */
import { existsSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { counted } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import { readCsv } from './csv.ts';
import {
  type Chunk,
  type ChunkRow,
  chunkCondition,
  chunkOf,
  chunksQuery,
  type ImportedTable,
  identifier,
  importedTables,
  type Shape,
} from './tables.ts';

/** A row as text, in the order of the shape's columns. */
export interface Row {
  readonly values: readonly (string | null)[];
  /** Its place in a file. */
  readonly line?: number;
}

export interface Rows {
  readonly rows: readonly Row[];
  /** Progress in the units of `size`, so far in this chunk or file. */
  readonly done: number;
}

export interface Source {
  /** Without login and password; it goes into the audit trail. */
  readonly name: string;
  /** Tables that it has, with their columns. */
  columns(): Promise<ReadonlyMap<ImportedTable, readonly string[]>>;
  /** The rows by tenant and month; undefined for a source without digests, which is read from its beginning. */
  chunks(shape: Shape): Promise<readonly Chunk[] | undefined>;
  /** Rows of the whole table, or bytes of its file. */
  size(table: ImportedTable): number;
  read(shape: Shape, limits: Limits, chunk?: Chunk): AsyncIterable<Rows>;
  close(): Promise<void>;
}

export interface Limits {
  /** Rows of a batch. */
  readonly rows: number;
  /** Characters of a batch, beyond which it ends with the current row. */
  readonly size: number;
}

/** Reads a database, all of whose rows must be visible to the login. The source owns the connection. */
export async function databaseSource(connection: Connection, schema: string): Promise<Source> {
  const { client, circumstances } = connection;
  try {
    // A long import must not end between two reads.
    await client.query('SET idle_in_transaction_session_timeout = 0');
    // A policy then causes an error. Otherwise it would hide rows, which would look as if they did not exist.
    await client.query('SET row_security = off');
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    await requireCopied(connection, schema);
  } catch (error) {
    await connection.close();
    throw error;
  }
  const relation = (table: string) => `${identifier(schema)}.${identifier(table)}`;
  const visible = async <Result>(table: string, work: () => Promise<Result>): Promise<Result> => {
    try {
      return await work();
    } catch (error) {
      if (sqlState(error) !== '42501') throw error;
      throw new Fault(
        'import/source-hidden',
        `${relation(table)} of ${circumstances.target} cannot be read completely`,
        `${error instanceof Error ? error.message : String(error)}; the login is ${circumstances.user}`,
        'Read as a login that may SELECT and that row-level security does not limit: the owner of the table, or one with BYPASSRLS.',
        { cause: error },
      );
    }
  };
  const sizes = new Map<ImportedTable, number>();
  return {
    name: circumstances.target,
    async columns() {
      const { rows } = await client.query<{ table: ImportedTable; columns: string[] }>(
        `SELECT c.relname AS "table", pg_catalog.array_agg(a.attname::text ORDER BY a.attnum) AS columns
           FROM pg_catalog.pg_class AS c
           JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          WHERE n.nspname = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
          GROUP BY c.relname`,
        [schema, importedTables],
      );
      return new Map(rows.map(({ table, columns }) => [table, columns]));
    },
    async chunks(shape) {
      const { rows } = await visible(shape.table, () =>
        client.query<ChunkRow>(chunksQuery(relation(shape.table), shape)),
      );
      const chunks = rows.map(chunkOf);
      sizes.set(
        shape.table,
        chunks.reduce((sum, chunk) => sum + chunk.rows, 0),
      );
      return chunks;
    },
    size: (table) => sizes.get(table) ?? 0,
    async *read(shape, limits, chunk) {
      const where = chunk ? chunkCondition(chunk, shape) : { sql: 'true', values: [] };
      const columns = shape.columns.map(({ name }) => `t.${identifier(name)}::text`).join(', ');
      await client.query({
        text: `DECLARE import_rows NO SCROLL CURSOR FOR SELECT ARRAY[${columns}] AS values FROM ${relation(shape.table)} AS t WHERE ${where.sql}`,
        values: where.values,
      });
      let done = 0;
      // Rows of 70 MB exist, so the number of rows follows their size.
      let fetched = Math.min(10, limits.rows);
      for (;;) {
        const { rows } = await client.query<Row>(`FETCH ${fetched} FROM import_rows`);
        if (rows.length === 0) break;
        done += rows.length;
        yield { rows, done };
        const average = rows.reduce((sum, row) => sum + sizeOf(row), 1) / rows.length;
        fetched = Math.max(1, Math.min(limits.rows, fetched * 10, Math.floor(limits.size / average)));
      }
      await client.query('CLOSE import_rows');
    },
    close: () => connection.close(),
  };
}

/** While the initial copy of a subscription runs, its table is incomplete without an error. */
async function requireCopied({ client, circumstances }: Connection, schema: string): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT c.relname AS name
       FROM pg_catalog.pg_subscription_rel AS s JOIN pg_catalog.pg_class AS c ON c.oid = s.srrelid
      WHERE s.srsubstate <> 'r' AND c.relnamespace = pg_catalog.to_regnamespace($1) AND c.relname = ANY ($2)
      ORDER BY 1`,
    [identifier(schema), importedTables],
  );
  if (rows.length === 0) return;
  throw new Fault(
    'import/staging-not-copied',
    `${circumstances.target} is not complete yet`,
    `the subscription still copies ${rows.map(({ name }) => name).join(', ')} (pg_subscription_rel.srsubstate is not r)`,
    'Wait until the copy has finished, and run the command again. If it does not finish, read the log of the server.',
  );
}

function sizeOf({ values }: Row): number {
  return values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
}

/** @throws Fault (exit 2) if the directory contains no file of an imported table */
export function dumpSource(directory: string): Source {
  const files = new Map(
    importedTables
      .map((table) => [table, join(directory, `${table}.csv`)] as const)
      .filter(([, file]) => existsSync(file)),
  );
  if (files.size === 0) {
    throw new Fault(
      'import/dump-empty',
      `${directory} contains nothing to import`,
      `a dump has files named ${importedTables.map((table) => `${table}.csv`).join(', ')}`,
      'Write them with \\copy (docs/importing.md).',
      { exitCode: 2 },
    );
  }
  const fileOf = (table: ImportedTable) => files.get(table) ?? '';
  const headers = new Map<ImportedTable, readonly string[]>();
  return {
    name: `dump ${resolve(directory)}`,
    async columns() {
      for (const table of files.keys()) headers.set(table, await headerOf(fileOf(table)));
      return headers;
    },
    chunks: async () => undefined,
    size: (table) => statSync(fileOf(table)).size,
    async *read(shape, limits) {
      const file = fileOf(shape.table);
      const header = headers.get(shape.table) ?? [];
      const places = shape.columns.map(({ name }) => header.indexOf(name));
      let rows: Row[] = [];
      let size = 0;
      let done = 0;
      for await (const { values, line, position } of readCsv(file)) {
        if (line === 1) continue;
        if (values.length !== header.length) {
          throw new Fault(
            'import/dump-malformed',
            `${file}, line ${line}, is not CSV as COPY writes it`,
            `it has ${counted(values.length, 'field')}, and the header has ${header.length}`,
            'Write the dump again (docs/importing.md). A file that ends early was not written completely.',
          );
        }
        const row = { values: places.map((place) => values[place] ?? null), line };
        rows.push(row);
        size += sizeOf(row);
        done = position;
        if (rows.length < limits.rows && size < limits.size) continue;
        yield { rows, done };
        rows = [];
        size = 0;
      }
      if (rows.length > 0) yield { rows, done };
    },
    close: async () => undefined,
  };
}

async function headerOf(file: string): Promise<readonly string[]> {
  for await (const { values } of readCsv(file)) {
    const names = values.map((value) => value ?? '');
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    if (twice === undefined && !names.includes('')) return names;
    break;
  }
  throw new Fault(
    'import/dump-without-header',
    `${file} does not begin with the names of its columns`,
    'the first line is missing, or has an empty or repeated name',
    'Write the dump with the option HEADER (docs/importing.md).',
  );
}
