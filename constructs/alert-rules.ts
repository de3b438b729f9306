import type { KeyVaultMetricName } from '../azure/key-vault-metrics.ts';
import type { Aggregation, AlertFrequency, AlertWindow, MetricName } from '../azure/metrics.ts';
import type { ServerRole } from '../azure/vocabulary.ts';

/** One metric alert, without its target and its receivers. */
export interface MetricAlertRule<Name extends string = string> {
  /** Suffix of the alert's name, unique on the watched resource. */
  readonly id: string;
  readonly metric: Name;
  readonly aggregation: Aggregation;
  readonly operator: 'GreaterThan' | 'LessThan';
  /** In the metric's own unit. */
  readonly threshold: number;
  /**
   * Dimension whose values are each compared with the threshold.
   * @default - one value for all of them: an average over mostly idle databases hides the busy one
   */
  readonly splitBy?: string;
  /** Period that is aggregated. */
  readonly window: AlertWindow;
  /** Interval between evaluations, at most the window. */
  readonly frequency: AlertFrequency;
  /** 0 critical, 1 error, 2 warning, 3 informational. */
  readonly severity: 0 | 1 | 2 | 3;
  /** The situation and its remedy. Arrives with the message. */
  readonly description: string;
}

export interface ServerAlertRulesProps {
  /** Role in the replication. */
  readonly role: ServerRole;
  /** Whether another server replicates from this one. */
  readonly replicated: boolean;
  readonly burstable: boolean;
  /** `max_connections` in force on this server (decision 23). */
  readonly maxConnections: number;
  /** Connections that PostgreSQL and Azure reserve. */
  readonly reservedConnections: number;
  /** Parameter `metrics.collector_database_activity` is on. */
  readonly databaseActivity: boolean;
  /** Server connections of a pool. Only with PgBouncer and `metrics.pgbouncer_diagnostics` on. */
  readonly poolSize?: number;
}

const GIB = 1024 ** 3;

/** Shares of the connections available to clients. */
const connectionShares = { high: 0.8, critical: 0.95 } as const;

/**
 * Alerts of one Flexible Server.
 *
 * Thresholds come from the original design (CPU 80, memory 85, storage 90, failed connections 10), from Azure's
 * documentation (storage 80, replica lag of five minutes) or from Azure Monitor Baseline Alerts. If none of them has a
 * usable value, the comment beside the rule gives the reason for the number.
 * https://azure.github.io/azure-monitor-baseline-alerts/services/DBforPostgreSQL/flexibleServers/
 */
export function serverAlertRules(props: ServerAlertRulesProps): MetricAlertRule<MetricName>[] {
  return [
    ...always(props),
    ...(props.burstable ? burstable : []),
    ...(props.role === 'primary' ? primary : replica),
    ...(props.replicated ? replicated : []),
    ...(props.databaseActivity ? databaseActivity : []),
    ...(props.poolSize === undefined ? [] : pooled(props.poolSize)),
  ];
}

