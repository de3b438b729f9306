/** Writing statements: INSERT, UPDATE, DELETE and MERGE on own rows, on the other tenant's rows and on missing rows. */
import { type Expressions, quote, type Scope, type Type, types } from './expressions.ts';
import type { Names, Relation } from './names.ts';
import { type Queries, type Query, scopeOf } from './queries.ts';

const written = [
  'storage_records',
  'model_metrics',
  'detector_executions',
  'tenant_configs',
  'audit_trail',
] as const;

export class Changes {
  readonly #tables: readonly Relation[];
  readonly #leaves: readonly Relation[];

  constructor(
    private readonly expressions: Expressions,
    private readonly queries: Queries,
    names: Names,
  ) {
    this.#tables = written.flatMap((table) =>
      names.relations.filter(({ name }) => name === `llama.${table}`),
    );
    this.#leaves = names.relations.filter(
      ({ schema, kind, name }) =>
        schema === 'llama' && (kind === 'm' || (kind === 'r' && /_y\d{4}m\d\d$/.test(name))),
    );
  }

  insert(): Query {
    const { random } = this.expressions;
    const table = this.#table([5, 3, 3, 1, 1]);
    const values = this.#row(table);
    const columns = [...values.keys()];
    const source = random.weighted<() => string>([
      [8, () => `VALUES (${[...values.values()].join(', ')})`],
      [1, () => `SELECT ${[...values.values()].join(', ')}`],
      [
        1,
        () =>
          `VALUES (${[...values.values()].join(', ')}), (${[...this.#row(table, columns).values()].join(', ')})`,
      ],
    ])();
    const key = table.name.endsWith('tenant_configs') ? '(tenant_id)' : '(tenant_id, id, "timestamp")';
    const conflict = random.weighted<() => string>([
      [6, () => ''],
      [1, () => ' ON CONFLICT DO NOTHING'],
      [1, () => ` ON CONFLICT ${key} DO NOTHING`],
      [1, () => ` ON CONFLICT ${key} DO UPDATE SET ${this.#set(table)}`],
      [
        1,
        () =>
          ` ON CONFLICT ${key} DO UPDATE SET ${this.#set(table)} WHERE ${table.name.replace('llama.', '')}.tenant_id = EXCLUDED.tenant_id`,
      ],
      [1, () => ` ON CONFLICT (id) DO NOTHING`],
    ])();
    const returned = this.#returning();
    return {
      sql: `INSERT INTO ${table.name} (${columns.join(', ')}) ${source}${conflict}${returned}`,
      comparable: returned === '',
    };
  }

  update(): Query {
    const table = this.#table([6, 1, 1, 3, 1]);
    const { random } = this.expressions;
    const scope = scopeOf([table]);
    const other = random.chance(0.2) ? this.queries.sub(1) : undefined;
    const from = other ? ` FROM (${other}) AS o (v)` : '';
    const returned = this.#returning();
    return {
      sql: `UPDATE ${table.name} AS t0 SET ${this.#set(table)}${from} WHERE ${this.#which(scope)}${other ? ' AND o.v IS NOT NULL' : ''}${returned}`,
      comparable: returned === '',
    };
  }

  delete(): Query {
    const table = this.#table([6, 1, 1, 1, 1]);
    const returned = this.#returning();
    return {
      sql: `DELETE FROM ${table.name} AS t0 WHERE ${this.#which(scopeOf([table]))}${returned}`,
      comparable: returned === '',
    };
  }

  merge(): Query {
    const { random } = this.expressions;
    const table = this.#table([6, 1, 1, 2, 1]);
    const values = this.#row(table);
    const columns = [...values.keys()];
    const key = table.name.endsWith('tenant_configs') ? ['tenant_id'] : ['tenant_id', 'id', '"timestamp"'];
    const typeOf = (name: string) => table.columns.find((column) => column.name === name)?.type ?? 'text';
    const source = `(SELECT ${columns.map((column) => `${values.get(column)}::${typeOf(column)} AS ${column}`).join(', ')}) AS s`;
    const on = key
      .filter((column) => values.has(column))
      .map((column) => `t0.${column} = s.${column}`)
      .join(' AND ');
    const matched = random.pick([`UPDATE SET ${this.#set(table)}`, 'DELETE', 'DO NOTHING']);
    const also = random.chance(0.3) ? ` AND ${this.expressions.condition(scopeOf([table]), 1)}` : '';
    return {
      sql: `MERGE INTO ${table.name} AS t0 USING ${source} ON ${on || 'true'} WHEN MATCHED${also} THEN ${matched} WHEN NOT MATCHED THEN INSERT (${columns.join(', ')}) VALUES (${columns.map((column) => `s.${column}`).join(', ')})`,
      comparable: true,
    };
  }

  /** Any relation, including those closed to tenants. */
  #table(weights: readonly [number, number, number, number, number]): Relation {
    const { random } = this.expressions;
    if (random.chance(0.05)) return random.pick(this.#leaves);
    return random.weighted(this.#tables.map((table, nth) => [weights[nth] ?? 1, table] as const));
  }

  #which(scope: Scope): string {
    const { random, tenants } = this.expressions;
    const tenant = random.pick([
      `t0.tenant_id = ${quote(tenants.theirs.id)}`,
      `t0.tenant_id = ${quote(tenants.mine.id)}`,
      `t0.tenant_id <> ${quote(tenants.mine.id)}`,
      'true',
    ]);
    // Not all own rows each time, or soon there would be none left.
    const key = this.expressions.key();
    const some =
      random.chance(0.6) && scope.columns.some(({ name }) => name === 'id') ? ` AND t0.id = '${key.id}'` : '';
    return `${tenant}${some} AND ${this.expressions.condition(scope, 1)}`;
  }

  #returning(): string {
    const { random } = this.expressions;
    return random.chance(0.3)
      ? random.pick([' RETURNING *', ' RETURNING tenant_id', ' RETURNING tableoid::regclass, ctid'])
      : '';
  }

  #set(table: Relation): string {
    const { random } = this.expressions;
    const granted: Record<string, readonly string[]> = {
      'llama.storage_records': [
        'mapped_data',
        'model_version',
        'metadata',
        's3_key',
        'correlation_id',
        'confidence_score',
      ],
      'llama.tenant_configs': ['confidence_threshold', 'detector_whitelist', 'custom_taxonomy_mappings'],
    };
    const open = granted[table.name] ?? table.columns.map(({ name }) => name);
    const name = random.chance(0.85) ? random.pick(open) : random.pick(table.columns).name;
    const type = table.columns.find((column) => column.name === name)?.type ?? 'text';
    if (name === 'tenant_id') return `tenant_id = ${this.expressions.tenant()}`;
    if (name === 'metadata') return `metadata = '{}'`;
    if (name === 'confidence_score') return `confidence_score = ${random.pick(['0.5', '0.1', '7', "'NaN'"])}`;
    const value = isType(type) ? this.expressions.literal(type) : 'DEFAULT';
    return `${name} = ${value}`;
  }

  /** A row that is usually valid. */
  #row(table: Relation, only?: readonly string[]): ReadonlyMap<string, string> {
    const { random } = this.expressions;
    const key = this.expressions.key();
    const fresh = `'${random.hex(8)}-${random.hex(4)}-4${random.hex(3)}-9${random.hex(3)}-${random.hex(12)}'`;
    const fixed: Record<string, string> = {
      tenant_id: this.expressions.tenant(),
      id: random.chance(0.5) ? fresh : `'${key.id}'`,
      '"timestamp"': random.chance(0.9)
        ? `'${key.timestamp}'`
        : random.pick(["'1999-01-01'", "'infinity'", "'2026-11-31'"]),
      metadata: random.pick(["'{}'", "'[]'", `'{"own": 1}'`]),
      confidence_score: random.pick(['0.5', '0.25', '1.5', 'NULL']),
      success: 'true',
      execution_time_ms: random.pick(['1', '7']),
      metric_value: '7.5',
      operation: "'INSERT'",
    };
    const wanted = only ?? [
      'tenant_id',
      ...(table.name.endsWith('tenant_configs') ? [] : ['id', '"timestamp"']),
      ...table.columns.map(({ name }) => name).filter((name) => required.has(name) || random.chance(0.05)),
    ];
    return new Map(
      [...new Set(wanted)]
        .filter((name) => table.columns.some((column) => column.name === name))
        .map((name) => {
          const type = table.columns.find((column) => column.name === name)?.type ?? 'text';
          return [name, fixed[name] ?? this.#plain(type, fresh)];
        }),
    );
  }

  #plain(type: string, fresh: string): string {
    if (type === 'text' || type === 'character varying') return "'own'";
    if (type === 'uuid') return fresh;
    return isType(type) ? this.expressions.literal(type) : 'NULL';
  }
}

const required = new Set([
  ...['source_data_hash', 'mapped_data', 'model_version', 'detector_type', 'metric_type', 'metric_value'],
  ...['execution_time_ms', 'success', 'operation', 'record_key', 'table_name'],
]);

function isType(type: string): type is Type {
  return (types as readonly string[]).includes(type);
}
