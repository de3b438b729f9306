-- Up Migration

-- A restore refreshes the view with row_security off, which refuses a query that a policy would filter. The view reads
-- through this function for that reason.
CREATE FUNCTION llama.summarize_performance()
RETURNS TABLE (tenant_id varchar(100), hour timestamptz, total_requests bigint, avg_confidence numeric,
               p95_confidence double precision, high_confidence_count bigint)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
SET row_security = on
AS $$
  SELECT r.tenant_id,
         -- Hours in UTC, in any time zone of the session.
         date_trunc('hour', r."timestamp", 'UTC'),
         count(*),
         avg(r.confidence_score),
         percentile_cont(0.95) WITHIN GROUP (ORDER BY r.confidence_score),
         count(CASE WHEN r.confidence_score > 0.8 THEN 1 END)
    FROM llama.storage_records AS r
   WHERE r."timestamp" >= now() - interval '7 days'
   GROUP BY r.tenant_id, date_trunc('hour', r."timestamp", 'UTC')
$$;

COMMENT ON FUNCTION llama.summarize_performance() IS 'Content of tenant_performance_summary';

-- maintenance_owner owns it, because a refresh runs as the owner. Forced row-level security shows llama_owner no row, so its
-- refresh would succeed and leave the view empty.
CREATE MATERIALIZED VIEW llama.tenant_performance_summary AS
SELECT p.tenant_id, p.hour, p.total_requests, p.avg_confidence, p.p95_confidence, p.high_confidence_count
  FROM llama.summarize_performance() AS p
  WITH NO DATA;

CREATE UNIQUE INDEX tenant_performance_summary_tenant_id_hour_idx ON llama.tenant_performance_summary (tenant_id, hour);

-- Row-level security cannot protect a materialized view, so tenants get this view of it. It reads with its owner's rights
-- on purpose; security_barrier evaluates a tenant's own conditions after the filter.
-- lint allow view-passes-row-security: tenants have no privilege on the materialized view; this view filters by tenant
CREATE VIEW llama.tenant_performance WITH (security_barrier = true) AS
SELECT s.tenant_id, s.hour, s.total_requests, s.avg_confidence, s.p95_confidence, s.high_confidence_count
  FROM llama.tenant_performance_summary AS s
 WHERE s.tenant_id = (SELECT nullif(pg_catalog.current_setting('app.current_tenant_id', true), ''));

COMMENT ON VIEW llama.tenant_performance IS 'Rows of tenant_performance_summary for the transaction''s tenant';

-- SECURITY DEFINER, because before version 17 only the owner may refresh a materialized view.
CREATE FUNCTION llama.refresh_performance_views() RETURNS void
LANGUAGE plpgsql
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET row_security = on
SET lock_timeout = '5s'
-- With it, REFRESH ... CONCURRENTLY builds the name of its temporary table wrongly.
SET quote_all_identifiers = off
AS $$
BEGIN
  -- A view that was never filled cannot be refreshed CONCURRENTLY.
  IF (SELECT c.relispopulated FROM pg_class AS c WHERE c.oid = 'llama.tenant_performance_summary'::regclass) THEN
    REFRESH MATERIALIZED VIEW CONCURRENTLY llama.tenant_performance_summary;
  ELSE
    REFRESH MATERIALIZED VIEW llama.tenant_performance_summary;
  END IF;
END
$$;

REVOKE ALL ON FUNCTION llama.refresh_performance_views() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION llama.refresh_performance_views() TO maintenance_role, admin_role;
GRANT SELECT ON llama.tenant_performance TO application_role;
GRANT SELECT ON llama.tenant_performance_summary TO admin_role, analytics_role;

GRANT CREATE ON SCHEMA llama TO maintenance_owner;
ALTER MATERIALIZED VIEW llama.tenant_performance_summary OWNER TO maintenance_owner;
ALTER VIEW llama.tenant_performance OWNER TO maintenance_owner;
ALTER FUNCTION llama.summarize_performance() OWNER TO maintenance_owner;
ALTER FUNCTION llama.refresh_performance_views() OWNER TO maintenance_owner;
REVOKE CREATE ON SCHEMA llama FROM maintenance_owner;

SET LOCAL ROLE maintenance_owner;
SELECT llama.refresh_performance_views();
SET LOCAL ROLE llama_owner;

-- Down Migration

SET LOCAL ROLE maintenance_owner;
DROP FUNCTION llama.refresh_performance_views();
DROP VIEW llama.tenant_performance;
DROP MATERIALIZED VIEW llama.tenant_performance_summary;
DROP FUNCTION llama.summarize_performance();
SET LOCAL ROLE llama_owner;
