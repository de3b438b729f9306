/** Who sees what the servers and the vault do, and who is told. */
import type { ITerraformDependable } from 'cdktf';
import type { Construct } from 'constructs';
import { parseSku } from '../azure/skus.ts';
import type { ServerRole } from '../azure/vocabulary.ts';
import { ActionGroup } from '../constructs/action-group.ts';
import { ActivityAlerts } from '../constructs/activity-alerts.ts';
import { KeyVaultAlerts, ServerAlerts } from '../constructs/alerts.ts';
import { Diagnostics } from '../constructs/diagnostics.ts';
import type { IFlexibleServer } from '../constructs/flexible-server.ts';
import { AdoptedLogAnalytics, type ILogAnalytics, LogAnalytics } from '../constructs/log-analytics.ts';
import { maxConnections } from '../environments/connections.ts';
import { serverParameters } from '../environments/parameters.ts';
import type { EnvironmentSettings } from '../environments/settings.ts';
import type { Foundation } from './foundation.ts';
import type { Servers } from './servers.ts';
import type { Vault } from './vault.ts';

export interface Observability {
  readonly workspace: ILogAnalytics;
  readonly actionGroupId: string;
  /** Names of the alerts in Azure. */
  readonly metricAlerts: readonly string[];
  readonly activityAlerts: readonly string[];
  readonly resources: readonly ITerraformDependable[];
}

export function observability(
  scope: Construct,
  settings: EnvironmentSettings,
  base: Foundation,
  { primary, replica, last }: Servers,
  vault: Vault,
): Observability {
  const { tags, monitoring } = settings;
  const resourceGroupName = base.primary.resourceGroup.name;
  const workspace = logAnalytics(scope, settings, resourceGroupName);
  const actionGroup = new ActionGroup(scope, 'action_group', {
    ...monitoring.actionGroup,
    resourceGroupName,
    tags,
  });
  const common = { resourceGroupName, actionGroupId: actionGroup.id, enabled: monitoring.enabled, tags };

  const watched = (id: ServerRole, server: IFlexibleServer): Watched => {
    const diagnostics = new Diagnostics(scope, `${addressOf[id]}_diagnostics`, {
      name: 'log-analytics',
      targetResourceId: server.id,
      workspace,
      dedicatedTables: true,
      // A change on the server like those of the chain, though one of another resource provider.
      after: last,
    });
    const alerts = new ServerAlerts(scope, `${addressOf[id]}_alerts`, {
      ...common,
      targetResourceId: server.id,
      targetName: id === 'primary' ? settings.server.name : (settings.replica?.name ?? ''),
      role: id === settings.writer ? 'primary' : 'replica',
      replicated: replica !== undefined && id === settings.writer,
      ...capacity(settings, id),
    });
    return { resources: [diagnostics.resource, ...alerts.resources], alerts: alerts.names };
  };
  const watchedVault = (): Watched => {
    const diagnostics = new Diagnostics(scope, 'key_vault_diagnostics', {
      name: 'log-analytics',
      targetResourceId: vault.vault.id,
      workspace,
    });
    const alerts = new KeyVaultAlerts(scope, 'key_vault_alerts', {
      ...common,
      targetResourceId: vault.vault.id,
      targetName: vault.vault.name,
    });
    return { resources: [diagnostics.resource, ...alerts.resources], alerts: alerts.names };
  };
  const all = [
    watched('primary', primary),
    ...(replica ? [watched('replica', replica)] : []),
    ...(vault.created ? [watchedVault()] : []),
  ];
  const activity = new ActivityAlerts(scope, 'activity_alerts', {
    ...common,
    namePrefix: settings.server.name,
    serverIds: [primary.id, ...(replica ? [replica.id] : [])],
    vaultIds: vault.created ? [vault.vault.id] : [],
  });
  return {
    workspace,
    actionGroupId: actionGroup.id,
    metricAlerts: all.flatMap(({ alerts }) => alerts),
    activityAlerts: activity.names,
    resources: [...all.flatMap(({ resources }) => resources), ...activity.resources],
  };
}

interface Watched {
  readonly resources: readonly ITerraformDependable[];
  readonly alerts: readonly string[];
}

const addressOf = { primary: 'server', replica: 'replica' } as const;

function logAnalytics(
  scope: Construct,
  { logAnalytics: given, location, tags }: EnvironmentSettings,
  ownGroup: string,
): ILogAnalytics {
  const { name, retentionDays, dailyQuotaGb } = given;
  const resourceGroupName = given.resourceGroup ?? ownGroup;
  return given.existing
    ? new AdoptedLogAnalytics(scope, 'log_analytics', {
        name,
        resourceGroupName,
        minimumRetentionDays: retentionDays,
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

/** What thresholds are measured against: the values in force on that server, not a number that fitted another. */
function capacity(settings: EnvironmentSettings, role: ServerRole) {
  const sku = (role === 'replica' ? settings.replica?.sku : undefined) ?? settings.server.sku;
  const connections = maxConnections(settings, role);
  if (connections === undefined) {
    throw new Error(`${settings.name} has no SKU called ${sku}, which its settings' rules refuse`);
  }
  const parameters = new Map(serverParameters(settings, role).map(({ name, value }) => [name, value]));
  const pooled =
    parameters.get('pgbouncer.enabled') === 'true' &&
    parameters.get('metrics.pgbouncer_diagnostics') === 'on';
  return {
    maxConnections: connections,
    burstable: parseSku(sku)?.tier === 'Burstable',
    databaseActivity: parameters.get('metrics.collector_database_activity') === 'on',
    ...(pooled && { poolSize: Number(parameters.get('pgbouncer.default_pool_size')) }),
  };
}
