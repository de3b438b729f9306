/** Protection of data in the synthesized files: no plan may destroy it while the lock is in place. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lossOnDestruction } from '../../azure/loss-on-destruction.ts';
import { parseEnvironments } from '../../environments/collection.ts';
import { SettingsError } from '../../environments/problems.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import { trials } from '../../rehearsal/replacements.ts';
import { protectionOf } from '../../stacks/protection.ts';
import { production as productionInput } from '../support/settings/production.ts';
import { staging as stagingInput } from '../support/settings/staging.ts';
import { expression, type Stack, stackOf } from './stack.ts';

const environments = ['development', 'staging', 'production'] as const;
type Protection = EnvironmentSettings['protection'];

/** Each combination of the two settings: which plans are refused. */
const combinations: readonly (readonly [Protection, { destruction: boolean; removal: boolean }])[] = [
  [
    { deletionLock: 'inPlace', preventDestroy: true },
    { destruction: true, removal: true },
  ],
  [
    { deletionLock: 'inPlace', preventDestroy: false },
    { destruction: true, removal: true },
  ],
  [
    { deletionLock: 'lifted', preventDestroy: true },
    { destruction: true, removal: false },
  ],
  [
    { deletionLock: 'lifted', preventDestroy: false },
    { destruction: false, removal: false },
  ],
  [
    { deletionLock: 'none', preventDestroy: true },
    { destruction: true, removal: true },
  ],
  [
    { deletionLock: 'none', preventDestroy: false },
    { destruction: false, removal: false },
  ],
];

/** Every other type of the constructs, with the reason why its destruction loses no data. */
const holdNoData: Readonly<Record<string, string>> = {
  azurerm_consumption_budget_resource_group: 'a threshold',
  azurerm_monitor_action_group: 'addresses, which the settings have',
  azurerm_monitor_activity_log_alert: 'a rule',
  azurerm_monitor_diagnostic_setting: 'a route; what was sent is in the workspace',
  azurerm_monitor_metric_alert: 'a rule',
  azurerm_monitor_scheduled_query_rules_alert_v2: 'a rule',
  azurerm_network_security_group: 'rules, which the settings have',
  azurerm_postgresql_flexible_server_active_directory_administrator:
    'who may log in, which the settings have',
  azurerm_postgresql_flexible_server_configuration: 'a value, which the settings have',
  azurerm_postgresql_flexible_server_firewall_rule: 'a range, which the settings have',
  azurerm_postgresql_flexible_server_virtual_endpoint: 'two host names; the servers behind them stay',
  azurerm_container_app_environment: 'machines; the output of its jobs is in the workspace',
  azurerm_container_app_job: 'a program, which the registry has',
  azurerm_private_dns_zone: 'records, which the private endpoints make again',
  azurerm_private_dns_zone_virtual_network_link: 'a link',
  azurerm_private_endpoint: 'an address',
  azurerm_resource_group_template_deployment:
    'the record of a deployment; the key that it made stays in the vault',
  azurerm_role_assignment: 'a right, which the settings have',
  azurerm_subnet: 'a range; a server in it cannot be moved and is protected itself',
  azurerm_subnet_network_security_group_association: 'a link',
  azurerm_user_assigned_identity: 'a name that nothing is encrypted for',
  azurerm_virtual_network: 'ranges; a server in it cannot be moved and is protected itself',
  azurerm_virtual_network_peering: 'a link',
};

/** Parts that the settings of production can leave out, by the name of the record, and how. */
const removals: readonly (readonly [string, (input: EnvironmentInput) => void])[] = [
  [
    'replica',
    (input) => {
      delete input.replica;
      delete input.virtualEndpoint;
    },
  ],
  ['key_vault', (input) => Object.assign(input.keyVault, { existing: true })],
  ['log_analytics', (input) => Object.assign(input.logAnalytics, { existing: true })],
  ['long_term_backup', (input) => delete input.longTermBackup],
  ['resource_group', (input) => Object.assign(input.resourceGroup, { existing: true })],
  [
    'recovery_resource_group',
    (input) => Object.assign(input.recoveryResourceGroup ?? {}, { existing: true }),
  ],
];

