-- Up Migration

CREATE FUNCTION llama.touch_updated_at() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  NEW.updated_at := now();
  RETURN NEW;
END
$$;

-- An update without a change keeps the time, so the audit trail records nothing.
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON llama.storage_records
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.touch_updated_at();
CREATE TRIGGER touch_updated_at BEFORE UPDATE ON llama.tenant_configs
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.touch_updated_at();

-- SECURITY DEFINER, because no role may write backup_status directly. Like the policies it is limited to the tenant of the
-- transaction.
CREATE FUNCTION llama.set_backup_status(
  record_id uuid,
  record_timestamp timestamptz,
  status text,
  blob_name text DEFAULT NULL
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  tenant text := nullif(current_setting('app.current_tenant_id', true), '');
BEGIN
  IF tenant IS NULL THEN
    RAISE EXCEPTION 'no tenant is set for this transaction'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Call llama.set_tenant_context first.';
  END IF;
  IF status IS NULL OR status NOT IN ('pending', 'completed', 'failed') THEN
    RAISE EXCEPTION 'backup status must be pending, completed or failed, not %', coalesce(status, 'NULL')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  UPDATE llama.storage_records AS r
     SET backup_status = status, s3_key = coalesce(blob_name, r.s3_key)
   WHERE r.tenant_id = tenant AND r.id = record_id AND r."timestamp" = record_timestamp
     -- A completed backup without a blob name cannot be found.
     AND (status <> 'completed' OR coalesce(blob_name, r.s3_key) <> '');
  IF NOT FOUND THEN
    RAISE EXCEPTION 'record % of this tenant at % does not exist, or has no blob name', record_id, record_timestamp
      USING ERRCODE = 'no_data_found';
  END IF;
END
$$;

COMMENT ON FUNCTION llama.set_backup_status(uuid, timestamptz, text, text) IS
  'Stores the result of the export to blob storage for a record of the transaction''s tenant';

REVOKE ALL ON FUNCTION llama.set_backup_status(uuid, timestamptz, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.set_backup_status(uuid, timestamptz, text, text) TO application_role, admin_role;

-- The key of a partitioned table contains the timestamp, so it does not stop a retry that repeats an id at a later time. The
-- lock makes a second transaction with the id wait; its next statement then sees the row of the first.
CREATE FUNCTION llama.claim_id(table_name text, tenant_id text, id uuid) RETURNS timestamptz
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET lock_timeout = '10s'
AS $$
DECLARE
  written timestamptz;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'llama.claim_id needs a READ COMMITTED transaction, not %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'invalid_transaction_state', HINT = 'A later snapshot has to see the row of a transaction that has just ended.';
  END IF;
  IF table_name IS NULL OR tenant_id IS NULL OR id IS NULL THEN
    RAISE EXCEPTION 'table, tenant and id must not be NULL' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  PERFORM pg_advisory_xact_lock(hashtextextended(format('llama.claim_id %s %s %s', table_name, id, tenant_id), 0));
  EXECUTE format('SELECT t."timestamp" FROM llama.%I AS t WHERE t.tenant_id = $1 AND t.id = $2 ORDER BY 1 LIMIT 1', table_name)
    INTO written USING tenant_id, id;
  RETURN written;
END
$$;

COMMENT ON FUNCTION llama.claim_id(text, text, uuid) IS
  'Claims an id for the rest of the transaction: NULL if no row has it, so that the caller inserts it; otherwise the time of that row';

REVOKE ALL ON FUNCTION llama.claim_id(text, text, uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.claim_id(text, text, uuid) TO application_role, admin_role;

-- The containment operator of jsonb is not leakproof, so under row-level security it is never an index condition, and a search
-- reads every row of the tenant. A caller of this function gets keys alone and reads the rows under its policies.
CREATE FUNCTION llama.find_records(
  wanted jsonb,
  since timestamptz,
  until timestamptz,
  before_timestamp timestamptz,
  before_id uuid,
  most integer
) RETURNS TABLE (record_id uuid, record_timestamp timestamptz)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The generic plan knows neither the months nor how rare the value is.
SET plan_cache_mode = force_custom_plan
-- The planner expects the document in one of a hundred rows. At the default cost of a page it would read all rows of the tenant.
SET random_page_cost = 1.1
AS $$
DECLARE
  tenant text := nullif(current_setting('app.current_tenant_id', true), '');
BEGIN
  IF tenant IS NULL THEN
    RAISE EXCEPTION 'no tenant is set for this transaction'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Call llama.set_tenant_context first.';
  END IF;
  RETURN QUERY
    SELECT r.id, r."timestamp" FROM llama.storage_records AS r
     WHERE r.tenant_id = tenant AND r.metadata @> wanted AND r."timestamp" >= since AND r."timestamp" < until
       AND (before_timestamp IS NULL OR (r."timestamp", r.id) < (before_timestamp, before_id))
     ORDER BY r."timestamp" DESC, r.id DESC
     LIMIT most;
END
$$;

COMMENT ON FUNCTION llama.find_records(jsonb, timestamptz, timestamptz, timestamptz, uuid, integer) IS
  'Keys of the tenant''s records whose metadata contains a document, newest first, by the index of the metadata';

REVOKE ALL ON FUNCTION llama.find_records(jsonb, timestamptz, timestamptz, timestamptz, uuid, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.find_records(jsonb, timestamptz, timestamptz, timestamptz, uuid, integer)
  TO application_role, admin_role;

-- A new owner needs CREATE on the schema at the moment of the change, and never again.
GRANT CREATE ON SCHEMA llama TO maintenance_owner;
ALTER FUNCTION llama.set_backup_status(uuid, timestamptz, text, text) OWNER TO maintenance_owner;
ALTER FUNCTION llama.find_records(jsonb, timestamptz, timestamptz, timestamptz, uuid, integer) OWNER TO maintenance_owner;
REVOKE CREATE ON SCHEMA llama FROM maintenance_owner;

-- Down Migration

SET LOCAL ROLE maintenance_owner;
DROP FUNCTION llama.find_records(jsonb, timestamptz, timestamptz, timestamptz, uuid, integer);
DROP FUNCTION llama.set_backup_status(uuid, timestamptz, text, text);
SET LOCAL ROLE llama_owner;

DROP FUNCTION llama.claim_id(text, text, uuid);
DROP TRIGGER touch_updated_at ON llama.tenant_configs;
DROP TRIGGER touch_updated_at ON llama.storage_records;
DROP FUNCTION llama.touch_updated_at();
