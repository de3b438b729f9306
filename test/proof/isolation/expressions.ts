/** Typed values and conditions, most of which are valid; some raise errors about the rows that they evaluate. */
import type { Random } from '../random.ts';
import type { Callable, Column, Names } from './names.ts';
import type { Tenants } from './tenants.ts';

/** Columns in scope, each with the alias of its relation. */
export interface Scope {
  readonly columns: readonly (Column & { readonly of: string })[];
  /** Aliases of whole rows. */
  readonly rows: readonly string[];
}

export const nothing: Scope = { columns: [], rows: [] };

/** Types of conditions; other types come in through casts and functions. */
export const types = [
  'character varying',
  'text',
  'uuid',
  'integer',
  'numeric',
  'boolean',
  'timestamp with time zone',
  'jsonb',
  'inet',
  'text[]',
] as const;
export type Type = (typeof types)[number];

const comparisons = [
  '=',
  '=',
  '=',
  '<>',
  '<',
  '>',
  '<=',
  '>=',
  'IS DISTINCT FROM',
  'IS NOT DISTINCT FROM',
] as const;

export class Expressions {
  readonly #functions: ReadonlyMap<string, readonly Callable[]>;
  /** Functions that belong neither to the server nor to an extension. They are rare and therefore chosen more often. */
  readonly #tests: readonly Callable[];

