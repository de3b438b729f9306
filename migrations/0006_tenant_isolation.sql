-- Up Migration

GRANT USAGE ON SCHEMA llama TO application_role, admin_role, analytics_role, maintenance_role, maintenance_owner, audit_writer;

ALTER TABLE llama.storage_records ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.audit_trail ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.tenant_configs ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.model_metrics ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.detector_executions ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

-- The floor policies keep the application role within its tenant, even if a later policy is too permissive.
-- nullif: after SET LOCAL the setting stays '' for the rest of the session. The sub-select is evaluated once per query
-- instead of once per row.
CREATE POLICY tenant_floor_storage ON llama.storage_records AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_floor_audit ON llama.audit_trail AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_floor_configs ON llama.tenant_configs AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_floor_metrics ON llama.model_metrics AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_floor_executions ON llama.detector_executions AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));

CREATE POLICY tenant_isolation_storage ON llama.storage_records FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_audit ON llama.audit_trail FOR SELECT TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_configs ON llama.tenant_configs FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_metrics ON llama.model_metrics FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_executions ON llama.detector_executions FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));

-- One policy per role: an OR within the tenants' policy would prevent the use of its index.
CREATE POLICY admin_bypass_storage ON llama.storage_records FOR ALL TO admin_role USING (true) WITH CHECK (true);
CREATE POLICY admin_read_audit ON llama.audit_trail FOR SELECT TO admin_role USING (true);
CREATE POLICY admin_bypass_configs ON llama.tenant_configs FOR ALL TO admin_role USING (true) WITH CHECK (true);
CREATE POLICY admin_bypass_metrics ON llama.model_metrics FOR ALL TO admin_role USING (true) WITH CHECK (true);
CREATE POLICY admin_bypass_executions ON llama.detector_executions FOR ALL TO admin_role USING (true) WITH CHECK (true);

CREATE POLICY analytics_read_only ON llama.storage_records FOR SELECT TO analytics_role USING (true);
CREATE POLICY analytics_read_audit ON llama.audit_trail FOR SELECT TO analytics_role USING (true);
CREATE POLICY analytics_read_configs ON llama.tenant_configs FOR SELECT TO analytics_role USING (true);
CREATE POLICY analytics_read_metrics ON llama.model_metrics FOR SELECT TO analytics_role USING (true);
CREATE POLICY analytics_read_executions ON llama.detector_executions FOR SELECT TO analytics_role USING (true);

CREATE POLICY maintenance_read_storage ON llama.storage_records FOR SELECT TO maintenance_owner USING (true);
CREATE POLICY maintenance_erase_storage ON llama.storage_records FOR DELETE TO maintenance_owner USING (true);
CREATE POLICY maintenance_export_storage ON llama.storage_records FOR UPDATE TO maintenance_owner
  USING (true) WITH CHECK (true);
CREATE POLICY maintenance_read_configs ON llama.tenant_configs FOR SELECT TO maintenance_owner USING (true);
CREATE POLICY maintenance_read_metrics ON llama.model_metrics FOR SELECT TO maintenance_owner USING (true);
CREATE POLICY maintenance_read_executions ON llama.detector_executions FOR SELECT TO maintenance_owner USING (true);
CREATE POLICY maintenance_read_audit ON llama.audit_trail FOR SELECT TO maintenance_owner USING (true);
-- Conditions of policies are planned once per session. The server parses CHECK constraints anew in every statement, which takes
-- a tenth of the trail's time for one row.
CREATE POLICY maintenance_erase_audit ON llama.audit_trail FOR UPDATE TO maintenance_owner USING (true)
  WITH CHECK (erased_by IS NOT NULL AND erased_hash IS NOT NULL AND old_values IS NULL AND new_values IS NULL);

CREATE POLICY audit_append ON llama.audit_trail FOR INSERT TO audit_writer
  WITH CHECK (erased_by IS NULL AND erased_hash IS NULL);
CREATE POLICY audit_read_level ON llama.tenant_configs FOR SELECT TO audit_writer USING (true);

-- No role gets TRUNCATE: it bypasses row-level security.
GRANT SELECT, DELETE,
      INSERT (id, tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, "timestamp",
              metadata, s3_key, encrypted, correlation_id, azure_region),
      UPDATE (source_data_hash, mapped_data, model_version, detector_type, confidence_score, metadata, s3_key, encrypted,
              correlation_id, azure_region)
  ON llama.storage_records TO application_role;
-- All columns except sequence: its gaps reveal the activity of other tenants.
GRANT SELECT (id, tenant_id, table_name, record_id, operation, user_id, "timestamp", old_values, new_values, correlation_id,
              ip_address, user_agent, record_key, record_timestamp, content_hash, login, erased_by, erased_hash)
  ON llama.audit_trail TO application_role;
GRANT SELECT, UPDATE (confidence_threshold, detector_whitelist, detector_blacklist, custom_taxonomy_mappings)
  ON llama.tenant_configs TO application_role;
