/** Reading statements: SELECT with all its clauses, over tenants' relations and over the server's own. */
import type { Random } from '../random.ts';
import { type Expressions, readable, reference, type Scope, types } from './expressions.ts';
import type { Names, Relation } from './names.ts';

export interface Query {
  readonly sql: string;
  /** False if the same data may give different answers: by physical position, by chance or by time. */
  readonly comparable: boolean;
}

export class Queries {
  readonly #ours: readonly Relation[];
  readonly #closed: readonly Relation[];
  readonly #server: readonly Relation[];
  readonly #random: Random;

  constructor(
    private readonly expressions: Expressions,
    names: Names,
  ) {
    this.#random = expressions.random;
    const own = names.relations.filter(({ schema }) => schema === 'llama');
    this.#ours = own.filter(({ name }) => (readable as readonly string[]).includes(name));
    this.#closed = names.relations.filter(
      ({ name, schema }) =>
        (schema === 'llama' || schema === 'pg_toast') && !(readable as readonly string[]).includes(name),
    );
    this.#server = names.relations.filter(
      ({ schema, kind }) => schema !== 'llama' && schema !== 'pg_toast' && 'rvm'.includes(kind),
    );
  }

  /** Reads relations of tenants, and sometimes closed ones. */
  select(): Query {
    const random = this.#random;
    const relations = Array.from(
      {
        length: random.weighted([
          [6, 1],
          [3, 2],
          [0.4, 3],
        ]),
      },
      () => (random.chance(0.93) ? random.pick(this.#ours) : random.pick(this.#closed)),
    );
    const sample = random.chance(0.03);
    const from = relations.map((relation, nth) => this.#item(relation, nth, sample));
    const scope = scopeOf(relations);
    const joined = from.slice(1).reduce((left, right, nth) => {
      const kind = random.pick(['JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN']);
      const on = `t${nth + 1}.tenant_id = t${nth}.tenant_id AND ${this.expressions.condition(scopeOf(relations.slice(0, nth + 2)), 1)}`;
      return random.chance(0.07) ? `${left} CROSS JOIN ${right}` : `${left} ${kind} ${right} ON ${on}`;
    }, from[0] ?? '');
    const where = random.chance(0.8) ? ` WHERE ${this.expressions.condition(scope)}` : '';
    if (random.chance(0.25))
      return {
        sql: `${this.#aggregate(scope, joined)}${where}${this.#grouping(scope)}`,
        comparable: !sample,
      };
    const { list, comparable } = this.#projection(scope);
    const distinct = random.chance(0.1) ? 'DISTINCT ' : '';
    const ordered =
      distinct === '' && random.chance(0.3)
        ? ` ORDER BY ${this.expressions.value(random.pick(types), scope, 1)}`
        : '';
    const limited = random.chance(0.15) ? ` LIMIT ${random.below(5)} OFFSET ${random.below(3)}` : '';
    const locked =
      distinct === '' && random.chance(0.08)
        ? ` FOR ${random.pick(['UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE'])}${random.pick(['', ' NOWAIT', ' SKIP LOCKED'])}`
        : '';
    return this.#wrapped({
      sql: `SELECT ${distinct}${list} FROM ${joined}${where}${ordered}${limited}${locked}`,
      comparable: comparable && limited === '' && !sample && !/\bnow\(\)/.test(list + where),
    });
  }

  /** Reads catalogs, statistics and information_schema. */
  server(): Query {
    const random = this.#random;
    const { name, columns } = random.pick(this.#server);
    const text = random.chance(0.5) && columns.length > 0 ? random.pick(columns).name : '*';
    const trapped = columns.filter(({ type }) => ['text', 'name', 'character varying'].includes(type));
    const where =
      random.chance(0.4) && trapped.length > 0
        ? ` WHERE ${random.pick([
            `(${random.pick(trapped).name}::text)::integer > 0`,
            `${random.pick(trapped).name}::text LIKE '%a%'`,
            `${random.pick(trapped).name}::text ~ 'storage|tenant'`,
          ])}`
        : '';
    return {
      sql: `SELECT ${text} FROM ${name}${where}${random.chance(0.5) ? ' LIMIT 40' : ''}`,
      comparable: false,
    };
  }

  /** A subquery: one or more columns of one relation. */
  sub(columns: number): string {
    const random = this.#random;
    const relation = random.pick(this.#ours);
    const scope = scopeOf([relation]);
    const list = Array.from({ length: columns }, () => this.expressions.value('text', scope, 1));
    return `SELECT ${list.join(', ')} FROM ${relation.name} AS t0 WHERE ${this.expressions.condition(scope, 1)}`;
  }

  #item({ name, kind }: Relation, nth: number, sample: boolean): string {
    const random = this.#random;
    const only = kind === 'p' && random.chance(0.05) ? 'ONLY ' : '';
    if (sample && 'rpm'.includes(kind))
      return `${only}${name} AS t${nth} TABLESAMPLE ${random.pick(['BERNOULLI', 'SYSTEM'])} (60)`;
    if (random.chance(0.06)) return `(SELECT * FROM ${name} OFFSET 0) AS t${nth}`;
    return `${only}${name} AS t${nth}`;
  }

  #projection(scope: Scope): { readonly list: string; readonly comparable: boolean } {
    const random = this.#random;
    const [row] = scope.rows;
    return random.weighted<() => { readonly list: string; readonly comparable: boolean }>([
      [3, () => ({ list: '*', comparable: true })],
      [
        6,
        () => ({
          list: Array.from({ length: 1 + random.below(3) }, () =>
            this.expressions.value(random.pick(types), scope),
          ).join(', '),
          comparable: true,
        }),
      ],
      [
        0.5,
        () => ({ list: `${row}.ctid, ${row}.xmin, ${row}.tableoid::regclass, ${row}`, comparable: false }),
      ],
      [1, () => ({ list: `${row}, ${this.expressions.trap(scope)}`, comparable: true })],
      [
        1,
        () => ({
          list: `count(*) OVER (PARTITION BY ${this.expressions.value('text', scope, 0)}), ${row}`,
          comparable: true,
        }),
      ],
    ])();
  }

  #aggregate(scope: Scope, from: string): string {
    const random = this.#random;
    const [row] = scope.rows;
    const value = (type: (typeof types)[number]) => this.expressions.value(type, scope, 1);
    const joined = value('text');
    const aggregate = random.pick([
      'count(*)',
      `count(DISTINCT ${value('text')})`,
      `sum(${value('integer')})`,
      `avg(${value('numeric')})`,
      `min(${value('text')})`,
      `max(${value('timestamp with time zone')})`,
      // By its own value too: the order of equals is physical, and no answer.
      `string_agg(${joined}, ',' ORDER BY ${value('text')}, ${joined})`,
      `bool_or(${this.expressions.condition(scope, 1)})`,
      `md5(string_agg(${row}::text, '' ORDER BY ${row}::text))`,
      `count(*) FILTER (WHERE ${this.expressions.condition(scope, 1)})`,
    ]);
    return `SELECT ${aggregate} FROM ${from}`;
  }

  #grouping(scope: Scope): string {
    const random = this.#random;
    if (random.chance(0.6) || scope.columns.length === 0) return '';
    const by = reference(random.pick(scope.columns));
    const grouped = random.pick([by, `ROLLUP (${by})`, `GROUPING SETS ((${by}), ())`]);
    return ` GROUP BY ${grouped}${random.chance(0.2) ? ' HAVING count(*) > 1' : ''}`;
  }

  /** The same query in another form. */
  #wrapped(query: Query): Query {
    const random = this.#random;
    const { sql, comparable } = query;
    const wrap = random.weighted<(text: string) => string>([
      [12, (text) => text],
      [
        1,
        (text) =>
          `WITH q AS ${random.pick(['', 'MATERIALIZED ', 'NOT MATERIALIZED '])}(${text}) SELECT q::text FROM q`,
      ],
      [1, (text) => `SELECT count(*) FROM (${text}) AS q`],
      [1, (text) => `SELECT q::text FROM (${text}) AS q`],
      [1, (text) => `(${text}) UNION ALL (${text})`],
      [1, (text) => `(${text}) EXCEPT (${text})`],
      [1, (text) => `SELECT * FROM (VALUES (1)) AS v CROSS JOIN LATERAL (${text}) AS q`],
    ]);
    return { sql: wrap(sql), comparable };
  }
}

export function scopeOf(relations: readonly Relation[]): Scope {
  return {
    columns: relations.flatMap(({ columns }, nth) => columns.map((column) => ({ ...column, of: `t${nth}` }))),
    rows: relations.map((_, nth) => `t${nth}`),
  };
}
