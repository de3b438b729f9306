/** Metrics and alerts of a Flexible Server in Azure Monitor. */
import type { MetricsClient } from '@azure/monitor-query-metrics';
import type { TokenCredential } from '../credentials.ts';
import { ConfigurationError, DatabaseFailure } from '../errors.ts';
import type { Collector, FamilyName, Sample } from './families.ts';

export const azureMetricNamespace = 'Microsoft.DBforPostgreSQL/flexibleServers';

/**
 * The metrics, each with an aggregation that Azure keeps.
 * https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics
 */
export const azureMetrics = {
  cpu_percent: 'average',
  memory_percent: 'average',
  storage_percent: 'average',
  storage_used: 'average',
  disk_iops_consumed_percentage: 'average',
  active_connections: 'average',
  connections_failed: 'total',
  network_bytes_ingress: 'total',
  network_bytes_egress: 'total',
} as const;

export type AzureMetric = keyof typeof azureMetrics;

/** The condition of an alert: the metric over a quarter of an hour, greater than the threshold. */
export interface AzureAlert {
  readonly metric: AzureMetric;
  readonly threshold: number;
  /** 0 critical to 3 informational. */
  readonly severity: number;
}

export const azureAlerts = {
  'cpu-high': { metric: 'cpu_percent', threshold: 80, severity: 2 },
  'memory-high': { metric: 'memory_percent', threshold: 85, severity: 2 },
  'storage-critical': { metric: 'storage_percent', threshold: 90, severity: 1 },
  'connections-failed': { metric: 'connections_failed', threshold: 10, severity: 2 },
} as const satisfies Readonly<Record<string, AzureAlert>>;

export interface AzureMonitorOptions {
  /** `/subscriptions/…/providers/Microsoft.DBforPostgreSQL/flexibleServers/name`. */
  readonly resourceId: string;
  /** Region of the server, such as `westeurope`. */
  readonly region: string;
  /** Needs Monitoring Reader on the subscription. @default - DefaultAzureCredential */
  readonly credential?: TokenCredential;
  /** @default - `https://REGION.metrics.monitor.azure.com` */
  readonly endpoint?: string;
  /** `MetricsClientOptions` of `@azure/monitor-query-metrics`: proxy, TLS, retries. @default - the client's defaults */
  readonly client?: object;
}

/** One metric over the last quarter of an hour. */
export interface AzureValue {
  /** Of the newest minute that has one; undefined if Azure has none. */
  readonly latest: number | undefined;
  /** Average or total of the whole period. */
  readonly overall: number | undefined;
}

const periodMs = 15 * 60_000;

/** Reads the server's metrics. Each is a request of its own, so an unknown or forbidden one costs itself only. */
export class AzureMonitor {
  readonly #options: AzureMonitorOptions;
  readonly #server: string;
  #client: Promise<MetricsClient> | undefined;

  /** @throws ConfigurationError if the id or the region is malformed */
  constructor(options: AzureMonitorOptions) {
    const [, server] =
      /^\/subscriptions\/[^/]+\/resourceGroups\/[^/]+\/providers\/Microsoft\.DBforPostgreSQL\/flexibleServers\/([a-z0-9-]+)$/i.exec(
        options.resourceId,
      ) ?? [];
    if (server === undefined || !/^[a-z0-9]+$/.test(options.region)) {
      throw new ConfigurationError(
        'monitoring/not-a-server',
        `${JSON.stringify(options.resourceId)} in ${JSON.stringify(options.region)} cannot be monitored`,
        'a Flexible Server has an id of Azure and a region such as westeurope',
        'Give the id of the Terraform output deployment, primary.id, and the region in lower case without spaces.',
      );
    }
    this.#options = options;
    this.#server = server;
  }

  /** @throws DatabaseFailure `monitoring/azure-refused` */
  async read(metric: AzureMetric): Promise<AzureValue> {
    const aggregation = azureMetrics[metric];
    try {
      this.#client ??= connect(this.#options);
      const endTime = new Date();
      const [answer] = await (await this.#client).queryResources(
        [this.#options.resourceId],
        [metric],
        azureMetricNamespace,
        { startTime: new Date(endTime.getTime() - periodMs), endTime, interval: 'PT1M', aggregation },
      );
      const found = answer?.metrics.find(({ name }) => String(name).toLowerCase() === metric);
      if (found?.errorCode && found.errorCode !== 'Success')
        throw new Error(found.errorMessage ?? found.errorCode);
      const values = (found?.timeseries ?? [])
        .flatMap(({ data = [] }) => data)
        .map((point) => point[aggregation])
        .filter((value) => value !== undefined && value !== null);
      const sum = values.reduce((total, value) => total + value, 0);
      const overall = aggregation === 'total' ? sum : sum / values.length;
      return { latest: values.at(-1), overall: values.length === 0 ? undefined : overall };
    } catch (error) {
      throw new DatabaseFailure(
        'monitoring/azure-refused',
        `Azure Monitor gives no ${metric} of ${this.#server}`,
        error instanceof Error ? error.message : String(error),
        'Give the identity Monitoring Reader on the subscription, and check id and region.',
        { cause: error },
      );
    }
  }

  /** A collector for each metric, with the alerts that depend on it. */
  get collectors(): readonly Collector[] {
    const server = this.#server;
    return (Object.keys(azureMetrics) as AzureMetric[]).map((metric) => ({
      name: `azure_${metric}`,
      collect: async () => {
        const { latest, overall } = await this.read(metric);
        const name: FamilyName = `llama_azure_${metric}`;
        return [
          ...(latest === undefined ? [] : [{ name, value: latest, labels: { server } }]),
          ...(overall === undefined ? [] : firing(server, metric, overall)),
        ];
      },
    }));
  }
}

function firing(server: string, metric: AzureMetric, overall: number): readonly Sample[] {
  return Object.entries(azureAlerts)
    .filter(([, alert]) => alert.metric === metric)
    .map(([alert, { threshold }]) => ({
      name: 'llama_azure_alert_firing',
      value: Number(overall > threshold),
      labels: { server, alert },
    }));
}

async function connect({
  region,
  endpoint,
  credential,
  client,
}: AzureMonitorOptions): Promise<MetricsClient> {
  const { MetricsClient } = await import('@azure/monitor-query-metrics');
  const used = credential ?? new (await import('@azure/identity')).DefaultAzureCredential();
  return new MetricsClient(endpoint ?? `https://${region}.metrics.monitor.azure.com`, used as never, {
    audience: 'https://metrics.monitor.azure.com',
    ...client,
  });
}
