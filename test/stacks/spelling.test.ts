/** Ids and names of tags in another case than Azure's do not plan a change for ever. */
import { expect, it } from 'vitest';
import { stackOf } from './stack.ts';

const id =
  '/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/Keys/providers/Microsoft.ManagedIdentity/userAssignedIdentities/Llama';

it('writes ids of identities and keys as Azure answers them', () => {
  const stack = stackOf('development', ({ server }) => {
    server.customerManagedKey = {
      primary: {
        keyId: 'https://Comply-AI-Keys.Vault.Azure.Net/keys/Data',
        identityId: id
          .replace('resourceGroups', 'RESOURCEGROUPS')
          .replace(
            'Microsoft.ManagedIdentity/userAssignedIdentities',
            'microsoft.managedidentity/userassignedidentities',
          ),
      },
    };
  });
  const server = stack.document.resource['azurerm_postgresql_flexible_server']?.['server'];
  expect(server?.['customer_managed_key']).toEqual({
    key_vault_key_id: 'https://comply-ai-keys.vault.azure.net/keys/Data',
    primary_user_assigned_identity_id: id,
  });
  expect(JSON.stringify(server?.['identity'])).toContain(id);
});

it("ignores a policy's tag in lower and upper case too", () => {
  const stack = stackOf('development', (input) => {
    input.policyTags = ['CostCentre'];
  });
  const group = stack.document.resource['azurerm_resource_group']?.['resource_group'];
  expect(JSON.stringify(group ?? stack.document.resource['azurerm_resource_group'])).toMatch(
    /CostCentre.*costcentre.*COSTCENTRE/,
  );
});
