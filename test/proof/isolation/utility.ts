/** All other statements of a session. */
import { type Expressions, quote, readable } from './expressions.ts';
import type { Names } from './names.ts';
import type { Queries, Query } from './queries.ts';

const planner = [
  ...[
    'enable_seqscan',
    'enable_indexscan',
    'enable_bitmapscan',
    'enable_hashjoin',
    'enable_mergejoin',
    'enable_nestloop',
  ],
  ...[
    'enable_sort',
    'enable_hashagg',
    'enable_material',
    'enable_memoize',
    'enable_partition_pruning',
    'geqo',
    'jit',
  ],
  ...[
    'enable_partitionwise_join',
    'enable_partitionwise_aggregate',
    'enable_incremental_sort',
    'row_security',
  ],
] as const;

export class Utility {
  readonly #targets: readonly string[];

  constructor(
    private readonly expressions: Expressions,
    private readonly queries: Queries,
    private readonly names: Names,
    /** Generates a statement of any kind to explain or prepare. */
    private readonly other: () => Query,
  ) {
    this.#targets = names.relations.filter(({ schema }) => schema === 'llama').map(({ name }) => name);
  }

  /** A statement for the inside of a transaction. */
  statement(): Query {
    const { random } = this.expressions;
    return random.weighted<() => Query>([
      [5, () => this.#setting()],
      [5, () => this.#explained()],
      [4, () => this.#copied()],
      [4, () => this.#prepared()],
      [4, () => this.#cursor()],
      [3, () => this.#block()],
      [3, () => once(this.#definition())],
      [2, () => once(this.#channel())],
      [
        2,
        () =>
          once(
            `LOCK TABLE ${this.#target()} IN ${random.pick(['ACCESS SHARE', 'ROW SHARE', 'ROW EXCLUSIVE', 'SHARE', 'ACCESS EXCLUSIVE'])} MODE NOWAIT`,
          ),
      ],
      [
        1,
        () =>
          once(
            `TRUNCATE ${random.pick(['', 'ONLY '])}${this.#target()}${random.pick(['', ' CASCADE', ' RESTART IDENTITY'])}`,
          ),
      ],
      [
        1,
        () =>
          once(
            `REFRESH MATERIALIZED VIEW ${random.pick(['', 'CONCURRENTLY '])}llama.tenant_performance_summary`,
          ),
      ],
      [1, () => once(`${random.pick(['ANALYZE', 'ANALYZE VERBOSE'])} ${this.#target()}`)],
      [2, () => ({ sql: `TABLE ${random.pick(readable)}`, comparable: true })],
      [
        1,
        () =>
          once(
            `SHOW ${random.pick(['ALL', ...planner, 'app.current_tenant_id', 'data_directory', 'search_path'])}`,
          ),
      ],
      [1, () => once(`SAVEPOINT own; ${this.other().sql}; ROLLBACK TO SAVEPOINT own`)],
    ])();
  }

  /** A statement for the outside of a transaction, inside which it would always be refused. */
  alone(): Query {
    const { random } = this.expressions;
    return once(
      random.pick([
        `VACUUM ${random.pick(['', '(FULL) ', '(ANALYZE, VERBOSE) '])}${this.#target()}`,
        `VACUUM (ANALYZE) ${this.#target()} (tenant_id)`,
        `REINDEX ${random.pick(['TABLE', 'TABLE CONCURRENTLY'])} ${this.#target()}`,
        'REINDEX SYSTEM',
        `CLUSTER ${this.#target()}`,
        'CHECKPOINT',
        `ALTER SYSTEM SET ${random.pick(planner)} = off`,
        'CREATE DATABASE own TEMPLATE template0',
        `ALTER TABLE llama.storage_records DETACH PARTITION ${this.#target()} CONCURRENTLY`,
        `CREATE INDEX CONCURRENTLY ON ${this.#target()} (tenant_id)`,
        `SET app.user_agent = ${this.expressions.literal('text')}`,
        'DISCARD ALL',
        'DISCARD TEMP',
        "CREATE SUBSCRIPTION own CONNECTION 'host=127.0.0.1' PUBLICATION own",
        "CREATE TABLESPACE own LOCATION '/tmp'",
        `LISTEN own`,
        `NOTIFY own, 'own'`,
        this.queries.select().sql,
        this.queries.server().sql,
      ]),
    );
  }

  #setting(): Query {
    const { random, tenants } = this.expressions;
    const scope = random.pick(['SET', 'SET LOCAL']);
    return once(
      random.weighted([
        [5, `${scope} ${random.pick(planner)} = ${random.pick(['on', 'off'])}`],
        [
          2,
          `${scope} app.${random.pick(['current_user_id', 'correlation_id', 'client_address', 'user_agent', 'is_admin'])} = ${this.expressions.literal('text').replace(/^NULL$/, "''")}`,
        ],
        [
          1,
          `SET LOCAL app.current_tenant_id = ${random.pick(["''", quote(tenants.mine.id), quote(tenants.mine.id)])}`,
        ],
        [
          2,
          `${scope} ${random.pick(this.names.parameters)} TO ${random.pick(['DEFAULT', "'on'", "'1'", "'own'"])}`,
        ],
        [
          1,
          `SET LOCAL search_path = ${random.pick(['llama', 'llama, pg_temp', 'pg_temp, llama, pg_catalog', "''"])}`,
        ],
        [2, `SET ${random.pick(['', 'LOCAL '])}ROLE ${random.pick([...this.names.roles, 'NONE'])}`],
        [
          1,
          `SET ${random.pick(['', 'LOCAL '])}SESSION AUTHORIZATION ${random.pick([...this.names.roles, 'DEFAULT'])}`,
        ],
        [1, `RESET ${random.pick(['ALL', 'ROLE', ...planner])}`],
        [1, 'SET CONSTRAINTS ALL IMMEDIATE'],
      ]),
    );
  }

  #explained(): Query {
    const { random } = this.expressions;
    const options = random.pick([
      '',
      '(ANALYZE, TIMING OFF, SUMMARY OFF)',
      '(ANALYZE, VERBOSE, BUFFERS)',
      '(VERBOSE, COSTS OFF)',
      '(GENERIC_PLAN, VERBOSE)',
      '(ANALYZE, WAL, SETTINGS, FORMAT JSON)',
    ]);
    return once(`EXPLAIN ${options} ${this.other().sql}`);
  }

  #copied(): Query {
    const { random } = this.expressions;
    const { sql, comparable } = this.queries.select();
    const format = random.pick([
      '',
      ' WITH (FORMAT csv, HEADER)',
      ' WITH (FORMAT binary)',
      ' WITH (FORMAT csv, FORCE_QUOTE *)',
    ]);
    return random.weighted<() => Query>([
      [
        5,
        () => ({
          sql: `COPY (${sql}) TO STDOUT${format}`,
          comparable: comparable && !format.includes('binary'),
        }),
      ],
      [2, () => once(`COPY ${this.#target()} TO STDOUT${format}`)],
      [2, () => once(`COPY ${this.#target()} FROM STDIN`)],
      [
        1,
        () =>
          once(
            `COPY ${this.#target()} (tenant_id, ${random.pick(['id', 'model_version'])}) FROM STDIN WITH (FORMAT csv)`,
          ),
      ],
      [1, () => once(`COPY (${sql}) TO ${random.pick(["PROGRAM 'cat'", "'/tmp/own'"])}`)],
      [1, () => once(`COPY ${this.#target()} FROM ${random.pick(["PROGRAM 'cat'", "'/etc/passwd'"])}`)],
    ])();
  }

  #prepared(): Query {
    const { random, tenants } = this.expressions;
    const name = `p${random.below(4)}`;
    return random.weighted<() => Query>([
      [3, () => once(`DEALLOCATE ALL; PREPARE ${name} AS ${this.other().sql}`)],
      [
        3,
        () => once(`PREPARE ${name} (text) AS SELECT * FROM ${random.pick(readable)} WHERE tenant_id = $1`),
      ],
      [
        4,
        () =>
          once(
            `EXECUTE ${name}${random.pick(['', `(${quote(tenants.theirs.id)})`, `(${quote(tenants.mine.id)})`])}`,
          ),
      ],
      [
        1,
        () =>
          once(
            `SET LOCAL plan_cache_mode = force_generic_plan; EXECUTE ${name}(${quote(tenants.theirs.id)})`,
          ),
      ],
      [1, () => once(`DEALLOCATE ${random.pick([name, 'ALL'])}`)],
      [1, () => once('SELECT * FROM pg_prepared_statements')],
    ])();
  }

  #cursor(): Query {
    const { random } = this.expressions;
    const name = `c${random.below(3)}`;
    return random.weighted<() => Query>([
      [
        4,
        () =>
          once(
            `DECLARE ${name} ${random.pick(['', 'SCROLL ', 'INSENSITIVE ', 'NO SCROLL '])}CURSOR ${random.pick(['', 'WITH HOLD '])}FOR ${this.queries.select().sql}`,
          ),
      ],
      [
        4,
        () =>
          once(`FETCH ${random.pick(['ALL', 'NEXT', 'LAST', 'ABSOLUTE 2', 'BACKWARD ALL'])} FROM ${name}`),
      ],
      [1, () => once(`MOVE FORWARD 1 IN ${name}`)],
      [
        2,
        () =>
          once(
            `${random.pick(["UPDATE llama.storage_records SET model_version = 'own'", 'DELETE FROM llama.storage_records'])} WHERE CURRENT OF ${name}`,
          ),
      ],
      [1, () => once(`CLOSE ${random.pick([name, 'ALL'])}`)],
      [1, () => once('SELECT * FROM pg_cursors')],
    ])();
  }

  /** A block that catches errors, which could reveal rows. */
  #block(): Query {
    const { sql } = this.queries.select();
    const relation = this.expressions.random.pick(readable);
    return this.expressions.random.weighted<() => Query>([
      [
        3,
        () =>
          once(
            `DO $own$ BEGIN PERFORM * FROM (${sql}) AS q; RAISE NOTICE 'found %', FOUND; EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $own$`,
          ),
      ],
      [
        2,
        () =>
          once(
            `DO $own$ DECLARE r record; BEGIN FOR r IN SELECT * FROM ${relation} LOOP RAISE NOTICE '%', r; END LOOP; END $own$`,
          ),
      ],
      [
        2,
        () =>
          once(
            `DO $own$ BEGIN EXECUTE ${quote(this.other().sql)}; EXCEPTION WHEN OTHERS THEN RAISE NOTICE '% %', SQLSTATE, SQLERRM; END $own$`,
          ),
      ],
      [
        1,
        () =>
          once(
            `DO LANGUAGE plpgsql $own$ BEGIN SET LOCAL ROLE ${this.expressions.random.pick(this.names.roles)}; END $own$`,
          ),
      ],
    ])();
  }

  #definition(): string {
    const { random } = this.expressions;
    const target = this.#target();
    const role = random.pick(this.names.roles);
    return random.pick([
      `CREATE TEMPORARY TABLE own AS SELECT * FROM ${random.pick(readable)}`,
      `CREATE TEMPORARY VIEW own AS SELECT * FROM ${random.pick(readable)}`,
      `CREATE TABLE ${random.pick(['llama', 'public', 'extensions', 'pg_temp'])}.own (n int)`,
      `CREATE VIEW ${random.pick(['llama', 'public'])}.own AS SELECT * FROM ${target}`,
      `CREATE FUNCTION ${random.pick(['llama', 'public', 'pg_temp'])}.own() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
      `CREATE FUNCTION pg_temp.own(text) RETURNS bool LANGUAGE plpgsql LEAKPROOF COST 0.0001 AS 'BEGIN RAISE NOTICE ''%'', $1; RETURN true; END'`,
      `CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)`,
      `CREATE SCHEMA own`,
      `CREATE TYPE pg_temp.own AS (n int)`,
      `CREATE RULE own AS ON SELECT TO ${target} DO INSTEAD SELECT 1`,
      `CREATE POLICY own ON ${target} USING (true)`,
      `CREATE TRIGGER own BEFORE INSERT ON ${target} FOR EACH ROW EXECUTE FUNCTION llama.write_audit('x', 'id', '')`,
      `CREATE INDEX ON ${target} (tenant_id)`,
      `CREATE STATISTICS own ON tenant_id, id FROM ${target}`,
      `CREATE TABLE pg_temp.own (LIKE ${target}) INHERITS (${target})`,
      `CREATE TEMPORARY TABLE own PARTITION OF ${target} DEFAULT`,
      'CREATE EXTENSION file_fdw',
      'CREATE SERVER own FOREIGN DATA WRAPPER postgres_fdw',
      `CREATE PUBLICATION own FOR TABLE ${target}`,
      'CREATE ROLE own SUPERUSER',
      `ALTER TABLE ${target} ${random.pick(['DISABLE ROW LEVEL SECURITY', 'NO FORCE ROW LEVEL SECURITY', 'DISABLE TRIGGER ALL', 'ADD COLUMN own int', 'OWNER TO CURRENT_USER', 'VALIDATE CONSTRAINT valid_metadata'])}`,
      `ALTER POLICY tenant_floor_storage ON llama.storage_records USING (true)`,
      `ALTER VIEW llama.tenant_performance SET (security_barrier = false)`,
      `ALTER FUNCTION llama.write_audit() SECURITY INVOKER`,
      `ALTER ROLE ${random.pick(['CURRENT_USER', role])} ${random.pick(['BYPASSRLS', 'SUPERUSER', "SET row_security = 'off'", 'CONNECTION LIMIT 5'])}`,
      `ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC`,
      `GRANT ${random.pick(['SELECT', 'ALL', 'TRUNCATE', 'TRIGGER', 'REFERENCES'])} ON ${target} TO ${random.pick([role, 'PUBLIC', 'CURRENT_USER'])}`,
      `GRANT ${role} TO CURRENT_USER`,
      `REVOKE ALL ON ${target} FROM PUBLIC`,
      `REASSIGN OWNED BY ${role} TO CURRENT_USER`,
      `DROP OWNED BY ${random.pick(['CURRENT_USER', role])}`,
      `DROP ${random.pick(['TABLE', 'VIEW', 'MATERIALIZED VIEW'])} ${target}`,
      'DROP POLICY tenant_floor_storage ON llama.storage_records',
      `COMMENT ON TABLE ${target} IS 'own'`,
      `SECURITY LABEL ON TABLE ${target} IS 'own'`,
      "LOAD 'auto_explain'",
      'IMPORT FOREIGN SCHEMA public FROM SERVER own INTO llama',
      `SELECT * INTO TEMPORARY own FROM ${random.pick(readable)}`,
    ]);
  }

  #channel(): string {
    const { random } = this.expressions;
    return random.pick([
      'LISTEN own',
      'LISTEN llama',
      'UNLISTEN *',
      `NOTIFY own, 'own'`,
      `SELECT pg_notify('own', t0::text) FROM ${random.pick(readable)} AS t0 LIMIT 2`,
      'SELECT pg_listening_channels()',
    ]);
  }

  #target(): string {
    const { random } = this.expressions;
    return random.chance(0.5) ? random.pick(readable) : random.pick(this.#targets);
  }
}

function once(sql: string): Query {
  return { sql, comparable: false };
}
