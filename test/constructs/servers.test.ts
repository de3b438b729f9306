import { TerraformOutput, type TerraformStack } from 'cdktf';
import { describe, expect, it } from 'vitest';
import { Database } from '../../constructs/database.ts';
import { EntraAdministrators } from '../../constructs/entra-administrators.ts';
import { FirewallRules } from '../../constructs/firewall-rules.ts';
import { FlexibleServer, type FlexibleServerProps } from '../../constructs/flexible-server.ts';
import { FlexibleServerReplica } from '../../constructs/flexible-server-replica.ts';
import { ServerParameters } from '../../constructs/server-parameters.ts';
import { VirtualEndpoint } from '../../constructs/virtual-endpoint.ts';
import { expression, type Synthesized, synthesize } from './synthesized.ts';

const tenantId = '11111111-1111-1111-1111-111111111111';

const props: FlexibleServerProps = {
  name: 'llama-mapper',
  resourceGroupName: 'comply-ai-rg',
  location: 'eastus',
  version: 17,
  sku: 'GP_Standard_D2s_v3',
  zone: '1',
  storage: { sizeGb: 4095, autoGrow: false },
  network: { mode: 'privateEndpoint' },
  maintenanceWindow: { dayOfWeek: 0, startHour: 2, startMinute: 0 },
  authentication: { tenantId },
  paired: false,
};

const server = (stack: TerraformStack, change: Partial<FlexibleServerProps> = {}) =>
  new FlexibleServer(stack, 'server', { ...props, ...change });

const resource = (change: Partial<FlexibleServerProps> = {}) =>
  synthesize((stack) => {
    server(stack, change);
  }).resource('azurerm_postgresql_flexible_server');

describe('FlexibleServer', () => {
  it('leaves out every block that is not given', () => {
    expect(Object.keys(resource()).sort()).toEqual([
      'authentication',
      'auto_grow_enabled',
      'identity',
      'lifecycle',
      'location',
      'maintenance_window',
      'name',
      'public_network_access_enabled',
      'resource_group_name',
      'sku_name',
      'storage_mb',
      'timeouts',
      'version',
      'zone',
    ]);
  });

  it.each([
    [32, 32768],
    [1024, 1048576],
    [4095, 4193280],
    [4096, 4194304],
    [32767, 33553408],
  ])("says %i GB as the provider's size of %i MB", (sizeGb, storageMb) => {
    expect(resource({ storage: { sizeGb, autoGrow: true } })).toHaveProperty('storage_mb', storageMb);
  });

  it('always sets public network access', () => {
    expect(resource()).toHaveProperty('public_network_access_enabled', false);
    expect(resource({ network: { mode: 'public' } })).toHaveProperty('public_network_access_enabled', true);
    expect(
      resource({
        network: {
          mode: 'virtualNetworkInjected',
          subnetId: '/subnet',
          privateDnsZoneId: '/zone',
          ready: [],
        },
      }),
    ).toMatchObject({
      public_network_access_enabled: false,
      delegated_subnet_id: '/subnet',
      private_dns_zone_id: '/zone',
    });
  });

  it('has standby, tier and backups if given', () => {
    expect(
      resource({
        highAvailability: { mode: 'SameZone' },
        backup: { retentionDays: 14, geoRedundant: false },
        storage: { sizeGb: 128, tier: 'P20', autoGrow: true },
      }),
    ).toMatchObject({
      high_availability: { mode: 'SameZone' },
      backup_retention_days: 14,
      geo_redundant_backup_enabled: false,
      storage_tier: 'P20',
    });
  });

  it('takes the version from the source if it is a replica', () => {
    const replica = synthesize((stack) => {
      const { version: _, authentication: __, paired: ___, ...rest } = props;
      new FlexibleServerReplica(stack, 'replica', {
        ...rest,
        name: 'llama-mapper-replica',
        source: server(stack),
      });
    }).named('azurerm_postgresql_flexible_server', 'llama-mapper-replica');
    expect(replica).toMatchObject({
      create_mode: 'Replica',
      source_server_id: expect.stringMatching(/^\$\{azurerm_postgresql_flexible_server\.\w+\.id\}$/),
      storage_mb: 4193280,
    });
    for (const inherited of ['version', 'authentication', 'administrator_login']) {
      expect(replica).not.toHaveProperty(inherited);
    }
  });
});

