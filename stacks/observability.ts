/** Logs, metrics and alerts of the servers and the vault. */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { ActionGroup } from '../constructs/action-group.ts';
import { ActivityAlerts } from '../constructs/activity-alerts.ts';
import { KeyVaultAlerts, ServerAlerts } from '../constructs/alerts.ts';
import { Diagnostics } from '../constructs/diagnostics.ts';
import { LogAlerts } from '../constructs/log-alerts.ts';
import { AdoptedLogAnalytics, type ILogAnalytics, LogAnalytics } from '../constructs/log-analytics.ts';
import type { IFlexibleServer } from '../constructs/server.ts';
import type { ResolvedServer } from '../environments/resolved.ts';
import type { StackContext } from './context.ts';
import type { Servers } from './servers.ts';
import type { Vault } from './vault.ts';

export interface Observability {
  readonly workspace: ILogAnalytics;
  readonly actionGroupId: string;
  /** Names of the alerts in Azure. */
  readonly metricAlerts: readonly string[];
  readonly activityAlerts: readonly string[];
  readonly logAlerts: LogAlerts['alerts'];
  readonly resources: readonly ITerraformDependable[];
}

export function observability(
  scope: Construct,
  context: StackContext,
  { servers, vault }: { readonly servers: Servers; readonly vault: Vault },
): Observability {
  const { environment, foundation } = context;
  const { tags, monitoring } = environment;
  const { primary, replica, last } = servers;
  const resourceGroupName = foundation.primary.resourceGroup.name;
  const workspace = logAnalytics(scope, context);
  const actionGroup = new ActionGroup(scope, 'action_group', {
    ...monitoring.actionGroup,
    resourceGroupName,
    tags,
  });
  const common = { resourceGroupName, actionGroupId: actionGroup.id, enabled: monitoring.enabled, tags };

  const watchedServer = (id: string, server: ResolvedServer, built: IFlexibleServer): Watched => {
    const diagnostics = new Diagnostics(scope, `${id}_diagnostics`, {
      name: 'log-analytics',
      targetResourceId: built.id,
      workspace,
      archive: server.archive,
      dedicatedTables: true,
      // Diagnostic settings occupy the server as well, so they come after the chain.
      after: last,
    });
    const alerts = new ServerAlerts(scope, `${id}_alerts`, {
      ...common,
      targetResourceId: built.id,
      targetName: server.name,
      role: server.replicationRole,
      replicated: replica !== undefined && server.acceptsWrites,
      ...capacity(server),
    });
    return { resources: [diagnostics.resource, ...alerts.resources], alerts: alerts.names };
  };
  const watchedVault = (): Watched => {
    const diagnostics = new Diagnostics(scope, 'key_vault_diagnostics', {
      name: 'log-analytics',
      targetResourceId: vault.vault.id,
      workspace,
      archive: monitoring.archive,
    });
    const alerts = new KeyVaultAlerts(scope, 'key_vault_alerts', {
      ...common,
      targetResourceId: vault.vault.id,
      targetName: vault.vault.name,
    });
    return { resources: [diagnostics.resource, ...alerts.resources], alerts: alerts.names };
  };
  const all = [
    watchedServer('server', environment.servers.primary, primary),
    ...(environment.servers.replica && replica
      ? [watchedServer('replica', environment.servers.replica, replica)]
      : []),
    ...(vault.created ? [watchedVault()] : []),
  ];
  const activity = new ActivityAlerts(scope, 'activity_alerts', {
    ...common,
    namePrefix: environment.servers.primary.name,
    serverIds: [primary.id, ...(replica ? [replica.id] : [])],
    vaultIds: vault.created ? [vault.vault.id] : [],
  });
  const { passwordLogin } = environment.authentication;
  const logAlerts = recordsRoleChanges(environment.servers.primary)
    ? [
        new LogAlerts(scope, 'log_alerts', {
          ...common,
          namePrefix: environment.servers.primary.name,
          location: environment.location,
          workspaceId: workspace.id,
          servers: Object.values(environment.servers).map(({ name }) => name),
          administrators: [
            ...environment.authentication.administrators.map(({ name }) => name),
            ...(passwordLogin ? [passwordLogin.login] : []),
          ],
        }),
      ]
    : [];
  return {
    workspace,
    actionGroupId: actionGroup.id,
    metricAlerts: all.flatMap(({ alerts }) => alerts),
    activityAlerts: activity.names,
    logAlerts: logAlerts.flatMap(({ alerts }) => alerts),
    resources: [...all, activity, ...logAlerts].flatMap(({ resources }) => resources),
  };
}

interface Watched {
  readonly resources: readonly ITerraformDependable[];
  readonly alerts: readonly string[];
}

function logAnalytics(scope: Construct, { environment, foundation }: StackContext): ILogAnalytics {
  const { logAnalytics: given, location, tags } = environment;
  const { name, retentionDays, dailyQuotaGb } = given;
  const resourceGroupName = given.resourceGroup ?? foundation.primary.resourceGroup.name;
  return given.existing
    ? new AdoptedLogAnalytics(scope, 'log_analytics', {
        name,
        resourceGroupName,
        minimumRetentionDays: retentionDays,
        subscriptionId: given.subscriptionId,
      })
    : new LogAnalytics(scope, 'log_analytics', {
        name,
        resourceGroupName,
        location,
        retentionDays,
        ...(dailyQuotaGb !== undefined && { dailyQuotaGb }),
        tags,
      });
}

/** Whether pgaudit writes the lines that the alert on roles reads. */
function recordsRoleChanges({ parameters }: ResolvedServer): boolean {
  const classes = (parameters.get('pgaudit.log') ?? '').split(',');
  return ['role', 'ddl'].every((needed) => classes.includes(needed));
}

/** The values in force on the server, which thresholds are measured against. */
function capacity({ maxConnections, sku, parameters }: ResolvedServer) {
  const pooled =
    parameters.get('pgbouncer.enabled') === 'true' &&
    parameters.get('metrics.pgbouncer_diagnostics') === 'on';
  return {
    maxConnections,
    burstable: sku.tier === 'Burstable',
    databaseActivity: parameters.get('metrics.collector_database_activity') === 'on',
    ...(pooled && { poolSize: Number(parameters.get('pgbouncer.default_pool_size')) }),
  };
}
