/** The tables of the manifest, for tests that cover every table of tenants. */
import { migrationsDirectory } from '../../database/migrator/files.ts';
import type { Area, Described } from '../../database/schema/describe.ts';
import { expectedOn, type Manifest } from '../../database/schema/manifest.ts';
import { readManifest } from '../../database/schema/manifest-file.ts';
import { schema, tenantColumn } from '../../database/schema/roles.ts';
import { insertOf, sampleRow } from '../../database/schema/sample.ts';

export const manifest: Manifest = required(readManifest(migrationsDirectory), 'migrations/schema.json');
/** The schema that the migrations create on 17; the tables are the same on all major versions. */
export const made = required(expectedOn(manifest, 17), 'PostgreSQL 17 in migrations/schema.json');

function required<Value>(value: Value | undefined, name: string): Value {
  if (value === undefined) throw new Error(`there is no ${name}`);
  return value;
}

const of = (area: Area, table: string): readonly Described[] =>
  made.areas[area].filter(({ subject }) => subject === `${schema}.${table}`);

/** Tables with a column tenant_id, without schema: `storage_records`. */
export const tenantTables: readonly string[] = made.areas.objects
  .filter(({ says }) => says['kind'] === 'table' || says['kind'] === 'partitioned table')
  .map(({ object }) => object.slice(schema.length + 1))
  .filter((table) => of('columns', table).some(({ object }) => object.endsWith(`.${tenantColumn}`)));

/** Names of the columns on which a role has a privilege; all columns if it has it on the table. */
export function grantedColumns(table: string, privilege: string, role: string): readonly string[] {
  const grants = new Map(of('privileges', table).map(({ object, says }) => [object, says]));
  const has = (object: string) => grants.get(object)?.[`${privilege} to ${role}`] !== undefined;
  const columns = of('columns', table).map(({ object }) => object);
  const granted = has(`${schema}.${table}`) ? columns : columns.filter(has);
  return granted.map((column) => column.split('.').at(-1) ?? column);
}

/** Whether a role has a privilege on the whole table. */
export function isGranted(table: string, privilege: string, role: string): boolean {
  return of('privileges', table).some(
    ({ object, says }) => object === `${schema}.${table}` && says[`${privilege} to ${role}`] !== undefined,
  );
}

/**
 * Inserts a sample row of a tenant with the columns that the role may write, or with all columns if it may write none.
 *
 * @param text prefix of its texts. @default ''
 */
export function sampleInsert(table: string, tenant: string, role: string, text = ''): string {
  const may = grantedColumns(table, 'INSERT', role);
  const columns = of('columns', table)
    .filter(({ says }) => says['default'] === undefined && says['identity'] === undefined)
    .map(({ object, says }) => ({
      name: object.split('.').at(-1) ?? object,
      type: says['type'] ?? '',
      notNull: says['NOT NULL'] === 'true',
    }))
    .filter(({ name }) => may.length === 0 || may.includes(name));
  const checks = of('constraints', table).map(({ says }) => says['definition'] ?? '');
  return insertOf(`${schema}.${table}`, sampleRow(columns, checks, tenant, {}, text));
}

/** Tables that tests write with values of their own; triggers fill the audit trail. */
const planted = ['storage_records', 'audit_trail', 'tenant_configs', 'model_metrics', 'detector_executions'];

/** Every other table of tenants that an administrator may write. */
export const otherTables = tenantTables.filter(
  (table) => !planted.includes(table) && grantedColumns(table, 'INSERT', 'admin_role').length > 0,
);
