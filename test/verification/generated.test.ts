// Duration: 60 s
/**
 * Changes every kind of property of the objects of schema llama by legal DDL, for every object that has it. Drift or another
 * check notices the change, or its kind is listed here with the reason.
 */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { describeSchema } from '../../database/schema/describe.ts';
import { answersWith, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

/** Kinds that verification does not inspect. */
const left: Readonly<Record<string, string>> = {
  'comment on the row type of a table': 'a text that nothing reads',
  'comment on a leaf': 'maintenance writes its intentions there (docs/recovery.md)',
  'comment on an index of a leaf': 'a text that nothing reads',
  'comment on the database': 'a text that nothing reads',
  'grant on the row type of a table, gone': 'it only keeps roles from making columns of that type',
  'position of a sequence': 'writing moves it; AUD-016 and SCM-008 judge the positions that matter',
  'statistics of a table': 'autovacuum writes them; PAR-009 requires that they exist',
};

interface Mutation {
  readonly kind: string;
  readonly sql: string;
}

/** Queries that write one statement per object; `$` in a template is the object. */
const relation = (kinds: string, leaf = false) => `
  SELECT format('llama.%I', c.relname) AS name FROM pg_class c
   WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind IN (${kinds}) AND ${leaf ? '' : 'NOT'} c.relispartition`;

const leafOfThisMonth = `
  SELECT format('llama.%I', c.relname) AS name FROM pg_class c
   WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind = 'r' AND c.relispartition
     AND c.relname LIKE '%' || to_char(now() AT TIME ZONE 'UTC', '"_y"YYYY"m"MM')`;

const column = (kinds: string, condition: string) => `
  SELECT format('llama.%I', c.relname) AS name, quote_ident(a.attname) AS part FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
   WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind IN (${kinds}) AND NOT c.relispartition AND ${condition}`;

const owned = (catalog: string, name: string, of: string, condition = 'true') => `
  SELECT format('llama.%I', c.relname) AS name, quote_ident(o.${name}) AS part
    FROM ${catalog} o JOIN pg_class c ON c.oid = o.${of}
   WHERE c.relnamespace = 'llama'::regnamespace AND NOT c.relispartition AND ${condition}`;

const index = (condition: string) => `
  SELECT format('llama.%I', i.relname) AS name, format('llama.%I', c.relname) AS part
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
   WHERE c.relnamespace = 'llama'::regnamespace AND NOT c.relispartition AND ${condition}`;

const routine = (condition = 'true') => `
  SELECT p.oid::regprocedure::text AS name FROM pg_proc p WHERE p.pronamespace = 'llama'::regnamespace AND ${condition}`;

/** Statements by kind, under the query of their objects: `$1` is the object, `$2` its part. */
const generators: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
  [
    relation("'r', 'p'"),
    {
      'name of a table': 'ALTER TABLE $1 RENAME TO renamed',
      'schema of a table': 'ALTER TABLE $1 SET SCHEMA public',
      'owner of a table': 'ALTER TABLE $1 OWNER TO verify_app',
      'grant on a table': 'GRANT UPDATE ON $1 TO PUBLIC',
      'grant option on a table': 'GRANT SELECT ON $1 TO admin_role WITH GRANT OPTION',
      'comment on a table': "COMMENT ON TABLE $1 IS 'changed'",
      'comment on the row type of a table': "COMMENT ON TYPE $1 IS 'changed'",
      'grant on the row type of a table': 'GRANT USAGE ON TYPE $1 TO application_role',
      'grant on the row type of a table, gone': 'REVOKE USAGE ON TYPE $1 FROM PUBLIC',
      'replica identity of a table': 'ALTER TABLE $1 REPLICA IDENTITY NOTHING',
      'column of a table': 'ALTER TABLE $1 ADD COLUMN added int',
      'check of a table': 'ALTER TABLE $1 ADD CHECK (1 = 1) NOT VALID',
      'trigger of a table': `CREATE TRIGGER added BEFORE INSERT ON $1 FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate()`,
      'rule of a table': 'CREATE RULE added AS ON INSERT TO $1 DO INSTEAD NOTHING',
      'policy of a table': 'CREATE POLICY added ON $1 USING (true)',
      'triggers of a table, off': 'ALTER TABLE $1 DISABLE TRIGGER ALL',
      'publication of a table': 'CREATE PUBLICATION added FOR TABLE $1',
      'statistics of a table': 'ANALYZE $1',
    },
  ],
  [
    relation("'r'"),
    {
      'options of a table': 'ALTER TABLE $1 SET (fillfactor = 50)',
      'persistence of a table': 'ALTER TABLE $1 SET UNLOGGED',
      'parent of a table': 'CREATE TABLE public.parent (); ALTER TABLE $1 INHERIT public.parent',
    },
  ],
  [
    `${relation("'r', 'p'")} AND c.relrowsecurity`,
    {
      'row security of a table, off': 'ALTER TABLE $1 DISABLE ROW LEVEL SECURITY',
      'row security of a table, for its owner': 'ALTER TABLE $1 NO FORCE ROW LEVEL SECURITY',
    },
  ],
  [
    `${relation("'r', 'p'")} AND NOT c.relrowsecurity`,
    { 'row security of a table, on': 'ALTER TABLE $1 ENABLE ROW LEVEL SECURITY' },
  ],
  [
    `${relation("'r'")} AND c.reltoastrelid <> 0`,
    { 'TOAST options of a table': 'ALTER TABLE $1 SET (toast.autovacuum_enabled = false)' },
  ],
  [
    leafOfThisMonth,
    {
      'owner of a leaf': 'ALTER TABLE $1 OWNER TO verify_app',
      'grant on a leaf': 'GRANT SELECT ON $1 TO application_role',
      'row security of a leaf': 'ALTER TABLE $1 DISABLE ROW LEVEL SECURITY',
      'persistence of a leaf': 'ALTER TABLE $1 SET UNLOGGED',
      'options of a leaf': 'ALTER TABLE $1 SET (autovacuum_enabled = false)',
      'TOAST options of a leaf': 'ALTER TABLE $1 SET (toast.autovacuum_enabled = false)',
      'policy of a leaf': 'CREATE POLICY added ON $1 USING (true)',
      'index of a leaf': 'CREATE INDEX added ON $1 (tenant_id)',
      'trigger of a leaf': `CREATE TRIGGER added AFTER INSERT ON $1 FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate()`,
      'triggers of a leaf, off': 'ALTER TABLE $1 DISABLE TRIGGER ALL',
      'check of a leaf': 'ALTER TABLE $1 ADD CHECK (1 = 1) NOT VALID',
      'default of a leaf': 'ALTER TABLE $1 ALTER COLUMN tenant_id SET DEFAULT 1',
      'statistics target of a leaf': 'ALTER TABLE $1 ALTER COLUMN tenant_id SET STATISTICS 7',
      'column options of a leaf': 'ALTER TABLE $1 ALTER COLUMN tenant_id SET (n_distinct = 5)',
      'replica identity of a leaf': 'ALTER TABLE $1 REPLICA IDENTITY FULL',
      'comment on a leaf': "COMMENT ON TABLE $1 IS 'changed'",
      'rule of a leaf': 'CREATE RULE added AS ON INSERT TO $1 DO INSTEAD NOTHING',
    },
  ],
  [
    column("'r', 'p'", 'true'),
    {
      'name of a column': 'ALTER TABLE $1 RENAME COLUMN $2 TO renamed',
      'statistics target of a column': 'ALTER TABLE $1 ALTER COLUMN $2 SET STATISTICS 7',
      'options of a column': 'ALTER TABLE $1 ALTER COLUMN $2 SET (n_distinct = 5)',
      'comment on a column': "COMMENT ON COLUMN $1.$2 IS 'changed'",
      'grant on a column': 'GRANT SELECT ($2) ON $1 TO PUBLIC',
    },
  ],
  [
    column("'r', 'p'", "NOT a.atthasdef AND a.atttypid = 'varchar'::regtype"),
    { 'default of a column, new': "ALTER TABLE $1 ALTER COLUMN $2 SET DEFAULT 'x'" },
  ],
  [
    column("'r', 'p'", "a.atthasdef AND a.attgenerated = ''"),
    { 'default of a column': 'ALTER TABLE $1 ALTER COLUMN $2 DROP DEFAULT' },
  ],
  [
    column("'r', 'p'", 'NOT a.attnotnull'),
    { 'NOT NULL of a column, new': 'ALTER TABLE $1 ALTER COLUMN $2 SET NOT NULL' },
  ],
  [
    column("'r', 'p'", "a.attnotnull AND a.attidentity = ''"),
    { 'NOT NULL of a column': 'ALTER TABLE $1 ALTER COLUMN $2 DROP NOT NULL' },
  ],
  [
    column("'r', 'p'", "a.attstorage = 'x'"),
    {
      'storage of a column': 'ALTER TABLE $1 ALTER COLUMN $2 SET STORAGE EXTERNAL',
      'compression of a column': 'ALTER TABLE $1 ALTER COLUMN $2 SET COMPRESSION pglz',
      'column, gone': 'ALTER TABLE $1 DROP COLUMN $2 CASCADE',
    },
  ],
  [
    column("'v', 'm'", 'true'),
    { 'name of a column of a view': 'ALTER TABLE $1 RENAME COLUMN $2 TO renamed' },
  ],
  [
    column("'v'", "a.atttypid = 'varchar'::regtype"),
    { 'default of a column of a view': "ALTER VIEW $1 ALTER COLUMN $2 SET DEFAULT 'x'" },
  ],
  [
    column("'m'", 'true'),
    {
      'statistics target of a column of a view':
        'ALTER MATERIALIZED VIEW $1 ALTER COLUMN $2 SET STATISTICS 7',
    },
  ],
  [
    relation("'v', 'm'"),
    {
      'name of a view': 'ALTER TABLE $1 RENAME TO renamed',
      'owner of a view': 'ALTER TABLE $1 OWNER TO verify_app',
      'grant on a view': 'GRANT SELECT ON $1 TO PUBLIC',
    },
  ],
  [
    relation("'v'"),
    { 'options of a view': 'ALTER VIEW $1 SET (security_barrier = false)', 'view, gone': 'DROP VIEW $1' },
  ],
  [
    relation("'m'"),
    {
      'options of a materialized view': 'ALTER MATERIALIZED VIEW $1 SET (fillfactor = 50)',
      'dependency of a view': 'ALTER MATERIALIZED VIEW $1 DEPENDS ON EXTENSION pgcrypto',
    },
  ],
  [
    relation("'S'"),
    {
      'increment of a sequence': 'ALTER SEQUENCE $1 INCREMENT 2',
      'minimum of a sequence': 'ALTER SEQUENCE $1 MINVALUE -5',
      'maximum of a sequence': 'ALTER SEQUENCE $1 MAXVALUE 100000',
      'start of a sequence': 'ALTER SEQUENCE $1 START 7',
      'cache of a sequence': 'ALTER SEQUENCE $1 CACHE 7',
      'cycle of a sequence': 'ALTER SEQUENCE $1 CYCLE',
      'persistence of a sequence': 'ALTER SEQUENCE $1 SET UNLOGGED',
      'grant on a sequence': 'GRANT USAGE ON SEQUENCE $1 TO PUBLIC',
      'comment on a sequence': "COMMENT ON SEQUENCE $1 IS 'changed'",
      'grant on the row type of a table, gone': 'it only keeps roles from making columns of that type',
      'position of a sequence': 'ALTER SEQUENCE $1 RESTART 1000',
      'owner column of a sequence': 'ALTER SEQUENCE $1 OWNED BY NONE',
    },
  ],
  [
    owned('pg_constraint', 'conname', 'conrelid', "o.contype IN ('c', 'p', 'u', 'f') AND o.conislocal"),
    {
      'name of a constraint': 'ALTER TABLE $1 RENAME CONSTRAINT $2 TO renamed',
      'comment on a constraint': "COMMENT ON CONSTRAINT $2 ON $1 IS 'changed'",
      'constraint, gone': 'ALTER TABLE $1 DROP CONSTRAINT $2 CASCADE',
    },
  ],
  [
    index('true'),
    {
      'name of an index': 'ALTER INDEX $1 RENAME TO renamed',
      'comment on an index': "COMMENT ON INDEX $1 IS 'changed'",
      'dependency of an index': 'ALTER INDEX $1 DEPENDS ON EXTENSION pgcrypto',
    },
  ],
  [index("i.relkind = 'i'"), { 'options of an index': 'ALTER INDEX $1 SET (fillfactor = 50)' }],
  [
    index("i.relkind = 'i' AND c.relkind = 'r'"),
    {
      'order of a table': 'ALTER TABLE $2 CLUSTER ON $3',
      'replica identity by an index': 'ALTER TABLE $2 REPLICA IDENTITY USING INDEX $3',
    },
  ],
  [
    index('NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.oid)'),
    { 'index, gone': 'DROP INDEX $1' },
  ],
  [
    owned('pg_policy', 'polname', 'polrelid'),
    {
      'name of a policy': 'ALTER POLICY $2 ON $1 RENAME TO renamed',
      'roles of a policy': 'ALTER POLICY $2 ON $1 TO PUBLIC',
      'comment on a policy': "COMMENT ON POLICY $2 ON $1 IS 'changed'",
      'policy, gone': 'DROP POLICY $2 ON $1',
    },
  ],
  [
    owned('pg_policy', 'polname', 'polrelid', "o.polcmd <> 'a'"),
    { 'condition of a policy': "ALTER POLICY $2 ON $1 USING (tenant_id <> '')" },
  ],
  [
    owned('pg_policy', 'polname', 'polrelid', "o.polcmd IN ('a', 'w', '*')"),
    { 'check of a policy': "ALTER POLICY $2 ON $1 WITH CHECK (tenant_id <> '')" },
  ],
  [
    owned('pg_trigger', 'tgname', 'tgrelid', 'NOT o.tgisinternal'),
    {
      'name of a trigger': 'ALTER TRIGGER $2 ON $1 RENAME TO renamed',
      'state of a trigger': 'ALTER TABLE $1 DISABLE TRIGGER $2',
      'state of a trigger, replica': 'ALTER TABLE $1 ENABLE REPLICA TRIGGER $2',
      'comment on a trigger': "COMMENT ON TRIGGER $2 ON $1 IS 'changed'",
      'dependency of a trigger': 'ALTER TRIGGER $2 ON $1 DEPENDS ON EXTENSION pgcrypto',
      'trigger, gone': 'DROP TRIGGER $2 ON $1',
    },
  ],
  [
    routine(),
    {
      'name of a function': 'ALTER FUNCTION $1 RENAME TO renamed',
      'schema of a function': 'ALTER FUNCTION $1 SET SCHEMA public',
      'owner of a function': 'ALTER FUNCTION $1 OWNER TO verify_app',
      'parallel safety of a function': 'ALTER FUNCTION $1 PARALLEL SAFE',
      'leakproof of a function': 'ALTER FUNCTION $1 LEAKPROOF',
      'strictness of a function': 'ALTER FUNCTION $1 STRICT',
      'cost of a function': 'ALTER FUNCTION $1 COST 7',
      'settings of a function': "ALTER FUNCTION $1 SET work_mem = '1MB'",
      'settings of a function, gone': 'ALTER FUNCTION $1 RESET ALL',
      'grant on a function': 'GRANT EXECUTE ON FUNCTION $1 TO PUBLIC',
      'comment on a function': "COMMENT ON FUNCTION $1 IS 'changed'",
      'dependency of a function': 'ALTER FUNCTION $1 DEPENDS ON EXTENSION pgcrypto',
      'function, gone': 'DROP FUNCTION $1 CASCADE',
    },
  ],
  [routine('p.prosecdef'), { 'security of a function': 'ALTER FUNCTION $1 SECURITY INVOKER' }],
  [routine('NOT p.prosecdef'), { 'security of a function, definer': 'ALTER FUNCTION $1 SECURITY DEFINER' }],
  [routine("p.provolatile <> 'i'"), { 'volatility of a function': 'ALTER FUNCTION $1 IMMUTABLE' }],
  [routine('p.proretset'), { 'rows of a function': 'ALTER FUNCTION $1 ROWS 7' }],
  [
    "SELECT 'llama' AS name",
    {
      'owner of the schema': 'ALTER SCHEMA $1 OWNER TO verify_app',
      'grant on the schema': 'GRANT CREATE ON SCHEMA $1 TO analytics_role',
      'comment on the schema': "COMMENT ON SCHEMA $1 IS 'changed'",
      'comment on the database': "COMMENT ON DATABASE llama_mapper IS 'changed'",
      'default privileges':
        'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner IN SCHEMA $1 GRANT SELECT ON TABLES TO PUBLIC',
      'default privileges everywhere':
        'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner GRANT SELECT ON TABLES TO PUBLIC',
      'table of the schema': 'CREATE TABLE $1.added ()',
      'type of the schema': "CREATE TYPE $1.added AS ENUM ('a')",
      'domain of the schema': 'CREATE DOMAIN $1.added AS text',
      'range of the schema': 'CREATE TYPE $1.added AS RANGE (subtype = int)',
      'composite of the schema': 'CREATE TYPE $1.added AS (a int)',
      'aggregate of the schema':
        "CREATE AGGREGATE $1.added (int) (sfunc = int4pl, stype = int, initcond = '0')",
      'operator of the schema': 'CREATE OPERATOR $1.=== (leftarg = int, rightarg = int, function = int4eq)',
      'collation of the schema': 'CREATE COLLATION $1.added FROM "C"',
      'text search of the schema': 'CREATE TEXT SEARCH CONFIGURATION $1.added (copy = pg_catalog.simple)',
      'statistics of the schema':
        'CREATE STATISTICS $1.added ON tenant_id, model_version FROM $1.model_metrics',
      'conversion of the schema': "CREATE CONVERSION $1.added FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1",
      'view of the schema': 'CREATE VIEW $1.added AS SELECT 1 AS one',
      'sequence of the schema': 'CREATE SEQUENCE $1.added',
      'procedure of the schema': "CREATE PROCEDURE $1.added () LANGUAGE sql AS ''",
      cast: 'CREATE CAST (int AS $1.tenant_configs) WITH INOUT AS IMPLICIT',
      'foreign server': 'CREATE FOREIGN DATA WRAPPER added; CREATE SERVER added FOREIGN DATA WRAPPER added',
      'event trigger':
        "CREATE FUNCTION public.added() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER added ON ddl_command_end EXECUTE FUNCTION public.added()",
      'publication of everything': 'CREATE PUBLICATION added FOR ALL TABLES',
      'publication of the schema': 'CREATE PUBLICATION added FOR TABLES IN SCHEMA $1',
      'extension, gone': 'DROP EXTENSION pgcrypto CASCADE',
      'extension, new': 'CREATE EXTENSION hstore SCHEMA extensions',
      'schema of an extension': 'ALTER EXTENSION pg_trgm SET SCHEMA public',
      'member of an extension': 'ALTER EXTENSION pgcrypto ADD FUNCTION $1.refuse_truncate()',
      'large object': 'SELECT lo_create(0)',
    },
  ],
];

