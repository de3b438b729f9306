/** Sizes of the tables in a database, by the estimates in its catalogs: without counting, without locks. */
import type { Connection } from '../../connection.ts';
import type { LiveColumn } from './rule.ts';

export interface TableFacts {
  /** Of a table, view or materialized view; undefined if it does not exist. */
  sizeOf(table: string): 'small' | 'large' | undefined;
  readonly partitioned: readonly string[];
  /** @default - columns are unknown */
  column?(table: string, column: string): LiveColumn | undefined;
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
  const { rows: columns } = await client.query<LiveColumn & { readonly name: string }>(
    `SELECT n.nspname || '.' || c.relname || '.' || a.attname AS name,
            replace(replace(pg_catalog.format_type(a.atttypid, a.atttypmod), 'character varying', 'varchar'), 'bit varying', 'varbit') AS type,
            ARRAY(SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
                    FROM pg_catalog.pg_depend AS d
                    LEFT JOIN pg_catalog.pg_constraint AS k
                      ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid
                    LEFT JOIN pg_catalog.pg_index AS i
                      ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indexrelid = d.objid
                   WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = c.oid
                     AND d.refobjsubid = a.attnum
                     AND (d.classid IN ('pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass,
                                        'pg_catalog.pg_trigger'::pg_catalog.regclass)
                          -- On a partitioned table PostgreSQL builds every index of the column again.
                          OR (c.relkind = 'p' AND (i.indexrelid IS NOT NULL OR k.contype IN ('p', 'u')))
                          OR k.contype = 'c' OR i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
                          OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.attgenerated = '' AND d.deptype = 'n'))
                   ORDER BY 1) || CASE WHEN p.partrelid IS NULL THEN ARRAY[]::text[] ELSE ARRAY['the partition key'] END AS "usedBy"
       FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = c.oid AND a.attnum = ANY (p.partattrs)
      WHERE c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition
        AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`,
  );
  const known = new Map(columns.map((column) => [column.name, column]));
  return {
    sizeOf: (table) => {
      const found = tables.get(table);
      if (!found) return undefined;
      return found.partitioned || found.rows >= largeRows || Number(found.bytes) >= largeBytes
        ? 'large'
        : 'small';
    },
    column: (table, column) => known.get(`${table}.${column}`),
    partitioned: rows.filter(({ partitioned }) => partitioned).map(({ name }) => name),
  };
}
