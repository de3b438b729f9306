/**
 * What splinter, pgrls and squawk look for on a finished database, in our own words, as far as the verification does not
 * hold it already; docs/linters.md has the whole table.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migratedDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

const own =
  "n.nspname IN ('llama', 'extensions', 'public') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')";
const relation = 'pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace';
/** Policies with their expressions as the server prints them. */
const policy = `(SELECT p.*, c.oid AS table_oid, c.relname, c.relrowsecurity,
    concat_ws(' ', pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) AS said
  FROM pg_policy p JOIN ${relation} ON c.oid = p.polrelid)`;

interface Held {
  readonly rule: string;
  /** Returns one row per violation. */
  readonly query: string;
  /** Violations on purpose. @default - none */
  readonly meant?: readonly string[];
  /** Violates the rule, to show that the query finds it. */
  readonly breaking: string;
}

const table = 'CREATE TABLE llama.t_bad (tenant_id text, a text);';

const held: readonly Held[] = [
  {
    rule: 'splinter 0006: one permissive policy for each role and command',
    query: `SELECT relname || ' ' || role::regrole || ' ' || command AS found
      FROM ${policy} p CROSS JOIN unnest(polroles) AS role
      CROSS JOIN LATERAL unnest(CASE polcmd WHEN '*' THEN '{r,a,w,d}' ELSE ARRAY[polcmd::text] END::text[]) AS command
     WHERE polpermissive GROUP BY 1, relname, role, command HAVING count(*) > 1`,
    breaking:
      'CREATE POLICY more ON llama.storage_records FOR SELECT TO admin_role USING (tenant_id IS NULL)',
  },
  {
    rule: 'splinter 0007, pgrls SEC032: no policy sleeps on a table without row-level security',
    query: `SELECT DISTINCT relname AS found FROM ${policy} p WHERE NOT relrowsecurity`,
    breaking: `${table} CREATE POLICY asleep ON llama.t_bad TO admin_role USING (true)`,
  },
  {
    rule: 'splinter 0008, pgrls SEC009: without a policy are only leaves, on purpose',
    query: `SELECT c.relname AS found FROM ${relation} WHERE ${own} AND c.relrowsecurity AND NOT c.relispartition
      AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid)`,
    breaking: `${table} ALTER TABLE llama.t_bad ENABLE ROW LEVEL SECURITY`,
  },
  {
    rule: 'splinter 0017, pgrls SEC053: no foreign table',
    query: `SELECT c.relname AS found FROM ${relation} WHERE c.relkind = 'f'`,
    breaking:
      'CREATE FOREIGN DATA WRAPPER t_w; CREATE SERVER t_s FOREIGN DATA WRAPPER t_w; CREATE FOREIGN TABLE llama.t_f (a int) SERVER t_s',
  },
  {
    rule: 'splinter 0018: no column type that an upgrade refuses',
    query: `SELECT c.relname || '.' || a.attname AS found FROM ${relation} JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE ${own} AND a.attnum > 0 AND a.atttypid = ANY ('{regcollation,regconfig,regdictionary,regnamespace,regoper,regoperator,regproc,regprocedure}'::regtype[]::oid[])`,
    breaking: 'CREATE TABLE llama.t_bad (a regproc)',
  },
  {
    rule: 'splinter 0023, pgrls SEC045: no column is named as a secret',
    query: `SELECT c.relname || '.' || a.attname AS found FROM ${relation} JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE ${own} AND a.attnum > 0 AND a.attname ~* '(password|passwd|secret|api_?key|token|private_key|ssn|credit_card)'`,
    breaking: 'CREATE TABLE llama.t_bad (api_key text)',
  },
  {
    rule: 'pgrls SEC010, SEC012: no policy is never true, and none restricts nothing that is permitted',
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p WHERE said ~ '^\\(?false\\)?$'
      UNION SELECT relname FROM ${policy} p GROUP BY relname HAVING NOT bool_or(polpermissive)`,
    breaking: 'CREATE POLICY never ON llama.storage_records FOR SELECT TO analytics_role USING (false)',
  },
  {
    rule: 'pgrls SEC018, SEC026: no policy goes by the name of the login, or by a pattern',
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p WHERE said ~* '(current_user|session_user|~~|!?~)'`,
    breaking:
      'CREATE POLICY name ON llama.storage_records AS RESTRICTIVE TO admin_role USING (tenant_id <> current_user)',
  },
  {
    // A policy that shows every row may restrict what is written.
    rule: 'pgrls SEC020, SEC040: what may be written may be seen',
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p
      WHERE polqual IS NOT NULL AND polwithcheck IS NOT NULL
        AND pg_get_expr(polqual, polrelid) NOT IN ('true', pg_get_expr(polwithcheck, polrelid))`,
    breaking:
      'CREATE POLICY wide ON llama.storage_records AS RESTRICTIVE TO admin_role USING (tenant_id IS NOT NULL) WITH CHECK (true)',
  },
  {
    rule: 'pgrls SEC024: settings in policies have a prefix',
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p WHERE said ~ 'current_setting\\(''[^.'']*''[,:)]'`,
    breaking:
      "CREATE POLICY bare ON llama.storage_records AS RESTRICTIVE TO admin_role USING (tenant_id = current_setting('role'))",
  },
  {
    rule: 'pgrls SEC025, SEC046, PERF002: policies read no other table and call no function of ours, and none that is volatile',
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p JOIN pg_depend d ON d.classid = 'pg_policy'::regclass AND d.objid = p.oid
      WHERE (d.refclassid = 'pg_proc'::regclass) OR (d.refclassid = 'pg_class'::regclass AND d.refobjid <> p.table_oid)`,
    breaking:
      'CREATE POLICY reads ON llama.storage_records AS RESTRICTIVE TO admin_role USING (tenant_id IN (SELECT tenant_id FROM llama.tenant_configs))',
  },
  {
    rule: 'pgrls PERF004: policies compare the column as it is',
    // A varchar is compared as text, which its index knows; anything else around the column hides it from the index.
    query: `SELECT relname || ' ' || polname AS found FROM ${policy} p
      WHERE replace(said, '(tenant_id)::text', 'tenant_id') ~ '(\\w\\(|\\()tenant_id(\\)|::)' OR said ~ '\\w\\(\\(?tenant_id'`,
    breaking:
      "CREATE POLICY wrapped ON llama.storage_records AS RESTRICTIVE TO admin_role USING (lower(tenant_id) = 'a')",
  },
  {
    rule: 'pgrls SEC043: nothing inherits but partitions',
    query: `SELECT inhrelid::regclass::text AS found FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE NOT c.relispartition`,
    breaking: 'CREATE TABLE llama.t_bad () INHERITS (llama.tenant_configs)',
  },
  {
    rule: 'pgrls VIEW002, VIEW004: a view that runs as its owner is a barrier and calls no function of ours',
    query: `SELECT c.relname AS found FROM ${relation} WHERE ${own} AND c.relkind = 'v'
      AND (NOT coalesce('security_barrier=true' = ANY (c.reloptions), false)
           OR EXISTS (SELECT FROM pg_rewrite r JOIN pg_depend d ON d.objid = r.oid AND d.refclassid = 'pg_proc'::regclass WHERE r.ev_class = c.oid))`,
    breaking: 'CREATE VIEW llama.v_bad AS SELECT 1 AS a',
  },
  {
    rule: 'squawk prefer-identity, prefer-bigint-over-int, prefer-timestamp-tz: keys that count are bigint identities',
    query: `SELECT c.relname || '.' || a.attname AS found FROM ${relation} JOIN pg_attribute a ON a.attrelid = c.oid
      LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
      WHERE ${own} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
        AND (pg_get_expr(f.adbin, c.oid) LIKE 'nextval(%' AND NOT (c.relname ~ '^audit_trail(_y|$)' AND a.attname = 'sequence') OR a.atttypid = 'timestamp'::regtype OR (a.attidentity <> '' AND a.atttypid <> 'bigint'::regtype))`,
    // The audit trail's order is one sequence over all months, cache and owner of which AUD-016 guards.
    // node-pg-migrate's own table, with the columns that it insists on.
    meant: ['pgmigrations.id', 'pgmigrations.run_on'],
    breaking: 'CREATE TABLE llama.t_bad (a serial)',
  },
  {
    rule: 'squawk prefer-text-field, ban-char-field: no char(n)',
    query: `SELECT c.relname || '.' || a.attname AS found FROM ${relation} JOIN pg_attribute a ON a.attrelid = c.oid
      WHERE ${own} AND a.attnum > 0 AND a.atttypid = 'bpchar'::regtype`,
    breaking: 'CREATE TABLE llama.t_bad (a char(3))',
  },
];

describe('the finished database', () => {
  it.each(held)('$rule', async ({ query, meant = [], breaking }) => {
    const client = await database.connect('superuser');
    const found = async () =>
      (await client.query<{ found: string }>(query)).rows.map((row) => row.found).sort();
    expect(await found()).toEqual(meant);
    await client.query('BEGIN');
    try {
      await client.query(breaking);
      expect((await found()).length).toBeGreaterThan(meant.length);
    } finally {
      await client.query('ROLLBACK');
    }
  });

  it('evaluates the tenant once a query, which splinter 0003 doubts', async () => {
    const client = await database.connect('superuser');
    await client.query('BEGIN; SET LOCAL ROLE application_role');
    const { rows } = await client.query<{ 'QUERY PLAN': string }>('EXPLAIN SELECT FROM llama.tenant_configs');
    await client.query('ROLLBACK');
    const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
    expect(plan).toMatch(/InitPlan/);
    expect(plan).not.toMatch(/(Filter|Cond):.*current_setting/);
  });
});
