import { describe, expect, it } from 'vitest';
import { ActionGroup } from '../../constructs/action-group.ts';
import { Diagnostics } from '../../constructs/diagnostics.ts';
import { AdoptedLogAnalytics, LogAnalytics } from '../../constructs/log-analytics.ts';
import { expression, synthesize } from './synthesized.ts';

const workspace = {
  name: 'comply-ai-logs',
  resourceGroupName: 'comply-ai-rg',
  location: 'eastus',
  retentionDays: 365,
};

describe('LogAnalytics', () => {
  it('accepts no shared key and no records from the internet', () => {
    const block = synthesize((stack) => new LogAnalytics(stack, 'logs', workspace)).resource(
      'azurerm_log_analytics_workspace',
    );
    expect(block).toMatchObject({
      sku: 'PerGB2018',
      retention_in_days: 365,
      local_authentication_enabled: false,
      internet_ingestion_enabled: false,
      internet_query_enabled: true,
    });
    expect(block).not.toHaveProperty('daily_quota_gb');
    expect(block).not.toHaveProperty('local_authentication_disabled');
  });

  it('has a cap and no internet queries if given', () => {
    const block = synthesize(
      (stack) => new LogAnalytics(stack, 'logs', { ...workspace, dailyQuotaGb: 1, internetQuery: false }),
    ).resource('azurerm_log_analytics_workspace');
    expect(block).toMatchObject({ daily_quota_gb: 1, internet_query_enabled: false });
  });
});

describe('AdoptedLogAnalytics', () => {
  it('refers to the workspace, and refuses one with a shorter retention', () => {
    const synthesized = synthesize(
      (stack) =>
        new AdoptedLogAnalytics(stack, 'logs', {
          name: 'theirs',
          resourceGroupName: 'other-rg',
          minimumRetentionDays: 365,
        }),
    );
    expect(synthesized.resources('azurerm_log_analytics_workspace')).toEqual({});
    expect(synthesized.onlyData('azurerm_log_analytics_workspace')).toMatchObject({
      name: 'theirs',
      resource_group_name: 'other-rg',
      lifecycle: {
        postcondition: [
          {
            condition: expression('self.retention_in_days >= 365'),
            error_message: expect.stringContaining('365 days'),
          },
        ],
      },
    });
  });
});

describe('Diagnostics', () => {
  const settings = (more: { dedicatedTables?: boolean; metrics?: boolean }) =>
    synthesize((stack) => {
      const logs = new LogAnalytics(stack, 'logs', workspace);
      new Diagnostics(stack, 'diagnostics', {
        name: 'all-logs',
        targetResourceId: '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/v',
        workspace: logs,
        ...more,
      });
    }).resource('azurerm_monitor_diagnostic_setting');

  it('sends every log and metric, with the blocks that azurerm 5 keeps', () => {
    const block = settings({});
    expect(block).toMatchObject({
      enabled_log: [{ category_group: 'allLogs' }],
      enabled_metric: [{ category: 'AllMetrics' }],
      log_analytics_workspace_id: expression('azurerm_log_analytics_workspace.logs.id'),
    });
    expect(block).not.toHaveProperty('metric');
  });

  it('sets the kind of table only for resources that report it', () => {
    expect(settings({})).not.toHaveProperty('log_analytics_destination_type');
    expect(settings({ dedicatedTables: true })['log_analytics_destination_type']).toBe('Dedicated');
  });

  it('leaves metrics out if asked to', () => {
    expect(settings({ metrics: false })).not.toHaveProperty('enabled_metric');
  });
});

it('sends logs to a storage account and an event hub as well', () => {
  const block = synthesize(
    (stack) =>
      new Diagnostics(stack, 'diagnostics', {
        name: 'log-analytics',
        targetResourceId: '/target',
        workspace: new LogAnalytics(stack, 'logs', workspace),
        archive: { storageAccountId: '/account', eventHub: { authorizationRuleId: '/rule', name: 'hub' } },
      }),
  ).resource('azurerm_monitor_diagnostic_setting');
  expect(block).toMatchObject({
    storage_account_id: '/account',
    eventhub_authorization_rule_id: '/rule',
    eventhub_name: 'hub',
  });
});

describe('ActionGroup', () => {
  const emails = [{ name: 'on-call', address: 'on-call@example.com' }];
  const group = { name: 'alerts', shortName: 'alerts', resourceGroupName: 'rg', emails };

  it('has e-mail receivers only, unless given others', () => {
    const block = synthesize((stack) => new ActionGroup(stack, 'group', group)).resource(
      'azurerm_monitor_action_group',
    );
    expect(Object.keys(block).filter((name) => name.endsWith('_receiver'))).toEqual(['email_receiver']);
  });

  it('writes, calls, posts to a webhook with a token, and writes to the holders of a role', () => {
    const telephone = { name: 'telephone', countryCode: '49', phoneNumber: '30123456' };
    const block = synthesize(
      (stack) =>
        new ActionGroup(stack, 'group', {
          ...group,
          texts: [telephone],
          calls: [telephone],
          webhooks: [{ name: 'pager', url: 'https://alerts.example.com', application: 'app' }],
          roles: [{ name: 'owners', role: 'Owner' }],
        }),
    ).resource('azurerm_monitor_action_group');
    const number = [{ name: 'telephone', country_code: '49', phone_number: '30123456' }];
    expect(block).toMatchObject({
      sms_receiver: number,
      voice_receiver: number,
      webhook_receiver: [
        {
          name: 'pager',
          service_uri: 'https://alerts.example.com',
          use_common_alert_schema: true,
          aad_auth: { object_id: 'app' },
        },
      ],
      arm_role_receiver: [{ name: 'owners', role_id: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635' }],
    });
  });
});
