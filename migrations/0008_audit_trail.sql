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

-- A JSON value of 100 KB can have a text of more than 1 GB (1e131000 takes 12 bytes), and printing it takes seconds that
-- nothing can cancel. The digits of its numbers are therefore counted first: those after the point exactly, those before it
-- up to a tenth too low. Not jsonb_path_query(), whose time grows with the square of its results.
CREATE FUNCTION llama.json_text_size(content jsonb, most integer) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  lengths constant integer[] := ARRAY(SELECT (64 * 1.1 ^ n)::integer FROM generate_series(0, 79) AS n);
  powers constant numeric[] := ARRAY(SELECT ('1e' || length)::numeric FROM unnest(lengths) AS length);
  digits bigint;
BEGIN
  IF pg_column_size(content) > most THEN RETURN most + 1::bigint; END IF;
  SELECT sum(scale(n.value::numeric) + coalesce(lengths[width_bucket(abs(n.value::numeric), powers)], 0)) INTO digits
    FROM jsonb_array_elements(jsonb_path_query_array(content, 'strict $.** ? (@.type() == "number")')) AS n;
  IF digits > most THEN RETURN most + 1::bigint; END IF;
  RETURN octet_length(content::text);
END
$$;

COMMENT ON FUNCTION llama.json_text_size(jsonb, integer) IS
  'Bytes of a JSON value as text; some number above the limit if it is longer, found without making the text';

-- No seal can hold a text of 1 GB, and one such row would stop sealing for every tenant. A version of a row may have
-- 100 MiB: both versions in an audit row then fit into the 255 MiB of a JSON value.
CREATE FUNCTION llama.require_sealable(content jsonb) RETURNS jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most constant integer := 100 * 1024 * 1024;
BEGIN
  IF llama.json_text_size(content, most) > most THEN
    RAISE EXCEPTION 'the row is too large to be audited: it has at most 100 MiB as JSON text'
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Keep large content in blob storage, and its name in the row.';
  END IF;
  RETURN content;
END
$$;

COMMENT ON FUNCTION llama.require_sealable(jsonb) IS 'Returns its argument, or refuses a row whose text a seal cannot hold';

-- SECURITY DEFINER, because roles that change rows must not be able to write the trail themselves. Arguments: the table's
-- name (TG_TABLE_NAME is the leaf's), the key column, and the partition column or ''. BEFORE UPDATE is for rows that move to
-- another month.
CREATE FUNCTION llama.write_audit() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
  old_row jsonb;
  new_row jsonb;
  acting record := llama.acting_client();
  -- The first 48 bits of an id are milliseconds (as in version 7 of UUIDs, which PostgreSQL makes from 18 on): entries of
  -- one time then share pages of the key's index. A random id makes each row write another page.
  instant constant text := overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') PLACING '-' FROM 9 FOR 0);
BEGIN
  IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD); END IF;
  IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW); END IF;
  -- Not by a CHECK constraint, which takes 8 microseconds per audit row. A number takes at least 8 bytes and prints at most
  -- 131,072 digits, so a row below 8 KB needs no check. guard_record_size checks storage records.
  IF pg_column_size(new_row) > 8192 AND TG_ARGV[0] <> 'storage_records' THEN
    PERFORM llama.require_sealable(new_row);
  END IF;

  -- Not jsonb_object_agg(), whose time grows with the square of a document and which no signal cancels: it copies each
  -- nested value element by element. One row with both sides of another tenant would show each tenant data of the other.
  IF TG_OP = 'UPDATE' AND TG_WHEN = 'AFTER' AND new_row -> 'tenant_id' = old_row -> 'tenant_id' THEN
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, new_row ->> 'tenant_id', TG_ARGV[0], CASE TG_ARGV[1] WHEN 'id' THEN (new_row ->> 'id')::uuid END,
           new_row ->> TG_ARGV[1], (new_row ->> TG_ARGV[2])::timestamptz, TG_OP, acting.user_id,
           old_row - same.keys, new_row - same.keys,
           coalesce(acting.correlation_id, (new_row ->> 'correlation_id')::uuid), acting.ip_address, acting.user_agent, SESSION_USER
      FROM (
        SELECT CASE WHEN (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = new_row ->> 'tenant_id') = 'verbose' THEN '{}'
               ELSE ARRAY(SELECT o.key FROM jsonb_each(old_row) AS o WHERE new_row -> o.key = o.value) END
        OFFSET 0
      ) AS same (keys);
  ELSE
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, side.content ->> 'tenant_id', TG_ARGV[0],
           CASE TG_ARGV[1] WHEN 'id' THEN (side.content ->> 'id')::uuid END,
           side.content ->> TG_ARGV[1], (side.content ->> TG_ARGV[2])::timestamptz, side.operation, acting.user_id,
           CASE side.operation WHEN 'DELETE' THEN side.content END,
           -- At "minimal" the inserted values are found in the row itself.
           CASE WHEN side.operation = 'INSERT'
                 AND (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = side.content ->> 'tenant_id')
                     IS DISTINCT FROM 'minimal'
                THEN side.content END,
           coalesce(acting.correlation_id, (side.content ->> 'correlation_id')::uuid), acting.ip_address, acting.user_agent, SESSION_USER
      FROM (VALUES ('DELETE', old_row), ('INSERT', new_row)) AS side (operation, content)
     WHERE side.content IS NOT NULL;
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION llama.write_audit() IS 'Row trigger of audited tables, and of partitioned ones for rows that move; tenant_configs.audit_level decides which values it stores';

