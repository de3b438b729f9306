/** Logs, alerts, budget, long-term backup, tags and the state. */

import { longestDays, parseDuration } from '../duration.ts';
import type { Candidate } from '../resolved.ts';
import { check, defineRules, isProtected, repeated, urls } from '../rule.ts';

/** Days that a workspace keeps logs. */
const logDays = { minimum: 30, maximum: 730 } as const;

/** Smallest daily cap of a workspace, in GB. */
const smallestQuotaGb = 0.023;

/** Long-term backups are kept a week to ten years, in days at their longest. */
const longTermDays = { minimum: 7, maximum: 3660 } as const;

const tagLimits = { count: 50, name: 512, value: 256 } as const;

/** Holds evidence under an immutability policy, which refuses to rewrite a file. */
const immutableAccount = 'complyaistorage';

const actionGroups = 'https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups';
const budgets = 'https://learn.microsoft.com/azure/cost-management-billing/costs/tutorial-acm-create-budgets';

const diagnosticSettings = 'https://learn.microsoft.com/azure/azure-monitor/platform/diagnostic-settings';

const archives = ['archive', 'recoveryArchive'] as const;
const inGroup = '^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers';
const accountId = new RegExp(`${inGroup}/Microsoft\\.Storage/storageAccounts/[^/]+$`, 'i');
const hubRuleId = new RegExp(
  `${inGroup}/Microsoft\\.EventHub/namespaces/[^/]+/authorizationRules/[^/]+$`,
  'i',
);

/** All receivers of an action group, with their places in its settings. */
function receiversOf(group: Candidate['monitoring']['actionGroup']) {
  const { emails, texts, calls, webhooks, roles } = group;
  return Object.entries({ emails, texts, calls, webhooks, roles }).flatMap(([kind, list]) =>
    list.map(({ name }, position) => ({ name, at: `${kind}.${position}` })),
  );
}

/** Whether a URL can stand in the repository and in the state. */
function isOpenUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search } = new URL(text);
  return protocol === 'https:' && username === '' && password === '' && search === '';
}

/** For a report, which must not repeat a secret. */
function withoutSecret(text: string): string {
  return text.replace(/\/\/[^/@]*@/, '//***@').replace(/\?.*/, '?***');
}

const email = /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/;
const timestamp = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(Z|[+-]\d{2}:\d{2})$/;

/** Whether the text is a time that exists: `2026-02-30T00:00:00Z` parses, as another day. */
function isTime(text: string): boolean {
  const match = timestamp.exec(text);
  if (!match) return false;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  const date = new Date(Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second));
  return date.toISOString().slice(0, 19) === text.slice(0, 19);
}

