/** Tenant tables as the two-tenant probe uses them, derived from the catalogs and the schema manifest. */
import pg from 'pg';
import { month } from '../database/maintain/months.ts';
import { insertOf, sampleRow } from '../database/schema/sample.ts';
import type { CheckInput } from './check.ts';
import { keysTable } from './data-key-tables.ts';
import { expectation } from './drift/manifest.ts';
import { modelOf, nameOf, tenantColumn, tenantRole } from './model.ts';
import type { Column, Relation } from './snapshot/snapshot.ts';

export interface ProbedTable {
  /** `llama.storage_records` */
  readonly name: string;
  /** ` AND "timestamp" >= '…'` for a partitioned table: planted rows are in the current month. Otherwise empty. */
  readonly recent: string;
  /** An assignment that changes no value: `"model_version" = "model_version"`. */
  readonly change: string;
  /**
   * Columns on which the migrations grant the privilege to the role; those in the catalogs for a table that no migration
   * makes, or without a schema manifest.
   */
  granted(role: string, privilege: string): readonly Column[];
  /** Inserts a row as a role that may; undefined if it may not. */
  insert(role: string, tenant: string): string | undefined;
  /**
   * Inserts a row, whether the role may or not.
   *
   * @param into @default - this table
   * @param given values decided by the caller, as SQL literals by column
   */
  anyInsert(role: string, tenant: string, into?: string, given?: Readonly<Record<string, string>>): string;
}

/** Every table of schema llama with a tenant column, without partitions. */
export function probedTables(input: CheckInput): readonly ProbedTable[] {
  const grants = grantsOf(input);
  const tables = modelOf(input.snapshot).tenantTables.map((table) => probedTable(input, table, grants));
  // The values of a registered column name a data key, which must be planted before them.
  return tables.sort((a, b) => Number(b.name === keysTable) - Number(a.name === keysTable));
}

/** Columns that take only encrypted values: llama.guard_sealed_value guards the first one that its trigger names. */
function sealedColumns({ snapshot }: CheckInput, table: Relation): ReadonlySet<string> {
  const model = modelOf(snapshot);
  const guards = model
    .triggersOf(table)
    .filter((trigger) => model.routine(trigger.function)?.name === 'guard_sealed_value');
  return new Set(guards.flatMap(({ columns }) => columns.slice(0, 1)));
}

/** A value in its form, under the tenant's planted key, as an SQL expression. NULL if row-level security hides the key. */
function sealedValue(type: string, tenant: string): string {
  const text = "'gcm1:' || k.key_id::text || ':' || repeat('A', 38)";
  const value =
    type === 'jsonb'
      ? `jsonb_build_object('$enc', ${text})`
      : type === 'bytea'
        ? "decode('01' || replace(k.key_id::text, '-', '') || repeat('00', 28), 'hex')"
        : text;
  return `(SELECT ${value} FROM ${keysTable} AS k
    WHERE k.tenant_id = ${pg.escapeLiteral(tenant)} AND k.purpose = 'encryption' AND k.state = 'active')`;
}

type Granted = (table: Relation, column: Column, role: string, privilege: string) => boolean;

function grantsOf(input: CheckInput): Granted {
  const { snapshot } = input;
  const live: Granted = (table, column, role, privilege) =>
    [
      ...table.grants,
      ...snapshot.columnGrants.filter(
        (grant) => grant.relation === table.oid && grant.column === column.name,
      ),
    ].some((grant) => grant.grantee === role && grant.privilege === privilege);
  const known = expectation(input);
  if ('unknown' in known) return live;
  const { objects, privileges } = known.expected.areas;
  const made = new Set(objects.map(({ object }) => object));
  const says = new Map(privileges.map((one) => [one.object, one.says]));
  return (table, column, role, privilege) => {
    const name = nameOf(table);
    if (!made.has(name)) return live(table, column, role, privilege);
    return [name, `column ${name}.${column.name}`].some(
      (object) => says.get(object)?.[`${privilege} to ${role}`] !== undefined,
    );
  };
}

function probedTable(input: CheckInput, table: Relation, isGranted: Granted): ProbedTable {
  const { snapshot } = input;
  const sealed = sealedColumns(input, table);
  const name = nameOf(table);
  const columns = modelOf(snapshot).columnsOf(table);
  const checks = snapshot.constraints
    .filter(({ relation, type }) => relation === table.oid && type === 'c')
    .map(({ definition }) => definition);
  // A nullable column is left out, unless a check says when it must have a value.
  const isNeeded = ({ name: column, expression, identity, notNull }: Column) =>
    expression === null &&
    !identity &&
    (notNull ||
      column === tenantColumn ||
      checks.some((check) => new RegExp(`\\b${column} IS (NOT )?NULL`).test(check)));
  const granted = (role: string, privilege: string) =>
    columns.filter((column) => isGranted(table, column, role, privilege));
  const anyInsert: ProbedTable['anyInsert'] = (role, tenant, into = name, given = {}) => {
    const may = new Set(granted(role, 'INSERT'));
    const filled = columns.filter(
      (column) => column.name in given || (isNeeded(column) && (may.size === 0 || may.has(column))),
    );
    const encrypted = filled
      .filter(({ name }) => sealed.has(name))
      .map(({ name, type }) => [name, sealedValue(type, tenant)]);
    return insertOf(into, sampleRow(filled, checks, tenant, { ...Object.fromEntries(encrypted), ...given }));
  };
  const changed =
    granted(tenantRole, 'UPDATE')[0] ?? columns.find((column) => column.name !== tenantColumn) ?? columns[0];
  const changedName = pg.escapeIdentifier(changed?.name ?? tenantColumn);
  return {
    name,
    recent: recent(table, snapshot.server.now),
    change: `${changedName} = ${changedName}`,
    granted,
    insert: (role, tenant) => (granted(role, 'INSERT').length > 0 ? anyInsert(role, tenant) : undefined),
    anyInsert,
  };
}

/** A literal, so that the planner drops the other partitions. */
function recent({ partitionKey }: Relation, now: Date): string {
  const [, column] = /^RANGE \(("?\w+"?)\)$/.exec(partitionKey ?? '') ?? [];
  return column === undefined ? '' : ` AND ${column} >= '${month(now).toISOString()}'`;
}
