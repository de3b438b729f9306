import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type LocalAzure, startLocalAzure } from '../../../local/azure/index.ts';
import { orphans } from '../../../pipeline/adopt/orphans.ts';
import { valuesOf } from '../../../pipeline/adopt/resource-types.ts';
import { Stack } from '../../../pipeline/adopt/stack.ts';
import { type Survey, survey } from '../../../pipeline/adopt/survey.ts';
import { parseState, type State } from '../../../pipeline/adopt/terraform.ts';
import { stackOf } from '../../stacks/stack.ts';
import { within } from './azure.ts';

const text = stackOf('production').text;
const stack = new Stack('', text);
let azure: LocalAzure;
beforeEach(async () => {
  azure = await startLocalAzure();
});
afterEach(() => azure.stop());

const group = () => `/subscriptions/${azure.subscriptionId}/resourceGroups/comply-ai-production-rg`;
const server = () => `${group()}/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-production`;

/** Something that Azure has. */
const there = (id: string, properties: Record<string, string | object> = {}) =>
  azure.state.put(id, {
    location: 'eastus',
    properties: { provisioningState: 'Succeeded', ...properties } as never,
  });

/** A state with these resources; an id ending in `!` is that of a tainted one. */
function stateWith(resources: Readonly<Record<string, string>>): State {
  const document = {
    serial: 3,
    resources: Object.entries(resources).map(([address, id]) => {
      const [type, name] = address.split('.');
      const attributes = { id: id.replace(/!$/, '') };
      return {
        mode: 'managed',
        type,
        name,
        instances: [id.endsWith('!') ? { status: 'tainted', attributes } : { attributes }],
      };
    }),
  };
  return parseState(JSON.stringify(document));
}

const look = (state = stateWith({}), of = stack): Promise<Survey> =>
  survey(valuesOf(of, within(azure)), state);