GRANT SELECT, INSERT ON llama.model_metrics, llama.detector_executions TO application_role;

GRANT SELECT, INSERT, UPDATE, DELETE
  ON llama.storage_records, llama.tenant_configs, llama.model_metrics, llama.detector_executions TO admin_role;
GRANT SELECT ON llama.audit_trail TO admin_role;

GRANT SELECT ON llama.storage_records, llama.tenant_configs, llama.model_metrics, llama.detector_executions TO analytics_role;
-- Enough to count changes by table and time, without users, addresses or values.
GRANT SELECT (id, tenant_id, table_name, operation, "timestamp", correlation_id) ON llama.audit_trail TO analytics_role;

GRANT SELECT, DELETE, UPDATE (backup_status, s3_key) ON llama.storage_records TO maintenance_owner;
-- lint allow grant-beyond-role: llama.guard_audit_row turns an update of erased_by into the removal of content, and allows no other
GRANT SELECT, UPDATE (erased_by) ON llama.audit_trail TO maintenance_owner;
GRANT SELECT (tenant_id, id, "timestamp") ON llama.model_metrics, llama.detector_executions TO maintenance_owner;
GRANT SELECT (tenant_id, storage_retention_days) ON llama.tenant_configs TO maintenance_owner;
GRANT SELECT ON llama.partitioned_tables TO maintenance_owner;

GRANT INSERT ON llama.audit_trail TO audit_writer;
GRANT USAGE ON SEQUENCE llama.audit_sequence TO audit_writer;
GRANT SELECT (tenant_id, audit_level) ON llama.tenant_configs TO audit_writer;

-- A client of one tenant may leave anything behind in a pooled session. The call removes what outlives a transaction, and
-- refuses the state that has already changed the caller's message or transaction (docs/isolation.md has the table).
-- lint allow session-setting: RESET ALL runs in the sessions that call the function, not in the migration
CREATE FUNCTION llama.set_tenant_context(
  tenant_id text,
  user_id text DEFAULT NULL,
  correlation_id uuid DEFAULT NULL,
  client_address inet DEFAULT NULL,
  user_agent text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  -- The first three are also the defaults of transaction_*; the server reads a whole message under the others.
  checked CONSTANT text[] := ARRAY['isolation', 'read_only', 'deferrable',
                                   'client_encoding', 'standard_conforming_strings', 'backslash_quote'];
  found text[];
  initial text[];
  remains record;
  replaced boolean := false;
BEGIN
  IF coalesce(tenant_id, '') = '' THEN
    RAISE EXCEPTION 'a tenant context needs a tenant id' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF length(tenant_id) > 100 THEN
    RAISE EXCEPTION 'a tenant id has at most 100 characters, not %', length(tenant_id)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  found := ARRAY[current_setting('default_transaction_isolation'), current_setting('default_transaction_read_only'),
                 current_setting('default_transaction_deferrable'), current_setting('client_encoding'),
                 current_setting('standard_conforming_strings'), current_setting('backslash_quote')];
  -- Also ends the search_path of this function, so that all names below carry their schema.
  RESET ALL;
  initial := ARRAY[pg_catalog.current_setting('default_transaction_isolation'),
                   pg_catalog.current_setting('default_transaction_read_only'),
                   pg_catalog.current_setting('default_transaction_deferrable'), pg_catalog.current_setting('client_encoding'),
                   pg_catalog.current_setting('standard_conforming_strings'), pg_catalog.current_setting('backslash_quote')];
  IF found OPERATOR(pg_catalog.<>) initial THEN
    FOR nth IN 1 .. 6 LOOP
      CONTINUE WHEN found[nth] OPERATOR(pg_catalog.=) initial[nth];
      CONTINUE WHEN nth OPERATOR(pg_catalog.<=) 3
        AND pg_catalog.current_setting(pg_catalog.concat('transaction_', checked[nth])) OPERATOR(pg_catalog.<>) found[nth];
      RAISE EXCEPTION '% was left at % in this session', CASE WHEN nth OPERATOR(pg_catalog.<=) 3
          THEN pg_catalog.concat('default_transaction_', checked[nth]) ELSE checked[nth] END, found[nth]
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = 'The server has begun this transaction or read this message with it.',
              HINT = 'Roll back, run RESET ALL, and begin the transaction again.';
    END LOOP;
  END IF;

  UNLISTEN *;
  DISCARD SEQUENCES;
  PERFORM pg_catalog.pg_advisory_unlock_all(),
          pg_catalog.setseed(pg_catalog.uuid_hash(pg_catalog.gen_random_uuid())::pg_catalog.float8
                             OPERATOR(pg_catalog./) 2147483648.0::pg_catalog.float8);
  -- Administrators may have temporary objects; a tenant may not.
  IF pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
     AND pg_catalog.pg_has_role('application_role', 'USAGE') THEN
    DISCARD TEMP;
  END IF;
  -- One query, because each costs microseconds of every request. Statements that a driver or a pooler prepares are not from
  -- SQL and stay.
  IF EXISTS (SELECT FROM pg_catalog.pg_prepared_statement() AS s WHERE s.from_sql)
     OR EXISTS (SELECT FROM pg_catalog.pg_cursor() AS c WHERE c.is_holdable)
     OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata AS l
                 WHERE l.lomowner OPERATOR(pg_catalog.=) current_user::pg_catalog.regrole::pg_catalog.oid) THEN
    FOR remains IN
      SELECT s.name, s.statement FROM pg_catalog.pg_prepared_statements AS s WHERE s.from_sql
      UNION ALL
      SELECT c.name, NULL FROM pg_catalog.pg_cursors AS c WHERE c.is_holdable
    LOOP
      IF remains.statement IS NULL THEN
        EXECUTE pg_catalog.format('CLOSE "%s"', pg_catalog.replace(remains.name, '"', '""'));
      ELSE
        EXECUTE pg_catalog.format('DEALLOCATE "%s"', pg_catalog.replace(remains.name, '"', '""'));
      END IF;
      replaced := replaced OR coalesce(remains.statement OPERATOR(pg_catalog.=) pg_catalog.current_query(), false);
    END LOOP;
    IF replaced THEN
      RAISE EXCEPTION 'the statement that calls llama.set_tenant_context was replaced in this session'
        USING ERRCODE = 'object_not_in_prerequisite_state',
              DETAIL = 'A client prepared another statement under its name, and the driver ran that one.',
              HINT = 'Roll back, close the connection, and call the function in a statement without a name.';
    END IF;
    -- Large objects belong to a role, and all tenants have the same. One session removes them, and no other waits for it.
    IF pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off'
       AND pg_catalog.pg_try_advisory_xact_lock(pg_catalog.hashtextextended('llama.set_tenant_context: large objects', 0)) THEN
      FOR remains IN
        SELECT l.oid FROM pg_catalog.pg_largeobject_metadata AS l
         WHERE l.lomowner OPERATOR(pg_catalog.=) current_user::pg_catalog.regrole::pg_catalog.oid
      LOOP
        PERFORM pg_catalog.lo_unlink(remains.oid);
      END LOOP;
    END IF;
  END IF;

  -- Local to the transaction: a session setting would reach the next user of a pooled connection. Missing arguments are
  -- emptied, so that no value of an earlier context in the same transaction remains.
  PERFORM pg_catalog.set_config('app.current_tenant_id', tenant_id, true),
          pg_catalog.set_config('app.current_user_id', coalesce(user_id, ''), true),
          pg_catalog.set_config('app.correlation_id', coalesce(correlation_id::pg_catalog.text, ''), true),
          pg_catalog.set_config('app.client_address', coalesce(pg_catalog.host(client_address), ''), true),
          pg_catalog.set_config('app.user_agent', coalesce(user_agent, ''), true);
