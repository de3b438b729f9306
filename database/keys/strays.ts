/** The search for encrypted values that rotation does not find: outside the registered columns, or in another form in them. */
import type pg from 'pg';
import { isConnectionError } from '../diagnosis.ts';
import { attempt } from '../transaction.ts';
import type { Form } from './columns.ts';

/** Values of one column that name one data key. */
export interface Stray {
  /** Qualified. */
  readonly table: string;
  readonly column: string;
  readonly keyId: string;
  readonly values: number;
}

export interface Strays {
  readonly found: readonly Stray[];
  /** Number of tables and columns that were searched. */
  readonly tables: number;
  readonly columns: number;
  /** Tables that were not searched completely, with the reason. */
  readonly unread: readonly {
    readonly table: string;
    readonly why: string;
    /** True if the search failed; false if no role sees every row. */
    readonly failed: boolean;
  }[];
}

/** Timeout per sample: a table with values of megabytes must not use up the time of the others. */
export const sampleTimeout = '5s';

interface Candidate {
  readonly table: string;
  /** A role that sees every row, quoted. */
  readonly role: string | null;
  readonly pages: number;
  readonly columns: readonly CandidateColumn[];
}

interface CandidateColumn {
  /** Quoted. */
  readonly name: string;
  readonly form: Form;
  /** Of a registered column, only values in a form that rotation does not find. */
  readonly registered: boolean;
}

/**
 * Searches every table and materialized view of the database for stored values, by the data key id in front of each. The
 * caller opens the transaction; the function changes its role.
 *
 * @param options.pages sample size per table in pages; 0 only lists the tables that can be searched. @default - every row
 */
export async function findStrays(
  client: pg.ClientBase,
  options: { readonly pages?: number } = {},
): Promise<Strays> {
  await client.query('SET LOCAL ROLE llama_owner');
  const { rows: candidates } = await client.query<Candidate>(candidatesQuery);
  const readable = candidates.filter(({ role }) => role !== null);
  const unread = candidates
    .filter(({ role }) => role === null)
    .map(({ table }) => ({
      table,
      why: 'no role that this login may assume sees all of its rows',
      failed: false,
    }));
  const strays: Stray[] = [];
  for (const { table, role, pages, columns } of options.pages === 0 ? [] : readable) {
    const share = (100 * (options.pages ?? pages)) / Math.max(pages, 1);
    const sample = share < 100 ? `TABLESAMPLE SYSTEM (${share})` : '';
    const keys = columns.map(
      (column, place) => `SELECT ${place} AS place, k.key_id FROM (${keysIn(column)}) AS k`,
    );
    const search = `SELECT m.place, m.key_id AS "keyId", count(*)::int AS values
         FROM ${table} AS r ${sample} CROSS JOIN LATERAL (${keys.join(' UNION ALL ')}) AS m GROUP BY 1, 2 ORDER BY 1, 2`;
    const searched = await attempt(client, async () => {
      await client.query(`SET LOCAL ROLE ${role}`);
      if (options.pages !== undefined) await client.query(`SET LOCAL statement_timeout = '${sampleTimeout}'`);
      return client.query<{ place: number; keyId: string; values: number }>(search);
    });
    if ('refused' in searched) {
      if (isConnectionError(searched.refused)) throw searched.refused;
      unread.push({ table, why: searched.refused.message, failed: true });
      continue;
    }
    for (const { place, keyId, values } of searched.value.rows) {
      strays.push({ table, column: columns[place]?.name ?? '', keyId, values });
    }
  }
  const known = await knownKeys(client, strays);
  return {
    // Bytes that begin with 1 are common, and text can show the form of a value as an example.
    found: strays.filter(({ keyId }) => known.has(keyId)),
    tables: readable.length,
    columns: readable.reduce((sum, { columns }) => sum + columns.length, 0),
    unread,
  };
}

