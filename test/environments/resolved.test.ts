import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseEnvironments } from '../../environments/collection.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { environments } from '../support/environments.ts';
import { development } from '../support/settings/development.ts';
import { production } from '../support/settings/production.ts';
import { staging } from '../support/settings/staging.ts';
import { type Change, changed, encrypted, injected, open, withPassword } from './refused/row.ts';

function settings(from: EnvironmentInput, change: Change = {}) {
  const [parsed] = parseEnvironments([changed(from, change)]);
  if (!parsed) throw new Error('parsing lost the environment');
  return parsed;
}

const resolved = (from: EnvironmentInput, change: Change = {}) => resolve(settings(from, change));

/** Settings of a pair after a switchover. */
const switched = { writer: 'replica' };

describe('the servers of an environment', () => {
  it('have sizes, connections and disks, the replica by default those of the primary', () => {
    const { primary, replica } = resolved(production).servers;
    expect(primary).toMatchObject({
      role: 'primary',
      name: 'llama-mapper-production',
      location: 'eastus',
      sku: { name: 'GP_Standard_D4s_v3', tier: 'GeneralPurpose', vCores: 4 },
      storage: { sizeGb: 1024, autoGrow: true },
      maxConnections: 1718,
      availableConnections: 1703,
    });
    expect(replica).toMatchObject({
      role: 'replica',
      name: 'llama-mapper-replica-production',
      location: 'westus2',
      sku: primary.sku,
      storage: primary.storage,
      maxConnections: 1718,
      availableConnections: 1703,
    });
  });

  it("have the replica's own size, disk and parameters if it has some", () => {
    const { primary, replica } = resolved(production, {
      virtualEndpoint: undefined,
      'replica.sku': 'GP_Standard_D8s_v3',
      'replica.storage': { sizeGb: 2048 },
      'replica.parameters': { work_mem: 8192 },
      'server.parameters': { jit: false },
    }).servers;
    expect([primary.sku.vCores, replica?.sku.vCores]).toEqual([4, 8]);
    expect([primary.storage.sizeGb, replica?.storage.sizeGb]).toEqual([1024, 2048]);
    expect([primary.maxConnections, replica?.maxConnections]).toEqual([1718, 3437]);
    expect([primary.parameters.get('work_mem'), replica?.parameters.get('work_mem')]).toEqual([
      undefined,
      '8192',
    ]);
    expect(replica?.parameters.get('jit')).toBe('off');
  });

  it('have standby, backups and tags by role, which a switchover exchanges', () => {
    const roles = (change: Change) => {
      const { servers, writer } = resolved(production, change);
      const { primary, replica } = servers;
      return {
        writer: writer.role,
        ...Object.fromEntries(
          [primary, replica].map((server) => [
            server?.role,
            {
              acceptsWrites: server?.acceptsWrites,
              replicationRole: server?.replicationRole,
              tag: server?.tags['Role'],
              standby: server?.highAvailability?.mode,
              backup: server?.backup?.retentionDays,
              zones: server?.zones,
            },
          ]),
        ),
      };
    };
    const writes = {
      acceptsWrites: true,
      replicationRole: 'primary',
      tag: 'primary',
      standby: 'ZoneRedundant',
      backup: 35,
    };
    const follows = { acceptsWrites: false, replicationRole: 'replica', tag: 'read-replica', zones: ['1'] };
    expect(roles({})).toEqual({
      writer: 'primary',
      primary: { ...writes, zones: ['1', '2'] },
      replica: { ...follows, standby: undefined, backup: undefined },
    });
    // Azure chose the zone of the new writer's standby.
    expect(roles(switched)).toEqual({
      writer: 'replica',
      primary: { ...follows, standby: undefined, backup: undefined },
      replica: { ...writes, zones: undefined },
    });
  });

  it('have one zone without a zone-redundant standby, and no role tag without a replica', () => {
    expect(resolved(development).servers).toMatchObject({
      primary: { zones: ['1'], tags: expect.not.objectContaining({ Role: expect.anything() }) },
    });
    const sameZone = { 'server.highAvailability': { mode: 'SameZone' } };
    expect(resolved(staging, sameZone).servers.primary.zones).toEqual(['1']);
  });

  it('have the key of their own region', () => {
    const { primary, replica } = resolved(encrypted).servers;
    expect(primary.customerManagedKey?.primary.keyId).toMatch(/cmk-eus\./);
    expect(primary.customerManagedKey?.geoBackup?.keyId).toMatch(/cmk-wus\./);
    expect(replica?.customerManagedKey).toEqual({
      primary: expect.objectContaining({ keyId: expect.stringMatching(/cmk-wus2\./) }),
    });
    expect(resolved(production).servers.primary).not.toHaveProperty('customerManagedKey');
  });
});