  constructor(
    readonly random: Random,
    readonly tenants: Tenants,
    readonly names: Names,
  ) {
    const usable = names.functions.filter(
      ({ kind, returnsSet, repeatable, executable, argumentTypes, name }) =>
        kind === 'f' &&
        !returnsSet &&
        repeatable &&
        executable &&
        argumentTypes.length > 0 &&
        argumentTypes.length < 4 &&
        argumentTypes.every((type) => (types as readonly string[]).includes(type)) &&
        !/^(pg_catalog\.(has_|pg_|obj_|col_|shobj|current|session|inet_|version|row_security|to_reg|txid|timestamptz?_|overlaps|to_ascii))/.test(
          name,
        ),
    );
    this.#tests = usable.filter(
      ({ name, returns }) => returns === 'boolean' && !/^(pg_catalog|extensions)\./.test(name),
    );
    this.#functions = new Map(types.map((type) => [type, usable.filter(({ returns }) => returns === type)]));
  }

  /** A constant. Of the other tenant it contains only what an application could know: its name and some keys. */
  literal(type: string): string {
    const { random, tenants } = this;
    switch (type) {
      case 'text':
      case 'character varying':
        return random.pick([
          ...["''", "'x'", "'own-1'", "'own'", "'%'", "'('", "'42'", "'{}'", "'2026-01-01'", 'NULL'],
          quote(tenants.mine.id),
          quote(tenants.theirs.id),
        ]);
      case 'uuid':
        return `'${this.key().id}'::uuid`;
      case 'timestamp with time zone':
        return random.chance(0.7)
          ? `'${this.key().timestamp}'::timestamptz`
          : random.pick([
              "'infinity'::timestamptz",
              "'2020-02-30'::timestamptz",
              "'2026-11-01'::timestamptz",
              'now()',
            ]);
      case 'integer':
        return random.pick(['0', '1', '-1', '2', '7', '42', '2147483647']);
      case 'numeric':
        return random.pick(['0', '0.5', '0.75', '7.5', '1', '-1', "'NaN'::numeric", '1e10']);
      case 'boolean':
        return random.pick(['true', 'false', 'NULL::boolean']);
      case 'jsonb':
        return random.pick([
          "'{}'::jsonb",
          `'{"n": 42}'::jsonb`,
          `'{"value": "own-1"}'::jsonb`,
          "'[]'::jsonb",
        ]);
      case 'inet':
        return random.pick(["'192.0.2.7'::inet", "'0.0.0.0/0'::inet", "'::1'::inet"]);
      case 'text[]':
        return random.pick(["'{}'::text[]", "ARRAY['own-white', 'a']"]);
      default:
        return `NULL::${type}`;
    }
  }

  /** A key, half of the time the other tenant's. */
  key(): { readonly id: string; readonly timestamp: string } {
    const { random, tenants } = this;
    return random.pick(random.chance(0.5) ? tenants.mine.keys : tenants.theirs.keys);
  }

  tenant(): string {
    const { random, tenants } = this;
    return quote(
      random.weighted([
        [6, tenants.mine.id],
        [3, tenants.theirs.id],
        [1, 'tenant-nobody'],
      ]),
    );
  }

  value(type: Type, scope: Scope, depth = 2): string {
    const { random } = this;
    const fitting = scope.columns.filter(
      (column) => column.type === type || (type === 'text' && column.type === 'character varying'),
    );
    if (fitting.length > 0 && (depth === 0 || random.chance(0.6))) return reference(random.pick(fitting));
    if (depth === 0 || scope.columns.length === 0) return this.literal(type);
    const below = (of: Type) => this.value(of, scope, depth - 1);
    return random.weighted<() => string>([
      [2, () => this.literal(type)],
      [2, () => `CASE WHEN ${this.condition(scope, depth - 1)} THEN ${below(type)} ELSE ${below(type)} END`],
      [1, () => `coalesce(${below(type)}, ${below(type)})`],
      [1, () => `nullif(${below(type)}, ${below(type)})`],
      [/^(text|char)/.test(type) ? 2 : 0.3, () => `(${below(random.pick(types))})::text::${type}`],
      [3, () => this.#call(type, scope, depth)],
      [3, () => this.#special(type, scope, depth)],
    ])();
  }

  condition(scope: Scope, depth = 2): string {
    const { random } = this;
    const type = random.pick(types);
    const value = (of: Type = type) => this.value(of, scope, Math.max(0, depth - 1));
    const simple = () => `${value()} ${random.pick(comparisons)} ${value()}`;
    if (depth === 0) return simple();
    const below = () => this.condition(scope, depth - 1);
    return random.weighted<() => string>([
      [6, simple],
      [2, () => this.#aimed(scope)],
      [2, () => `(${below()} ${random.pick(['AND', 'OR'])} ${below()})`],
      [1, () => `NOT (${below()})`],
      [1, () => `${value()} IS ${random.pick(['', 'NOT '])}NULL`],
      [1, () => `${value()} IN (${value()}, ${value()})`],
      [1, () => (type === 'text[]' ? simple() : `${value()} = ANY (ARRAY[${value()}, ${value()}])`)],
      [1, () => `${value()} BETWEEN ${value()} AND ${value()}`],
      [
        2,
        () =>
          `${value('text')} ${random.pick(['LIKE', 'NOT LIKE', 'ILIKE', '~', '~*', 'SIMILAR TO'])} ${value('text')}`,
      ],
      [1, () => `${value('jsonb')} ${random.pick(['@>', '<@'])} ${value('jsonb')}`],
      [1, () => `${value('jsonb')} ? ${value('text')}`],
      [1, () => `${value('text[]')} ${random.pick(['@>', '&&', '<@'])} ${value('text[]')}`],
      [1, () => `${value('inet')} ${random.pick(['<<', '>>=', '&&'])} ${value('inet')}`],
      [3, () => this.trap(scope)],
      [4, () => (this.#tests.length > 0 ? this.#invoke(random.pick(this.#tests), scope, depth) : simple())],
      [1, () => `EXISTS (SELECT FROM ${random.pick(readable)} AS e WHERE ${this.#correlated(scope)})`],
      [
        1,
        () =>
          `(SELECT count(*) FROM ${random.pick(readable)} AS e WHERE ${this.#correlated(scope)}) > ${random.below(3)}`,
      ],
    ])();
  }

  /** An expression that raises an error when it is evaluated for a row that meets its condition. */
  trap(scope: Scope): string {
    const { random } = this;
    const aimed = this.#aimed(scope);
    const text = this.value('text', scope, 0);
    return random.pick([
      `1 / (CASE WHEN ${aimed} THEN 0 ELSE 1 END) = 1`,
      `(CASE WHEN ${aimed} THEN ${text} ELSE '1' END)::integer > 0`,
      `(CASE WHEN ${aimed} THEN 'no uuid ' || ${text} END)::uuid IS NULL`,
      `(${text})::integer > 0`,
      `(${text})::jsonb IS NOT NULL`,
      `(${text})::timestamptz IS NOT NULL`,
      `(${text})::inet IS NOT NULL`,
      `(${text})::xml IS NOT NULL`,
      `(${text})::regclass IS NOT NULL`,
      `substring(${text} FROM CASE WHEN ${aimed} THEN '(' ELSE 'x' END) IS NULL`,
      `${text} ~ (CASE WHEN ${aimed} THEN '[' ELSE 'x' END)`,
      `convert_from(decode(CASE WHEN ${aimed} THEN ${text} ELSE '00' END, 'hex'), 'UTF8') IS NOT NULL`,
      `ln(CASE WHEN ${aimed} THEN -1 ELSE 1 END) = 0`,
      `jsonb_path_exists(${this.value('jsonb', scope, 0)}, 'strict $.missing ? (@ > 0)')`,
      `(SELECT CASE WHEN ${aimed} THEN 0 ELSE 1 END / (CASE WHEN ${aimed} THEN 0 ELSE 1 END)) = 1`,
      `array_length(array_fill(1, ARRAY[CASE WHEN ${aimed} THEN -1 ELSE 1 END]), 1) = 1`,
      `to_char(1, CASE WHEN ${aimed} THEN repeat('9', 2000) ELSE '9' END) <> ''`,
    ]);
  }

  /** A condition that holds for rows of one tenant. */
  #aimed(scope: Scope): string {
    const tenant = scope.columns.filter(({ name }) => name === 'tenant_id');
    if (tenant.length === 0 || this.random.chance(0.2)) return this.condition(scope, 0);
    const column = reference(this.random.pick(tenant));
    return this.random.pick([
      `${column} = ${quote(this.tenants.theirs.id)}`,
      `${column} <> ${quote(this.tenants.mine.id)}`,
      `${column} = ${quote(this.tenants.mine.id)}`,
      `${column} LIKE '${this.tenants.theirs.id.slice(0, 10)}%'`,
      `length(${column}) > 3 AND ${column} > ${quote(this.tenants.mine.id)}`,
    ]);
  }

  #correlated(scope: Scope): string {
    const outer = scope.columns.filter(({ name }) => name === 'tenant_id');
    if (outer.length === 0) return `e.tenant_id = ${this.tenant()}`;
    return `e.tenant_id ${this.random.pick(['=', '<>'])} ${reference(this.random.pick(outer))}`;
  }

  #call(type: Type, scope: Scope, depth: number): string {
    const candidates = this.#functions.get(type) ?? [];
    if (candidates.length === 0) return this.literal(type);
    return this.#invoke(this.random.pick(candidates), scope, depth);
  }

  #invoke({ name, argumentTypes }: Callable, scope: Scope, depth: number): string {
    return `${name}(${argumentTypes.map((of) => this.value(of as Type, scope, depth - 1)).join(', ')})`;
  }

  #special(type: Type, scope: Scope, depth: number): string {
    const { random } = this;
    const below = (of: Type) => this.value(of, scope, depth - 1);
    const row = scope.rows.length > 0 ? random.pick(scope.rows) : undefined;
    switch (type) {
      case 'text':
      case 'character varying':
        return random.pick([
          ...(row
            ? [
                `${row}::text`,
                `row_to_json(${row})::text`,
                `to_jsonb(${row})::text`,
                `quote_nullable(${row}::text)`,
              ]
            : []),
          `(${below('text')} || ${below('text')})`,
          `md5(${below('text')})`,
          `left(${below('text')}, 5)`,
          `${below('jsonb')} ->> 'value'`,
          `host(${below('inet')})`,
          `array_to_string(${below('text[]')}, ',')`,
          `encode(convert_to(${below('text')}, 'UTF8'), '${random.pick(['hex', 'base64', 'escape'])}')`,
          `current_setting('app.${random.pick(['current_tenant_id', 'current_user_id', 'user_agent', 'is_admin'])}', true)`,
        ]);
      case 'integer':
        return random.pick([
          `length(${below('text')})`,
          `(${below('integer')} ${random.pick(['+', '-', '*', '/', '%'])} ${below('integer')})`,
          `pg_column_size(${below('text')})`,
          `ascii(${below('text')})`,
          `position(${below('text')} IN ${below('text')})`,
        ]);
      case 'numeric':
        return `(${below('numeric')} ${random.pick(['+', '-', '*', '/', '%'])} ${below('numeric')})`;
      case 'jsonb':
        return row && random.chance(0.5)
          ? `to_jsonb(${row})`
          : `(${below('jsonb')} || jsonb_build_object('k', ${below('text')}))`;
      case 'timestamp with time zone':
        return `date_trunc('${random.pick(['hour', 'day', 'month'])}', ${below('timestamp with time zone')})`;
      case 'boolean':
        return `(${this.condition(scope, 0)})`;
      case 'text[]':
        return `ARRAY[${below('text')}, ${below('text')}]`;
      default:
        return this.literal(type);
    }
  }
}

/** Relations through which tenants read. */
export const readable = [
  'llama.storage_records',
  'llama.audit_trail',
  'llama.tenant_configs',
  'llama.model_metrics',
  'llama.detector_executions',
  'llama.tenant_performance',
] as const;

export function reference({ of, name }: Column & { readonly of: string }): string {
  return of === '' ? name : `${of}.${name}`;
}

export function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
