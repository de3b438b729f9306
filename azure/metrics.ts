/**
 * Metrics of `Microsoft.DBforPostgreSQL/flexibleServers`: the aggregations that Azure keeps and the shortest window.
 *
 * Azure accepts an alert on an aggregation that it does not keep, and the alert never fires. Constructs check their
 * alerts with these facts.
 * Source: https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics
 * (generated reference of 2025-04) and
 * https://learn.microsoft.com/azure/postgresql/monitor/concepts-monitoring for the parameters that switch metrics on.
 */
import type { ServerRole } from './vocabulary.ts';

export const metricNamespace = 'Microsoft.DBforPostgreSQL/flexibleServers';

export const metricsSource =
  'https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics';

export type Aggregation = 'Average' | 'Minimum' | 'Maximum' | 'Total';

/** Windows that azurerm accepts for a metric alert, shortest first. */
export const alertWindows = ['PT1M', 'PT5M', 'PT15M', 'PT30M', 'PT1H', 'PT6H', 'PT12H', 'P1D'] as const;
export type AlertWindow = (typeof alertWindows)[number];

/** Intervals between evaluations that azurerm accepts for an alert, shortest first. */
export const alertFrequencies = ['PT1M', 'PT5M', 'PT15M', 'PT30M', 'PT1H'] as const;
export type AlertFrequency = (typeof alertFrequencies)[number];

/** Condition under which a server emits the metric. */
export type MetricRequirement =
  /** Parameter `metrics.collector_database_activity` is on. */
  | 'databaseActivity'
  /** Parameter `metrics.autovacuum_diagnostics` is on. */
  | 'autovacuumDiagnostics'
  /** `pgbouncer.enabled` and `metrics.pgbouncer_diagnostics` are on. */
  | 'pgBouncerDiagnostics'
  /** A Burstable SKU. */
  | 'burstable'
  /** Eight vCores or more. */
  | 'eightVCores';

export interface Metric {
  readonly unit: 'Count' | 'Percent' | 'Bytes' | 'Seconds';
  readonly aggregations: readonly Aggregation[];
  /** Shortest window in which the metric has a value. */
  readonly minimumWindow: AlertWindow;
  /** @default - emitted by every server */
  readonly requires?: MetricRequirement;
  /** The server of a replicating pair that emits it. @default - both */
  readonly emittedBy?: ServerRole;
  /** Dimension that alerts may split by. @default - none */
  readonly dimension?: string;
}

const gauge = ['Average', 'Maximum', 'Minimum'] as const;

function gaugeOf(unit: Metric['unit'], more: Partial<Metric> = {}): Metric {
  return { unit, aggregations: gauge, minimumWindow: 'PT1M', ...more };
}

function totalOf(unit: Metric['unit'], more: Partial<Metric> = {}): Metric {
  return { unit, aggregations: ['Total'], minimumWindow: 'PT1M', ...more };
}

function perDatabase(): Metric {
  return totalOf('Count', { requires: 'databaseActivity', dimension: 'DatabaseName' });
}

function activity(unit: Metric['unit']): Metric {
  return { unit, aggregations: ['Maximum'], minimumWindow: 'PT1M', requires: 'databaseActivity' };
}

function pooler(): Metric {
  return gaugeOf('Count', { requires: 'pgBouncerDiagnostics', dimension: 'DatabaseName' });
}

function vacuum(): Metric {
  return gaugeOf('Count', {
    minimumWindow: 'PT30M',
    requires: 'autovacuumDiagnostics',
    dimension: 'DatabaseName',
  });
}

