-- loses data of: audit_seals, audit_sealing

-- Up Migration

-- A chain of hashes over the audit trail. A seal states the number of rows of one month in a range of sequence numbers and
-- the hash of their contents. Its own hash covers both and the previous seal. No seal spans two months, so that a month can
-- leave with its partition. A closing seal covers all seals of a month, after which its rows may leave.
CREATE TABLE llama.audit_seals (
  number bigint CONSTRAINT audit_seals_pkey PRIMARY KEY CHECK (number >= 1),
  kind varchar(10) NOT NULL CHECK (kind IN ('rows', 'closing')),
  month date NOT NULL CHECK (pg_catalog.date_part('day', month) = 1 AND month BETWEEN '1970-01-01' AND '9999-11-01'),
  first_sequence bigint NOT NULL,
  last_sequence bigint NOT NULL,
  row_count bigint NOT NULL CHECK (row_count >= 0),
  content_hash bytea NOT NULL CHECK (pg_catalog.octet_length(content_hash) = 32),
  previous_hash bytea NOT NULL CHECK (pg_catalog.octet_length(previous_hash) = 32),
  hash bytea NOT NULL CHECK (pg_catalog.octet_length(hash) = 32),
  sealed_at timestamptz NOT NULL,
  retention_days integer NOT NULL,
  noted_at timestamptz,
  CONSTRAINT audit_seals_range CHECK (first_sequence <= last_sequence)
);

CREATE INDEX idx_audit_seals_month ON llama.audit_seals (month, number);
CREATE INDEX idx_audit_seals_retention ON llama.audit_seals (retention_days, number) WHERE kind = 'rows';
CREATE INDEX idx_audit_seals_closing ON llama.audit_seals (number) WHERE kind = 'closing';

COMMENT ON TABLE llama.audit_seals IS 'Seals of the audit trail; only llama.seal_audit_trail() writes them, llama-db audit verify checks them';
COMMENT ON COLUMN llama.audit_seals.month IS 'First day (UTC) of the month whose partition holds the rows';
COMMENT ON COLUMN llama.audit_seals.content_hash IS
  'SHA-256 over the SHA-256 of each row, in order of sequence; for a closing seal over the content_hash of each seal of the month';
COMMENT ON COLUMN llama.audit_seals.retention_days IS
  'Days that the trail was kept when the seal was written; for a closing seal the days that its month had to be kept';
COMMENT ON COLUMN llama.audit_seals.noted_at IS
  'Instant after which every later row was numbered; NULL for a closing seal';
COMMENT ON COLUMN llama.audit_seals.hash IS 'SHA-256 over the other columns; previous_hash is the hash of the previous seal, or zeros';

-- The sequence number up to which the next run may seal. It proves nothing: a wrong number delays sealing or makes the check
-- of the trail fail.
CREATE TABLE llama.audit_sealing (
  only_row boolean CONSTRAINT audit_sealing_pkey PRIMARY KEY DEFAULT true CHECK (only_row),
  noted_sequence bigint,
  noted_transaction xid8,
  noted_at timestamptz
);

INSERT INTO llama.audit_sealing DEFAULT VALUES;

ALTER TABLE llama.audit_seals ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;

CREATE POLICY seal_append ON llama.audit_seals FOR INSERT TO audit_sealer WITH CHECK (true);
CREATE POLICY seal_read ON llama.audit_seals FOR SELECT TO audit_sealer USING (true);
CREATE POLICY admin_read_seals ON llama.audit_seals FOR SELECT TO admin_role USING (true);
CREATE POLICY seal_read_audit ON llama.audit_trail FOR SELECT TO audit_sealer USING (true);

GRANT USAGE ON SCHEMA llama TO audit_sealer;
GRANT SELECT, INSERT ON llama.audit_seals TO audit_sealer;
GRANT SELECT, UPDATE ON llama.audit_sealing TO audit_sealer;
GRANT SELECT (table_name, retention_days) ON llama.partitioned_tables TO audit_sealer;
GRANT SELECT ON llama.audit_trail TO audit_sealer;
GRANT SELECT ON SEQUENCE llama.audit_sequence TO audit_sealer;
GRANT SELECT ON llama.audit_seals TO admin_role;
GRANT SELECT ON SEQUENCE llama.audit_sequence TO admin_role;