function always(props: ServerAlertRulesProps): MetricAlertRule<MetricName>[] {
  const usable = props.maxConnections - props.reservedConnections;
  return [
    {
      id: 'down',
      metric: 'is_db_alive',
      aggregation: 'Maximum',
      operator: 'LessThan',
      threshold: 1,
      window: 'PT5M',
      frequency: 'PT1M',
      severity: 0,
      description:
        'PostgreSQL has not answered for five minutes. Look at Resource health for a failover in progress; if there is ' +
        'none, read PGSQLServerLogs, then decide on a restart or on promoting the replica.',
    },
    {
      id: 'storage-high',
      metric: 'storage_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 80,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'The disk is 80 % full. Check that auto-grow is on and that retired partitions were removed ' +
        '(llama-db maintain); look for a replication slot that holds back WAL.',
    },
    {
      id: 'storage-critical',
      metric: 'storage_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 90,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 1,
      description:
        'The disk is 90 % full; at 95 % the server turns read-only. Enlarge it now (it cannot be made smaller ' +
        'again), then find what grew.',
    },
    {
      // A disk of up to 100 GiB reaches the limit of 5 GiB before 95 %: one of 32 GiB at 84 %.
      id: 'storage-nearly-read-only',
      metric: 'storage_free',
      aggregation: 'Average',
      operator: 'LessThan',
      threshold: 10 * GIB,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 1,
      description:
        'Less than 10 GiB of disk is free; below 5 GiB the server turns read-only, whatever the percentage says. ' +
        'Enlarge the disk.',
    },
    {
      id: 'cpu-high',
      metric: 'cpu_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 80,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'The processors have been busy above 80 % for a quarter of an hour. Find the queries in the query store ' +
        'before choosing a larger SKU.',
    },
    {
      id: 'cpu-critical',
      metric: 'cpu_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 90,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 1,
      description:
        'The processors have been busy above 90 % for a quarter of an hour, and queries are queueing. Cancel ' +
        'runaway queries; scale up if the load is legitimate.',
    },
    {
      id: 'memory-high',
      metric: 'memory_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 85,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'Memory use has been above 85 % for a quarter of an hour. Look at the number of connections and at work_mem ' +
        'times the sorts of the largest queries.',
    },
    {
      id: 'memory-critical',
      metric: 'memory_percent',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 95,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 1,
      description:
        'Memory use has been above 95 % for a quarter of an hour; the kernel will kill a backend next, and PostgreSQL ' +
        'then restarts all of them. Shed connections or scale up.',
    },
    {
      id: 'connections-high',
      metric: 'active_connections',
      aggregation: 'Maximum',
      operator: 'GreaterThan',
      threshold: Math.floor(usable * connectionShares.high),
      window: 'PT5M',
      frequency: 'PT5M',
      severity: 2,
      description: `80 % of the ${usable} connections available to clients (max_connections ${props.maxConnections} minus ${props.reservedConnections} reserved) are in use. Find the pool that grew in pg_stat_activity, by application_name.`,
    },
    {
      id: 'connections-critical',
      metric: 'active_connections',
      aggregation: 'Maximum',
      operator: 'GreaterThan',
      threshold: Math.floor(usable * connectionShares.critical),
      window: 'PT5M',
      frequency: 'PT1M',
      severity: 1,
      description: `95 % of the ${usable} connections available to clients are in use, and the server will soon refuse further ones. End idle sessions, and shrink the pool that grew.`,
    },
    {
      id: 'connections-failed',
      metric: 'connections_failed',
      aggregation: 'Total',
      operator: 'GreaterThan',
      threshold: 10,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'More than ten connections failed in a quarter of an hour: an expired credential, a client without TLS, ' +
        'exhausted connections, or an attempted break-in. PGSQLServerLogs has the reason for each.',
    },
    {
      id: 'disk-iops-saturated',
      metric: 'disk_iops_consumed_percentage',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 90,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'The disk has been at 90 % of its operations per second for a quarter of an hour. Raise the performance tier ' +
        '(once in 12 hours at most), or find the query that stopped using its index.',
    },
    {
      id: 'disk-bandwidth-saturated',
      metric: 'disk_bandwidth_consumed_percentage',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 90,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description:
        'The disk has been at 90 % of its bandwidth for a quarter of an hour. Look for sequential scans and large ' +
        'index builds; a larger SKU has more bandwidth.',
    },
  ];
}

const primary: readonly MetricAlertRule<MetricName>[] = [
  {
    // Half of the 2.1 billion transaction ids, and five times autovacuum_freeze_max_age: autovacuum has been too slow
    // for days, and days are still left.
    id: 'transaction-ids',
    metric: 'maximum_used_transactionIDs',
    aggregation: 'Maximum',
    operator: 'GreaterThan',
    threshold: 1_000_000_000,
    window: 'PT1H',
    frequency: 'PT15M',
    severity: 1,
    description:
      'Half of the transaction ids are used, so autovacuum is not freezing rows. Look for an old transaction, a ' +
      'forgotten prepared transaction or a stale replication slot that holds it back, then VACUUM FREEZE the oldest tables.',
  },
];

const replica: readonly MetricAlertRule<MetricName>[] = [
  {
    id: 'replica-lag',
    metric: 'physical_replication_delay_in_seconds',
    aggregation: 'Average',
    operator: 'GreaterThan',
    threshold: 300,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 1,
    description:
      'The replica is more than five minutes behind: readers see old rows, and a forced promotion would lose that ' +
      'much. Look for a long query on the replica that delays replay, and at the write load of the primary.',
  },
];

