/** A table, view or materialized view as the lint knows it after the statements up to a point. */
import type { ColumnDef, Constraint, CreatePolicyStmt, CreateTrigStmt, Node } from 'libpg-query';
import { all, dotted, is, nameOf, textOf, typeOf } from './tree.ts';

export interface KnownPolicy {
  readonly restrictive: boolean;
  readonly roles: readonly string[];
  /** `all`, `select`, `insert`, `update` or `delete`. */
  readonly command: string;
  readonly using: Node | undefined;
  readonly check: Node | undefined;
}

export interface KnownTrigger {
  readonly function: string;
  readonly statement: CreateTrigStmt;
  readonly enabled: boolean;
  /** Whether it fires under session_replication_role = replica. */
  readonly replica: boolean;
}

export interface KnownConstraint {
  readonly type: Constraint['contype'];
  readonly columns: readonly string[];
  /** Table and columns of a foreign key. */
  readonly referenced: string;
  readonly referencedColumns: readonly string[];
  readonly expression: Node | undefined;
  valid: boolean;
}

export interface KnownTable {
  readonly kind: 'table' | 'view' | 'materialized view';
  partitioned: boolean;
  /** The expression of PARTITION BY: `RANGE (timestamp)`. @default - the table is not known to be partitioned */
  readonly partitionKey: string | undefined;
  partition: boolean;
  /** Types by column, with their modifiers: `varchar(100)`. */
  readonly columns: Map<string, string>;
  /** Columns that ALTER TABLE added. */
  readonly added: Set<string>;
  readonly required: Set<string>;
  readonly generated: Set<string>;
  /** Sequences that fill columns, which the inserting role must be granted. */
  readonly sequences: Set<string>;
  rowSecurity: boolean;
  forced: boolean;
  readonly policies: Map<string, KnownPolicy>;
  readonly triggers: Map<string, KnownTrigger>;
  readonly constraints: Map<string, KnownConstraint>;
  /** CHECK (column IS NOT NULL) constraints by name. */
  readonly notNull: Map<string, { readonly column: string; valid: boolean }>;
  /** Unique indexes without a condition or expression. */
  readonly uniqueIndexes: Set<string>;
  /** Conditions and expressions of indexes, and the query of a view: PostgreSQL refuses or rebuilds with their columns. */
  readonly expressions: Node[];
  /** Privileges by role and name (`application_role select`): of the whole table, or of these columns. */
  readonly grants: Map<string, 'table' | Set<string>>;
}

export function emptyTable(kind: KnownTable['kind'] = 'table', partitionKey?: string): KnownTable {
  return {
    kind,
    partitioned: partitionKey !== undefined,
    partitionKey,
    partition: false,
    columns: new Map(),
    added: new Set(),
    required: new Set(),
    generated: new Set(),
    sequences: new Set(),
    rowSecurity: false,
    forced: false,
    policies: new Map(),
    triggers: new Map(),
    constraints: new Map(),
    notNull: new Map(),
    uniqueIndexes: new Set(),
    expressions: [],
    grants: new Map(),
  };
}

/** Adds a column with its own constraints. @param name of the table, for its sequences */
export function addColumn(table: KnownTable, name: string, column: ColumnDef): void {
  const { colname } = column;
  if (colname === undefined) return;
  const type = typeWithModifiers(column);
  table.columns.set(colname, type);
  if (/serial/.test(type)) table.sequences.add(`${name}_${colname}_seq`);
  for (const constraint of all(column.constraints, 'Constraint')) {
    if (constraint.contype === 'CONSTR_IDENTITY') table.required.add(colname);
    if (constraint.contype === 'CONSTR_GENERATED') table.generated.add(colname);
    if (constraint.contype === 'CONSTR_DEFAULT') addDefault(table, constraint.raw_expr);
    addConstraint(table, constraint, colname);
  }
}

/** Follows nextval('sequence') in a default. */
export function addDefault(table: KnownTable, expression: Node | undefined): void {
  const call = is(expression, 'FuncCall');
  if (!/^(pg_catalog\.)?nextval$/.test(dotted(call?.funcname))) return;
  const sequence = textOf(call?.args?.[0]);
  if (sequence !== undefined) table.sequences.add(sequence);
}

/** @param column of a constraint that belongs to a column */
export function addConstraint(table: KnownTable, constraint: Constraint, column?: string): void {
  const { contype, conname, initially_valid, skip_validation, raw_expr } = constraint;
  const names = (nodes: Constraint['keys']) => all(nodes, 'String').map(({ sval = '' }) => sval);
  const keys = contype === 'CONSTR_FOREIGN' ? names(constraint.fk_attrs) : names(constraint.keys);
  const columns = keys.length === 0 && column !== undefined ? [column] : keys;
  if (contype === 'CONSTR_NOTNULL' || contype === 'CONSTR_PRIMARY') {
    for (const one of columns) table.required.add(one);
  }
  const checked = notNullColumn(constraint);
  if (checked !== undefined && conname !== undefined) {
    table.notNull.set(conname, { column: checked, valid: initially_valid === true });
  }
  if (!['CONSTR_CHECK', 'CONSTR_FOREIGN', 'CONSTR_PRIMARY', 'CONSTR_UNIQUE'].includes(contype ?? '')) return;
  table.constraints.set(conname ?? `${contype} ${table.constraints.size}`, {
    type: contype,
    columns,
    referenced: nameOf(constraint.pktable),
    referencedColumns: names(constraint.pk_attrs),
    expression: raw_expr,
    valid: skip_validation !== true,
  });
}

export function policyFrom(policy: CreatePolicyStmt, roles: readonly string[]): KnownPolicy {
  return {
    restrictive: policy.permissive !== true,
    roles,
    command: policy.cmd_name ?? 'all',
    using: policy.qual,
    check: policy.with_check,
  };
}

/** The column of a CHECK (column IS NOT NULL) constraint; undefined for any other constraint. */
export function notNullColumn(constraint: Constraint): string | undefined {
  const test = is(constraint.raw_expr, 'NullTest');
  if (constraint.contype !== 'CONSTR_CHECK' || test?.nulltesttype !== 'IS_NOT_NULL') return undefined;
  return dotted(is(test.arg, 'ColumnRef')?.fields);
}

/** `varchar(100)`, `numeric(5,4)`, `text[]`. */
export function typeWithModifiers({ typeName }: ColumnDef): string {
  const modifiers = (typeName?.typmods ?? []).map((one) => textOf(one) ?? '?');
  const array = typeName?.arrayBounds ? '[]' : '';
  return `${typeOf(typeName)}${modifiers.length > 0 ? `(${modifiers.join(',')})` : ''}${array}`;
}
