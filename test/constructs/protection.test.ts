import { KeyVault as KeyVaultResource } from '@cdktf/provider-azurerm/lib/key-vault/index.js';
import type { TerraformStack } from 'cdktf';
import { describe, expect, it } from 'vitest';
import { ActivityAlerts } from '../../constructs/activity-alerts.ts';
import { Budget } from '../../constructs/budget.ts';
import { DeletionLock } from '../../constructs/deletion-lock.ts';
import { LongTermBackup, type LongTermBackupProps } from '../../constructs/long-term-backup.ts';
import { type Block, expression, synthesize } from './synthesized.ts';

const primary = '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/db';
const replica = `${primary}-replica`;
const vault = '/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv';
const actionGroupId = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/actionGroups/on-call';

/** A dependency. */
function child(stack: TerraformStack) {
  return new KeyVaultResource(stack, 'child', {
    name: 'child',
    location: 'eastus',
    resourceGroupName: 'rg',
    skuName: 'standard',
    tenantId: '11111111-1111-1111-1111-111111111111',
  });
}

describe('DeletionLock', () => {
  const locks = (mode: 'none' | 'inPlace' | 'lifted') =>
    synthesize(
      (stack) =>
        new DeletionLock(stack, 'lock', {
          targets: { primary, replica, vault },
          mode,
          after: [child(stack)],
        }),
    ).resources('azurerm_management_lock');

  it('locks every target, after every resource below them', () => {
    const blocks = Object.values(locks('inPlace'));
    expect(blocks.map((block) => block['scope']).sort()).toEqual([primary, replica, vault].sort());
    for (const block of blocks) {
      expect(block['lock_level']).toBe('CanNotDelete');
      expect(block['depends_on']).toEqual(['azurerm_key_vault.child']);
      expect(block['lifecycle']).toEqual({ ignore_changes: ['notes'] });
      expect(String(block['notes']).length).toBeLessThanOrEqual(512);
    }
  });

  it.each(['none', 'lifted'] as const)('creates nothing if %s', (mode) => {
    expect(locks(mode)).toEqual({});
  });
});

describe('ActivityAlerts', () => {
  const alerts = (vaultIds: string[], serverIds = [primary, replica]) =>
    Object.values(
      synthesize(
        (stack) =>
          new ActivityAlerts(stack, 'activityAlerts', {
            namePrefix: 'llama-mapper',
            resourceGroupName: 'rg',
            serverIds,
            vaultIds,
            actionGroupId,
          }),
      ).resources('azurerm_monitor_activity_log_alert'),
    );
  const operation = (block: Block) => (block['criteria'] as Block)['operation_name'];
  const on = (name: string) => alerts([vault]).filter((block) => operation(block) === name);

  it('reports either server of the pair as degraded or unavailable', () => {
    const [health, ...others] = alerts([vault]).filter(
      (block) => (block['criteria'] as Block)['category'] === 'ResourceHealth',
    );
    expect(others).toEqual([]);
    expect(health).toMatchObject({
      scopes: [primary, replica],
      criteria: { resource_health: { current: ['Degraded', 'Unavailable'] } },
      action: [{ action_group_id: actionGroupId }],
    });
  });

  it.each([
    ['Microsoft.DBforPostgreSQL/flexibleServers/delete', [[primary, replica]]],
    ['Microsoft.DBforPostgreSQL/flexibleServers/firewallRules/write', [[primary, replica]]],
    ['Microsoft.DBforPostgreSQL/flexibleServers/administrators/write', [[primary, replica]]],
    ['Microsoft.KeyVault/vaults/delete', [[vault]]],
    ['Microsoft.Authorization/locks/delete', [[primary, replica], [vault]]],
    ['Microsoft.Insights/diagnosticSettings/delete', [[primary, replica], [vault]]],
  ])('reports the outcome of %s once', (name, scopes) => {
    expect(on(name).map((block) => block['scopes'])).toEqual(expect.arrayContaining(scopes));
    expect(on(name)).toHaveLength(scopes.length);
    for (const block of on(name)) {
      expect(block['criteria']).toMatchObject({
        category: 'Administrative',
        statuses: ['Succeeded', 'Failed'],
      });
    }
  });

  it('has a location that Azure accepts, and a unique name per alert', () => {
    const all = alerts([vault]);
    expect(new Set(all.map((block) => block['location']))).toEqual(new Set(['global']));
    expect(new Set(all.map((block) => block['name'])).size).toBe(all.length);
  });

  it('watches only the given vaults', () => {
    expect(alerts([]).some((block) => String(operation(block)).includes('KeyVault'))).toBe(false);
    expect(alerts([]).every((block) => (block['scopes'] as string[]).length > 0)).toBe(true);
  });
});

