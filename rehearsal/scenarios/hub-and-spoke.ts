import { builtInRoles } from '../../azure/built-in-roles.ts';
import { stableGuid } from '../../azure/guid.ts';
import { objectsAt, textAt } from '../../core/json.ts';
import { endpointZones } from '../../environments/resolved.ts';
import type { Scenario } from '../sandbox/scenario.ts';

/** The subscription of the platform team. */
const hub = '7d0c1b52-4c1e-4a8e-9b57-0c6b0a1d9e21';
const hubGroup = `/subscriptions/${hub}/resourceGroups/hub-rg/providers`;
const shared = { existing: true, resourceGroup: 'hub-rg', subscriptionId: hub } as const;
const securityGroup = `${hubGroup}/Microsoft.Network/networkSecurityGroups/spoke-nsg`;
const routeTable = `${hubGroup}/Microsoft.Network/routeTables/to-firewall`;
const logs = `${hubGroup}/Microsoft.OperationalInsights/workspaces/hub-logs`;
const zone = `${hubGroup}/Microsoft.Network/privateDnsZones/${endpointZones.postgresql}`;

export const scenario: Scenario = {
  name: 'hub-and-spoke',
  title:
    'Subnets, zones and workspace of a platform team in another subscription are used, and nothing of them is changed',
  needs: ['unprotected', 'noReplica'],
  isLong: true,
  startsFrom: 'empty',
  async run(sandbox) {
    const { state } = sandbox.azure;
    const { location, network } = sandbox.settings;
    const { virtualNetwork, endpointSubnet } = network.primary;
    const networkId = `${hubGroup}/Microsoft.Network/virtualNetworks/${virtualNetwork.name}`;
    const subnetId = `${networkId}/subnets/${endpointSubnet.name}`;
    const properties = { provisioningState: 'Succeeded' };
    const owned = {
      [networkId]: { ...properties, addressSpace: { addressPrefixes: [...virtualNetwork.addressSpace] } },
      [subnetId]: {
        ...properties,
        addressPrefix: endpointSubnet.range,
        networkSecurityGroup: { id: securityGroup },
        routeTable: { id: routeTable },
      },
      [securityGroup]: properties,
      [routeTable]: properties,
      [zone]: properties,
      [logs]: { ...properties, retentionInDays: 365, features: { disableLocalAuth: true } },
    };
    for (const [id, given] of Object.entries(owned)) state.put(id, { location, properties: given });
    // The platform team lets the deploying identity use them.
    for (const id of [subnetId, zone, logs])
      state.put(`${id}/providers/Microsoft.Authorization/roleAssignments/${stableGuid(id)}`, {
        properties: {
          roleDefinitionId: `/subscriptions/${hub}/providers/Microsoft.Authorization/roleDefinitions/${builtInRoles.Contributor.id}`,
          principalId: sandbox.azure.directory.options.client.objectId,
          principalType: 'ServicePrincipal',
          scope: id,
          createdOn: new Date(0).toISOString(),
        },
      });

    await sandbox.assertDeploys(
      {
        change: (input) => {
          Object.assign(input.network.primary.virtualNetwork, shared);
          input.network.primary.endpointSubnet.existing = true;
          if (input.network.mode !== 'public') input.network.postgresqlZone = { ...shared };
          input.network.keyVaultZone = { byPolicy: true };
          Object.assign(input.logAnalytics, { ...shared, name: 'hub-logs' });
        },
      },
      'the deployment succeeds',
    );
    const written = sandbox.changesSince(0).filter((change) => change.includes(hub));
    sandbox.check('nothing of the hub was written', written.length === 0, () => written.join(', '));
    const types = ['networkSecurityGroups', 'virtualNetworks', 'privateDnsZones'] as const;
    for (const type of types) {
      const own = state.ofType(`Microsoft.Network/${type}`).filter(({ id }) => !id.includes(hub));
      sandbox.check(`the environment has no ${type} of its own`, own.length === 0, () =>
        own.map(({ id }) => id).join(', '),
      );
    }
    const endpoints = state.ofType('Microsoft.Network/privateEndpoints');
    sandbox.check(
      'both endpoints are in the subnet of the spoke',
      endpoints.length === 2 &&
        endpoints.every(({ body }) => textAt(body, 'properties', 'subnet', 'id') === subnetId),
    );

    // The policy registers the endpoint of the vault.
    const vault = endpoints.find(({ body }) =>
      objectsAt(body, 'properties', 'privateLinkServiceConnections').some((one) =>
        (textAt(one, 'properties', 'privateLinkServiceId') ?? '').includes('/vaults/'),
      ),
    );
    const registered = `${hubGroup}/Microsoft.Network/privateDnsZones/${endpointZones.keyVault}`;
    state.put(`${vault?.id}/privateDnsZoneGroups/deployedByPolicy`, {
      properties: {
        ...properties,
        privateDnsZoneConfigs: [{ name: 'vault', properties: { privateDnsZoneId: registered } }],
      },
    });
    await sandbox.assertEmptyPlan('with the registration of the policy, the plan is empty');
  },
};
