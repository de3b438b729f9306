/** Refusals of Microsoft.Insights, Microsoft.OperationalInsights and Microsoft.Consumption. */
import { defineRefusals, learn } from '../core/refusal.ts';

const diagnostics = `${learn}/azure-monitor/platform/diagnostic-settings`;
const logAlerts = 'https://learn.microsoft.com/rest/api/monitor/scheduled-query-rules/create-or-update';
const metrics = `${learn}/azure-monitor/reference/supported-metrics/microsoft-dbforpostgresql-flexibleservers-metrics`;

export const monitoring = defineRefusals('Monitoring and cost', {
  diagnosticsNotSupported: {
    status: 400,
    code: 'ResourceTypeNotSupported',
    rule: 'The resource type has diagnostic settings',
    source: diagnostics,
    message: (type: string) => `The resource type '${type}' does not support diagnostic settings.`,
  },
  categoryNotSupported: {
    status: 400,
    code: 'BadRequest',
    rule: 'The resource type has the log category',
    source: `${learn}/azure-monitor/reference/logs-index`,
    message: (category: string) => `Category '${category}' is not supported.`,
  },
  workspaceNotFound: {
    status: 404,
    code: 'ResourceNotFound',
    rule: 'The workspace of a diagnostic setting exists',
    source: diagnostics,
    message: (id: string) => `The workspace '${id}' could not be found.`,
  },
  archiveNotFound: {
    status: 404,
    code: 'ResourceNotFound',
    rule: 'The storage account of a diagnostic setting exists',
    source: diagnostics,
    message: (id: string) => `The Resource '${id}' was not found.`,
  },
  archiveInAnotherRegion: {
    status: 400,
    code: 'BadRequest',
    rule: 'The storage account of a diagnostic setting is in the region of the watched resource',
    source: diagnostics,
    message: (id: string, region: string) =>
      `Resource '${id}' is in region '${region}', which is not the region of the monitored resource.`,
  },
  receiverNamedTwice: {
    status: 400,
    code: 'BadRequest',
    rule: 'A receiver has a name of its own in its action group',
    source: `${learn}/azure-monitor/alerts/action-groups`,
    message: (name: string, group: string) =>
      `Receiver names must be unique within an action group: '${name}' is used twice in '${group}'.`,
  },
  webhookNotValid: {
    status: 400,
    code: 'BadRequest',
    rule: 'The address of a webhook is a URL',
    source: 'https://learn.microsoft.com/rest/api/monitor/action-groups/create-or-update',
    message: (uri: string, name: string) => `The service URI '${uri}' of receiver '${name}' is not valid.`,
  },
  sinkAlreadyUsed: {
    status: 409,
    code: 'Conflict',
    rule: 'A category goes to a workspace by one setting',
    source: diagnostics,
    message: (workspace: string, other: string, category: string, name: string) =>
      `Data sink '${workspace}' is already used in diagnostic setting '${other}' for category '${category}' (setting '${name}').`,
  },
  alertScopeNotFound: {
    status: 400,
    code: 'ResourceNotFound',
    rule: 'The scope of an alert exists',
    source: 'https://learn.microsoft.com/rest/api/monitor/metric-alerts/create-or-update',
    message: (scope: string, alert: string) => `The scope '${scope}' of alert '${alert}' does not exist.`,
  },
  actionGroupNotFound: {
    status: 400,
    code: 'ActionGroupNotFound',
    rule: 'The action group of an alert exists',
    source: `${learn}/azure-monitor/alerts/action-groups`,
    message: (group: string, alert: string) =>
      `The action group '${group}' of alert '${alert}' does not exist.`,
  },
  logWindowTooShort: {
    status: 400,
    code: 'BadRequest',
    rule: 'The window of a log alert is at least its frequency',
    source: logAlerts,
    message: (window: string, frequency: string, alert: string) =>
      `WindowSize ${window} cannot be smaller than EvaluationFrequency ${frequency} (alert '${alert}').`,
  },
  logMutedAndResolved: {
    status: 400,
    code: 'BadRequest',
    rule: 'A log alert that resolves itself mutes no actions',
    source: 'https://github.com/Azure/azure-powershell/issues/22583',
    message: (alert: string) =>
      `Auto mitigation must be disabled when action suppression is set (alert '${alert}').`,
  },
  logMutedTooShortly: {
    status: 400,
    code: 'InvalidRequestContent',
    rule: 'A log alert mutes its actions for at least its frequency',
    source: 'https://github.com/Azure/azure-cli/issues/26581',
    message: (muted: string, frequency: string, alert: string) =>
      `EvaluationFrequency cannot be greater than MuteActionsDuration (${frequency}, ${muted}; alert '${alert}').`,
  },
  metricNotFound: {
    status: 400,
    code: 'BadRequest',
    rule: 'The metric of an alert exists',
    source: metrics,
    message: (metric: string, alert: string) => `Couldn't find a metric named ${metric} (alert '${alert}').`,
  },
  aggregationNotSupported: {
    status: 400,
    code: 'BadRequest',
    rule: 'The metric of an alert has the aggregation',
    source: metrics,
    message: (aggregation: string, metric: string, alert: string, supported: string) =>
      `Time aggregation ${aggregation} is not supported for metric ${metric} (alert '${alert}'): supported are ${supported}.`,
  },
  metricOfBurstable: {
    status: 400,
    code: 'BadRequest',
    rule: 'The metrics of CPU credits exist on Burstable servers only',
    source: metrics,
    message: (metric: string, alert: string) =>
      `Metric ${metric} exists on Burstable servers only (alert '${alert}').`,
  },
  metricConfigurationNotFound: {
    status: 400,
    code: 'BadRequest',
    rule: 'A metric that is read exists',
    source: metrics,
    message: (metric: string, server: string) =>
      `Failed to find metric configuration for '${metric}' of ${server}.`,
  },
  readAggregationNotSupported: {
    status: 400,
    code: 'BadRequest',
    rule: 'A metric that is read has the aggregation',
    source: metrics,
    message: (aggregation: string, metric: string, supported: string) =>
      `Aggregation ${aggregation} is not supported for metric ${metric}: supported are ${supported}.`,
  },
  workspaceNameNotValid: {
    status: 400,
    code: 'InvalidParameter',
    rule: 'A workspace name has 4 to 63 letters, digits and inner hyphens',
    source: `${learn}/azure-resource-manager/management/resource-name-rules#microsoftoperationalinsights`,
    message: (name: string) => `Workspace name '${name}' must have 4 to 63 characters.`,
  },
  budgetStartOutOfRange: {
    status: 400,
    code: 'InvalidStartDate',
    rule: 'A new budget starts in the current month or in the twelve after it',
    source: 'https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update',
    message: (start: string, name: string) =>
      `Start date ${start} of budget '${name}' must be in the current time grain, or at most twelve months ahead.`,
  },
  budgetStartNotFirstOfMonth: {
    status: 400,
    code: 'InvalidStartDate',
    rule: 'A budget starts on the first of a month',
    source: 'https://learn.microsoft.com/rest/api/consumption/budgets/create-or-update',
    message: (start: string, name: string) =>
      `Start date ${start} of budget '${name}' must be the first of a month.`,
  },
});
