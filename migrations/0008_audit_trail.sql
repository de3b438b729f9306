-- Up Migration

-- A client's header must not make a write fail: long values are cut, invalid ones are left out.
CREATE FUNCTION llama.acting_client(
  OUT user_id text, OUT correlation_id uuid, OUT ip_address inet, OUT user_agent text
)
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  correlation text := nullif(current_setting('app.correlation_id', true), '');
  address text := nullif(current_setting('app.client_address', true), '');
BEGIN
  user_id := left(coalesce(nullif(current_setting('app.current_user_id', true), ''), SESSION_USER), 100);
  user_agent := left(coalesce(nullif(current_setting('app.user_agent', true), ''), nullif(current_setting('application_name', true), '')), 1000);
  -- The cast stands apart from the test, because the planner evaluates constant casts before the condition.
  IF pg_input_is_valid(correlation, 'uuid') THEN correlation_id := correlation::uuid; END IF;
  IF pg_input_is_valid(address, 'inet') THEN ip_address := address::inet; ELSE ip_address := inet_client_addr(); END IF;
END
$$;

COMMENT ON FUNCTION llama.acting_client() IS
  'User, request, address and program from the transaction''s context, or else from the connection';

-- A JSON value of 100 KB can have a text of more than 1 GB (1e131000 takes 12 bytes). No seal can hold it, and one such row
-- would stop sealing for every tenant. A version of a row may have 100 MiB: both versions in an audit row then fit into the
-- 255 MiB of a JSON value.
CREATE FUNCTION llama.require_sealable(content jsonb) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most constant integer := 100 * 1024 * 1024;
  fits boolean := pg_column_size(content) <= most;
BEGIN
  IF fits THEN
    BEGIN
      fits := octet_length(content::text) <= most;
    EXCEPTION WHEN program_limit_exceeded THEN
      fits := false;
    END;
  END IF;
  IF NOT fits THEN
    RAISE EXCEPTION 'the row is too large to be audited: it has at most 100 MiB as JSON text'
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Keep large content in blob storage, and its name in the row.';
  END IF;
END
$$;

COMMENT ON FUNCTION llama.require_sealable(jsonb) IS 'Refuses a row whose text a seal cannot hold';

