import type { Metric } from './metrics.ts';

/**
 * Metrics of `Microsoft.KeyVault/vaults`.
 *
 * Source: https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-keyvault-vaults-metrics
 * (generated reference of 2024-12; every metric has one value per minute).
 */
export const keyVaultMetricNamespace = 'Microsoft.KeyVault/vaults';

export const keyVaultMetrics = {
  Availability: { aggregations: ['Average'], minimumWindow: 'PT1M' },
  SaturationShoebox: { aggregations: ['Average'], minimumWindow: 'PT1M' },
  ServiceApiLatency: { aggregations: ['Average'], minimumWindow: 'PT1M' },
} as const satisfies Readonly<Record<string, Pick<Metric, 'aggregations' | 'minimumWindow'>>>;

export type KeyVaultMetricName = keyof typeof keyVaultMetrics;
