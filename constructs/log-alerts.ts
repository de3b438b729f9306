import { MonitorScheduledQueryRulesAlertV2 } from '@cdktf/provider-azurerm/lib/monitor-scheduled-query-rules-alert-v2/index.js';
import type { ITerraformDependable } from 'cdktf';
import { Construct } from 'constructs';
import { derivedNames } from '../azure/resource-names.ts';
import { kustoList, loginInLine } from '../azure/server-log.ts';

/** Commands about roles, grants and settings that the server keeps, as pgaudit names them. */
const commands = [
  'ALTER ROLE',
  'CREATE ROLE',
  'DROP ROLE',
  'GRANT ROLE',
  'REVOKE ROLE',
  'ALTER DATABASE',
  'ALTER DATABASE SET',
  'ALTER DEFAULT PRIVILEGES',
  'DROP OWNED',
  'REASSIGN OWNED',
] as const;

/** Class and command follow the counters of a line of pgaudit; the text of the statement comes after them. */
const lineOfCommand = `AUDIT: (SESSION|OBJECT),[0-9]+,[0-9]+,[A-Z]+,(${commands.join('|')}),`;

/** Azure's own superuser, as which nobody can log in. */
const azureLogin = 'azuresu';

export interface RoleChangeQueryProps {
  /** Names of the servers. */
  readonly servers: readonly string[];
  /** Logins that change roles during a deployment. */
  readonly administrators: readonly string[];
}

/**
 * The query of the alert in Kusto's language: one row per statement, with columns LogicalServerName and Login.
 *
 * It lists every login except those of the administrators, so that a login without a place in the settings is found too.
 * The regular expressions use only what RE2 and JavaScript share.
 * https://learn.microsoft.com/azure/azure-monitor/reference/tables/pgsqlserverlogs
 */
export function roleChangeQuery({ servers, administrators }: RoleChangeQueryProps): string {
  return [
    'PGSQLServerLogs',
    `| where LogicalServerName in~ (${kustoList(servers)})`,
    `| where Message matches regex ${JSON.stringify(lineOfCommand)}`,
    `| extend Login = extract(${JSON.stringify(loginInLine)}, 1, Message)`,
    `| where Login !in (${kustoList([...administrators, azureLogin])})`,
    '| project TimeGenerated, LogicalServerName, Login, Message',
  ].join('\n');
}

export interface LogAlertsProps extends RoleChangeQueryProps {
  /** Prefix of the alerts' names. */
  readonly namePrefix: string;
  /** Holds the alerts. Any group can. */
  readonly resourceGroupName: string;
  readonly location: string;
  /** Azure resource id of the workspace that has the logs. */
  readonly workspaceId: string;
  readonly actionGroupId: string;
  /**
   * Whether the alerts are evaluated.
   * @default true
   */
  readonly enabled?: boolean;
  /** @default - no tags */
  readonly tags?: Readonly<Record<string, string>>;
  /** @default - after the workspace and the action group only */
  readonly after?: readonly ITerraformDependable[];
}

/**
 * Alerts on lines of the server log.
 *
 * PostgreSQL lets every role change its own settings and its own password (docs/isolation.md). The log has the statement;
 * no metric and no entry of the activity log shows it.
 *
 * - Each evaluation reads a quarter of an hour, every five minutes: a line reaches the workspace minutes after its
 *   statement (https://learn.microsoft.com/azure/azure-monitor/logs/data-ingestion-time). The rule is stateful, so that
 *   the overlap sends one message.
 * - Each server and login is an alert of its own: one that is already open does not hide another.
 * - The query is not validated at creation: Azure creates the table with the first line of a log.
 */
export class LogAlerts extends Construct {
  readonly resources: readonly ITerraformDependable[];
  /** Names of the alerts in Azure, with their queries. */
  readonly alerts: readonly { readonly name: string; readonly query: string }[];

  constructor(scope: Construct, id: string, props: LogAlertsProps) {
    super(scope, id);
    const name = derivedNames.alert(props.namePrefix, 'role-changed');
    const query = roleChangeQuery(props);
    this.alerts = [{ name, query }];
    this.resources = [
      new MonitorScheduledQueryRulesAlertV2(this, 'role-changed', {
        name,
        description:
          'A login that is not an administrator changed a role, a grant of a role, or settings that the server keeps. It ' +
          'can stop all tenants at their next connection. Run `llama-db verify` (SET-011, SET-020, SET-026, ROL-013); the ' +
          'post-deploy step resets what differs. Message of the alert has the statement; find out who sent it.',
        resourceGroupName: props.resourceGroupName,
        location: props.location,
        scopes: [props.workspaceId],
        enabled: props.enabled ?? true,
        severity: 1,
        evaluationFrequency: 'PT5M',
        windowDuration: 'PT15M',
        autoMitigationEnabled: true,
        skipQueryValidation: true,
        criteria: [
          {
            query,
            timeAggregationMethod: 'Count',
            operator: 'GreaterThan',
            threshold: 0,
            dimension: ['LogicalServerName', 'Login'].map((column) => ({
              name: column,
              operator: 'Include',
              values: ['*'],
            })),
            // Azure's defaults, which a plan would otherwise see as a change.
            failingPeriods: { minimumFailingPeriodsToTriggerAlert: 1, numberOfEvaluationPeriods: 1 },
          },
        ],
        action: { actionGroups: [props.actionGroupId] },
        ...(props.tags ? { tags: props.tags } : {}),
        ...(props.after ? { dependsOn: [...props.after] } : {}),
      }),
    ];
  }
}
