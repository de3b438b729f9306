import { describe, expect, it } from 'vitest';
import { keyVaultMetricNamespace, keyVaultMetrics } from '../../azure/key-vault-metrics.ts';
import { alertFrequencies, alertWindows, metricNamespace, metrics } from '../../azure/metrics.ts';
import { ActionGroup } from '../../constructs/action-group.ts';
import type { MetricAlertRule } from '../../constructs/alert-rules.ts';
import {
  KeyVaultAlerts,
  MetricAlerts,
  ServerAlerts,
  type ServerAlertsProps,
} from '../../constructs/alerts.ts';
import { type Block, synthesize } from './synthesized.ts';

const target = {
  targetResourceId:
    '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/db',
  targetName: 'db',
  resourceGroupName: 'rg',
  actionGroupId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/actionGroups/on-call',
};
const productionPrimary: ServerAlertsProps = {
  ...target,
  role: 'primary',
  burstable: false,
  replicated: true,
  maxConnections: 1718,
  databaseActivity: true,
  poolSize: 50,
};

interface Criteria {
  readonly metric_namespace: string;
  readonly metric_name: string;
  readonly aggregation: string;
  readonly operator: string;
  readonly threshold: number;
}

function alertsOf(props: ServerAlertsProps): Map<string, Block> {
  const blocks = synthesize((stack) => new ServerAlerts(stack, 'alerts', props)).resources(
    'azurerm_monitor_metric_alert',
  );
  return new Map(Object.values(blocks).map((block) => [String(block['name']).replace(/^db-/, ''), block]));
}

function criteriaOf(block: Block | undefined): Criteria {
  const criteria = (block?.['criteria'] as Criteria[] | undefined)?.[0];
  if (criteria === undefined) throw new Error('the alert has no criteria');
  return criteria;
}

/** Every alert of this project, for each role and tier. */
function everyAlert(): Block[] {
  const vault = synthesize(
    (stack) => new KeyVaultAlerts(stack, 'alerts', { ...target, targetName: 'vault' }),
  ).resources('azurerm_monitor_metric_alert');
  return [
    ...alertsOf(productionPrimary).values(),
    ...alertsOf({ ...productionPrimary, role: 'replica', replicated: false }).values(),
    ...alertsOf({ ...target, role: 'primary', burstable: true, maxConnections: 429 }).values(),
    ...Object.values(vault),
  ];
}

describe('every metric alert', () => {
  const catalogues: Record<
    string,
    Record<string, { aggregations: readonly string[]; minimumWindow: string }>
  > = { [metricNamespace]: metrics, [keyVaultMetricNamespace]: keyVaultMetrics };
  const rank = (duration: unknown) => (alertWindows as readonly unknown[]).indexOf(duration);

  it.each(everyAlert().map((block) => [String(block['name']), block] as const))(
    '%s can fire: its metric exists, keeps the aggregation, and has a value in each window',
    (_, block) => {
      const criteria = criteriaOf(block);
      const metric = catalogues[criteria.metric_namespace]?.[criteria.metric_name];
      expect(metric?.aggregations).toContain(criteria.aggregation);
      expect(rank(block['window_size'])).toBeGreaterThanOrEqual(rank(metric?.minimumWindow));
      expect(rank(block['frequency'])).toBeGreaterThanOrEqual(rank(metric?.minimumWindow));
      expect(rank(block['window_size'])).toBeGreaterThanOrEqual(rank(block['frequency']));
      expect(alertFrequencies).toContain(block['frequency']);
    },
  );

  it('resolves itself, notifies the action group, and describes the remedy in two sentences or more', () => {
    for (const block of everyAlert()) {
      expect(block['auto_mitigate']).toBe(true);
      expect(block['enabled']).toBe(true);
      expect(block['action']).toEqual([{ action_group_id: target.actionGroupId }]);
      expect(block['scopes']).toEqual([target.targetResourceId]);
      expect(String(block['description']).match(/[.;:?]( |$)/g)?.length).toBeGreaterThanOrEqual(2);
    }
  });
});

