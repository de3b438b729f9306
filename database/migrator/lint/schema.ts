/**
 * The schema after the statements up to a point, as far as rules need it. It follows statements of the files, not those
 * inside functions.
 */
import type { ColumnDef, Constraint, CreateStmt, Node } from 'libpg-query';
import {
  all,
  dotted,
  every,
  is,
  nameOf,
  objectNames,
  relationsIn,
  roleName,
  textOf,
  typeOf,
} from './tree.ts';

/** The registry of tables that are partitioned by month (migration 0005). */
const registry = 'llama.partitioned_tables';

/** TRIGGER_TYPE_TRUNCATE and TRIGGER_TYPE_BEFORE of pg_trigger.h. */
const truncateEvent = 32;
const beforeTiming = 2;

export interface KnownTable {
  readonly kind: 'table' | 'view' | 'materialized view';
  partitioned: boolean;
  readonly partition: boolean;
  readonly columns: Map<string, string>;
  rowSecurity: boolean;
  forced: boolean;
  /** Policies by name. */
  readonly policies: Map<string, { readonly restrictive: boolean; readonly roles: readonly string[] }>;
  /** Names of its BEFORE TRUNCATE triggers. */
  readonly truncateTriggers: Set<string>;
  /** CHECK (column IS NOT NULL) constraints by name. */
  readonly notNull: Map<string, { readonly column: string; valid: boolean }>;
}

export class KnownSchema {
  readonly tables = new Map<string, KnownTable>();
  /** Table of each index. */
  readonly indexes = new Map<string, string>();
  readonly functions = new Set<string>();

  /** Whether its CREATE TABLE or the registry makes it partitioned. */
  isPartitioned(table: string): boolean {
    return this.tables.get(table)?.partitioned === true;
  }

  /** Whether a table is a partition, by its CREATE TABLE or by the name of a monthly partition. */
  isLeaf(table: string): boolean {
    const known = this.tables.get(table);
    if (known) return known.partition;
    const parent = /^(.+)_y\d{4}m\d\d$/.exec(table)?.[1];
    return parent !== undefined && this.isPartitioned(parent);
  }

  /** Whether the table holds rows of tenants: it has a column tenant_id. */
  isTenants(table: string): boolean {
    const known = this.tables.get(table);
    return known?.kind === 'table' && known.columns.has('tenant_id');
  }

  /** Applies one statement. */
  apply(node: Node): void {
    this.#create(node);
    this.#alter(node);
    this.#drop(node);
    const insert = is(node, 'InsertStmt');
    if (insert && nameOf(insert.relation) === registry) {
      for (const list of every(insert.selectStmt, 'List')) {
        const name = textOf(list.items?.[0]);
        const table = name === undefined ? undefined : this.tables.get(`llama.${name}`);
        if (table) table.partitioned = true;
      }
    }
  }

  #create(node: Node): void {
    const create = is(node, 'CreateStmt');
    if (create) this.#createTable(create);
    const as = is(node, 'CreateTableAsStmt');
    if (as) {
      const kind = as.objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table';
      this.tables.set(nameOf(as.into?.rel), { ...empty(), kind, columns: this.#columnsOf(as.query) });
    }
    const view = is(node, 'ViewStmt');
    if (view) this.tables.set(nameOf(view.view), { ...empty(), kind: 'view' });
    const index = is(node, 'IndexStmt');
    if (index?.idxname !== undefined) {
      const schema = index.relation?.schemaname;
      const name = schema === undefined ? index.idxname : `${schema}.${index.idxname}`;
      this.indexes.set(name, nameOf(index.relation));
    }
    const fn = is(node, 'CreateFunctionStmt');
    if (fn) this.functions.add(dotted(fn.funcname));
    const changed = is(node, 'AlterPolicyStmt');
    const policies = this.tables.get(nameOf(changed?.table))?.policies;
    const known = policies?.get(changed?.policy_name ?? '');
    if (known && changed?.roles) {
      const roles = all(changed.roles, 'RoleSpec').map(roleName);
      policies?.set(changed.policy_name ?? '', { ...known, roles });
    }
    const trigger = is(node, 'CreateTrigStmt');
    if (((trigger?.events ?? 0) & truncateEvent) !== 0 && ((trigger?.timing ?? 0) & beforeTiming) !== 0) {
      this.tables.get(nameOf(trigger?.relation))?.truncateTriggers.add(trigger?.trigname ?? '');
    }
    const policy = is(node, 'CreatePolicyStmt');
    if (policy) {
      this.tables.get(nameOf(policy.table))?.policies.set(policy.policy_name ?? '', {
        restrictive: policy.permissive !== true,
        roles: all(policy.roles, 'RoleSpec').map(roleName),
      });
    }
  }

  /** Columns of a query, if it names them or selects all of a table. Types of named columns stay empty: no rule needs them. */
  #columnsOf(query: Node | undefined): Map<string, string> {
    const columns = new Map<string, string>();
    const select = is(query, 'SelectStmt');
    for (const { name, val } of all(select?.targetList, 'ResTarget')) {
      const fields = is(val, 'ColumnRef')?.fields ?? [];
      const last = all(fields.slice(-1), 'String')[0]?.sval;
      if (fields.some((field) => is(field, 'A_Star'))) {
        for (const relation of relationsIn(select?.fromClause)) {
          for (const [own, type] of this.tables.get(nameOf(relation))?.columns ?? []) columns.set(own, type);
        }
      } else if (name !== undefined || last !== undefined) columns.set(name ?? last ?? '', '');
    }
    return columns;
  }