const replicated: readonly MetricAlertRule<MetricName>[] = [
  {
    // No published value. A primary of this size writes 10 GiB of WAL in some minutes of bulk load. The value stays
    // above it only if the replica has stopped or cannot keep up.
    id: 'replica-lag-bytes',
    metric: 'physical_replication_delay_in_bytes',
    aggregation: 'Average',
    operator: 'GreaterThan',
    threshold: 10 * GIB,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 2,
    description:
      'The primary keeps more than 10 GiB of WAL for a replica that does not fetch it, and its own disk fills up. ' +
      'Repair the replica or remove it before the disk is full.',
  },
];

const burstable: readonly MetricAlertRule<MetricName>[] = [
  {
    // No published value. At full load a B2s spends 120 credits an hour and earns 24: 30 last about 20 minutes.
    id: 'cpu-credits-low',
    metric: 'cpu_credits_remaining',
    aggregation: 'Average',
    operator: 'LessThan',
    threshold: 30,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 2,
    description:
      'The burst credits are nearly spent; without them the server runs at a fraction of its processors. Lower the ' +
      'load or leave the Burstable tier.',
  },
];

const databaseActivity: readonly MetricAlertRule<MetricName>[] = [
  {
    // No published value. No work of this schema holds a transaction for an hour, and autovacuum cannot clean behind one.
    id: 'long-transaction',
    metric: 'longest_transaction_time_sec',
    aggregation: 'Maximum',
    operator: 'GreaterThan',
    threshold: 3600,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 3,
    description:
      'A transaction has been open for more than an hour; dead rows pile up behind it. Find it in pg_stat_activity ' +
      '(order by xact_start) and end it with pg_terminate_backend if it is not needed.',
  },
  {
    // AMBA has 1 in five minutes, which a retried tenant transaction reaches on a normal day.
    id: 'deadlocks',
    metric: 'deadlocks',
    aggregation: 'Total',
    operator: 'GreaterThan',
    threshold: 5,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 3,
    description:
      'More than five deadlocks in a quarter of an hour: two code paths lock the same rows in different order. ' +
      'PGSQLServerLogs names both statements.',
  },
];

function pooled(poolSize: number): MetricAlertRule<MetricName>[] {
  return [
    {
      // One waiting client per connection of a pool: a new client waits for a whole round.
      id: 'pooler-waiting',
      metric: 'client_connections_waiting',
      splitBy: 'DatabaseName',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: poolSize,
      window: 'PT15M',
      frequency: 'PT5M',
      severity: 2,
      description: `More than ${poolSize} clients (one per connection of a pool) have been waiting in PgBouncer for a quarter of an hour. Shorten transactions, or raise pgbouncer.default_pool_size within max_connections.`,
    },
  ];
}

/**
 * Alerts of the Key Vault, whose keys decrypt every encrypted field.
 * https://azure.github.io/azure-monitor-baseline-alerts/services/KeyVault/vaults/
 */
export function keyVaultAlertRules(): MetricAlertRule<KeyVaultMetricName>[] {
  return [
    {
      id: 'unavailable',
      metric: 'Availability',
      aggregation: 'Average',
      operator: 'LessThan',
      threshold: 90,
      window: 'PT5M',
      frequency: 'PT1M',
      severity: 1,
      description:
        'The vault refuses or fails more than one request in ten. Encrypted fields of tenants whose data key is not ' +
        'cached cannot be read. Look at Resource health and at the private endpoint.',
    },
    {
      id: 'saturated',
      metric: 'SaturationShoebox',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 75,
      window: 'PT5M',
      frequency: 'PT1M',
      severity: 1,
      description:
        'The vault is at three quarters of the requests it answers before throttling. Find the caller that unwraps ' +
        'without caching in AzureDiagnostics (OperationName KeyUnwrap).',
    },
    {
      id: 'slow',
      metric: 'ServiceApiLatency',
      aggregation: 'Average',
      operator: 'GreaterThan',
      threshold: 1000,
      window: 'PT5M',
      frequency: 'PT5M',
      severity: 3,
      description:
        'The vault takes longer than a second to answer, and so does the first encrypted read of each tenant. Look at ' +
        'Resource health of the vault.',
    },
  ];
}
