/**
 * Server parameters of the Flexible Server: kind, unit, range, default, and whether a change waits for a restart.
 *
 * Sources: https://learn.microsoft.com/azure/postgresql/server-parameters/concepts-server-parameters and its tables
 * for PostgreSQL 17 (param-17-*.md, December 2025 to May 2026). Units are PostgreSQL's own
 * (https://www.postgresql.org/docs/17/runtime-config.html): Azure takes plain numbers in them.
 */
export type ParameterKind = 'boolean' | 'integer' | 'real' | 'enum' | 'set' | 'string';
export type ParameterUnit = 'kB' | '8kB' | 'MB' | 'B' | 'us' | 'ms' | 's' | 'min' | 'd';

export interface Parameter {
  readonly kind: ParameterKind;
  /** `static` takes effect with a restart; only Azure sets a `read-only` one. */
  readonly apply: 'dynamic' | 'static' | 'read-only';
  /** @default - a plain number, or not a number */
  readonly unit?: ParameterUnit;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Members of an enum or a set. */
  readonly values?: readonly string[];
  /** A text must match it as a whole. @default - any text that is not empty */
  readonly pattern?: RegExp;
  /** Azure's default. @default - depends on the server's size */
  readonly default?: string;
  /** First major version that has it. @default - every supported version */
  readonly since?: number;
  /**
   * A standby sizes its shared memory by this limit and does not start with less than its primary has.
   * https://www.postgresql.org/docs/17/hot-standby.html#HOT-STANDBY-ADMIN
   * @default false
   */
  readonly inheritedByStandby?: true;
}

const int32 = 2_147_483_647;

function integer(
  minimum: number,
  maximum: number,
  defaultValue?: number,
  unit?: ParameterUnit,
  apply: Parameter['apply'] = 'dynamic',
): Parameter {
  return {
    kind: 'integer',
    apply,
    minimum,
    maximum,
    ...(unit === undefined ? {} : { unit }),
    ...(defaultValue === undefined ? {} : { default: String(defaultValue) }),
  };
}

/** A limit that a standby needs at least as high as its primary has it. */
function inherited(limit: Parameter): Parameter {
  return { ...limit, inheritedByStandby: true };
}

function real(minimum: number, maximum: number, defaultValue: number): Parameter {
  return { kind: 'real', apply: 'dynamic', minimum, maximum, default: String(defaultValue) };
}

function flag(defaultValue: 'on' | 'off', apply: Parameter['apply'] = 'dynamic'): Parameter {
  return { kind: 'boolean', apply, values: ['on', 'off'], default: defaultValue };
}

function choice(values: string, defaultValue: string, apply: Parameter['apply'] = 'dynamic'): Parameter {
  return { kind: 'enum', apply, values: values.split(','), default: defaultValue };
}

function set(
  values: readonly string[],
  defaultValue: string,
  apply: Parameter['apply'] = 'dynamic',
): Parameter {
  return { kind: 'set', apply, values, default: defaultValue };
}

function text(pattern: RegExp, defaultValue?: string, apply: Parameter['apply'] = 'dynamic'): Parameter {
  return { kind: 'string', apply, pattern, ...(defaultValue === undefined ? {} : { default: defaultValue }) };
}

function fixed(value: string): Parameter {
  return { kind: 'string', apply: 'read-only', default: value };
}

const messageLevels = 'debug5,debug4,debug3,debug2,debug1,info,notice,warning,error,log,fatal,panic';
const costs = 1.79769e308;

