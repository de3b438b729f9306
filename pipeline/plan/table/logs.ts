/** Rows about logs, alerts and the budget. */
import { numberAt, textAt } from '../../../core/json.ts';
import { calm, destroyed, lostElements, nothing, replacedWithLoss, rows, weakened } from './families.ts';
import { type About, type Judgement, type Row, sources, toggled } from './row.ts';

function workspaceRetention({ change, attribute }: About): Judgement {
  const [was, is] = [
    numberAt(change.before, 'retention_in_days'),
    numberAt(change.after, 'retention_in_days'),
  ];
  return attribute.isUnknown || was === undefined || is === undefined || is < was
    ? weakened('audit logs are kept for fewer days', 'MCSB LT-6')
    : calm('audit logs are kept for more days');
}

const receiverKinds = [
  ...['arm_role', 'automation_runbook', 'azure_app_push', 'azure_function', 'email', 'event_hub'],
  ...['itsm', 'logic_app', 'sms', 'voice', 'webhook'],
];

function threshold({ change, attribute: { before, after, isUnknown } }: About): Judgement {
  const operator = textAt(change.after, 'criteria', 0, 'operator') ?? '';
  const [was, is] = [Number(before), Number(after)];
  const isSooner = /^Less/.test(operator) ? is > was : /^Greater/.test(operator) && is < was;
  return isSooner && !isUnknown
    ? { impact: 'nothing', says: 'the alert fires sooner' }
    : weakened('the alert fires later');
}

const hours = (duration: About['attribute']['before']) => {
  const [, days = 0, own = 0, minutes] =
    /^P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?$/.exec(String(duration)) ?? [];
  return Number(days) * 24 + Number(own) + Number(minutes ?? 0) / 60;
};

function frequency({ attribute: { before, after, isUnknown } }: About): Judgement {
  return !isUnknown && hours(after) > 0 && hours(after) < hours(before)
    ? { impact: 'nothing', says: 'the alert is judged more often' }
    : weakened('the alert fires later');
}

