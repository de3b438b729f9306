import { MonitorDiagnosticSetting } from '@cdktf/provider-azurerm/lib/monitor-diagnostic-setting/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { ILogAnalytics } from './log-analytics.ts';

export interface DiagnosticsProps {
  /** Unique on the watched resource. */
  readonly name: string;
  /** Azure resource id of what is watched. */
  readonly targetResourceId: string;
  readonly workspace: ILogAnalytics;
  /**
   * Ask for one table a category (`PGSQLServerLogs`, …) instead of the shared `AzureDiagnostics`. Only for resources
   * that can choose, as Flexible Servers: a Key Vault never reports the choice back, and the plan would never be
   * empty (azure-rest-api-specs 22400).
   * @default false - the resource decides
   */
  readonly dedicatedTables?: boolean;
  /**
   * Send the resource's metrics as well as its logs.
   * @default true
   */
  readonly metrics?: boolean;
  /** @default - after the watched resource and the workspace only */
  readonly after?: readonly ITerraformDependable[];
}

/**
 * Everything one resource logs and measures, sent to Log Analytics.
 *
 * Logs go by the group `allLogs`, not category by category: some categories (PgBouncer's) are only reachable through
 * the group, which ones exist depends on the server's tier and version, and a category that Azure adds next year is
 * kept from its first day. PSRule AZR-000119, MCSB LT-4.
 */
export class Diagnostics extends Construct {
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: DiagnosticsProps) {
    super(scope, id);
    this.resource = new MonitorDiagnosticSetting(this, 'Default', {
      name: props.name,
      targetResourceId: props.targetResourceId,
      logAnalyticsWorkspaceId: props.workspace.id,
      ...(props.dedicatedTables ? { logAnalyticsDestinationType: 'Dedicated' } : {}),
      enabledLog: [{ categoryGroup: 'allLogs' }],
      ...((props.metrics ?? true) ? { enabledMetric: [{ category: 'AllMetrics' }] } : {}),
      ...(props.after ? { dependsOn: [...props.after] } : {}),
    });
  }
}