const catalogue = {
  is_db_alive: gaugeOf('Count'),

  cpu_percent: gaugeOf('Percent'),
  memory_percent: gaugeOf('Percent'),
  storage_percent: gaugeOf('Percent'),
  storage_free: gaugeOf('Bytes'),
  storage_used: gaugeOf('Bytes'),
  txlogs_storage_used: gaugeOf('Bytes'),
  backup_storage_used: gaugeOf('Bytes'),
  iops: gaugeOf('Count'),
  read_iops: gaugeOf('Count'),
  write_iops: gaugeOf('Count'),
  read_throughput: gaugeOf('Count'),
  write_throughput: gaugeOf('Count'),
  disk_queue_depth: gaugeOf('Count'),
  // Sampled once per minute and delivered every five minutes, so a shorter window is mostly empty.
  disk_iops_consumed_percentage: gaugeOf('Percent', { minimumWindow: 'PT5M' }),
  disk_bandwidth_consumed_percentage: gaugeOf('Percent', { minimumWindow: 'PT5M' }),
  cpu_credits_remaining: gaugeOf('Count', { requires: 'burstable' }),
  cpu_credits_consumed: gaugeOf('Count', { requires: 'burstable' }),
  postmaster_process_cpu_usage_percent: gaugeOf('Percent', { requires: 'databaseActivity' }),

  active_connections: gaugeOf('Count'),
  connections_failed: totalOf('Count'),
  connections_succeeded: totalOf('Count'),
  max_connections: { unit: 'Count', aggregations: ['Maximum'], minimumWindow: 'PT30M' },
  network_bytes_ingress: totalOf('Bytes'),
  network_bytes_egress: totalOf('Bytes'),
  tcp_connection_backlog: gaugeOf('Count', { requires: 'eightVCores' }),
  maximum_used_transactionIDs: gaugeOf('Count'),

  physical_replication_delay_in_bytes: gaugeOf('Bytes', { emittedBy: 'primary' }),
  physical_replication_delay_in_seconds: gaugeOf('Seconds', { emittedBy: 'replica' }),
  logical_replication_delay_in_bytes: gaugeOf('Bytes', { emittedBy: 'primary' }),

  longest_query_time_sec: activity('Seconds'),
  longest_transaction_time_sec: activity('Seconds'),
  oldest_backend_time_sec: activity('Seconds'),
  oldest_backend_xmin: activity('Count'),
  oldest_backend_xmin_age: activity('Count'),
  sessions_by_state: gaugeOf('Count', { requires: 'databaseActivity', dimension: 'State' }),
  sessions_by_wait_event_type: gaugeOf('Count', { requires: 'databaseActivity', dimension: 'WaitEventType' }),

  numbackends: gaugeOf('Count', { requires: 'databaseActivity', dimension: 'DatabaseName' }),
  tps: {
    unit: 'Count',
    aggregations: ['Minimum', 'Maximum', 'Total'],
    minimumWindow: 'PT1M',
    requires: 'databaseActivity',
    dimension: 'DatabaseName',
  },
  deadlocks: perDatabase(),
  temp_files: perDatabase(),
  temp_bytes: { ...perDatabase(), unit: 'Bytes' },
  blks_hit: perDatabase(),
  blks_read: perDatabase(),
  xact_commit: perDatabase(),
  xact_rollback: perDatabase(),
  xact_total: perDatabase(),
  tup_inserted: perDatabase(),
  tup_updated: perDatabase(),
  tup_deleted: perDatabase(),
  tup_fetched: perDatabase(),
  tup_returned: perDatabase(),
  database_size_bytes: gaugeOf('Bytes', { minimumWindow: 'PT30M', dimension: 'DatabaseName' }),

  bloat_percent: {
    unit: 'Percent',
    aggregations: ['Maximum'],
    minimumWindow: 'PT30M',
    requires: 'autovacuumDiagnostics',
    dimension: 'DatabaseName',
  },
  n_dead_tup_user_tables: vacuum(),
  n_live_tup_user_tables: vacuum(),
  n_mod_since_analyze_user_tables: vacuum(),
  autovacuum_count_user_tables: vacuum(),
  autoanalyze_count_user_tables: vacuum(),

  client_connections_active: pooler(),
  client_connections_waiting: pooler(),
  server_connections_active: pooler(),
  server_connections_idle: pooler(),
  total_pooled_connections: pooler(),
  num_pools: pooler(),
} satisfies Readonly<Record<string, Metric>>;

export type MetricName = keyof typeof catalogue;

export const metrics: Readonly<Record<MetricName, Metric>> = catalogue;
