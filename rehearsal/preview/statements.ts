/** Statements of the application and rows for its tables, made up from the catalogs of the base. */
import pg from 'pg';
import { messageOf } from '../../core/text.ts';
import { tenantColumn } from '../../database/schema/roles.ts';
import { insertOf, type SampleColumn, sampleRow } from '../../database/schema/sample.ts';

export interface Statement {
  /** `write llama.storage_records` */
  readonly name: string;
  run(client: pg.Client): Promise<unknown>;
}

interface Column extends SampleColumn {
  readonly hasDefault: boolean;
  readonly mayInsert: boolean;
  readonly maySelect: boolean;
}

export interface Table {
  /** `llama.storage_records` */
  readonly name: string;
  readonly columns: readonly Column[];
  readonly checks: readonly string[];
}

const tenant = 'preview';

/** Tables of tenants with the rights of a login on their columns. */
export async function tablesFor(client: pg.Client, login: string): Promise<readonly Table[]> {
  const { rows } = await client.query<{
    readonly name: string;
    readonly columns: readonly Column[];
    readonly checks: readonly string[] | null;
  }>(
    `SELECT c.oid::pg_catalog.regclass::text AS name,
            pg_catalog.json_agg(pg_catalog.json_build_object(
              'name', a.attname, 'type', pg_catalog.format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
              'hasDefault', a.atthasdef OR a.attidentity <> '' OR a.attgenerated <> '',
              'mayInsert', pg_catalog.has_column_privilege($1, c.oid, a.attnum, 'INSERT'),
              'maySelect', pg_catalog.has_column_privilege($1, c.oid, a.attnum, 'SELECT')) ORDER BY a.attnum) AS columns,
            (SELECT pg_catalog.json_agg(pg_catalog.pg_get_constraintdef(o.oid))
               FROM pg_catalog.pg_constraint AS o WHERE o.conrelid = c.oid AND o.contype = 'c') AS checks
       FROM pg_catalog.pg_class AS c
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE c.relnamespace = pg_catalog.to_regnamespace('llama') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
      GROUP BY c.oid HAVING pg_catalog.bool_or(a.attname = $2)
      ORDER BY 1`,
    [login, tenantColumn],
  );
  return rows.map(({ name, columns, checks }) => ({ name, columns, checks: checks ?? [] }));
}

const fillable = (columns: readonly Column[]) => columns.filter(({ hasDefault }) => !hasDefault);

/** The writes of the application: one row into each table that accepts a made-up one. */
export async function writesOf(client: pg.Client, tables: readonly Table[]): Promise<readonly Statement[]> {
  const found: Statement[] = [];
  for (const table of tables) {
    const columns = fillable(table.columns);
    if (!columns.some(({ mayInsert }) => mayInsert)) continue;
    const insert = () => insertOf(table.name, sampleRow(columns, table.checks, tenant));
    const run = (by: pg.Client) => asTenant(by, insert());
    // Some tables need rows of others, and some accept only one, which no client of a preview can go on writing.
    if (await acceptsTwo(client, insert)) found.push({ name: `write ${table.name}`, run });
  }
  return found;
}

/** The reads of the application: every column that it may read, by name. */
export function readsOf(tables: readonly Table[]): readonly Statement[] {
  return tables.flatMap(({ name, columns }) => {
    const readable = columns.filter(({ maySelect }) => maySelect);
    if (readable.length === 0) return [];
    const list = readable.map((one) => pg.escapeIdentifier(one.name)).join(', ');
    const select = `SELECT ${list} FROM ${name} WHERE tenant_id = ${pg.escapeLiteral(tenant)} LIMIT 1`;
    return [{ name: `read ${name}`, run: (by: pg.Client) => asTenant(by, select) }];
  });
}

async function asTenant(client: pg.Client, statement: string): Promise<void> {
  await client.query('BEGIN');
  await client.query('SELECT llama.set_tenant_context($1)', [tenant]);
  await client.query(statement);
  await client.query('COMMIT');
}

/** Whether a table accepts two made-up rows; they are rolled back. */
async function acceptsTwo(client: pg.Client, insert: () => string): Promise<boolean> {
  try {
    await client.query('BEGIN');
    await client.query('SELECT llama.set_tenant_context($1)', [tenant]);
    for (const statement of [insert(), insert()]) await client.query(statement);
    return true;
  } catch {
    return false;
  } finally {
    await client.query('ROLLBACK');
  }
}

export interface Filled {
  readonly table: string;
  readonly rows: number;
  /** Why it stays empty. */
  readonly why?: string;
}

/**
 * Fills tables. Triggers and foreign keys do not run, as in a restore.
 *
 * @param client a superuser
 */
export async function fill(
  client: pg.Client,
  tables: readonly Table[],
  rows: number,
): Promise<readonly Filled[]> {
  const filled: Filled[] = [];
  await client.query("SET session_replication_role = 'replica'");
  for (const table of tables) {
    try {
      await client.query(`${manyOf(table)} FROM pg_catalog.generate_series(1, $1::bigint) AS made (number)`, [
        rows,
      ]);
      filled.push({ table: table.name, rows });
    } catch (error) {
      filled.push({ table: table.name, rows: 0, why: messageOf(error) });
    }
  }
  await client.query('RESET session_replication_role');
  // The audit trail has grown too.
  await client.query('ANALYZE');
  return filled;
}

/** `INSERT … SELECT` of one row per number. A value that two samples do not share must differ in each row. */
function manyOf({ name, columns, checks }: Table): string {
  // A mark such as encrypted promises something about other columns, also by its default.
  const marks = columns.filter(({ type }) => type === 'boolean');
  const filled = [...fillable(columns).filter((column) => !marks.includes(column)), ...marks];
  const unmarked = Object.fromEntries(marks.map((mark) => [mark.name, 'false']));
  const [one, other] = [1, 2].map(() => sampleRow(filled, checks, tenant, unmarked));
  const values = Object.entries(one ?? {}).map(([column, value]) => {
    const type = columns.find((each) => each.name === column)?.type ?? '';
    return value === other?.[column] ? value : differing(type);
  });
  const names = Object.keys(one ?? {}).map((column) => pg.escapeIdentifier(column));
  return `INSERT INTO ${name} (${names.join(', ')}) SELECT ${values.join(', ')}`;
}

function differing(type: string): string {
  if (type === 'uuid') return 'pg_catalog.gen_random_uuid()';
  if (type.endsWith('[]')) return 'ARRAY[made.number::text]';
  const length = /\((\d+)\)/.exec(type)?.[1];
  const text = 'pg_catalog.md5(made.number::text)';
  return length === undefined ? text : `pg_catalog.left(${text}, ${length})`;
}
