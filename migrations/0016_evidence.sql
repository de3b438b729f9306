-- Up Migration

-- Evidence about the platform itself: how long partitions are kept, and which release found which head of the audit trail.
-- Changes of it are audited like those of tenants. The rows have an empty tenant_id: they belong to no tenant, and no tenant
-- can have that id.
CREATE FUNCTION llama.write_platform_audit() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- Verification compares the recorded instants with the rows.
SET timezone = 'UTC'
AS $$
DECLARE
  old_row jsonb;
  new_row jsonb;
  acting record := llama.acting_client();
BEGIN
  IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
  IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
  INSERT INTO llama.audit_trail (tenant_id, table_name, record_key, operation, user_id, old_values, new_values,
                                 correlation_id, ip_address, user_agent, login)
  VALUES ('', TG_TABLE_NAME, coalesce(new_row, old_row) ->> TG_ARGV[0], TG_OP, acting.user_id, old_row, new_row,
          acting.correlation_id, acting.ip_address, acting.user_agent, SESSION_USER);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.write_platform_audit() IS
  'Row trigger of tables that belong to no tenant; its argument is the key column';

REVOKE ALL ON FUNCTION llama.write_platform_audit() FROM PUBLIC;
GRANT CREATE ON SCHEMA llama TO audit_writer;
ALTER FUNCTION llama.write_platform_audit() OWNER TO audit_writer;
REVOKE CREATE ON SCHEMA llama FROM audit_writer;

SET LOCAL ROLE audit_writer;
GRANT EXECUTE ON FUNCTION llama.write_platform_audit() TO llama_owner;
SET LOCAL ROLE llama_owner;

CREATE TRIGGER audit_platform AFTER INSERT OR UPDATE OR DELETE ON llama.partitioned_tables
  FOR EACH ROW EXECUTE FUNCTION llama.write_platform_audit('table_name');
CREATE TRIGGER audit_platform AFTER INSERT OR UPDATE OR DELETE ON llama.releases
  FOR EACH ROW EXECUTE FUNCTION llama.write_platform_audit('id');

-- A release is recorded once. Anyone who verifies the trail compares the heads in it.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON llama.releases
  FOR EACH ROW EXECUTE FUNCTION llama.refuse_append_only_change();
GRANT SELECT ON llama.releases TO admin_role;

-- Leaves have theirs from llama.create_monthly_partition. The trail and its seals have append_only_truncate.
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.storage_records
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.tenant_configs
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.model_metrics
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.detector_executions
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.data_keys
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.encrypted_columns
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.partitioned_tables
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.audit_sealing
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.releases
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.schema_migrations
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.pgmigrations
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate();

-- Under session_replication_role = replica, and in the apply worker of a subscription, only triggers that are enabled ALWAYS
-- fire. Recording and the refusals above must not depend on a setting of the session. The guards of the trail and its seals
-- stay as they are: a change under that setting contradicts the chain.
DO $$
DECLARE
  trigger record;
BEGIN
  FOR trigger IN
    SELECT t.tgrelid::pg_catalog.regclass AS relation, t.tgname AS name
      FROM pg_catalog.pg_trigger AS t
      JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
      JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
     WHERE c.relnamespace = 'llama'::pg_catalog.regnamespace AND t.tgparentid = 0 AND NOT t.tgisinternal
       AND (p.prosrc ~* 'INSERT\s+INTO\s+llama\.audit_trail' OR p.proname = 'refuse_truncate'
            OR c.relname = 'releases')
     ORDER BY 1, 2
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE ALWAYS TRIGGER %I', trigger.relation, trigger.name);
  END LOOP;
END
$$;

-- Down Migration

DO $$
DECLARE
  trigger record;
BEGIN
  FOR trigger IN
    SELECT t.tgrelid::pg_catalog.regclass AS relation, t.tgname AS name
      FROM pg_catalog.pg_trigger AS t
      JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
     WHERE c.relnamespace = 'llama'::pg_catalog.regnamespace AND t.tgparentid = 0 AND NOT t.tgisinternal
       AND t.tgenabled = 'A' AND t.tgname <> 'refuse_truncate'
     ORDER BY 1, 2
  LOOP
    EXECUTE pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %I', trigger.relation, trigger.name);
  END LOOP;
END
$$;

DROP TRIGGER refuse_truncate ON llama.pgmigrations;
DROP TRIGGER refuse_truncate ON llama.schema_migrations;
DROP TRIGGER refuse_truncate ON llama.releases;
DROP TRIGGER refuse_truncate ON llama.audit_sealing;
DROP TRIGGER refuse_truncate ON llama.partitioned_tables;
DROP TRIGGER refuse_truncate ON llama.encrypted_columns;
DROP TRIGGER refuse_truncate ON llama.data_keys;
DROP TRIGGER refuse_truncate ON llama.detector_executions;
DROP TRIGGER refuse_truncate ON llama.model_metrics;
DROP TRIGGER refuse_truncate ON llama.tenant_configs;
DROP TRIGGER refuse_truncate ON llama.storage_records;

REVOKE SELECT ON llama.releases FROM admin_role;
DROP TRIGGER append_only ON llama.releases;
DROP TRIGGER audit_platform ON llama.releases;
DROP TRIGGER audit_platform ON llama.partitioned_tables;

SET LOCAL ROLE audit_writer;
DROP FUNCTION llama.write_platform_audit();
SET LOCAL ROLE llama_owner;
