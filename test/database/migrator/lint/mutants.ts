/** Wrong migrations, each a correct one with one part dropped, replaced or added. */
import { recipeUp } from '../../../migrations/recipe.ts';

export interface Mutant {
  readonly title: string;
  readonly up: string;
}

const tenant = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";

/** A plain table that refers to another table of tenants, with a sequence and a unique index. */
const plain = `
CREATE TABLE llama.labels (
  tenant_id varchar(100) NOT NULL,
  id bigint GENERATED ALWAYS AS IDENTITY,
  name varchar(100) NOT NULL,
  owner_tenant varchar(100),
  CONSTRAINT labels_pkey PRIMARY KEY (tenant_id, id),
  CONSTRAINT labels_config FOREIGN KEY (tenant_id) REFERENCES llama.tenant_configs (tenant_id)
);
CREATE UNIQUE INDEX labels_name ON llama.labels (tenant_id, name);
ALTER TABLE llama.labels ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant_floor_labels ON llama.labels AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = ${tenant}) WITH CHECK (tenant_id = ${tenant});
CREATE POLICY tenant_isolation_labels ON llama.labels FOR ALL TO application_role
  USING (tenant_id = ${tenant}) WITH CHECK (tenant_id = ${tenant});
CREATE POLICY admin_bypass_labels ON llama.labels FOR ALL TO admin_role USING (true) WITH CHECK (true);
GRANT SELECT, DELETE, INSERT (tenant_id, name), UPDATE (name) ON llama.labels TO application_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON llama.labels TO admin_role;
CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.labels
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('labels', 'tenant_id', '');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.labels
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('labels', 'tenant_id', '');
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.labels
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
ALTER TABLE llama.labels ENABLE ALWAYS TRIGGER audit_change, ENABLE ALWAYS TRIGGER audit_update,
  ENABLE ALWAYS TRIGGER refuse_truncate;
`;

/** Columns with their grants on existing tables. */
const columns = `
ALTER TABLE llama.storage_records ADD COLUMN source text;
GRANT INSERT (source), UPDATE (source) ON llama.storage_records TO application_role;
ALTER TABLE llama.tenant_configs ADD COLUMN locale text;
GRANT UPDATE (locale) ON llama.tenant_configs TO application_role;
`;

/** A function that tenants call, a materialized view and the view through which they read it. */
const functions = `
CREATE FUNCTION llama.count_metrics() RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT count(*) FROM llama.model_metrics AS m WHERE m.tenant_id = nullif(current_setting('app.current_tenant_id', true), '')
$$;
REVOKE ALL ON FUNCTION llama.count_metrics() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.count_metrics() TO application_role;
CREATE MATERIALIZED VIEW llama.metric_counts AS
  SELECT m.tenant_id, count(*) AS metrics FROM llama.model_metrics AS m GROUP BY m.tenant_id WITH NO DATA;
CREATE UNIQUE INDEX metric_counts_key ON llama.metric_counts (tenant_id);
CREATE VIEW llama.own_metrics WITH (security_invoker = true) AS
  SELECT m.tenant_id, m.metric_type FROM llama.model_metrics AS m;
GRANT SELECT ON llama.own_metrics TO application_role;
`;

export const correct: Readonly<Record<string, string>> = { recipe: recipeUp, plain, columns, functions };