-- SECURITY DEFINER, because roles that change rows must not be able to write the trail themselves. Arguments: the table's
-- name (TG_TABLE_NAME is the leaf's), the key column, the partition column or '', and 'erase' if the content must not
-- outlive the row.
CREATE FUNCTION llama.write_audit() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The hash of an erased row must not depend on the session's time zone.
SET timezone = 'UTC'
AS $$
DECLARE
  old_row jsonb;
  new_row jsonb;
  shown jsonb;
  tenant text;
  erased boolean := TG_NARGS > 3 AND TG_ARGV[3] = 'erase';
  correlation text := nullif(current_setting('app.correlation_id', true), '');
  address text := nullif(current_setting('app.client_address', true), '');
  acting_user text := left(coalesce(nullif(current_setting('app.current_user_id', true), ''), SESSION_USER), 100);
  agent text := left(coalesce(nullif(current_setting('app.user_agent', true), ''), nullif(current_setting('application_name', true), '')), 1000);
  correlation_id uuid;
  ip_address inet;
BEGIN
  IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
  IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
  shown := coalesce(new_row, old_row);
  tenant := shown ->> 'tenant_id';
  -- Not by a CHECK constraint, which takes 8 microseconds per audit row. A number takes at least 8 bytes and prints at most
  -- 131,072 digits, so a row below 8 KB needs no check. guard_record_size checks storage records.
  IF pg_column_size(new_row) > 8192 AND TG_ARGV[0] <> 'storage_records' THEN
    PERFORM llama.require_sealable(new_row);
  END IF;

  -- The same as llama.acting_client(), inline: a function call per row takes 8 of an update's 120 microseconds.
  IF pg_input_is_valid(correlation, 'uuid') THEN correlation_id := correlation::uuid; END IF;
  correlation_id := coalesce(correlation_id, (shown ->> 'correlation_id')::uuid);
  IF pg_input_is_valid(address, 'inet') THEN ip_address := address::inet; END IF;
  ip_address := coalesce(ip_address, inet_client_addr());

  -- One statement per branch, which also reads the tenant's audit level: every statement of a row trigger costs time for
  -- every changed row, and a separate SELECT would add a line to pgaudit's log.
  IF TG_OP = 'UPDATE' AND tenant IS NOT DISTINCT FROM old_row ->> 'tenant_id' THEN
    INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT tenant, TG_ARGV[0], CASE TG_ARGV[1] WHEN 'id' THEN (shown ->> 'id')::uuid END,
           shown ->> TG_ARGV[1], (shown ->> TG_ARGV[2])::timestamptz, TG_OP, acting_user,
           jsonb_object_agg(o.key, o.value), jsonb_object_agg(o.key, new_row -> o.key),
           correlation_id, ip_address, agent, SESSION_USER
      FROM jsonb_each(old_row) AS o
     WHERE new_row -> o.key IS DISTINCT FROM o.value
        OR (SELECT c.audit_level = 'verbose' FROM llama.tenant_configs AS c WHERE c.tenant_id = tenant);
  ELSIF TG_OP = 'UPDATE' THEN
    -- One row with both sides would show each tenant data of the other.
    INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT side.content ->> 'tenant_id', TG_ARGV[0],
           CASE TG_ARGV[1] WHEN 'id' THEN (side.content ->> 'id')::uuid END,
           side.content ->> TG_ARGV[1], (side.content ->> TG_ARGV[2])::timestamptz, side.operation, acting_user,
           CASE side.operation WHEN 'DELETE' THEN side.content END, CASE side.operation WHEN 'INSERT' THEN side.content END,
           correlation_id, ip_address, agent, SESSION_USER
      FROM (VALUES ('DELETE', old_row), ('INSERT', new_row)) AS side (operation, content);
  ELSE
    INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, content_hash, correlation_id, ip_address, user_agent, login)
    VALUES (tenant, TG_ARGV[0], CASE TG_ARGV[1] WHEN 'id' THEN (shown ->> 'id')::uuid END,
            shown ->> TG_ARGV[1], (shown ->> TG_ARGV[2])::timestamptz, TG_OP, acting_user,
            CASE WHEN NOT erased THEN old_row END,
            -- At "minimal" the inserted values are found in the row itself.
            CASE WHEN TG_OP = 'INSERT'
                  AND (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = tenant) IS DISTINCT FROM 'minimal'
                 THEN new_row END,
            CASE WHEN erased THEN encode(sha256(convert_to(old_row::text, 'UTF8')), 'hex') END,
            correlation_id, ip_address, agent, SESSION_USER);
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.write_audit() IS 'Row trigger of every audited table; tenant_configs.audit_level decides which values it stores';

CREATE FUNCTION llama.record_read(table_name text, record_key text, record_timestamp timestamptz DEFAULT NULL) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tenant text := nullif(current_setting('app.current_tenant_id', true), '');
  acting record := llama.acting_client();
  record_id uuid;
BEGIN
  IF tenant IS NULL THEN
    RAISE EXCEPTION 'no tenant is set for this transaction'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Call llama.set_tenant_context first.';
  END IF;
  -- A table of tenants has a column tenant_id and policies of its own; a partition has no policies.
  IF record_read.table_name IS NULL OR NOT EXISTS (
    SELECT FROM pg_attribute AS a
     WHERE a.attrelid = to_regclass(format('llama.%I', record_read.table_name))
       AND a.attname = 'tenant_id' AND NOT a.attisdropped
       AND EXISTS (SELECT FROM pg_policy AS p WHERE p.polrelid = a.attrelid)
  ) THEN
    RAISE EXCEPTION 'reads of table % are not audited', quote_nullable(record_read.table_name)
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF coalesce(record_read.record_key, '') = '' THEN
    RAISE EXCEPTION 'an audited read needs the key of the record' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF octet_length(record_read.record_key) > 8192 THEN
    RAISE EXCEPTION 'a key has at most 8192 bytes' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Sealing requires that a transaction has its id before its rows are numbered. A change has one by then, a read does not.
  PERFORM pg_current_xact_id();

  IF pg_input_is_valid(record_key, 'uuid') THEN record_id := record_key::uuid; END IF;

  INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                 correlation_id, ip_address, user_agent, login)
  VALUES (tenant, record_read.table_name, record_id, record_read.record_key, record_read.record_timestamp, 'SELECT',
          acting.user_id, acting.correlation_id, acting.ip_address, acting.user_agent, SESSION_USER);
