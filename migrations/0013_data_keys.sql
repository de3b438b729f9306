-- loses data of: data_keys

-- Up Migration

-- The tenants' data keys, each wrapped by a key outside the database (docs/encryption.md). A wrapped key alone opens nothing.
-- Values of a lost key can never be read again, so no role may delete a row.
CREATE TABLE llama.data_keys (
  tenant_id varchar(100) NOT NULL,
  key_id uuid NOT NULL,
  purpose text NOT NULL,
  state text NOT NULL DEFAULT 'active',
  algorithm text NOT NULL,
  wrapping_key text NOT NULL,
  wrapping_key_version text NOT NULL,
  wrapped bytea,
  values_reserved bigint NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  wrapped_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
  state_since timestamptz NOT NULL DEFAULT pg_catalog.now(),
  CONSTRAINT data_keys_pkey PRIMARY KEY (tenant_id, key_id),
  CONSTRAINT data_keys_tenant CHECK (pg_catalog.length(tenant_id) > 0),
  CONSTRAINT data_keys_purpose CHECK (purpose IN ('encryption', 'index')),
  CONSTRAINT data_keys_state CHECK (state IN ('active', 'retiring', 'retired', 'destroyed', 'erased')),
  CONSTRAINT data_keys_algorithm CHECK (algorithm IN ('RSA-OAEP-256', 'A256GCM')),
  CONSTRAINT data_keys_wrapped CHECK ((wrapped IS NULL) = (state IN ('destroyed', 'erased'))),
  -- NIST SP 800-38D, 8.3, limits a key to 2^32 random 96-bit nonces.
  CONSTRAINT data_keys_values CHECK (values_reserved BETWEEN 0 AND 4294967296)
);

COMMENT ON TABLE llama.data_keys IS 'Wrapped data keys of the tenants; see docs/encryption.md';
COMMENT ON COLUMN llama.data_keys.purpose IS 'encryption: AES-256-GCM of values; index: HMAC-SHA-256 of blind indexes';
COMMENT ON COLUMN llama.data_keys.state IS
  'active: encrypts new values; retiring: its values are being moved to a newer key; retired: only the audit trail may still hold its values; destroyed: no value is left; erased: destroyed on purpose with its tenant';
COMMENT ON COLUMN llama.data_keys.wrapping_key IS 'Key Vault key without its version, or "local"';
COMMENT ON COLUMN llama.data_keys.values_reserved IS 'Number of values reserved for encryption, in blocks: never less than the number of values';

-- The first process to insert a tenant's key wins; the others use that key.
CREATE UNIQUE INDEX data_keys_active_idx ON llama.data_keys (tenant_id, purpose) WHERE state = 'active';

ALTER TABLE llama.data_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_floor_keys ON llama.data_keys AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_keys ON llama.data_keys FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY admin_bypass_keys ON llama.data_keys FOR ALL TO admin_role USING (true) WITH CHECK (true);

-- The application creates a tenant's first key and replaces an exhausted one. Only administrators rewrap and destroy keys; no
-- role deletes one.
GRANT SELECT,
      INSERT (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped),
      UPDATE (state, values_reserved)
  ON llama.data_keys TO application_role;
GRANT SELECT,
      INSERT (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped),
      UPDATE (state, values_reserved, algorithm, wrapping_key, wrapping_key_version, wrapped)
  ON llama.data_keys TO admin_role;

