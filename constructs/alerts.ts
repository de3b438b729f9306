import { MonitorMetricAlert } from '@cdktf/provider-azurerm/lib/monitor-metric-alert/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { keyVaultMetricNamespace, keyVaultMetrics } from '../azure/key-vault-metrics.ts';
import {
  type AlertFrequency,
  type AlertWindow,
  alertWindows,
  type Metric,
  metricNamespace,
  metrics,
} from '../azure/metrics.ts';
import { derivedNames } from '../azure/resource-names.ts';
import { reservedConnections } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import { keyVaultAlertRules, type MetricAlertRule, serverAlertRules } from './alert-rules.ts';

type Emitted = Pick<Metric, 'aggregations' | 'dimension' | 'minimumWindow'>;

/** Metrics that Azure emits, by namespace. Synthesis checks the rules against them. */
const catalogues: Readonly<Record<string, Readonly<Record<string, Emitted>>>> = {
  [metricNamespace]: metrics,
  [keyVaultMetricNamespace]: keyVaultMetrics,
};

export interface MetricAlertsProps {
  /** Azure resource id of the watched resource. */
  readonly targetResourceId: string;
  /** Name of the watched resource. Alerts are called `<targetName>-<rule id>`. */
  readonly targetName: string;
  /** Metric namespace: the type of the watched resource. */
  readonly namespace: string;
  /** Holds the alerts. Any group can. */
  readonly resourceGroupName: string;
  readonly rules: readonly MetricAlertRule[];
  readonly actionGroupId: string;
  /**
   * Whether the alerts are evaluated.
   * @default true
   */
  readonly enabled?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /** @default - after the watched resource and the action group only */
  readonly after?: readonly ITerraformDependable[];
}

/**
 * Metric alerts on one resource. Each resolves itself once the metric is back to normal (PSRule AZR-000491).
 *
 * Azure accepts a rule on an aggregation that the metric does not have, or on a window shorter than the interval between
 * the metric's samples. Such an alert never fires, so synthesis checks both and fails.
 */
export class MetricAlerts extends Construct {
  readonly resources: readonly ITerraformDependable[];
  /** Names of the alerts in Azure. */
  readonly names: readonly string[];

  constructor(scope: Construct, id: string, props: MetricAlertsProps) {
    super(scope, id);
    this.node.addValidation({
      validate: () => props.rules.flatMap((rule) => problemsOf(rule, props.namespace)),
    });
    const nameOf = (rule: MetricAlertRule) => derivedNames.alert(props.targetName, rule.id);
    this.names = props.rules.map(nameOf);
    this.resources = props.rules.map(
      (rule) =>
        new MonitorMetricAlert(this, rule.id, {
          name: nameOf(rule),
          description: rule.description,
          resourceGroupName: props.resourceGroupName,
          scopes: [props.targetResourceId],
          enabled: props.enabled ?? true,
          severity: rule.severity,
          windowSize: rule.window,
          frequency: rule.frequency,
          autoMitigate: true,
          criteria: [
            {
              metricNamespace: props.namespace,
              metricName: rule.metric,
              aggregation: rule.aggregation,
              operator: rule.operator,
              threshold: rule.threshold,
              ...(rule.splitBy && {
                dimension: [{ name: rule.splitBy, operator: 'Include', values: ['*'] }],
              }),
            },
          ],
          action: [{ actionGroupId: props.actionGroupId }],
          ...(props.tags ? { tags: props.tags } : {}),
          ...(props.after ? { dependsOn: [...props.after] } : {}),
        }),
    );
  }
}

export interface ServerAlertsProps extends Omit<MetricAlertsProps, 'namespace' | 'rules'> {
  /** Role in the replication. */
  readonly role: ServerRole;
  readonly burstable: boolean;
  /** `max_connections` in force on this server: the set value, or the SKU's default (decision 23). */
  readonly maxConnections: number;
  /**
   * Connections that PostgreSQL and Azure reserve.
   * @default 15 - Azure's
   */
  readonly reservedConnections?: number;
  /**
   * Whether another server replicates from this one.
   * @default false
   */
  readonly replicated?: boolean;
  /**
   * Whether parameter `metrics.collector_database_activity` is on.
   * @default false - no alert on a metric that is not emitted
   */
  readonly databaseActivity?: boolean;
  /**
   * `pgbouncer.default_pool_size`, if `pgbouncer.enabled` and `metrics.pgbouncer_diagnostics` are on.
   * @default - no pooler, no alert on it
   */
  readonly poolSize?: number;
}

/** Metric alerts of one Flexible Server. */
export class ServerAlerts extends MetricAlerts {
  constructor(scope: Construct, id: string, props: ServerAlertsProps) {
    super(scope, id, {
      ...props,
      namespace: metricNamespace,
      rules: serverAlertRules({
        role: props.role,
        replicated: props.replicated ?? false,
        burstable: props.burstable,
        maxConnections: props.maxConnections,
        reservedConnections: props.reservedConnections ?? reservedConnections,
        databaseActivity: props.databaseActivity ?? false,
        ...(props.poolSize === undefined ? {} : { poolSize: props.poolSize }),
      }),
    });
  }
}

export type KeyVaultAlertsProps = Omit<MetricAlertsProps, 'namespace' | 'rules'>;

/** Metric alerts of one Key Vault. */
export class KeyVaultAlerts extends MetricAlerts {
  constructor(scope: Construct, id: string, props: KeyVaultAlertsProps) {
    super(scope, id, { ...props, namespace: keyVaultMetricNamespace, rules: keyVaultAlertRules() });
  }
}

function problemsOf(rule: MetricAlertRule, namespace: string): string[] {
  const metric = catalogues[namespace]?.[rule.metric];
  if (metric === undefined) {
    return [`alert ${rule.id}: ${namespace} has no metric ${rule.metric}, so the alert could never fire`];
  }
  const problems: string[] = [];
  if (!metric.aggregations.includes(rule.aggregation)) {
    problems.push(
      `alert ${rule.id}: Azure does not keep aggregation ${rule.aggregation} of ${rule.metric}; it keeps ` +
        metric.aggregations.join(', '),
    );
  }
  if (rule.splitBy !== undefined && rule.splitBy !== metric.dimension) {
    problems.push(`alert ${rule.id}: ${rule.metric} has no dimension ${rule.splitBy}`);
  }
  if (shorter(rule.window, metric.minimumWindow)) {
    problems.push(
      `alert ${rule.id}: window ${rule.window} is shorter than the ${metric.minimumWindow} between values of ${rule.metric}`,
    );
  }
  if (shorter(rule.frequency, metric.minimumWindow)) {
    problems.push(
      `alert ${rule.id}: frequency ${rule.frequency} is shorter than the ${metric.minimumWindow} between values of ${rule.metric}`,
    );
  }
  if (shorter(rule.window, rule.frequency)) {
    problems.push(
      `alert ${rule.id}: frequency ${rule.frequency} leaves gaps between windows of ${rule.window}; evaluate at least once per window`,
    );
  }
  if (!Number.isFinite(rule.threshold) || rule.threshold < 0) {
    problems.push(`alert ${rule.id}: ${rule.threshold} is not a threshold that ${rule.metric} can cross`);
  }
  return problems;
}

function shorter(a: AlertWindow, b: AlertWindow | AlertFrequency): boolean {
  return alertWindows.indexOf(a) < alertWindows.indexOf(b);
}
