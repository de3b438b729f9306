-- Up Migration

-- Every stored row must be readable, and every audit row must be sealable. A JSON value of 100 KB can have a text of more
-- than 1 GB (1e131000 takes 12 bytes): no reader and no seal can hold it, and one such row would stop sealing for every
-- tenant. Each side of an audit row may have 100 MiB, so that an inserted row can be updated: both sides fit into the
-- 255 MiB of a JSON value.
CREATE FUNCTION llama.require_sealable(old_values jsonb, new_values jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most constant integer := 100 * 1024 * 1024;
  fits boolean := false;
BEGIN
  IF greatest(pg_column_size(old_values), pg_column_size(new_values)) <= most THEN
    BEGIN
      fits := coalesce(octet_length(old_values::text), 0) <= most AND coalesce(octet_length(new_values::text), 0) <= most;
    EXCEPTION WHEN program_limit_exceeded THEN
      fits := false;
    END;
  END IF;
  -- Raised here, because the message of a failed constraint quotes the row.
  IF NOT fits THEN
    RAISE EXCEPTION 'the row is too large to be audited: it has at most 100 MiB as JSON text'
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Keep large content in blob storage, and its name in the row.';
  END IF;
  RETURN true;
END
$$;

COMMENT ON FUNCTION llama.require_sealable(jsonb, jsonb) IS 'True, or an error for values whose text a seal cannot hold';

GRANT EXECUTE ON FUNCTION llama.require_sealable(jsonb, jsonb) TO audit_writer;

-- A number takes at least 8 bytes and prints at most 131,072 digits, so a row below 8 KB needs no check.
-- lint allow constraint-without-not-valid: every audit row of this release or an earlier one is smaller
ALTER TABLE llama.audit_trail ADD CONSTRAINT audit_trail_sealable CHECK (
  CASE WHEN coalesce(pg_catalog.pg_column_size(old_values), 0) + coalesce(pg_catalog.pg_column_size(new_values), 0) < 8192
       THEN true ELSE llama.require_sealable(old_values, new_values) END
);

-- If a tenant's audit level stores no inserted values, the audit trail does not limit its records; they must be readable and
-- erasable all the same. 96 MiB of text correspond to 72 MiB before encryption.
CREATE FUNCTION llama.guard_record_size() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most constant integer := 96 * 1024 * 1024 + 256;
  fits boolean := pg_column_size(NEW.mapped_data) + coalesce(pg_column_size(NEW.metadata), 0) <= most;
BEGIN
  -- The text of an encrypted value is as long as the value.
  IF fits AND NOT NEW.mapped_data ? '$enc' THEN
    BEGIN
      fits := octet_length(NEW.mapped_data::text) + coalesce(octet_length(NEW.metadata::text), 0) <= most;
    EXCEPTION WHEN program_limit_exceeded THEN
      fits := false;
    END;
  END IF;
  IF NOT fits THEN
    RAISE EXCEPTION 'a storage record has at most 96 MiB of mapped_data and metadata as JSON text'
      USING ERRCODE = 'program_limit_exceeded', HINT = 'Keep large content in blob storage, and its name in the record.';
  END IF;
  RETURN NEW;
END
$$;

COMMENT ON FUNCTION llama.guard_record_size() IS 'Refuses records that could be written but not read';

CREATE TRIGGER guard_size BEFORE INSERT OR UPDATE OF mapped_data, metadata ON llama.storage_records
  FOR EACH ROW
  WHEN (pg_catalog.pg_column_size(NEW.mapped_data) + coalesce(pg_catalog.pg_column_size(NEW.metadata), 0) > 8192)
  EXECUTE FUNCTION llama.guard_record_size();

-- Down Migration

DROP TRIGGER guard_size ON llama.storage_records;
DROP FUNCTION llama.guard_record_size();
ALTER TABLE llama.audit_trail DROP CONSTRAINT audit_trail_sealable;
DROP FUNCTION llama.require_sealable(jsonb, jsonb);
