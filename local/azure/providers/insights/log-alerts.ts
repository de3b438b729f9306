/** Microsoft.Insights/scheduledQueryRules: alerts on logs. The published client describes an older version of the type. */
import { type JsonObject, objectAt, objectsAt, textAt, textsAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { registerResourceType } from '../../core/resource-types.ts';
import type { Shape } from '../../core/shape.ts';
import { monitoring } from '../../refusals/monitoring.ts';

const type = 'Microsoft.Insights/scheduledQueryRules';
const version = '2023-03-15-preview';

/** https://learn.microsoft.com/rest/api/monitor/scheduled-query-rules/create-or-update (2023-03-15-preview) */
const condition: Shape = {
  query: 'any',
  timeAggregation: 'any',
  metricMeasureColumn: 'any',
  resourceIdColumn: 'any',
  dimensions: [{ name: 'any', operator: 'any', values: 'any' }],
  operator: 'any',
  threshold: 'any',
  failingPeriods: { numberOfEvaluationPeriods: 'any', minFailingPeriodsToAlert: 'any' },
};

export function registerLogAlerts(
  azure: Azure,
  require: {
    readonly scopes: (sent: JsonObject, alert: string) => void;
    readonly actionGroups: (groups: readonly string[], alert: string) => void;
  },
): void {
  registerResourceType(azure, {
    type,
    shape: {
      id: 'readOnly',
      name: 'readOnly',
      type: 'readOnly',
      etag: 'readOnly',
      systemData: 'readOnly',
      location: 'any',
      tags: 'any',
      kind: 'any',
      identity: 'any',
      properties: {
        createdWithApiVersion: 'readOnly',
        isLegacyLogAnalyticsRule: 'readOnly',
        isWorkspaceAlertsStorageConfigured: 'readOnly',
        actions: { actionGroups: 'any', customProperties: 'any', actionProperties: 'any' },
        autoMitigate: 'any',
        checkWorkspaceAlertsStorageConfigured: 'any',
        criteria: { allOf: [condition] },
        description: 'any',
        displayName: 'any',
        enabled: 'any',
        evaluationFrequency: 'any',
        muteActionsDuration: 'any',
        overrideQueryTimeRange: 'any',
        scopes: 'any',
        severity: 'any',
        skipQueryValidation: 'any',
        targetResourceTypes: 'any',
        windowSize: 'any',
      },
    },
    change: 'immediate',
    patch: true,
    accept: (sent, { name }) => {
      const properties = objectAt(sent, 'properties');
      require.scopes(sent, name);
      require.actionGroups(textsAt(properties, 'actions', 'actionGroups'), name);
      refuseTimes(properties, name);
      return {
        ...sent,
        properties: {
          ...properties,
          createdWithApiVersion: version,
          isLegacyLogAnalyticsRule: false,
          isWorkspaceAlertsStorageConfigured: false,
          criteria: { allOf: objectsAt(properties, 'criteria', 'allOf').map(withDefaults) },
        },
      };
    },
  });
}

function withDefaults(given: JsonObject): JsonObject {
  return { failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }, ...given };
}

function refuseTimes(properties: JsonObject, alert: string): void {
  const frequency = textAt(properties, 'evaluationFrequency') ?? '';
  const window = textAt(properties, 'windowSize') ?? '';
  const muted = textAt(properties, 'muteActionsDuration');
  if (minutes(window) < minutes(frequency)) throw monitoring.logWindowTooShort(window, frequency, alert);
  if (muted === undefined) return;
  if (properties['autoMitigate'] === true) throw monitoring.logMutedAndResolved(alert);
  if (minutes(frequency) > minutes(muted)) throw monitoring.logMutedTooShortly(muted, frequency, alert);
}

/** Of the durations that rules have: days, hours and minutes. */
function minutes(duration: string): number {
  const [, days = 0, hours = 0, rest = 0] = /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(duration) ?? [];
  return Number(days) * 1440 + Number(hours) * 60 + Number(rest);
}