-- Forced row-level security already hides every row from the owner. These triggers hold even if it gives itself a policy.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON llama.audit_seals
  FOR EACH ROW EXECUTE FUNCTION llama.refuse_append_only_change();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON llama.audit_seals
  FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_append_only_change();

-- The text of a row is a JSON array that does not depend on session settings, on the order of columns or on the server's
-- version; instants are seconds since 1970 as exact decimals. database/audit/canonical.ts implements the same text again, so
-- that the check is independent of this function. No trigger writes a row whose timestamp no partition can hold
-- (llama.create_monthly_partition). Such a row belongs to no month and is never sealed; llama-db audit verify reports it.
-- Hashes are made before the rows are sorted, so that no content is sorted with them.
CREATE FUNCTION llama.audit_content(month date, after_sequence bigint, last_sequence bigint, firsts bigint[] DEFAULT NULL)
RETURNS TABLE (content_month date, part integer, row_count bigint, content_hash bytea)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
  SELECT r.month, r.part, count(*), sha256(string_agg(r.digest, ''::bytea ORDER BY r.sequence, r.id))
    FROM (
      SELECT date_trunc('month', a."timestamp" AT TIME ZONE 'UTC')::date AS month,
             width_bucket(a.sequence, audit_content.firsts) AS part, a.sequence, a.id,
             sha256(convert_to(jsonb_build_array(
               a.sequence, a.id, a.tenant_id, a.table_name, a.record_id, a.operation, a.user_id,
               extract(epoch FROM a."timestamp")::text,
               -- The hash of erased content counts only if there is no other content.
               CASE WHEN a.erased_hash IS NOT NULL AND a.old_values IS NULL AND a.new_values IS NULL THEN a.erased_hash
                    ELSE encode(sha256(convert_to(jsonb_build_array(a.old_values, a.new_values)::text, 'UTF8')), 'hex') END,
               a.correlation_id, a.ip_address::text,
               a.user_agent, a.record_key, extract(epoch FROM a.record_timestamp)::text, a.content_hash, a.login::text,
               a.authenticated_as, a.backend_pid
             )::text, 'UTF8')) AS digest
        FROM llama.audit_trail AS a
       WHERE a.sequence > audit_content.after_sequence AND a.sequence <= audit_content.last_sequence
         AND a."timestamp" >= coalesce(audit_content.month::timestamp AT TIME ZONE 'UTC', '1970-01-01 00:00:00+00')
         AND a."timestamp" < coalesce((audit_content.month::timestamp + interval '1 month') AT TIME ZONE 'UTC', '9999-12-01 00:00:00+00')
      OFFSET 0
    ) AS r
   GROUP BY 1, 2
   ORDER BY 1, 2
$$;

COMMENT ON FUNCTION llama.audit_content(date, bigint, bigint, bigint[]) IS
  'Hash per month of the rows numbered after one sequence and up to another; of one month only if it is given; one per part if the first numbers of the parts are given';

-- Every seal carries the retention in force, so that nobody can shorten the life of a month afterwards: the chain remembers
-- the longest one. 90 days are the least (llama.partitioned_tables has the same constraint).
CREATE FUNCTION llama.audit_retention_of(month date) RETURNS integer
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
  WITH RECURSIVE kept (days) AS (
    SELECT max(s.retention_days) FROM llama.audit_seals AS s WHERE s.kind = 'rows'
    UNION ALL
    SELECT (SELECT max(s.retention_days) FROM llama.audit_seals AS s WHERE s.kind = 'rows' AND s.retention_days < kept.days)
      FROM kept WHERE kept.days IS NOT NULL
  )
  SELECT greatest(90,
    (SELECT p.retention_days FROM llama.partitioned_tables AS p WHERE p.table_name = 'audit_trail'),
    (SELECT max(kept.days) FROM kept
      WHERE EXISTS (
        SELECT FROM llama.audit_seals AS s
         WHERE s.kind = 'rows' AND s.retention_days = kept.days
           -- From the last seal before the month: its rows were written under that retention.
           AND s.number >= (SELECT coalesce(max(b.number), 1) FROM llama.audit_seals AS b
                             WHERE b.kind = 'rows' AND b.number < (
                               SELECT min(f.number) FROM llama.audit_seals AS f
                                WHERE f.month = date_trunc('month', audit_retention_of.month::timestamp)::date)))))
