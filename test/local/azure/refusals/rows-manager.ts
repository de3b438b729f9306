import { apiVersionOf } from '../../../../azure/resource-types.ts';
import { workflowToken } from '../../../../local/azure/index.ts';
import type { AzureFixture } from '../../../support/azure-fixture.ts';
import { ask, put, type RefusedRows } from './rows.ts';

const manager = 'management.azure.com';
const reader = '/providers/Microsoft.Authorization/roleDefinitions/acdd72a7-3385-48ef-bd42-f606fba81ae7';
const somebody = 'c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01';

function assign(local: AzureFixture, name: string, properties: object) {
  return local.client.done(
    'PUT',
    `${local.group}/providers/Microsoft.Authorization/roleAssignments/${name}`,
    {
      properties: {
        roleDefinitionId: reader,
        principalId: somebody,
        principalType: 'ServicePrincipal',
        ...properties,
      },
    },
  );
}

const one = '00000000-0000-4000-8000-000000000001';
const two = '00000000-0000-4000-8000-000000000002';

function defineRole(local: AzureFixture, name: string) {
  const scope = `/subscriptions/${local.azure.subscriptionId}`;
  return local.client.done('PUT', `${scope}/providers/Microsoft.Authorization/roleDefinitions/${name}`, {
    properties: {
      roleName: 'Planner',
      type: 'CustomRole',
      assignableScopes: [scope],
      permissions: [{ actions: ['*/read'] }],
    },
  });
}

function signIn(
  local: AzureFixture,
  change: Readonly<Record<string, string>>,
  tenant = local.azure.tenantId,
) {
  return ask(local, undefined, 'POST', 'login.microsoftonline.com', `/${tenant}/oauth2/v2.0/token`, {
    body: new URLSearchParams({
      client_id: local.azure.environment['ARM_CLIENT_ID'] ?? '',
      scope: `https://${manager}/.default`,
      ...change,
    }).toString(),
  });
}

/** Signs in as a managed identity that one workflow may use. */
async function workflow(local: AzureFixture, assertion: string) {
  const identity = 'Microsoft.ManagedIdentity/userAssignedIdentities/planner';
  const { body } = await put(local, identity);
  await put(local, `${identity}/federatedIdentityCredentials/github`, {
    location: undefined,
    properties: {
      issuer: 'https://token.actions.githubusercontent.com',
      subject: 'repo:acme/database:pull_request',
      audiences: ['api://AzureADTokenExchange'],
    },
  });
  return signIn(local, {
    client_id: String(body.properties['clientId']),
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  });
}

function deploy(local: AzureFixture, template: object) {
  return put(local, 'Microsoft.Resources/deployments/one', {
    location: undefined,
    properties: { mode: 'Incremental', template },
  });
}

const group = (name: string, more: object = {}) => ({
  type: 'Microsoft.ManagedIdentity/userAssignedIdentities',
  apiVersion: '2024-11-30',
  location: 'eastus',
  name,
  ...more,
});
const identityId = (name: string) =>
  `[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${name}')]`;

export const managerRows: RefusedRows = {
  'Every request: invalidResourceName': (local) =>
    put(local, `Microsoft.Network/networkSecurityGroups/${'n'.repeat(81)}`, { properties: {} }),
  'Every request: invalidAuthenticationToken': (local) =>
    ask(local, undefined, 'GET', manager, `${local.group}?api-version=2023-07-01`),
  'Every request: invalidRequestContent': (local) =>
    ask(local, `https://${manager}`, 'PUT', manager, `${local.group}?api-version=2023-07-01`, {
      body: '["a list"]',
    }),
  'Every request: subscriptionNotFound': (local) =>
    local.client.arm('GET', `/subscriptions/${somebody}/resourceGroups/one`),
  'Every request: resourceGroupNotFound': (local) =>
    local.client.arm('GET', `${local.group}-absent/providers/Microsoft.KeyVault/vaults/one`),
  'Every request: parentResourceNotFound': (local) =>
    put(local, 'Microsoft.Network/virtualNetworks/absent/subnets/one', {
      location: undefined,
      properties: { addressPrefix: '10.0.1.0/24' },
    }),
  'Every request: operationNotFound': (local) =>
    local.client.arm(
      'GET',
      `/subscriptions/${local.azure.subscriptionId}/providers/Microsoft.DBforPostgreSQL/locations/global/azureAsyncOperation/absent`,
    ),
  'Every request: invalidResourceGroupLocation': (local) =>
    local.client.arm('PUT', local.group, { location: 'westus2' }),
  'Every request: invalidFilter': (local) =>
    local.client.arm(
      'GET',
      `/subscriptions/${local.azure.subscriptionId}/resources`,
      undefined,
      apiVersionOf('Microsoft.Resources/subscriptions/resources'),
    ),

  'Signing in: tenantNotFound': (local) => signIn(local, { client_secret: 'any' }, somebody),
  'Signing in: applicationNotFound': (local) => signIn(local, { client_id: somebody, client_secret: 'any' }),
  'Signing in: secretExpired': (local) => {
    local.azure.directory.expireCredentials();
    return signIn(local, { client_secret: 'local-client-secret' });
  },
  'Signing in: invalidSecret': (local) => signIn(local, { client_secret: 'guess' }),
  'Signing in: noFederatedCredential': (local) =>
    workflow(local, workflowToken('repo:Acme/database:pull_request')),
  'Signing in: assertionExpired': (local) =>
    workflow(local, workflowToken('repo:acme/database:pull_request', -1)),
  'Microsoft Graph: graphResourceNotFound': (local) =>
    ask(local, undefined, 'GET', 'graph.microsoft.com', `/v1.0/servicePrincipals/${somebody}`),

  'Roles and rights: roleDefinitionNotFound': (local) =>
    assign(local, one, {
      roleDefinitionId: `/providers/Microsoft.Authorization/roleDefinitions/${somebody}`,
    }),
  'Roles and rights: roleNameTaken': async (local) => {
    await defineRole(local, one);
    return defineRole(local, two);
  },
  'Roles and rights: principalNotFound': (local) => assign(local, one, { principalType: undefined }),
  'Roles and rights: assignmentUpdateNotPermitted': async (local) => {
    await assign(local, one, {});
    await assign(local, one, {});
    return assign(local, one, { principalId: two });
  },
  'Roles and rights: assignmentExists': async (local) => {
    await assign(local, one, {});
    return assign(local, two, {});
  },

  'Template deployments: deploymentNotFound': (local) =>
    local.client.arm('GET', local.resource('Microsoft.Resources/deployments/absent')),
  'Template deployments: parameterNotGiven': (local) =>
    deploy(local, { parameters: { name: { type: 'string' } }, resources: [] }),
  'Template deployments: nameNotFound': (local) =>
    deploy(local, { resources: [group("[variables('absent')]")] }),
  'Template deployments: referenceNotFound': (local) =>
    deploy(local, {
      resources: [],
      outputs: {
        id: { type: 'string', value: `[reference(${identityId('absent').slice(1, -1)}).clientId]` },
      },
    }),
  'Template deployments: dependencyNotDefined': (local) =>
    deploy(local, { resources: [group('one', { dependsOn: [identityId('absent')] })] }),
  'Template deployments: dependenciesCircular': (local) =>
    deploy(local, {
      resources: [
        group('one', { dependsOn: [identityId('two')] }),
        group('two', { dependsOn: [identityId('one')] }),
      ],
    }),
  'Template deployments: dateNotValid': (local) =>
    deploy(local, { resources: [group("[dateTimeAdd('2026-01-01', 'a month')]")] }),
};