export const logRows: readonly Row[] = [
  ...rows(
    { id: 'workspace', types: ['azurerm_log_analytics_workspace'], source: sources.logs },
    {
      created: ['create', nothing],
      tags: [
        [
          'tags',
          'timeouts',
          'allow_resource_only_permissions',
          'data_collection_rule_id',
          'reservation_capacity_in_gb_per_day',
          'sku',
          'identity',
          'identity.type',
          'identity.identity_ids',
          'cmk_for_query_forced',
          'workspace_id',
          'primary_shared_key',
          'secondary_shared_key',
        ],
        nothing,
      ],
      retention: [['retention_in_days', 'immediate_data_purge_on_30_days_enabled'], workspaceRetention],
      quota: [
        ['daily_quota_gb'],
        ({ attribute: { before, after, isUnknown } }) => {
          // -1 and no value stand for no quota.
          const size = (value: typeof after) => (typeof value === 'number' && value >= 0 ? value : Infinity);
          return !isUnknown && size(after) >= size(before)
            ? calm('fewer logs are dropped for their size')
            : weakened('logs beyond the daily quota are dropped', 'MCSB LT-3');
        },
      ],
      access: [
        ['local_authentication_enabled', 'internet_ingestion_enabled', 'internet_query_enabled'],
        toggled(
          weakened('the audit logs are reachable in another way', 'MCSB LT-5'),
          calm('the audit logs are reachable in fewer ways'),
          'on',
        ),
      ],
      'access-mode': [
        ['local_authentication_disabled', 'internet_ingestion_access_type', 'internet_query_access_type'],
        ({ attribute: { after, isUnknown } }) =>
          !isUnknown && (after === true || after === 'SecuredByPerimeter' || after === 'Disabled')
            ? calm('the audit logs are reachable in fewer ways')
            : weakened('the audit logs are reachable in another way', 'MCSB LT-5'),
      ],
      replaced: ['replace', replacedWithLoss],
      removed: ['delete', destroyed],
    },
  ),
  ...rows(
    { id: 'diagnostics', types: ['azurerm_monitor_diagnostic_setting'], source: sources.monitor },
    {
      created: ['create', nothing],
      tags: [['timeouts'], nothing],
      logs: [
        ['enabled_log', 'enabled_log.*'],
        (about) =>
          about.attribute.isUnknown || lostElements(about) > 0
            ? weakened('fewer logs reach the workspace', 'CIS Azure Foundations 5.0, 6.1.4', 'MCSB LT-3')
            : calm('more logs reach the workspace'),
      ],
      metrics: [
        ['enabled_metric', 'enabled_metric.*', 'metric', 'metric.*'],
        (about) =>
          about.attribute.isUnknown || lostElements(about) > 0
            ? weakened('fewer metrics reach the workspace', 'MCSB LT-3')
            : calm('more metrics reach the workspace'),
      ],
      archive: [
        ['storage_account_id', 'eventhub_authorization_rule_id', 'eventhub_name'],
        ({ attribute: { before } }) =>
          before === null || before === undefined || before === ''
            ? calm('logs go to a second place as well')
            : weakened('logs no longer go to their second place', 'MCSB LT-3'),
      ],
      changed: [['*'], () => weakened('logs go elsewhere', 'MCSB LT-3')],
      replaced: [
        'replace',
        () => weakened('no log is recorded until the setting is made again', 'MCSB LT-3'),
      ],
      removed: [
        'delete',
        () => weakened('no log is recorded any more', 'CIS Azure Foundations 5.0, 6.1.4', 'MCSB LT-3'),
      ],
    },
  ),
  ...rows(
    {
      id: 'alert',
      types: [
        'azurerm_monitor_metric_alert',
        'azurerm_monitor_activity_log_alert',
        'azurerm_monitor_scheduled_query_rules_alert_v2',
        'azurerm_monitor_action_group',
      ],
      source: sources.monitor,
    },
    {
      created: ['create', nothing],
      enabled: [
        ['enabled'],
        toggled({ impact: 'nothing', says: 'the alert is on' }, weakened('the alert no longer fires'), 'off'),
      ],
      receivers: [
        [
          ...receiverKinds.flatMap((kind) => [`${kind}_receiver`, `${kind}_receiver.*`]),
          ...['action', 'action.*'],
        ],
        (about) =>
          about.attribute.isUnknown || lostElements(about) > 0
            ? weakened('somebody no longer gets the alerts')
            : { impact: 'nothing', says: 'somebody else gets the alerts too' },
      ],
      details: [
        [
          'criteria.skip_metric_validation',
          ...receiverKinds.map((kind) => `${kind}_receiver.use_common_alert_schema`),
        ],
        nothing,
      ],
      scopes: [
        ['scopes'],
        (about) =>
          about.attribute.isUnknown || lostElements(about) > 0
            ? weakened('the alert no longer watches one of its resources')
            : { impact: 'nothing', says: 'the alert watches another resource too' },
      ],
      threshold: [['criteria.threshold'], threshold],
      criteria: [
        [
          ...['criteria', 'criteria.*', 'dynamic_criteria', 'dynamic_criteria.*'],
          ...['application_insights_web_test_location_availability_criteria.*'],
        ],
        () => weakened('the alert fires under other conditions'),
      ],
      frequency: [['frequency', 'evaluation_frequency'], frequency],
      window: [
        [
          ...['window_size', 'window_duration', 'query_time_range_override'],
          ...['mute_actions_after_alert_duration', 'target_resource_type'],
        ],
        () => weakened('the alert fires under other conditions'),
      ],
      changed: [['*'], nothing],
      replaced: ['replace', nothing],
      removed: ['delete', () => weakened('nobody is alerted any more')],
    },
  ),
  ...rows(
    {
      id: 'budget',
      types: ['azurerm_consumption_budget_resource_group', 'azurerm_consumption_budget_subscription'],
      source: sources.monitor,
    },
    {
      created: ['create', nothing],
      changed: [['*'], nothing],
      replaced: ['replace', nothing],
      removed: ['delete', nothing],
    },
  ),
];
