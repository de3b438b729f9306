/** Statements for any tenant table, made from its columns in the catalog. */
import pg from 'pg';
import { modelOf, nameOf, tenantColumn } from '../model.ts';
import type { Column, Relation, Snapshot } from '../snapshot/snapshot.ts';

/** Literals, because a statement and its savepoint travel in one message, which takes no parameters. */
export const quote = pg.escapeLiteral;

/** A value that each type accepts. */
function valueFor({ type }: Column): string {
  const length = /^character varying\((\d+)\)$/.exec(type)?.[1];
  if (length !== undefined) return quote('verify'.slice(0, Number(length)));
  if (/^(text|character varying)$/.test(type)) return quote('verify');
  if (/^(smallint|integer|bigint|numeric.*|real|double precision)$/.test(type)) return '0';
  if (/^(jsonb?|.*\[\])$/.test(type)) return quote('{}');
  if (/^(timestamp.*|date)$/.test(type)) return 'now()';
  if (type === 'uuid') return 'gen_random_uuid()';
  if (type === 'boolean') return 'true';
  if (type === 'inet') return quote('192.0.2.1');
  return 'NULL';
}

/**
 * A row of one tenant with a value in each column that needs one.
 *
 * @param given values of further columns, as SQL
 * @param into the leaf to write to. @default - the table itself
 */
export function insertRow(
  snapshot: Snapshot,
  table: Relation,
  tenant: string,
  given: Readonly<Record<string, string>> = {},
  into: Relation = table,
): string {
  const values = new Map(
    modelOf(snapshot)
      .columnsOf(table)
      .filter(({ notNull, expression, identity }) => notNull && expression === null && !identity)
      .map((column) => [column.name, valueFor(column)]),
  );
  values.set(tenantColumn, quote(tenant));
  for (const [name, value] of Object.entries(given)) values.set(name, value);
  const columns = [...values.keys()].map(pg.escapeIdentifier).join(', ');
  return `INSERT INTO ${nameOf(into)} (${columns}) VALUES (${[...values.values()].join(', ')})`;
}

/** An UPDATE of one tenant's rows that changes no value, of a column that `role` may update if there is one. */
export function updateRows(snapshot: Snapshot, table: Relation, tenant: string, role: string): string {
  const roles = modelOf(snapshot).rightsOf(role);
  const granted = snapshot.columnGrants.find(
    ({ relation, grantee, privilege }) =>
      relation === table.oid && roles.has(grantee) && privilege === 'UPDATE',
  );
  const column = pg.escapeIdentifier(granted?.column ?? tenantColumn);
  return `UPDATE ${nameOf(table)} SET ${column} = ${column} WHERE ${tenantColumn} = ${quote(tenant)}`;
}

export const countRows = (table: string, condition: string) =>
  `SELECT count(*)::int AS rows FROM ${table} WHERE ${condition}`;
