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

-- Under session_replication_role = replica, and in the apply worker of a subscription, only triggers that are enabled ALWAYS or
-- REPLICA fire, and in the worker only those of rows. Recording and refusing must not depend on it. Partitioned tables have
-- triggers for this case alone, whatever records their changes otherwise. The guards of the trail and its seals stay as they
-- are: a change under that setting contradicts the chain.
CREATE TRIGGER audit_replica AFTER INSERT OR DELETE ON llama.storage_records
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');
CREATE TRIGGER audit_replica_update AFTER UPDATE ON llama.storage_records
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');
-- lint allow trigger-disabled: these triggers are for sessions in which no other audit trigger fires
ALTER TABLE llama.storage_records ENABLE REPLICA TRIGGER audit_replica, ENABLE REPLICA TRIGGER audit_replica_update,
  ENABLE ALWAYS TRIGGER refuse_truncate;
CREATE TRIGGER audit_replica AFTER INSERT OR DELETE ON llama.model_metrics
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('model_metrics', 'id', 'timestamp');
CREATE TRIGGER audit_replica_update AFTER UPDATE ON llama.model_metrics
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('model_metrics', 'id', 'timestamp');
-- lint allow trigger-disabled: these triggers are for sessions in which no other audit trigger fires
ALTER TABLE llama.model_metrics ENABLE REPLICA TRIGGER audit_replica, ENABLE REPLICA TRIGGER audit_replica_update,
  ENABLE ALWAYS TRIGGER refuse_truncate;
CREATE TRIGGER audit_replica AFTER INSERT OR DELETE ON llama.detector_executions
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('detector_executions', 'id', 'timestamp');
CREATE TRIGGER audit_replica_update AFTER UPDATE ON llama.detector_executions
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('detector_executions', 'id', 'timestamp');
-- lint allow trigger-disabled: these triggers are for sessions in which no other audit trigger fires
ALTER TABLE llama.detector_executions ENABLE REPLICA TRIGGER audit_replica, ENABLE REPLICA TRIGGER audit_replica_update,
  ENABLE ALWAYS TRIGGER refuse_truncate;

ALTER TABLE llama.tenant_configs ENABLE ALWAYS TRIGGER audit_change, ENABLE ALWAYS TRIGGER audit_update, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE llama.data_keys ENABLE ALWAYS TRIGGER audit_change, ENABLE ALWAYS TRIGGER audit_update, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE llama.encrypted_columns ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE llama.partitioned_tables ENABLE ALWAYS TRIGGER audit_platform, ENABLE ALWAYS TRIGGER refuse_truncate;
ALTER TABLE llama.audit_sealing ENABLE ALWAYS TRIGGER refuse_truncate;

-- The runner makes these tables before the first migration. A release is recorded once; anyone who verifies the trail
-- compares the heads in it.
DO $$
DECLARE
  name text;
BEGIN
  FOREACH name IN ARRAY ARRAY['releases', 'schema_migrations', 'pgmigrations'] LOOP
    CONTINUE WHEN pg_catalog.to_regclass('llama.' || name) IS NULL;
    EXECUTE pg_catalog.format(
      'CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.%I FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate()', name);
    EXECUTE pg_catalog.format('ALTER TABLE llama.%I ENABLE ALWAYS TRIGGER refuse_truncate', name);
    CONTINUE WHEN name <> 'releases';
    CREATE TRIGGER audit_platform AFTER INSERT OR UPDATE OR DELETE ON llama.releases
      FOR EACH ROW EXECUTE FUNCTION llama.write_platform_audit('id');
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON llama.releases
      FOR EACH ROW EXECUTE FUNCTION llama.refuse_append_only_change();
    ALTER TABLE llama.releases ENABLE ALWAYS TRIGGER audit_platform, ENABLE ALWAYS TRIGGER append_only;
    GRANT SELECT ON llama.releases TO admin_role;
  END LOOP;
END
$$;

-- Down Migration

ALTER TABLE llama.data_keys ENABLE TRIGGER audit_change, ENABLE TRIGGER audit_update;
ALTER TABLE llama.tenant_configs ENABLE TRIGGER audit_change, ENABLE TRIGGER audit_update;
DROP TRIGGER audit_replica_update ON llama.detector_executions;
DROP TRIGGER audit_replica ON llama.detector_executions;
DROP TRIGGER audit_replica_update ON llama.model_metrics;
DROP TRIGGER audit_replica ON llama.model_metrics;
DROP TRIGGER audit_replica_update ON llama.storage_records;
DROP TRIGGER audit_replica ON llama.storage_records;

DROP TRIGGER IF EXISTS refuse_truncate ON llama.pgmigrations;
DROP TRIGGER IF EXISTS refuse_truncate ON llama.schema_migrations;
DROP TRIGGER IF EXISTS refuse_truncate ON llama.releases;
DROP TRIGGER refuse_truncate ON llama.audit_sealing;
DROP TRIGGER refuse_truncate ON llama.partitioned_tables;
DROP TRIGGER refuse_truncate ON llama.encrypted_columns;
DROP TRIGGER refuse_truncate ON llama.data_keys;
DROP TRIGGER refuse_truncate ON llama.detector_executions;
DROP TRIGGER refuse_truncate ON llama.model_metrics;
DROP TRIGGER refuse_truncate ON llama.tenant_configs;
DROP TRIGGER refuse_truncate ON llama.storage_records;

DO $$
BEGIN
  IF pg_catalog.to_regclass('llama.releases') IS NOT NULL THEN
    REVOKE SELECT ON llama.releases FROM admin_role;
    DROP TRIGGER append_only ON llama.releases;
    DROP TRIGGER audit_platform ON llama.releases;
  END IF;
END
$$;
DROP TRIGGER audit_platform ON llama.partitioned_tables;

SET LOCAL ROLE audit_writer;
DROP FUNCTION llama.write_platform_audit();
SET LOCAL ROLE llama_owner;