END
$$;

COMMENT ON FUNCTION llama.record_read(text, text, timestamptz) IS
  'Writes a SELECT to the audit trail of the transaction''s tenant: triggers do not see reads';

REVOKE ALL ON FUNCTION llama.acting_client() FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.require_sealable(jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.write_audit() FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.record_read(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.record_read(text, text, timestamptz) TO application_role, admin_role, analytics_role;

-- The role decides whether a delete is an erasure, because any caller can change a setting. WHEN is evaluated as the
-- caller, before the function switches to its owner.
CREATE TRIGGER audit_change AFTER INSERT ON llama.storage_records
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.storage_records
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');
CREATE TRIGGER audit_delete AFTER DELETE ON llama.storage_records
  FOR EACH ROW WHEN (current_user <> 'maintenance_owner')
  EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');
CREATE TRIGGER audit_erasure AFTER DELETE ON llama.storage_records
  FOR EACH ROW WHEN (current_user = 'maintenance_owner')
  EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp', 'erase');

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.tenant_configs
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('tenant_configs', 'tenant_id', '');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.tenant_configs
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('tenant_configs', 'tenant_id', '');

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.model_metrics
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('model_metrics', 'id', 'timestamp');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.model_metrics
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('model_metrics', 'id', 'timestamp');

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.detector_executions
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('detector_executions', 'id', 'timestamp');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.detector_executions
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*)
  EXECUTE FUNCTION llama.write_audit('detector_executions', 'id', 'timestamp');

-- Grants already exclude every role. This trigger prevents mistakes of the owner, in leaves too (row triggers are cloned).
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON llama.audit_trail
  FOR EACH ROW EXECUTE FUNCTION llama.refuse_append_only_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON llama.audit_trail
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_append_only_change();

GRANT CREATE ON SCHEMA llama TO audit_writer;
ALTER FUNCTION llama.acting_client() OWNER TO audit_writer;
ALTER FUNCTION llama.require_sealable(jsonb) OWNER TO audit_writer;
ALTER FUNCTION llama.write_audit() OWNER TO audit_writer;
ALTER FUNCTION llama.record_read(text, text, timestamptz) OWNER TO audit_writer;
REVOKE CREATE ON SCHEMA llama FROM audit_writer;

-- The change of owner also moves the old owner's privileges. Without this grant the triggers cannot be cloned to a new
-- partition.
SET LOCAL ROLE audit_writer;
GRANT EXECUTE ON FUNCTION llama.write_audit() TO llama_owner;
SET LOCAL ROLE llama_owner;

-- Down Migration

DROP TRIGGER append_only_truncate ON llama.audit_trail;
DROP TRIGGER append_only ON llama.audit_trail;

DROP TRIGGER audit_update ON llama.detector_executions;
DROP TRIGGER audit_change ON llama.detector_executions;
DROP TRIGGER audit_update ON llama.model_metrics;
DROP TRIGGER audit_change ON llama.model_metrics;
DROP TRIGGER audit_update ON llama.tenant_configs;
DROP TRIGGER audit_change ON llama.tenant_configs;
DROP TRIGGER audit_erasure ON llama.storage_records;
DROP TRIGGER audit_delete ON llama.storage_records;
DROP TRIGGER audit_update ON llama.storage_records;
DROP TRIGGER audit_change ON llama.storage_records;

SET LOCAL ROLE audit_writer;
DROP FUNCTION llama.record_read(text, text, timestamptz);
DROP FUNCTION llama.write_audit();
DROP FUNCTION llama.require_sealable(jsonb);
DROP FUNCTION llama.acting_client();
SET LOCAL ROLE llama_owner;
