/** Rows made up from the catalogs: the two-tenant probe and the tests plant one in every table of tenants. */
import { randomBytes, randomUUID } from 'node:crypto';
import pg from 'pg';
import { tenantColumn } from './roles.ts';

export interface SampleColumn {
  readonly name: string;
  /** As format_type spells it: `character varying(100)`. */
  readonly type: string;
  readonly notNull: boolean;
}

/**
 * Values for the columns of one row, as SQL literals by column name.
 *
 * @param columns those that may be filled: leave out columns with a default. A nullable one is filled only if a check
 * constraint asks whether it is null, or if its value is given
 * @param checks definitions of the table's check constraints: the first value of a list that one allows is taken, and
 * a lower bound
 * @param given values decided by the caller, as SQL literals. Columns that are not among `columns` are left out
 * @param text what texts begin with; they are cut to their column's length. @default ''
 * @throws Error for a type without a sample
 */
export function sampleRow(
  columns: readonly SampleColumn[],
  checks: readonly string[],
  tenant: string,
  given: Readonly<Record<string, string>> = {},
  text = '',
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    columns
      .filter(
        ({ name, notNull }) => notNull || name === tenantColumn || name in given || asksForNull(name, checks),
      )
      .map((column) => {
        const own = column.name === tenantColumn ? pg.escapeLiteral(tenant) : given[column.name];
        return [column.name, own ?? allowedValue(column.name, checks) ?? sampleOf(column, text)];
      }),
  );
}

/** `INSERT INTO llama.t (a, b) VALUES (1, 2)`. */
export function insertOf(table: string, row: Readonly<Record<string, string>>): string {
  const names = Object.keys(row).map((name) => pg.escapeIdentifier(name));
  return `INSERT INTO ${table} (${names.join(', ')}) VALUES (${Object.values(row).join(', ')})`;
}

/** NULL satisfies every check that does not ask for it. */
const asksForNull = (name: string, checks: readonly string[]) =>
  checks.some((check) => new RegExp(`\\b${escaped(name)}"?\\)? IS (NOT )?NULL`).test(check));

const escaped = (name: string) => name.replace(/[^a-z0-9_]/gi, '\\$&');

/** A value that a check constraint of the form `column = ANY (ARRAY['a', 'b'])` or `column >= 1` names. */
function allowedValue(name: string, checks: readonly string[]): string | undefined {
  const column = `"?${escaped(name)}"?\\)?(?:::[a-z ]+)?`;
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
const random = (text: string, longest = 100) =>
  pg.escapeLiteral(`${text}${randomBytes(8).toString('hex')}`.slice(0, longest));

type Sample = (type: RegExpExecArray, text: string) => string;

const samples: readonly (readonly [RegExp, Sample])[] = [
  [/^(text|character varying.*)\[\]$/, (_, text) => `ARRAY[${random(text)}]`],
  [/\[\]$/, () => "'{}'"],
  [/^uuid$/, () => `'${randomUUID()}'`],
  [/^character(?: varying)?\((\d+)\)$/, ([, length], text) => random(text, Number(length))],
  [/^(text|name|character)/, (_, text) => random(text)],
  [/^jsonb?$/, () => "'{}'"],
  [/^(smallint|integer|bigint|numeric|real|double precision)/, () => '0'],
  [/^boolean$/, () => 'true'],
  [/^(timestamp|date)/, () => 'pg_catalog.now()'],
  [/^interval$/, () => "'0'"],
  [/^inet$/, () => "'192.0.2.1'"],
  [/^bytea$/, () => "'\\x00'"],
];

function sampleOf({ name, type }: SampleColumn, text: string): string {
  for (const [pattern, make] of samples) {
    const match = pattern.exec(type);
    if (match) return make(match, text);
  }
  throw new Error(`there is no sample of type ${type} for column ${name}`);
}
