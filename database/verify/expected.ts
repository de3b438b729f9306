/** What the migrations make, as far as verification must know it by name. */

interface ExpectedColumn {
  readonly type: string;
  readonly notNull?: true;
}

const uuid = { type: 'uuid' };
const text = { type: 'text' };
const json = { type: 'jsonb' };
const instant = { type: 'timestamp with time zone' };
const name = (length: number) => ({ type: `character varying(${length})` });
const score = { type: 'numeric(5,4)' };
const required = (column: ExpectedColumn): ExpectedColumn => ({ ...column, notNull: true });

/** Columns that the application reads and writes, with the types it binds. */
export const expectedColumns: Readonly<Record<string, Readonly<Record<string, ExpectedColumn>>>> = {
  storage_records: {
    id: required(uuid),
    tenant_id: required(name(100)),
    source_data_hash: required(name(64)),
    mapped_data: required(json),
    model_version: required(name(100)),
    detector_type: required(name(50)),
    confidence_score: score,
    timestamp: required(instant),
    metadata: json,
    s3_key: name(500),
    encrypted: { type: 'boolean' },
    created_at: instant,
    updated_at: instant,
    correlation_id: uuid,
    azure_region: name(50),
    backup_status: name(20),
  },
  audit_trail: {
    id: required(uuid),
    tenant_id: required(name(100)),
    table_name: required(name(100)),
    record_id: uuid,
    operation: required(name(20)),
    user_id: name(100),
    timestamp: required(instant),
    old_values: json,
    new_values: json,
    correlation_id: uuid,
    ip_address: { type: 'inet' },
    user_agent: text,
    record_key: required(text),
    sequence: required({ type: 'bigint' }),
  },
  tenant_configs: {
    tenant_id: required(name(100)),
    confidence_threshold: score,
    detector_whitelist: { type: 'text[]' },
    detector_blacklist: { type: 'text[]' },
    storage_retention_days: { type: 'integer' },
    encryption_enabled: { type: 'boolean' },
    audit_level: name(20),
    custom_taxonomy_mappings: json,
    created_at: instant,
    updated_at: instant,
  },
  data_keys: {
    tenant_id: required(name(100)),
    key_id: required(uuid),
    purpose: required(text),
    state: required(text),
    algorithm: required(text),
    wrapping_key: required(text),
    wrapping_key_version: required(text),
    wrapped: { type: 'bytea' },
    values_reserved: required({ type: 'bigint' }),
    created_at: required(instant),
    wrapped_at: required(instant),
    state_since: required(instant),
  },
  encrypted_columns: { table_name: required(text), column_name: required(text) },
  model_metrics: {
    id: required(uuid),
    model_version: required(name(100)),
    tenant_id: required(name(100)),
    metric_type: required(name(50)),
    metric_value: required({ type: 'numeric(10,6)' }),
    timestamp: required(instant),
    metadata: json,
  },
  detector_executions: {
    id: required(uuid),
    tenant_id: required(name(100)),
    detector_type: required(name(50)),
    execution_time_ms: required({ type: 'integer' }),
    confidence_score: score,
    success: required({ type: 'boolean' }),
    error_message: text,
    timestamp: required(instant),
    correlation_id: uuid,
  },
};

/** Constraints that keep bad values out, by table and by what they say. */
export const expectedChecks: readonly {
  readonly table: string;
  readonly says: RegExp;
  readonly rule: string;
}[] = [
  {
    table: 'storage_records',
    says: /confidence_score.*>=.*0.*<=.*1/,
    rule: 'confidence_score between 0 and 1',
  },
  {
    table: 'storage_records',
    says: /jsonb_typeof\(metadata\) = 'object'/,
    rule: 'metadata is a JSON object',
  },
  { table: 'storage_records', says: /length\(.*tenant_id.*\) > 0/, rule: 'tenant_id is not empty' },
  {
    table: 'storage_records',
    says: /backup_status.*'pending'.*'completed'.*'failed'/,
    rule: 'backup_status is one of three',
  },
  {
    table: 'audit_trail',
    says: /operation.*'INSERT'.*'UPDATE'.*'DELETE'.*'SELECT'/,
    rule: 'operation is one of four',
  },
  {
    table: 'tenant_configs',
    says: /audit_level.*'minimal'.*'standard'.*'verbose'/,
    rule: 'audit_level is one of three',
  },
  { table: 'data_keys', says: /values_reserved.*<=.*4294967296/, rule: 'a key encrypts 2^32 values at most' },
  {
    table: 'data_keys',
    says: /wrapped IS NULL.*state/,
    rule: 'only a destroyed key is without its wrapped form',
  },
];