-- Creating a key and erasing its tenant exclude each other until the end of the transaction: creators share the lock, an
-- erasure holds it alone. Row locks are not enough, because a key that another transaction is creating has no visible row.
-- A transaction that changes several rows must take this lock first: after row locks it may deadlock.
CREATE FUNCTION llama.hold_data_keys(tenant text, alone boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Any session can hold an advisory lock for its whole life, so the wait has a limit.
SET lock_timeout = '10s'
AS $$
DECLARE
  key constant bigint := hashtextextended('llama.data_keys:' || tenant, 0);
BEGIN
  -- Decisions after the lock must see everything that was committed before it.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'data keys are made and erased at READ COMMITTED, not at %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'invalid_transaction_state',
            HINT = 'Use a separate transaction: a key must be committed before it is used.';
  END IF;
  IF alone THEN
    PERFORM pg_advisory_xact_lock(key);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(key);
  END IF;
END
$$;

COMMENT ON FUNCTION llama.hold_data_keys(text, boolean) IS
  'Until the end of the transaction no other one erases the tenant''s data keys; with alone, none creates one either';

GRANT EXECUTE ON FUNCTION llama.hold_data_keys(text, boolean) TO application_role, admin_role;

CREATE FUNCTION llama.guard_data_key() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  states constant text[] := ARRAY['active', 'retiring', 'retired', 'destroyed'];
BEGIN
  IF TG_OP = 'INSERT' THEN
    PERFORM llama.hold_data_keys(NEW.tenant_id);
    IF EXISTS (SELECT FROM llama.data_keys AS k WHERE k.tenant_id = NEW.tenant_id AND k.state = 'erased') THEN
      RAISE EXCEPTION 'tenant % was erased and gets no further data key', quote_literal(NEW.tenant_id)
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Use a new tenant id: values of the old one stay unreadable.';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.tenant_id, NEW.key_id, NEW.purpose, NEW.created_at) IS DISTINCT FROM
     (OLD.tenant_id, OLD.key_id, OLD.purpose, OLD.created_at) OR NEW.values_reserved < OLD.values_reserved THEN
    RAISE EXCEPTION 'tenant, id, purpose and age of a data key never change, and its number of values only rises'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.state IS DISTINCT FROM OLD.state THEN
    IF OLD.state = 'erased'
       OR (NEW.state <> 'erased' AND array_position(states, NEW.state) <= array_position(states, OLD.state)) THEN
      RAISE EXCEPTION 'a data key changes from active to retiring, retired and destroyed, never back: not from % to %', OLD.state, NEW.state
        USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.state = 'erased' THEN PERFORM llama.hold_data_keys(NEW.tenant_id, true); END IF;
    NEW.state_since := clock_timestamp();
  END IF;
  IF NEW.wrapped IS DISTINCT FROM OLD.wrapped AND NEW.wrapped IS NOT NULL THEN
    NEW.wrapped_at := clock_timestamp();
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION llama.guard_data_key() IS 'A data key changes its state in one direction only; an erased tenant gets no further key';

CREATE TRIGGER guard_data_key BEFORE INSERT OR UPDATE ON llama.data_keys
  FOR EACH ROW EXECUTE FUNCTION llama.guard_data_key();

-- A statement erases keys that were committed when it started, and it may have waited for a key that was being created.
-- This trigger runs after it and sees everything committed by then.
CREATE FUNCTION llama.guard_erasure() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM llama.data_keys AS k WHERE k.tenant_id = NEW.tenant_id AND k.state <> 'erased') THEN
    RAISE EXCEPTION 'a statement must erase all data keys of tenant % or none', quote_literal(NEW.tenant_id)
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Use llama-db keys erase: it locks the tenant''s keys, then erases them in one statement.';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.guard_erasure() IS 'A statement erases all data keys of a tenant or none';

CREATE TRIGGER guard_erasure AFTER UPDATE ON llama.data_keys
  FOR EACH ROW WHEN (NEW.state = 'erased' AND OLD.state <> 'erased')
  EXECUTE FUNCTION llama.guard_erasure();

-- Changes of a key are audited without the wrapped key: more people read the trail, and it is kept longer.
CREATE FUNCTION llama.write_key_audit() RETURNS trigger
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  acting record := llama.acting_client();
  before_change jsonb;
  after_change jsonb;
BEGIN
  IF TG_OP <> 'INSERT' THEN
    before_change := jsonb_build_object('purpose', OLD.purpose, 'state', OLD.state, 'algorithm', OLD.algorithm,
      'wrapping_key', OLD.wrapping_key, 'wrapping_key_version', OLD.wrapping_key_version);
  END IF;
  IF TG_OP <> 'DELETE' THEN
    after_change := jsonb_build_object('purpose', NEW.purpose, 'state', NEW.state, 'algorithm', NEW.algorithm,
      'wrapping_key', NEW.wrapping_key, 'wrapping_key_version', NEW.wrapping_key_version);
  END IF;
  INSERT INTO llama.audit_trail (tenant_id, table_name, record_id, record_key, operation, user_id,
                                 old_values, new_values, correlation_id, ip_address, user_agent, login)
  VALUES (CASE TG_OP WHEN 'DELETE' THEN OLD.tenant_id ELSE NEW.tenant_id END, 'data_keys',
          CASE TG_OP WHEN 'DELETE' THEN OLD.key_id ELSE NEW.key_id END,
          CASE TG_OP WHEN 'DELETE' THEN OLD.key_id ELSE NEW.key_id END, TG_OP,
          acting.user_id, before_change, after_change, acting.correlation_id, acting.ip_address, acting.user_agent,
          SESSION_USER);
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.write_key_audit() IS 'Row trigger of data_keys; it records state, algorithm and wrapping key, never the wrapped key itself';

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.data_keys
  FOR EACH ROW EXECUTE FUNCTION llama.write_key_audit();
-- Reserving values is frequent and changes nothing about the key.
CREATE TRIGGER audit_update AFTER UPDATE ON llama.data_keys
  FOR EACH ROW
  WHEN ((OLD.state, OLD.algorithm, OLD.wrapping_key, OLD.wrapping_key_version, OLD.wrapped)
        IS DISTINCT FROM (NEW.state, NEW.algorithm, NEW.wrapping_key, NEW.wrapping_key_version, NEW.wrapped))
  EXECUTE FUNCTION llama.write_key_audit();

REVOKE ALL ON FUNCTION llama.write_key_audit() FROM PUBLIC;

GRANT CREATE ON SCHEMA llama TO audit_writer;
ALTER FUNCTION llama.write_key_audit() OWNER TO audit_writer;
REVOKE CREATE ON SCHEMA llama FROM audit_writer;