$$;

COMMENT ON FUNCTION llama.audit_retention_of(date) IS
  'Days that a month of the audit trail is kept after its end: the longest retention in force since its first row, at least 90';

CREATE FUNCTION llama.append_audit_seal(
  kind text, month date, first_sequence bigint, last_sequence bigint, row_count bigint, content_hash bytea,
  retention_days integer DEFAULT NULL, noted_at timestamptz DEFAULT NULL
) RETURNS bigint
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  number bigint := 1;
  previous_hash bytea := decode(repeat('00', 32), 'hex');
  sealed_at timestamptz := clock_timestamp();
  head record;
BEGIN
  SELECT s.number, s.hash INTO head FROM llama.audit_seals AS s ORDER BY s.number DESC LIMIT 1;
  IF FOUND THEN
    number := head.number + 1;
    previous_hash := head.hash;
  END IF;
  IF retention_days IS NULL THEN
    retention_days := coalesce(
      (SELECT p.retention_days FROM llama.partitioned_tables AS p WHERE p.table_name = 'audit_trail'), 90);
  END IF;
  INSERT INTO llama.audit_seals
  VALUES (number, kind, month, first_sequence, last_sequence, row_count, content_hash, previous_hash,
          sha256(convert_to(jsonb_build_array(
            number, kind, to_char(month, 'YYYY-MM-DD'), first_sequence, last_sequence, row_count,
            encode(content_hash, 'hex'), encode(previous_hash, 'hex'), extract(epoch FROM sealed_at)::text,
            retention_days, extract(epoch FROM noted_at)::text
          )::text, 'UTF8')),
          sealed_at, retention_days, noted_at);
  RETURN number;
END
$$;

-- Rows become visible in another order than they were numbered. A transaction has its id before its first row is numbered
-- (see llama.record_read). Let N be the newest number, read before this transaction gets its own id X: a transaction older
-- than X wrote every row up to N. Once all of those have ended, every row up to N is visible or was rolled back. Only then
-- is N sealed: one run notes N and X, a later one seals up to N.
-- The snapshot's xmax is no substitute for X: it is derived from the latest *ended* transaction, and running transactions
-- may have higher ids.
-- After a restore into another cluster transaction ids start elsewhere. A noted id that this cluster has not reached is
-- dropped. One that it has passed is correct, because every restored row is visible.
CREATE FUNCTION llama.seal_audit_trail(batch_size integer DEFAULT 10000, batches integer DEFAULT 100) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '10s'
AS $$
DECLARE
  noted llama.audit_sealing;
  newest bigint;
  notable boolean;
  sealed_through bigint;
  batch_end bigint;
  part record;
  found_rows boolean;
  sealed bigint := 0;