describe('ServerAlerts', () => {
  it.each([
    // name, metric, operator, threshold, severity: as in the original design
    ['cpu-high', 'cpu_percent', 'GreaterThan', 80, 2],
    ['memory-high', 'memory_percent', 'GreaterThan', 85, 2],
    ['storage-critical', 'storage_percent', 'GreaterThan', 90, 1],
    ['connections-failed', 'connections_failed', 'GreaterThan', 10, 2],
  ])('%s has the threshold and severity that were asked for', (id, metric, operator, threshold, severity) => {
    const alert = alertsOf(productionPrimary).get(id);
    expect(criteriaOf(alert)).toMatchObject({ metric_name: metric, operator, threshold });
    expect(alert?.['severity']).toBe(severity);
  });

  it('watches the metrics that each role and tier emits, and no others', () => {
    const everywhere = [
      'down',
      'storage-high',
      'storage-critical',
      'storage-nearly-read-only',
      'cpu-high',
      'cpu-critical',
      'memory-high',
      'memory-critical',
      'connections-high',
      'connections-critical',
      'connections-failed',
      'disk-iops-saturated',
      'disk-bandwidth-saturated',
    ];
    const names = (props: ServerAlertsProps) => [...alertsOf(props).keys()].sort();
    expect(names(productionPrimary)).toEqual(
      [
        ...everywhere,
        'transaction-ids',
        'replica-lag-bytes',
        'long-transaction',
        'deadlocks',
        'pooler-waiting',
      ].sort(),
    );
    expect(names({ ...productionPrimary, role: 'replica', replicated: false })).toEqual(
      [...everywhere, 'replica-lag', 'long-transaction', 'deadlocks', 'pooler-waiting'].sort(),
    );
    expect(names({ ...target, role: 'primary', burstable: true, maxConnections: 429 })).toEqual(
      [...everywhere, 'transaction-ids', 'cpu-credits-low'].sort(),
    );
  });

  it("uses only metrics that the role emits and the server's parameters switch on", () => {
    for (const [role, props] of [
      ['primary', productionPrimary],
      ['replica', { ...productionPrimary, role: 'replica', replicated: false }],
    ] as const) {
      for (const block of alertsOf(props).values()) {
        const metric = metrics[criteriaOf(block).metric_name as keyof typeof metrics];
        expect([role, undefined]).toContain(metric.emittedBy);
        expect(['databaseActivity', 'pgBouncerDiagnostics', undefined]).toContain(metric.requires);
      }
    }
  });

  it.each([
    // D4s_v3 has 1,718 connections by default, of which 1,703 are available to clients
    [1718, undefined, 1362, 1617],
    // B2s: 429 and 414
    [429, undefined, 331, 393],
    [200, undefined, 148, 175],
    [200, 20, 144, 171],
  ])(
    'of %i connections with %s reserved, alert at %i and %i',
    (maxConnections, reservedConnections, high, critical) => {
      const alerts = alertsOf({
        ...productionPrimary,
        maxConnections,
        ...(reservedConnections === undefined ? {} : { reservedConnections }),
      });
      expect(criteriaOf(alerts.get('connections-high'))).toMatchObject({
        metric_name: 'active_connections',
        aggregation: 'Maximum',
        threshold: high,
      });
      expect(criteriaOf(alerts.get('connections-critical')).threshold).toBe(critical);
      expect(critical).toBeLessThan(maxConnections - (reservedConnections ?? 15));
    },
  );

  it('warns about a small disk before it turns read-only, before the percentage alert would', () => {
    // The server is read-only below 5 GiB, which is 84 % of 32 GiB, before the critical 90 %.
    const free = criteriaOf(alertsOf(productionPrimary).get('storage-nearly-read-only')).threshold;
    expect(free).toBeGreaterThan(5 * 1024 ** 3);
  });

  it('compares clients that wait in PgBouncer by database, so that idle databases do not hide a busy one', () => {
    expect(criteriaOf(alertsOf(productionPrimary).get('pooler-waiting'))).toMatchObject({
      metric_name: 'client_connections_waiting',
      dimension: [{ name: 'DatabaseName', operator: 'Include', values: ['*'] }],
    });
  });

  it('can be switched off without being removed', () => {
    for (const block of alertsOf({ ...productionPrimary, enabled: false }).values()) {
      expect(block['enabled']).toBe(false);
    }
  });

  it('depends on the given resources', () => {
    const blocks = synthesize((stack) => {
      const group = new ActionGroup(stack, 'actionGroup', {
        name: 'on-call',
        shortName: 'on-call',
        resourceGroupName: 'rg',
        emails: [],
      });
      new ServerAlerts(stack, 'alerts', { ...productionPrimary, after: [group.resource] });
    }).resources('azurerm_monitor_metric_alert');
    for (const block of Object.values(blocks)) {
      expect(block['depends_on']).toEqual(['azurerm_monitor_action_group.actionGroup']);
    }
  });
});

