/** A source of the shape of the database that the environments replace, with rows of several tenants and months. */
import type pg from 'pg';

/** Tables as the existing server has them: keyed by id alone, and without a trigger that derives `encrypted`. */
export const sourceTables = `
  CREATE TABLE storage_records (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id varchar(100) NOT NULL, source_data_hash varchar(64) NOT NULL,
    mapped_data jsonb NOT NULL, model_version varchar(100) NOT NULL, detector_type varchar(50) NOT NULL,
    confidence_score decimal(5,4) CHECK (confidence_score >= 0 AND confidence_score <= 1),
    timestamp timestamptz NOT NULL DEFAULT now(), metadata jsonb DEFAULT '{}', s3_key varchar(500),
    encrypted boolean DEFAULT true, created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now(),
    correlation_id uuid, azure_region varchar(50) DEFAULT 'eastus',
    backup_status varchar(20) DEFAULT 'pending' CHECK (backup_status IN ('pending', 'completed', 'failed')),
    CONSTRAINT valid_metadata CHECK (jsonb_typeof(metadata) = 'object'),
    CONSTRAINT valid_tenant_id CHECK (length(tenant_id) > 0));
  CREATE TABLE audit_trail (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id varchar(100) NOT NULL, table_name varchar(100) NOT NULL,
    record_id uuid NOT NULL, operation varchar(20) NOT NULL, timestamp timestamptz NOT NULL DEFAULT now());
  CREATE TABLE tenant_configs (
    tenant_id varchar(100) PRIMARY KEY, confidence_threshold decimal(5,4) DEFAULT 0.6, detector_whitelist text[],
    detector_blacklist text[], storage_retention_days integer DEFAULT 90, encryption_enabled boolean DEFAULT true,
    audit_level varchar(20) DEFAULT 'standard', custom_taxonomy_mappings jsonb DEFAULT '{}',
    created_at timestamptz DEFAULT now(), updated_at timestamptz DEFAULT now());
  CREATE TABLE model_metrics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), model_version varchar(100) NOT NULL, tenant_id varchar(100) NOT NULL,
    metric_type varchar(50) NOT NULL, metric_value decimal(10,6) NOT NULL, timestamp timestamptz NOT NULL DEFAULT now(),
    metadata jsonb DEFAULT '{}');
  CREATE TABLE detector_executions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(), tenant_id varchar(100) NOT NULL, detector_type varchar(50) NOT NULL,
    execution_time_ms integer NOT NULL, confidence_score decimal(5,4), success boolean NOT NULL, error_message text,
    timestamp timestamptz NOT NULL DEFAULT now(), correlation_id uuid);
  CREATE INDEX ON storage_records (tenant_id, timestamp DESC);`;

/** `records` storage records of two tenants over the first half of 2024, some with hard texts, and a few rows of the others. */
export const sourceRows = (records: number) => `
  INSERT INTO tenant_configs (tenant_id, detector_whitelist, storage_retention_days)
  VALUES ('acme', ARRAY['a,b', 'quoted "c"', ''], 3650), ('globex', NULL, NULL);
  INSERT INTO storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, confidence_score, timestamp,
                               metadata, created_at, updated_at, backup_status)
  SELECT (ARRAY['acme', 'globex'])[1 + n % 2], lpad(to_hex(n), 64, '0'),
         jsonb_build_object('n', n, 'text', E'line\\n"quoted", \\\\ and ünïcode ' || n, 'number', 1.50),
         'model-1', CASE WHEN n % 3 = 0 THEN '' ELSE 'detector' END, CASE WHEN n % 5 > 0 THEN 0.5 END,
         timestamptz '2024-01-01 00:00:00+00' + n * (interval '181 days' / ${records}),
         CASE WHEN n % 7 > 0 THEN jsonb_build_object('n', n) END, timestamptz '2024-01-01 00:00:00.123456+00',
         timestamptz '2024-02-01 00:00:00+00', 'completed'
    FROM generate_series(0, ${records} - 1) AS n;
  INSERT INTO model_metrics (model_version, tenant_id, metric_type, metric_value, timestamp)
  VALUES ('model-1', 'acme', 'accuracy', 0.9, '2024-03-01');
  INSERT INTO detector_executions (tenant_id, detector_type, execution_time_ms, success, error_message, timestamp)
  VALUES ('acme', 'detector', 5, false, E'first\\r\\nsecond', '2024-05-05'), ('globex', 'detector', 5, true, NULL, '2024-05-05');`;

/** All storage records without `encrypted`, in an order of their own, as text. */
export async function recordsOf(client: pg.ClientBase, relation: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ record: string }>(
    `SELECT (to_jsonb(r) - 'encrypted')::text AS record FROM ${relation} AS r ORDER BY id`,
  );
  return rows.map(({ record }) => record);
}
