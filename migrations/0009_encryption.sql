-- Up Migration

-- For break-glass and for moving data by SQL. Applications encrypt in Node, so their keys never reach the server. The key
-- ring is a JSON object {"name": "base64 of 32 bytes"} that the caller sets for the transaction with a bound parameter:
--   SELECT set_config('app.encryption_keys', $1, true), set_config('app.encryption_key_id', $2, true)
-- No message below repeats an argument: a key in an error is a key in the server log.
CREATE FUNCTION llama.encryption_key(key_id text) RETURNS text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  ring text := nullif(current_setting('app.encryption_keys', true), '');
  key text;
BEGIN
  IF ring IS NULL THEN
    RAISE EXCEPTION 'no encryption keys are set for this transaction'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Set app.encryption_keys with set_config(..., true) in the same transaction.';
  END IF;
  IF NOT pg_input_is_valid(ring, 'jsonb') OR jsonb_typeof(ring::jsonb) <> 'object' THEN
    RAISE EXCEPTION 'app.encryption_keys is not a JSON object of key names and keys' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF key_id IS NULL OR key_id !~ '^[A-Za-z0-9._-]{1,128}$' THEN
    RAISE EXCEPTION 'no usable key name: it is missing, or has other characters than letters, digits, dot, dash and underscore'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Name a key, or set app.encryption_key_id.';
  END IF;
  key := ring::jsonb ->> key_id;
  -- The message omits the name: a caller that passes the key itself as second argument would find it in the server log.
  IF key IS NULL THEN
    RAISE EXCEPTION 'the encryption key that was named is not in this transaction''s key ring'
      USING ERRCODE = 'invalid_parameter_value', HINT = 'A value names its key: pgp1:<key name>:...';
  END IF;
  IF key !~ '^[A-Za-z0-9+/]{43}=$' THEN
    RAISE EXCEPTION 'the encryption key that was named is not 32 bytes in base64'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  RETURN key;
END
$$;

-- The text is 'pgp1:<key name>:<base64>', so that the key can be found after a rotation.
CREATE FUNCTION llama.encrypt_sensitive_data(data text, key_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  chosen text := coalesce(key_id, nullif(current_setting('app.encryption_key_id', true), ''));
  -- Before the NULL below: a missing key must not look like a missing value.
  key text := llama.encryption_key(chosen);
BEGIN
  IF data IS NULL THEN RETURN NULL; END IF;
  -- s2k-mode=1 omits the slow key stretching for guessable passphrases; these keys are 32 random bytes.
  RETURN 'pgp1:' || chosen || ':' || translate(
    encode(extensions.pgp_sym_encrypt(data, key, 'cipher-algo=aes256, s2k-mode=1, s2k-digest-algo=sha256'), 'base64'), E'\n', '');
END
$$;

CREATE FUNCTION llama.decrypt_sensitive_data(encrypted_data text, key_id text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  parts text[] := regexp_match(encrypted_data, '^pgp1:([A-Za-z0-9._-]{1,128}):([A-Za-z0-9+/]+={0,2})$');
  key text;
BEGIN
  IF encrypted_data IS NULL THEN
    PERFORM llama.encryption_key(coalesce(key_id, nullif(current_setting('app.encryption_key_id', true), '')));
    RETURN NULL;
  END IF;
  IF parts IS NULL THEN
    RAISE EXCEPTION 'the value was not made by llama.encrypt_sensitive_data' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  IF key_id IS NOT NULL AND key_id <> parts[1] THEN
    RAISE EXCEPTION 'the value was encrypted with key %, not with the one named', quote_literal(parts[1])
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  key := llama.encryption_key(parts[1]);
  BEGIN
    RETURN extensions.pgp_sym_decrypt(decode(parts[2], 'base64'), key);
  EXCEPTION WHEN external_routine_invocation_exception OR invalid_parameter_value OR character_not_in_repertoire THEN
    RAISE EXCEPTION 'the value cannot be decrypted with key %: it is damaged, or another key has that name', quote_literal(parts[1])
      USING ERRCODE = 'data_corrupted';
  END;
END
$$;

COMMENT ON FUNCTION llama.encrypt_sensitive_data(text, text) IS 'key_id names a key of app.encryption_keys; the default is app.encryption_key_id';
COMMENT ON FUNCTION llama.decrypt_sensitive_data(text, text) IS 'Decrypts with the key that the value names';

REVOKE ALL ON FUNCTION llama.encryption_key(text), llama.encrypt_sensitive_data(text, text),
                       llama.decrypt_sensitive_data(text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.encryption_key(text), llama.encrypt_sensitive_data(text, text),
                          llama.decrypt_sensitive_data(text, text) TO admin_role;

-- Down Migration

DROP FUNCTION llama.decrypt_sensitive_data(text, text);
DROP FUNCTION llama.encrypt_sensitive_data(text, text);
DROP FUNCTION llama.encryption_key(text);