END
$$;

COMMENT ON FUNCTION llama.set_tenant_context(text, text, uuid, inet, text) IS
  'Sets the tenant and the user for the rest of the transaction; call it first in every transaction';

GRANT EXECUTE ON FUNCTION llama.set_tenant_context(text, text, uuid, inet, text)
  TO application_role, admin_role, analytics_role, maintenance_role;

-- Down Migration

DROP FUNCTION llama.set_tenant_context(text, text, uuid, inet, text);

REVOKE ALL ON llama.storage_records, llama.audit_trail, llama.tenant_configs, llama.model_metrics, llama.detector_executions
  FROM application_role, admin_role, analytics_role, maintenance_role, maintenance_owner, audit_writer;
REVOKE ALL ON SEQUENCE llama.audit_sequence FROM audit_writer;
REVOKE ALL ON llama.partitioned_tables FROM maintenance_owner;

DO $$
DECLARE
  policy record;
BEGIN
  FOR policy IN
    SELECT p.polname, p.polrelid::pg_catalog.regclass AS relation
      FROM pg_catalog.pg_policy AS p
     WHERE p.polrelid IN ('llama.storage_records'::pg_catalog.regclass, 'llama.audit_trail'::pg_catalog.regclass,
                          'llama.tenant_configs'::pg_catalog.regclass, 'llama.model_metrics'::pg_catalog.regclass,
                          'llama.detector_executions'::pg_catalog.regclass)
  LOOP
    EXECUTE pg_catalog.format('DROP POLICY %I ON %s', policy.polname, policy.relation);
  END LOOP;
END
$$;

ALTER TABLE llama.storage_records DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.audit_trail DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.tenant_configs DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.model_metrics DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;
ALTER TABLE llama.detector_executions DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;

REVOKE USAGE ON SCHEMA llama FROM application_role, admin_role, analytics_role, maintenance_role, maintenance_owner, audit_writer;
