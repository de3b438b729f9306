-- loses data of: data_keys

-- Up Migration

-- The tenants' data keys, each wrapped by a key that never comes here (docs/encryption.md). What is stored here opens
-- nothing by itself; what is lost here can never be read again, so nobody may delete a row.
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
  -- The application writes these, and commands that work for every tenant read them and ask Key Vault with them.
  CONSTRAINT data_keys_sizes CHECK (pg_catalog.octet_length(wrapped) <= 1024 AND pg_catalog.length(wrapping_key) <= 255),
  CONSTRAINT data_keys_version CHECK (wrapping_key_version ~ '^[A-Za-z0-9-]{1,127}$'),
  -- Random 96-bit nonces: NIST SP 800-38D, 8.3, allows a key 2^32 of them.
  CONSTRAINT data_keys_values CHECK (values_reserved BETWEEN 0 AND 4294967296)
);

COMMENT ON TABLE llama.data_keys IS 'Data keys of the tenants, wrapped; see docs/encryption.md';
COMMENT ON COLUMN llama.data_keys.purpose IS 'encryption: AES-256-GCM of values; index: HMAC-SHA-256 of blind indexes';
COMMENT ON COLUMN llama.data_keys.state IS
  'active: for new values; retiring: values are being moved to a newer key; retired: only the audit trail may still hold values of it; destroyed: nothing does; erased: destroyed on purpose, with its tenant';
COMMENT ON COLUMN llama.data_keys.wrapping_key IS 'Key Vault key without its version, or "local"';
COMMENT ON COLUMN llama.data_keys.values_reserved IS 'Values that processes have taken the right to encrypt, in blocks: never fewer than there are';

-- Whoever comes first with a tenant's key wins; the others find it.
CREATE UNIQUE INDEX data_keys_active_idx ON llama.data_keys (tenant_id, purpose) WHERE state = 'active';

ALTER TABLE llama.data_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY tenant_floor_keys ON llama.data_keys AS RESTRICTIVE FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY tenant_isolation_keys ON llama.data_keys FOR ALL TO application_role
  USING (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')))
  WITH CHECK (tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), '')));
CREATE POLICY admin_bypass_keys ON llama.data_keys FOR ALL TO admin_role USING (true) WITH CHECK (true);

-- The application makes a tenant's first key and replaces one that is used up. Wrapping again and destroying are the
-- administrator's; deleting is nobody's.
GRANT SELECT,
      INSERT (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped),
      UPDATE (state, values_reserved)
  ON llama.data_keys TO application_role;
GRANT SELECT,
      INSERT (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped),
      UPDATE (state, values_reserved, algorithm, wrapping_key, wrapping_key_version, wrapped)
  ON llama.data_keys TO admin_role;