describe('LongTermBackup', () => {
  const props: LongTermBackupProps = {
    vaultName: 'backup',
    resourceGroupName: 'rg',
    location: 'eastus',
    serverId: primary,
    serverName: 'db',
    serverResourceGroupId: '/subscriptions/s/resourceGroups/g',
    retention: 'P7Y',
    firstRun: '2026-12-06T04:00:00Z',
  };
  const synthesized = synthesize(
    (stack) => new LongTermBackup(stack, 'backup', { ...props, after: [child(stack)] }),
  );

  it('backs up weekly with the given retention', () => {
    expect(
      synthesized.resource('azurerm_data_protection_backup_policy_postgresql_flexible_server'),
    ).toMatchObject({
      backup_repeating_time_intervals: ['R/2026-12-06T04:00:00+00:00/P1W'],
      default_retention_rule: { life_cycle: [{ data_store_type: 'VaultStore', duration: 'P7Y' }] },
    });
    expect(synthesized.resource('azurerm_data_protection_backup_vault')).toMatchObject({
      redundancy: 'GeoRedundant',
      soft_delete: 'On',
      identity: { type: 'SystemAssigned' },
    });
  });

  it('starts after the roles of the vault and after the other operations on the server', () => {
    const assignments = synthesized.resources('azurerm_role_assignment');
    expect(
      Object.values(assignments).map((block) => [block['role_definition_name'], block['scope']]),
    ).toEqual(
      expect.arrayContaining([
        ['Reader', props.serverResourceGroupId],
        ['PostgreSQL Flexible Server Long Term Retention Backup Role', primary],
      ]),
    );
    const instance = synthesized.resource(
      'azurerm_data_protection_backup_instance_postgresql_flexible_server',
    );
    expect(instance['depends_on']).toEqual(
      expect.arrayContaining([
        ...Object.keys(assignments).map((name) => `azurerm_role_assignment.${name}`),
        'azurerm_key_vault.child',
      ]),
    );
    for (const block of Object.values(assignments)) {
      expect(block['principal_id']).toMatch(
        /^\$\{azurerm_data_protection_backup_vault\.\w+\.identity\[0\]\.principal_id\}$/,
      );
    }
  });

  it('has the most copies that the region offers', () => {
    const redundancy = (location: string) =>
      synthesize((stack) => new LongTermBackup(stack, 'backup', { ...props, location })).resource(
        'azurerm_data_protection_backup_vault',
      )['redundancy'];
    expect(['eastus', 'northcentralus', 'polandcentral'].map(redundancy)).toEqual([
      'GeoRedundant',
      'GeoRedundant',
      'ZoneRedundant',
    ]);
  });

  it('converts other offsets, and refuses invalid times', () => {
    const interval = (firstRun: string) =>
      synthesize((stack) => new LongTermBackup(stack, 'backup', { ...props, firstRun })).resource(
        'azurerm_data_protection_backup_policy_postgresql_flexible_server',
      )['backup_repeating_time_intervals'];
    expect(interval('2026-12-06T05:30:00+01:30')).toEqual(['R/2026-12-06T04:00:00+00:00/P1W']);
    expect(() => interval('next Sunday')).toThrow(/next Sunday, which is not an RFC 3339 time/);
  });
});

describe('Budget', () => {
  it('notifies at 80 and 100 % of the actual cost, and if the forecast exceeds 100 %', () => {
    const block = synthesize(
      (stack) =>
        new Budget(stack, 'budget', {
          name: 'budget',
          resourceGroupId: '/subscriptions/s/resourceGroups/g',
          monthlyAmount: 2500,
          contacts: ['platform@comply-ai.example'],
          actionGroupId,
        }),
    ).resource('azurerm_consumption_budget_resource_group');
    expect(block).toMatchObject({
      amount: 2500,
      time_grain: 'Monthly',
      time_period: { start_date: expression(`formatdate("YYYY-MM-01'T'00:00:00'Z'", plantimestamp())`) },
      lifecycle: { ignore_changes: ['time_period'] },
    });
    const notifications = block['notification'] as Block[];
    expect(notifications.map((each) => [each['threshold'], each['threshold_type']])).toEqual([
      [80, 'Actual'],
      [100, 'Actual'],
      [100, 'Forecasted'],
    ]);
    for (const each of notifications) {
      expect(each['contact_emails']).toEqual(['platform@comply-ai.example']);
      expect(each['contact_groups']).toEqual([actionGroupId]);
    }
    expect(block['lifecycle']).toEqual({ ignore_changes: ['time_period'] });
  });
});