-- The same for partitioned tables with columns tenant_id, id and "timestamp", once per statement: 20,000 rows take a third of
-- the time. Arguments: the table's name, and 'erase' if the content must not outlive the rows.
CREATE FUNCTION llama.write_audit_of_statement() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The hash of an erased row must not depend on the session's time zone.
SET timezone = 'UTC'
AS $$
DECLARE
  audited constant text := TG_ARGV[0];
  checked constant boolean := audited <> 'storage_records';
  erased constant boolean := TG_NARGS > 1 AND TG_ARGV[1] = 'erase';
  correlation text := nullif(current_setting('app.correlation_id', true), '');
  address text := nullif(current_setting('app.client_address', true), '');
  acting_user text := left(coalesce(nullif(current_setting('app.current_user_id', true), ''), SESSION_USER), 100);
  agent text := left(coalesce(nullif(current_setting('app.user_agent', true), ''), nullif(current_setting('application_name', true), '')), 1000);
  request uuid;
  client inet;
  -- See llama.write_audit().
  instant constant text := overlay(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') PLACING '-' FROM 9 FOR 0);
BEGIN
  -- The same as llama.acting_client(), inline: a call takes 8 of an update's 120 microseconds.
  IF pg_input_is_valid(correlation, 'uuid') THEN request := correlation::uuid; END IF;
  IF pg_input_is_valid(address, 'inet') THEN client := address::inet; ELSE client := inet_client_addr(); END IF;

  -- One statement per branch, which also reads the tenant's audit level: a separate SELECT would add a line to pgaudit's log.
  -- OFFSET 0 computes a row's JSON once.
  IF TG_OP = 'UPDATE' THEN
    -- One row needs no pairing, and the executor starts this plan in half the time. A row that stays as it was goes on to the
    -- second plan, which leaves nothing for it either.
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, p.tenant_id, audited, p.id, p.id::text, p."timestamp", 'UPDATE', acting_user,
           p.old_row - p.same,
           CASE WHEN checked AND pg_column_size(p.new_row) > 8192 THEN llama.require_sealable(p.new_row) ELSE p.new_row END - p.same,
           coalesce(request, (p.new_row ->> 'correlation_id')::uuid), client, agent, SESSION_USER
      FROM (
        SELECT p.*, CASE WHEN (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = p.tenant_id) = 'verbose' THEN '{}'
                    ELSE ARRAY(SELECT o.key FROM jsonb_each(p.old_row) AS o WHERE p.new_row -> o.key = o.value) END AS same
          FROM (
            SELECT n.tenant_id, n.id, n."timestamp", to_jsonb(o) AS old_row, to_jsonb(n) AS new_row
              FROM old_rows AS o, new_rows AS n
             WHERE NOT EXISTS (SELECT FROM new_rows OFFSET 1) AND NOT EXISTS (SELECT FROM old_rows OFFSET 1)
               AND o.tenant_id = n.tenant_id AND date_trunc('month', o."timestamp") = date_trunc('month', n."timestamp")
            OFFSET 0
          ) AS p
         WHERE p.old_row <> p.new_row
        OFFSET 0
      ) AS p;
    IF FOUND THEN RETURN NULL; END IF;
    -- Both transition tables list the rows of an update in the same order; a row that is in one of them only fails on the
    -- key. Rows that move to another month or tenant were recorded before they moved. FULL JOIN excludes nested loops,
    -- which a plan made for one row would repeat for each of 20,000 rows.
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, new_values, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, p.tenant_id, audited, p.id, p.id::text, p."timestamp", 'UPDATE', acting_user,
           p.old_row - same.keys, p.new_row - same.keys,
           coalesce(request, (p.new_row ->> 'correlation_id')::uuid), client, agent, SESSION_USER
      FROM (
        SELECT n.tenant_id, n.id, n."timestamp", o.content AS old_row,
               CASE WHEN checked AND pg_column_size(n.content) > 8192 THEN llama.require_sealable(n.content) ELSE n.content END AS new_row
          FROM (SELECT row_number() OVER () AS nth, o.tenant_id, o."timestamp", to_jsonb(o) AS content FROM old_rows AS o) AS o
          FULL JOIN (SELECT row_number() OVER () AS nth, n.tenant_id, n.id, n."timestamp", to_jsonb(n) AS content FROM new_rows AS n) AS n
            USING (nth)
         WHERE coalesce(o.tenant_id = n.tenant_id AND o.content <> n.content
                        AND date_trunc('month', o."timestamp") = date_trunc('month', n."timestamp"), true)
        OFFSET 0
      ) AS p CROSS JOIN LATERAL (
        SELECT CASE WHEN (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = p.tenant_id) = 'verbose' THEN '{}'
               ELSE ARRAY(SELECT o.key FROM jsonb_each(p.old_row) AS o WHERE p.new_row -> o.key = o.value) END
        OFFSET 0
      ) AS same (keys);
  ELSIF TG_OP = 'INSERT' THEN
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   new_values, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, n.tenant_id, audited, n.id, n.id::text, n."timestamp", 'INSERT', acting_user,
           -- At "minimal" the inserted values are found in the row itself.
           CASE WHEN (SELECT c.audit_level FROM llama.tenant_configs AS c WHERE c.tenant_id = n.tenant_id) IS DISTINCT FROM 'minimal'
                THEN n.content END,
           coalesce(request, (n.content ->> 'correlation_id')::uuid), client, agent, SESSION_USER
      FROM (
        SELECT n.tenant_id, n.id, n."timestamp",
               CASE WHEN checked AND pg_column_size(n.content) > 8192 THEN llama.require_sealable(n.content) ELSE n.content END AS content
          FROM (SELECT n.tenant_id, n.id, n."timestamp", to_jsonb(n) AS content FROM new_rows AS n OFFSET 0) AS n
        OFFSET 0
      ) AS n;
  ELSE
    INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_id, record_key, record_timestamp, operation, user_id,
                                   old_values, content_hash, correlation_id, ip_address, user_agent, login)
    SELECT (instant || substr(gen_random_uuid()::text, 14))::uuid, o.tenant_id, audited, o.id, o.id::text, o."timestamp", 'DELETE', acting_user,
           CASE WHEN NOT erased THEN o.content END,
           CASE WHEN erased THEN encode(sha256(convert_to(o.content::text, 'UTF8')), 'hex') END,
           coalesce(request, (o.content ->> 'correlation_id')::uuid), client, agent, SESSION_USER
      FROM (SELECT o.tenant_id, o.id, o."timestamp", to_jsonb(o) AS content FROM old_rows AS o OFFSET 0) AS o;
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.write_audit_of_statement() IS 'Statement trigger of audited partitioned tables; tenant_configs.audit_level decides which values it stores';

