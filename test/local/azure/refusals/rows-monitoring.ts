import { metricNamespace } from '../../../../azure/metrics.ts';
import type { AzureFixture } from '../../../support/azure-fixture.ts';
import { put, type RefusedRows, remove } from './rows.ts';

const workspace = 'Microsoft.OperationalInsights/workspaces/logs-of-llama';
const backups = 'Microsoft.DataProtection/backupVaults/backups';

function diagnostics(local: AzureFixture, target: string, name: string, properties: object) {
  return local.client.done('PUT', `${target}/providers/Microsoft.Insights/diagnosticSettings/${name}`, {
    properties,
  });
}

function alert(local: AzureFixture, criterion: object, more: object = {}) {
  return put(local, 'Microsoft.Insights/metricAlerts/one', {
    location: 'global',
    properties: {
      scopes: [local.server('main')],
      criteria: { allOf: [{ metricNamespace, ...criterion }] },
      ...more,
    },
  });
}

function logAlert(local: AzureFixture, times: object) {
  return put(local, 'Microsoft.Insights/scheduledQueryRules/one', {
    kind: 'LogAlert',
    properties: {
      scopes: [local.group.replace(/\/resourceGroups.*/, '')],
      evaluationFrequency: 'PT15M',
      windowSize: 'PT15M',
      ...times,
    },
  });
}

function receivers(local: AzureFixture, properties: object) {
  return put(local, 'Microsoft.Insights/actionGroups/one', { location: 'global', properties });
}

async function metrics(local: AzureFixture, query: Readonly<Record<string, string>>) {
  await local.create('main');
  const version = new URLSearchParams({ 'api-version': '2024-02-01', ...query });
  return local.client.call('GET', `${local.server('main')}/providers/Microsoft.Insights/metrics?${version}`, {
    headers: await local.client.authorization('https://management.azure.com'),
  });
}

/** A backup instance of a data source, with a policy. */
function instance(local: AzureFixture, source: string, policy: string) {
  return put(local, `${backups}/backupInstances/weekly`, {
    location: undefined,
    properties: {
      objectType: 'BackupInstance',
      dataSourceInfo: { resourceID: source },
      policyInfo: { policyId: local.resource(`${backups}/backupPolicies/${policy}`) },
    },
  });
}

