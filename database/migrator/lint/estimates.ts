/** Sizes of the tables in a database, by the estimates in its catalogs: without counting, without locks. */
import type { Connection } from '../../connection.ts';

export interface TableFacts {
  /** Of a table, view or materialized view; undefined if it does not exist. */
  sizeOf(table: string): 'small' | 'large' | undefined;
  readonly partitioned: readonly string[];
}

/** Thresholds of a large table: a scan or rewrite locks it for about a second. */
export const largeRows = 100_000;
export const largeBytes = 128 * 1024 * 1024;

/** Reads the catalogs, which requires no privilege on the tables. */
export async function readTableFacts({ client }: Pick<Connection, 'client'>): Promise<TableFacts> {
  const { rows } = await client.query<{ name: string; partitioned: boolean; rows: number; bytes: string }>(
    `SELECT n.nspname || '.' || c.relname AS name, c.relkind = 'p' AS partitioned,
            greatest(c.reltuples, 0)::float8 AS rows, c.relpages::bigint * 8192 AS bytes
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'm', 'v') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`,
  );
  const tables = new Map(rows.map((row) => [row.name, row]));
  return {
    sizeOf: (table) => {
      const found = tables.get(table);
      if (!found) return undefined;
      return found.partitioned || found.rows >= largeRows || Number(found.bytes) >= largeBytes
        ? 'large'
        : 'small';
    },
    partitioned: rows.filter(({ partitioned }) => partitioned).map(({ name }) => name),
  };
}