/** Names in Terraform's order, each after the one that it depends on. */
function chain(stack: Synthesized, type: string, first: string): string[] {
  const order: string[] = [];
  for (let last = first; ; ) {
    const next = Object.entries(stack.resources(type)).find(([, block]) =>
      (block['depends_on'] as readonly string[]).includes(last),
    );
    if (!next) return order;
    const [name, block] = next;
    order.push(String(block['name'] ?? block['principal_name']));
    last = `${type}.${name}`;
  }
}

describe('a resource of a server', () => {
  const build = () =>
    synthesize((stack) => {
      const one = server(stack);
      const firewall = new FirewallRules(stack, 'firewall', {
        server: one,
        ranges: [
          { name: 'vpn', start: '20.50.11.4', end: '20.50.11.4' },
          { name: 'office', start: '20.50.10.8', end: '20.50.10.15' },
        ],
        after: [one.resource],
      });
      const administrators = new EntraAdministrators(stack, 'administrators', {
        server: one,
        tenantId,
        administrators: [
          { name: 'zebra', objectId: '00000000-0000-0000-0000-000000000002', type: 'Group' },
          { name: 'antelope', objectId: '00000000-0000-0000-0000-000000000001', type: 'User' },
        ],
        after: [one.resource],
      });
      const parameters = new ServerParameters(stack, 'parameters', {
        server: one,
        parameters: new Map([
          ['pgbouncer.enabled', 'true'],
          ['pgbouncer.default_pool_size', '20'],
          ['log_checkpoints', 'on'],
        ]),
        after: [one.resource],
      });
      new Database(stack, 'database', {
        name: 'llama_mapper',
        server: one,
        charset: 'UTF8',
        collation: 'en_US.utf8',
        after: [...firewall.last, ...administrators.last, ...parameters.last],
      });
    });
  const stack = build();

  it.each([
    ['configuration', ['pgbouncer.enabled', 'pgbouncer.default_pool_size', 'log_checkpoints']],
    ['active_directory_administrator', ['zebra', 'antelope']],
    ['firewall_rule', ['vpn', 'office']],
  ])('is made one after another, in the order given: %s', (type, names) => {
    expect(
      chain(stack, `azurerm_postgresql_flexible_server_${type}`, 'azurerm_postgresql_flexible_server.server'),
    ).toEqual(names);
  });

  it('is replaced with the server if it refers to the server by name', () => {
    for (const block of Object.values(
      stack.resources('azurerm_postgresql_flexible_server_active_directory_administrator'),
    )) {
      expect(block).toMatchObject({
        server_name: 'llama-mapper',
        lifecycle: { replace_triggered_by: ['azurerm_postgresql_flexible_server.server.id'] },
      });
    }
  });

  it('precedes the database, the last of each kind', () => {
    const { depends_on: after } = stack.resource('azurerm_postgresql_flexible_server_database');
    expect(after).toHaveLength(3);
    expect(after).toEqual([/office/, /0001/, /log_checkpoints/].map((name) => expect.stringMatching(name)));
  });

  it('returns the given dependencies if it creates nothing', () => {
    const { depends_on: after } = synthesize((inner) => {
      const one = server(inner);
      const none = new FirewallRules(inner, 'firewall', { server: one, ranges: [], after: [one.resource] });
      new Database(inner, 'database', {
        name: 'llama_mapper',
        server: one,
        charset: 'UTF8',
        collation: 'en_US.utf8',
        after: none.last,
      });
    }).resource('azurerm_postgresql_flexible_server_database');
    expect(after).toEqual(['azurerm_postgresql_flexible_server.server']);
  });
});

describe('VirtualEndpoint', () => {
  it('takes its host names from the created endpoint', () => {
    const stack = synthesize((inner) => {
      const primary = server(inner);
      const { version: _, authentication: __, paired: ___, ...rest } = props;
      const replica = new FlexibleServerReplica(inner, 'replica', {
        ...rest,
        name: 'replica',
        source: primary,
      });
      const endpoint = new VirtualEndpoint(inner, 'endpoint', {
        name: 'llama-mapper-endpoint',
        primary,
        replica,
        after: [replica.resource],
      });
      new TerraformOutput(inner, 'hosts', { value: [endpoint.writerHost, endpoint.readerHost] });
    });
    const name = expression('azurerm_postgresql_flexible_server_virtual_endpoint.endpoint.name');
    expect(stack.output('hosts')).toEqual([
      `${name}.writer.postgres.database.azure.com`,
      `${name}.reader.postgres.database.azure.com`,
    ]);
    expect(stack.resource('azurerm_postgresql_flexible_server_virtual_endpoint')).toMatchObject({
      type: 'ReadWrite',
      name: 'llama-mapper-endpoint',
    });
  });
});