describe('a survey', () => {
  it('of an empty subscription finds nothing, and leaves the creation to the next deployment', async () => {
    const { adoptable, tainted, obstacles, missing } = await look();
    expect({ adoptable, tainted, obstacles }).toEqual({ adoptable: [], tainted: [], obstacles: [] });
    expect(missing).toContain('azurerm_postgresql_flexible_server.server');
    expect(missing).not.toContain('terraform_data.post_deploy');
    expect(azure.unknown).toEqual([]);
  });

  it('finds resources of Azure that the state lacks, in the order of the stack', async () => {
    there(group());
    there(server(), { state: 'Ready' });
    const { adoptable } = await look();
    expect(adoptable).toEqual(
      [
        { address: 'azurerm_resource_group.resource_group', importId: group() },
        { address: 'azurerm_postgresql_flexible_server.server', importId: server() },
      ].sort(
        (a, b) =>
          [...stack.resources.keys()].indexOf(a.address) - [...stack.resources.keys()].indexOf(b.address),
      ),
    );
  });

  it('leaves out resources of the state', async () => {
    there(group());
    const { adoptable, missing } = await look(
      stateWith({ 'azurerm_resource_group.resource_group': group() }),
    );
    expect(adoptable).toEqual([]);
    expect(missing).not.toContain('azurerm_resource_group.resource_group');
  });

  it('leaves parameters to the next deployment, because every server has them', async () => {
    there(group());
    there(server(), { state: 'Ready' });
    there(`${server()}/configurations/log_connections`, { value: 'on' });
    const { adoptable, missing } = await look();
    expect([...adoptable.map(({ address }) => address), ...missing].join()).not.toContain('configuration');
  });

  it('finds a role of an identity that only Azure knows', async () => {
    there(group());
    const vault = `${group()}/providers/Microsoft.DataProtection/backupVaults/llama-mapper-backup-production`;
    azure.state.put(vault, {
      identity: { principalId: 'the-vault' },
      properties: { provisioningState: 'Succeeded' },
    });
    const reader = '/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7';
    const assignments = `${group()}/providers/Microsoft.Authorization/roleAssignments`;
    there(`${assignments}/one`, { scope: group(), principalId: 'the-vault', roleDefinitionId: reader });
    there(`${assignments}/two`, { scope: group(), principalId: 'somebody', roleDefinitionId: reader });
    const { adoptable } = await look();
    expect(adoptable).toContainEqual({
      address: 'azurerm_role_assignment.long_term_backup_reader',
      importId: `${assignments}/one`,
    });
  });

  it('finds a virtual endpoint that a switchover has moved under the other server', async () => {
    const replica = `/subscriptions/${azure.subscriptionId}/resourceGroups/comply-ai-production-dr-rg/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-replica-production`;
    const endpoint = 'virtualEndpoints/llama-mapper-endpoint-production';
    there(`${replica}/${endpoint}`);
    const { adoptable } = await look();
    expect(adoptable).toEqual([
      {
        address: 'azurerm_postgresql_flexible_server_virtual_endpoint.virtual_endpoint',
        importId: `${server()}/${endpoint}|${replica}/${endpoint}`,
      },
    ]);
  });

  it('finds an association of a subnet only if the subnet has a security group', async () => {
    const subnet = `${group()}/providers/Microsoft.Network/virtualNetworks/comply-ai-vnet-production/subnets/llama-mapper-endpoints`;
    const association = 'azurerm_subnet_network_security_group_association.endpoint_subnet_association';
    there(subnet);
    expect((await look()).adoptable.map(({ address }) => address)).not.toContain(association);
    there(subnet, { networkSecurityGroup: { id: 'one' } });
    expect((await look()).adoptable).toContainEqual({ address: association, importId: subnet });
  });

  it.for([
    ['Creating', 'operation-running', /Run the command again/],
    ['Failed', 'creation-failed', /az resource delete --ids \/subscriptions/],
  ] as const)('does not adopt a resource in state %s', async ([state, kind, remedy]) => {
    there(`${group()}/providers/Microsoft.Network/virtualNetworks/comply-ai-vnet-production`, {
      provisioningState: state,
    });
    const { adoptable, obstacles } = await look();
    expect(adoptable).toEqual([]);
    expect(obstacles).toMatchObject([{ address: 'azurerm_virtual_network.network' }]);
    expect(obstacles[0]?.kind).toBe(kind);
    expect(obstacles[0]?.what).toContain(state === 'Creating' ? state : 'failed');
    expect(obstacles[0]?.remedy).toMatch(remedy);
  });

  it('does not adopt the record of a failed deployment, because its key was not created', async () => {
    there(`${group()}/providers/Microsoft.Resources/deployments/key-vault-key-field-encryption`, {
      provisioningState: 'Failed',
    });
    const { adoptable, obstacles } = await look();
    expect(adoptable).toEqual([]);
    expect(obstacles).toMatchObject([
      { kind: 'deployment-failed', remedy: expect.stringMatching(/az resource delete --ids .*deployments/) },
    ]);
  });

  it('keeps a tainted server that is complete in Azure, and not one with a running operation', async () => {
    const state = stateWith({ 'azurerm_postgresql_flexible_server.server': `${server()}!` });
    there(server(), { provisioningState: '', state: 'Ready' });
    expect(await look(state)).toMatchObject({
      adoptable: [],
      tainted: [{ address: 'azurerm_postgresql_flexible_server.server', id: server() }],
    });
    there(server(), { provisioningState: '', state: 'Updating' });
    const { tainted, obstacles } = await look(state);
    expect(tainted).toEqual([]);
    expect(obstacles).toHaveLength(1);
  });

  it.for(['Inaccessible', 'Disabled'])('never advises to delete a server that is %s', async (state) => {
    there(server(), { provisioningState: '', state });
    const { adoptable, obstacles } = await look();
    expect(adoptable).toEqual([]);
    expect(obstacles).toMatchObject([
      {
        address: 'azurerm_postgresql_flexible_server.server',
        kind: 'key-out-of-reach',
        what: expect.stringContaining(state.toLowerCase()),
        remedy: expect.stringMatching(/^Never delete it\./),
      },
    ]);
  });

  it('leaves the post-deploy step tainted: the next deployment runs it again', async () => {
    const { tainted } = await look(stateWith({ 'terraform_data.post_deploy': 'one!' }));
    expect(tainted).toEqual([]);
  });
});

describe('a vault that was deleted', () => {
  const deleted = (resourceGroup: string) =>
    azure.azure.memory.map('deletedVaults').set('comply-ai-kv-production', {
      id: `/subscriptions/${azure.subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.KeyVault/vaults/comply-ai-kv-production`,
      body: { location: 'eastus', properties: {} },
      deletedAt: Date.parse('2026-11-20T10:00:00Z'),
    });

  it('is recovered by the next deployment if it is in the same group', async () => {
    deleted('comply-ai-production-rg');
    const { notes, obstacles } = await look();
    expect(obstacles).toEqual([]);
    expect(notes).toEqual([
      'Vault comply-ai-kv-production was deleted on 2026-11-20T10:00:00.000Z. The next deployment recovers it with its keys.',
    ]);
  });

  it('needs manual action if it was in another group', async () => {
    deleted('another-rg');
    const { obstacles } = await look();
    expect(obstacles).toMatchObject([
      { kind: 'deleted-in-another-group', what: expect.stringContaining('another-rg') },
    ]);
  });

  it('needs manual action if the provider must not recover it', async () => {
    deleted('comply-ai-production-rg');
    const changed = text.replace(
      '"recover_soft_deleted_key_vaults": true',
      '"recover_soft_deleted_key_vaults": false',
    );
    expect(changed).not.toBe(text);
    const { obstacles } = await look(stateWith({}), new Stack('', changed));
    expect(obstacles[0]?.kind).toBe('deleted-and-not-recovered');
    expect(obstacles[0]?.remedy).toMatch(
      /az keyvault recover --name comply-ai-kv-production --location eastus/,
    );
  });
});