/** The indexes of the schema's design: name, table, and what their definition must end with. */
export const expectedIndexes: readonly {
  readonly name: string;
  readonly table: string;
  readonly on: string;
}[] = [
  {
    name: 'idx_storage_records_tenant_timestamp',
    table: 'storage_records',
    on: 'btree (tenant_id, "timestamp" DESC)',
  },
  {
    name: 'idx_storage_records_model_version',
    table: 'storage_records',
    on: 'btree (model_version, "timestamp" DESC)',
  },
  {
    name: 'idx_storage_records_detector_confidence',
    table: 'storage_records',
    on: 'btree (detector_type, confidence_score DESC) WHERE (confidence_score IS NOT NULL)',
  },
  { name: 'idx_storage_records_metadata_gin', table: 'storage_records', on: 'gin (metadata)' },
  {
    name: 'idx_audit_trail_tenant_timestamp',
    table: 'audit_trail',
    on: 'btree (tenant_id, "timestamp" DESC)',
  },
  {
    name: 'idx_audit_trail_record_operation',
    table: 'audit_trail',
    on: 'btree (record_id, operation, "timestamp" DESC)',
  },
  {
    name: 'idx_audit_trail_correlation',
    table: 'audit_trail',
    on: 'btree (correlation_id) WHERE (correlation_id IS NOT NULL)',
  },
  {
    name: 'idx_audit_trail_sequence',
    table: 'audit_trail',
    on: "brin (sequence) WITH (pages_per_range='32', autosummarize='on')",
  },
  {
    name: 'idx_model_metrics_version_type',
    table: 'model_metrics',
    on: 'btree (model_version, metric_type, "timestamp" DESC)',
  },
  {
    name: 'idx_detector_executions_performance',
    table: 'detector_executions',
    on: 'btree (detector_type, "timestamp" DESC, execution_time_ms)',
  },
];

/** Functions that applications, operators and schedules call: argument types as pg_get_function_identity_arguments has them. */
export const expectedFunctions: readonly {
  readonly name: string;
  readonly types: string;
  readonly returns: string;
}[] = [
  { name: 'create_monthly_partition', types: 'text, date', returns: 'void' },
  { name: 'encrypt_sensitive_data', types: 'text, text', returns: 'text' },
  { name: 'decrypt_sensitive_data', types: 'text, text', returns: 'text' },
  { name: 'data_key_of', types: 'text', returns: 'uuid' },
  { name: 'register_encrypted_column', types: 'regclass, name, name, text, text', returns: 'void' },
  { name: 'data_key_uses', types: 'text, uuid', returns: 'record' },
  { name: 'refresh_performance_views', types: '', returns: 'void' },
  { name: 'set_tenant_context', types: 'text, text, uuid, inet, text', returns: 'void' },
  { name: 'set_backup_status', types: 'uuid, timestamp with time zone, text, text', returns: 'void' },
  { name: 'record_read', types: 'text, text, timestamp with time zone', returns: 'void' },
  { name: 'create_partitions_ahead', types: '', returns: 'integer' },
  { name: 'apply_retention', types: 'integer', returns: 'integer' },
  { name: 'analyze_partitioned_tables', types: '', returns: 'void' },
  { name: 'seal_audit_trail', types: 'integer, integer', returns: 'bigint' },
  { name: 'close_audit_partition', types: 'date', returns: 'bigint' },
];

/** Extensions that the migrations make. */
export const expectedExtensions = [
  'pg_stat_statements',
  'pg_buffercache',
  'pgcrypto',
  'uuid-ossp',
  'btree_gin',
  'pg_trgm',
] as const;

/** Libraries without which an extension exists and does nothing. */
export const preloadOf: Readonly<Record<string, string>> = {
  pg_stat_statements: 'pg_stat_statements',
  pgaudit: 'pgaudit',
  pg_cron: 'pg_cron',
  timescaledb: 'timescaledb',
  pg_squeeze: 'pg_squeeze',
};
