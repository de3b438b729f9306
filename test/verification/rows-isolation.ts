import { probeChecks, type Row } from './rows.ts';

const tenant = "(SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''))";
const bound = `tenant_id = ${tenant}`;

/** Another complete tenant table, for breaks that the real tables do not allow alone. */
export const notes = `
  SET LOCAL ROLE llama_owner;
  CREATE TABLE llama.notes (id uuid NOT NULL DEFAULT gen_random_uuid(), tenant_id varchar(100) NOT NULL, note text,
    CONSTRAINT notes_pkey PRIMARY KEY (tenant_id, id));
  ALTER TABLE llama.notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  CREATE POLICY notes_floor ON llama.notes AS RESTRICTIVE FOR ALL TO application_role USING (${bound}) WITH CHECK (${bound});
  CREATE POLICY notes_administration ON llama.notes FOR ALL TO admin_role USING (true);
  GRANT SELECT ON llama.notes TO admin_role;
  CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON llama.notes
    FOR EACH ROW EXECUTE FUNCTION llama.write_audit('notes', 'id', '');
  CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.notes
    FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
  ALTER TABLE llama.notes ENABLE ALWAYS TRIGGER audit_change;
  ALTER TABLE llama.notes ENABLE ALWAYS TRIGGER refuse_truncate;
  RESET ROLE;`;

/** Without its floor policy a table has only its permissive policies. */
const withoutFloor = (table: string, floor: string) => `DROP POLICY ${floor} ON llama.${table};`;

