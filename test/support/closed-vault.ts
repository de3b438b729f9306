/** A vault with a wrapping key as the stacks deploy it: closed, with a private endpoint, and a role on the key alone. */
import type { LocalAzure } from '../../local/azure/index.ts';
import { AzureClient } from './azure-client.ts';

export interface ClosedVault {
  /** Address of the key, without a version. */
  readonly keyUri: string;
  /** Azure resource id of the key. */
  readonly keyId: string;
  /** Removes the deploying identity's role on the key. */
  takeRole(): Promise<{ giveBack(): Promise<void> }>;
}

/** Key Vault Crypto Service Encryption User */
const role = 'e147488a-f6f5-4113-8e2d-b22465e65bf6';

export async function closedVault(azure: LocalAzure, name = 'wrapping-kv'): Promise<ClosedVault> {
  const client = new AzureClient(azure);
  const group = `/subscriptions/${azure.subscriptionId}/resourceGroups/${name}`;
  const vault = `${group}/providers/Microsoft.KeyVault/vaults/${name}`;
  const keyId = `${vault}/keys/fields`;
  const put = async (id: string, body: unknown) => {
    const answer = await client.done('PUT', id, body);
    if (answer.status >= 300) throw new Error(`${id}: ${answer.status} ${answer.text}`);
  };
  await put(group, { location: 'eastus' });
  await put(vault, {
    location: 'eastus',
    properties: {
      tenantId: azure.tenantId,
      sku: { family: 'A', name: 'standard' },
      enableRbacAuthorization: true,
      publicNetworkAccess: 'Disabled',
      networkAcls: { defaultAction: 'Deny', bypass: 'None' },
    },
  });
  await put(keyId, { properties: { kty: 'RSA', keySize: 2048, keyOps: ['wrapKey', 'unwrapKey'] } });
  const network = `${group}/providers/Microsoft.Network/virtualNetworks/net`;
  const subnet = `${network}/subnets/endpoints`;
  await put(network, {
    location: 'eastus',
    properties: { addressSpace: { addressPrefixes: ['10.0.0.0/16'] } },
  });
  await put(subnet, { properties: { addressPrefix: '10.0.1.0/24' } });
  const connection = { name: 'vault', properties: { privateLinkServiceId: vault, groupIds: ['vault'] } };
  await put(`${group}/providers/Microsoft.Network/privateEndpoints/vault`, {
    location: 'eastus',
    properties: { subnet: { id: subnet }, privateLinkServiceConnections: [connection] },
  });
  const assignment = `${keyId}/providers/Microsoft.Authorization/roleAssignments/11111111-2222-3333-4444-555555555555`;
  const assign = () =>
    put(assignment, {
      properties: {
        roleDefinitionId: `/subscriptions/${azure.subscriptionId}/providers/Microsoft.Authorization/roleDefinitions/${role}`,
        principalId: azure.directory.options.client.objectId,
        principalType: 'ServicePrincipal',
      },
    });
  await assign();
  return {
    keyUri: `https://${name}.vault.azure.net/keys/fields`,
    keyId,
    async takeRole() {
      await client.arm('DELETE', assignment);
      return { giveBack: assign };
    },
  };
}
