/**
 * The schema after the statements up to a point, as far as rules need it. It follows statements of the files, not those
 * inside functions.
 */
import type { CreateFunctionStmt, CreateStmt, GrantStmt, Node } from 'libpg-query';
import {
  addColumn,
  addConstraint,
  addDefault,
  emptyTable,
  type KnownTable,
  policyFrom,
  typeWithModifiers,
} from './known-table.ts';
import {
  all,
  dotted,
  every,
  is,
  nameOf,
  objectNames,
  option,
  relationsIn,
  roleName,
  textOf,
} from './tree.ts';

/** The registry of tables that are partitioned by month (migration 0005). */
const registry = 'llama.partitioned_tables';

/** Privileges that ALL stands for. */
const everyPrivilege = ['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'];

/**
 * Place of a statement: `migration` runs as it is; `block` runs inside a DO block of the migration; `function` runs later,
 * when the function is called.
 */
export type Place = 'migration' | 'block' | 'function';

export interface KnownFunction {
  readonly source: string;
  readonly definer: boolean;
  readonly trigger: boolean;
  /** Roles with EXECUTE by a GRANT. */
  readonly callers: Set<string>;
}

export class KnownSchema {
  readonly tables = new Map<string, KnownTable>();
  /** Table of each index. */
  readonly indexes = new Map<string, string>();
  readonly functions = new Map<string, KnownFunction>();
  /** Roles with USAGE, by the sequence. */
  readonly sequenceUsers = new Map<string, Set<string>>();
  /** Tables in the registry, with the months that the files create for them. */
  readonly registered = new Map<string, 'none' | 'one' | 'all'>();

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
  apply(node: Node, place: Place = 'migration'): void {
    this.#create(node);
    this.#alter(node);
    this.#rename(node);
    this.#drop(node);
    this.#grant(node);
    this.#register(node);
    this.#makeMonths(node, place);
  }