export const monitoringRows: RefusedRows = {
  'Monitoring and cost: diagnosticsNotSupported': (local) => diagnostics(local, local.group, 'one', {}),
  'Monitoring and cost: categoryNotSupported': async (local) => {
    await local.create('main');
    return diagnostics(local, local.server('main'), 'one', { logs: [{ category: 'AuditEvent' }] });
  },
  'Monitoring and cost: workspaceNotFound': async (local) => {
    await local.create('main');
    return diagnostics(local, local.server('main'), 'one', { workspaceId: local.resource(workspace) });
  },
  'Monitoring and cost: sinkAlreadyUsed': async (local) => {
    await local.create('main');
    await put(local, workspace, { properties: {} });
    const setting = {
      workspaceId: local.resource(workspace),
      logs: [{ category: 'PostgreSQLLogs', enabled: true }],
    };
    await diagnostics(local, local.server('main'), 'one', setting);
    return diagnostics(local, local.server('main'), 'two', setting);
  },
  'Monitoring and cost: archiveNotFound': async (local) => {
    await local.create('main');
    const storageAccountId = local.resource('Microsoft.Storage/storageAccounts/absent');
    return diagnostics(local, local.server('main'), 'one', { storageAccountId });
  },
  'Monitoring and cost: archiveInAnotherRegion': async (local) => {
    await local.create('main');
    const storageAccountId = local.resource('Microsoft.Storage/storageAccounts/elsewhere');
    local.azure.state.put(storageAccountId, { location: 'westeurope', properties: {} });
    return diagnostics(local, local.server('main'), 'one', { storageAccountId });
  },
  'Monitoring and cost: receiverNamedTwice': (local) =>
    receivers(local, {
      emailReceivers: [{ name: 'team', emailAddress: 'team@example.com' }],
      webhookReceivers: [{ name: 'Team', serviceUri: 'https://example.com' }],
    }),
  'Monitoring and cost: webhookNotValid': (local) =>
    receivers(local, { webhookReceivers: [{ name: 'team', serviceUri: 'no address' }] }),
  'Monitoring and cost: alertScopeNotFound': (local) => alert(local, { metricName: 'cpu_percent' }),
  'Monitoring and cost: actionGroupNotFound': async (local) => {
    await local.create('main');
    const actionGroupId = local.resource('Microsoft.Insights/actionGroups/absent');
    return alert(local, { metricName: 'cpu_percent' }, { actions: [{ actionGroupId }] });
  },
  'Monitoring and cost: logWindowTooShort': (local) => logAlert(local, { windowSize: 'PT5M' }),
  'Monitoring and cost: logMutedAndResolved': (local) =>
    logAlert(local, { autoMitigate: true, muteActionsDuration: 'PT1H' }),
  'Monitoring and cost: logMutedTooShortly': (local) => logAlert(local, { muteActionsDuration: 'PT5M' }),
  'Monitoring and cost: metricNotFound': async (local) => {
    await local.create('main');
    return alert(local, { metricName: 'io_consumption_percent', timeAggregation: 'Average' });
  },
  'Monitoring and cost: aggregationNotSupported': async (local) => {
    await local.create('main');
    return alert(local, { metricName: 'cpu_percent', timeAggregation: 'Count' });
  },
  'Monitoring and cost: metricOfBurstable': async (local) => {
    await local.create('main');
    return alert(local, { metricName: 'cpu_credits_remaining', timeAggregation: 'Average' });
  },
  'Monitoring and cost: metricConfigurationNotFound': (local) =>
    metrics(local, { metricnames: 'io_consumption_percent' }),
  'Monitoring and cost: readAggregationNotSupported': (local) =>
    metrics(local, { metricnames: 'cpu_percent', aggregation: 'Count' }),
  'Monitoring and cost: workspaceNameNotValid': (local) =>
    put(local, 'Microsoft.OperationalInsights/workspaces/-logs', { properties: {} }),
  'Monitoring and cost: budgetStartNotFirstOfMonth': (local) =>
    local.client.done('PUT', `${local.group}/providers/Microsoft.Consumption/budgets/one`, {
      properties: { timePeriod: { startDate: '2026-12-15T00:00:00Z' } },
    }),
  'Monitoring and cost: budgetStartOutOfRange': (local) =>
    local.client.done('PUT', `${local.group}/providers/Microsoft.Consumption/budgets/one`, {
      properties: { timePeriod: { startDate: '2024-12-01T00:00:00Z' } },
    }),
  'Long-term backup: redundancyNotOffered': (local) =>
    put(local, backups, {
      location: 'polandcentral',
      properties: { storageSettings: [{ datastoreType: 'VaultStore', type: 'GeoRedundant' }] },
    }),
  'Long-term backup: dataSourceNotFound': async (local) => {
    await put(local, backups, { properties: {} });
    return instance(local, local.server('absent'), 'weekly');
  },
  'Long-term backup: vaultInAnotherRegion': async (local) => {
    await local.create('main', { location: 'westus2' });
    await put(local, backups, { properties: {} });
    return instance(local, local.server('main'), 'weekly');
  },
  'Long-term backup: policyNotFound': async (local) => {
    await local.create('main');
    await put(local, backups, { properties: {} });
    return instance(local, local.server('main'), 'absent');
  },
  'Long-term backup: policyInUse': async (local) => {
    await put(local, backups, { properties: {} });
    local.azure.state.put(local.resource(`${backups}/backupPolicies/weekly`), { properties: {} });
    local.azure.state.put(local.resource(`${backups}/backupInstances/weekly`), {
      properties: { policyInfo: { policyId: local.resource(`${backups}/backupPolicies/weekly`) } },
    });
    return remove(local, `${backups}/backupPolicies/weekly`);
  },
  'Long-term backup: vaultProtectsInstances': async (local) => {
    await put(local, backups, { properties: {} });
    local.azure.state.put(local.resource(`${backups}/backupInstances/weekly`), { properties: {} });
    return remove(local, backups);
  },
};
