import { DataAzurermLogAnalyticsWorkspace } from '@cdktf/provider-azurerm/lib/data-azurerm-log-analytics-workspace/index.js';
import { LogAnalyticsWorkspace } from '@cdktf/provider-azurerm/lib/log-analytics-workspace/index.js';
import { Construct } from 'constructs';
import { resourceIdOf } from '../azure/resource-id.ts';
import { expression } from './expression.ts';

const type = 'Microsoft.OperationalInsights/workspaces';

/** A workspace that diagnostic settings send to, created here or adopted. */
export interface ILogAnalytics {
  /** Azure resource id. */
  readonly id: string;
}

export interface LogAnalyticsProps {
  /** 4-63 characters (PSRule AZR-000486). */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** Days, 30 to 730. */
  readonly retentionDays: number;
  /**
   * Ingestion cap in GB per day. Above it, the logs of the rest of the day are lost, audit records included.
   * @default - no cap
   */
  readonly dailyQuotaGb?: number;
  /**
   * Answer queries from the internet (with Entra sign-in and roles).
   * @default true - otherwise the logs are readable only through a monitor private link scope
   */
  readonly internetQuery?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * The workspace that holds the audit and performance logs.
 *
 * It accepts no shared key (`local_authentication_enabled = false`): reading and writing need an Entra identity. It accepts
 * no ingestion over the internet, which would let outsiders add records. Diagnostic settings use Azure's own channel
 * and are not affected.
 * https://learn.microsoft.com/azure/azure-monitor/logs/private-link-security
 */
export class LogAnalytics extends Construct implements ILogAnalytics {
  readonly id: string;

  constructor(scope: Construct, id: string, props: LogAnalyticsProps) {
    super(scope, id);
    const workspace = new LogAnalyticsWorkspace(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      location: props.location,
      sku: 'PerGB2018',
      retentionInDays: props.retentionDays,
      localAuthenticationEnabled: false,
      internetIngestionEnabled: false,
      internetQueryEnabled: props.internetQuery ?? true,
      ...(props.dailyQuotaGb === undefined ? {} : { dailyQuotaGb: props.dailyQuotaGb }),
      ...(props.tags ? { tags: props.tags } : {}),
    });
    this.id = workspace.id;
  }
}

export interface AdoptedLogAnalyticsProps {
  readonly name: string;
  readonly resourceGroupName: string;
  /**
   * Days that the environment needs. The plan fails if the workspace keeps logs for less.
   * @default - no minimum
   */
  readonly minimumRetentionDays?: number;
  /** Of a workspace that is then not read. @default - the subscription of the deployment */
  readonly subscriptionId?: string | undefined;
}

/**
 * A workspace that exists already and is only referred to. Its local authentication must be off, because azurerm writes
 * its shared keys into the state; check AZU-037 looks at that.
 */
export class AdoptedLogAnalytics extends Construct implements ILogAnalytics {
  readonly id: string;

  constructor(scope: Construct, id: string, props: AdoptedLogAnalyticsProps) {
    super(scope, id);
    if (props.subscriptionId) {
      const { subscriptionId, resourceGroupName, name } = props;
      this.id = resourceIdOf(subscriptionId, resourceGroupName, type, name);
      return;
    }
    const days = props.minimumRetentionDays;
    const workspace = new DataAzurermLogAnalyticsWorkspace(this, 'Default', {
      name: props.name,
      resourceGroupName: props.resourceGroupName,
      ...(days === undefined
        ? {}
        : {
            lifecycle: {
              postcondition: [
                {
                  condition: expression(`self.retention_in_days >= ${days}`),
                  errorMessage:
                    `Log Analytics workspace ${props.name} in ${props.resourceGroupName} keeps logs for fewer than the ` +
                    `${days} days that this environment needs. Raise its retention, or lower logAnalytics.retentionDays.`,
                },
              ],
            },
          }),
    });
    this.id = workspace.id;
  }
}