async function mutations(): Promise<readonly Mutation[]> {
  const all: Mutation[] = [];
  for (const [query, templates] of generators) {
    const { rows } = await verified.superuser.query<{ name: string; part?: string }>(`${query} ORDER BY 1`);
    for (const [kind, template] of Object.entries(templates)) {
      for (const { name, part = '' } of rows) {
        const own = name.replace(/^llama\./, '');
        all.push({ kind, sql: template.replaceAll('$1', name).replaceAll('$2', part).replaceAll('$3', own) });
      }
    }
  }
  return all;
}

it('every change of a property is noticed, or its kind is listed with the reason', {
  timeout: 600_000,
}, async () => {
  const { superuser: client } = verified;
  const before = JSON.stringify((await describeSchema(client)).areas);
  const all = await mutations();
  const unnoticed: Mutation[] = [];
  const applied = new Map<string, number>();
  await client.query("BEGIN; SET LOCAL client_min_messages = 'error'; SET LOCAL search_path = extensions");
  // Large catalogs of columns and functions are sampled: every kind changes at most this many objects.
  const most = 7;
  for (const mutation of all) {
    if ((applied.get(mutation.kind) ?? 0) >= most) continue;
    await client.query('SAVEPOINT mutation');
    try {
      await client.query(mutation.sql);
    } catch {
      await client.query('ROLLBACK TO SAVEPOINT mutation');
      continue;
    }
    applied.set(mutation.kind, (applied.get(mutation.kind) ?? 0) + 1);
    const seen = JSON.stringify((await describeSchema(client)).areas) !== before;
    await client.query('ROLLBACK TO SAVEPOINT mutation; RELEASE SAVEPOINT mutation');
    if (!seen) unnoticed.push(mutation);
  }
  await client.query('ROLLBACK');
  const kinds = new Set(generators.flatMap(([, templates]) => Object.keys(templates)));
  expect([...kinds].filter((kind) => !applied.has(kind))).toEqual([]);
  expect([...applied.values()].reduce((sum, number) => sum + number, 0)).toBeGreaterThan(400);
  // No drift: another check has to report it. One object of each kind is enough.
  const missed: string[] = [];
  const tried = new Set<string>();
  for (const { kind, sql } of unnoticed) {
    if (tried.has(kind) || kind in left) continue;
    tried.add(kind);
    const failed = idsOf(await answersWith(verified, { sql }), 'failed');
    if (failed.length === 0) missed.push(`${kind}: ${sql}`);
  }
  expect(missed).toEqual([]);
});
