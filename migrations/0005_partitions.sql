-- loses data of: storage_records, audit_trail, model_metrics, detector_executions

-- Up Migration

-- The registry of partitioned tables, for maintenance, verification and migrations. The post-deploy step writes the two
-- numbers from the environment's settings. It holds no tenant's data, so grants protect it: under row-level security a
-- reader without a policy would see an empty registry and conclude that nothing is partitioned.
CREATE TABLE llama.partitioned_tables (
  -- The month takes 9 of the 63 bytes of a partition's name.
  table_name text CONSTRAINT partitioned_tables_pkey PRIMARY KEY CHECK (pg_catalog.octet_length(table_name) <= 54),
  months_ahead integer NOT NULL DEFAULT 3 CHECK (months_ahead BETWEEN 1 AND 36),
  retention_days integer NOT NULL CHECK (retention_days >= 1),
  append_only boolean NOT NULL DEFAULT false,
  -- PCI DSS 4.0, 10.5.1: three months of the audit history are immediately available.
  CONSTRAINT partitioned_tables_audit_floor CHECK (table_name <> 'audit_trail' OR retention_days >= 90)
);

COMMENT ON TABLE llama.partitioned_tables IS 'Tables of schema llama that are partitioned by month (UTC) on "timestamp"';
COMMENT ON COLUMN llama.partitioned_tables.months_ahead IS 'Number of partitions kept ready after the current month';
COMMENT ON COLUMN llama.partitioned_tables.retention_days IS 'Days after its end until a partition may be detached';
COMMENT ON COLUMN llama.partitioned_tables.append_only IS 'Rows leave only with their whole partition';

INSERT INTO llama.partitioned_tables (table_name, retention_days, append_only)
VALUES ('storage_records', 400, false),
       ('audit_trail', 400, true),
       ('model_metrics', 90, false),
       ('detector_executions', 90, false);

CREATE FUNCTION llama.refuse_append_only_change() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: the table is append-only', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', HINT = 'Rows leave only with their whole partition.';
END
$$;

CREATE FUNCTION llama.refuse_leaf_write() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION '% on % is refused: it is a partition', TG_OP, TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', HINT = 'Name the partitioned table, whose statement triggers write the audit trail.';
END
$$;

-- Neither a row trigger nor the audit trail sees a TRUNCATE.
CREATE FUNCTION llama.refuse_truncate() RETURNS trigger
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  RAISE EXCEPTION 'TRUNCATE on % is refused: it would leave no trace in the audit trail', TG_TABLE_NAME
    USING ERRCODE = 'insufficient_privilege', HINT = 'Delete the rows: each one leaves an audit row.';
END
$$;

CREATE FUNCTION llama.create_monthly_partition(table_name text, start_date date) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- Bounds without an offset are read in the session's time zone. Names and months must not depend on it either.
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET lock_timeout = '5s'
AS $$
DECLARE
  month date := date_trunc('month', start_date::timestamp)::date;
  next_month date := (date_trunc('month', start_date::timestamp) + interval '1 month')::date;
  leaf text := create_monthly_partition.table_name || to_char(month, '"_y"YYYY"m"MM');
  lower_bound text := to_char(month, 'YYYY-MM-DD') || ' 00:00:00+00';
  upper_bound text := to_char(next_month, 'YYYY-MM-DD') || ' 00:00:00+00';
  registered llama.partitioned_tables;
  leaf_id oid;
  parent_id oid;
  found_bound text;
  grantee text;