describe('a rule that could never fire', () => {
  const good: MetricAlertRule = {
    id: 'rule',
    metric: 'cpu_percent',
    aggregation: 'Average',
    operator: 'GreaterThan',
    threshold: 80,
    window: 'PT15M',
    frequency: 'PT5M',
    severity: 2,
    description: 'test',
  };
  const withRule = (rule: Partial<MetricAlertRule>) => () =>
    synthesize(
      (stack) =>
        new MetricAlerts(stack, 'alerts', {
          ...target,
          namespace: metricNamespace,
          rules: [{ ...good, ...rule }],
        }),
    );

  it('is a valid rule with one change', () => {
    expect(withRule({})).not.toThrow();
  });

  it.each<[Partial<MetricAlertRule>, RegExp]>([
    [
      { metric: 'connections_failed', aggregation: 'Average' },
      /does not keep aggregation Average of connections_failed; it keeps Total/,
    ],
    [
      { metric: 'cpu_percent', aggregation: 'Total' },
      /does not keep aggregation Total of cpu_percent; it keeps Average, Maximum, Minimum/,
    ],
    [{ metric: 'io_consumption_percent' }, /flexibleServers has no metric io_consumption_percent/],
    [
      { metric: 'disk_iops_consumed_percentage', window: 'PT1M', frequency: 'PT1M' },
      /window PT1M is shorter than the PT5M between values of disk_iops_consumed_percentage/,
    ],
    [
      { metric: 'disk_iops_consumed_percentage', frequency: 'PT1M' },
      /frequency PT1M is shorter than the PT5M between values/,
    ],
    [
      { metric: 'max_connections', aggregation: 'Maximum' },
      /window PT15M is shorter than the PT30M between values of max_connections/,
    ],
    [{ window: 'PT5M', frequency: 'PT1H' }, /frequency PT1H leaves gaps between windows of PT5M/],
    [{ splitBy: 'DatabaseName' }, /cpu_percent has no dimension DatabaseName/],
    [{ threshold: Number.NaN }, /NaN is not a threshold/],
  ])('is refused when the stack is synthesized: %o', (rule, message) => {
    expect(withRule(rule)).toThrow(message);
  });
});

describe('ActionGroup', () => {
  it('sends every alert in the common schema', () => {
    const block = synthesize(
      (stack) =>
        new ActionGroup(stack, 'actionGroup', {
          name: 'on-call',
          shortName: 'oncall',
          resourceGroupName: 'rg',
          emails: [
            { name: 'first', address: 'first@comply-ai.example' },
            { name: 'second', address: 'second@comply-ai.example' },
          ],
        }),
    ).resource('azurerm_monitor_action_group');
    expect(block['short_name']).toBe('oncall');
    expect(block['email_receiver']).toEqual([
      { name: 'first', email_address: 'first@comply-ai.example', use_common_alert_schema: true },
      { name: 'second', email_address: 'second@comply-ai.example', use_common_alert_schema: true },
    ]);
  });
});