/** Every resource of a stack that holds data, by address. */
function holders(stack: Stack): ReadonlyMap<string, unknown> {
  return new Map(
    Object.keys(lossOnDestruction).flatMap((type) =>
      Object.entries(stack.all(type)).map(
        ([name, block]) => [`${type}.${name}`, block['lifecycle']] as const,
      ),
    ),
  );
}

/** @param change on top of `protection`, under which every rule must still hold */
function protectedBy(
  environment: (typeof environments)[number],
  protection: Protection,
  change?: (input: EnvironmentInput) => void,
): Stack {
  return stackOf(environment, (input) => {
    input.protection = { ...protection };
    // A protected environment has no local state (operations/shared-state).
    if (input.state.backend === 'local') input.state = structuredClone(stagingInput.state);
    change?.(input);
  });
}

describe('what holds data', () => {
  it('is known: every resource type of the constructs is declared to hold data or not to', () => {
    const types = readdirSync('constructs')
      .flatMap((file) => [
        ...readFileSync(join('constructs', file), 'utf8').matchAll(
          /@cdktf\/provider-azurerm\/lib\/([a-z0-9-]+)\/index\.js/g,
        ),
      ])
      .flatMap(([, name = '']) =>
        name.startsWith('data-azurerm-') ? [] : [`azurerm_${name.replaceAll('-', '_')}`],
      );
    expect(types.length).toBeGreaterThan(25);
    expect([...new Set(types)].sort()).toEqual(
      [...Object.keys(lossOnDestruction), ...Object.keys(holdNoData)].sort(),
    );
    for (const environment of environments)
      for (const type of Object.keys(stackOf(environment).document.resource))
        expect([...types, 'terraform_data'], environment).toContain(type);
  });

  it('has each of its arguments tried by a scenario', () => {
    expect(Object.keys(trials).sort()).toEqual(Object.keys(lossOnDestruction).sort());
    for (const [type, each] of Object.entries(trials))
      expect(
        each.some(({ replaces }) => replaces),
        type,
      ).toBe(true);
  });

  const stay = [
    'azurerm_key_vault.key_vault',
    'azurerm_log_analytics_workspace.log_analytics',
    'azurerm_postgresql_flexible_server.server',
    'azurerm_postgresql_flexible_server_database.database',
    'azurerm_resource_group.resource_group',
  ];
  const locks = [
    'azurerm_management_lock.deletion_lock_key_vault',
    'azurerm_management_lock.deletion_lock_server',
  ];
  it.each([
    ['development', stay],
    ['staging', [...stay, ...locks]],
    [
      'production',
      [
        ...stay,
        ...locks,
        'azurerm_data_protection_backup_instance_postgresql_flexible_server.long_term_backup_instance',
        'azurerm_data_protection_backup_policy_postgresql_flexible_server.long_term_backup_policy',
        'azurerm_data_protection_backup_vault.long_term_backup_vault',
        'azurerm_management_lock.deletion_lock_replica',
        'azurerm_postgresql_flexible_server.replica',
        'azurerm_resource_group.recovery_resource_group',
      ],
    ],
  ] as const)(
    'keeps its addresses, because Terraform destroys at the old one: %s',
    (environment, addresses) => {
      expect([...holders(stackOf(environment)).keys()].sort()).toEqual([...addresses].sort());
    },
  );
});