  #register(node: Node): void {
    const insert = is(node, 'InsertStmt');
    if (insert && nameOf(insert.relation) === registry) {
      for (const list of every(insert.selectStmt, 'List')) {
        const name = textOf(list.items?.[0]);
        if (name === undefined) continue;
        this.registered.set(`llama.${name}`, 'none');
        const table = this.tables.get(`llama.${name}`);
        if (table) table.partitioned = true;
      }
    }
    const remove = is(node, 'DeleteStmt');
    if (remove && nameOf(remove.relation) === registry) {
      for (const { sval } of every(remove.whereClause, 'A_Const'))
        this.registered.delete(`llama.${sval?.sval ?? ''}`);
    }
  }

  /** Follows the calls that create partitions. */
  #makeMonths(node: Node, place: Place): void {
    const select = is(node, 'SelectStmt');
    if (!select) return;
    // A loop of a block can call the function for any number of months.
    const many = place === 'block' || every(select.fromClause, 'RangeFunction').length > 0;
    for (const { funcname, args } of every(select, 'FuncCall')) {
      const name = dotted(funcname);
      const table = textOf(args?.[0]);
      const ahead = name === 'llama.create_partitions_ahead';
      if (!ahead && name !== 'llama.create_monthly_partition') continue;
      for (const one of ahead || table === undefined ? this.registered.keys() : [`llama.${table}`]) {
        if (!this.registered.has(one)) continue;
        this.registered.set(one, ahead || many || this.registered.get(one) === 'all' ? 'all' : 'one');
      }
    }
  }

  #grant(node: Node): void {
    const grant = is(node, 'GrantStmt');
    if (grant?.targtype !== 'ACL_TARGET_OBJECT') return;
    const roles = all(grant.grantees, 'RoleSpec').map(roleName);
    if (grant.objtype === 'OBJECT_FUNCTION' || grant.objtype === 'OBJECT_ROUTINE') {
      for (const name of objectNames(grant.objects)) {
        const callers = this.functions.get(name)?.callers;
        for (const role of roles) grant.is_grant === true ? callers?.add(role) : callers?.delete(role);
      }
    }
    for (const relation of all(grant.objects, 'RangeVar').map(nameOf)) {
      if (grant.objtype === 'OBJECT_SEQUENCE') {
        const users = this.sequenceUsers.get(relation) ?? new Set();
        this.sequenceUsers.set(relation, users);
        for (const role of roles) grant.is_grant === true ? users.add(role) : users.delete(role);
      }
      const table = grant.objtype === 'OBJECT_TABLE' ? this.tables.get(relation) : undefined;
      if (table) changeGrants(table, grant, roles);
    }
  }

  #create(node: Node): void {
    const create = is(node, 'CreateStmt');
    if (create) this.#createTable(create);
    const as = is(node, 'CreateTableAsStmt');
    if (as) {
      const kind = as.objtype === 'OBJECT_MATVIEW' ? 'materialized view' : 'table';
      this.tables.set(nameOf(as.into?.rel), {
        ...emptyTable(kind),
        columns: this.#columnsOf(as.query),
        expressions: as.query ? [as.query] : [],
      });
    }
    const view = is(node, 'ViewStmt');
    if (view) {
      this.tables.set(nameOf(view.view), {
        ...emptyTable('view'),
        expressions: view.query ? [view.query] : [],
      });
    }
    const index = is(node, 'IndexStmt');
    if (index?.idxname !== undefined) {
      const schema = index.relation?.schemaname;
      const name = schema === undefined ? index.idxname : `${schema}.${index.idxname}`;
      this.indexes.set(name, nameOf(index.relation));
      const table = this.tables.get(nameOf(index.relation));
      const parts = all(index.indexParams, 'IndexElem');
      const expressions = [index.whereClause, ...parts.map(({ expr }) => expr)].flatMap((one) => one ?? []);
      table?.expressions.push(...expressions);
      if (index.unique === true && expressions.length === 0) table?.uniqueIndexes.add(name);
    }
    const fn = is(node, 'CreateFunctionStmt');
    if (fn) this.#createFunction(fn);
    const trigger = is(node, 'CreateTrigStmt');
    if (trigger) {
      const on = this.tables.get(nameOf(trigger.relation));
      const statement = trigger;
      on?.triggers.set(trigger.trigname ?? '', {
        function: dotted(trigger.funcname),
        statement,
        enabled: true,
        replica: false,
      });
    }
    const changed = is(node, 'AlterPolicyStmt');
    const policies = this.tables.get(nameOf(changed?.table))?.policies;
    const known = policies?.get(changed?.policy_name ?? '');
    if (known && changed) {
      const roles = all(changed.roles, 'RoleSpec').map(roleName);
      policies?.set(changed.policy_name ?? '', {
        ...known,
        roles: roles.length > 0 ? roles : known.roles,
        using: changed.qual ?? known.using,
        check: changed.with_check ?? known.check,
      });
    }
    const policy = is(node, 'CreatePolicyStmt');
    if (policy) {
      const roles = all(policy.roles, 'RoleSpec').map(roleName);
      this.tables
        .get(nameOf(policy.table))
        ?.policies.set(policy.policy_name ?? '', policyFrom(policy, roles));
    }
  }

  #createFunction(fn: CreateFunctionStmt): void {
    const name = dotted(fn.funcname);
    const as = option(fn.options, 'as')?.arg;
    this.functions.set(name, {
      source: textOf(is(as, 'List')?.items?.[0] ?? as) ?? '',
      definer: textOf(option(fn.options, 'security')?.arg) === 'true',
      trigger: dotted(fn.returnType?.names) === 'trigger',
      callers: (fn.replace === true ? this.functions.get(name)?.callers : undefined) ?? new Set(),
    });
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
    const name = nameOf(create.relation);
    const key = all(create.partspec?.partParams, 'PartitionElem').map(({ name: column = '' }) => column);
    const strategy = (create.partspec?.strategy ?? '').replace('PARTITION_STRATEGY_', '');
    const table = emptyTable('table', create.partspec && `${strategy} (${key.join(', ')})`);
    table.partition = create.partbound !== undefined;
    for (const column of all(create.tableElts, 'ColumnDef')) addColumn(table, name, column);
    const like = all(create.tableElts, 'TableLikeClause').map(({ relation }) => relation);
    for (const relation of [...like, ...all(create.inhRelations, 'RangeVar')]) {
      const other = this.tables.get(nameOf(relation));
      for (const [column, type] of other?.columns ?? []) table.columns.set(column, type);
      for (const column of other?.required ?? []) table.required.add(column);
    }
    for (const constraint of all(create.tableElts, 'Constraint')) addConstraint(table, constraint);
    this.tables.set(name, table);
    if (table.partition) this.#addMonth(all(create.inhRelations, 'RangeVar').map(nameOf)[0]);
  }

  #addMonth(parent = ''): void {
    if (this.registered.get(parent) === 'none') this.registered.set(parent, 'one');
  }

  #alter(node: Node): void {
    const alter = is(node, 'AlterTableStmt');
    const of = nameOf(alter?.relation);
    const table = alter && this.tables.get(of);
    for (const { subtype, name = '', def } of table ? all(alter?.cmds, 'AlterTableCmd') : []) {
      if (!table) break;
      const column = is(def, 'ColumnDef');
      const constraint = is(def, 'Constraint');
      if (subtype === 'AT_AddColumn' && column) {
        addColumn(table, of, column);
        table.added.add(column.colname ?? '');
      }
      if (subtype === 'AT_DropColumn') table.columns.delete(name);
      if (subtype === 'AT_AlterColumnType' && column) table.columns.set(name, typeWithModifiers(column));
      if (subtype === 'AT_SetNotNull') table.required.add(name);
      if (subtype === 'AT_DropNotNull') table.required.delete(name);
      if (subtype === 'AT_ColumnDefault') addDefault(table, def);
      if (subtype === 'AT_AddConstraint' && constraint) addConstraint(table, constraint);
      if (subtype === 'AT_DropConstraint') {
        table.constraints.delete(name);
        table.notNull.delete(name);
      }
      if (subtype === 'AT_EnableRowSecurity') table.rowSecurity = true;
      if (subtype === 'AT_DisableRowSecurity') table.rowSecurity = false;
      if (subtype === 'AT_ForceRowSecurity') table.forced = true;
      if (subtype === 'AT_NoForceRowSecurity') table.forced = false;
      if (subtype === 'AT_ValidateConstraint') {
        for (const found of [table.notNull.get(name), table.constraints.get(name)])
          if (found) found.valid = true;
      }
      if (subtype === 'AT_AttachPartition' || subtype === 'AT_DetachPartition') {
        const leaf = this.tables.get(nameOf(is(def, 'PartitionCmd')?.name));
        if (leaf) leaf.partition = subtype === 'AT_AttachPartition';
        this.#addMonth(of);
      }
      const switched = /^AT_(Enable|Disable)(Always|Replica)?Trig(All|User)?$/.exec(subtype ?? '');
      if (switched) {
        const replica = switched[1] === 'Enable' && switched[2] !== undefined;
        const enabled = switched[1] === 'Enable' && switched[2] !== 'Replica';
        for (const [trigger, known] of table.triggers) {
          if (switched[3] !== undefined || trigger === name)
            table.triggers.set(trigger, { ...known, enabled, replica });
        }
      }
    }
  }

  #rename(node: Node): void {
    const move = is(node, 'AlterObjectSchemaStmt');
    const moved = this.tables.get(nameOf(move?.relation));
    if (move && moved) {
      this.tables.delete(nameOf(move.relation));
      this.tables.set(`${move.newschema}.${move.relation?.relname}`, moved);
    }
    const rename = is(node, 'RenameStmt');
    if (!rename) return;
    const { renameType, newname = '', subname = '' } = rename;
    const of = nameOf(rename.relation);
    const table = this.tables.get(of);
    if (renameType === 'OBJECT_TABLE' && table) {
      const schema = rename.relation?.schemaname;
      this.tables.set(schema ? `${schema}.${newname}` : newname, table);
      this.tables.delete(of);
    }
    const renamed: readonly Map<string, unknown>[] = table
      ? renameType === 'OBJECT_COLUMN'
        ? [table.columns]
        : renameType === 'OBJECT_POLICY'
          ? [table.policies]
          : renameType === 'OBJECT_TRIGGER'
            ? [table.triggers]
            : renameType === 'OBJECT_TABCONSTRAINT'
              ? [table.constraints, table.notNull]
              : []
      : [];
    for (const members of renamed) {
      if (!members.has(subname)) continue;
      members.set(newname, members.get(subname));
      members.delete(subname);
    }
    for (const columns of table && renameType === 'OBJECT_COLUMN'
      ? [table.required, table.generated, table.added, ...table.grants.values()]
      : []) {
      if (columns !== 'table' && columns.delete(subname)) columns.add(newname);
    }
  }

  #drop(node: Node): void {
    const drop = is(node, 'DropStmt');
    for (const name of drop ? objectNames(drop.objects) : []) {
      const parts = name.split('.');
      const of = this.tables.get(parts.slice(0, -1).join('.'));
      const member = parts.at(-1) ?? '';
      if (drop?.removeType === 'OBJECT_INDEX') {
        this.tables.get(this.indexes.get(name) ?? '')?.uniqueIndexes.delete(name);
        this.indexes.delete(name);
      } else if (drop?.removeType === 'OBJECT_FUNCTION') this.functions.delete(name);
      else if (drop?.removeType === 'OBJECT_POLICY') of?.policies.delete(member);
      else if (drop?.removeType === 'OBJECT_TRIGGER') of?.triggers.delete(member);
      else this.tables.delete(name);
    }
  }
}