export const operationsRules = defineRules({
  'operations/log-retention': {
    rule: `a workspace keeps logs for ${logDays.minimum} to ${logDays.maximum} days`,
    source:
      'https://registry.terraform.io/providers/hashicorp/azurerm/4.55.0/docs/resources/log_analytics_workspace',
    check: ({ logAnalytics: { retentionDays: days } }) =>
      check(days >= logDays.minimum && days <= logDays.maximum, 'logAnalytics.retentionDays', days),
  },

  'operations/log-quota': {
    rule: `a daily cap is at least ${smallestQuotaGb} GB`,
    source: 'https://learn.microsoft.com/azure/azure-monitor/logs/daily-cap',
    remedy: 'Leave the cap out to have none.',
    check: ({ logAnalytics: { dailyQuotaGb } }) =>
      check(
        dailyQuotaGb === undefined || dailyQuotaGb >= smallestQuotaGb,
        'logAnalytics.dailyQuotaGb',
        dailyQuotaGb,
      ),
  },

  'operations/alert-receiver': {
    rule: 'alerts reach at least one receiver',
    source: `docs/decisions.md, 35; ${actionGroups}`,
    check: ({ monitoring: { actionGroup } }) =>
      check(receiversOf(actionGroup).length > 0, 'monitoring.actionGroup.emails', actionGroup.emails),
  },

  'operations/alert-telephone': {
    rule: 'a telephone number has digits only: a country code of one to three, and a number of 4 to 15 without it',
    source: actionGroups,
    check: ({ monitoring: { actionGroup } }) =>
      (['texts', 'calls'] as const).flatMap((kind) =>
        actionGroup[kind].flatMap(({ countryCode, phoneNumber }, position) => {
          const at = `monitoring.actionGroup.${kind}.${position}`;
          return [
            ...check(/^[1-9]\d{0,2}$/.test(countryCode), `${at}.countryCode`, countryCode),
            ...check(/^\d{4,15}$/.test(phoneNumber), `${at}.phoneNumber`, phoneNumber),
          ];
        }),
      ),
  },

  'operations/alert-webhook': {
    rule: 'the address of a webhook is a URL with https, and contains no secret',
    source: `docs/decisions.md, 60; ${actionGroups}`,
    remedy:
      'The repository and the state contain the address. Name the Entra application of the receiver (application), or send through a function of your own that has the secret.',
    check: ({ monitoring: { actionGroup } }) =>
      actionGroup.webhooks.flatMap(({ url }, position) =>
        check(isOpenUrl(url), `monitoring.actionGroup.webhooks.${position}.url`, withoutSecret(url)),
      ),
  },

  'operations/archive-has-a-place': {
    rule: 'an archive names a storage account or an event hub',
    source: `docs/decisions.md, 61; ${diagnosticSettings}`,
    check: ({ monitoring }) =>
      archives.flatMap((field) => {
        const archive = monitoring[field];
        const holds = !archive || archive.storageAccountId !== undefined || archive.eventHub !== undefined;
        return check(holds, `monitoring.${field}`, archive);
      }),
  },

  'operations/archive-id': {
    rule: 'an archive is named by resource ids: of a storage account, and of an authorization rule of an Event Hubs namespace',
    source: diagnosticSettings,
    remedy:
      'Find it with az storage account show or az eventhubs namespace authorization-rule show --query id.',
    check: ({ monitoring }) =>
      archives.flatMap((field) => {
        const { storageAccountId, eventHub } = monitoring[field] ?? {};
        const rule = eventHub?.authorizationRuleId;
        return [
          ...check(
            storageAccountId === undefined || accountId.test(storageAccountId),
            `monitoring.${field}.storageAccountId`,
            storageAccountId,
          ),
          ...check(
            rule === undefined || hubRuleId.test(rule),
            `monitoring.${field}.eventHub.authorizationRuleId`,
            rule,
          ),
        ];
      }),
  },

  'operations/recovery-archive': {
    rule: 'an archive of the recovery region needs a replica there: Azure takes logs only in the region of their server',
    source: diagnosticSettings,
    check: ({ monitoring, replica, location }) =>
      check(
        monitoring.recoveryArchive === undefined || (replica !== undefined && replica.location !== location),
        'monitoring.recoveryArchive',
        monitoring.recoveryArchive,
      ),
  },

  'operations/alert-address': {
    rule: 'a receiver of alerts has an e-mail address',
    source: actionGroups,
    check: ({ monitoring: { actionGroup } }) =>
      actionGroup.emails.flatMap(({ address }, position) =>
        check(email.test(address), `monitoring.actionGroup.emails.${position}.address`, address),
      ),
  },

  'operations/alert-receivers-are-distinct': {
    rule: "a receiver's name is used once in its action group",
    source: actionGroups,
    check: ({ monitoring: { actionGroup } }) =>
      repeated(receiversOf(actionGroup), ({ name }) => name.toLowerCase()).map(({ item }) => ({
        field: `monitoring.actionGroup.${item.at}.name`,
        value: item.name,
      })),
  },

  'operations/budget-amount': {
    rule: 'a budget is more than 0',
    source: budgets,
    check: ({ budget }) =>
      check(!budget || budget.monthlyAmount > 0, 'budget.monthlyAmount', budget?.monthlyAmount),
  },

  'operations/budget-contact': {
    rule: 'a budget has at least one contact',
    source: `docs/decisions.md, 35; ${budgets}`,
    check: ({ budget }) => check(!budget || budget.contacts.length > 0, 'budget.contacts', budget?.contacts),
  },

  'operations/budget-address': {
    rule: 'a contact of a budget is an e-mail address',
    source: budgets,
    check: ({ budget }) =>
      (budget?.contacts ?? []).flatMap((address, position) =>
        check(email.test(address), `budget.contacts.${position}`, address),
      ),
  },

  'operations/long-term-retention': {
    rule: 'long-term backups are kept for an ISO 8601 duration from a week (P7D) to ten years (P10Y)',
    source: 'https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-overview',
    check: ({ longTermBackup }) => {
      if (!longTermBackup) return [];
      const retention = parseDuration(longTermBackup.retention);
      const days = retention && longestDays(retention);
      const holds = days !== undefined && days >= longTermDays.minimum && days <= longTermDays.maximum;
      return check(holds, 'longTermBackup.retention', longTermBackup.retention);
    },
  },

  'operations/long-term-first-run': {
    rule: 'the first weekly run is a time in the format of RFC 3339, like 2026-12-06T04:00:00Z',
    source: 'https://www.rfc-editor.org/rfc/rfc3339',
    check: ({ longTermBackup }) =>
      check(
        !longTermBackup || isTime(longTermBackup.firstRun),
        'longTermBackup.firstRun',
        longTermBackup?.firstRun,
      ),
  },

  'operations/tag-count': {
    rule: `a resource has at most ${tagLimits.count} tags`,
    source: urls.tags,
    check: ({ tags }) => {
      const count = Object.keys(tags).length;
      return check(count <= tagLimits.count, 'tags', count);
    },
  },

  'operations/tag-name': {
    rule: `a tag's name is 1-${tagLimits.name} characters and has none of <>%&\\?/`,
    source: urls.tags,
    check: ({ tags }) =>
      Object.keys(tags).flatMap((name) =>
        check(
          name.length >= 1 && name.length <= tagLimits.name && !/[<>%&\\?/]/.test(name),
          `tags.${name}`,
          name,
        ),
      ),
  },

  'operations/tag-value': {
    rule: `a tag's value is at most ${tagLimits.value} characters`,
    source: urls.tags,
    check: ({ tags }) =>
      Object.entries(tags).flatMap(([name, value]) =>
        check(value.length <= tagLimits.value, `tags.${name}`, value),
      ),
  },

  'operations/tags-are-distinct': {
    rule: 'the names of two tags differ in more than their case',
    source: urls.tags,
    check: ({ tags }) =>
      repeated(Object.entries(tags), ([name]) => name.toLowerCase()).map(({ item: [name, value] }) => ({
        field: `tags.${name}`,
        value,
      })),
  },

  'operations/environment-tag': {
    rule: "the tag Environment, by which costs are grouped, is the environment's name",
    source: 'docs/decisions.md, 35',
    check: ({ name, tags }) => {
      const tag = tags['Environment'];
      return check(tag === undefined || tag === name, 'tags.Environment', tag, {
        rule: `the tag Environment, by which costs are grouped, is the environment's name (${name})`,
      });
    },
  },

  'operations/policy-tag': {
    rule: 'a tag comes from a policy or from the settings, not from both',
    source: 'environments/settings.ts',
    check: ({ policyTags, tags }) =>
      policyTags.flatMap((name) => {
        const same = Object.keys(tags).find((tag) => tag.toLowerCase() === name.toLowerCase());
        return check(same === undefined, 'policyTags', name);
      }),
  },

  'operations/state-is-rewritable': {
    rule: `the state is not kept in ${immutableAccount}: its containers are immutable, and each apply rewrites the state`,
    source: 'docs/decisions.md, 22',
    check: ({ state }) =>
      state.backend === 'azurerm'
        ? check(state.storageAccount !== immutableAccount, 'state.storageAccount', state.storageAccount)
        : [],
  },

  'operations/shared-state': {
    rule: 'an environment that is protected (protection.deletionLock or protection.preventDestroy) keeps its state in a shared backend, which locks it while it is written',
    source: 'docs/decisions.md, 1; https://developer.hashicorp.com/terraform/language/backend/azurerm',
    remedy: 'Choose backend azurerm; `llama-db bootstrap` creates the container.',
    check: (candidate) => {
      const { backend } = candidate.state;
      return check(backend !== 'local' || !isProtected(candidate), 'state.backend', backend);
    },
  },
});
