/** Every metric of this package. Dashboards are checked against these names. */

export interface Family {
  readonly help: string;
  readonly type: 'gauge' | 'counter';
  readonly labels: readonly string[];
}

const pool = ['cell', 'target'] as const;
const query = ['queryid'] as const;

/** Names follow Prometheus: base units, `_total` for counters. */
export const families = {
  llama_collector_up: gauge('Whether the collector could read everything it reads', 'collector'),
  llama_postgres_info: gauge('Version and extensions of the server', 'version', 'extensions'),
  llama_postgres_in_recovery: gauge('1 on a replica, 0 on a primary'),
  llama_postgres_database_size_bytes: gauge('Size of the database'),
  llama_postgres_connections_max: gauge('Connections that the server accepts, reserved ones included'),
  llama_postgres_connections: gauge('Sessions of clients', 'state'),
  llama_postgres_longest_transaction_seconds: gauge('Age of the oldest open transaction of a client'),
  llama_postgres_heap_blocks_read_total: counter('Blocks of tables that were not in the shared buffers'),
  llama_postgres_heap_blocks_hit_total: counter('Blocks of tables that were in the shared buffers'),
  llama_postgres_commits_total: counter('Committed transactions of the database'),
  llama_postgres_rollbacks_total: counter('Rolled-back transactions of the database'),
  llama_postgres_deadlocks_total: counter('Deadlocks of the database'),
  llama_postgres_temporary_bytes_total: counter('Bytes of temporary files of the database'),
  llama_postgres_waiting_sessions: gauge('Sessions that wait, by event', 'type', 'event'),
  llama_postgres_slow_query_mean_seconds: gauge(
    'Mean duration of the ten slowest statements above 100 ms',
    ...query,
  ),
  llama_postgres_slow_query_calls_total: counter('Calls of the ten slowest statements', ...query),
  llama_postgres_slow_query_seconds_total: counter('Time of the ten slowest statements', ...query),
  llama_postgres_slow_query_rows_total: counter('Rows of the ten slowest statements', ...query),
  llama_postgres_slow_query_hit_ratio: gauge('Share of blocks from the shared buffers, 0 to 1', ...query),
  llama_postgres_replication_lag_bytes: gauge(
    'Log that a replica has not replayed, on the primary',
    'replica',
  ),
  llama_postgres_replication_lag_seconds: gauge(
    'Time until a replica replays a commit, on the primary',
    'replica',
  ),
  llama_postgres_replay_age_seconds: gauge(
    'Age of the last replayed commit, on a replica; it grows while nobody writes',
  ),
  llama_pool_connections: gauge('Connections of a pool of this process', ...pool, 'state'),
  llama_pool_waiting: gauge('Calls that wait for a connection', ...pool),
  llama_breaker_state: gauge('1 for the state of the circuit breaker', ...pool, 'state'),
  llama_listening: gauge('Whether notifications are heard; absent if nobody listens', 'cell'),
  llama_replica_following: gauge('Whether the replica is in recovery and answers', ...pool),
  llama_replica_lag_seconds: gauge('Upper limit of the age of an answer; absent if unknown', ...pool),
  llama_replica_latency_seconds: gauge('Average duration of a round trip', ...pool),
  llama_azure_cpu_percent: gauge('Azure Monitor: cpu_percent', 'server'),
  llama_azure_memory_percent: gauge('Azure Monitor: memory_percent', 'server'),
  llama_azure_storage_percent: gauge('Azure Monitor: storage_percent', 'server'),
  llama_azure_storage_used: gauge('Azure Monitor: storage_used, in bytes', 'server'),
  llama_azure_disk_iops_consumed_percentage: gauge('Azure Monitor: disk_iops_consumed_percentage', 'server'),
  llama_azure_active_connections: gauge('Azure Monitor: active_connections, in any state', 'server'),
  llama_azure_connections_failed: gauge('Azure Monitor: connections_failed in the last minute', 'server'),
  llama_azure_network_bytes_ingress: gauge(
    'Azure Monitor: network_bytes_ingress in the last minute',
    'server',
  ),
  llama_azure_network_bytes_egress: gauge('Azure Monitor: network_bytes_egress in the last minute', 'server'),
  llama_azure_alert_firing: gauge('Whether the condition of the alert holds now', 'server', 'alert'),
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof families;

function gauge(help: string, ...labels: string[]): Family {
  return { help, type: 'gauge', labels };
}

function counter(help: string, ...labels: string[]): Family {
  return { help, type: 'counter', labels };
}

/** One value of a metric. */
export interface Sample {
  readonly name: FamilyName;
  readonly value: number;
  /** @default {} */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Reads some metrics. If it fails, these alone are missing. */
export interface Collector {
  /** Value of the label `collector`. */
  readonly name: string;
  collect(): Promise<readonly Sample[]>;
}
