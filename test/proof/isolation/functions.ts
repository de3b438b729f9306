/** Calls of every function and procedure, with arguments of matching types that target interesting values. */
import { type Expressions, quote, readable } from './expressions.ts';
import type { Callable, Names } from './names.ts';
import type { Query } from './queries.ts';

/** Functions that set the tenant of a transaction: they get the first tenant's name, or another setting. */
const setsContext = /^(llama\.set_tenant_context|pg_catalog\.set_config)$/;

/** Functions that end or delay sessions and reveal nothing. */
const pointless = /^pg_catalog\.(pg_sleep|pg_terminate_backend|pg_cancel_backend|pg_advisory)/;

export class Functions {
  readonly #callable: readonly Callable[];
  readonly #ours: readonly Callable[];
  readonly #targets: readonly string[];

  constructor(
    private readonly expressions: Expressions,
    private readonly names: Names,
  ) {
    const called = names.functions.filter(({ name, kind }) => !pointless.test(name) && 'fpwa'.includes(kind));
    const refused = called.filter(({ executable }) => !executable);
    // Functions without EXECUTE are all refused in the same way, so a few of them suffice.
    this.#callable = [...called.filter(({ executable }) => executable), ...refused.slice(0, 60)];
    this.#ours = called.filter(({ name }) => name.startsWith('llama.') || name.startsWith('extensions.'));
    this.#targets = names.relations.filter(({ schema }) => schema === 'llama').map(({ name }) => name);
  }

  call(): Query {
    const { random } = this.expressions;
    const callable = random.pick(random.chance(0.15) && this.#ours.length > 0 ? this.#ours : this.#callable);
    return { sql: this.#sql(callable), comparable: false };
  }

  #sql(callable: Callable): string {
    const { random } = this.expressions;
    const { name, kind } = callable;
    if (setsContext.test(name)) return this.#context(name);
    const of = random.pick(readable);
    const call = `${name}(${callable.argumentTypes.map((type) => this.#argument(type, kind)).join(', ')})`;
    if (kind === 'p') return `CALL ${call}`;
    if (kind === 'a') return `SELECT ${call} FROM ${of} AS t0`;
    if (kind === 'w') return `SELECT ${call} OVER (ORDER BY t0.tenant_id) FROM ${of} AS t0`;
    return random.weighted([
      [4, `SELECT ${call} LIMIT 40`],
      [2, `SELECT * FROM ${call} AS f LIMIT 40`],
      [1, `SELECT ${call} FROM ${of} AS t0 LIMIT 40`],
      [1, `SELECT count(*) FROM ${of} AS t0 WHERE ${call} IS NOT NULL`],
    ]);
  }

  #context(name: string): string {
    const { random, tenants } = this.expressions;
    if (name.endsWith('set_tenant_context')) {
      return `SELECT ${name}(${quote(tenants.mine.id)}, ${random.pick(["'own'", 'NULL'])}, '${random.pick(tenants.mine.keys).id}', '192.0.2.7', 'own')`;
    }
    return `SELECT ${name}(${quote(random.pick(this.names.parameters))}, ${random.pick(["'on'", "'off'", "'1'", "'own'", "'llama_owner'"])}, true)`;
  }

  #argument(type: string, kind: string): string {
    const { random } = this.expressions;
    if (random.chance(0.08))
      return `NULL::${type.startsWith('"') || /^any|record/.test(type) ? 'text' : type}`;
    if (kind === 'a' && random.chance(0.5) && ['text', '"any"', 'anyelement'].includes(type))
      return 't0.tenant_id';
    const target = random.pick(this.#targets);
    switch (type) {
      case 'text':
      case 'character varying':
      case 'cstring':
      case 'name':
        return `${quote(
          random.pick([
            target,
            `SELECT * FROM ${target}`,
            `SELECT to_tsvector(t::text) FROM ${target} AS t`,
            'llama',
            'tenant_id',
            'application_role',
            'SELECT',
            '/etc/passwd',
            'base/1/1259',
            'postgresql.conf',
            'own',
            '',
            '42',
            'UTF8',
            'hex',
          ]),
        )}::${type}`;
      case 'regclass':
      case 'oid':
        return `${quote(target)}::regclass${type === 'oid' ? '::oid' : ''}`;
      case 'regrole':
        return `${quote(random.pick(this.names.roles))}::regrole`;
      case 'regtype':
        return "'text'::regtype";
      case 'integer':
      case 'bigint':
      case 'smallint':
        return `${random.pick(['0', '1', '-1', '2', '3', '7', '64'])}::${type}`;
      case 'numeric':
      case 'real':
      case 'double precision':
        return `${random.pick(['0', '1', '-1', '0.5'])}::${type}`;
      case 'boolean':
        return random.pick(['true', 'false']);
      case 'date':
      case 'timestamp with time zone':
      case 'timestamp without time zone':
        return `'${this.expressions.key().timestamp}'::${type}`;
      case 'interval':
        return "'1 day'::interval";
      case 'uuid':
        return `'${this.expressions.key().id}'::uuid`;
      case 'json':
      case 'jsonb':
        return `'{"own": [1, "x"]}'::${type}`;
      case 'jsonpath':
        return "'$.own'::jsonpath";
      case 'xml':
        return "'<own/>'::xml";
      case 'bytea':
        return `${random.pick(["'own'", "'\\x00ff'"])}::bytea`;
      case 'inet':
      case 'cidr':
        return `'192.0.2.7'::${type}`;
      case 'text[]':
      case 'name[]':
        return `ARRAY['own', 'llama']::${type}`;
      case 'integer[]':
      case 'oid[]':
        return `ARRAY[1, 2]::${type}`;
      case 'refcursor':
        return "'c1'::refcursor";
      case 'tsvector':
      case 'tsquery':
        return `'own'::${type}`;
      case 'anyarray':
      case 'anycompatiblearray':
        return "ARRAY['own']";
      case '"any"':
      case 'anyelement':
      case 'anycompatible':
      case 'anynonarray':
      case 'anycompatiblenonarray':
        return random.pick(["'own'::text", '1', `${quote(target)}::regclass`]);
      case 'record':
        return "ROW(1, 'own')";
      default:
        return `NULL::${/^any/.test(type) ? 'text' : type}`;
    }
  }
}