-- Making a key and erasing its tenant exclude each other until the end of the transaction: makers hold the tenant's keys
-- together, an erasure holds them alone. Not by locks on rows: of the keys that another transaction is just making there
-- is none to lock, and a tenant's first key has no other beside it. Whoever changes several rows takes it first: taken
-- after locks on rows, it may deadlock.
CREATE FUNCTION llama.hold_data_keys(tenant text, alone boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Anybody can take an advisory lock for as long as a session lasts; this one is not waited for as long.
SET lock_timeout = '10s'
AS $$
DECLARE
  key constant bigint := hashtextextended('llama.data_keys:' || tenant, 0);
BEGIN
  -- What is decided once the lock is there must be decided by what has been committed until then.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    RAISE EXCEPTION 'data keys are made and erased at READ COMMITTED, not at %', upper(current_setting('transaction_isolation'))
      USING ERRCODE = 'invalid_transaction_state',
            HINT = 'Use a transaction of its own: a key must be committed before it is used anyway.';
  END IF;
  IF alone THEN
    PERFORM pg_advisory_xact_lock(key);
  ELSE
    PERFORM pg_advisory_xact_lock_shared(key);
  END IF;
END
$$;

COMMENT ON FUNCTION llama.hold_data_keys(text, boolean) IS
  'Until the end of the transaction nobody erases the tenant''s data keys; alone: nor makes one';

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
      RAISE EXCEPTION 'tenant % was erased and gets no data key any more', quote_literal(NEW.tenant_id)
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Take a new tenant id: what the old one had stays unreadable.';
    END IF;
    RETURN NEW;
  END IF;
  IF (NEW.tenant_id, NEW.key_id, NEW.purpose, NEW.created_at) IS DISTINCT FROM
     (OLD.tenant_id, OLD.key_id, OLD.purpose, OLD.created_at) OR NEW.values_reserved < OLD.values_reserved THEN
    RAISE EXCEPTION 'a data key keeps its tenant, id, purpose and age, and its values are only ever counted up'
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.state IS DISTINCT FROM OLD.state THEN
    IF OLD.state = 'erased'
       OR (NEW.state <> 'erased' AND array_position(states, NEW.state) <= array_position(states, OLD.state)) THEN
      RAISE EXCEPTION 'a data key goes from active to retiring, retired and destroyed, never back: not from % to %', OLD.state, NEW.state
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

COMMENT ON FUNCTION llama.guard_data_key() IS 'A data key changes its state in one direction; an erased tenant gets none';

CREATE TRIGGER guard_data_key BEFORE INSERT OR UPDATE ON llama.data_keys
  FOR EACH ROW EXECUTE FUNCTION llama.guard_data_key();

-- A statement erases what was committed when it began, and may have waited for a key that was being made. This looks
-- after it, at everything that is committed by then.
CREATE FUNCTION llama.guard_erasure() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF EXISTS (SELECT FROM llama.data_keys AS k WHERE k.tenant_id = NEW.tenant_id AND k.state <> 'erased') THEN
    RAISE EXCEPTION 'tenant % is erased with all of its data keys, or not at all', quote_literal(NEW.tenant_id)
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Use llama-db keys erase: it holds the tenant''s keys first, and then erases them in one statement.';
  END IF;
  RETURN NULL;
END
$$;

COMMENT ON FUNCTION llama.guard_erasure() IS 'A tenant''s data keys are all erased, or none is';

CREATE TRIGGER guard_erasure AFTER UPDATE ON llama.data_keys
  FOR EACH ROW WHEN (NEW.state = 'erased' AND OLD.state <> 'erased')
  EXECUTE FUNCTION llama.guard_erasure();

-- The row of an erased key is what keeps its tenant erased, and every other row opens something: none is ever removed, not
-- by the owner either.
CREATE FUNCTION llama.refuse_key_loss() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% on llama.data_keys is refused: what a lost key encrypted can never be read, and a lost erasure can be undone', TG_OP
    USING ERRCODE = 'insufficient_privilege', HINT = 'llama-db keys rotate and llama-db keys erase end keys.';
END
$$;

COMMENT ON FUNCTION llama.refuse_key_loss() IS 'Rows of data keys stay, whatever their state';

CREATE TRIGGER refuse_key_loss BEFORE DELETE OR TRUNCATE ON llama.data_keys
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_key_loss();

-- What happens to a key is audited; the wrapped key is not, because the trail is read by more people and kept longer.
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

COMMENT ON FUNCTION llama.write_key_audit() IS 'Row trigger of data_keys: everything about a key but the key';

CREATE TRIGGER audit_change AFTER INSERT OR DELETE ON llama.data_keys
  FOR EACH ROW EXECUTE FUNCTION llama.write_key_audit();
-- Reserving values is no event of a key's life, and happens often.
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

COMMENT ON FUNCTION llama.data_key_of(text) IS 'The data key that a value was encrypted with; NULL for what is no encrypted value';

GRANT EXECUTE ON FUNCTION llama.data_key_of(text) TO application_role, admin_role;

-- `encrypted` says what the row is, whatever its writer believes; and no row is written with a key that is not here, or
-- not any more: it could never be read.
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

COMMENT ON FUNCTION llama.guard_sealed_record() IS 'Keeps storage_records.encrypted true to the row, and unreadable rows out';

CREATE TRIGGER guard_sealed BEFORE INSERT ON llama.storage_records
  FOR EACH ROW
  WHEN (NEW.encrypted OR pg_catalog.jsonb_exists(NEW.mapped_data, '$enc') OR pg_catalog.jsonb_exists(NEW.metadata, '$enc'))
  EXECUTE FUNCTION llama.guard_sealed_record();
CREATE TRIGGER guard_sealed_update BEFORE UPDATE OF mapped_data, metadata, encrypted, tenant_id ON llama.storage_records
  FOR EACH ROW
  WHEN (NEW.encrypted OR pg_catalog.jsonb_exists(NEW.mapped_data, '$enc') OR pg_catalog.jsonb_exists(NEW.metadata, '$enc'))
  EXECUTE FUNCTION llama.guard_sealed_record();

COMMENT ON COLUMN llama.storage_records.encrypted IS
  'Whether mapped_data and metadata are encrypted; kept by a trigger. What the tenant wants is tenant_configs.encryption_enabled';
COMMENT ON COLUMN llama.storage_records.source_data_hash IS
  'SHA-256 of the source, in hex; of an encrypted record the HMAC of that under the tenant''s index key. The source itself is not kept';

-- Down Migration

COMMENT ON COLUMN llama.storage_records.source_data_hash IS 'SHA-256 of the source, in hex; the source itself is not kept';
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
DROP FUNCTION llama.refuse_key_loss();
DROP FUNCTION llama.guard_erasure();
DROP FUNCTION llama.guard_data_key();
DROP FUNCTION llama.hold_data_keys(text, boolean);
