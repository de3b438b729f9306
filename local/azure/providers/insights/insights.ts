/** Microsoft.Insights: diagnostic settings, action groups, alerts. */
import { metricNamespace, metrics } from '../../../../azure/metrics.ts';
import { parentOf, sameId, typeOf } from '../../../../azure/resource-id.ts';
import type { ResourceTypeName } from '../../../../azure/resource-types.ts';
import { type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isSameRegion } from '../../core/locations.ts';
import { registerList, registerResourceType } from '../../core/resource-types.ts';
import { monitoring } from '../../refusals/monitoring.ts';
import { vaultType } from '../key-vault/control.ts';
import { serverType, skuOf } from '../postgresql/server.ts';
import { registerLogAlerts } from './log-alerts.ts';
import { registerMetrics } from './metrics.ts';

const diagnosticType = 'Microsoft.Insights/diagnosticSettings';

/** https://learn.microsoft.com/azure/azure-monitor/reference/logs-index and each type's page of log categories */
const logCategories: Readonly<Record<string, readonly string[]>> = {
  [serverType.toLowerCase()]: [
    'PostgreSQLLogs',
    'PostgreSQLFlexSessions',
    'PostgreSQLFlexQueryStoreRuntime',
    'PostgreSQLFlexQueryStoreWaitStats',
    'PostgreSQLFlexTableStats',
    'PostgreSQLFlexDatabaseXacts',
    'PostgreSQLFlexPGBouncer',
  ],
  [vaultType.toLowerCase()]: ['AuditEvent', 'AzurePolicyEvaluationDetails'],
  'microsoft.network/networksecuritygroups': ['NetworkSecurityGroupEvent', 'NetworkSecurityGroupRuleCounter'],
  'microsoft.network/virtualnetworks': ['VMProtectionAlerts'],
  'microsoft.operationalinsights/workspaces': ['Audit', 'SummaryLogs', 'Jobs'],
  'microsoft.app/managedenvironments': [
    'ContainerAppConsoleLogs',
    'ContainerAppSystemLogs',
    'AppEnvSpringAppConsoleLogs',
    'AppEnvSessionConsoleLogs',
    'AppEnvSessionPoolEventLogs',
    'AppEnvSessionLifeCycleLogs',
    'ContainerAppHTTPLogs',
  ],
  'microsoft.dataprotection/backupvaults': [
    'CoreAzureBackup',
    'AddonAzureBackupJobs',
    'AddonAzureBackupPolicy',
    'AddonAzureBackupProtectedInstance',
    'AzureBackupOperations',
  ],
};

export function registerInsights(azure: Azure): void {
  registerDiagnostics(azure);
  registerActionGroups(azure);
  registerAlerts(azure);
  registerLists(azure, 'Microsoft.Insights/scheduledQueryRules');
  registerLogAlerts(azure, {
    scopes: (sent, alert) => requireScopes(azure, sent, alert),
    actionGroups: (groups, alert) => requireActionGroups(azure, groups, alert),
  });
  registerMetrics(azure);
}

function registerDiagnostics(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: diagnosticType,
    scope: 'anywhere',
    change: 'immediate',
    createdStatus: 200,
    accept: (sent, { id, name }) => {
      const target = parentOf(id);
      const properties = objectAt(sent, 'properties');
      const known = logCategories[typeOf(target).toLowerCase()];
      if (!known) throw monitoring.diagnosticsNotSupported(typeOf(target));
      for (const category of objectsAt(properties, 'logs').map((log) => textAt(log, 'category')))
        if (category !== undefined && !known.includes(category))
          throw monitoring.categoryNotSupported(category);
      const workspace = textAt(properties, 'workspaceId');
      if (workspace !== undefined && !store.get(workspace)) throw monitoring.workspaceNotFound(workspace);
      refuseArchive(azure, textAt(properties, 'storageAccountId'), target);
      for (const other of store.children(target, diagnosticType)) {
        if (sameId(other.id, id) || textAt(other.body, 'properties', 'workspaceId') !== workspace) continue;
        const taken = new Set(
          objectsAt(other.body, 'properties', 'logs').map((log) => textAt(log, 'category')),
        );
        const twice = objectsAt(properties, 'logs').find((log) => taken.has(textAt(log, 'category')));
        if (twice)
          throw monitoring.sinkAlreadyUsed(
            workspace ?? '',
            other.name,
            textAt(twice, 'category') ?? '',
            name,
          );
      }
      // The answer for a vault never contains the type of the destination table (azure-rest-api-specs issue 22400).
      const { logAnalyticsDestinationType: _type, ...withoutType } = properties;
      return {
        properties: typeOf(target).toLowerCase() === vaultType.toLowerCase() ? withoutType : properties,
      };
    },
  });
  registerList(azure, diagnosticType, {
    template: '/{scope*}/providers/Microsoft.Insights/diagnosticSettings',
  });
}

