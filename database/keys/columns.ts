/** The columns that rotation processes: the rows of llama.encrypted_columns, with the catalogs' data on each column. */
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';

/** `text`: the value itself; `document`: {"$enc": value} in jsonb; `bytes`: the value as bytea. */
export type Form = 'text' | 'document' | 'bytes';

export interface EncryptedColumn {
  /** Names that values are bound to. */
  readonly table: string;
  readonly column: string;
  /** Current name, quoted. */
  readonly stored: string;
  readonly form: Form;
  /** Column whose text is the `record` that values are bound to, quoted. */
  readonly record: string;
}

export interface EncryptedTable {
  /** Qualified and quoted. */
  readonly relation: string;
  /** Primary key without the tenant: quoted names, and the types to which their texts are cast. */
  readonly key: readonly { readonly name: string; readonly type: string }[];
  readonly columns: readonly EncryptedColumn[];
}

interface Row {
  readonly relation: string | null;
  readonly key: EncryptedTable['key'] | null;
  readonly table: string;
  readonly column: string;
  readonly storedTable: string;
  readonly stored: string;
  readonly type: string | null;
  readonly record: string;
}

const forms: Readonly<Record<string, Form>> = { bytea: 'bytes', jsonb: 'document' };

/**
 * The session must have an empty search path, as every session of llama-db does.
 *
 * @returns the tables with registered columns, and a fault per registered column that does not exist
 */
export async function encryptedTables(
  client: pg.ClientBase,
): Promise<{ readonly tables: readonly EncryptedTable[]; readonly missing: readonly Fault[] }> {
  const { rows } = await client.query<Row>(
    `SELECT c.oid::regclass::text AS relation, e.table_name AS "table", e.column_name AS "column",
            e.stored_table AS "storedTable", quote_ident(e.stored_column) AS stored, a.atttypid::regtype::text AS type, quote_ident(e.record_column) AS record,
            (SELECT jsonb_agg(jsonb_build_object('name', quote_ident(k.attname), 'type', format_type(k.atttypid, k.atttypmod))
                              ORDER BY p.place)
               FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS p (number, place)
               JOIN pg_attribute AS k ON k.attrelid = i.indrelid AND k.attnum = p.number
              WHERE i.indrelid = c.oid AND i.indisprimary AND k.attname <> 'tenant_id') AS key
       FROM llama.encrypted_columns AS e
       LEFT JOIN pg_class AS c ON c.oid = to_regclass(e.stored_table)
       LEFT JOIN pg_attribute AS r ON r.attrelid = c.oid AND r.attname = e.record_column AND r.attnum > 0
       LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = e.stored_column AND a.attnum > 0 AND r.attnum > 0
      ORDER BY 1, 2, 3`,
  );
  const tables = new Map<string, EncryptedTable & { readonly columns: EncryptedColumn[] }>();
  const missing: Fault[] = [];
  for (const { relation, key, table, column, storedTable, stored, type, record } of rows) {
    if (relation === null || type === null) {
      missing.push(
        new Fault(
          'keys/column-missing',
          `Values of ${table}.${column} cannot be encrypted again`,
          `llama.encrypted_columns lists ${storedTable}, column ${stored}, with records in ${record}, and one of these does not exist`,
          'After a rename, call llama.register_encrypted_column with the names that the values are bound to. After a removal, call llama.forget_encrypted_column.',
        ),
      );
      continue;
    }
    const known = tables.get(relation) ?? { relation, key: key ?? [], columns: [] };
    known.columns.push({ table, column, stored, form: forms[type] ?? 'text', record });
    tables.set(relation, known);
  }
  return { tables: [...tables.values()], missing };
}