/** Replacements, each made at every place where it applies. */
const replacements: readonly (readonly [RegExp, string])[] = [
  [/ AS RESTRICTIVE/, ''],
  [/ FOR ALL/, ' FOR SELECT'],
  [/ FOR SELECT TO analytics_role/, ' FOR INSERT TO analytics_role'],
  [/tenant_id = \(SELECT/, 'tenant_id <> (SELECT'],
  [/tenant_id = \(SELECT/, 'tenant_id IS NOT NULL OR tenant_id = (SELECT'],
  [/tenant_id = \(SELECT/, 'body = (SELECT'],
  [/tenant_id = \(SELECT/, 'tenant_id::varchar(3) = (SELECT'],
  [/app\.current_tenant_id/, 'app.current_tenant'],
  [/current_setting\('app\.current_tenant_id', true\)/, "current_setting('app.current_tenant_id')"],
  [/nullif\((pg_catalog\.current_setting\('app\.current_tenant_id', true\)), ''\)/, '$1'],
  [/USING \(tenant_id = \(SELECT (.*?'')\)\)\)/, 'USING (tenant_id = $1))'],
  [/USING \(tenant_id.*?\)\)\)/, 'USING (true)'],
  [/WITH CHECK \(tenant_id.*?\)\)\)/, 'WITH CHECK (true)'],
  [/ TO application_role/, ' TO PUBLIC'],
  [/ TO application_role/, ' TO admin_role'],
  [/ TO application_role/, ' TO analytics_role'],
  [/ TO application_role/, ' TO azure_pg_admin'],
  [/ TO application_role\n/, '\n'],
  [/ TO analytics_role/, ' TO application_role'],
  [/ TO admin_role/, ' TO application_role'],
  [/ENABLE ROW LEVEL SECURITY, /, ''],
  [/, FORCE ROW LEVEL SECURITY/, ''],
  [/ENABLE ROW LEVEL SECURITY/, 'DISABLE ROW LEVEL SECURITY'],
  [/ FORCE ROW LEVEL SECURITY/, ' NO FORCE ROW LEVEL SECURITY'],
  [/AFTER /, 'BEFORE '],
  [/INSERT OR DELETE ON/, 'INSERT ON'],
  [/INSERT OR DELETE ON/, 'DELETE ON'],
  [/AFTER UPDATE ON/, 'AFTER UPDATE OF tenant_id ON'],
  [/AFTER UPDATE ON/, 'AFTER INSERT ON'],
  [/FOR EACH ROW/, 'FOR EACH STATEMENT'],
  [/OLD\.\* IS DISTINCT FROM NEW\.\*/, 'false'],
  [/OLD\.\* IS DISTINCT FROM NEW\.\*/, "current_user <> 'admin_role'"],
  [/FOR EACH ROW EXECUTE/, 'FOR EACH ROW WHEN (false) EXECUTE'],
  [/llama\.write_audit\('(\w+)'/, "llama.write_audit('storage_records'"],
  [/', 'id', '/, "', 'key', '"],
  [/llama\.write_audit\(/, 'llama.refuse_append_only_change('],
  [/tenant_id varchar\(100\) NOT NULL/, 'tenant_id varchar(100)'],
  [/PRIMARY KEY \(tenant_id, id/, 'PRIMARY KEY (id, tenant_id'],
  [/PRIMARY KEY \(tenant_id, id\)/, 'PRIMARY KEY (id)'],
  [/\(tenant_id, name\);/, '(name);'],
  [/\(tenant_id, name\);/, '(name, tenant_id);'],
  [/FOREIGN KEY \(tenant_id\)/, 'FOREIGN KEY (owner_tenant)'],
  [/REFERENCES llama\.tenant_configs \(tenant_id\)/, '$& NOT VALID'],
  [/GENERATED ALWAYS AS IDENTITY/, "NOT NULL DEFAULT pg_catalog.nextval('llama.audit_sequence')"],
  [/bigint GENERATED ALWAYS AS IDENTITY/, 'bigserial'],
  [/RANGE \("timestamp"\)/, 'LIST (tenant_id)'],
  [/RANGE \("timestamp"\)/, 'HASH (tenant_id)'],
  [/\) PARTITION BY RANGE \("timestamp"\);/, ');'],
  [/VALUES \('notes', 90\)/, "VALUES ('note', 90)"],
  [/llama\.create_partitions_ahead\(\)/, "llama.create_monthly_partition('notes', pg_catalog.now()::date)"],
  [/CREATE TABLE/, 'CREATE UNLOGGED TABLE'],
  [/SELECT, DELETE, INSERT/, 'SELECT, TRUNCATE, INSERT'],
  [/SELECT, DELETE, INSERT/, 'DELETE, INSERT'],
  [/SELECT, INSERT, UPDATE, DELETE/, 'ALL'],
  [/INSERT \(tenant_id, (id, )?(\w+)\), /, ''],
  [/INSERT \(source\), UPDATE \(source\)/, 'SELECT (source)'],
  [/UPDATE \(locale\)/, 'SELECT (locale)'],
  [/SELECT \(host\) ON/, 'UPDATE (host) ON'],
  [/SECURITY DEFINER\n/, 'SECURITY DEFINER LEAKPROOF\n'],
  [/\nSET search_path = pg_catalog, pg_temp/, ''],
  [/SET search_path = pg_catalog, pg_temp/, 'SET search_path = pg_catalog, public'],
  [/security_invoker = true/, 'security_invoker = false'],
  [/UNIQUE INDEX metric_counts_key/, 'INDEX metric_counts_key'],
  [/\(tenant_id\);\nCREATE VIEW/, '(tenant_id) WHERE metrics > 0;\nCREATE VIEW'],
  [/GRANT SELECT ON llama\.own_metrics/, 'GRANT SELECT ON llama.metric_counts'],
  [/WHERE m\.tenant_id = nullif.*\n/, "WHERE m.tenant_id = 'a'\n"],
];

/** Statements that undo or open something, added at the end. */
const additions: Readonly<Record<string, readonly string[]>> = {
  recipe: [
    'ALTER TABLE llama.notes DISABLE TRIGGER audit_change;',
    'ALTER TABLE llama.notes ENABLE REPLICA TRIGGER audit_update;',
    'ALTER TABLE llama.notes DISABLE TRIGGER ALL;',
    'DROP TRIGGER audit_update ON llama.notes;',
    'DROP POLICY tenant_floor_notes ON llama.notes;',
    'DROP POLICY admin_bypass_notes ON llama.notes;',
    'DROP POLICY tenant_isolation_notes ON llama.notes;',
    'ALTER POLICY tenant_floor_notes ON llama.notes TO admin_role;',
    'ALTER POLICY tenant_isolation_notes ON llama.notes USING (true);',
    'ALTER POLICY tenant_floor_notes ON llama.notes RENAME TO other; DROP POLICY other ON llama.notes;',
    'ALTER TRIGGER audit_change ON llama.notes RENAME TO other; DROP TRIGGER other ON llama.notes;',
    'ALTER TABLE llama.notes ALTER COLUMN tenant_id DROP NOT NULL;',
    'ALTER TABLE llama.notes OWNER TO admin_role;',
    'REVOKE SELECT ON llama.notes FROM application_role;',
    "DELETE FROM llama.partitioned_tables WHERE table_name = 'notes';",
    'CREATE TABLE llama.notes_rest PARTITION OF llama.notes DEFAULT;',
    'CREATE POLICY more ON llama.notes FOR SELECT TO application_role USING (length(body) > 0);',
    'CREATE POLICY more ON llama.notes FOR SELECT USING (true);',
    'CREATE RULE r AS ON DELETE TO llama.notes DO INSTEAD NOTHING;',
    'GRANT SELECT ON llama.notes TO PUBLIC;',
    'CREATE INDEX notes_body ON ONLY llama.notes (body);',
    'ALTER TABLE llama.notes ADD CONSTRAINT short CHECK (length(body) < 9) NOT VALID;',
    'CREATE TABLE public.copy AS SELECT * FROM llama.notes;',
    'CREATE TABLE llama.copy AS SELECT * FROM llama.notes;',
    'ALTER TABLE llama.notes SET SCHEMA public;',
    'ALTER TABLE llama.notes RENAME COLUMN id TO key;',
    'ALTER TABLE llama.notes RENAME TO remarks;',
    'GRANT INSERT (body) ON llama.notes TO analytics_role;',
  ],
  plain: [
    'CREATE TABLE llama.noted (tenant_id varchar(100) NOT NULL, label bigint, PRIMARY KEY (tenant_id, label));',
    'CREATE TABLE llama.child () INHERITS (llama.labels);',
    'ALTER TABLE llama.labels ADD COLUMN color text;',
    'ALTER TABLE llama.labels ADD COLUMN other bigint UNIQUE;',
    'ALTER TABLE llama.labels SET UNLOGGED;',
    'ALTER TABLE llama.labels REPLICA IDENTITY NOTHING;',
    'GRANT SELECT ON llama.labels TO pg_monitor;',
    'ALTER TABLE llama.partitioned_tables ADD COLUMN tenant_id text;',
  ],
  columns: [
    'ALTER TABLE llama.data_keys ADD COLUMN note text;',
    'DROP POLICY tenant_isolation_audit ON llama.audit_trail;',
    'DROP POLICY tenant_floor_metrics ON llama.model_metrics;',
    'DROP TRIGGER append_only ON llama.audit_trail;',
    'DROP TRIGGER audit_delete ON llama.storage_records;',
    'REVOKE SELECT ON llama.storage_records FROM application_role;',
    'REVOKE UPDATE (locale) ON llama.tenant_configs FROM application_role;',
    'GRANT UPDATE ON llama.audit_trail TO admin_role;',
    'GRANT INSERT ON llama.audit_trail TO application_role;',
    'GRANT DELETE ON llama.data_keys TO admin_role;',
    'GRANT INSERT ON llama.encrypted_columns TO application_role;',
    'GRANT SELECT ON llama.storage_records TO audit_writer;',
    'GRANT SELECT ON llama.storage_records TO audit_sealer;',
    'ALTER SEQUENCE llama.audit_sequence CACHE 10;',
    'ALTER TABLE llama.audit_trail ALTER COLUMN sequence SET DEFAULT 1;',
    'ALTER TABLE llama.storage_records ALTER COLUMN source SET NOT NULL;',
    'ALTER TABLE llama.storage_records NO FORCE ROW LEVEL SECURITY;',
    "UPDATE llama.partitioned_tables SET append_only = false WHERE table_name = 'audit_trail';",
    "UPDATE llama.partitioned_tables SET table_name = 'other' WHERE table_name = 'model_metrics';",
    "DELETE FROM llama.encrypted_columns WHERE column_name = 'metadata';",
    "SELECT llama.forget_encrypted_column('storage_records', 'metadata');",
    'ALTER TABLE llama.audit_seals DISABLE ROW LEVEL SECURITY;',
    'ALTER ROLE application_role INHERIT;',
    'GRANT admin_role TO application_role WITH INHERIT FALSE, SET TRUE;',
  ],
  functions: [
    'CREATE OR REPLACE FUNCTION llama.write_audit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$ BEGIN RETURN NULL; END $$;',
    'ALTER FUNCTION llama.count_metrics() SECURITY INVOKER;',
    'ALTER FUNCTION llama.count_metrics() LEAKPROOF;',
    'ALTER FUNCTION llama.count_metrics() RESET search_path;',
    'ALTER FUNCTION llama.count_metrics() OWNER TO admin_role;',
    'GRANT EXECUTE ON FUNCTION llama.count_metrics() TO PUBLIC;',
    'ALTER VIEW llama.own_metrics SET (security_invoker = false);',
    'ALTER VIEW llama.own_metrics OWNER TO maintenance_role;',
    'DROP INDEX llama.metric_counts_key;',
    'GRANT EXECUTE ON FUNCTION llama.apply_retention(integer) TO application_role;',
    'REVOKE EXECUTE ON FUNCTION llama.set_tenant_context(text, text, uuid, inet, text) FROM application_role;',
    "CREATE FUNCTION public.helper() RETURNS integer LANGUAGE sql AS 'SELECT 1';",
    "CREATE OR REPLACE FUNCTION llama.scheduled_jobs() RETURNS TABLE (name text, schedule text, command text) LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT 'a', 'b', 'c' WHERE false $$;",
  ],
};

/** Every mutant of every correct migration; none is equal to its original or to another mutant. */
export const mutants: readonly Mutant[] = Object.entries(correct).flatMap(([name, up]) => {
  const found = new Map<string, string>();
  const add = (title: string, text: string) => {
    if (text !== up && ![...found.values()].includes(text)) found.set(`${name}: ${title}`, text);
  };
  const statements = up.split(/(?<=;\n)(?=\S|\n)/).filter((one) => /\S/.test(one.replace(/^--.*$/gm, '')));
  for (const statement of statements) {
    add(
      `without ${brief(statement)}`,
      up.replace(statement, () => '\n'),
    );
  }
  for (const [pattern, replacement] of replacements) {
    for (const [place, match] of [...up.matchAll(new RegExp(pattern, 'g'))].entries()) {
      const changed = match[0].replace(pattern, replacement);
      const text = up.slice(0, match.index) + changed + up.slice(match.index + match[0].length);
      add(`${brief(match[0])} (${place + 1}) becomes ${brief(changed) || 'nothing'}`, text);
    }
  }
  for (const statement of additions[name] ?? []) add(`with ${brief(statement)}`, `${up}\n${statement}\n`);
  return [...found].map(([title, text]) => ({ title, up: text }));
});

function brief(text: string): string {
  return text.replace(/\s+/g, ' ').trim().slice(0, 70);
}
