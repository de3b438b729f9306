/** Reads tables, leaves and indexes from the catalogs. */
import pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { IndexSession } from './session.ts';

export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
}

export interface Table extends Relation {
  readonly partitioned: boolean;
}

export interface FoundIndex extends Relation {
  readonly valid: boolean;
  readonly unique: boolean;
  /** Output of pg_get_indexdef; undefined if the relation is not an index. */
  readonly definition: string | undefined;
  /** Id of the indexed table. */
  readonly table: number | undefined;
  /** Id of the partitioned index that contains it. */
  readonly parent: number | undefined;
  /** Its parts, by the id of their leaf. */
  readonly attached: ReadonlyMap<number, Relation & { readonly valid: boolean }>;
}

export function qualified(schema: string, name: string): string {
  return `${pg.escapeIdentifier(schema)}.${pg.escapeIdentifier(name)}`;
}

/** @throws Fault if the table does not exist, or if its name lacks the schema */
export async function findTable(session: IndexSession, table: string): Promise<Table> {
  const [schema, name, ...rest] = table.split('.');
  if (schema === undefined || name === undefined || rest.length > 0) {
    throw new Fault(
      'index/table-without-schema',
      `Table "${table}" of an index`,
      'its name is not schema.table',
      'Add the schema, as in llama.storage_records.',
    );
  }
  const [row] = await session.rows(
    `SELECT c.oid, c.relkind FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND c.relkind IN ('r', 'p', 'm')`,
    [schema, name],
  );
  if (row === undefined) {
    throw new Fault(
      'index/table-missing',
      `Table ${qualified(schema, name)} of an index`,
      'the table does not exist',
      'Create the table in an earlier migration.',
    );
  }
  return { id: Number(row['oid']), schema, name, partitioned: row['relkind'] === 'p' };
}

/** Attached leaves, sorted by name. @throws Fault if a partition is itself partitioned, or foreign */
export async function leavesOf(session: IndexSession, table: Table): Promise<Relation[]> {
  const rows = await session.rows(
    `SELECT c.oid, n.nspname, c.relname, c.relkind
       FROM pg_catalog.pg_inherits AS i
       JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE i.inhparent = $1 AND NOT i.inhdetachpending
      ORDER BY c.relname`,
    [table.id],
  );
  return rows.map((row) => {
    const leaf = { id: Number(row['oid']), schema: String(row['nspname']), name: String(row['relname']) };
    if (row['relkind'] === 'r') return leaf;
    throw new Fault(
      'index/leaf-not-ordinary',
      `Partition ${qualified(leaf.schema, leaf.name)}`,
      'it is sub-partitioned or foreign, and indexes are built one level deep',
      'Build the index on that partition first, under a different name.',
    );
  });
}

export async function findIndex(
  session: IndexSession,
  schema: string,
  name: string,
): Promise<FoundIndex | undefined> {
  const [row] = await session.rows(
    `SELECT c.oid, i.indrelid, i.indisvalid, i.indisunique, h.inhparent,
            CASE WHEN i.indexrelid IS NOT NULL THEN pg_catalog.pg_get_indexdef(c.oid) END AS definition
       FROM pg_catalog.pg_class AS c
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
       LEFT JOIN pg_catalog.pg_inherits AS h ON h.inhrelid = c.oid
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  if (row === undefined) return undefined;
  const parts = await session.rows(
    `SELECT i.indrelid, c.oid, n.nspname, c.relname, i.indisvalid
       FROM pg_catalog.pg_inherits AS h
       JOIN pg_catalog.pg_index AS i ON i.indexrelid = h.inhrelid
       JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
       JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE h.inhparent = $1`,
    [row['oid']],
  );
  return {
    id: Number(row['oid']),
    schema,
    name,
    valid: row['indisvalid'] === true,
    unique: row['indisunique'] === true,
    definition: typeof row['definition'] === 'string' ? row['definition'] : undefined,
    table: optionalId(row['indrelid']),
    parent: optionalId(row['inhparent']),
    attached: new Map(
      parts.map((part) => [
        Number(part['indrelid']),
        {
          id: Number(part['oid']),
          schema: String(part['nspname']),
          name: String(part['relname']),
          valid: part['indisvalid'] === true,
        },
      ]),
    ),
  };
}

/**
 * Whether an index has the wanted definition. The server normalizes definitions, so the wanted index is built on an empty
 * copy of the table, printed, and rolled back.
 */
export async function matches(
  session: IndexSession,
  found: FoundIndex,
  table: Table,
  wanted: {
    readonly definition: string;
    readonly where?: string;
    readonly using?: string;
    readonly unique?: boolean;
  },
): Promise<boolean> {
  if (found.definition === undefined || found.unique !== (wanted.unique ?? false)) return false;
  const copy = qualified(table.schema, 'index_definition_probe');
  const printed = await session.discarding(async () => {
    await session.rows(`CREATE TABLE ${copy} (LIKE ${qualified(table.schema, table.name)})`);
    const where = wanted.where === undefined ? '' : ` WHERE ${wanted.where}`;
    const using = pg.escapeIdentifier(wanted.using ?? 'btree');
    await session.rows(`CREATE INDEX ON ${copy} USING ${using} ${wanted.definition}${where}`);
    const [row] = await session.rows(
      'SELECT pg_catalog.pg_get_indexdef(indexrelid) AS definition FROM pg_catalog.pg_index WHERE indrelid = $1::pg_catalog.regclass',
      [copy],
    );
    return String(row?.['definition']);
  });
  return afterUsing(printed) === afterUsing(found.definition);
}

function afterUsing(definition: string): string {
  return definition.slice(definition.indexOf(' USING '));
}

function optionalId(value: unknown): number | undefined {
  return value === null || value === undefined ? undefined : Number(value);
}
