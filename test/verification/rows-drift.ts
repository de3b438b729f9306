import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { otherMigrations, type Row } from './rows.ts';

const owned = (sql: string) => `SET LOCAL ROLE llama_owner; ${sql}; RESET ROLE`;

/** Changes that no migration makes. Only the comparison with the migrations finds them, unless `also` names another check. */
export const driftRows: readonly Row[] = [
  {
    breaks: 'DRI-015',
    because: 'a privilege on a column of a leaf',
    also: ['ISO-004'],
    sql: 'GRANT SELECT (tenant_id) ON {leaf:model_metrics:0} TO analytics_role',
  },
  {
    breaks: 'DRI-001',
    sql: owned('CREATE VIEW llama.months WITH (security_barrier = true) AS SELECT 1 AS month'),
  },
  { breaks: 'DRI-001', because: 'a type', sql: owned("CREATE TYPE llama.colour AS ENUM ('red')") },
  {
    breaks: 'DRI-001',
    because: 'a statistics object',
    sql: owned('CREATE STATISTICS llama.pair ON model_version, metric_type FROM llama.model_metrics'),
  },
  {
    breaks: 'DRI-019',
    sql: 'ALTER TABLE llama.tenant_configs ALTER COLUMN confidence_threshold TYPE numeric(6, 4)',
  },
  {
    breaks: 'DRI-019',
    also: ['DRI-010'],
    because: 'the grant on the column goes with it',
    sql: 'ALTER TABLE llama.tenant_configs DROP COLUMN detector_blacklist',
  },
  { breaks: 'DRI-019', sql: 'ALTER TABLE llama.releases ALTER COLUMN outcome DROP NOT NULL' },
  {
    breaks: 'DRI-019',
    because: 'a table, which other checks can no longer read',
    skips: ['AUD-013'],
    sql: 'DROP TABLE llama.audit_sealing',
  },
  { breaks: 'DRI-002', sql: 'ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level DROP DEFAULT' },
  { breaks: 'DRI-002', sql: 'ALTER TABLE llama.tenant_configs ADD COLUMN seen timestamptz' },
  { breaks: 'DRI-002', sql: 'ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level SET STATISTICS 500' },
  { breaks: 'DRI-003', sql: 'ALTER TABLE llama.storage_records DROP CONSTRAINT valid_metadata' },
  {
    breaks: 'DRI-003',
    sql: "ALTER TABLE llama.tenant_configs ADD CONSTRAINT later CHECK (tenant_id <> '-')",
  },
  { breaks: 'DRI-004', sql: 'CREATE INDEX levels ON llama.tenant_configs (audit_level)' },
  { breaks: 'DRI-018', sql: 'DROP INDEX llama.idx_model_metrics_version_type' },
  {
    breaks: 'DRI-018',
    because: 'another index under its name',
    sql: `DROP INDEX llama.idx_model_metrics_version_type;
      CREATE INDEX idx_model_metrics_version_type ON llama.model_metrics (model_version, metric_type)`,
  },
  {
    breaks: 'DRI-005',
    sql: `CREATE POLICY narrower ON llama.model_metrics AS RESTRICTIVE FOR SELECT TO analytics_role USING (metric_value >= 0)`,
  },
  {
    breaks: 'DRI-006',
    sql: `CREATE OR REPLACE FUNCTION llama.analyze_partitioned_tables() RETURNS void LANGUAGE sql
      SET search_path = pg_catalog, pg_temp AS 'SELECT'`,
  },
  { breaks: 'DRI-006', sql: 'ALTER FUNCTION llama.analyze_partitioned_tables() COST 7' },
  {
    breaks: 'DRI-006',
    sql: 'ALTER FUNCTION llama.analyze_partitioned_tables() RENAME TO analyse_partitioned_tables',
  },
  {
    breaks: 'DRI-007',
    sql: `CREATE TRIGGER second_touch BEFORE UPDATE OF audit_level ON llama.tenant_configs
      FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
  },
  {
    breaks: 'DRI-008',
    sql: `CREATE OR REPLACE VIEW llama.tenant_performance WITH (security_barrier = true) AS
      SELECT s.tenant_id, s.hour, s.total_requests, s.avg_confidence, s.p95_confidence, s.high_confidence_count
      FROM llama.tenant_performance_summary AS s
      WHERE s.tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')) AND s.total_requests > 1`,
  },
  { breaks: 'DRI-009', sql: 'ALTER TABLE llama.tenant_configs SET (fillfactor = 90)' },
  { breaks: 'DRI-010', sql: 'GRANT SELECT ON llama.partitioned_tables TO analytics_role' },
  { breaks: 'DRI-010', sql: 'REVOKE SELECT ON llama.detector_executions FROM analytics_role' },
  {
    breaks: 'DRI-010',
    because: 'a column',
    sql: 'GRANT SELECT (table_name) ON llama.partitioned_tables TO analytics_role',
  },
  { breaks: 'DRI-011', sql: 'ALTER FUNCTION llama.analyze_partitioned_tables() OWNER TO maintenance_owner' },
  {
    breaks: 'DRI-012',
    sql: 'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner IN SCHEMA llama GRANT USAGE ON TYPES TO admin_role',
  },
  { breaks: 'DRI-013', also: ['SET-020'], sql: "ALTER ROLE analytics_role SET work_mem = '64MB'" },
  { breaks: 'DRI-013', also: ['SET-020'], sql: "ALTER DATABASE llama_mapper SET work_mem = '64MB'" },
  { breaks: 'DRI-014', sql: 'CREATE EXTENSION citext WITH SCHEMA extensions' },
  { breaks: 'DRI-015', sql: 'ALTER TABLE {leaf:model_metrics:0} SET (fillfactor = 90)' },
  {
    breaks: 'DRI-015',
    because: 'a default of its own',
    sql: 'ALTER TABLE {leaf:model_metrics:0} ALTER COLUMN metadata DROP DEFAULT',
  },
  {
    breaks: 'DRI-015',
    because: 'an index of its own',
    sql: 'CREATE INDEX alone ON {leaf:model_metrics:0} (metric_value)',
  },
  {
    breaks: 'DRI-015',
    because: 'a constraint of its own',
    sql: 'ALTER TABLE {leaf:model_metrics:0} ADD CHECK (metric_value < 1000)',
  },
  { breaks: 'DRI-016', sql: "COMMENT ON TABLE llama.tenant_configs IS 'ask Bob'" },
  { breaks: 'DRI-016', sql: 'COMMENT ON FUNCTION llama.create_monthly_partition(text, date) IS NULL' },
  {
    breaks: 'DRI-017',
    because: 'the manifest lacks a migration',
    skips: otherMigrations.skips,
    files: (directory) => {
      const manifest = JSON.parse(readFileSync(join(directory, 'schema.json'), 'utf8'));
      manifest.migrations.pop();
      writeFileSync(join(directory, 'schema.json'), JSON.stringify(manifest));
    },
  },
];
