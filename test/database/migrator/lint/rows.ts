/** For every rule, a migration that violates only this rule, and a correct twin. */
import type { Case } from './files.ts';
import { table, tableRows, without } from './rows-tables.ts';

export interface Row {
  readonly rule: string;
  /** Text of the reported line. */
  readonly at: string;
  readonly bad: Case | string;
  readonly good: Case | string;
  /** Rules that report the same fault in another respect. @default - none */
  readonly also?: readonly string[];
}

const tenant = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";
const definer = 'RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp';
const withoutTransaction = (statement: string) =>
  `export async function up(pgm) {\n  pgm.noTransaction();\n  ${statement}\n}\nexport async function down() {}\n`;
const sql = (statement: string) => withoutTransaction(`pgm.sql(\`${statement}\`);`);
const index = `import { buildPartitionedIndex } from './database/indexes/partitioned-index.ts';
${withoutTransaction("await buildPartitionedIndex(pgm, { table: 'llama.events', name: 'events_at', definition: '(at)' });")}`;

const unique = (
  definition: string,
) => `import { buildPartitionedIndex } from './database/indexes/partitioned-index.ts';
${withoutTransaction(`await buildPartitionedIndex(pgm, { table: 'llama.records', name: 'records_note', definition: '${definition}', unique: true });`)}`;

