-- loses data of: storage_records, audit_trail, tenant_configs, model_metrics, detector_executions

-- Up Migration

-- PUBLIC gets EXECUTE on every new function unless the global default changes. A revoke IN SCHEMA has no effect on it.
ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

-- The key must contain the partition column. The tenant comes first, for two reasons: a key that spans tenants reports
-- "duplicate key" to one tenant about another's row, and every query needs an index on the column that policies filter by.
CREATE TABLE llama.storage_records (
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  tenant_id varchar(100) NOT NULL,
  source_data_hash varchar(64) NOT NULL,
  mapped_data jsonb NOT NULL,
  model_version varchar(100) NOT NULL,
  detector_type varchar(50) NOT NULL,
  confidence_score numeric(5, 4) CHECK (confidence_score >= 0 AND confidence_score <= 1),
  "timestamp" timestamptz NOT NULL DEFAULT pg_catalog.now(),
  metadata jsonb DEFAULT '{}',
  s3_key varchar(500),
  encrypted boolean DEFAULT true,
  created_at timestamptz DEFAULT pg_catalog.now(),
  updated_at timestamptz DEFAULT pg_catalog.now(),
  correlation_id uuid,
  azure_region varchar(50) DEFAULT 'eastus',
  backup_status varchar(20) DEFAULT 'pending' CHECK (backup_status IN ('pending', 'completed', 'failed')),
  CONSTRAINT storage_records_pkey PRIMARY KEY (tenant_id, id, "timestamp"),
  CONSTRAINT valid_confidence CHECK (confidence_score IS NULL OR (confidence_score >= 0 AND confidence_score <= 1)),
  CONSTRAINT valid_metadata CHECK (pg_catalog.jsonb_typeof(metadata) = 'object'),
  CONSTRAINT valid_tenant_id CHECK (pg_catalog.length(tenant_id) > 0)
) PARTITION BY RANGE ("timestamp");

COMMENT ON COLUMN llama.storage_records.source_data_hash IS 'SHA-256 of the source, in hex; the source itself is not stored';
COMMENT ON COLUMN llama.storage_records.s3_key IS 'Blob name of the exported record';
COMMENT ON COLUMN llama.storage_records.backup_status IS 'Changed by llama.set_backup_status only';

-- Rows are sealed in its order. With a larger CACHE a session would use numbers that sealing has already passed.
CREATE SEQUENCE llama.audit_sequence AS bigint CACHE 1;

CREATE TABLE llama.audit_trail (
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  tenant_id varchar(100) NOT NULL,
  table_name varchar(100) NOT NULL,
  record_id uuid,
  operation varchar(20) NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'SELECT', 'ERASE')),
  user_id varchar(100),
  "timestamp" timestamptz NOT NULL DEFAULT pg_catalog.now(),
  old_values jsonb,
  new_values jsonb,
  correlation_id uuid,
  ip_address inet,
  user_agent text,
  record_key text NOT NULL,
  record_timestamp timestamptz,
  content_hash varchar(64),
  login name NOT NULL DEFAULT SESSION_USER,
  sequence bigint NOT NULL DEFAULT pg_catalog.nextval('llama.audit_sequence'),
  authenticated_as text DEFAULT SYSTEM_USER,
  backend_pid integer DEFAULT pg_catalog.pg_backend_pid(),
  erased_by uuid,
  erased_hash varchar(64),
  CONSTRAINT audit_trail_pkey PRIMARY KEY (tenant_id, id, "timestamp")
) PARTITION BY RANGE ("timestamp");

ALTER SEQUENCE llama.audit_sequence OWNED BY llama.audit_trail.sequence;

COMMENT ON COLUMN llama.audit_trail.table_name IS 'The table as applications name it, never one of its partitions';
COMMENT ON COLUMN llama.audit_trail.record_id IS 'Key of the record if it is a uuid; record_key has every key';
COMMENT ON COLUMN llama.audit_trail.record_timestamp IS 'Partition key of the record, to find it in one partition';
COMMENT ON COLUMN llama.audit_trail.content_hash IS 'SHA-256 in hex of the row (jsonb as text) that a retention delete erased';
COMMENT ON COLUMN llama.audit_trail.erased_by IS 'id of the ERASE row of the erasure that removed old_values and new_values';
COMMENT ON COLUMN llama.audit_trail.erased_hash IS
  'SHA-256 in hex of the JSON array of the removed old_values and new_values, as text: seals cover this hash, not the values';
COMMENT ON COLUMN llama.audit_trail.sequence IS 'Order in which rows are sealed; a rolled-back change leaves a gap, not a missing row';
COMMENT ON COLUMN llama.audit_trail.tenant_id IS 'Tenant of the record; empty for a record of the platform, which belongs to no tenant';
COMMENT ON COLUMN llama.audit_trail.authenticated_as IS 'Method and identity that the server authenticated the session with, if the method has one';
COMMENT ON COLUMN llama.audit_trail.backend_pid IS 'Process of the session; with the time of the row it finds the lines of the server log that belong to it';
COMMENT ON COLUMN llama.audit_trail.user_id IS 'User as the application reports it; login is the session user as the server knows it';

CREATE TABLE llama.tenant_configs (
  tenant_id varchar(100) NOT NULL,
  confidence_threshold numeric(5, 4) DEFAULT 0.6,
  detector_whitelist text[],
  detector_blacklist text[],
  storage_retention_days integer DEFAULT 90,
  encryption_enabled boolean DEFAULT true,
  audit_level varchar(20) DEFAULT 'standard' CHECK (audit_level IN ('minimal', 'standard', 'verbose')),
  custom_taxonomy_mappings jsonb DEFAULT '{}',
  created_at timestamptz DEFAULT pg_catalog.now(),
  updated_at timestamptz DEFAULT pg_catalog.now(),
  -- A number of days that overflows a date would stop the erasure for every tenant.
  CONSTRAINT tenant_configs_retention CHECK (storage_retention_days <= 36500),
  CONSTRAINT tenant_configs_pkey PRIMARY KEY (tenant_id)
);

COMMENT ON COLUMN llama.tenant_configs.storage_retention_days IS
  'Days a storage record is kept; NULL keeps it until the tenant sets a number';

CREATE TABLE llama.model_metrics (
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  model_version varchar(100) NOT NULL,
  tenant_id varchar(100) NOT NULL,
  metric_type varchar(50) NOT NULL,
  metric_value numeric(10, 6) NOT NULL,
  "timestamp" timestamptz NOT NULL DEFAULT pg_catalog.now(),
  metadata jsonb DEFAULT '{}',
  CONSTRAINT model_metrics_pkey PRIMARY KEY (tenant_id, id, "timestamp")
) PARTITION BY RANGE ("timestamp");

CREATE TABLE llama.detector_executions (
  id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
  tenant_id varchar(100) NOT NULL,
  detector_type varchar(50) NOT NULL,
  execution_time_ms integer NOT NULL,
  confidence_score numeric(5, 4),
  success boolean NOT NULL,
  error_message text,
  "timestamp" timestamptz NOT NULL DEFAULT pg_catalog.now(),
  correlation_id uuid,
  CONSTRAINT detector_executions_pkey PRIMARY KEY (tenant_id, id, "timestamp")
) PARTITION BY RANGE ("timestamp");

-- Down Migration

DROP TABLE llama.detector_executions;
DROP TABLE llama.model_metrics;
DROP TABLE llama.tenant_configs;
DROP TABLE llama.audit_trail;
DROP TABLE llama.storage_records;

ALTER DEFAULT PRIVILEGES FOR ROLE llama_owner GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
