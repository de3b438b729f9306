-- Up Migration

-- The work that pg_cron does, as functions. Each is one short transaction that may run twice at once or be missed. A
-- function cannot detach a partition concurrently; `llama-db maintain` does. Each sets what it depends on, because a job's
-- session has the settings that anybody gave to its login or database.

-- Months without a partition: from this month to months_ahead, and holes between the oldest partition and this month. A month
-- past retention is not a hole, because retention removes empty months and keeps earlier ones that a tenant protects.
-- SECURITY DEFINER, because the owner may ask whether a month of the audit trail is sealed.
CREATE FUNCTION llama.missing_partitions() RETURNS TABLE (table_name text, month date, hole boolean, obstacle text)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
  WITH clock AS (SELECT date_trunc('month', now()) AS this_month),
  leaves AS (
    SELECT p.table_name, c.relname,
           coalesce((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1], '-infinity')::timestamptz AS lower,
           coalesce((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1], 'infinity')::timestamptz AS upper
      FROM llama.partitioned_tables AS p
      JOIN pg_inherits AS i ON i.inhparent = format('llama.%I', p.table_name)::regclass
      JOIN pg_class AS c ON c.oid = i.inhrelid
     WHERE NOT i.inhdetachpending AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
  ),
  wanted AS (
    SELECT p.table_name, m.first, m.first < k.this_month AS hole,
           p.table_name || to_char(m.first, '"_y"YYYY"m"MM') AS leaf
      FROM llama.partitioned_tables AS p
     CROSS JOIN clock AS k
     CROSS JOIN LATERAL generate_series(
       least(k.this_month, greatest(
         date_trunc('month', now() - make_interval(days => p.retention_days)),
         (SELECT min(date_trunc('month', l.upper - interval '1 microsecond')) FROM leaves AS l WHERE l.table_name = p.table_name AND isfinite(l.upper))
       )),
       k.this_month + make_interval(months => p.months_ahead), interval '1 month'
     ) AS m (first)
  )
  SELECT w.table_name, w.first::date, w.hole,
         CASE
           WHEN o.relname IS NOT NULL THEN format('llama.%I covers a part of it', o.relname)
           WHEN to_regclass(format('llama.%I', w.leaf)) IS NOT NULL THEN format('llama.%I exists but is not attached', w.leaf)
           WHEN w.hole AND w.table_name = 'audit_trail' AND llama.audit_month_state(w.first::date) IN ('open', 'extended')
             THEN 'its sealed rows are gone, and a new partition would hide that'
         END
    FROM wanted AS w
    LEFT JOIN LATERAL (
      SELECT l.relname FROM leaves AS l
       WHERE l.table_name = w.table_name AND l.lower < w.first + interval '1 month' AND l.upper > w.first
       ORDER BY l.lower LIMIT 1
    ) AS o ON true
   WHERE NOT EXISTS (
     SELECT FROM leaves AS l WHERE l.table_name = w.table_name AND l.lower <= w.first AND l.upper >= w.first + interval '1 month')
     AND NOT (w.hole AND w.table_name = 'audit_trail' AND llama.audit_month_state(w.first::date) = 'closed')
   ORDER BY w.hole, 1, 2;
END
$$;

COMMENT ON FUNCTION llama.missing_partitions() IS
  'Months without a partition: this one, those ahead, and holes within retention; obstacle is the reason why a month cannot be created';

-- SECURITY DEFINER, because only the owner of a table may attach a partition. It creates no other month than a missing one.
CREATE FUNCTION llama.create_missing_partition(table_name text, month date) RETURNS boolean
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
  missing record;
BEGIN
  SELECT * INTO missing FROM llama.missing_partitions() AS m
   WHERE m.table_name = create_missing_partition.table_name AND m.month = create_missing_partition.month;
  IF NOT FOUND THEN
    RETURN false;
  ELSIF missing.obstacle IS NOT NULL THEN
    RAISE EXCEPTION 'the partition of llama.% for % cannot be created: %', missing.table_name, to_char(missing.month, 'YYYY-MM'), missing.obstacle
      USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM llama.create_monthly_partition(missing.table_name, missing.month);
  RETURN true;
END
$$;

