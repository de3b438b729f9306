import { describe, expect, it } from 'vitest';
import { type Stack, stackOf } from './stack.ts';

const production = stackOf('production');
const server = 'azurerm_postgresql_flexible_server.server';
const replica = 'azurerm_postgresql_flexible_server.replica';

/** Resources whose creation is an operation on a server, by their arguments. */
const operations = [
  'azurerm_postgresql_flexible_server_active_directory_administrator',
  'azurerm_postgresql_flexible_server_configuration',
  'azurerm_postgresql_flexible_server_database',
  'azurerm_postgresql_flexible_server_firewall_rule',
  'azurerm_postgresql_flexible_server_virtual_endpoint',
];

function operationsOf(stack: Stack): string[] {
  return stack
    .addresses()
    .filter(
      (address) =>
        operations.includes(address.split('.')[0] ?? '') ||
        address === replica ||
        /private_endpoint\.(server|replica)/.test(address),
    );
}

/** Sorted so that each comes after its dependencies. Throws if two of them could run at once. */
function totalOrder(stack: Stack, addresses: readonly string[]): string[] {
  const ordered = [...addresses].sort((a, b) => stack.before(a).size - stack.before(b).size);
  ordered.forEach((address, position) => {
    const next = ordered[position + 1];
    if (next !== undefined && !stack.before(next).has(address)) {
      throw new Error(`${address} and ${next} may be made at once`);
    }
  });
  return ordered;
}

function kind(address: string): string {
  if (address === replica) return 'replica';
  const [type = '', name = ''] = address.split('.');
  const owner = name.startsWith('replica') ? 'replica ' : '';
  return owner + type.replace(/^azurerm_(postgresql_flexible_server_)?/, '');
}

const variants: readonly [string, Stack][] = [
  ['production', production],
  ['staging', stackOf('staging')],
  ['development', stackOf('development')],
  [
    'two administrators',
    stackOf('production', (input) => {
      input.server.authentication.administrators.push({
        name: 'break-glass',
        objectId: 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d99',
        type: 'User',
      });
    }),
  ],
];

describe('operations on the servers', () => {
  it.each(variants)('never run at once: %s', (_name, stack) => {
    const ordered = totalOrder(stack, operationsOf(stack));
    expect(ordered.length).toBeGreaterThan(30);
    for (const address of ordered) expect(stack.before(address)).toContain(server);
  });

  it('run in the order that Azure accepts', () => {
    const steps = totalOrder(production, operationsOf(production)).map(kind);
    expect(steps.filter((step, position) => step !== steps[position - 1])).toEqual([
      'private_endpoint',
      'active_directory_administrator',
      'configuration',
      'database',
      'replica',
      'replica private_endpoint',
      'replica configuration',
      'virtual_endpoint',
    ]);
  });

  it('run on the replica first with changeFirst, and never at once', () => {
    const stack = stackOf('production', (input) => {
      input.changeFirst = 'replica';
    });
    const all = [...operationsOf(stack), server];
    const steps = totalOrder(stack, all).map((address) => (address === server ? 'server' : kind(address)));
    expect(steps.filter((step, position) => step !== steps[position - 1])).toEqual([
      'replica',
      'replica private_endpoint',
      'replica configuration',
      'server',
      'private_endpoint',
      'active_directory_administrator',
      'configuration',
      'database',
      'virtual_endpoint',
    ]);
    expect(stack.addresses()).toEqual(production.addresses());
  });

  it.each(variants)('end before the diagnostic settings of a server: %s', (_name, stack) => {
    const diagnostics = Object.keys(stack.all('azurerm_monitor_diagnostic_setting'))
      .filter((name) => /^(?:server|replica)_/.test(name))
      .map((name) => `azurerm_monitor_diagnostic_setting.${name}`);
    expect(diagnostics.length).toBeGreaterThan(0);
    for (const one of diagnostics)
      expect(operationsOf(stack).filter((operation) => !stack.before(one).has(operation))).toEqual([]);
  });

  it("set parameters in order: the pooler's switch before the parameters that it uncovers", () => {
    for (const owner of ['server', 'replica']) {
      const address = (name: string) =>
        `azurerm_postgresql_flexible_server_configuration.${owner}_parameters_${name}`;
      expect(production.before(address('pgbouncer_default_pool_size'))).toContain(
        address('pgbouncer_enabled'),
      );
      expect(production.before(address('shared_preload_libraries'))).toContain(address('azure_extensions'));
    }
  });
});

describe('the end of a deployment', () => {
  const post = 'terraform_data.post_deploy';

  it.each(variants)('the post-deploy step comes after every other resource: %s', (_name, stack) => {
    const others = stack.addresses().filter((address) => address !== post);
    expect(others.filter((address) => !stack.before(post).has(address))).toEqual([]);
  });

  it('locks come after every resource on or under their targets', () => {
    const locks = Object.keys(production.all('azurerm_management_lock'));
    expect(locks).toEqual(['deletion_lock_key_vault', 'deletion_lock_replica', 'deletion_lock_server']);
    const children = production
      .addresses()
      .filter((address) =>
        /flexible_server|private_endpoint|diagnostic_setting|backup_instance|role_assignment|template_deployment/.test(
          address,
        ),
      );
    expect(children.length).toBeGreaterThan(70);
    for (const lock of locks) {
      const before = production.before(`azurerm_management_lock.${lock}`);
      expect(children.filter((child) => !before.has(child))).toEqual([]);
    }
  });

  it('lifting the lock removes it and changes nothing else', () => {
    const lifted = stackOf('production', (input) => {
      input.protection.deletionLock = 'lifted';
    });
    expect(lifted.all('azurerm_management_lock')).toEqual({});
    expect(lifted.addresses()).toEqual(
      production.addresses().filter((address) => !address.startsWith('azurerm_management_lock.')),
    );
  });
});