-- Records of another server have been created there. An import therefore leaves one row per batch, whose counts and digest the
-- trigger computes from the rows themselves: no setting of the session can leave them out. Deletes of an import are recorded like
-- all others. app.import_batch is a JSON object with the source.
CREATE FUNCTION llama.write_audit_of_import() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
-- The digest must not depend on the session.
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
  batch text := nullif(current_setting('app.import_batch', true), '');
  described jsonb;
  acting record := llama.acting_client();
BEGIN
  IF pg_input_is_valid(batch, 'jsonb') THEN described := batch::jsonb; END IF;
  IF (described ->> 'source' <> '') IS NOT TRUE THEN
    RAISE EXCEPTION 'an import into % does not name its source', TG_ARGV[0]
      USING ERRCODE = 'invalid_parameter_value', HINT = 'llama-db import sets app.import_batch.';
  END IF;
  INSERT INTO llama.audit_trail (tenant_id, table_name, record_key, operation, user_id, new_values, correlation_id, ip_address,
                                 user_agent, login)
  SELECT n.tenant_id, TG_ARGV[0], 'import', 'INSERT', acting.user_id,
         described || jsonb_build_object(
           'rows', count(*), 'first', min(n."timestamp"), 'last', max(n."timestamp"),
           'sha256', encode(sha256(string_agg(n.digest, ''::bytea ORDER BY n.digest)), 'hex')),
         acting.correlation_id, acting.ip_address, acting.user_agent, SESSION_USER
    FROM (SELECT r.tenant_id, r."timestamp", sha256(convert_to(r::text, 'UTF8')) AS digest FROM new_rows AS r) AS n
   GROUP BY n.tenant_id;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.write_audit_of_import() IS 'Statement trigger for rows that import_writer inserts: one audit row per tenant, with source, number and digest of the rows';

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
REVOKE ALL ON FUNCTION llama.json_text_size(jsonb, integer), llama.require_sealable(jsonb) FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.write_audit(), llama.write_audit_of_statement(), llama.write_audit_of_import() FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.record_read(text, text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.record_read(text, text, timestamptz) TO application_role, admin_role, analytics_role;

-- Statement triggers of a partitioned table fire for statements that name it; llama.refuse_leaf_write() refuses others. No
-- transition table contains a row that MERGE moves to another month, and the statement does not fire DELETE and INSERT:
-- a row trigger records moves. Its name makes it the last one, so that it sees the new row as it is stored. OF spares other
-- updates its condition, which the server parses anew in every statement.
CREATE TRIGGER audit_change AFTER INSERT ON llama.storage_records REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user <> 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_statement('storage_records');
CREATE TRIGGER audit_import AFTER INSERT ON llama.storage_records REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user = 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_import('storage_records');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.storage_records REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('storage_records');
-- The role decides whether a delete is an erasure, because any caller can change a setting. WHEN is evaluated as the
-- caller, before the function switches to its owner.
CREATE TRIGGER audit_delete AFTER DELETE ON llama.storage_records REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT WHEN (current_user <> 'maintenance_owner')
  EXECUTE FUNCTION llama.write_audit_of_statement('storage_records');
CREATE TRIGGER audit_erasure AFTER DELETE ON llama.storage_records REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT WHEN (current_user = 'maintenance_owner')
  EXECUTE FUNCTION llama.write_audit_of_statement('storage_records', 'erase');
CREATE TRIGGER write_audit_of_move BEFORE UPDATE OF tenant_id, "timestamp" ON llama.storage_records
  FOR EACH ROW WHEN (OLD.tenant_id <> NEW.tenant_id OR pg_catalog.date_trunc('month', OLD."timestamp", 'UTC') <> pg_catalog.date_trunc('month', NEW."timestamp", 'UTC'))
  EXECUTE FUNCTION llama.write_audit('storage_records', 'id', 'timestamp');

CREATE TRIGGER audit_change AFTER INSERT ON llama.model_metrics REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user <> 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_statement('model_metrics');
CREATE TRIGGER audit_import AFTER INSERT ON llama.model_metrics REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user = 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_import('model_metrics');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.model_metrics REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('model_metrics');
CREATE TRIGGER audit_delete AFTER DELETE ON llama.model_metrics REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('model_metrics');
CREATE TRIGGER write_audit_of_move BEFORE UPDATE OF tenant_id, "timestamp" ON llama.model_metrics
  FOR EACH ROW WHEN (OLD.tenant_id <> NEW.tenant_id OR pg_catalog.date_trunc('month', OLD."timestamp", 'UTC') <> pg_catalog.date_trunc('month', NEW."timestamp", 'UTC'))
  EXECUTE FUNCTION llama.write_audit('model_metrics', 'id', 'timestamp');

CREATE TRIGGER audit_change AFTER INSERT ON llama.detector_executions REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user <> 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_statement('detector_executions');
CREATE TRIGGER audit_import AFTER INSERT ON llama.detector_executions REFERENCING NEW TABLE AS new_rows
  FOR EACH STATEMENT WHEN (current_user = 'import_writer')
  EXECUTE FUNCTION llama.write_audit_of_import('detector_executions');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.detector_executions REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
  FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('detector_executions');
CREATE TRIGGER audit_delete AFTER DELETE ON llama.detector_executions REFERENCING OLD TABLE AS old_rows
  FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('detector_executions');
CREATE TRIGGER write_audit_of_move BEFORE UPDATE OF tenant_id, "timestamp" ON llama.detector_executions
  FOR EACH ROW WHEN (OLD.tenant_id <> NEW.tenant_id OR pg_catalog.date_trunc('month', OLD."timestamp", 'UTC') <> pg_catalog.date_trunc('month', NEW."timestamp", 'UTC'))
  EXECUTE FUNCTION llama.write_audit('detector_executions', 'id', 'timestamp');

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.tenant_configs
  FOR EACH ROW EXECUTE FUNCTION llama.write_audit('tenant_configs', 'tenant_id', '');
CREATE TRIGGER audit_update AFTER UPDATE ON llama.tenant_configs
  FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION llama.write_audit('tenant_configs', 'tenant_id', '');

-- An erasure names itself in erased_by, and this trigger makes the new row from the old one: content can only go, and
-- nothing else changes, whatever the statement says. Seals cover the hash of the content, so the chain stays intact.
-- Not SECURITY DEFINER: the role of the statement decides.
CREATE FUNCTION llama.guard_audit_row() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  erased llama.audit_trail := OLD;
BEGIN
  IF TG_OP = 'UPDATE' AND current_user = 'maintenance_owner' AND OLD.erased_by IS NULL AND NEW.erased_by IS NOT NULL THEN
    erased.erased_by := NEW.erased_by;
    erased.erased_hash := encode(sha256(convert_to(jsonb_build_array(OLD.old_values, OLD.new_values)::text, 'UTF8')), 'hex');
    erased.old_values := NULL;
    erased.new_values := NULL;
    RETURN erased;
  END IF;
  RAISE EXCEPTION '% on % is refused: the table is append-only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege',
          HINT = 'Rows leave only with their whole partition, and content only by an erasure (llama.apply_retention, llama-db erase).';
END
$$;

COMMENT ON FUNCTION llama.guard_audit_row() IS 'Refuses every change of an audit row, except that an erasure removes its content';

-- The evidence of an erasure, in the transaction that removed the content. The digest makes every further removal under the
-- same name contradict it.
CREATE FUNCTION llama.record_erasure(
  erasure uuid, tenant text, month date, reason text, row_count bigint, digest text
) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  acting record := llama.acting_client();
BEGIN
  -- As in llama.record_read(); the removal of content has given the transaction its id already.
  PERFORM pg_current_xact_id();
  INSERT INTO llama.audit_trail (id, tenant_id, table_name, record_key, operation, user_id, new_values,
                                 correlation_id, ip_address, user_agent, login)
  VALUES (erasure, tenant, 'audit_trail', to_char(month, 'YYYY-MM'), 'ERASE', acting.user_id,
          jsonb_build_object('reason', reason, 'rows', row_count, 'digest', digest),
          acting.correlation_id, acting.ip_address, acting.user_agent, SESSION_USER);
END
$$;

COMMENT ON FUNCTION llama.record_erasure(uuid, text, date, text, bigint, text) IS
  'Writes the ERASE row of an erasure: audit rows of one tenant and month whose content it removed';

-- Grants already exclude every role. This trigger prevents mistakes of the owner, in leaves too (row triggers are cloned).
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON llama.audit_trail
  FOR EACH ROW EXECUTE FUNCTION llama.guard_audit_row();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON llama.audit_trail
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_append_only_change();

REVOKE ALL ON FUNCTION llama.record_erasure(uuid, text, date, text, bigint, text) FROM PUBLIC;

GRANT CREATE ON SCHEMA llama TO audit_writer;
ALTER FUNCTION llama.acting_client() OWNER TO audit_writer;
ALTER FUNCTION llama.json_text_size(jsonb, integer) OWNER TO audit_writer;
ALTER FUNCTION llama.require_sealable(jsonb) OWNER TO audit_writer;
ALTER FUNCTION llama.write_audit() OWNER TO audit_writer;
ALTER FUNCTION llama.write_audit_of_statement() OWNER TO audit_writer;
ALTER FUNCTION llama.write_audit_of_import() OWNER TO audit_writer;
ALTER FUNCTION llama.record_read(text, text, timestamptz) OWNER TO audit_writer;
ALTER FUNCTION llama.record_erasure(uuid, text, date, text, bigint, text) OWNER TO audit_writer;
REVOKE CREATE ON SCHEMA llama FROM audit_writer;

-- The change of owner also moves the old owner's privileges. Without this grant the triggers cannot be cloned to a new
-- partition.
SET LOCAL ROLE audit_writer;
GRANT EXECUTE ON FUNCTION llama.write_audit(), llama.write_audit_of_statement(), llama.write_audit_of_import() TO llama_owner;
GRANT EXECUTE ON FUNCTION llama.record_erasure(uuid, text, date, text, bigint, text) TO maintenance_owner;
-- Roles that write records call it in llama.guard_record_size().
GRANT EXECUTE ON FUNCTION llama.json_text_size(jsonb, integer) TO application_role, admin_role, maintenance_role, llama_owner;
SET LOCAL ROLE llama_owner;

-- Down Migration

DROP TRIGGER append_only_truncate ON llama.audit_trail;
DROP TRIGGER append_only ON llama.audit_trail;
DROP FUNCTION llama.guard_audit_row();

DROP TRIGGER audit_update ON llama.tenant_configs;
DROP TRIGGER audit_change ON llama.tenant_configs;
DROP TRIGGER write_audit_of_move ON llama.detector_executions;
DROP TRIGGER audit_delete ON llama.detector_executions;
DROP TRIGGER audit_update ON llama.detector_executions;
DROP TRIGGER audit_import ON llama.detector_executions;
DROP TRIGGER audit_change ON llama.detector_executions;
DROP TRIGGER write_audit_of_move ON llama.model_metrics;
DROP TRIGGER audit_delete ON llama.model_metrics;
DROP TRIGGER audit_update ON llama.model_metrics;
DROP TRIGGER audit_import ON llama.model_metrics;
DROP TRIGGER audit_change ON llama.model_metrics;
DROP TRIGGER write_audit_of_move ON llama.storage_records;
DROP TRIGGER audit_erasure ON llama.storage_records;
DROP TRIGGER audit_delete ON llama.storage_records;
DROP TRIGGER audit_update ON llama.storage_records;
DROP TRIGGER audit_import ON llama.storage_records;
DROP TRIGGER audit_change ON llama.storage_records;

SET LOCAL ROLE audit_writer;
DROP FUNCTION llama.record_erasure(uuid, text, date, text, bigint, text);
DROP FUNCTION llama.record_read(text, text, timestamptz);
DROP FUNCTION llama.write_audit_of_import();
DROP FUNCTION llama.write_audit_of_statement();
DROP FUNCTION llama.write_audit();
DROP FUNCTION llama.require_sealable(jsonb);
DROP FUNCTION llama.json_text_size(jsonb, integer);
DROP FUNCTION llama.acting_client();
SET LOCAL ROLE llama_owner;