  #createTable(create: CreateStmt): void {
    const table: KnownTable = {
      ...empty(),
      partitioned: create.partspec !== undefined,
      partition: create.partbound !== undefined,
    };
    for (const column of all(create.tableElts, 'ColumnDef')) addColumn(table, column);
    const like = all(create.tableElts, 'TableLikeClause').map(({ relation }) => relation);
    for (const relation of [...like, ...all(create.inhRelations, 'RangeVar')]) {
      for (const [name, type] of this.tables.get(nameOf(relation))?.columns ?? [])
        table.columns.set(name, type);
    }
    for (const constraint of all(create.tableElts, 'Constraint')) addConstraint(table, constraint);
    this.tables.set(nameOf(create.relation), table);
  }

  #alter(node: Node): void {
    const alter = is(node, 'AlterTableStmt');
    const table = alter && this.tables.get(nameOf(alter.relation));
    for (const { subtype, name = '', def } of table ? all(alter?.cmds, 'AlterTableCmd') : []) {
      if (!table) break;
      const column = is(def, 'ColumnDef');
      const constraint = is(def, 'Constraint');
      if (subtype === 'AT_AddColumn' && column) addColumn(table, column);
      if (subtype === 'AT_DropColumn') table.columns.delete(name);
      if (subtype === 'AT_AlterColumnType' && column) table.columns.set(name, typeOf(column.typeName));
      if (subtype === 'AT_AddConstraint' && constraint) addConstraint(table, constraint);
      if (subtype === 'AT_EnableRowSecurity') table.rowSecurity = true;
      if (subtype === 'AT_DisableRowSecurity') table.rowSecurity = false;
      if (subtype === 'AT_ForceRowSecurity') table.forced = true;
      if (subtype === 'AT_NoForceRowSecurity') table.forced = false;
      if (subtype === 'AT_ValidateConstraint') {
        const check = table.notNull.get(name);
        if (check) check.valid = true;
      }
    }
    const rename = is(node, 'RenameStmt');
    if (rename?.renameType === 'OBJECT_TABLE' && rename.newname !== undefined) {
      const before = this.tables.get(nameOf(rename.relation));
      const schema = rename.relation?.schemaname;
      if (before) this.tables.set(schema ? `${schema}.${rename.newname}` : rename.newname, before);
      this.tables.delete(nameOf(rename.relation));
    }
  }

  #drop(node: Node): void {
    const drop = is(node, 'DropStmt');
    for (const name of drop ? objectNames(drop.objects) : []) {
      if (drop?.removeType === 'OBJECT_INDEX') this.indexes.delete(name);
      else if (drop?.removeType === 'OBJECT_FUNCTION') this.functions.delete(name);
      else if (drop?.removeType === 'OBJECT_POLICY') {
        const parts = name.split('.');
        this.tables.get(parts.slice(0, -1).join('.'))?.policies.delete(parts.at(-1) ?? '');
      } else if (drop?.removeType === 'OBJECT_TRIGGER') {
        const parts = name.split('.');
        this.tables.get(parts.slice(0, -1).join('.'))?.truncateTriggers.delete(parts.at(-1) ?? '');
      } else this.tables.delete(name);
    }
  }
}

function empty(): KnownTable {
  return {
    kind: 'table',
    partitioned: false,
    partition: false,
    columns: new Map(),
    rowSecurity: false,
    forced: false,
    policies: new Map(),
    truncateTriggers: new Set(),
    notNull: new Map(),
  };
}

function addColumn(table: KnownTable, column: ColumnDef): void {
  if (column.colname !== undefined) table.columns.set(column.colname, typeOf(column.typeName));
}

function addConstraint(table: KnownTable, constraint: Constraint): void {
  const column = notNullColumn(constraint);
  if (column !== undefined && constraint.conname !== undefined) {
    table.notNull.set(constraint.conname, { column, valid: constraint.initially_valid === true });
  }
}

/** The column of a CHECK (column IS NOT NULL) constraint; undefined for any other constraint. */
export function notNullColumn(constraint: Constraint): string | undefined {
  const test = is(constraint.raw_expr, 'NullTest');
  if (constraint.contype !== 'CONSTR_CHECK' || test?.nulltesttype !== 'IS_NOT_NULL') return undefined;
  return dotted(is(test.arg, 'ColumnRef')?.fields);
}

/** Tables with rows of tenants that a query names. */
export function tenantTablesIn(root: unknown, schema: KnownSchema): string[] {
  return [...new Set(relationsIn(root).map(nameOf))].filter((name) => schema.isTenants(name));
}
