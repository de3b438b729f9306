-- Up Migration

-- Rows of another server. No login is a member of the role: llama-db import switches to it from the owner. It inserts and
-- deletes, but updates nothing. llama.write_audit_of_import() records its inserts.
GRANT USAGE ON SCHEMA llama TO import_writer;

CREATE POLICY import_read_storage ON llama.storage_records FOR SELECT TO import_writer USING (true);
CREATE POLICY import_add_storage ON llama.storage_records FOR INSERT TO import_writer WITH CHECK (true);
CREATE POLICY import_remove_storage ON llama.storage_records FOR DELETE TO import_writer USING (true);
CREATE POLICY import_read_configs ON llama.tenant_configs FOR SELECT TO import_writer USING (true);
CREATE POLICY import_add_configs ON llama.tenant_configs FOR INSERT TO import_writer WITH CHECK (true);
CREATE POLICY import_remove_configs ON llama.tenant_configs FOR DELETE TO import_writer USING (true);
CREATE POLICY import_read_metrics ON llama.model_metrics FOR SELECT TO import_writer USING (true);
CREATE POLICY import_add_metrics ON llama.model_metrics FOR INSERT TO import_writer WITH CHECK (true);
CREATE POLICY import_remove_metrics ON llama.model_metrics FOR DELETE TO import_writer USING (true);
CREATE POLICY import_read_executions ON llama.detector_executions FOR SELECT TO import_writer USING (true);
CREATE POLICY import_add_executions ON llama.detector_executions FOR INSERT TO import_writer WITH CHECK (true);
CREATE POLICY import_remove_executions ON llama.detector_executions FOR DELETE TO import_writer USING (true);
-- Which records others have written since: an import must not bring back what retention erased.
CREATE POLICY import_read_audit ON llama.audit_trail FOR SELECT TO import_writer USING (true);
-- llama.guard_sealed_record() refuses a record whose key its tenant does not have.
CREATE POLICY import_read_keys ON llama.data_keys FOR SELECT TO import_writer USING (true);

-- All columns but encrypted, which llama.guard_sealed_record() derives from the contents.
GRANT SELECT, DELETE,
      INSERT (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp",
              metadata, s3_key, created_at, updated_at, correlation_id, azure_region, backup_status)
  ON llama.storage_records TO import_writer;
GRANT SELECT, INSERT, DELETE ON llama.tenant_configs, llama.model_metrics, llama.detector_executions TO import_writer;
GRANT SELECT (tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_agent, sequence, "timestamp")
  ON llama.audit_trail TO import_writer;
GRANT SELECT (tenant_id, key_id, purpose, state) ON llama.data_keys TO import_writer;
GRANT EXECUTE ON FUNCTION llama.data_key_of(text), llama.data_key_of(bytea), llama.data_key_of(jsonb),
                          llama.has_data_key(text, uuid)
  TO import_writer;
SET LOCAL ROLE audit_writer;
GRANT EXECUTE ON FUNCTION llama.json_text_size(jsonb, integer) TO import_writer;
SET LOCAL ROLE llama_owner;

-- Down Migration

SET LOCAL ROLE audit_writer;
REVOKE ALL ON FUNCTION llama.json_text_size(jsonb, integer) FROM import_writer;
SET LOCAL ROLE llama_owner;
REVOKE ALL ON FUNCTION llama.data_key_of(text), llama.data_key_of(bytea), llama.data_key_of(jsonb),
                       llama.has_data_key(text, uuid)
  FROM import_writer;
REVOKE ALL ON llama.storage_records, llama.tenant_configs, llama.model_metrics, llama.detector_executions, llama.audit_trail,
              llama.data_keys
  FROM import_writer;

DROP POLICY import_read_keys ON llama.data_keys;
DROP POLICY import_read_audit ON llama.audit_trail;
DROP POLICY import_remove_executions ON llama.detector_executions;
DROP POLICY import_add_executions ON llama.detector_executions;
DROP POLICY import_read_executions ON llama.detector_executions;
DROP POLICY import_remove_metrics ON llama.model_metrics;
DROP POLICY import_add_metrics ON llama.model_metrics;
DROP POLICY import_read_metrics ON llama.model_metrics;
DROP POLICY import_remove_configs ON llama.tenant_configs;
DROP POLICY import_add_configs ON llama.tenant_configs;
DROP POLICY import_read_configs ON llama.tenant_configs;
DROP POLICY import_remove_storage ON llama.storage_records;
DROP POLICY import_add_storage ON llama.storage_records;
DROP POLICY import_read_storage ON llama.storage_records;

REVOKE USAGE ON SCHEMA llama FROM import_writer;