COMMENT ON FUNCTION llama.create_missing_partition(text, date) IS
  'Creates one month of llama.missing_partitions(); false if it is not missing';

CREATE FUNCTION llama.create_partitions_ahead() RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
DECLARE
  missing record;
  made integer := 0;
BEGIN
  FOR missing IN SELECT * FROM llama.missing_partitions() LOOP
    -- An error would undo the months that every table needs.
    IF missing.hole AND missing.obstacle IS NOT NULL THEN
      RAISE WARNING 'the hole of llama.% at % stays: %', missing.table_name, to_char(missing.month, 'YYYY-MM'), missing.obstacle;
    ELSIF llama.create_missing_partition(missing.table_name, missing.month) THEN
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END
$$;

COMMENT ON FUNCTION llama.create_partitions_ahead() IS
  'Creates missing partitions up to months_ahead and in holes; returns their number, and warns of a hole that it cannot fill';

-- SECURITY DEFINER, because only the owner may analyse a table; from 17 on MAINTAIN could be granted. Autovacuum analyses
-- leaves only, and the planner uses the parent's statistics for queries that span months.
CREATE FUNCTION llama.analyze_partitioned_tables() RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '5s'
AS $$
DECLARE
  parent text;
BEGIN
  FOR parent IN SELECT p.table_name FROM llama.partitioned_tables AS p ORDER BY p.table_name LOOP
    EXECUTE format('ANALYZE llama.%I', parent);
  END LOOP;
END
$$;

COMMENT ON FUNCTION llama.analyze_partitioned_tables() IS 'Updates the statistics of the partitioned tables';

-- Removes the content of audit rows. Only the name of the erasure is set; llama.guard_audit_row() does the rest.
CREATE FUNCTION llama.erase_audit_content(tenants text[], ids uuid[], times timestamptz[], reason text) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
AS $$
DECLARE
  erasure record;
  erased integer := 0;
BEGIN
  FOR erasure IN
    WITH due AS MATERIALIZED (
      SELECT d.tenant_id, d.id, d."timestamp", date_trunc('month', d."timestamp")::date AS month
        FROM unnest(tenants, ids, times) AS d (tenant_id, id, "timestamp")
    ), named AS MATERIALIZED (
      SELECT m.tenant_id, m.month, gen_random_uuid() AS id FROM (SELECT DISTINCT d.tenant_id, d.month FROM due AS d) AS m
    ), blanked AS (
      UPDATE llama.audit_trail AS a SET erased_by = n.id
        FROM due AS d JOIN named AS n ON n.tenant_id = d.tenant_id AND n.month = d.month
       WHERE a.tenant_id = d.tenant_id AND a.id = d.id AND a."timestamp" = d."timestamp" AND a.erased_by IS NULL
      RETURNING a.tenant_id, a.erased_by, n.month, a.sequence, a.id, a.erased_hash
    )
    SELECT b.erased_by AS id, b.tenant_id, b.month, count(*)::integer AS row_count,
           encode(sha256(convert_to(string_agg(b.sequence || ' ' || b.erased_hash, ',' ORDER BY b.sequence, b.id), 'UTF8')), 'hex') AS digest
      FROM blanked AS b GROUP BY 1, 2, 3 ORDER BY 2, 3
  LOOP
    PERFORM llama.record_erasure(erasure.id, erasure.tenant_id, erasure.month, reason, erasure.row_count, erasure.digest);
    erased := erased + erasure.row_count;
  END LOOP;
  RETURN erased;
END
$$;

COMMENT ON FUNCTION llama.erase_audit_content(text[], uuid[], timestamptz[], text) IS
  'Removes old_values and new_values of audit rows, and writes one ERASE row per tenant and month; returns the number of rows';