BEGIN
  IF batch_size IS NULL OR batch_size NOT BETWEEN 1 AND 100000 OR batches IS NULL OR batches NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'batch_size must be between 1 and 100000, batches between 1 and 10000'
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  -- One run at a time. Any tenant could hold an advisory lock forever, and a row lock would give this transaction its id too
  -- early. Writers of the trail do not take this lock.
  LOCK TABLE llama.audit_sealing IN SHARE ROW EXCLUSIVE MODE;
  notable := pg_current_xact_id_if_assigned() IS NULL;
  newest := coalesce(pg_sequence_last_value('llama.audit_sequence'), 0);
  SELECT * INTO STRICT noted FROM llama.audit_sealing;
  SELECT s.last_sequence INTO sealed_through
    FROM llama.audit_seals AS s WHERE s.kind = 'rows' ORDER BY s.number DESC LIMIT 1;
  sealed_through := coalesce(sealed_through, 0);

  IF noted.noted_sequence > newest OR noted.noted_transaction >= pg_snapshot_xmax(pg_current_snapshot()) THEN
    noted.noted_sequence := NULL;
  END IF;
  IF noted.noted_sequence IS NOT NULL AND pg_snapshot_xmin(pg_current_snapshot()) >= noted.noted_transaction THEN
    WHILE sealed_through < noted.noted_sequence AND batches > 0 LOOP
      batches := batches - 1;
      batch_end := least(sealed_through + batch_size, noted.noted_sequence);
      found_rows := false;
      FOR part IN SELECT * FROM llama.audit_content(NULL, sealed_through, batch_end) LOOP
        PERFORM llama.append_audit_seal(
          'rows', part.content_month, sealed_through + 1, batch_end, part.row_count, part.content_hash,
          noted_at => noted.noted_at
        );
        found_rows := true;
        sealed := sealed + part.row_count;
      END LOOP;
      IF NOT found_rows THEN
        -- Numbers without rows are skipped; the range of the next seal starts with them.
        SELECT min(a.sequence) - 1 INTO batch_end
          FROM llama.audit_trail AS a WHERE a.sequence > batch_end AND a.sequence <= noted.noted_sequence;
        EXIT WHEN batch_end IS NULL;
        sealed_through := batch_end;
        CONTINUE;
      END IF;
      sealed_through := batch_end;
    END LOOP;
    -- The remainder stays noted for the next run.
    IF sealed_through >= noted.noted_sequence OR batch_end IS NULL THEN noted.noted_sequence := NULL; END IF;
  END IF;

  IF notable AND noted.noted_sequence IS NULL AND newest > sealed_through THEN
    UPDATE llama.audit_sealing
       SET noted_sequence = newest, noted_transaction = pg_current_xact_id(), noted_at = clock_timestamp();
  END IF;
  RETURN sealed;
END
$$;

COMMENT ON FUNCTION llama.seal_audit_trail(integer, integer) IS
  'Seals rows once no running transaction can add earlier ones, and notes the limit of the next run; returns the number of rows';

-- SECURITY DEFINER, because the role that detaches a partition sees none of its rows.
CREATE FUNCTION llama.close_audit_partition(month date) RETURNS bigint
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET timezone = 'UTC'
SET lock_timeout = '10s'
AS $$
DECLARE
  first_day date := date_trunc('month', month::timestamp)::date;
  kept_days integer;
  seal record;
  content record;
  found_rows bigint;
  closing record;
  whole record;