function registerActionGroups(azure: Azure): void {
  registerResourceType(azure, {
    type: 'Microsoft.Insights/actionGroups',
    change: 'immediate',
    patch: true,
    accept: (sent, { name }) => {
      const properties = objectAt(sent, 'properties');
      refuseReceivers(properties, name);
      // People subscribe: those who get e-mail or text messages can end it, and are then Disabled.
      const subscribed = (kind: string) =>
        objectsAt(properties, kind).map((one) => ({ ...one, status: 'Enabled' }));
      return {
        ...sent,
        properties: {
          ...properties,
          emailReceivers: subscribed('emailReceivers'),
          smsReceivers: subscribed('smsReceivers'),
        },
      };
    },
  });
}

function refuseReceivers(properties: JsonObject, group: string): void {
  const names = new Set<string>();
  for (const kind of Object.keys(properties).filter((one) => one.endsWith('Receivers')))
    for (const one of objectsAt(properties, kind)) {
      const name = textAt(one, 'name') ?? '';
      if (names.has(name.toLowerCase())) throw monitoring.receiverNamedTwice(name, group);
      names.add(name.toLowerCase());
      const uri = textAt(one, 'serviceUri');
      if (uri !== undefined && !URL.canParse(uri)) throw monitoring.webhookNotValid(uri, name);
    }
}

function refuseArchive({ store }: Azure, account: string | undefined, target: string): void {
  if (account === undefined) return;
  const found = store.get(account);
  if (!found) throw monitoring.archiveNotFound(account);
  if (!isSameRegion(found.body, store.get(target)?.body))
    throw monitoring.archiveInAnotherRegion(account, textAt(found.body, 'location') ?? '');
}

function registerAlerts(azure: Azure): void {
  registerLists(azure, 'Microsoft.Insights/actionGroups');
  registerLists(azure, 'Microsoft.Insights/metricAlerts');
  registerLists(azure, 'Microsoft.Insights/activityLogAlerts');
  registerResourceType(azure, {
    type: 'Microsoft.Insights/metricAlerts',
    change: 'immediate',
    createdStatus: 200,
    patch: true,
    accept: (sent, { name }) => {
      requireScopes(azure, sent, name);
      requireActionGroups(azure, textsOf(objectsAt(sent, 'properties', 'actions'), 'actionGroupId'), name);
      for (const criterion of objectsAt(sent, 'properties', 'criteria', 'allOf'))
        refuseMetric(azure, sent, criterion, name);
      return { ...sent, properties: { ...objectAt(sent, 'properties'), isMigrated: false } };
    },
  });
  registerResourceType(azure, {
    type: 'Microsoft.Insights/activityLogAlerts',
    change: 'immediate',
    patch: true,
    accept: (sent, { name }) => {
      requireScopes(azure, sent, name);
      requireActionGroups(
        azure,
        textsOf(objectsAt(sent, 'properties', 'actions', 'actionGroups'), 'actionGroupId'),
        name,
      );
      return sent;
    },
  });
}

/** Lists in a group and in the subscription. */
function registerLists(azure: Azure, type: ResourceTypeName): void {
  for (const scope of ['/subscriptions/{s}/resourceGroups/{g}', '/subscriptions/{s}'])
    registerList(azure, type, { template: `${scope}/providers/${type}` });
}

function textsOf(objects: readonly JsonObject[], key: string): string[] {
  return objects.flatMap((one) => textAt(one, key) ?? []);
}

function requireScopes(azure: Azure, sent: JsonObject, alert: string): void {
  for (const scope of textsAt(sent, 'properties', 'scopes'))
    if (!/^\/subscriptions\/[^/]+\/?$/i.test(scope) && !azure.store.get(scope))
      throw monitoring.alertScopeNotFound(scope, alert);
}

function requireActionGroups(azure: Azure, groups: readonly string[], alert: string): void {
  for (const group of groups) if (!azure.store.get(group)) throw monitoring.actionGroupNotFound(group, alert);
}

/** https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics */
function refuseMetric(azure: Azure, alert: JsonObject, criterion: JsonObject, name: string): void {
  if (textAt(criterion, 'metricNamespace') !== metricNamespace) return;
  const metric = textAt(criterion, 'metricName') ?? '';
  const known = Object.entries(metrics).find(([one]) => one === metric)?.[1];
  const aggregation = textAt(criterion, 'timeAggregation');
  if (!known) throw monitoring.metricNotFound(metric, name);
  if (!known.aggregations.some((one) => one === aggregation))
    throw monitoring.aggregationNotSupported(aggregation ?? '', metric, name, known.aggregations.join(', '));
  const servers = textsAt(alert, 'properties', 'scopes').map((scope) => azure.store.get(scope));
  if (
    known.requires === 'burstable' &&
    servers.some((server) => server && skuOf(server.body)?.tier !== 'Burstable')
  )
    throw monitoring.metricOfBurstable(metric, name);
}
