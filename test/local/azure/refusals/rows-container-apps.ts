import type { AzureFixture } from '../../../support/azure-fixture.ts';
import { put, type RefusedRows, remove } from './rows.ts';

const net = 'Microsoft.Network/virtualNetworks/net';
const environment = 'Microsoft.App/managedEnvironments/one';
const identity = 'Microsoft.ManagedIdentity/userAssignedIdentities/one';

async function subnet(local: AzureFixture, name: string, range: string, service?: string) {
  await put(local, net, { properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } } });
  await put(local, `${net}/subnets/${name}`, {
    location: undefined,
    properties: {
      addressPrefix: range,
      delegations: service ? [{ name: 'one', properties: { serviceName: service } }] : [],
    },
  });
}

const environmentIn = (local: AzureFixture, name: string, path: string = environment) =>
  put(local, path, {
    properties: {
      vnetConfiguration: {
        infrastructureSubnetId: local.resource(`${net}/subnets/${name}`),
        internal: true,
      },
    },
  });

const job = (local: AzureFixture, changed: { cpu?: number; environment?: string; pulls?: string } = {}) =>
  put(local, 'Microsoft.App/jobs/one', {
    identity: { type: 'UserAssigned', userAssignedIdentities: { [local.resource(identity)]: {} } },
    properties: {
      environmentId: local.resource(changed.environment ?? environment),
      configuration: {
        triggerType: 'Manual',
        replicaTimeout: 60,
        registries: [{ server: 'a.azurecr.io', identity: local.resource(changed.pulls ?? identity) }],
      },
      template: {
        containers: [
          { name: 'one', image: 'a.azurecr.io/a', resources: { cpu: changed.cpu ?? 0.5, memory: '1Gi' } },
        ],
      },
    },
  });

async function ready(local: AzureFixture) {
  await subnet(local, 'jobs', '10.0.1.0/27', 'Microsoft.App/environments');
  await environmentIn(local, 'jobs');
  await put(local, identity);
}

export const containerAppRows: RefusedRows = {
  'Container Apps: subnetNotDelegated': async (local) => {
    await subnet(local, 'jobs', '10.0.1.0/27');
    return environmentIn(local, 'jobs');
  },
  'Container Apps: subnetTooSmall': async (local) => {
    await subnet(local, 'jobs', '10.0.1.0/28', 'Microsoft.App/environments');
    return environmentIn(local, 'jobs');
  },
  'Container Apps: subnetInUse': async (local) => {
    await ready(local);
    return environmentIn(local, 'jobs', 'Microsoft.App/managedEnvironments/two');
  },
  'Container Apps: environmentNotFound': async (local) => {
    await ready(local);
    return job(local, { environment: 'Microsoft.App/managedEnvironments/absent' });
  },
  'Container Apps: environmentInUse': async (local) => {
    await ready(local);
    await job(local);
    return remove(local, environment);
  },
  'Container Apps: resourcesNotOffered': async (local) => {
    await ready(local);
    return job(local, { cpu: 0.3 });
  },
  'Container Apps: identityNotAssigned': async (local) => {
    await ready(local);
    return job(local, { pulls: 'Microsoft.ManagedIdentity/userAssignedIdentities/other' });
  },
};