describe.each(combinations)('with %o', (protection, { destruction, removal }) => {
  it('decides which plans are refused', () => {
    expect(protectionOf({ protection })).toEqual({
      againstDestruction: destruction,
      againstRemoval: removal,
    });
  });

  it.each(environments)(
    'has prevent_destroy on everything that holds data, and on nothing else: %s',
    (environment) => {
      const stack = protectedBy(environment, protection);
      const found = holders(stack);
      expect(found.size).toBeGreaterThan(4);
      for (const [address, lifecycle] of found)
        expect(lifecycle, address).toHaveProperty('prevent_destroy', destruction);
      for (const type of Object.keys(holdNoData))
        for (const [name, block] of Object.entries(stack.all(type)))
          expect(block, `${type}.${name}`).not.toHaveProperty('lifecycle.prevent_destroy');
    },
  );

  it.each(removals)('has a record of what can be left out: %s', (name, leaveOut) => {
    const record = (stack: Stack) => stack.at(`terraform_data.protected_${name}`);
    expect(record(protectedBy('production', protection))).toMatchObject({
      triggers_replace: { in_the_settings: true },
      lifecycle: { prevent_destroy: false },
    });
    expect(record(protectedBy('production', protection, leaveOut))).toMatchObject({
      triggers_replace: { in_the_settings: false },
      lifecycle: { prevent_destroy: removal },
    });
  });

  it.each([
    ['server', 'azurerm_postgresql_flexible_server.server'],
    ['database', 'azurerm_postgresql_flexible_server_database.database'],
    ['log_analytics', 'azurerm_log_analytics_workspace.log_analytics'],
    ['long_term_backup', 'azurerm_data_protection_backup_vault.long_term_backup_vault'],
  ])('has a record of what would be made again empty: %s', (name, address) => {
    expect(protectedBy('production', protection).at(`terraform_data.protected_${name}_id`)).toMatchObject({
      triggers_replace: { id: expression(`${address}.id`) },
      lifecycle: { prevent_destroy: removal },
    });
  });
});

/** Settings that differ from the given ones in one place: something left out, or the other of true and false. */
function* variants(value: unknown, path: readonly string[] = []): Generator<readonly [string, unknown]> {
  if (typeof value === 'boolean') yield [`${path.join('.')} = ${!value}`, !value];
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  for (const [key, inner] of Object.entries(value)) {
    const { [key]: _, ...rest } = value as Record<string, unknown>;
    yield [`no ${[...path, key].join('.')}`, rest];
    for (const [what, variant] of variants(inner, [...path, key])) yield [what, { ...value, [key]: variant }];
  }
}

describe('one change of the settings with the lock in place', () => {
  const refusing = (stack: Stack) =>
    Object.entries(stack.all('terraform_data')).filter(
      ([, { triggers_replace: record, lifecycle }]) =>
        Object(record).in_the_settings === false && Object(lifecycle).prevent_destroy === true,
    );

  it.each([
    ['staging', stagingInput],
    ['production', productionInput],
  ] as const)(
    'takes nothing that holds data out of the stack unless a record refuses the plan: %s',
    (environment, input) => {
      const [settings] = parseEnvironments([input]);
      const all = [...holders(stackOf(environment)).keys()].filter(
        (one) => !one.startsWith('azurerm_management_lock'),
      );
      const outcomes = { refusedByRules: 0, kept: 0, refusedByRecords: 0 };
      for (const [what, variant] of variants(settings)) {
        let stack: Stack;
        try {
          stack = stackOf(environment, (one) => {
            for (const key of Object.keys(one)) delete (one as Record<string, unknown>)[key];
            Object.assign(one, structuredClone(variant));
          });
        } catch (error) {
          if (!(error instanceof SettingsError)) throw error;
          outcomes.refusedByRules++;
          continue;
        }
        const left = holders(stack);
        const lost = all.filter((address) => !left.has(address));
        for (const [address, lifecycle] of left)
          expect(lifecycle, `${what}: ${address}`).toHaveProperty('prevent_destroy', true);
        if (lost.length === 0) outcomes.kept++;
        else {
          expect(refusing(stack), `${what} loses ${lost.join(', ')}`).not.toEqual([]);
          outcomes.refusedByRecords++;
        }
      }
      expect(outcomes.refusedByRecords).toBe(environment === 'production' ? 6 : 3);
      expect(outcomes.kept).toBeGreaterThan(20);
    },
    120_000,
  );
});