describe('the network of an environment', () => {
  it('has both regions and the zone of private endpoints', () => {
    expect(resolved(production).network).toMatchObject({
      mode: 'privateEndpoint',
      primary: { location: 'eastus', endpointSubnet: { range: '10.30.1.0/24' } },
      recovery: { location: 'westus2', endpointSubnet: { range: '10.31.1.0/24' } },
      postgresqlZone: { name: 'privatelink.postgres.database.azure.com', existing: false },
      keyVaultZone: { name: 'privatelink.vaultcore.azure.net', existing: false },
    });
    expect(resolved(staging).network.recovery).toBeUndefined();
  });

  it('has the delegated subnets and a zone of its own for injected servers', () => {
    const { network } = resolved(injected);
    if (network.mode !== 'virtualNetworkInjected') throw new Error(network.mode);
    expect(network.primary.delegatedSubnet.range).toBe('10.30.2.0/24');
    expect(network.recovery?.delegatedSubnet.range).toBe('10.31.2.0/24');
    expect(network.postgresqlZone.name).toBe('llama-mapper-production.private.postgres.database.azure.com');
  });

  it('has the allowed ranges of public servers, and no zone for them', () => {
    expect(resolved(open).network).toMatchObject({ mode: 'public', allowedRanges: [{ name: 'office' }] });
    expect(resolved(open).network).not.toHaveProperty('postgresqlZone');
  });

  it('takes adopted zones by name', () => {
    const zone = { name: 'db.postgres.database.azure.com', resourceGroup: 'hub', existing: true };
    const { network } = resolved(injected, { 'network.postgresqlZone': zone });
    expect(network).toMatchObject({ postgresqlZone: zone });
  });
});

describe('the rest of an environment', () => {
  it('has the pooler port only with PgBouncer', () => {
    expect(resolved(production).databasePorts).toEqual([5432, 6432]);
    expect(resolved(development).databasePorts).toEqual([5432]);
  });

  it('has password login only if it is on', () => {
    expect(resolved(production).authentication).not.toHaveProperty('passwordLogin');
    expect(resolved(withPassword).authentication.passwordLogin).toEqual({
      login: 'llama_admin',
      version: 1,
    });
  });

  it('is what the settings have otherwise', () => {
    const { server, replica, network, writer, ...rest } = settings(production);
    expect([server, replica, network, writer].every((part) => part !== undefined)).toBe(true);
    expect(resolved(production)).toMatchObject(rest);
  });
});

describe('settings that a rule refuses', () => {
  it.each([
    ['compute/known-sku', { server: { ...settings(staging).server, sku: 'GP_Standard_D5s_v3' } }],
    ['replica/writer-exists', { writer: 'replica' as const }],
  ])('do not resolve: %s', (rule, change) => {
    expect(() => resolve({ ...settings(staging), ...change })).toThrow(rule);
  });
});

it('is the only form of settings that the stacks know', () => {
  const folder = join(import.meta.dirname, '../../stacks');
  const imports = readdirSync(folder).flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(/from '\.\.\/environments\/(.*)'/g)].map(
      ([, from]) => from,
    ),
  );
  expect([...new Set(imports)]).toEqual(['resolved.ts']);
});

it('resolves every environment of the project', () => {
  expect(environments.all().map(({ name }) => name)).toEqual(environments.names);
});