export const rows: readonly Row[] = [
  ...tableRows,

  // Locks and rewrites
  {
    rule: 'constraint-without-not-valid',
    at: 'ADD CONSTRAINT positive',
    bad: 'ALTER TABLE llama.events\n  ADD CONSTRAINT positive CHECK (id > 0);',
    good: {
      up: 'ALTER TABLE llama.events\n  ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;',
      next: 'ALTER TABLE llama.events VALIDATE CONSTRAINT positive;',
    },
  },
  {
    rule: 'foreign-key-without-not-valid',
    at: 'ADD FOREIGN KEY',
    bad: 'SELECT 1;\nALTER TABLE llama.events ADD FOREIGN KEY (id) REFERENCES llama.plain (a);',
    good: {
      up: 'SELECT 1;\nALTER TABLE llama.events ADD CONSTRAINT known FOREIGN KEY (id) REFERENCES llama.plain (a) NOT VALID;',
      next: 'ALTER TABLE llama.events VALIDATE CONSTRAINT known;',
    },
  },
  {
    rule: 'foreign-key-without-not-valid',
    at: 'REFERENCES llama.plain',
    bad: 'ALTER TABLE llama.events ADD COLUMN plain bigint\n  REFERENCES llama.plain (a);',
    good: 'ALTER TABLE llama.events ADD COLUMN plain bigint;',
  },
  {
    rule: 'validated-in-the-same-transaction',
    at: 'VALIDATE',
    bad: 'ALTER TABLE llama.events ADD CONSTRAINT positive CHECK (id > 0) NOT VALID;\nALTER TABLE llama.events VALIDATE CONSTRAINT positive;',
    good: 'ALTER TABLE llama.events VALIDATE CONSTRAINT earlier;',
  },
  {
    rule: 'unique-constraint-builds-index',
    at: 'UNIQUE',
    bad: 'ALTER TABLE llama.events ADD CONSTRAINT once UNIQUE (id, at);',
    good: 'ALTER TABLE llama.plain ADD CONSTRAINT once UNIQUE USING INDEX plain_a;',
  },
  {
    rule: 'exclusion-constraint',
    at: 'EXCLUDE',
    bad: 'ALTER TABLE llama.events ADD CONSTRAINT apart EXCLUDE USING gist (kind WITH =);',
    good: 'CREATE TABLE llama.apart (kind text, CONSTRAINT apart EXCLUDE USING gist (kind WITH =));',
  },
  {
    rule: 'set-not-null',
    at: 'SET NOT NULL',
    bad: 'ALTER TABLE llama.events ALTER COLUMN kind SET NOT NULL;',
    good: 'CREATE TABLE llama.fresh (a text);\nALTER TABLE llama.fresh ALTER COLUMN a SET NOT NULL;',
  },
  {
    rule: 'added-not-null-without-default',
    at: 'must text',
    bad: 'ALTER TABLE llama.plain ADD COLUMN must text NOT NULL;',
    good: "ALTER TABLE llama.plain ADD COLUMN must text NOT NULL DEFAULT '';",
  },
  {
    rule: 'volatile-default',
    at: 'gen_random_uuid',
    bad: 'ALTER TABLE llama.events ADD COLUMN key uuid\n  DEFAULT pg_catalog.gen_random_uuid();',
    good: 'ALTER TABLE llama.events ADD COLUMN seen timestamptz DEFAULT pg_catalog.now();',
  },
  {
    rule: 'added-column-numbers-itself',
    at: 'number bigint',
    bad: 'ALTER TABLE llama.events ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;',
    good: 'CREATE TABLE llama.numbered (number bigint GENERATED ALWAYS AS IDENTITY);',
  },
  {
    rule: 'added-stored-generated-column',
    at: 'STORED',
    bad: 'ALTER TABLE llama.events ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED;',
    good: 'ALTER TABLE llama.events ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) VIRTUAL;',
  },
  {
    rule: 'table-rewrite',
    at: 'CLUSTER',
    bad: 'CLUSTER llama.events USING events_kind;',
    good: 'ANALYZE llama.events;',
  },
  {
    rule: 'table-rewrite',
    at: 'SET TABLESPACE',
    bad: 'ALTER TABLE llama.events SET TABLESPACE fast;',
    good: 'ALTER TABLE llama.events SET (fillfactor = 90);',
  },
  {
    rule: 'lock-table',
    at: 'LOCK',
    bad: 'LOCK TABLE llama.plain IN SHARE MODE;',
    good: 'CREATE TABLE llama.fresh (a text);\nLOCK TABLE llama.fresh;',
  },
  {
    rule: 'refresh-not-concurrent',
    at: 'REFRESH',
    bad: 'REFRESH MATERIALIZED VIEW llama.summary;',
    good: 'REFRESH MATERIALIZED VIEW CONCURRENTLY llama.summary;',
  },
  {
    rule: 'backfill',
    at: 'UPDATE',
    bad: "UPDATE llama.events SET kind = 'a';",
    good: "CREATE TABLE llama.fresh (a text);\nUPDATE llama.fresh SET a = 'a';",
  },
  {
    rule: 'drop-not-null-check',
    at: 'DROP CONSTRAINT',
    bad: {
      head: '',
      up: `CREATE TABLE llama.fresh (a text);
ALTER TABLE llama.events ADD CONSTRAINT kind_there CHECK (kind IS NOT NULL) NOT VALID;
ALTER TABLE llama.events DROP CONSTRAINT kind_there;
-- lint allow set-not-null: to see the other rule alone
ALTER TABLE llama.events ALTER COLUMN kind SET NOT NULL;`,
    },
    good: 'ALTER TABLE llama.events DROP CONSTRAINT kind_there;',
  },

  // Indexes
  {
    rule: 'index-not-concurrent',
    at: 'CREATE INDEX',
    bad: 'CREATE INDEX events_at ON llama.events (at);',
    good: { ts: index },
  },
  {
    rule: 'concurrently-on-partitioned',
    at: 'noTransaction',
    bad: {
      ts: sql('CREATE INDEX CONCURRENTLY events_at ON llama.events (at)').replace(
        'pgm.noTransaction();\n  ',
        'pgm.noTransaction(); ',
      ),
    },
    good: { ts: index },
  },
  {
    rule: 'concurrent-if-not-exists',
    at: 'pgm.sql',
    bad: { ts: sql('CREATE INDEX CONCURRENTLY IF NOT EXISTS plain_a ON llama.plain (a)') },
    good: { ts: index },
  },
  {
    rule: 'concurrent-index-by-hand',
    at: 'pgm.sql',
    bad: { ts: sql('CREATE INDEX CONCURRENTLY plain_a ON llama.plain (a)') },
    good: { ts: index },
  },
  {
    rule: 'index-drop-not-concurrent',
    at: 'DROP INDEX',
    bad: 'DROP INDEX llama.events_kind;',
    good: 'CREATE TABLE llama.fresh (a text);\nCREATE INDEX fresh_a ON llama.fresh (a);\nDROP INDEX llama.fresh_a;',
  },
  {
    rule: 'reindex-not-concurrent',
    at: 'REINDEX',
    bad: 'REINDEX TABLE llama.events;',
    good: { ts: sql('REINDEX TABLE CONCURRENTLY llama.events') },
  },
  {
    rule: 'concurrently-in-transaction',
    at: 'CREATE INDEX',
    bad: 'SELECT 1;\n\nCREATE INDEX CONCURRENTLY plain_a ON llama.plain (a);',
    good: { ts: index },
  },
  {
    rule: 'wide-index',
    at: 'CREATE INDEX',
    bad: 'CREATE TABLE llama.fresh (a int, b int, c int, d int);\nCREATE INDEX fresh_all ON llama.fresh (a, b, c, d);',
    good: 'CREATE TABLE llama.fresh (a int, b int, c int, d int);\nCREATE INDEX fresh_all ON llama.fresh (a, b, c) INCLUDE (d);',
  },

  // The running application, and data
  {
    rule: 'rename-column',
    at: 'RENAME',
    bad: 'ALTER TABLE llama.plain RENAME COLUMN b TO c;',
    good: 'ALTER TABLE llama.plain ADD COLUMN c text;',
  },
  {
    rule: 'rename-table',
    at: 'RENAME',
    bad: 'ALTER TABLE llama.plain RENAME TO simple;',
    good: 'CREATE TABLE llama.fresh (a text);\nALTER TABLE llama.fresh RENAME TO simple;',
  },
  {
    rule: 'rename-schema',
    at: 'RENAME',
    bad: 'ALTER SCHEMA llama RENAME TO lama;',
    good: 'CREATE SCHEMA lama;',
  },
  {
    rule: 'rename-enum-value',
    at: 'RENAME',
    bad: "ALTER TYPE llama.colour RENAME VALUE 'red' TO 'rouge';",
    good: "ALTER TYPE llama.colour ADD VALUE 'rouge';",
  },
  {
    rule: 'column-type-change',
    at: 'TYPE',
    bad: 'ALTER TABLE llama.plain ALTER COLUMN a TYPE text;',
    good: 'ALTER TABLE llama.plain ALTER COLUMN a SET STATISTICS 500;',
  },
  {
    rule: 'drop-column',
    at: 'DROP COLUMN',
    bad: 'ALTER TABLE llama.plain DROP COLUMN b;',
    good: 'CREATE TABLE llama.fresh (a text, b text);\nALTER TABLE llama.fresh DROP COLUMN b;',
  },
  {
    rule: 'drop-table',
    at: 'DROP TABLE',
    bad: 'DROP TABLE llama.plain;',
    good: 'CREATE TABLE llama.fresh (a text);\nDROP TABLE llama.fresh;',
  },
  { rule: 'drop-schema', at: 'DROP SCHEMA', bad: 'DROP SCHEMA beside;', good: 'CREATE SCHEMA beside;' },
  { rule: 'drop-database', at: 'DROP DATABASE', bad: 'DROP DATABASE llama;', good: 'SELECT 1;' },
  {
    rule: 'drop-cascade',
    at: 'CASCADE',
    bad: 'DROP FUNCTION llama.known() CASCADE;',
    good: 'DROP FUNCTION llama.known();',
  },
  {
    rule: 'drop-not-null',
    at: 'DROP NOT NULL',
    bad: 'ALTER TABLE llama.events ALTER COLUMN kind DROP NOT NULL;',
    good: 'SELECT 1;',
  },
  { rule: 'truncate', at: 'TRUNCATE', bad: 'TRUNCATE llama.events CASCADE;', good: 'SELECT 1;' },
  {
    rule: 'undeclared-data-loss',
    at: 'DROP TABLE',
    bad: { up: 'CREATE TABLE llama.fresh (a text);', down: 'DROP TABLE llama.fresh;' },
    good: {
      head: '-- loses data of: fresh\n',
      up: 'CREATE TABLE llama.fresh (a text);',
      down: 'DROP TABLE llama.fresh;',
    },
  },

  // Partitions
  {
    rule: 'partition-of',
    at: 'PARTITION OF',
    bad: "CREATE TABLE llama.events_y2027m01 PARTITION OF llama.events FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00');",
    good: "SELECT llama.create_monthly_partition('events', '2027-01-01');",
  },
  {
    rule: 'partition-of',
    at: 'EXECUTE',
    bad: `DO $$
DECLARE
  leaf text := 'x';
BEGIN
  EXECUTE format('CREATE TABLE llama.%I PARTITION OF llama.events FOR VALUES FROM (%L) TO (%L)', leaf, 'a', 'b');
END $$;`,
    good: `DO $$ BEGIN PERFORM llama.create_monthly_partition('events', '2027-01-01'); END $$;`,
  },
  {
    rule: 'detach-not-concurrent',
    at: 'DETACH',
    bad: 'ALTER TABLE llama.events DETACH PARTITION llama.events_y2026m01;',
    good: { ts: sql('ALTER TABLE llama.events DETACH PARTITION llama.events_y2026m01 CONCURRENTLY') },
  },
  {
    rule: 'partition-bound-without-offset',
    at: 'FOR VALUES',
    bad: `CREATE TABLE llama.fresh (LIKE llama.events INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE llama.events ATTACH PARTITION llama.fresh
  FOR VALUES FROM ('2027-01-01') TO ('2027-02-01 00:00:00+00');`,
    good: `CREATE TABLE llama.fresh (LIKE llama.events INCLUDING ALL EXCLUDING IDENTITY);
ALTER TABLE llama.events ATTACH PARTITION llama.fresh
  FOR VALUES FROM ('2027-01-01 00:00:00+00') TO ('2027-02-01 00:00:00+00');`,
  },
  {
    rule: 'default-partition',
    at: 'ATTACH',
    bad: 'CREATE TABLE llama.rest (id bigint);\nALTER TABLE llama.events ATTACH PARTITION llama.rest DEFAULT;',
    good: 'SELECT llama.create_partitions_ahead();',
  },
  {
    rule: 'attach-without-check',
    at: 'ATTACH',
    bad: "ALTER TABLE llama.events ATTACH PARTITION llama.plain FOR VALUES FROM ('2027-01-01 00:00:00+00') TO (MAXVALUE);",
    good: `CREATE TABLE llama.leaf (id bigint, kind text, at timestamptz);
ALTER TABLE llama.leaf ADD CONSTRAINT fits CHECK (id > 0);
ALTER TABLE llama.events ATTACH PARTITION llama.leaf FOR VALUES FROM ('2027-01-01 00:00:00+00') TO (MAXVALUE);`,
  },
  {
    rule: 'like-copies-identity',
    at: 'LIKE',
    bad: 'CREATE TABLE llama.fresh (LIKE llama.events INCLUDING ALL);',
    good: 'CREATE TABLE llama.fresh (LIKE llama.events INCLUDING ALL EXCLUDING IDENTITY);',
  },

  // Tenants
  {
    rule: 'row-security-off',
    at: 'NO FORCE',
    bad: 'ALTER TABLE llama.plain NO FORCE ROW LEVEL SECURITY;',
    good: 'ALTER TABLE llama.plain FORCE ROW LEVEL SECURITY;',
  },
  {
    rule: 'floor-dropped',
    at: 'DROP POLICY',
    // A second restrictive policy keeps the table closed as a whole.
    bad: `CREATE POLICY second ON llama.records AS RESTRICTIVE TO application_role USING (tenant_id = ${tenant});
DROP POLICY floor ON llama.records;`,
    good: `DROP POLICY floor ON llama.records;
CREATE POLICY second ON llama.records AS RESTRICTIVE TO application_role USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-without-role',
    at: 'CREATE POLICY',
    bad: `CREATE POLICY p ON llama.records USING (tenant_id = ${tenant});`,
    good: `CREATE POLICY p ON llama.records TO application_role USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-setting-per-row',
    at: 'current_setting',
    bad: "CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''));",
    good: `CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-setting-empty',
    at: 'current_setting',
    bad: "CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = (SELECT current_setting('app.current_tenant_id', true)));",
    good: `CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-setting-empty',
    at: 'current_setting',
    bad: "CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = (SELECT nullif(current_setting('app.current_tenant_id'), '')));",
    good: `CREATE POLICY p ON llama.records TO application_role\n  USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'policy-casts-column',
    at: 'CREATE POLICY',
    bad: `CREATE POLICY p ON llama.records TO application_role USING (tenant_id::text = ${tenant});`,
    good: `CREATE POLICY p ON llama.records TO application_role USING (tenant_id = ${tenant}::text);`,
  },
  {
    rule: 'policy-with-or',
    at: 'CREATE POLICY',
    bad: `CREATE POLICY p ON llama.records TO application_role USING (tenant_id = ${tenant} OR note IS NULL);`,
    good: 'CREATE POLICY p ON llama.records TO admin_role USING (tenant_id IS NOT NULL OR note IS NULL);',
  },
  {
    rule: 'policy-always-true',
    at: 'CREATE POLICY',
    bad: 'CREATE POLICY p ON llama.records FOR SELECT TO analytics_role, application_role USING (true);',
    good: 'CREATE POLICY p ON llama.records FOR SELECT TO analytics_role USING (true);',
  },
  {
    rule: 'policy-without-role',
    at: 'ALTER POLICY',
    bad: 'ALTER POLICY floor ON llama.records TO PUBLIC;',
    good: 'ALTER POLICY floor ON llama.records TO application_role;',
  },
  {
    rule: 'policy-always-true',
    at: 'ALTER POLICY',
    bad: 'ALTER POLICY floor ON llama.records USING (true);',
    good: `ALTER POLICY floor ON llama.records USING (tenant_id = ${tenant});`,
  },
  {
    rule: 'view-passes-row-security',
    at: 'CREATE VIEW',
    bad: 'CREATE VIEW llama.v WITH (security_invoker = off) AS SELECT note FROM llama.records;',
    good: 'CREATE VIEW llama.v WITH (security_invoker = on) AS SELECT note FROM llama.records;',
  },
  {
    rule: 'view-passes-row-security',
    at: 'ALTER VIEW',
    bad: 'ALTER VIEW llama.v RESET (security_barrier);',
    good: 'ALTER VIEW llama.v SET (security_barrier = true);',
  },
  {
    rule: 'tenant-table-open',
    at: 'CREATE TABLE',
    also: ['tenant-column-nullable', 'tenant-table-not-audited', 'tenant-table-truncatable'],
    bad: 'CREATE TABLE llama.copied AS SELECT r.* FROM llama.records AS r WITH NO DATA;',
    good: 'CREATE TABLE llama.copied AS SELECT r.note FROM llama.records AS r WITH NO DATA;',
  },
  {
    rule: 'tenant-table-open',
    at: 'CREATE TABLE llama.child',
    also: ['tenant-table-not-audited', 'tenant-table-truncatable'],
    bad: 'CREATE TABLE llama.child () INHERITS (llama.records);',
    good: 'CREATE TABLE llama.child () INHERITS (llama.plain);',
  },
  {
    rule: 'definer-search-path',
    at: 'ALTER FUNCTION',
    bad: 'ALTER FUNCTION llama.known() RESET search_path;',
    good: 'ALTER FUNCTION llama.known() SET search_path = pg_catalog, pg_temp;',
  },
  {
    rule: 'definer-search-path',
    at: 'ALTER FUNCTION',
    bad: 'ALTER FUNCTION llama.f() SECURITY DEFINER;',
    good: 'ALTER FUNCTION llama.f() SECURITY DEFINER SET search_path = pg_catalog, pg_temp;',
  },
  {
    rule: 'trigger-dropped',
    at: 'DROP TRIGGER',
    bad: 'DROP TRIGGER t ON llama.records;',
    good: 'DROP TRIGGER t ON llama.records;\nCREATE TRIGGER t AFTER INSERT ON llama.records FOR EACH ROW EXECUTE FUNCTION llama.known();',
  },
  {
    rule: 'predefined-role',
    at: 'GRANT',
    bad: 'GRANT pg_read_all_data TO application_role;',
    good: 'GRANT pg_monitor TO somebody_else;',
  },
  {
    rule: 'table-owner',
    at: 'ALTER TABLE',
    bad: 'ALTER TABLE llama.plain OWNER TO admin_role;',
    good: 'ALTER TABLE llama.plain OWNER TO llama_owner;',
  },
  {
    rule: 'tenant-key-order',
    at: 'buildPartitionedIndex(pgm',
    bad: { ts: unique('(note, tenant_id, at)') },
    good: { ts: unique('(tenant_id, note, at)') },
  },
  {
    rule: 'view-passes-row-security',
    at: 'CREATE VIEW',
    bad: 'CREATE VIEW llama.notes AS SELECT note FROM llama.records;',
    good: 'CREATE VIEW llama.notes WITH (security_invoker = true) AS SELECT note FROM llama.records;',
  },
  {
    rule: 'forced-security-hides-rows',
    at: 'DELETE',
    bad: 'DELETE FROM llama.records WHERE note IS NULL;',
    good: 'SET LOCAL ROLE maintenance_role;\n-- lint allow backfill: a handful of rows\nDELETE FROM llama.records WHERE note IS NULL;',
  },
  {
    rule: 'tenant-table-open',
    at: 'CREATE TABLE',
    bad: without(' FORCE ROW LEVEL SECURITY,'),
    good: table,
  },
  {
    rule: 'audit-column-unsealed',
    at: 'ADD COLUMN',
    bad: 'ALTER TABLE llama.audit_trail\n  ADD COLUMN remark text;',
    good: 'ALTER TABLE llama.plain ADD COLUMN remark text;',
  },
  {
    rule: 'audit-trigger-leaves-role-out',
    at: 'CREATE TRIGGER watch',
    bad: `CREATE TRIGGER watch AFTER INSERT ON llama.plain FOR EACH STATEMENT
  WHEN (current_user <> 'import_writer') EXECUTE FUNCTION llama.write_audit_of_statement('plain');`,
    good: `CREATE TRIGGER watch AFTER INSERT ON llama.plain FOR EACH STATEMENT
  WHEN (current_user <> 'import_writer') EXECUTE FUNCTION llama.write_audit_of_statement('plain');
CREATE TRIGGER watch_import AFTER INSERT ON llama.plain FOR EACH STATEMENT
  WHEN (current_user = 'import_writer') EXECUTE FUNCTION llama.write_audit_of_import('plain');`,
  },

  // Privileges
  {
    rule: 'grant-too-much',
    at: 'GRANT',
    bad: 'GRANT SELECT, TRUNCATE ON llama.plain TO admin_role;',
    good: 'GRANT SELECT ON llama.plain TO admin_role;',
  },
  {
    rule: 'grant-too-much',
    at: 'GRANT',
    bad: 'GRANT ALL ON llama.plain TO admin_role;',
    good: 'REVOKE ALL ON llama.plain FROM admin_role;',
  },
  {
    rule: 'grant-on-leaf',
    at: 'GRANT',
    bad: 'GRANT SELECT ON llama.records_y2026m11 TO admin_role;',
    good: 'GRANT SELECT ON llama.records TO admin_role;',
  },
  {
    rule: 'grant-on-all-tables',
    at: 'GRANT',
    bad: 'GRANT SELECT ON ALL TABLES IN SCHEMA llama TO admin_role;',
    good: 'GRANT SELECT ON llama.plain, llama.events TO admin_role;',
  },
  {
    rule: 'default-privileges-grant',
    at: 'ALTER DEFAULT',
    bad: 'ALTER DEFAULT PRIVILEGES IN SCHEMA llama GRANT SELECT ON TABLES TO admin_role;',
    good: 'ALTER DEFAULT PRIVILEGES IN SCHEMA llama REVOKE SELECT ON TABLES FROM admin_role;',
  },
  {
    rule: 'grant-to-public',
    at: 'GRANT',
    bad: 'GRANT USAGE ON SCHEMA llama TO PUBLIC;',
    good: 'GRANT USAGE ON SCHEMA llama TO admin_role;',
  },
  {
    rule: 'grant-materialized-view',
    at: 'GRANT',
    bad: 'GRANT SELECT ON llama.summary TO application_role;',
    good: 'GRANT SELECT ON llama.summary TO analytics_role;',
  },
  {
    rule: 'grant-create-on-schema',
    at: 'GRANT',
    bad: 'GRANT CREATE ON SCHEMA llama TO audit_writer;',
    good: 'GRANT CREATE ON SCHEMA llama TO audit_writer;\nREVOKE CREATE ON SCHEMA llama FROM audit_writer;',
  },
  {
    rule: 'role-attributes',
    at: 'BYPASSRLS',
    bad: 'CREATE ROLE reader NOLOGIN\n  BYPASSRLS;',
    good: 'CREATE ROLE reader NOLOGIN;',
  },
  {
    rule: 'password-in-sql',
    at: 'PASSWORD',
    bad: "CREATE ROLE reader LOGIN\n  PASSWORD 'x';",
    good: 'CREATE ROLE reader LOGIN PASSWORD NULL;',
  },
  {
    rule: 'password-in-sql',
    at: 'dblink',
    bad: "SELECT extensions.dblink('host=a password=b');",
    good: "SELECT extensions.dblink('host=a');",
  },
  {
    rule: 'membership-inherits',
    at: 'GRANT',
    bad: 'GRANT application_role TO app_login;',
    good: 'GRANT application_role TO app_login WITH INHERIT FALSE, SET TRUE;',
  },

  // Functions
  {
    rule: 'definer-search-path',
    at: 'CREATE FUNCTION',
    bad: `CREATE FUNCTION llama.f() ${definer.replace(', pg_temp', '')} AS 'SELECT 1';\nREVOKE ALL ON FUNCTION llama.f() FROM PUBLIC;`,
    good: `CREATE FUNCTION llama.f() ${definer} AS 'SELECT 1';\nREVOKE ALL ON FUNCTION llama.f() FROM PUBLIC;`,
  },
  {
    rule: 'function-search-path',
    at: 'CREATE FUNCTION',
    bad: "CREATE FUNCTION llama.f() RETURNS void LANGUAGE sql AS 'SELECT 1';",
    good: "CREATE FUNCTION llama.f() RETURNS void LANGUAGE sql SET search_path = pg_catalog, pg_temp AS 'SELECT 1';",
  },
  {
    rule: 'definer-open-to-public',
    at: 'CREATE FUNCTION',
    bad: `CREATE FUNCTION llama.f() ${definer} AS 'SELECT 1';`,
    good: `CREATE FUNCTION llama.f() ${definer} AS 'SELECT 1';\nREVOKE ALL ON FUNCTION llama.f() FROM PUBLIC;`,
  },
  {
    rule: 'unqualified-name',
    at: 'FROM plain',
    bad: 'SELECT a\n  FROM plain;',
    good: 'SELECT a\n  FROM llama.plain;',
  },
  {
    rule: 'unqualified-name',
    at: 'INSERT INTO plain',
    bad: `CREATE FUNCTION llama.f() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF true THEN
    INSERT INTO plain VALUES (1);
  END IF;
END $$;`,
    good: `CREATE FUNCTION llama.f() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO llama.plain SELECT oid FROM pg_class;
END $$;`,
  },
  {
    rule: 'trigger-disabled',
    at: 'DISABLE TRIGGER',
    bad: 'ALTER TABLE llama.plain DISABLE TRIGGER ALL;',
    good: 'ALTER TABLE llama.plain ENABLE TRIGGER ALL;',
  },
  {
    rule: 'trigger-disabled',
    at: 'session_replication_role',
    bad: 'SET LOCAL session_replication_role = replica;',
    good: 'SET LOCAL session_replication_role = origin;',
  },

  // Session
  { rule: 'transaction-control', at: 'COMMIT', bad: 'SELECT 1;\nCOMMIT;', good: 'SELECT 1;' },
  {
    rule: 'timeout-off',
    at: 'lock_timeout',
    bad: 'SET LOCAL lock_timeout = 0;',
    good: "SET LOCAL lock_timeout = '2s';",
  },
  {
    rule: 'timeout-off',
    at: 'statement_timeout',
    bad: "SET LOCAL statement_timeout = '2h';",
    good: "SET LOCAL statement_timeout = '10min';",
  },
  {
    rule: 'session-setting',
    at: 'work_mem',
    bad: "SET work_mem = '1GB';",
    good: "SET LOCAL work_mem = '1GB';",
  },
  {
    rule: 'not-repeatable',
    at: 'pgm.sql',
    bad: { ts: sql('CREATE TABLE llama.fresh (a text)') },
    good: { ts: sql('CREATE TABLE IF NOT EXISTS llama.fresh (a text)') },
  },
  {
    rule: 'extension-as-owner',
    at: 'CREATE EXTENSION',
    bad: 'CREATE EXTENSION IF NOT EXISTS hypopg;',
    good: { head: '-- run as: login\n', up: 'CREATE EXTENSION IF NOT EXISTS hypopg;' },
  },
  {
    rule: 'not-on-azure',
    at: 'ALTER ROLE',
    bad: "ALTER ROLE admin_role SET app.mode = 'x';",
    good: "ALTER ROLE admin_role SET work_mem = '64MB';",
  },
  { rule: 'not-on-azure', at: 'ALTER SYSTEM', bad: "ALTER SYSTEM SET work_mem = '1GB';", good: 'SELECT 1;' },
  {
    rule: 'unlogged-table',
    at: 'UNLOGGED',
    bad: 'CREATE UNLOGGED TABLE llama.fresh (a text);',
    good: 'CREATE TABLE llama.fresh (a text);',
  },

  // Columns and names
  {
    rule: 'json-column',
    at: 'b json',
    bad: 'CREATE TABLE llama.fresh (\n  a text,\n  b json\n);',
    good: 'CREATE TABLE llama.fresh (b jsonb);',
  },
  {
    rule: 'timestamp-without-time-zone',
    at: 'b timestamp',
    bad: 'ALTER TABLE llama.plain ADD COLUMN b timestamp;',
    good: 'ALTER TABLE llama.plain ADD COLUMN b timestamptz;',
  },
  {
    rule: 'serial-column',
    at: 'bigserial',
    bad: 'CREATE TABLE llama.fresh (a bigserial);',
    good: 'CREATE TABLE llama.fresh (a bigint GENERATED ALWAYS AS IDENTITY);',
  },
  {
    rule: 'small-key',
    at: 'integer',
    bad: 'CREATE TABLE llama.fresh (a integer PRIMARY KEY);',
    good: 'CREATE TABLE llama.fresh (a bigint PRIMARY KEY, b integer);',
  },
  {
    rule: 'identifier-too-long',
    at: 'x'.repeat(64),
    bad: `CREATE TABLE llama.fresh (\n  "${'x'.repeat(64)}" text);`,
    good: `CREATE TABLE llama.fresh (\n  "${'x'.repeat(63)}" text);`,
  },

  // Files and allowances
  { rule: 'syntax-error', at: 'selekt', bad: 'SELECT 1;\nselekt 2;', good: 'SELECT 2;' },
  { rule: 'no-down', at: 'Up Migration', bad: { down: null }, good: 'SELECT 1;' },
  {
    rule: 'allowance-unused',
    at: 'lint allow',
    bad: '-- lint allow truncate: it was here once\nSELECT 1;',
    good: '-- lint allows this\nSELECT 1;',
  },
  {
    rule: 'allowance-without-reason',
    at: 'lint allow',
    bad: 'SELECT 1;\n-- lint allow truncate:\nSELECT 2;',
    good: '-- lint allow truncate: nothing lives there yet\nTRUNCATE llama.plain;',
  },
  {
    rule: 'allowance-of-no-rule',
    at: 'lint allow',
    bad: '-- lint allow tuncate: a slip\nSELECT 1;',
    good: 'SELECT 1;',
  },
];
