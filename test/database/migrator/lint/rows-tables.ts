/** Rows of the rules about tables as a whole: each leaves out, adds or changes one part of a correct migration. */
import type { Row } from './rows.ts';

const tenant = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";

/** A correct table with rows of tenants. */
export const table = `CREATE TABLE llama.notes (
  tenant_id text NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  body text,
  "timestamp" timestamptz NOT NULL,
  CONSTRAINT notes_pkey PRIMARY KEY (tenant_id, id, "timestamp")
) PARTITION BY RANGE ("timestamp");
INSERT INTO llama.partitioned_tables (table_name) VALUES ('notes');
ALTER TABLE llama.notes FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY;
CREATE POLICY floor ON llama.notes AS RESTRICTIVE FOR ALL TO application_role USING (tenant_id = ${tenant});
CREATE POLICY own ON llama.notes FOR ALL TO application_role USING (tenant_id = ${tenant});
GRANT SELECT, INSERT (tenant_id, body), DELETE ON llama.notes TO application_role;
CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.notes
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('notes', 'id', 'timestamp');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.notes
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('notes', 'id', 'timestamp');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.notes FOR EACH STATEMENT EXECUTE FUNCTION llama.known();
ALTER TABLE llama.notes ENABLE ALWAYS TRIGGER audit_change, ENABLE ALWAYS TRIGGER audit_update;
SELECT llama.create_partitions_ahead();
`;

/** The table with one part replaced, by default with nothing. */
export function without(part: string, by = ''): string {
  if (!table.includes(part)) throw new Error(`the table has no part ${part}`);
  return table.replace(part, () => by);
}

const create = 'CREATE TABLE llama.notes';
const definer = (
  body: string,
) => `CREATE FUNCTION llama.f() RETURNS text LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ ${body} $$;
REVOKE ALL ON FUNCTION llama.f() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.f() TO application_role;`;