function keysIn({ name, form, registered }: CandidateColumn): string {
  const value = `r.${name}`;
  if (form === 'bytes') {
    return `SELECT (encode(substr(${value}, 2, 16), 'hex')::uuid)::text AS key_id
             WHERE length(${value}) >= 45 AND substr(${value}, 1, 1) = '\\x01'`;
  }
  const counted = form === 'document' ? `${value} ->> '$enc' IS NOT NULL` : `starts_with(${value}, 'gcm1:')`;
  const text = registered ? `CASE WHEN ${counted} THEN '' ELSE ${value}::text END` : `${value}::text`;
  return `SELECT k[1] AS key_id
            FROM regexp_matches(${text}, 'gcm1:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):', 'g') AS k
           WHERE strpos(${text}, 'gcm1:') > 0`;
}

/** The ids that belong to data keys. */
async function knownKeys(client: pg.ClientBase, strays: readonly Stray[]): Promise<ReadonlySet<string>> {
  if (strays.length === 0) return new Set();
  await client.query('SET LOCAL ROLE admin_role');
  const { rows } = await client.query<{ id: string }>(
    'SELECT key_id::text AS id FROM llama.data_keys WHERE key_id = ANY ($1::uuid[])',
    [strays.map(({ keyId }) => keyId)],
  );
  return new Set(rows.map(({ id }) => id));
}

/**
 * Columns that can hold text or bytes. The query leaves out tables of extensions, the keys themselves, and the audit trail,
 * because rotation compares the age of its months. It also leaves out months that were detached from a table without
 * registered columns: no role may read them, and they cannot hold values that their table refused.
 */
const candidatesQuery = `
  WITH relations AS (
    SELECT c.oid, n.oid AS namespace, format('%I.%I', n.nspname, c.relname) AS name,
           (SELECT p.oid FROM pg_class AS p
             WHERE p.relnamespace = n.oid AND p.relkind = 'p' AND NOT c.relispartition
               AND c.relname ~ '_y[0-9]{4}m[0-9]{2}$' AND p.relname = left(c.relname, -9)) AS detached_from
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition AND (c.relkind <> 'm' OR c.relispopulated)
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND c.oid NOT IN ('llama.data_keys'::regclass, 'llama.audit_trail'::regclass)
       AND NOT EXISTS (SELECT FROM pg_depend AS d
                        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
  SELECT r.name AS table,
         (SELECT quote_ident(w.who)
            FROM unnest(ARRAY['admin_role', 'llama_owner', session_user]::name[]) WITH ORDINALITY AS w (who, place)
           WHERE has_schema_privilege(w.who, r.namespace, 'USAGE') AND has_table_privilege(w.who, r.oid, 'SELECT')
             AND llama.sees_every_row(w.who, r.oid)
           ORDER BY w.place LIMIT 1) AS role,
         (SELECT coalesce(sum(pg_relation_size(t.relid)), 0)::float8 FROM pg_partition_tree(r.oid) AS t)
           / current_setting('block_size')::int
         + pg_relation_size(r.oid)::float8 / current_setting('block_size')::int AS pages,
         jsonb_agg(jsonb_build_object('name', quote_ident(a.attname), 'registered', e.table_name IS NOT NULL,
             'form', CASE b.typname WHEN 'bytea' THEN 'bytes' WHEN 'jsonb' THEN 'document' ELSE 'text' END) ORDER BY a.attnum) AS columns
    FROM relations AS r
    JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type AS t ON t.oid = a.atttypid
    LEFT JOIN llama.encrypted_columns AS e ON to_regclass(e.stored_table) = r.oid AND e.stored_column = a.attname
    JOIN pg_type AS b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
   WHERE (b.typcategory IN ('S', 'A', 'C') OR b.typname IN ('bytea', 'json', 'jsonb', 'xml', 'hstore'))
     AND NOT (e.table_name IS NOT NULL AND b.typname = 'bytea')
     AND (r.detached_from IS NULL OR EXISTS (SELECT FROM llama.encrypted_columns AS e WHERE to_regclass(e.stored_table) = r.detached_from))
     AND r.detached_from IS DISTINCT FROM 'llama.audit_trail'::regclass
   GROUP BY r.oid, r.name, r.namespace
   ORDER BY 1`;
