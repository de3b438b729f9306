-- Up Migration

-- Every stored record must be readable and erasable. A JSON value of 100 KB can have a text of more than 1 GB (1e131000 takes
-- 12 bytes), which no reader can hold. 96 MiB of text correspond to 72 MiB before encryption. A number takes at least 8 bytes
-- and prints at most 131,072 digits, so a record below 8 KB needs no check.
CREATE FUNCTION llama.guard_record_size() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  most constant integer := 96 * 1024 * 1024 + 256;
BEGIN
  IF llama.json_text_size(NEW.mapped_data, most) + coalesce(llama.json_text_size(NEW.metadata, most), 0) > most THEN
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