describe('strays', () => {
  const stray = async (state = stateWith({})) =>
    (await orphans(valuesOf(stack, within(azure)), state)).map(({ id }) =>
      id.slice(id.indexOf('/providers/')),
    );

  it("are unclaimed resources in the environment's groups", async () => {
    there(group());
    there(server());
    there(`${group()}/providers/Microsoft.Storage/storageAccounts/forgotten`);
    there(`${server()}/databases/experiment`);
    there(`${server()}/firewallRules/everybody`);
    expect(await stray()).toEqual([
      '/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-production/databases/experiment',
      '/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-production/firewallRules/everybody',
      '/providers/Microsoft.Storage/storageAccounts/forgotten',
    ]);
    expect(azure.unknown).toEqual([]);
  });

  it('are neither in the state under another name, nor companions that Azure creates', async () => {
    there(group());
    const former = `${group()}/providers/Microsoft.Insights/metricAlerts/former`;
    there(former);
    there(`${group()}/providers/Microsoft.Network/networkInterfaces/llama-mapper-production-endpoint-nic`);
    there(`${server()}/databases/azure_sys`);
    expect(await stray(stateWith({ 'azurerm_monitor_metric_alert.former': former }))).toEqual([]);
  });

  it('exclude databases and administrators that a replica has from its primary, and include its firewall rules', async () => {
    const replica = server()
      .replace('production-rg', 'production-dr-rg')
      .replace('llama-mapper-production', 'llama-mapper-replica-production');
    there(replica, { replicationRole: 'GeoAsyncReplica' });
    for (const child of ['administrators/group', 'databases/llama_mapper', 'firewallRules/everybody'])
      there(`${replica}/${child}`);
    expect(await stray()).toEqual([
      '/providers/Microsoft.DBforPostgreSQL/flexibleServers/llama-mapper-replica-production/firewallRules/everybody',
    ]);
  });

  it('are not searched in other groups', async () => {
    there(
      `/subscriptions/${azure.subscriptionId}/resourceGroups/comply-ai-rg/providers/Microsoft.Storage/storageAccounts/theirs`,
    );
    expect(await stray()).toEqual([]);
  });
});

describe('a subnet in an adopted network', () => {
  const adopted = new Stack(
    '',
    stackOf('production', ({ network }) => {
      Object.assign(network.primary.virtualNetwork, { existing: true, resourceGroup: 'network-rg' });
    }).text,
  );
  const network = () =>
    `/subscriptions/${azure.subscriptionId}/resourceGroups/network-rg/providers/Microsoft.Network`;
  const subnet = () =>
    `${network()}/virtualNetworks/comply-ai-vnet-production/subnets/llama-mapper-endpoints`;
  const addresses = [
    'azurerm_subnet.endpoint_subnet',
    'azurerm_subnet_network_security_group_association.endpoint_subnet_association',
  ];
  const groupNamed = (name: string) => ({
    networkSecurityGroup: { id: `${network()}/networkSecurityGroups/${name}` },
  });

  it.each([
    ['a security group', () => groupNamed('hub-nsg'), /security group hub-nsg/],
    ['a route table', () => ({ routeTable: { id: `${network()}/routeTables/to-hub` } }), /routeTable/],
  ])('is not taken if its owner has given it %s', async (_, properties, what) => {
    there(subnet(), properties());
    const { adoptable, obstacles } = await look(stateWith({}), adopted);
    expect(adoptable).toEqual([]);
    expect(obstacles).toContainEqual({
      kind: 'belongs-to-the-network',
      address: addresses[0],
      id: subnet(),
      what: expect.stringMatching(what),
      remedy: expect.stringContaining('existing: true'),
    });
  });

  it('is adopted if an interrupted deployment has made it', async () => {
    there(subnet(), groupNamed('comply-ai-vnet-production-llama-mapper-endpoints-nsg'));
    const { adoptable, obstacles } = await look(stateWith({}), adopted);
    expect(obstacles).toEqual([]);
    expect(adoptable.map(({ address }) => address)).toEqual(addresses);
  });
});