CREATE FUNCTION llama.erase_expired(batch_size integer, only_tenant text DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  erased integer;
  tenants text[];
  records uuid[];
  due record;
BEGIN
  -- Records of a tenant without a configuration, or with NULL days, are kept.
  WITH expired AS (
    SELECT r.tenant_id, r.id, r."timestamp"
      FROM llama.tenant_configs AS c
     CROSS JOIN LATERAL (
       SELECT s.tenant_id, s.id, s."timestamp"
         FROM llama.storage_records AS s
        WHERE s.tenant_id = c.tenant_id
          AND s."timestamp" < now() - make_interval(days => c.storage_retention_days)
        ORDER BY s."timestamp"
        LIMIT batch_size
          -- A lock on one row of one tenant must not delay the erasure for all.
          FOR UPDATE SKIP LOCKED
     ) AS r
     WHERE c.storage_retention_days >= 0 AND (only_tenant IS NULL OR c.tenant_id = only_tenant)
     LIMIT batch_size
  ), deleted AS (
    DELETE FROM llama.storage_records AS s
     USING expired AS e
     WHERE s.tenant_id = e.tenant_id AND s.id = e.id AND s."timestamp" = e."timestamp"
    RETURNING s.tenant_id, s.id
  )
  SELECT array_agg(d.tenant_id), array_agg(d.id) INTO tenants, records FROM deleted AS d;

  -- A delete by another role copied the record into the trail. The copy has the retention of the record.
  SELECT tenants || array_agg(a.tenant_id::text), records || array_agg(a.record_id) INTO tenants, records
    FROM (
      SELECT a.tenant_id, a.record_id
        FROM llama.tenant_configs AS c
       CROSS JOIN LATERAL (
         SELECT t.tenant_id, t.record_id
           FROM llama.audit_trail AS t
          WHERE t.tenant_id = c.tenant_id AND t.table_name = 'storage_records' AND t.operation = 'DELETE'
            AND t.old_values IS NOT NULL AND t.erased_by IS NULL
            AND t.record_timestamp < now() - make_interval(days => c.storage_retention_days)
            AND NOT EXISTS (SELECT FROM llama.storage_records AS s
                             WHERE s.tenant_id = t.tenant_id AND s.id = t.record_id AND s."timestamp" = t.record_timestamp)
          ORDER BY t.record_timestamp
          LIMIT batch_size
       ) AS a
       WHERE c.storage_retention_days >= 0 AND (only_tenant IS NULL OR c.tenant_id = only_tenant)
       LIMIT batch_size
    ) AS a;
  erased := coalesce(cardinality(records), 0);
  IF erased = 0 THEN RETURN 0; END IF;

  -- Every copy of these records, but not of a record with the same id and another timestamp that is kept.
  SELECT array_agg(a.tenant_id::text) AS tenants, array_agg(a.id) AS ids, array_agg(a."timestamp") AS times INTO due
    FROM (SELECT DISTINCT r.tenant_id, r.id FROM unnest(tenants, records) AS r (tenant_id, id)) AS r
    JOIN llama.tenant_configs AS c ON c.tenant_id = r.tenant_id
    JOIN llama.audit_trail AS a ON a.record_id = r.id AND a.tenant_id = r.tenant_id
   WHERE a.table_name = 'storage_records' AND a.erased_by IS NULL AND (a.old_values IS NOT NULL OR a.new_values IS NOT NULL)
     AND a.record_timestamp < now() - make_interval(days => c.storage_retention_days)
     AND NOT EXISTS (SELECT FROM llama.storage_records AS s
                      WHERE s.tenant_id = a.tenant_id AND s.id = a.record_id AND s."timestamp" = a.record_timestamp);
  PERFORM llama.erase_audit_content(due.tenants, due.ids, due.times, 'retention');
  RETURN erased;
END
$$;

COMMENT ON FUNCTION llama.erase_expired(integer, text) IS 'One batch of apply_retention, of all tenants or of one: records and their copies in the audit trail';

-- SECURITY DEFINER as maintenance_owner: by that role the audit trigger recognises an erasure and stores key and hash only.
CREATE FUNCTION llama.apply_retention(batch_size integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '2s'
AS $$
DECLARE
  erased integer := 0;
  tenant text;
BEGIN
  IF batch_size IS NULL OR batch_size NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'batch_size must be between 1 and 100000' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  BEGIN
    RETURN llama.erase_expired(batch_size);
  EXCEPTION WHEN OTHERS THEN
    NULL; -- One record that cannot be erased must not stop the erasure for all tenants, so each tenant is tried alone.
  END;
  FOR tenant IN
    SELECT c.tenant_id FROM llama.tenant_configs AS c WHERE c.storage_retention_days >= 0 ORDER BY c.tenant_id
  LOOP
    BEGIN
      erased := erased + llama.erase_expired(batch_size, tenant);
    EXCEPTION WHEN OTHERS THEN
      RAISE WARNING 'records of tenant % past retention are not erased: %', quote_literal(tenant), SQLERRM USING ERRCODE = SQLSTATE;
    END;
  END LOOP;
  RETURN erased;
END
$$;

COMMENT ON FUNCTION llama.apply_retention(integer) IS
  'Erases one batch of storage records older than their tenant''s storage_retention_days, and their copies in the audit trail; returns the number of records, 0 if only locked records are left; warns of each tenant whose records cannot be erased';

-- Metrics and executions leave with their partition, and their copies in the trail leave before it: the rows of the month
-- name the audit rows. In batches by key, because the rows themselves stay until the partition is detached.
CREATE FUNCTION llama.erase_audit_of_month(
  partitioned text, month date, after_tenant text, after_id uuid, batch_size integer,
  OUT last_tenant text, OUT last_id uuid, OUT erased integer
)
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET timezone = 'UTC'
SET lock_timeout = '10s'
AS $$
DECLARE
  registered llama.partitioned_tables;
  first_instant timestamptz := date_trunc('month', month::timestamp);
  tenants text[];
  records uuid[];
  due record;
BEGIN
  SELECT * INTO registered FROM llama.partitioned_tables AS p WHERE p.table_name = partitioned AND NOT p.append_only;
  IF NOT FOUND OR first_instant IS NULL
     OR first_instant + interval '1 month' + make_interval(days => registered.retention_days) > now() THEN
    RAISE EXCEPTION 'copies of % of % are not past retention', quote_nullable(partitioned), coalesce(to_char(month, 'YYYY-MM'), 'no month')
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'llama.partitioned_tables has the retention of each table.';
  END IF;
  erased := 0;
  EXECUTE format(
    'SELECT array_agg(r.tenant_id::text ORDER BY r.tenant_id, r.id), array_agg(r.id ORDER BY r.tenant_id, r.id) FROM ('
    'SELECT t.tenant_id, t.id FROM llama.%I AS t WHERE t."timestamp" >= $1 AND t."timestamp" < $1 + interval ''1 month'' '
    'AND (t.tenant_id, t.id) > ($2, $3) ORDER BY t.tenant_id, t.id LIMIT $4) AS r', partitioned)
    INTO tenants, records
    USING first_instant, coalesce(after_tenant, ''), coalesce(after_id, '00000000-0000-0000-0000-000000000000'), batch_size;
  IF records IS NULL THEN RETURN; END IF;
  last_tenant := tenants[cardinality(tenants)];
  last_id := records[cardinality(records)];
  SELECT array_agg(a.tenant_id::text) AS tenants, array_agg(a.id) AS ids, array_agg(a."timestamp") AS times INTO due
    FROM unnest(tenants, records) AS r (tenant_id, id)
    JOIN llama.audit_trail AS a ON a.record_id = r.id AND a.tenant_id = r.tenant_id
   WHERE a.table_name = partitioned AND a.erased_by IS NULL AND (a.old_values IS NOT NULL OR a.new_values IS NOT NULL)
     AND a.record_timestamp >= first_instant AND a.record_timestamp < first_instant + interval '1 month';
  erased := llama.erase_audit_content(due.tenants, due.ids, due.times, 'retention');
END
$$;

COMMENT ON FUNCTION llama.erase_audit_of_month(text, date, text, uuid, integer) IS
  'Removes the copies in the audit trail of one batch of rows of a month past the retention of its table; returns the last key of the batch, NULL at the end';

-- The last step of llama-db erase. SECURITY DEFINER as maintenance_owner, by which the trail recognises an erasure.
CREATE FUNCTION llama.erase_audit_of_tenant(tenant text, batch_size integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '10s'
AS $$
DECLARE
  tenanted regclass;
  has_rows boolean;
  due record;
BEGIN
  IF coalesce(tenant, '') = '' OR batch_size IS NULL OR batch_size NOT BETWEEN 1 AND 100000 THEN
    RAISE EXCEPTION 'a tenant is needed, and batch_size must be between 1 and 100000' USING ERRCODE = 'invalid_parameter_value';
  END IF;
  -- Nobody may empty the trail of a tenant that still exists.
  FOR tenanted IN
    SELECT c.oid FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
     WHERE c.relnamespace = 'llama'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
       AND c.relname NOT IN ('audit_trail', 'data_keys') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
     ORDER BY c.relname
  LOOP
    EXECUTE format('SELECT EXISTS (SELECT FROM %s AS t WHERE t.tenant_id = $1)', tenanted) INTO has_rows USING tenant;
    IF has_rows THEN
      RAISE EXCEPTION 'tenant % still has rows in %', quote_literal(tenant), tenanted
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'llama-db erase deletes them first.';
    END IF;
  END LOOP;
  -- Rows of data_keys hold no content and prove that keys were destroyed.
  SELECT array_agg(a.tenant_id::text) AS tenants, array_agg(a.id) AS ids, array_agg(a."timestamp") AS times INTO due
    FROM (
      SELECT t.tenant_id, t.id, t."timestamp" FROM llama.audit_trail AS t
       WHERE t.tenant_id = tenant AND t.table_name NOT IN ('audit_trail', 'data_keys') AND t.erased_by IS NULL
         AND (t.old_values IS NOT NULL OR t.new_values IS NOT NULL)
       ORDER BY t."timestamp" DESC
       LIMIT batch_size
    ) AS a;
  IF due.ids IS NULL THEN RETURN 0; END IF;
  RETURN llama.erase_audit_content(due.tenants, due.ids, due.times, 'tenant');
END
$$;

COMMENT ON FUNCTION llama.erase_audit_of_tenant(text, integer) IS
  'Removes the content of one batch of audit rows of a tenant that has no other rows; returns the number of audit rows, 0 at the end';

-- SECURITY DEFINER as maintenance_owner, because the retention of every tenant decides.
CREATE FUNCTION llama.partitions_past_retention()
RETURNS TABLE (table_name text, partition_name text, upper_bound timestamptz, protected_by bigint, to_be_erased_of bigint)
LANGUAGE plpgsql STABLE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '5s'
SET timezone = 'UTC'
SET datestyle = 'ISO'
AS $$
DECLARE
  leaf record;
BEGIN
  FOR leaf IN
    SELECT p.table_name AS parent, c.relname AS name, p.retention_days AS days,
           -- MINVALUE has no lower instant.
           coalesce((regexp_match(pg_get_expr(c.relpartbound, c.oid), 'FROM \(''([^'']+)''\)'))[1], '-infinity')::timestamptz AS lower,
           (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upper
      FROM llama.partitioned_tables AS p
      JOIN pg_inherits AS i ON i.inhparent = format('llama.%I', p.table_name)::regclass
      JOIN pg_class AS c ON c.oid = i.inhrelid
     WHERE NOT i.inhdetachpending
     ORDER BY 1, 2
  LOOP
    -- Seals remember a longer retention of the trail. A lower one applies to later months only.
    IF leaf.parent = 'audit_trail' AND leaf.upper IS NOT NULL THEN
      leaf.days := llama.audit_retention_of((leaf.upper - interval '1 month')::date);
    END IF;
    CONTINUE WHEN leaf.upper IS NULL OR leaf.upper > now() - make_interval(days => leaf.days);
    table_name := leaf.parent;
    partition_name := leaf.name;
    upper_bound := leaf.upper;
    protected_by := 0;
    to_be_erased_of := 0;
    IF leaf.parent = 'storage_records' THEN
      -- Records are erased one by one, which stores their keys and hashes; they never leave with their partition. The
      -- query steps through the key's index from one tenant to the next, because a month may hold millions of rows.
      WITH RECURSIVE tenants (tenant_id) AS (
        (SELECT s.tenant_id FROM llama.storage_records AS s
          WHERE s."timestamp" >= leaf.lower AND s."timestamp" < leaf.upper ORDER BY s.tenant_id LIMIT 1)
        UNION ALL
        (SELECT n.tenant_id
           FROM tenants AS t
          CROSS JOIN LATERAL (
            SELECT s.tenant_id FROM llama.storage_records AS s
             WHERE s.tenant_id > t.tenant_id AND s."timestamp" >= leaf.lower AND s."timestamp" < leaf.upper
             ORDER BY s.tenant_id LIMIT 1
          ) AS n)
      )
      SELECT count(*) FILTER (WHERE k.kept), count(*) FILTER (WHERE NOT k.kept)
        INTO protected_by, to_be_erased_of
        FROM tenants AS t
        LEFT JOIN llama.tenant_configs AS c ON c.tenant_id = t.tenant_id
       CROSS JOIN LATERAL (
         SELECT c.storage_retention_days IS NULL OR c.storage_retention_days < 0 OR EXISTS (
           SELECT FROM llama.storage_records AS s
            WHERE s.tenant_id = t.tenant_id AND s."timestamp" >= leaf.lower AND s."timestamp" < leaf.upper
              AND s."timestamp" >= now() - make_interval(days => c.storage_retention_days)
         ) AS kept
       ) AS k;
    END IF;
    RETURN NEXT;
  END LOOP;
END
$$;

COMMENT ON FUNCTION llama.partitions_past_retention() IS
  'Partitions older than retention_days, each with the number of tenants whose retention (or missing retention) still protects rows in it, and of tenants whose rows are still to be erased; a partition with 0 and 0 may be detached';

-- The work of `llama-db maintain` for a login that may not act as the owner. Without CONCURRENTLY the detach needs the table
-- for a moment, because a function is one transaction. The reasons are those of the concurrent way.
-- lint allow detach-not-concurrent: it waits 5 seconds at most, and the month is past retention and empty
CREATE FUNCTION llama.remove_partition_past_retention(table_name text, partition_name text) RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET timezone = 'UTC'
SET lock_timeout = '5s'
AS $$
DECLARE
  due record;
  month date;
  audited boolean := remove_partition_past_retention.table_name = 'audit_trail';
BEGIN
  FOR attempt IN 1..2 LOOP
    SELECT * INTO due FROM llama.partitions_past_retention() AS p
     WHERE p.table_name = remove_partition_past_retention.table_name AND p.partition_name = remove_partition_past_retention.partition_name;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'llama.% is not a partition of llama.% past its retention', quote_nullable(partition_name), quote_nullable(table_name)
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    month := (due.upper_bound - interval '1 month')::date;
    IF due.partition_name <> due.table_name || to_char(month, '"_y"YYYY"m"MM') THEN
      RAISE EXCEPTION 'llama.% does not have the name of its month', due.partition_name USING ERRCODE = 'object_not_in_prerequisite_state';
    ELSIF due.protected_by > 0 OR due.to_be_erased_of > 0 THEN
      RAISE EXCEPTION 'llama.% has rows of % tenants', due.partition_name, due.protected_by + due.to_be_erased_of
        USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    IF attempt = 1 THEN
      -- Hashing a month takes long, so it ends before the lock.
      IF audited THEN PERFORM llama.close_audit_partition(month); END IF;
      -- The parent first, as readers do. Then everything is judged again.
      EXECUTE format('LOCK TABLE ONLY llama.%I IN ACCESS EXCLUSIVE MODE', due.table_name);
      EXECUTE format('LOCK TABLE ONLY llama.%I IN ACCESS EXCLUSIVE MODE', due.partition_name);
    END IF;
  END LOOP;
  IF audited AND llama.audit_month_state(month) <> 'closed' THEN
    RAISE EXCEPTION 'llama.% has rows that its closing seal does not cover', due.partition_name USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  EXECUTE format('ALTER TABLE llama.%I DETACH PARTITION llama.%I', due.table_name, due.partition_name);
  EXECUTE format('DROP TABLE llama.%I', due.partition_name);
END
$$;

COMMENT ON FUNCTION llama.remove_partition_past_retention(text, text) IS
  'Closes, detaches and drops one partition of llama.partitions_past_retention() in which no tenant has rows; an error gives the reason why it stays';

-- The schedule stands beside the functions that it calls. pg_cron lives in one database of the server; the login that
-- creates jobs there reads them here. Times are UTC, as in pg_cron. SET ROLE, because a job runs as the login that created it.
CREATE FUNCTION llama.scheduled_jobs() RETURNS TABLE (job_name text, schedule text, command text)
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
  VALUES
    ('refresh-performance-views', '*/15 * * * *', 'SET ROLE maintenance_role; SELECT llama.refresh_performance_views();'),
    ('create-partitions-ahead', '20 0 * * *', 'SET ROLE maintenance_role; SELECT llama.create_partitions_ahead();'),
    ('seal-audit-trail', '* * * * *', 'SET ROLE maintenance_role; SELECT llama.seal_audit_trail();'),
    ('apply-retention', '*/5 * * * *', 'SET ROLE maintenance_role; SELECT llama.apply_retention(5000);'),
    ('analyze-partitioned-tables', '40 1 * * *', 'SET ROLE maintenance_role; SELECT llama.analyze_partitioned_tables();')
$$;

COMMENT ON FUNCTION llama.scheduled_jobs() IS 'Jobs that pg_cron runs in this database, or llama-db maintain on a server without pg_cron';

REVOKE ALL ON FUNCTION llama.missing_partitions(), llama.create_missing_partition(text, date),
                       llama.remove_partition_past_retention(text, text),
                       llama.create_partitions_ahead(), llama.analyze_partitioned_tables(), llama.apply_retention(integer),
                       llama.erase_expired(integer, text), llama.erase_audit_content(text[], uuid[], timestamptz[], text),
                       llama.erase_audit_of_tenant(text, integer), llama.erase_audit_of_month(text, date, text, uuid, integer),
                       llama.partitions_past_retention(), llama.scheduled_jobs() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.missing_partitions(), llama.create_missing_partition(text, date),
                          llama.remove_partition_past_retention(text, text),
                          llama.create_partitions_ahead(), llama.analyze_partitioned_tables(), llama.apply_retention(integer),
                          llama.partitions_past_retention(), llama.scheduled_jobs() TO maintenance_role;
GRANT SELECT (table_name, months_ahead, retention_days, append_only) ON llama.partitioned_tables TO maintenance_role;

GRANT CREATE ON SCHEMA llama TO maintenance_owner;
ALTER FUNCTION llama.apply_retention(integer) OWNER TO maintenance_owner;
ALTER FUNCTION llama.erase_expired(integer, text) OWNER TO maintenance_owner;
ALTER FUNCTION llama.erase_audit_content(text[], uuid[], timestamptz[], text) OWNER TO maintenance_owner;
ALTER FUNCTION llama.erase_audit_of_tenant(text, integer) OWNER TO maintenance_owner;
ALTER FUNCTION llama.erase_audit_of_month(text, date, text, uuid, integer) OWNER TO maintenance_owner;
ALTER FUNCTION llama.partitions_past_retention() OWNER TO maintenance_owner;
REVOKE CREATE ON SCHEMA llama FROM maintenance_owner;

-- llama_owner calls these before it detaches a partition.
SET LOCAL ROLE maintenance_owner;
GRANT EXECUTE ON FUNCTION llama.partitions_past_retention(), llama.erase_audit_of_month(text, date, text, uuid, integer) TO llama_owner;
GRANT EXECUTE ON FUNCTION llama.erase_audit_of_month(text, date, text, uuid, integer) TO maintenance_role;
GRANT EXECUTE ON FUNCTION llama.erase_audit_of_tenant(text, integer) TO admin_role;
SET LOCAL ROLE llama_owner;

-- Down Migration

SET LOCAL ROLE maintenance_owner;
DROP FUNCTION llama.partitions_past_retention();
DROP FUNCTION llama.erase_audit_of_month(text, date, text, uuid, integer);
DROP FUNCTION llama.erase_audit_of_tenant(text, integer);
DROP FUNCTION llama.apply_retention(integer);
DROP FUNCTION llama.erase_expired(integer, text);
DROP FUNCTION llama.erase_audit_content(text[], uuid[], timestamptz[], text);
SET LOCAL ROLE llama_owner;
DROP FUNCTION llama.scheduled_jobs();
DROP FUNCTION llama.analyze_partitioned_tables();
DROP FUNCTION llama.remove_partition_past_retention(text, text);
DROP FUNCTION llama.create_partitions_ahead();
DROP FUNCTION llama.create_missing_partition(text, date);
DROP FUNCTION llama.missing_partitions();
REVOKE SELECT (table_name, months_ahead, retention_days, append_only) ON llama.partitioned_tables FROM maintenance_role;
