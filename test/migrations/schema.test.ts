import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TestDatabase } from '../support/postgres.ts';
import { migratedDatabase } from './tenants.ts';

/** The tables as the design document that the project comes from declares them: type, nullability, default. */
const seed: Record<
  string,
  Record<string, readonly [type: string, required: boolean, fallback: string | null]>
> = {
  storage_records: {
    id: ['uuid', true, 'gen_random_uuid()'],
    tenant_id: ['character varying(100)', true, null],
    source_data_hash: ['character varying(64)', true, null],
    mapped_data: ['jsonb', true, null],
    model_version: ['character varying(100)', true, null],
    detector_type: ['character varying(50)', true, null],
    confidence_score: ['numeric(5,4)', false, null],
    timestamp: ['timestamp with time zone', true, 'now()'],
    metadata: ['jsonb', false, "'{}'::jsonb"],
    s3_key: ['character varying(500)', false, null],
    encrypted: ['boolean', false, 'true'],
    created_at: ['timestamp with time zone', false, 'now()'],
    updated_at: ['timestamp with time zone', false, 'now()'],
    correlation_id: ['uuid', false, null],
    azure_region: ['character varying(50)', false, "'eastus'::character varying"],
    backup_status: ['character varying(20)', false, "'pending'::character varying"],
  },
  audit_trail: {
    id: ['uuid', true, 'gen_random_uuid()'],
    tenant_id: ['character varying(100)', true, null],
    table_name: ['character varying(100)', true, null],
    // Required in the seed; a tenant configuration has no uuid to put there, so record_key is.
    record_id: ['uuid', false, null],
    operation: ['character varying(20)', true, null],
    user_id: ['character varying(100)', false, null],
    timestamp: ['timestamp with time zone', true, 'now()'],
    old_values: ['jsonb', false, null],
    new_values: ['jsonb', false, null],
    correlation_id: ['uuid', false, null],
    ip_address: ['inet', false, null],
    user_agent: ['text', false, null],
  },
  tenant_configs: {
    tenant_id: ['character varying(100)', true, null],
    confidence_threshold: ['numeric(5,4)', false, '0.6'],
    detector_whitelist: ['text[]', false, null],
    detector_blacklist: ['text[]', false, null],
    storage_retention_days: ['integer', false, '90'],
    encryption_enabled: ['boolean', false, 'true'],
    audit_level: ['character varying(20)', false, "'standard'::character varying"],
    custom_taxonomy_mappings: ['jsonb', false, "'{}'::jsonb"],
    created_at: ['timestamp with time zone', false, 'now()'],
    updated_at: ['timestamp with time zone', false, 'now()'],
  },
  model_metrics: {
    id: ['uuid', true, 'gen_random_uuid()'],
    model_version: ['character varying(100)', true, null],
    tenant_id: ['character varying(100)', true, null],
    metric_type: ['character varying(50)', true, null],
    metric_value: ['numeric(10,6)', true, null],
    timestamp: ['timestamp with time zone', true, 'now()'],
    metadata: ['jsonb', false, "'{}'::jsonb"],
  },
  detector_executions: {
    id: ['uuid', true, 'gen_random_uuid()'],
    tenant_id: ['character varying(100)', true, null],
    detector_type: ['character varying(50)', true, null],
    execution_time_ms: ['integer', true, null],
    confidence_score: ['numeric(5,4)', false, null],
    success: ['boolean', true, null],
    error_message: ['text', false, null],
    timestamp: ['timestamp with time zone', true, 'now()'],
    correlation_id: ['uuid', false, null],
  },
};

const indexes: Record<string, string> = {
  idx_storage_records_tenant_timestamp: 'storage_records USING btree (tenant_id, "timestamp" DESC)',
  idx_storage_records_model_version: 'storage_records USING btree (model_version, "timestamp" DESC)',
  idx_storage_records_detector_confidence:
    'storage_records USING btree (detector_type, confidence_score DESC) WHERE (confidence_score IS NOT NULL)',
  idx_storage_records_metadata_gin: 'storage_records USING gin (metadata)',
  idx_audit_trail_tenant_timestamp: 'audit_trail USING btree (tenant_id, "timestamp" DESC)',
  idx_audit_trail_record_operation: 'audit_trail USING btree (record_id, operation, "timestamp" DESC)',
  idx_audit_trail_correlation: 'audit_trail USING btree (correlation_id) WHERE (correlation_id IS NOT NULL)',
  idx_model_metrics_version_type: 'model_metrics USING btree (model_version, metric_type, "timestamp" DESC)',
  idx_detector_executions_performance:
    'detector_executions USING btree (detector_type, "timestamp" DESC, execution_time_ms)',
};