export const isolationRows: readonly Row[] = [
  { breaks: 'ISO-001', sql: `${notes} ALTER TABLE llama.notes DISABLE ROW LEVEL SECURITY` },
  { breaks: 'ISO-002', sql: 'ALTER TABLE llama.model_metrics NO FORCE ROW LEVEL SECURITY' },
  { breaks: 'ISO-003', sql: 'ALTER TABLE {leaf:model_metrics:0} DISABLE ROW LEVEL SECURITY' },
  { breaks: 'ISO-004', sql: 'GRANT SELECT ON {leaf:model_metrics:0} TO analytics_role' },
  { breaks: 'ISO-004', sql: 'GRANT SELECT (tenant_id) ON {leaf:model_metrics:0} TO PUBLIC' },
  {
    breaks: 'ISO-004',
    also: ['AUD-002', 'PAR-004', 'AUD-025'],
    because: 'a partition of a partition is a leaf too, but not a month',
    sql: `SET LOCAL ROLE llama_owner; DROP TABLE {leaf:model_metrics:-1};
      CREATE TABLE llama.model_metrics_parted (LIKE llama.model_metrics INCLUDING ALL) PARTITION BY RANGE ("timestamp");
      ALTER TABLE llama.model_metrics_parted ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
      ALTER TABLE llama.model_metrics ATTACH PARTITION llama.model_metrics_parted FOR VALUES FROM ({month:-1}) TO ({month:0});
      CREATE TABLE llama.model_metrics_half PARTITION OF llama.model_metrics_parted DEFAULT;
      ALTER TABLE llama.model_metrics_half ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
      GRANT SELECT ON llama.model_metrics_half TO analytics_role`,
  },
  {
    breaks: 'ISO-003',
    also: ['AUD-025', 'AUD-026'],
    because: 'an inheriting table has none of the policies of its parent',
    sql: `SET LOCAL ROLE llama_owner; CREATE TABLE llama.child () INHERITS (llama.tenant_configs)`,
  },
  { breaks: 'ISO-005', sql: 'CREATE POLICY open ON {leaf:model_metrics:0} TO application_role USING (true)' },
  { breaks: 'ISO-006', sql: withoutFloor('model_metrics', 'tenant_floor_metrics') },
  {
    breaks: 'ISO-006',
    because: 'OR opens the floor policy',
    sql: `ALTER POLICY tenant_floor_metrics ON llama.model_metrics
      USING (${bound} OR model_version = 'public') WITH CHECK (${bound})`,
  },
  {
    breaks: 'ISO-007',
    also: ['ISO-013'],
    because: 'it decides beside the existing policy',
    sql: 'CREATE POLICY wide ON llama.model_metrics FOR SELECT TO application_role USING (true)',
  },
  { breaks: 'ISO-008', sql: `CREATE POLICY everybody ON llama.model_metrics FOR SELECT USING (${bound})` },
  { breaks: 'ISO-009', sql: 'GRANT SELECT ON llama.model_metrics TO maintenance_role' },
  {
    breaks: 'ISO-010',
    also: ['ENC-017'],
    sql: `CREATE POLICY bare ON llama.detector_executions AS RESTRICTIVE FOR SELECT TO admin_role
      USING (tenant_id IS DISTINCT FROM current_setting('app.other', true))`,
  },
  {
    breaks: 'ISO-011',
    sql: `CREATE POLICY emptied ON llama.detector_executions AS RESTRICTIVE FOR SELECT TO analytics_role
      USING (tenant_id <> (SELECT current_setting('app.current_tenant_id', true)))`,
  },
  {
    breaks: 'ISO-012',
    sql: notes,
    bend: (snapshot) => {
      const table = snapshot.relations.find(({ name }) => name === 'notes');
      return {
        ...snapshot,
        columns: snapshot.columns.map((column) =>
          column.relation === table?.oid && column.name === 'tenant_id'
            ? { ...column, notNull: false }
            : column,
        ),
      };
    },
  },
  { breaks: 'ISO-020', sql: 'CREATE ROLE verify_role BYPASSRLS' },
  {
    breaks: 'ISO-021',
    also: ['ROL-013'],
    sql: 'GRANT admin_role TO verify_app WITH INHERIT FALSE, SET TRUE',
  },
  { breaks: 'ISO-021', also: ['ROL-013'], sql: 'GRANT analytics_role TO application_role' },
  { breaks: 'ISO-022', sql: 'GRANT SELECT ON llama.tenant_performance_summary TO application_role' },
  { breaks: 'ISO-022', sql: 'GRANT SELECT ON llama.tenant_performance_summary TO verify_app' },
  { breaks: 'ISO-023', sql: 'ALTER VIEW llama.tenant_performance RESET (security_barrier)' },
  {
    breaks: 'ISO-023',
    because: 'a new view without the tenant condition',
    sql: `SET LOCAL ROLE llama_owner;
      CREATE VIEW llama.versions WITH (security_barrier = true) AS SELECT model_version FROM llama.model_metrics;
      GRANT SELECT ON llama.versions TO application_role`,
  },
  {
    breaks: 'ISO-023',
    because: 'a join is bound on one side only, and the privilege is on a column',
    sql: `SET LOCAL ROLE llama_owner;
      CREATE VIEW llama.versions WITH (security_barrier = true) AS
        SELECT m.model_version FROM llama.model_metrics AS m JOIN llama.tenant_configs AS c ON true WHERE c.${bound};
      GRANT SELECT (model_version) ON llama.versions TO verify_app`,
  },
  {
    breaks: 'ISO-024',
    sql: 'ALTER FUNCTION llama.record_read(text, text, timestamptz) RESET search_path',
  },
  {
    breaks: 'ISO-024',
    because: 'pg_temp is searched first unless the path names it',
    sql: 'ALTER FUNCTION llama.record_read(text, text, timestamptz) SET search_path = llama',
  },
  {
    breaks: 'ISO-024',
    because: 'an empty path searches temporary objects before pg_catalog',
    sql: "ALTER FUNCTION llama.record_read(text, text, timestamptz) SET search_path = ''",
  },
  { breaks: 'ISO-025', sql: 'GRANT EXECUTE ON FUNCTION llama.scheduled_jobs() TO PUBLIC' },
  { breaks: 'ISO-026', sql: 'GRANT EXECUTE ON FUNCTION llama.apply_retention(integer) TO application_role' },
  { breaks: 'ISO-026', sql: 'GRANT EXECUTE ON FUNCTION llama.apply_retention(integer) TO verify_app' },
  { breaks: 'ISO-027', sql: 'GRANT TRIGGER ON llama.model_metrics TO analytics_role' },
  {
    breaks: 'ISO-028',
    sql: 'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner IN SCHEMA llama GRANT SELECT ON TABLES TO application_role',
  },
  {
    breaks: 'ISO-029',
    sql: 'ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC',
  },
  { breaks: 'ISO-030', sql: 'GRANT CREATE ON SCHEMA extensions TO maintenance_role' },
  { breaks: 'ISO-030', sql: 'CREATE ROLE verify_role; GRANT CREATE ON SCHEMA llama TO verify_role' },
  { breaks: 'ISO-030', sql: 'GRANT CREATE ON SCHEMA public TO verify_app' },
  { breaks: 'ISO-030', sql: 'GRANT CREATE ON DATABASE llama_mapper TO application_role' },
  {
    breaks: 'ISO-031',
    also: ['ISO-056'],
    because: 'the probe creates the temporary table too',
    sql: 'GRANT TEMPORARY ON DATABASE llama_mapper TO PUBLIC',
  },
  { breaks: 'ISO-031', sql: 'GRANT TEMPORARY ON DATABASE llama_mapper TO verify_app' },
  { breaks: 'ISO-032', sql: 'CREATE UNIQUE INDEX spanning ON llama.tenant_configs (detector_whitelist)' },
  {
    breaks: 'ISO-033',
    sql: `${notes} ALTER TABLE llama.notes ADD COLUMN other varchar(100) REFERENCES llama.tenant_configs (tenant_id);
      CREATE INDEX notes_other ON llama.notes (other)`,
  },
  { breaks: 'ISO-034', sql: 'GRANT SELECT ON SEQUENCE llama.schema_migrations_id_seq TO application_role' },
  { breaks: 'ISO-035', sql: 'ALTER FUNCTION llama.scheduled_jobs() LEAKPROOF' },
  { breaks: 'ISO-036', sql: 'CREATE RULE more AS ON DELETE TO llama.detector_executions DO ALSO NOTHING' },
  { breaks: 'ISO-037', sql: 'CREATE PUBLICATION outward FOR TABLE llama.tenant_configs' },
  { breaks: 'ISO-037', sql: 'CREATE PUBLICATION outward FOR ALL TABLES' },
  { breaks: 'ISO-038', sql: 'CREATE TABLE public.copied AS TABLE llama.model_metrics WITH NO DATA' },
  { breaks: 'ISO-039', sql: 'GRANT SELECT ON llama.model_metrics TO verify_app' },
  {
    breaks: 'ISO-040',
    also: ['SET-020'],
    sql: "ALTER DATABASE llama_mapper SET app.current_tenant_id = 'first'",
  },
  { breaks: 'ISO-050', sql: 'REVOKE INSERT ON llama.model_metrics FROM application_role' },
  {
    breaks: 'ISO-051',
    also: ['ISO-006', 'ISO-007', 'ISO-013'],
    because: 'without the floor policy the leaking policy is also reported as unbound',
    sql: `${withoutFloor('detector_executions', 'tenant_floor_executions')}
      CREATE POLICY leak ON llama.detector_executions FOR SELECT TO application_role USING (${tenant} IS NOT NULL)`,
  },
  {
    breaks: 'ISO-051',
    also: ['ISO-006', 'ISO-007'],
    because: 'the probe covers every tenant table of the catalog',
    sql: `${notes} DROP POLICY notes_floor ON llama.notes;
      CREATE POLICY leak ON llama.notes FOR SELECT TO application_role USING (${tenant} IS NOT NULL);
      GRANT SELECT ON llama.notes TO application_role; GRANT INSERT ON llama.notes TO admin_role`,
  },
  {
    breaks: 'ISO-006',
    because: 'a table that the probe cannot fill skips its checks',
    skips: probeChecks,
    sql: `${notes} ALTER TABLE llama.notes ADD CONSTRAINT never CHECK (false);
      DROP POLICY notes_floor ON llama.notes;
      GRANT INSERT ON llama.notes TO admin_role`,
  },
  {
    breaks: 'ISO-052',
    also: ['ISO-006', 'ISO-007', 'ISO-013'],
    because: 'without the floor policy the leaking policy is also reported as unbound',
    sql: `${withoutFloor('detector_executions', 'tenant_floor_executions')}
      CREATE POLICY leak ON llama.detector_executions FOR SELECT TO application_role USING (${tenant} IS NULL)`,
  },
  {
    breaks: 'ISO-053',
    also: ['ISO-006', 'ISO-007', 'ISO-013'],
    because: 'without the floor policy the leaking policy is also reported as unbound',
    sql: `${withoutFloor('detector_executions', 'tenant_floor_executions')}
      CREATE POLICY leak ON llama.detector_executions FOR INSERT TO application_role WITH CHECK (${tenant} IS NOT NULL)`,
  },
  {
    breaks: 'ISO-054',
    also: ['ISO-006', 'ISO-007', 'ISO-013', 'ISO-051'],
    because: 'a row must be visible to be changed',
    sql: `${withoutFloor('tenant_configs', 'tenant_floor_configs')}
      CREATE POLICY leak ON llama.tenant_configs TO application_role USING (${tenant} IS NOT NULL)`,
  },
  {
    breaks: 'ISO-055',
    also: ['ISO-004'],
    because: 'access to a leaf needs a privilege on it',
    sql: 'GRANT SELECT ON {leaf:model_metrics:0} TO application_role',
  },
  {
    breaks: 'ISO-056',
    also: ['AUD-007'],
    because: 'the grant is read and tried',
    sql: 'GRANT SET ON PARAMETER session_replication_role TO application_role',
  },
];
