import { MonitorDiagnosticSetting } from '@cdktf/provider-azurerm/lib/monitor-diagnostic-setting/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import type { ILogAnalytics } from './log-analytics.ts';

/** A second place for logs and metrics. Azure takes a regional one only in the region of the watched resource. */
export interface Archive {
  /** Azure resource id. @default - none */
  readonly storageAccountId?: string | undefined;
  /** @default - none */
  readonly eventHub?:
    | {
        /** Azure resource id of a rule of the namespace. */
        readonly authorizationRuleId: string;
        /** @default - one hub per category, made by Azure */
        readonly name?: string | undefined;
      }
    | undefined;
}

export interface DiagnosticsProps {
  /** Unique on the watched resource. */
  readonly name: string;
  /** Azure resource id of the watched resource. */
  readonly targetResourceId: string;
  readonly workspace: ILogAnalytics;
  /** @default - the workspace only */
  readonly archive?: Archive | undefined;
  /**
   * Use one table per category (`PGSQLServerLogs`, ...) instead of the shared `AzureDiagnostics`. Only for resources that
   * can choose, like Flexible Servers: a Key Vault never reports the choice, and its plan would never be empty
   * (azure-rest-api-specs 22400).
   * @default false - the resource decides
   */
  readonly dedicatedTables?: boolean;
  /**
   * Send the resource's metrics beside its logs.
   * @default true
   */
  readonly metrics?: boolean;
  /** @default - after the watched resource and the workspace only */
  readonly after?: readonly ITerraformDependable[];
}

/**
 * Sends all logs and metrics of one resource to Log Analytics.
 *
 * The group `allLogs` selects the logs instead of single categories: only the group has PgBouncer's categories, the
 * server's tier and version decide which categories exist, and the group includes categories that Azure adds later.
 * PSRule AZR-000119, MCSB LT-3 (not compared).
 */
export class Diagnostics extends Construct {
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: DiagnosticsProps) {
    super(scope, id);
    this.resource = new MonitorDiagnosticSetting(this, 'Default', {
      name: props.name,
      targetResourceId: props.targetResourceId,
      logAnalyticsWorkspaceId: props.workspace.id,
      ...(props.archive && archived(props.archive)),
      ...(props.dedicatedTables ? { logAnalyticsDestinationType: 'Dedicated' } : {}),
      enabledLog: [{ categoryGroup: 'allLogs' }],
      ...((props.metrics ?? true) ? { enabledMetric: [{ category: 'AllMetrics' }] } : {}),
      ...(props.after ? { dependsOn: [...props.after] } : {}),
    });
  }
}

function archived({ storageAccountId, eventHub }: Archive) {
  return {
    ...(storageAccountId !== undefined && { storageAccountId }),
    ...(eventHub && {
      eventhubAuthorizationRuleId: eventHub.authorizationRuleId,
      ...(eventHub.name !== undefined && { eventhubName: eventHub.name }),
    }),
  };
}