BEGIN
  SELECT * INTO registered FROM llama.partitioned_tables AS p WHERE p.table_name = create_monthly_partition.table_name;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'table % is not partitioned by month', quote_nullable(create_monthly_partition.table_name)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'llama.partitioned_tables lists the partitioned tables.';
  END IF;
  IF month IS NULL OR NOT isfinite(start_date) OR month < date '1970-01-01' OR month > date '9999-11-01' THEN
    RAISE EXCEPTION 'start_date must lie between 1970-01-01 and 9999-11-30, not %', coalesce(start_date::text, 'NULL')
      USING ERRCODE = 'invalid_parameter_value';
  END IF;

  parent_id := format('llama.%I', registered.table_name)::regclass;
  -- Without the lock two concurrent runs would both find no leaf.
  PERFORM pg_advisory_xact_lock(hashtextextended('llama.create_monthly_partition:' || registered.table_name, 0));

  leaf_id := to_regclass(format('llama.%I', leaf));
  IF leaf_id IS NOT NULL THEN
    SELECT pg_get_expr(c.relpartbound, c.oid) INTO found_bound
      FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
     WHERE i.inhrelid = leaf_id AND i.inhparent = parent_id AND NOT i.inhdetachpending;
    IF found_bound IS NULL THEN
      RAISE EXCEPTION 'llama.% exists but is not a partition of llama.%', leaf, registered.table_name
        USING ERRCODE = 'duplicate_table', HINT = 'It was detached: attach it again, archive it, or drop it.';
    ELSIF found_bound <> format('FOR VALUES FROM (%L) TO (%L)', lower_bound, upper_bound) THEN
      RAISE EXCEPTION 'llama.% has other bounds than its month: %', leaf, found_bound
        USING ERRCODE = 'invalid_object_definition', HINT = format('Expected FROM (%L) TO (%L).', lower_bound, upper_bound);
    END IF;
    RETURN;
  END IF;

  -- PARTITION OF locks the parent against readers; ATTACH does not block readers or writers. From 18 on, ATTACH fails for
  -- an identity column that LIKE has copied.
  EXECUTE format('CREATE TABLE llama.%I (LIKE llama.%I INCLUDING ALL EXCLUDING IDENTITY)', leaf, registered.table_name);

  -- The parent's policies do not protect a leaf that a statement names directly. Without policy and grant it is closed.
  EXECUTE format('ALTER TABLE llama.%I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', leaf);
  FOR grantee IN
    SELECT DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END
      FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS a
     WHERE c.oid = format('llama.%I', leaf)::regclass AND a.grantee <> c.relowner
  LOOP
    EXECUTE format('REVOKE ALL ON TABLE llama.%I FROM %s', leaf, grantee);
  END LOOP;

  -- ATTACH clones the parent's row triggers, but not its statement triggers: those that audit do not see a statement that
  -- names the leaf.
  IF registered.append_only THEN
    EXECUTE format(
      'CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON llama.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_append_only_change()', leaf
    );
  ELSE
    EXECUTE format(
      'CREATE TRIGGER refuse_leaf_write BEFORE INSERT OR UPDATE OR DELETE ON llama.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_leaf_write()', leaf
    );
    EXECUTE format(
      'CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON llama.%I '
      'FOR EACH STATEMENT EXECUTE FUNCTION llama.refuse_truncate()', leaf
    );
    EXECUTE format('ALTER TABLE llama.%I ENABLE ALWAYS TRIGGER refuse_truncate', leaf);
  END IF;

  -- With this check ATTACH needs no scan. The bounds make it redundant afterwards.
  EXECUTE format(
    'ALTER TABLE llama.%I ADD CONSTRAINT attach_range CHECK ("timestamp" >= %L::timestamptz AND "timestamp" < %L::timestamptz)',
    leaf, lower_bound, upper_bound
  );
  EXECUTE format(
    'ALTER TABLE llama.%I ATTACH PARTITION llama.%I FOR VALUES FROM (%L) TO (%L)',
    registered.table_name, leaf, lower_bound, upper_bound
  );
  EXECUTE format('ALTER TABLE llama.%I DROP CONSTRAINT attach_range', leaf);
END
$$;

COMMENT ON FUNCTION llama.create_monthly_partition(text, date) IS
  'Creates the partition of the month (UTC) that contains start_date; does nothing if it exists';

-- The previous month is for late records, and for the first minutes of a month in other time zones.
SELECT llama.create_monthly_partition(p.table_name, month::date)
  FROM llama.partitioned_tables AS p
 CROSS JOIN LATERAL pg_catalog.generate_series(
   pg_catalog.date_trunc('month', pg_catalog.now() AT TIME ZONE 'UTC') - interval '1 month',
   pg_catalog.date_trunc('month', pg_catalog.now() AT TIME ZONE 'UTC') + pg_catalog.make_interval(months => p.months_ahead),
   interval '1 month'
 ) AS month;

-- Down Migration

DO $$
DECLARE
  leaf pg_catalog.regclass;
BEGIN
  FOR leaf IN
    SELECT i.inhrelid
      FROM llama.partitioned_tables AS p
      JOIN pg_catalog.pg_inherits AS i
        ON i.inhparent = pg_catalog.format('llama.%I', p.table_name)::pg_catalog.regclass
  LOOP
    EXECUTE pg_catalog.format('DROP TABLE %s', leaf);
  END LOOP;
END
$$;

DROP FUNCTION llama.create_monthly_partition(text, date);
DROP FUNCTION llama.refuse_leaf_write();
DROP FUNCTION llama.refuse_truncate();
DROP FUNCTION llama.refuse_append_only_change();
-- lint allow undeclared-data-loss: this file and the environment's settings write its rows again
DROP TABLE llama.partitioned_tables;
