import { describe, expect, it } from 'vitest';
import {
  apiVersionOf,
  deployActions,
  jobActions,
  namespaces,
  type ResourceType,
  resourceTypes,
  versionFor,
} from '../../azure/resource-types.ts';
import { permits } from '../../local/azure/core/access.ts';

const deployed = Object.entries<ResourceType>(resourceTypes).filter(([, { terraform }]) => terraform);
const role = { actions: [...deployActions, ...jobActions], notActions: [] };

describe('the table of resource types', () => {
  it('has each azurerm resource once', () => {
    const types = deployed.map(([, { terraform }]) => terraform?.type);
    expect(types.length).toBeGreaterThanOrEqual(27);
    expect(new Set(types).size).toBe(types.length);
  });

  it.each(deployed.map(([type]) => type))('permits a deployment to read, write and delete %s', (type) => {
    const named = type.replace('/resourceGroups', '/subscriptions/resourceGroups');
    for (const verb of ['read', 'write', 'delete'])
      expect(permits(role, 'actions', `${named}/${verb}`), verb).toBe(true);
  });

  it.each([
    'Microsoft.OperationalInsights/workspaces/regenerateSharedKey/action',
    'Microsoft.Storage/storageAccounts/listKeys/action',
    'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials/write',
    'Microsoft.Authorization/roleDefinitions/write',
    'Microsoft.Compute/virtualMachines/write',
  ])('does not permit it %s', (action) => {
    expect(permits(role, 'actions', action)).toBe(false);
  });

  it('finds the version for a resource, a list, a child and an action', () => {
    const server =
      '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/one';
    const version = apiVersionOf('Microsoft.DBforPostgreSQL/flexibleServers');
    for (const path of [server, `${server}/databases`, `${server}/databases/one`, `${server}/restart`])
      expect(versionFor(path), path).toBe(version);
    expect(versionFor(`${server}/providers/Microsoft.Authorization/locks/one`)).toBe(
      apiVersionOf('Microsoft.Authorization/locks'),
    );
    expect(versionFor('/subscriptions/s/resourceGroups/g')).toBe(
      apiVersionOf('Microsoft.Resources/resourceGroups'),
    );
    expect(() => versionFor('/subscriptions/s/providers/Microsoft.Compute/disks/one')).toThrow(
      'has no API version',
    );
  });

  it('names the providers in alphabetical order', () => {
    expect(namespaces).toEqual([
      'Microsoft.App',
      'Microsoft.Authorization',
      'Microsoft.Consumption',
      'Microsoft.DBforPostgreSQL',
      'Microsoft.DataProtection',
      'Microsoft.Insights',
      'Microsoft.KeyVault',
      'Microsoft.ManagedIdentity',
      'Microsoft.Network',
      'Microsoft.OperationalInsights',
      'Microsoft.Resources',
      'Microsoft.Storage',
    ]);
  });
});