describe('the schema that all migrations make', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    ({ database, client } = await migratedDatabase());
  });
  afterAll(() => database.drop());

  it.each(Object.entries(seed))('has every column of %s as the seed declares it', async (table, columns) => {
    const { rows } = await client.query<{
      name: string;
      type: string;
      required: boolean;
      fallback: string | null;
    }>(
      `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS required,
              pg_get_expr(d.adbin, d.adrelid) AS fallback
         FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped`,
      [`llama.${table}`],
    );
    const found = Object.fromEntries(rows.map((row) => [row.name, [row.type, row.required, row.fallback]]));
    expect(found).toMatchObject(columns);
  });

  it('adds to the audit trail what the seed has no place for, and nothing elsewhere', async () => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'llama'::regnamespace AND c.relname = ANY ($1) AND a.attnum > 0`,
      [Object.keys(seed)],
    );
    const known = new Set(
      Object.entries(seed).flatMap(([table, columns]) =>
        Object.keys(columns).map((column) => `${table}.${column}`),
      ),
    );
    const added = rows.map((row) => row.name).filter((name) => !known.has(name));
    expect(added.sort()).toEqual([
      'audit_trail.authenticated_as',
      'audit_trail.backend_pid',
      'audit_trail.content_hash',
      'audit_trail.erased_by',
      'audit_trail.erased_hash',
      'audit_trail.login',
      'audit_trail.record_key',
      'audit_trail.record_timestamp',
      'audit_trail.sequence',
    ]);
  });

  it('keeps every check and gives every table a primary key', async () => {
    const { rows } = await client.query<{ name: string; definition: string }>(
      `SELECT conrelid::regclass || ' ' || conname AS name, pg_get_constraintdef(oid) AS definition
         FROM pg_constraint WHERE contype IN ('c', 'p') AND conrelid = ANY ($1::regclass[])`,
      [Object.keys(seed).map((table) => `llama.${table}`)],
    );
    const found = Object.fromEntries(rows.map((row) => [row.name, row.definition]));
    const score = 'CHECK (((confidence_score >= (0)::numeric) AND (confidence_score <= (1)::numeric)))';
    const key = 'PRIMARY KEY (tenant_id, id, "timestamp")';
    expect(found).toEqual({
      'llama.storage_records storage_records_pkey': key,
      'llama.storage_records storage_records_confidence_score_check': score,
      'llama.storage_records storage_records_backup_status_check': expect.stringContaining(`'pending'`),
      'llama.storage_records valid_confidence': expect.stringContaining('confidence_score IS NULL'),
      'llama.storage_records valid_metadata': `CHECK ((jsonb_typeof(metadata) = 'object'::text))`,
      'llama.storage_records valid_tenant_id': 'CHECK ((length((tenant_id)::text) > 0))',
      'llama.audit_trail audit_trail_pkey': key,
      'llama.audit_trail audit_trail_operation_check': expect.stringContaining(`'SELECT'`),
      'llama.tenant_configs tenant_configs_pkey': 'PRIMARY KEY (tenant_id)',
      'llama.tenant_configs tenant_configs_audit_level_check': expect.stringContaining(`'verbose'`),
      'llama.tenant_configs tenant_configs_retention': 'CHECK ((storage_retention_days <= 36500))',
      'llama.model_metrics model_metrics_pkey': key,
      'llama.detector_executions detector_executions_pkey': key,
    });
  });

  it.each(Object.entries(indexes))('has %s, valid, with a part on every leaf', async (name, definition) => {
    const { rows } = await client.query(
      `SELECT pg_get_indexdef(i.indexrelid) AS definition, i.indisvalid AS valid,
              (SELECT count(*)::int FROM pg_inherits h JOIN pg_index l ON l.indexrelid = h.inhrelid AND l.indisvalid
                WHERE h.inhparent = i.indexrelid) AS parts,
              (SELECT count(*)::int FROM pg_inherits h WHERE h.inhparent = i.indrelid) AS leaves
         FROM pg_index i WHERE i.indexrelid = $1::regclass`,
      [`llama.${name}`],
    );
    expect(rows).toEqual([
      { definition: `CREATE INDEX ${name} ON ONLY llama.${definition}`, valid: true, parts: 5, leaves: 5 },
    ]);
  });

  it('has no index on a leaf that is not part of one on its parent', async () => {
    const { rows } = await client.query(
      `SELECT i.indexrelid::regclass::text AS stray FROM pg_index i JOIN pg_inherits t ON t.inhrelid = i.indrelid
        WHERE NOT EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = i.indexrelid)`,
    );
    expect(rows).toEqual([]);
  });

  it('lets llama_owner own everything but what runs as the audit writer, the sealer or for maintenance', async () => {
    const { rows } = await client.query(
      `SELECT name, owner FROM (
         SELECT c.relname::text AS name, c.relowner::regrole::text AS owner FROM pg_class c WHERE c.relnamespace = 'llama'::regnamespace
         UNION ALL
         SELECT p.proname, p.proowner::regrole::text FROM pg_proc p WHERE p.pronamespace = 'llama'::regnamespace
       ) AS object WHERE owner <> 'llama_owner' ORDER BY owner, name`,
    );
    expect(rows).toEqual([
      ...[
        'append_audit_seal',
        'audit_content',
        'audit_month_state',
        'audit_retention_of',
        'close_audit_partition',
        'is_audit_partition_closed',
        'seal_audit_trail',
      ].map((name) => ({ name, owner: 'audit_sealer' })),
      { name: 'acting_client', owner: 'audit_writer' },
      { name: 'json_text_size', owner: 'audit_writer' },
      { name: 'record_erasure', owner: 'audit_writer' },
      { name: 'record_read', owner: 'audit_writer' },
      { name: 'require_sealable', owner: 'audit_writer' },
      { name: 'write_audit', owner: 'audit_writer' },
      { name: 'write_audit_of_import', owner: 'audit_writer' },
      { name: 'write_audit_of_statement', owner: 'audit_writer' },
      { name: 'write_key_audit', owner: 'audit_writer' },
      { name: 'write_platform_audit', owner: 'audit_writer' },
      { name: 'apply_retention', owner: 'maintenance_owner' },
      { name: 'erase_audit_content', owner: 'maintenance_owner' },
      { name: 'erase_audit_of_month', owner: 'maintenance_owner' },
      { name: 'erase_audit_of_tenant', owner: 'maintenance_owner' },
      { name: 'erase_expired', owner: 'maintenance_owner' },
      { name: 'find_records', owner: 'maintenance_owner' },
      { name: 'partitions_past_retention', owner: 'maintenance_owner' },
      { name: 'refresh_performance_views', owner: 'maintenance_owner' },
      { name: 'set_backup_status', owner: 'maintenance_owner' },
      { name: 'summarize_performance', owner: 'maintenance_owner' },
      { name: 'tenant_performance', owner: 'maintenance_owner' },
      { name: 'tenant_performance_summary', owner: 'maintenance_owner' },
      { name: 'tenant_performance_summary_tenant_id_hour_idx', owner: 'maintenance_owner' },
    ]);
  });

  it('pins the search path of every function and lets PUBLIC execute none, those of later migrations included', async () => {
    await client.query('BEGIN');
    await client.query('SET LOCAL ROLE llama_owner');
    await client.query(
      'CREATE FUNCTION llama.later() RETURNS int LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$ SELECT 1 $$',
    );
    const { rows } = await client.query(
      `SELECT p.proname, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS public
         FROM pg_proc p WHERE p.pronamespace = 'llama'::regnamespace
          AND (has_function_privilege('public', p.oid, 'EXECUTE')
               OR NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false))`,
    );
    await client.query('ROLLBACK');
    expect(rows).toEqual([]);
  });

  it('leaves no role of its own with a login, BYPASSRLS or an inherited tenant floor', async () => {
    const { rows } = await client.query(
      `SELECT rolname, rolcanlogin OR rolbypassrls OR rolsuper OR rolcreaterole AS strong,
              pg_has_role('llama_owner', oid, 'USAGE') AS inherited, pg_has_role(session_user, oid, 'SET') AS reachable
         FROM pg_roles
        WHERE rolname IN ('application_role', 'admin_role', 'analytics_role', 'maintenance_role', 'maintenance_owner', 'audit_writer', 'audit_sealer', 'import_writer') ORDER BY 1`,
    );
    expect(rows).toEqual(
      [
        'admin_role',
        'analytics_role',
        'application_role',
        'audit_sealer',
        'audit_writer',
        'import_writer',
        'maintenance_owner',
        'maintenance_role',
      ].map((rolname) => ({
        rolname,
        strong: false,
        inherited: false,
        reachable: true,
      })),
    );
  });

  it('keeps the six extensions out of public', async () => {
    const { rows } = await client.query(
      `SELECT extname, extnamespace::regnamespace::text AS schema FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1`,
    );
    expect(rows).toEqual(
      ['btree_gin', 'pg_buffercache', 'pg_stat_statements', 'pg_trgm', 'pgcrypto', 'uuid-ossp'].map(
        (extname) => ({
          extname,
          schema: 'extensions',
        }),
      ),
    );
  });
});