CREATE FUNCTION llama.data_key_of(sealed text) RETURNS uuid
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  -- 38 characters are the nonce and the tag of an empty text; base64 never has one character more than a multiple of four.
  -- The search for a character that does not belong costs 10 us per KB, a twentieth of translate().
  IF left(sealed, 42) ~ '^gcm1:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}:$' AND octet_length(sealed) >= 42 + 38
     AND (octet_length(sealed) - 42) % 4 <> 1 AND substr(sealed, 43) !~ '[^A-Za-z0-9_-]' THEN
    RETURN substr(sealed, 6, 36)::uuid;
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.data_key_of(text) IS 'Data key of an encrypted value; NULL for any other value';

GRANT EXECUTE ON FUNCTION llama.data_key_of(text) TO application_role, admin_role;

-- The trigger sets `encrypted` from the contents, not from the writer's claim. It refuses a row whose key is missing or no
-- longer in use, because nobody could read it.
CREATE FUNCTION llama.guard_sealed_record() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  content_key uuid := llama.data_key_of(NEW.mapped_data ->> '$enc');
  metadata_key uuid := llama.data_key_of(NEW.metadata ->> '$enc');
  readable jsonb := NEW.metadata - '$search';
BEGIN
  IF NOT NEW.mapped_data ? '$enc' AND NOT coalesce(NEW.metadata ? '$enc', false) THEN
    NEW.encrypted := false;
    RETURN NEW;
  END IF;
  IF content_key IS NULL
     OR NEW.mapped_data <> jsonb_build_object('$enc', NEW.mapped_data -> '$enc')
     OR (readable <> '{}' AND (metadata_key IS NULL OR readable <> jsonb_build_object('$enc', readable -> '$enc'))) THEN
    RAISE EXCEPTION 'an encrypted record has all of its mapped_data and metadata encrypted, each as {"$enc": "gcm1:..."}'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Write records with sealRecord of runtime/encryption.';
  END IF;
  IF EXISTS (
    SELECT FROM unnest(ARRAY[content_key, metadata_key]) AS used (key_id)
     WHERE used.key_id IS NOT NULL AND NOT EXISTS (
       SELECT FROM llama.data_keys AS k
        WHERE k.tenant_id = NEW.tenant_id AND k.key_id = used.key_id AND k.purpose = 'encryption'
          AND k.state IN ('active', 'retiring'))
  ) THEN
    RAISE EXCEPTION 'the record is encrypted with a data key that its tenant does not have, or that is no longer in use'
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Forget cached keys (FieldEncryption.forget), encrypt and write again.';
  END IF;
  NEW.encrypted := true;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION llama.guard_sealed_record() IS 'Sets storage_records.encrypted from the contents and refuses unreadable rows';

CREATE TRIGGER guard_sealed BEFORE INSERT ON llama.storage_records
  FOR EACH ROW
  WHEN (NEW.encrypted OR pg_catalog.jsonb_exists(NEW.mapped_data, '$enc') OR pg_catalog.jsonb_exists(NEW.metadata, '$enc'))
  EXECUTE FUNCTION llama.guard_sealed_record();
CREATE TRIGGER guard_sealed_update BEFORE UPDATE OF mapped_data, metadata, encrypted, tenant_id ON llama.storage_records
  FOR EACH ROW
  WHEN (NEW.encrypted OR pg_catalog.jsonb_exists(NEW.mapped_data, '$enc') OR pg_catalog.jsonb_exists(NEW.metadata, '$enc'))
  EXECUTE FUNCTION llama.guard_sealed_record();

COMMENT ON COLUMN llama.storage_records.encrypted IS
  'Whether mapped_data and metadata are encrypted; set by a trigger. tenant_configs.encryption_enabled holds the tenant''s choice';
COMMENT ON COLUMN llama.storage_records.source_data_hash IS
  'SHA-256 of the source, in hex; of an encrypted record the HMAC of that under the tenant''s index key. The source itself is not stored';

-- Down Migration

COMMENT ON COLUMN llama.storage_records.source_data_hash IS 'SHA-256 of the source, in hex; the source itself is not stored';
COMMENT ON COLUMN llama.storage_records.encrypted IS NULL;

DROP TRIGGER guard_sealed_update ON llama.storage_records;
DROP TRIGGER guard_sealed ON llama.storage_records;
DROP FUNCTION llama.guard_sealed_record();
DROP FUNCTION llama.data_key_of(text);

DROP TRIGGER audit_update ON llama.data_keys;
DROP TRIGGER audit_change ON llama.data_keys;
SET LOCAL ROLE audit_writer;
DROP FUNCTION llama.write_key_audit();
SET LOCAL ROLE llama_owner;
DROP TABLE llama.data_keys;
DROP FUNCTION llama.guard_erasure();
DROP FUNCTION llama.guard_data_key();
DROP FUNCTION llama.hold_data_keys(text, boolean);
