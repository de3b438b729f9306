/** Logs, alerts, budget, long-term backup, tags and the state: what surrounds the server. */
import type { EnvironmentSettings } from '../settings.ts';
import { longestDays, parseDuration } from './duration.ts';
import { check, type Finding, finding, type Rule, repeated, urls } from './rule.ts';

const logs: Rule = ({ logAnalytics }) => [
  ...check(
    logAnalytics.retentionDays >= 30 && logAnalytics.retentionDays <= 730,
    'logAnalytics.retentionDays',
    logAnalytics.retentionDays,
    {
      rule: 'a workspace keeps logs 30 to 730 days',
      source:
        'https://registry.terraform.io/providers/hashicorp/azurerm/4.55.0/docs/resources/log_analytics_workspace',
    },
  ),
  ...check(
    logAnalytics.dailyQuotaGb === undefined || logAnalytics.dailyQuotaGb >= 0.023,
    'logAnalytics.dailyQuotaGb',
    logAnalytics.dailyQuotaGb,
    {
      rule: 'a daily cap is 0.023 GB or more',
      source: 'https://learn.microsoft.com/azure/azure-monitor/logs/daily-cap',
      remedy: 'Leave it out for no cap.',
    },
  ),
];

const email = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;
const actionGroups = 'https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups';

const receivers: Rule = ({ monitoring: { actionGroup } }) => {
  const field = 'monitoring.actionGroup.emails';
  return [
    ...check(actionGroup.emails.length > 0, field, actionGroup.emails, {
      rule: 'alerts reach somebody: there is at least one address',
      source: actionGroups,
    }),
    ...actionGroup.emails.flatMap((one, position) =>
      check(email.test(one.address), `${field}.${position}.address`, one.address, {
        rule: 'an address is an e-mail address',
        source: actionGroups,
      }),
    ),
    ...repeated(actionGroup.emails, (one) => one.name).map(({ item, position }) =>
      finding(`${field}.${position}.name`, item.name, {
        rule: 'a receiver’s name is used once in its action group',
        source: actionGroups,
      }),
    ),
  ];
};

const timestamp = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(Z|[+-]\d{2}:\d{2})$/;

/** Whether the text is a moment that exists: `2026-02-30T00:00:00Z` parses, as another day. */
function isMoment(text: string): boolean {
  const match = timestamp.exec(text);
  if (!match) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const date = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second));
  return date.toISOString().slice(0, 19) === text.slice(0, 19);
}

const budget: Rule = ({ budget: planned }) => {
  if (!planned) return [];
  const source =
    'https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets';
  return [
    ...check(planned.monthlyAmount > 0, 'budget.monthlyAmount', planned.monthlyAmount, {
      rule: 'a budget is more than nothing',
      source,
    }),
    ...check(
      isMoment(planned.startDate) &&
        /-01T00:00:00Z$/.test(planned.startDate) &&
        planned.startDate >= '2017-06-01',
      'budget.startDate',
      planned.startDate,
      {
        rule: 'a budget starts with a month, written like 2026-12-01T00:00:00Z, and not before June 2017',
        source:
          'https://registry.terraform.io/providers/hashicorp/azurerm/4.55.0/docs/resources/consumption_budget_resource_group',
      },
    ),
    ...check(planned.contacts.length > 0, 'budget.contacts', planned.contacts, {
      rule: 'a budget tells somebody',
      source,
    }),
    ...planned.contacts.flatMap((address, position) =>
      check(email.test(address), `budget.contacts.${position}`, address, {
        rule: 'a contact is an e-mail address',
        source,
      }),
    ),
  ];
};

/** Ten years, in days at their longest. */
const longestRetention = 3660;

const longTermBackup: Rule = ({ longTermBackup: long }) => {
  if (!long) return [];
  const source = 'https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-overview';
  const retention = parseDuration(long.retention);
  return [
    ...check(
      retention !== undefined && longestDays(retention) >= 7 && longestDays(retention) <= longestRetention,
      'longTermBackup.retention',
      long.retention,
      {
        rule: 'long-term backups are kept for an ISO 8601 duration from a week (P7D) to ten years (P10Y)',
        source,
      },
    ),
    ...check(isMoment(long.firstRun), 'longTermBackup.firstRun', long.firstRun, {
      rule: 'the first weekly run is a moment written as in RFC 3339: 2026-12-06T04:00:00Z',
      source: 'https://www.rfc-editor.org/rfc/rfc3339',
    }),
  ];
};

const tags: Rule = (settings) => {
  const written = Object.entries(settings.tags);
  return [
    ...check(written.length <= 50, 'tags', written.length, {
      rule: 'a resource has at most 50 tags',
      source: urls.tags,
    }),
    ...written.flatMap(([name, value]): Finding[] => [
      ...check(name.length >= 1 && name.length <= 512 && !/[<>%&\\?/]/.test(name), `tags.${name}`, name, {
        rule: 'a tag’s name is 1-512 characters and has none of <>%&\\?/',
        source: urls.tags,
      }),
      ...check(value.length <= 256, `tags.${name}`, value, {
        rule: 'a tag’s value is at most 256 characters',
        source: urls.tags,
      }),
    ]),
    ...repeated(written, ([name]) => name.toLowerCase()).map(({ item: [name, value] }) =>
      finding(`tags.${name}`, value, {
        rule: 'tags differ in more than the case of their names',
        source: urls.tags,
      }),
    ),
    ...check(
      settings.tags['Environment'] === undefined || settings.tags['Environment'] === settings.name,
      'tags.Environment',
      settings.tags['Environment'],
      {
        rule: `the tag Environment, by which costs are told apart, is the environment’s own name (${settings.name})`,
        source:
          'https://learn.microsoft.com/azure/cloud-adoption-framework/ready/azure-best-practices/resource-tagging',
      },
    ),
  ];
};

/** Holds the evidence under an immutability policy, which refuses the rewriting that a state file lives by. */
const immutableAccount = 'complyaistorage';

const state: Rule = (settings: EnvironmentSettings) =>
  settings.state.backend === 'azurerm'
    ? check(
        settings.state.storageAccount !== immutableAccount,
        'state.storageAccount',
        settings.state.storageAccount,
        {
          rule: `the state is not kept in ${immutableAccount}: its containers are immutable, and a state is rewritten with every apply`,
          source: 'docs/decisions.md, 22',
        },
      )
    : [];

const policyTags: Rule = (settings) =>
  settings.policyTags.flatMap((name) =>
    check(settings.tags[name] === undefined, 'policyTags', name, {
      rule: `a tag is given by a policy or by the settings, and ${name} is among both`,
      source: urls.tags,
    }),
  );

export const operationsRules: readonly Rule[] = [
  logs,
  receivers,
  budget,
  longTermBackup,
  tags,
  policyTags,
  state,
];
