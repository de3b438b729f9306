/** Refusals around a server: locks, roles, vaults, workspaces, networks, logins. */
import { beforeEach, describe, expect, it } from 'vitest';
import { keyVersions, rotateKey } from '../../../../local/azure/providers/key-vault/data.ts';
import { serverDocument, useLocalAzure } from '../../../support/azure-fixture.ts';
import { network } from './rows.ts';

describe('refusals around a server', () => {
  const fixture = useLocalAzure();

  describe('a lock', () => {
    const locks = (scope: string) => `${scope}/providers/Microsoft.Authorization/locks/keep`;

    it('protects everything below it, until it is gone', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      await fixture.client.done('PUT', `${fixture.server('main')}/databases/llama`, {});
      const lock = locks(fixture.server('main'));
      const made = await fixture.client.arm('PUT', lock, { properties: { level: 'CanNotDelete' } });
      expect(made.status).toBe(201);
      const refused = await fixture.client.arm('DELETE', `${fixture.server('main')}/databases/llama`);
      expect(refused).toMatchObject({ status: 409, body: { error: { code: 'ScopeLocked' } } });
      expect((await fixture.client.arm('DELETE', fixture.group)).body.error.code).toBe('ScopeLocked');
      expect((await fixture.client.arm('DELETE', lock)).status).toBe(200);
      expect((await fixture.client.arm('DELETE', `${fixture.server('main')}/databases/llama`)).status).toBe(
        202,
      );
    });
  });

  describe('a resource group', () => {
    it('lists its resources with their state and a limit, as the provider reads them before a deletion', async () => {
      await fixture.client.done('PUT', fixture.server('main'), serverDocument());
      const list = async (top: number) => {
        const query = `$expand=provisioningState&$top=${top}&api-version=2023-07-01`;
        const headers = await fixture.client.authorization('https://management.azure.com');
        const { status, text } = await fixture.client.call('GET', `${fixture.group}/resources?${query}`, {
          headers,
        });
        return { status, ...JSON.parse(text) };
      };
      expect(await list(10)).toMatchObject({
        status: 200,
        value: [{ id: fixture.server('main'), provisioningState: 'Succeeded' }],
      });
      expect(await list(0)).toEqual({ status: 200, value: [] });
    });
  });

  describe('a Key Vault', () => {
    const vault = () => `${fixture.group}/providers/Microsoft.KeyVault/vaults/secrets`;
    const put = (properties: object = {}) =>
      fixture.client.arm('PUT', vault(), { location: 'eastus', properties });

    it('keeps its name when it is deleted', async () => {
      await put({ enablePurgeProtection: true });
      await fixture.client.arm('DELETE', vault());
      expect((await put()).body.error.code).toBe('ConflictError');
      const deleted = `/subscriptions/${fixture.azure.subscriptionId}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/secrets`;
      expect((await fixture.client.arm('GET', deleted)).status).toBe(200);
      expect((await fixture.client.arm('POST', `${deleted}/purge`, {})).status).toBe(409);
      expect((await put({ createMode: 'recover' })).body.properties.enablePurgeProtection).toBe(true);
    });

    it.each(['alone', 'with its group'])(
      'comes back with its keys and their versions, deleted %s',
      async (how) => {
        const { client, azure, group } = fixture;
        await put({ enablePurgeProtection: true });
        const key = () => client.arm('GET', `${vault()}/keys/llama`);
        await client.arm('PUT', `${vault()}/keys/llama`, { properties: { kty: 'RSA' } });
        rotateKey(azure.azure, `${vault()}/keys/llama`);
        const before = await key();
        const versions = keyVersions(azure.azure, `${vault()}/keys/llama`);
        await client.done('DELETE', how === 'alone' ? vault() : group);
        expect((await key()).status).toBe(404);
        await client.arm('PUT', group, { location: 'eastus' });
        expect((await put({ createMode: 'recover' })).status).toBe(201);
        expect((await key()).body).toEqual(before.body);
        expect(keyVersions(azure.azure, `${vault()}/keys/llama`)).toEqual(versions);
      },
    );

    it('is recovered in its own group', async () => {
      const { client, group } = fixture;
      await put();
      await client.arm('DELETE', vault());
      await client.arm('PUT', `${group}-two`, { location: 'eastus' });
      const elsewhere = `${group}-two/providers/Microsoft.KeyVault/vaults/secrets`;
      const recover = (id: string) =>
        client.arm('PUT', id, { location: 'eastus', properties: { createMode: 'recover' } });
      expect((await recover(elsewhere)).body.error.code).toBe('SoftDeletedVaultDoesNotExist');
      expect(
        (await recover(vault().toUpperCase().replace('/VAULTS/SECRETS', '/vaults/secrets'))).status,
      ).toBe(201);
    });

    it('loses its role assignments and private endpoints when it is deleted', async () => {
      const { azure } = fixture;
      await put();
      const assignment = `${vault()}/providers/Microsoft.Authorization/roleAssignments/reader`;
      azure.state.put(assignment, { properties: {} });
      const kept = azure.state.get(vault());
      if (kept) kept.body = { ...kept.body, properties: { privateEndpointConnections: [{ id: 'one' }] } };
      await fixture.client.arm('DELETE', vault());
      await put({ createMode: 'recover' });
      expect(azure.state.get(assignment)).toBeUndefined();
      expect(azure.state.get(vault())?.body['properties']).not.toHaveProperty('privateEndpointConnections');
    });

    it('frees its name after its retention', async () => {
      await put({ softDeleteRetentionInDays: 7 });
      await fixture.client.arm('DELETE', vault());
      fixture.azure.clock.advance(6 * 24 * 3_600_000);
      expect((await put()).body.error.code).toBe('ConflictError');
      fixture.azure.clock.advance(24 * 3_600_000);
      expect((await put()).status).toBe(201);
    });

    it('creates a key once, and hardware keys only if it is premium', async () => {
      await put({ sku: { family: 'A', name: 'standard' } });
      const key = (name: string, kty: string) =>
        fixture.client.arm('PUT', `${vault()}/keys/${name}`, { properties: { kty } });
      expect((await key('hard', 'RSA-HSM')).status).toBe(400);
      const first = await key('soft', 'RSA');
      const again = await key('soft', 'RSA');
      expect(again.body.properties.keyUriWithVersion).toBe(first.body.properties.keyUriWithVersion);
      expect((await fixture.client.arm('DELETE', `${vault()}/keys/soft`)).status).toBe(501);
    });
  });

  describe('a diagnostic setting', () => {
    const setting = () => `${fixture.server('main')}/providers/Microsoft.Insights/diagnosticSettings/logs`;

    it.each(['server', 'group'])(
      'applies to a new server of the name after its %s was deleted',
      async (what) => {
        const { client, group } = fixture;
        const logs = [{ category: 'PostgreSQLLogs', enabled: true }];
        await fixture.create('main');
        await client.arm('PUT', setting(), { properties: { logs } });
        await client.done('DELETE', what === 'group' ? group : fixture.server('main'));
        expect((await client.arm('GET', setting())).status).toBe(404);
        await client.arm('PUT', group, { location: 'eastus' });
        await fixture.create('main');
        expect((await client.arm('GET', setting())).body.properties['logs']).toEqual(logs);
        await client.arm('DELETE', setting());
        await client.done('DELETE', fixture.server('main'));
        await fixture.create('main');
        expect((await client.arm('GET', setting())).status).toBe(404);
      },
    );
  });

  describe('what belongs to a region', () => {
    const endpoint = (location: string) =>
      fixture.client.done('PUT', fixture.resource('Microsoft.Network/privateEndpoints/main'), {
        location,
        properties: {
          subnet: { id: fixture.resource('Microsoft.Network/virtualNetworks/net/subnets/one') },
          privateLinkServiceConnections: [
            {
              name: 'one',
              properties: { privateLinkServiceId: fixture.server('main'), groupIds: ['postgresqlServer'] },
            },
          ],
        },
      });

    it('is a private endpoint, which is in the region of its network and not of its server', async () => {
      await network(fixture);
      await fixture.create('main', { location: 'westus2' });
      expect((await endpoint('westus2')).body.error.code).toBe('InvalidResourceReference');
      expect((await endpoint('East US')).body.status).toBe('Succeeded');
    });

    it('is a security group, which is in the region of the network of its subnet', async () => {
      await network(fixture);
      const group = (name: string) => fixture.resource(`Microsoft.Network/networkSecurityGroups/${name}`);
      const subnet = (name: string) =>
        fixture.client.done('PUT', fixture.resource('Microsoft.Network/virtualNetworks/net/subnets/two'), {
          properties: { addressPrefix: '10.0.2.0/24', networkSecurityGroup: { id: group(name) } },
        });
      for (const location of ['eastus', 'westus2'])
        await fixture.client.done('PUT', group(location), { location, properties: { securityRules: [] } });
      expect((await subnet('westus2')).body.error.code).toBe('InvalidResourceReference');
      expect((await subnet('eastus')).body.status).toBe('Succeeded');
    });
  });

  describe('a ReadOnly lock', () => {
    it('refuses changes and actions of everything below it', async () => {
      const { client, group } = fixture;
      await fixture.create('main');
      const lock = `${group}/providers/Microsoft.Authorization/locks/frozen`;
      await client.arm('PUT', lock, { properties: { level: 'ReadOnly' } });
      const refused = [
        await client.arm('PATCH', fixture.server('main'), { tags: {} }),
        await client.arm('POST', `${fixture.server('main')}/restart`, {}),
        await client.arm('PUT', `${fixture.server('main')}/configurations/work_mem`, {
          properties: { value: '8192' },
        }),
      ];
      expect(refused.map(({ body }) => body.error.code)).toEqual(Array(3).fill('ScopeLocked'));
      const listed = await client.arm(
        'GET',
        `${fixture.server('main')}/providers/Microsoft.Authorization/locks`,
      );
      expect(JSON.parse(listed.text).value).toEqual([]);
    });
  });

  describe('a role assignment', () => {
    const roles = useLocalAzure({ roleAssignmentDelayMs: 60_000 });

    it('takes effect after a delay', async () => {
      const { azure, client, group } = roles;
      const backups = `${group}/providers/Microsoft.DataProtection/backupVaults/backups`;
      await roles.create('main');
      await client.done('PUT', backups, {
        location: 'eastus',
        identity: { type: 'SystemAssigned' },
        properties: { storageSettings: [] },
      });
      await client.arm('PUT', `${backups}/backupPolicies/weekly`, { properties: {} });
      const vault = JSON.parse((await client.arm('GET', backups)).text);
      const assign = (scope: string, role: string, name: string) =>
        client.arm('PUT', `${scope}/providers/Microsoft.Authorization/roleAssignments/${name}`, {
          properties: {
            principalId: vault.identity.principalId,
            principalType: 'ServicePrincipal',
            roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${role}`,
          },
        });
      await assign(group, 'acdd72a7-3385-48ef-bd42-f606fba81ae7', '00000000-0000-4000-8000-000000000001');
      await assign(
        roles.server('main'),
        'c088a766-074b-43ba-90d4-1fb21feae531',
        '00000000-0000-4000-8000-000000000002',
      );
      const protect = () =>
        client.arm('PUT', `${backups}/backupInstances/weekly`, {
          properties: {
            objectType: 'BackupInstance',
            dataSourceInfo: { resourceID: roles.server('main') },
            policyInfo: { policyId: `${backups}/backupPolicies/weekly` },
          },
        });
      expect((await protect()).body.error.code).toBe('UserErrorMissingPermissions');
      azure.clock.advance(60_000);
      expect((await protect()).status).toBe(201);
    });
  });

  describe('a Log Analytics workspace', () => {
    it('returns with its data if it is created again within two weeks', async () => {
      const { azure, client } = fixture;
      const path = fixture.resource('Microsoft.OperationalInsights/workspaces/logs-of-llama');
      const create = async () => {
        await client.done('PUT', path, { location: 'eastus', properties: {} });
        return (await client.arm('GET', path)).body.properties['customerId'];
      };
      const deleted = async () =>
        JSON.parse(
          (
            await client.arm(
              'GET',
              `/subscriptions/${azure.subscriptionId}/providers/Microsoft.OperationalInsights/deletedWorkspaces`,
            )
          ).text,
        ).value;
      const first = await create();
      await client.done('DELETE', path);
      expect(await deleted()).toHaveLength(1);
      expect(await create()).toBe(first);
      await client.done('DELETE', path);
      azure.clock.advance(15 * 24 * 3_600_000);
      expect(await deleted()).toEqual([]);
    });
  });

  describe('a server inside a virtual network', () => {
    const zone = 'Microsoft.Network/privateDnsZones/llama.postgres.database.azure.com';
    const subnet = (name: string) =>
      fixture.resource(`Microsoft.Network/virtualNetworks/net/subnets/${name}`);
    const injected = (network: object, location = 'eastus') =>
      fixture.create('main', {
        location,
        properties: {
          network: {
            delegatedSubnetResourceId: subnet('servers'),
            privateDnsZoneArmResourceId: fixture.resource(zone),
            publicNetworkAccess: 'Disabled',
            ...network,
          },
        },
      });
    beforeEach(async () => {
      const { client } = fixture;
      await client.done('PUT', fixture.resource('Microsoft.Network/virtualNetworks/net'), {
        location: 'eastus',
        properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
      });
      const delegations = [
        { name: 'servers', properties: { serviceName: 'Microsoft.DBforPostgreSQL/flexibleServers' } },
      ];
      for (const [name, addressPrefix, delegated] of [
        ['servers', '10.0.1.0/28', true],
        ['narrow', '10.0.2.0/29', true],
        ['endpoints', '10.0.3.0/24', false],
      ] as const)
        await client.done('PUT', subnet(name), {
          properties: { addressPrefix, ...(delegated ? { delegations } : {}) },
        });
      for (const name of ['llama', 'main', 'elsewhere.example'])
        await client.done(
          'PUT',
          fixture.resource(
            `Microsoft.Network/privateDnsZones/${name}${name.includes('.') ? '' : '.postgres.database.azure.com'}`,
          ),
          { location: 'global' },
        );
    });

    it.each([
      [
        'a subnet that is too small',
        () => ({ delegatedSubnetResourceId: subnet('narrow') }),
        'SubnetTooSmall',
      ],
      [
        'one that is not delegated',
        () => ({ delegatedSubnetResourceId: subnet('endpoints') }),
        'SubnetNotDelegated',
      ],
      ['no zone', () => ({ privateDnsZoneArmResourceId: null }), 'PrivateDnsZoneRequired'],
      [
        'a zone of another name',
        () => ({
          privateDnsZoneArmResourceId: fixture.resource(
            'Microsoft.Network/privateDnsZones/elsewhere.example',
          ),
        }),
        'InvalidPrivateDnsZoneName',
      ],
      [
        "a zone of the server's own name",
        () => ({
          privateDnsZoneArmResourceId: fixture.resource(
            'Microsoft.Network/privateDnsZones/main.postgres.database.azure.com',
          ),
        }),
        'InvalidPrivateDnsZoneName',
      ],
      ['public access', () => ({ publicNetworkAccess: 'Enabled' }), 'PublicNetworkAccessNotSupported'],
    ])('is refused with %s', async (_what, network, code) => {
      expect((await injected(network())).body.error.code).toBe(code);
    });

    it('is in the region of its network, and has neither a private endpoint nor firewall rules', async () => {
      const { client } = fixture;
      expect((await injected({}, 'westus2')).body.error.code).toBe('VirtualNetworkInAnotherRegion');
      expect((await injected({})).body.status).toBe('Succeeded');
      const rule = { properties: { startIpAddress: '10.0.0.1', endIpAddress: '10.0.0.9' } };
      const firewall = await client.arm('PUT', `${fixture.server('main')}/firewallRules/office`, rule);
      expect(firewall.body.error.code).toBe('FirewallRulesNotSupported');
      const endpoint = (target: string, subnetName: string, groupId: string) =>
        client.arm('PUT', fixture.resource('Microsoft.Network/privateEndpoints/main'), {
          location: 'eastus',
          properties: {
            subnet: { id: subnet(subnetName) },
            privateLinkServiceConnections: [
              {
                name: 'main',
                properties: { privateLinkServiceId: fixture.server(target), groupIds: [groupId] },
              },
            ],
          },
        });
      const code = async (answer: Promise<{ body: { error: { code: string } } }>) =>
        (await answer).body.error.code;
      expect(await code(endpoint('main', 'endpoints', 'postgresqlServer'))).toBe(
        'PrivateEndpointFeatureNotSupportedOnServer',
      );
      await fixture.create('open');
      expect(await code(endpoint('open', 'endpoints', 'postgres'))).toBe('InvalidGroupId');
      expect(await code(endpoint('open', 'servers', 'postgresqlServer'))).toBe(
        'PrivateEndpointCannotBeCreatedInSubnetWithDelegation',
      );
      expect((await endpoint('open', 'endpoints', 'postgresqlServer')).status).toBe(201);
    });
  });

  describe('a login', () => {
    it('is an Entra administrator of the same tenant, if Entra login is on', async () => {
      const { azure, client } = fixture;
      await fixture.create('main');
      await fixture.create('passwords', {
        properties: {
          authConfig: { activeDirectoryAuth: 'Disabled', passwordAuth: 'Enabled' },
          administratorLogin: 'llama_admin',
          administratorLoginPassword: 'Canary-of-a-password-1',
        },
      });
      const add = async (server: string, tenantId: string) => {
        const { body } = await client.done(
          'PUT',
          `${fixture.server(server)}/administrators/c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01`,
          { properties: { principalName: 'admins', principalType: 'Group', tenantId } },
        );
        return body.status ?? body.error.code;
      };
      expect(await add('main', azure.tenantId)).toBe('Succeeded');
      expect(await add('main', '00000000-0000-4000-8000-000000000000')).toBe('InvalidTenantId');
      expect(await add('passwords', azure.tenantId)).toBe('AadAuthOperationCannotBePerformedWhenDisabled');
    });

    it('comes from listed ranges, on a server with public access', async () => {
      const { client } = fixture;
      await fixture.create('main', { properties: { network: { publicNetworkAccess: 'Enabled' } } });
      const rule = async (startIpAddress: string, endIpAddress: string) => {
        const { body } = await client.done('PUT', `${fixture.server('main')}/firewallRules/office`, {
          properties: { startIpAddress, endIpAddress },
        });
        return body.status ?? body.error.code;
      };
      expect(await rule('20.50.10.8', '20.50.10.15')).toBe('Succeeded');
      expect(await rule('20.50.10.15', '20.50.10.8')).toBe('InvalidFirewallRule');
      expect(await rule('office', '20.50.10.8')).toBe('InvalidFirewallRule');
    });
  });
});
