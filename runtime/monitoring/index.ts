/** Metrics of the database, of Azure and of this process. */
export {
  type AzureAlert,
  type AzureMetric,
  AzureMonitor,
  type AzureMonitorOptions,
  type AzureValue,
  azureAlerts,
  azureMetricNamespace,
  azureMetrics,
} from './azure-monitor.ts';
export { type Collector, type Family, type FamilyName, families, type Sample } from './families.ts';
export { processCollector } from './gauges.ts';
export {
  type CollectorProblem,
  describeProblem,
  type Scrape,
  type ScrapeOptions,
  scrape,
} from './prometheus.ts';
export {
  azureConnectionInfo,
  type ConnectionInfo,
  databaseCollectors,
  type Queryable,
  type SlowQuery,
  slowQueries,
} from './statistics.ts';