BEGIN
  IF first_day IS NULL OR (first_day + interval '1 month') > now() - interval '1 day' THEN
    RAISE EXCEPTION 'the audit partition of % may still receive rows', coalesce(to_char(month, 'YYYY-MM'), 'no month')
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'A month can be closed a day after its end.';
  END IF;
  LOCK TABLE llama.audit_sealing IN SHARE ROW EXCLUSIVE MODE;
  kept_days := llama.audit_retention_of(first_day);
  IF first_day + interval '1 month' + make_interval(days => kept_days) > now() THEN
    RAISE EXCEPTION 'the audit partition of % is kept for % days after its end', to_char(first_day, 'YYYY-MM'), kept_days
      USING ERRCODE = 'object_not_in_prerequisite_state',
            HINT = 'Its seals record the longest retention since its first row. A lower one applies to later months only.';
  END IF;

  -- One pass over the month: a scan for each of its seals would take hours, because there may be one per minute. A row
  -- belongs to the last seal that begins at its number or before it, so that a seal whose range overlaps another one differs.
  WITH seals AS MATERIALIZED (
    SELECT s.number, s.first_sequence, s.last_sequence, s.row_count, s.content_hash,
           row_number() OVER (ORDER BY s.first_sequence, s.number)::integer AS part
      FROM llama.audit_seals AS s WHERE s.month = first_day AND s.kind = 'rows'
  )
  -- FULL JOIN excludes nested loops, whose time grows with the square of the seals.
  SELECT count(*) AS differing, min(s.number) AS number INTO seal
    FROM seals AS s
    FULL JOIN llama.audit_content(
           first_day, (SELECT min(w.first_sequence) - 1 FROM seals AS w), (SELECT max(w.last_sequence) FROM seals AS w),
           (SELECT array_agg(w.first_sequence ORDER BY w.part) FROM seals AS w)
         ) AS c ON c.part = s.part
   WHERE c.row_count IS DISTINCT FROM s.row_count OR c.content_hash IS DISTINCT FROM s.content_hash;
  IF seal.differing > 0 THEN
    RAISE EXCEPTION 'the audit partition of % differs from seal %', to_char(first_day, 'YYYY-MM'), seal.number
      USING ERRCODE = 'data_corrupted', HINT = 'Run llama-db audit verify. The partition stays until the difference is explained.';
  END IF;

  SELECT count(*) INTO found_rows
    FROM llama.audit_trail AS a
   WHERE a."timestamp" >= first_day AND a."timestamp" < first_day + interval '1 month';
  SELECT coalesce(min(s.first_sequence), 0) AS first_sequence, coalesce(max(s.last_sequence), 0) AS last_sequence,
         coalesce(sum(s.row_count), 0)::bigint AS row_count,
         sha256(coalesce(string_agg(s.content_hash, ''::bytea ORDER BY s.number), '')) AS content_hash
    INTO STRICT whole
    FROM llama.audit_seals AS s WHERE s.month = first_day AND s.kind = 'rows';
  IF found_rows <> whole.row_count THEN
    RAISE EXCEPTION 'the audit partition of % has % rows, of which % are sealed', to_char(first_day, 'YYYY-MM'), found_rows, whole.row_count
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Run SELECT llama.seal_audit_trail() twice to seal the rest.';
  END IF;

  SELECT s.number, s.content_hash INTO closing
    FROM llama.audit_seals AS s WHERE s.month = first_day AND s.kind = 'closing' ORDER BY s.number DESC LIMIT 1;
  IF closing.content_hash IS NOT DISTINCT FROM whole.content_hash AND llama.is_audit_partition_closed(first_day) THEN
    RETURN closing.number;
  END IF;
  RETURN llama.append_audit_seal(
    'closing', first_day, whole.first_sequence, whole.last_sequence, whole.row_count, whole.content_hash, kept_days
  );
END
$$;

COMMENT ON FUNCTION llama.close_audit_partition(date) IS
  'Checks a month of the audit trail against its seals and adds the closing seal, without which its partition must stay; returns the number of that seal';

CREATE FUNCTION llama.is_audit_partition_closed(month date) RETURNS boolean
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET row_security = on
AS $$
  -- A closing seal does not cover rows that were sealed after it, and does not count before its retention is over. A seal
  -- that claims a future instant is forged.
  SELECT coalesce((
    SELECT s.kind = 'closing'
           AND s.retention_days >= llama.audit_retention_of(is_audit_partition_closed.month)
           AND s.sealed_at >= (s.month + interval '1 month') AT TIME ZONE 'UTC' + make_interval(days => s.retention_days)
           AND s.sealed_at <= clock_timestamp() + interval '5 minutes'
      FROM llama.audit_seals AS s
     WHERE s.month = date_trunc('month', is_audit_partition_closed.month::timestamp)::date
     ORDER BY s.number DESC LIMIT 1
  ), false)
$$;

COMMENT ON FUNCTION llama.is_audit_partition_closed(date) IS
  'Whether a closing seal of that month of the audit trail exists and covers every seal of it';

