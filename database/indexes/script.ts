/** An index build as a script for psql, with the same result as buildPartitionedIndex (decision 13). */
import pg from 'pg';
import { qualified } from './catalog.ts';
import type { PartitionedIndex } from './partitioned-index.ts';

/**
 * Statements that build an index as `buildPartitionedIndex` does. The script queries the leaves when it runs, and psql
 * executes each row of the answer as a statement (`\gexec`). It drops an invalid index and builds it again.
 */
export function indexScript(index: PartitionedIndex): string {
  const { definition, where, using = 'btree', unique = false } = index;
  const [schema = '', table = ''] = index.table.split('.');
  const literal = (text: string) => pg.escapeLiteral(text);
  const create = `CREATE ${unique ? 'UNIQUE ' : ''}INDEX`;
  const rest = literal(
    ` USING ${pg.escapeIdentifier(using)} ${definition}${where === undefined ? '' : ` WHERE ${where}`}`,
  );
  const parent = literal(qualified(schema, table));
  const whole = literal(qualified(schema, index.name));
  // The names of the parts are those of leafIndexName.
  const leaves = `WITH leaf AS (
  SELECT c.oid, pg_catalog.quote_ident(n.nspname) AS place, pg_catalog.quote_ident(c.relname) AS leaf,
         ${literal(`${index.name}_`)} || CASE WHEN pg_catalog.starts_with(c.relname, ${literal(`${table}_`)})
           THEN pg_catalog.substr(c.relname, ${table.length + 2}) ELSE c.relname::text END AS wanted
    FROM pg_catalog.pg_inherits AS i
    JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE i.inhparent = ${parent}::pg_catalog.regclass AND NOT i.inhdetachpending
     AND (SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = i.inhparent)
     AND NOT EXISTS (
       SELECT FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_index AS x ON x.indexrelid = h.inhrelid
        WHERE x.indrelid = c.oid AND h.inhparent = pg_catalog.to_regclass(${whole}))
  UNION ALL
  SELECT c.oid, pg_catalog.quote_ident(n.nspname), pg_catalog.quote_ident(c.relname), ${literal(index.name)}
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.oid = ${parent}::pg_catalog.regclass AND c.relkind <> 'p'
), part AS (
  SELECT leaf.*, pg_catalog.quote_ident(CASE WHEN pg_catalog.octet_length(wanted) <= 63 THEN wanted ELSE
           pg_catalog."left"(wanted, 52) || '_' || pg_catalog."left"(pg_catalog.encode(
             pg_catalog.sha256(pg_catalog.convert_to(wanted, 'UTF8')), 'hex'), 10) END) AS name
    FROM leaf
)`;
  const leftover = `(SELECT indisvalid FROM pg_catalog.pg_index
    WHERE indexrelid = pg_catalog.to_regclass(place || '.' || name) AND indrelid = part.oid)`;
  return `-- Index ${qualified(schema, index.name)}: ON ONLY the parent, CONCURRENTLY on each leaf, ATTACH.
SET statement_timeout = 0;
SET lock_timeout = '5s';
SELECT ${literal(`${create} ${pg.escapeIdentifier(index.name)} ON ONLY ${qualified(schema, table)}`)} || ${rest}
 WHERE pg_catalog.to_regclass(${whole}) IS NULL
   AND (SELECT relkind = 'p' FROM pg_catalog.pg_class WHERE oid = ${parent}::pg_catalog.regclass) \\gexec
-- A concurrent build waits for every older transaction; giving up would leave it invalid.
SET lock_timeout = 0;
${leaves}
SELECT 'DROP INDEX CONCURRENTLY ' || place || '.' || name FROM part WHERE NOT ${leftover} ORDER BY name \\gexec
${leaves}
SELECT ${literal(`${create} CONCURRENTLY `)} || name || ' ON ' || place || '.' || leaf || ${rest}
  FROM part WHERE ${leftover} IS NULL ORDER BY name \\gexec
SET lock_timeout = '5s';
${leaves}
SELECT ${literal(`ALTER INDEX ${qualified(schema, index.name)} ATTACH PARTITION `)} || place || '.' || name
  FROM part WHERE part.oid <> ${parent}::pg_catalog.regclass ORDER BY name \\gexec
DO $index$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_index
                  WHERE indexrelid = pg_catalog.to_regclass(${whole}) AND indrelid = ${parent}::pg_catalog.regclass AND indisvalid) THEN
    RAISE EXCEPTION 'index ${qualified(schema, index.name)} does not exist or is invalid';
  END IF;
END $index$;`;
}