export const tableRows: readonly Row[] = [
  {
    rule: 'audit-silent-as-replica',
    at: create,
    bad: without(', ENABLE ALWAYS TRIGGER audit_update'),
    good: table,
  },
  {
    rule: 'tenant-table-truncatable',
    at: create,
    bad: without('BEFORE TRUNCATE', 'AFTER TRUNCATE'),
    good: table,
  },
  {
    rule: 'tenant-column-nullable',
    at: create,
    bad: without('CONSTRAINT notes_pkey PRIMARY KEY (tenant_id, id, "timestamp")', 'CHECK (id > 0)').replace(
      ' text NOT NULL,',
      ' text,',
    ),
    good: table,
  },
  {
    rule: 'tenant-table-not-audited',
    at: create,
    bad: without('INSERT OR DELETE ON', 'INSERT ON'),
    good: table,
  },
  {
    rule: 'tenant-table-not-audited',
    at: create,
    bad: without('OLD.* IS DISTINCT FROM NEW.*', 'false'),
    good: table,
  },
  {
    rule: 'tenant-table-open',
    at: create,
    bad: without('FOR ALL TO application_role USING', 'FOR SELECT TO application_role USING'),
    good: table,
  },
  {
    rule: 'audit-trigger-arguments',
    at: create,
    bad: without("write_audit('notes', 'id'", "write_audit('note', 'id'"),
    good: table,
  },
  {
    rule: 'grant-without-policy',
    at: create,
    bad: `${table}GRANT SELECT ON llama.notes TO analytics_role;`,
    good: table,
  },
  {
    rule: 'policy-without-grant',
    at: create,
    bad: without('GRANT SELECT, INSERT (tenant_id, body), DELETE ON llama.notes TO application_role;'),
    good: table,
  },
  {
    rule: 'partitioned-table-unregistered',
    at: create,
    bad: without("INSERT INTO llama.partitioned_tables (table_name) VALUES ('notes');"),
    good: table,
  },
  {
    rule: 'partitions-missing',
    at: create,
    bad: without('SELECT llama.create_partitions_ahead();'),
    good: table,
  },
  {
    rule: 'policy-without-tenant',
    at: 'CREATE POLICY',
    bad: `CREATE POLICY p ON llama.records TO application_role USING (note = ${tenant});`,
    good: `CREATE POLICY p ON llama.records TO application_role USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-on-leaf',
    at: 'CREATE POLICY',
    bad: 'CREATE POLICY p ON llama.records_y2026m11 TO admin_role USING (true);',
    good: 'CREATE POLICY p ON llama.records TO admin_role USING (tenant_id IS NOT NULL);',
  },
  {
    rule: 'rewrite-rule',
    at: 'CREATE RULE',
    bad: 'CREATE RULE r AS ON DELETE TO llama.plain DO INSTEAD NOTHING;',
    good: 'SELECT 1;',
  },
  {
    rule: 'column-without-grant',
    at: 'ADD COLUMN',
    bad: 'ALTER TABLE llama.records ADD COLUMN source text;',
    good: 'ALTER TABLE llama.records ADD COLUMN source text;\nGRANT UPDATE (source) ON llama.records TO application_role;',
  },
  {
    rule: 'sequence-without-grant',
    at: create,
    bad: without('bigint GENERATED ALWAYS AS IDENTITY', "bigint DEFAULT pg_catalog.nextval('llama.numbers')"),
    good: `${without('bigint GENERATED ALWAYS AS IDENTITY', "bigint DEFAULT pg_catalog.nextval('llama.numbers')")}GRANT USAGE ON SEQUENCE llama.numbers TO application_role;`,
  },
  {
    rule: 'tenant-table-elsewhere',
    at: 'CREATE TABLE',
    bad: 'CREATE TABLE public.copy (tenant_id text NOT NULL);',
    good: 'CREATE TABLE public.copy (id bigint);',
  },
  {
    rule: 'foreign-key-without-tenant',
    at: create,
    bad: without('body text,', 'body text REFERENCES llama.records (id),'),
    good: table,
  },
  {
    rule: 'constraint-never-validated',
    at: 'ADD CONSTRAINT',
    bad: 'ALTER TABLE llama.plain ADD CONSTRAINT c CHECK (a > 0) NOT VALID;',
    good: {
      up: 'ALTER TABLE llama.plain ADD CONSTRAINT c CHECK (a > 0) NOT VALID;',
      next: 'ALTER TABLE llama.plain VALIDATE CONSTRAINT c;',
    },
  },
  {
    rule: 'index-on-only',
    at: 'CREATE INDEX',
    bad: 'CREATE INDEX i ON ONLY llama.events (at);',
    good: 'CREATE INDEX i ON ONLY llama.plain (a);',
  },
  {
    rule: 'materialized-view-without-key',
    at: 'CREATE MATERIALIZED',
    bad: 'CREATE MATERIALIZED VIEW llama.m AS SELECT a FROM llama.plain;',
    good: 'CREATE MATERIALIZED VIEW llama.m AS SELECT a FROM llama.plain;\nCREATE UNIQUE INDEX m_key ON llama.m (a);',
  },
  {
    rule: 'unlogged-table',
    at: 'SET UNLOGGED',
    also: ['table-rewrite'],
    bad: 'ALTER TABLE llama.plain SET UNLOGGED;',
    good: 'SELECT 1;',
  },
  {
    rule: 'function-open-to-public',
    at: 'CREATE FUNCTION',
    bad: "SET LOCAL ROLE audit_writer;\nCREATE FUNCTION llama.g() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1';",
    good: "CREATE FUNCTION llama.g() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1';",
  },
  {
    rule: 'definer-reads-no-tenant',
    at: 'GRANT EXECUTE',
    bad: definer("SELECT 'a'"),
    good: definer("SELECT current_setting('app.current_tenant_id', true)"),
  },
  {
    rule: 'leakproof-function',
    at: 'ALTER FUNCTION',
    bad: 'ALTER FUNCTION llama.known() LEAKPROOF;',
    good: 'ALTER FUNCTION llama.known() NOT LEAKPROOF;',
  },
  {
    rule: 'audit-function-changed',
    at: 'ALTER FUNCTION',
    bad: 'ALTER FUNCTION llama.write_audit() SECURITY INVOKER;',
    good: 'ALTER FUNCTION llama.known() SECURITY INVOKER;',
  },
  {
    rule: 'revoke-in-use',
    at: 'REVOKE',
    bad: 'REVOKE UPDATE (note) ON llama.records FROM application_role;',
    good: 'REVOKE SELECT ON llama.plain FROM application_role;',
  },
  {
    rule: 'owner-not-a-group-role',
    at: 'CREATE TABLE',
    bad: { head: '-- run as: login\n', up: 'CREATE TABLE llama.t (a text);' },
    good: {
      head: '-- run as: login\n',
      up: 'CREATE TABLE llama.t (a text);\nALTER TABLE llama.t OWNER TO llama_owner;',
    },
  },
  {
    rule: 'grant-to-unknown-role',
    at: 'GRANT',
    also: ['grant-without-policy'],
    bad: 'GRANT SELECT ON llama.records TO reporting;',
    good: 'GRANT SELECT ON llama.plain TO reporting;',
  },
  {
    rule: 'grant-beyond-role',
    at: 'GRANT',
    bad: 'GRANT INSERT ON llama.plain TO analytics_role;',
    good: 'GRANT SELECT ON llama.plain TO analytics_role;',
  },
  {
    rule: 'registry-rewritten',
    at: 'UPDATE',
    bad: 'SET LOCAL ROLE llama_owner;\nUPDATE llama.partitioned_tables SET retention_days = 1;',
    also: ['backfill'],
    good: 'SELECT 1;',
  },
  {
    rule: 'group-role-changed',
    at: 'ALTER ROLE',
    bad: 'ALTER ROLE application_role INHERIT;',
    good: 'ALTER ROLE application_role NOINHERIT;',
  },
  {
    rule: 'audit-sequence-changed',
    at: 'ALTER SEQUENCE',
    bad: 'ALTER SEQUENCE llama.audit_sequence CACHE 3;',
    good: 'ALTER SEQUENCE llama.other CACHE 3;',
  },
];