function changeGrants(table: KnownTable, grant: GrantStmt, roles: readonly string[]): void {
  const given = all(grant.privileges, 'AccessPriv').map(({ priv_name = '', cols }) => ({
    name: priv_name.toLowerCase(),
    columns: all(cols, 'String').map(({ sval = '' }) => sval),
  }));
  const privileges = given.length > 0 ? given : everyPrivilege.map((name) => ({ name, columns: [] }));
  for (const role of roles) {
    for (const { name, columns } of privileges) {
      const key = `${role} ${name}`;
      const before = table.grants.get(key);
      if (grant.is_grant === true) {
        if (columns.length === 0) table.grants.set(key, 'table');
        else if (before !== 'table') table.grants.set(key, new Set([...(before ?? []), ...columns]));
      } else if (columns.length === 0) table.grants.delete(key);
      else if (before !== undefined && before !== 'table') {
        const rest = new Set([...before].filter((column) => !columns.includes(column)));
        if (rest.size > 0) table.grants.set(key, rest);
        else table.grants.delete(key);
      }
    }
  }
}

/** Tables with rows of tenants that a query names. */
export function tenantTablesIn(root: unknown, schema: KnownSchema): string[] {
  return [...new Set(relationsIn(root).map(nameOf))].filter((name) => schema.isTenants(name));
}
