/** Rows made up from the catalogs: the two-tenant probe and the tests plant one in every table of tenants. */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { tenantColumn } from './roles.ts';

export interface SampleColumn {
  readonly name: string;
  /** As format_type spells it: `character varying(100)`. */
  readonly type: string;
}

/**
 * Values for the columns of one row, as SQL literals by column name.
 *
 * @param columns those to fill: leave out columns with a default
 * @param checks definitions of the table's check constraints: the first value of a list that one allows is taken, and
 * a lower bound
 * @param given values decided by the caller, as SQL literals. Columns that are not among `columns` are left out
 * @throws Error for a type without a sample
 */
export function sampleRow(
  columns: readonly SampleColumn[],
  checks: readonly string[],
  tenant: string,
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    columns.map((column) => {
      const own = column.name === tenantColumn ? pg.escapeLiteral(tenant) : given[column.name];
      return [column.name, own ?? allowedValue(column.name, checks) ?? sampleOf(column)];
    }),
  );
}

/** `INSERT INTO llama.t (a, b) VALUES (1, 2)`. */
export function insertOf(table: string, row: Readonly<Record<string, string>>): string {
  const names = Object.keys(row).map((name) => pg.escapeIdentifier(name));
  return `INSERT INTO ${table} (${names.join(', ')}) VALUES (${Object.values(row).join(', ')})`;
}

/** A value that a check constraint of the form `column = ANY (ARRAY['a', 'b'])` or `column >= 1` names. */
function allowedValue(name: string, checks: readonly string[]): string | undefined {
  const column = `"?${name.replace(/[^a-z0-9_]/gi, '\\$&')}"?\\)?(?:::[a-z ]+)?`;
  const list = new RegExp(`\\b${column} = ANY \\(+ARRAY\\['((?:[^']|'')*)'`);
  const bound = new RegExp(`\\b${column} >= \\(?'?(-?\\d+)`);
  for (const check of checks) {
    const [, first] = list.exec(check) ?? [];
    if (first !== undefined) return `'${first}'`;
    const [, lowest] = bound.exec(check) ?? [];
    if (lowest !== undefined) return lowest;
  }
  return undefined;
}

/** Two rows must not meet in a unique key: texts are random. */
const random = (longest: number) => randomBytes(8).toString('hex').slice(0, longest);

const samples: readonly (readonly [RegExp, (type: RegExpExecArray) => string])[] = [
  [/^(text|character varying.*)\[\]$/, () => `'{${random(8)}}'`],
  [/\[\]$/, () => "'{}'"],
  [/^uuid$/, () => `'${randomUUID()}'`],
  [/^character(?: varying)?\((\d+)\)$/, ([, length]) => `'${random(Number(length))}'`],
  [/^(text|name|character)/, () => `'${random(16)}'`],
  [/^jsonb?$/, () => "'{}'"],
  [/^(smallint|integer|bigint|numeric|real|double precision)/, () => '0'],
  [/^boolean$/, () => 'true'],
  [/^(timestamp|date)/, () => 'pg_catalog.now()'],
  [/^interval$/, () => "'0'"],
  [/^inet$/, () => "'192.0.2.1'"],
  [/^bytea$/, () => "'\\x00'"],
];

function sampleOf({ name, type }: SampleColumn): string {
  for (const [pattern, make] of samples) {
    const match = pattern.exec(type);
    if (match) return make(match);
  }
  throw new Error(`there is no sample of type ${type} for column ${name}`);
}