export const parameterCatalogue: Readonly<Record<string, Parameter>> = {
  // Connections
  max_connections: inherited(integer(25, 5000, undefined, undefined, 'static')),
  reserved_connections: fixed('5'),
  superuser_reserved_connections: fixed('10'),
  listen_addresses: fixed('*'),
  port: fixed('5432'),
  password_encryption: choice('md5,scram-sha-256', 'scram-sha-256'),
  tcp_keepalives_idle: integer(0, int32, 120, 's'),
  tcp_keepalives_interval: integer(0, int32, 30, 's'),
  tcp_keepalives_count: integer(0, int32, 9),
  tcp_user_timeout: integer(0, int32, 0, 'ms'),
  // A session may set it; the server may not.
  client_connection_check_interval: fixed('0'),
  'connection_throttle.enable': flag('off'),

  // TLS
  require_secure_transport: flag('on'),
  ssl: fixed('on'),
  ssl_ciphers: { kind: 'string', apply: 'read-only' },
  ssl_min_protocol_version: choice('TLSv1.2,TLSv1.3', 'TLSv1.2'),
  ssl_max_protocol_version: choice('TLSv1.2,TLSv1.3', ''),

  // Memory
  shared_buffers: integer(16, 1_073_741_823, undefined, '8kB', 'static'),
  work_mem: integer(4096, 2_097_151, 4096, 'kB'),
  maintenance_work_mem: integer(1024, 2_097_151, undefined, 'kB'),
  autovacuum_work_mem: integer(-1, 2_097_151, -1, 'kB'),
  logical_decoding_work_mem: integer(64, int32, 65_536, 'kB'),
  effective_cache_size: integer(1, int32, undefined, '8kB'),
  temp_buffers: integer(100, 1_073_741_823, 1024, '8kB'),
  hash_mem_multiplier: real(1, 1000, 2),
  huge_pages: choice('on,off,try', 'try', 'static'),
  max_prepared_transactions: inherited(integer(0, 262_143, 0, undefined, 'static')),
  max_stack_depth: fixed('2048'),
  vacuum_buffer_usage_limit: integer(0, 16_777_216, 2048, 'kB'),

  // Workers
  max_worker_processes: inherited(integer(0, 262_143, 8, undefined, 'static')),
  max_parallel_workers: integer(0, 1024, 8),
  max_parallel_workers_per_gather: integer(0, 1024, 2),
  max_parallel_maintenance_workers: integer(0, 64, 2),
  effective_io_concurrency: integer(0, 1000, 1),
  maintenance_io_concurrency: fixed('10'),
  backend_flush_after: integer(0, 256, 256, '8kB'),
  bgwriter_delay: integer(10, 10_000, 20, 'ms'),
  bgwriter_flush_after: integer(0, 256, 64, '8kB'),
  bgwriter_lru_maxpages: integer(0, 1_073_741_823, 100),
  bgwriter_lru_multiplier: real(0, 10, 2),

  // Write-ahead log and checkpoints
  wal_level: choice('replica,logical', 'replica', 'static'),
  wal_buffers: integer(-1, 262_143, undefined, '8kB', 'static'),
  wal_compression: choice('pglz,lz4,on,off', 'on'),
  wal_writer_delay: integer(1, 10_000, 200, 'ms'),
  wal_writer_flush_after: integer(0, int32, 128, '8kB'),
  wal_keep_size: fixed('400'),
  commit_delay: integer(0, 100_000, 0, 'us'),
  commit_siblings: integer(0, 1000, 5),
  fsync: fixed('on'),
  full_page_writes: fixed('on'),
  synchronous_commit: fixed('on'),
  checkpoint_completion_target: real(0, 1, 0.9),
  checkpoint_timeout: integer(30, 86_400, 600, 's'),
  checkpoint_warning: integer(0, int32, 30, 's'),
  max_wal_size: integer(32, 65_536, undefined, 'MB'),
  min_wal_size: integer(32, 2_097_151, 80, 'MB'),

  // Replication
  max_wal_senders: inherited(integer(5, 100, 10, undefined, 'static')),
  max_replication_slots: integer(2, 262_143, 10, undefined, 'static'),
  max_slot_wal_keep_size: fixed('-1'),
  max_logical_replication_workers: integer(0, 262_143, 4, undefined, 'static'),
  max_sync_workers_per_subscription: integer(0, 262_143, 2),
  track_commit_timestamp: flag('off', 'static'),
  wal_sender_timeout: integer(0, int32, 60_000, 'ms'),
  wal_receiver_timeout: integer(0, int32, 60_000, 'ms'),
  wal_receiver_status_interval: integer(0, 2_147_483, 10, 's'),
  hot_standby: fixed('on'),
  hot_standby_feedback: flag('off'),
  max_standby_archive_delay: integer(-1, int32, 30_000, 'ms'),
  max_standby_streaming_delay: integer(-1, int32, 30_000, 'ms'),
  sync_replication_slots: { ...flag('off'), since: 17 },

  // Locks and statements
  deadlock_timeout: integer(1, int32, 1000, 'ms'),
  max_locks_per_transaction: inherited(integer(10, 8_388_608, 64, undefined, 'static')),
  max_pred_locks_per_transaction: integer(10, 8_388_608, 64, undefined, 'static'),
  statement_timeout: integer(0, int32, 0, 'ms'),
  lock_timeout: integer(0, int32, 0, 'ms'),
  idle_in_transaction_session_timeout: integer(0, int32, 0, 'ms'),
  idle_session_timeout: integer(0, int32, 0, 'ms'),
  transaction_timeout: { ...integer(0, int32, 0, 'ms'), since: 17 },
  default_transaction_isolation: choice(
    'serializable,repeatable read,read committed,read uncommitted',
    'read committed',
  ),
  default_transaction_read_only: flag('off'),
  row_security: flag('on'),
  session_replication_role: choice('origin,replica,local', 'origin'),
  event_triggers: { ...flag('on'), since: 17 },
  search_path: text(/[A-Za-z0-9."$,_ -]+/, '"$user", public'),
  gin_pending_list_limit: integer(64, 2_097_151, 4096, 'kB'),
  timezone: text(/[A-Za-z0-9/_+-]+/, 'UTC'),

  // Planner
  random_page_cost: real(0, costs, 2),
  seq_page_cost: real(0, costs, 1),
  cpu_tuple_cost: real(0, costs, 0.01),
  cpu_index_tuple_cost: real(0, costs, 0.005),
  cpu_operator_cost: real(0, costs, 0.0025),
  parallel_setup_cost: real(0, costs, 1000),
  parallel_tuple_cost: real(0, costs, 0.1),
  min_parallel_table_scan_size: integer(0, 715_827_882, 1024, '8kB'),
  min_parallel_index_scan_size: integer(0, 715_827_882, 64, '8kB'),
  jit: flag('off'),
  jit_above_cost: integer(-1, int32, 100_000),
  jit_inline_above_cost: integer(-1, int32, 500_000),
  jit_optimize_above_cost: integer(-1, int32, 500_000),
  default_statistics_target: integer(1, 10_000, 100),
  constraint_exclusion: choice('partition,on,off', 'partition'),
  enable_partitionwise_join: flag('off'),
  enable_partitionwise_aggregate: flag('off'),
  from_collapse_limit: integer(1, int32, 8),
  join_collapse_limit: integer(1, int32, 8),
  plan_cache_mode: choice('auto,force_generic_plan,force_custom_plan', 'auto'),

  // Vacuum
  autovacuum: flag('on'),
  autovacuum_max_workers: integer(1, 262_143, 3, undefined, 'static'),
  autovacuum_naptime: integer(1, 2_147_483, 60, 's'),
  autovacuum_vacuum_threshold: integer(0, int32, 50),
  autovacuum_vacuum_scale_factor: real(0, 100, 0.2),
  autovacuum_vacuum_insert_threshold: integer(-1, int32, 1000),
  autovacuum_vacuum_insert_scale_factor: real(0, 100, 0.2),
  autovacuum_vacuum_cost_delay: integer(-1, 100, 2, 'ms'),
  autovacuum_vacuum_cost_limit: integer(-1, 10_000, -1),
  autovacuum_analyze_threshold: integer(0, int32, 50),
  autovacuum_analyze_scale_factor: real(0, 100, 0.1),
  autovacuum_freeze_max_age: integer(100_000, 2_000_000_000, 200_000_000, undefined, 'static'),
  autovacuum_multixact_freeze_max_age: integer(10_000, 2_000_000_000, 400_000_000, undefined, 'static'),
  vacuum_cost_delay: integer(0, 100, 0, 'ms'),
  vacuum_cost_limit: integer(1, 10_000, 200),
  vacuum_failsafe_age: integer(0, 2_100_000_000, 1_600_000_000),
  vacuum_freeze_min_age: integer(0, 1_000_000_000, 50_000_000),
  vacuum_freeze_table_age: integer(0, 2_000_000_000, 150_000_000),

  // Logging
  application_name: text(/[A-Za-z0-9._-]*/, ''),
  log_autovacuum_min_duration: integer(-1, int32, -1, 'ms'),
  log_checkpoints: flag('on'),
  log_connections: flag('on'),
  log_disconnections: flag('on'),
  log_duration: flag('off'),
  log_error_verbosity: choice('terse,default,verbose', 'default'),
  log_hostname: flag('off'),
  log_line_prefix: text(/[^']*/, '%t-%c-'),
  log_lock_waits: flag('off'),
  log_min_duration_sample: integer(-1, int32, -1, 'ms'),
  log_min_duration_statement: integer(-1, int32, -1, 'ms'),
  log_min_error_statement: choice(messageLevels, 'error'),
  log_min_messages: choice(messageLevels, 'warning'),
  log_parameter_max_length: integer(-1, 1_073_741_823, -1, 'B'),
  log_parameter_max_length_on_error: integer(-1, 1_073_741_823, 0, 'B'),
  log_recovery_conflict_waits: flag('off'),
  log_replication_commands: fixed('on'),
  log_startup_progress_interval: fixed('10000'),
  log_statement: choice('none,ddl,mod,all', 'none'),
  log_statement_sample_rate: real(0, 1, 1),
  log_temp_files: integer(-1, int32, -1, 'kB'),
  log_timezone: fixed('UTC'),
  log_transaction_sample_rate: fixed('0'),
  'logfiles.download_enable': flag('off'),
  'logfiles.retention_days': integer(1, 7, 3, 'd'),

  // Statistics
  track_activities: flag('on'),
  track_activity_query_size: integer(100, 102_400, 1024, 'B', 'static'),
  track_counts: flag('on'),
  track_functions: choice('none,pl,all', 'none'),
  track_io_timing: flag('off'),
  track_wal_io_timing: fixed('off'),
  compute_query_id: choice('auto,on,off', 'auto'),
  'pg_stat_statements.max': integer(100, int32, 5000, undefined, 'static'),
  'pg_stat_statements.save': flag('on'),
  'pg_stat_statements.track': { kind: 'enum', apply: 'dynamic', values: ['top', 'all', 'none'] },
  'pg_stat_statements.track_planning': fixed('off'),
  'pg_stat_statements.track_utility': flag('on'),
  'metrics.collector_database_activity': flag('off'),
  'metrics.autovacuum_diagnostics': flag('off'),
  'metrics.pgbouncer_diagnostics': flag('off'),

  // Query store
  'pg_qs.query_capture_mode': choice('top,all,none', 'none'),
  'pg_qs.emit_query_text': flag('off'),
  'pg_qs.interval_length_minutes': integer(1, 30, 15, 'min', 'static'),
  'pg_qs.is_enabled_fs': fixed('on'),
  'pg_qs.max_captured_queries': integer(100, 500, 500),
  'pg_qs.max_plan_size': integer(100, 10_000, 7500, 'B'),
  'pg_qs.max_query_text_length': integer(100, 10_000, 6000, 'B'),
  'pg_qs.parameters_capture_mode': choice(
    'capture_parameterless_only,capture_first_sample',
    'capture_parameterless_only',
  ),
  'pg_qs.retention_period_in_days': integer(1, 30, 7, 'd'),
  'pg_qs.store_query_plans': flag('off'),
  'pg_qs.track_utility': flag('on'),
  'pgms_wait_sampling.query_capture_mode': choice('all,none', 'none'),
  'pgms_wait_sampling.history_period': integer(1, 600_000, 100, 'ms'),
  'pgms_wait_sampling.is_enabled_fs': fixed('on'),

  // Azure, extensions and audit
  'azure.extensions': { kind: 'set', apply: 'dynamic', default: '' },
  'azure.accepted_password_auth_method': set(['md5', 'scram-sha-256'], 'md5,scram-sha-256'),
  shared_preload_libraries: { kind: 'set', apply: 'static', default: 'pg_stat_statements' },
  session_preload_libraries: set(['login_hook', 'anon'], ''),
  'pgaadauth.enable_group_sync': flag('off'),
  'cron.database_name': text(/[A-Za-z0-9_-]+/, 'postgres', 'static'),
  'cron.log_run': flag('on', 'static'),
  'cron.log_statement': flag('on', 'static'),
  'cron.max_running_jobs': integer(0, 5000, 32, undefined, 'static'),
  'cron.timezone': fixed('GMT'),
  'cron.use_background_workers': fixed('off'),
  'pgaudit.log': set(['none', 'read', 'write', 'function', 'role', 'ddl', 'misc', 'all'], 'none'),
  'pgaudit.log_catalog': flag('on'),
  'pgaudit.log_client': flag('off'),
  'pgaudit.log_level': choice('debug5,debug4,debug3,debug2,debug1,info,notice,warning,log', 'log'),
  'pgaudit.log_parameter': flag('off'),
  'pgaudit.log_parameter_max_size': integer(0, 1_073_741_823, 0, 'B'),
  'pgaudit.log_relation': flag('off'),
  'pgaudit.log_rows': flag('off'),
  'pgaudit.log_statement': flag('on'),
  'pgaudit.log_statement_once': flag('off'),
  'pgaudit.role': text(/[A-Za-z._]*/, ''),

  // PgBouncer: hidden until `pgbouncer.enabled` is on. Unlike all other switches, it is spelled true/false.
  'pgbouncer.enabled': { kind: 'boolean', apply: 'dynamic', values: ['true', 'false'], default: 'false' },
  'pgbouncer.default_pool_size': integer(1, 4950, 50),
  'pgbouncer.ignore_startup_parameters': text(/[A-Za-z0-9_.,]*/, ''),
  'pgbouncer.max_client_conn': integer(1, 50_000, 5000),
  'pgbouncer.max_prepared_statements': integer(0, 5000, 0),
  'pgbouncer.min_pool_size': integer(0, 4950, 0),
  'pgbouncer.pool_mode': choice('session,transaction,statement', 'transaction'),
  'pgbouncer.query_wait_timeout': integer(0, 86_400, 120, 's'),
  'pgbouncer.server_idle_timeout': integer(0, 86_400, 600, 's'),
  'pgbouncer.stats_users': text(/[A-Za-z0-9,@_.-]*/, ''),
};