CREATE FUNCTION llama.audit_month_state(month date) RETURNS text
LANGUAGE sql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET row_security = on
AS $$
  SELECT CASE
           WHEN NOT EXISTS (SELECT FROM llama.audit_seals AS s WHERE s.month = m.first_day) THEN 'unsealed'
           WHEN NOT llama.is_audit_partition_closed(m.first_day) THEN 'open'
           -- Later rows have higher numbers than any sealed one.
           WHEN EXISTS (
             SELECT FROM llama.audit_trail AS a
              WHERE a."timestamp" >= m.first_day AND a."timestamp" < m.first_day + interval '1 month'
                AND a.sequence > (SELECT max(s.last_sequence) FROM llama.audit_seals AS s WHERE s.month = m.first_day)
           ) THEN 'extended'
           ELSE 'closed'
         END
    FROM (SELECT date_trunc('month', audit_month_state.month::timestamp)::date AS first_day) AS m
$$;

COMMENT ON FUNCTION llama.audit_month_state(date) IS
  'unsealed: no seal; open: sealed, without a closing that counts; extended: rows were written after the closing; closed';

REVOKE ALL ON FUNCTION llama.audit_month_state(date) FROM PUBLIC;
REVOKE ALL ON FUNCTION llama.audit_content(date, bigint, bigint, bigint[]),
                       llama.append_audit_seal(text, date, bigint, bigint, bigint, bytea, integer, timestamptz),
                       llama.seal_audit_trail(integer, integer), llama.close_audit_partition(date),
                       llama.is_audit_partition_closed(date), llama.audit_retention_of(date) FROM PUBLIC;

GRANT CREATE ON SCHEMA llama TO audit_sealer;
ALTER FUNCTION llama.audit_content(date, bigint, bigint, bigint[]) OWNER TO audit_sealer;
ALTER FUNCTION llama.append_audit_seal(text, date, bigint, bigint, bigint, bytea, integer, timestamptz) OWNER TO audit_sealer;
ALTER FUNCTION llama.seal_audit_trail(integer, integer) OWNER TO audit_sealer;
ALTER FUNCTION llama.close_audit_partition(date) OWNER TO audit_sealer;
ALTER FUNCTION llama.is_audit_partition_closed(date) OWNER TO audit_sealer;
ALTER FUNCTION llama.audit_month_state(date) OWNER TO audit_sealer;
ALTER FUNCTION llama.audit_retention_of(date) OWNER TO audit_sealer;
REVOKE CREATE ON SCHEMA llama FROM audit_sealer;

SET LOCAL ROLE audit_sealer;
GRANT EXECUTE ON FUNCTION llama.seal_audit_trail(integer, integer) TO maintenance_role;
GRANT EXECUTE ON FUNCTION llama.audit_retention_of(date) TO maintenance_owner;
GRANT EXECUTE ON FUNCTION llama.close_audit_partition(date), llama.is_audit_partition_closed(date), llama.audit_month_state(date) TO llama_owner;
SET LOCAL ROLE llama_owner;

-- Down Migration

SET LOCAL ROLE audit_sealer;
DROP FUNCTION llama.audit_month_state(date);
DROP FUNCTION llama.is_audit_partition_closed(date);
DROP FUNCTION llama.close_audit_partition(date);
DROP FUNCTION llama.audit_retention_of(date);
DROP FUNCTION llama.seal_audit_trail(integer, integer);
DROP FUNCTION llama.append_audit_seal(text, date, bigint, bigint, bigint, bytea, integer, timestamptz);
DROP FUNCTION llama.audit_content(date, bigint, bigint, bigint[]);
SET LOCAL ROLE llama_owner;

DROP POLICY seal_read_audit ON llama.audit_trail;
REVOKE ALL ON llama.audit_trail, llama.partitioned_tables FROM audit_sealer;
REVOKE ALL ON SEQUENCE llama.audit_sequence FROM audit_sealer, admin_role;
REVOKE USAGE ON SCHEMA llama FROM audit_sealer;
DROP TABLE llama.audit_sealing;
DROP TABLE llama.audit_seals;
