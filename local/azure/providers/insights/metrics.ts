/**
 * Metrics of a server from Azure Monitor, as far as they are known here. A metric without a measurement has no points, as
 * in Azure; no value is invented.
 * https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics
 */
import { metricNamespace, metrics } from '../../../../azure/metrics.ts';
import { typeOf } from '../../../../azure/resource-id.ts';
import type { JsonObject } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { notPlayed } from '../../core/refusal.ts';
import type { Resource } from '../../core/resource-store.ts';
import { notFound } from '../../core/resource-types.ts';
import { monitoring } from '../../refusals/monitoring.ts';
import { serverType, stateOf } from '../postgresql/server.ts';

/** Records a measurement: `resource id|metric` to the latest value. */
export function measure(azure: Azure, resource: string, metric: string, value: number): void {
  measured(azure).set(`${resource.toLowerCase()}|${metric}`, value);
}

function measured(azure: Azure): Map<string, number> {
  return azure.memory.map('metrics');
}

export function registerMetrics(azure: Azure): void {
  const { router, store } = azure;
  const serverAt = (path: string): Resource => {
    const id = path.replace(/\/providers\/microsoft\.insights\/metric.*$/i, '');
    const resource = store.get(id);
    if (!resource) throw notFound(azure, id);
    if (typeOf(id).toLowerCase() !== serverType.toLowerCase())
      throw notPlayed('MetricsNotPlayed', `Metrics of ${typeOf(id)} are not played.`);
    return resource;
  };
  router.on(
    'GET',
    '/{scope*}/providers/Microsoft.Insights/metricDefinitions',
    ({ request }) => {
      const server = serverAt(request.path);
      return {
        status: 200,
        body: {
          value: Object.entries(metrics).map(([name, { aggregations }]) => ({
            id: `${server.id}/providers/microsoft.insights/metricdefinitions/${name}`,
            resourceId: server.id,
            namespace: metricNamespace,
            name: { value: name, localizedValue: name },
            supportedAggregationTypes: [...aggregations],
          })),
        },
      };
    },
    { type: 'Microsoft.Insights/metricDefinitions', query: ['metricnamespace'] },
  );
  router.on(
    'GET',
    '/{scope*}/providers/Microsoft.Insights/metrics',
    ({ request }) => {
      const server = serverAt(request.path);
      const names = (request.query.get('metricnames') ?? '').split(',').filter((name) => name !== '');
      const aggregations = (request.query.get('aggregation') ?? 'Average').split(',');
      return {
        status: 200,
        body: {
          cost: 0,
          timespan: request.query.get('timespan') ?? '',
          interval: request.query.get('interval') ?? 'PT1M',
          namespace: metricNamespace,
          resourceregion: server.body['location'],
          value: names.map((name) => metricDocument(azure, server, name, aggregations)),
        },
      };
    },
    {
      type: 'Microsoft.Insights/metrics',
      query: [
        ...['timespan', 'interval', 'metricnames', 'aggregation', 'top', 'orderby', '$filter'],
        ...['resultType', 'metricnamespace', 'AutoAdjustTimegrain', 'ValidateDimensions'],
      ],
    },
  );
}

function metricDocument(
  azure: Azure,
  server: Resource,
  name: string,
  aggregations: readonly string[],
): JsonObject {
  const known = Object.entries(metrics).find(([one]) => one === name)?.[1];
  if (!known) throw monitoring.metricConfigurationNotFound(name, server.id);
  for (const aggregation of aggregations)
    if (!known.aggregations.some((one) => one.toLowerCase() === aggregation.toLowerCase()))
      throw monitoring.readAggregationNotSupported(aggregation, name, known.aggregations.join(', '));
  const value = latest(azure, server, name);
  const point = {
    timeStamp: new Date(azure.clock.now()).toISOString(),
    ...Object.fromEntries(aggregations.map((one) => [one.toLowerCase(), value])),
  };
  return {
    id: `${server.id}/providers/Microsoft.Insights/metrics/${name}`,
    type: 'Microsoft.Insights/metrics',
    name: { value: name, localizedValue: name },
    unit: 'Unspecified',
    timeseries: value === undefined ? [] : [{ metadatavalues: [], data: [point] }],
  };
}

function latest(azure: Azure, server: Resource, name: string): number | undefined {
  const said = measured(azure).get(`${server.id.toLowerCase()}|${name}`);
  // The control plane itself knows this metric.
  if (said === undefined && name === 'is_db_alive') return stateOf(server.body) === 'Stopped' ? 0 : 1;
  return said;
}
