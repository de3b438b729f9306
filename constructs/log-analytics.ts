import { DataAzurermLogAnalyticsWorkspace } from '@cdktf/provider-azurerm/lib/data-azurerm-log-analytics-workspace/index.js';
import { LogAnalyticsWorkspace } from '@cdktf/provider-azurerm/lib/log-analytics-workspace/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';

/** A workspace that diagnostic settings send to, whether created here or adopted. */
export interface ILogAnalytics {
  /** Azure resource id. */
  readonly id: string;
  readonly resource: ITerraformDependable;
}

export interface LogAnalyticsProps {
  /** 4-63 characters (PSRule AZR-000486). */
  readonly name: string;
  readonly resourceGroupName: string;
  readonly location: string;
  /** Days, 30-730. */
  readonly retentionDays: number;
  /**
   * Ingestion cap in GB a day. Past it, logs of the rest of the day are lost, audit records included.
   * @default - no cap
   */
  readonly dailyQuotaGb?: number;
  /**
   * Answer queries that come over the internet (with Entra sign-in and roles).
   * @default true - without a monitor private link scope nobody could read the logs otherwise
   */
  readonly internetQuery?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
}

/**
 * The workspace that holds the audit and performance logs.
 *
 * No shared key (`local_authentication_enabled = false`): whoever writes or reads does it with an Entra identity.
 * No ingestion over the internet: diagnostic settings use Azure's own channel and are not affected, so what it
 * closes is only a way for strangers to add records.
 * https://learn.microsoft.com/azure/azure-monitor/logs/private-link-security
 */
export class LogAnalytics extends Construct implements ILogAnalytics {
  readonly id: string;
  readonly resource: ITerraformDependable;

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
    this.resource = workspace;
  }
}

export interface AdoptedLogAnalyticsProps {
  readonly name: string;
  readonly resourceGroupName: string;
  /**
   * Days the environment's rules ask for; the plan fails when the workspace keeps logs for less.
   * @default - whatever the workspace keeps
   */
  readonly minimumRetentionDays?: number;
}

/** A workspace that exists already and is only referred to. */
export class AdoptedLogAnalytics extends Construct implements ILogAnalytics {
  readonly id: string;
  readonly resource: ITerraformDependable;

  constructor(scope: Construct, id: string, props: AdoptedLogAnalyticsProps) {
    super(scope, id);
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
                  condition: `\${self.retention_in_days >= ${days}}`,
                  errorMessage:
                    `Log Analytics workspace ${props.name} in ${props.resourceGroupName} keeps logs for fewer than the ` +
                    `${days} days this environment asks for. Raise its retention, or lower logAnalytics.retentionDays.`,
                },
              ],
            },
          }),
    });
    this.id = workspace.id;
    this.resource = workspace;
  }
}
