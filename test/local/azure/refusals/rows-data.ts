/** Vaults and blobs. The container `states/production` exists. */
import type { AzureFixture } from '../../../support/azure-fixture.ts';
import { ask, put, type RefusedRows } from './rows.ts';

const vault = 'Microsoft.KeyVault/vaults/secrets';
const vaultHost = 'secrets.vault.azure.net';
const vaultAudience = 'https://vault.azure.net';
const storage = 'https://storage.azure.com';
const blob = '/production/llama.tfstate';

const account = (local: AzureFixture, name: string, sku = 'Standard_LRS', location = 'eastus') =>
  put(local, `Microsoft.Storage/storageAccounts/${name}`, {
    location,
    sku: { name: sku },
    kind: 'StorageV2',
    properties: {},
  });

const state = (
  local: AzureFixture,
  method: string,
  path = blob,
  headers: Readonly<Record<string, string>> = {},
) =>
  ask(local, storage, method, 'states.blob.core.windows.net', path, {
    headers,
    ...(method === 'PUT' ? { body: '{}' } : {}),
  });

const lease = (local: AzureFixture, action: string, id: string) =>
  state(local, 'PUT', `${blob}?comp=lease`, {
    'x-ms-lease-action': action,
    'x-ms-lease-id': id,
    'x-ms-proposed-lease-id': id,
  });

async function leased(local: AzureFixture): Promise<void> {
  await state(local, 'PUT');
  await lease(local, 'acquire', 'one');
}

/** An open vault with a key that only wraps, and the role to use it. */
async function key(local: AzureFixture, keyOps: readonly string[]): Promise<void> {
  const scope = local.resource(vault);
  await put(local, vault, { properties: {} });
  await put(local, `${vault}/keys/fields`, { location: undefined, properties: { kty: 'RSA', keyOps } });
  await local.client.done(
    'PUT',
    `${scope}/providers/Microsoft.Authorization/roleAssignments/00000000-0000-4000-8000-000000000001`,
    {
      properties: {
        roleDefinitionId:
          '/providers/Microsoft.Authorization/roleDefinitions/12338af0-0e69-4776-bea7-57ae8d297424',
        principalId: local.azure.directory.options.client.objectId,
        principalType: 'ServicePrincipal',
      },
    },
  );
}

async function use(local: AzureFixture, operation: string, alg: string) {
  const { body } = await local.client.arm('GET', local.resource(`${vault}/keys/fields`));
  const version = String(body.properties['keyUriWithVersion']).split('/').at(-1);
  return ask(
    local,
    vaultAudience,
    'POST',
    vaultHost,
    `/keys/fields/${version}/${operation}?api-version=7.4`,
    {
      body: { alg, value: 'AAAA' },
    },
  );
}

export const dataRows: RefusedRows = {
  'Storage accounts: nameNotValid': (local) => account(local, 'llama-state'),
  'Storage accounts: nameTaken': async (local) => {
    await local.client.done('PUT', `/subscriptions/${local.azure.subscriptionId}/resourceGroups/another`, {
      location: 'eastus',
    });
    local.azure.state.put(
      `/subscriptions/${local.azure.subscriptionId}/resourceGroups/another/providers/Microsoft.Storage/storageAccounts/llamastate`,
      { properties: {} },
    );
    return account(local, 'llamastate');
  },
  'Storage accounts: redundancyNotOffered': (local) =>
    account(local, 'llamastate', 'Standard_RAGZRS', 'polandcentral'),
  'Key Vault: nameNotValid': (local) => put(local, 'Microsoft.KeyVault/vaults/two--hyphens'),
  'Key Vault: nameTaken': (local) => put(local, 'Microsoft.KeyVault/vaults/taken'),
  'Key Vault: purgeProtectionIrreversible': async (local) => {
    await put(local, vault, { properties: { enablePurgeProtection: true } });
    return put(local, vault, { properties: { enablePurgeProtection: false } });
  },
  'Key Vault: retentionImmutable': async (local) => {
    await put(local, vault, { properties: { softDeleteRetentionInDays: 30 } });
    return put(local, vault, { properties: { softDeleteRetentionInDays: 60 } });
  },
  'Key Vault: deletedVaultNotFound': (local) =>
    local.client.arm(
      'GET',
      `/subscriptions/${local.azure.subscriptionId}/providers/Microsoft.KeyVault/locations/eastus/deletedVaults/absent`,
    ),
  'Key Vault, data plane: vaultNotFound': (local) =>
    ask(local, vaultAudience, 'GET', 'absent.vault.azure.net', '/keys/fields?api-version=7.4'),
  'Key Vault, data plane: operationForbidden': async (local) => {
    await key(local, ['wrapKey']);
    return use(local, 'unwrapkey', 'RSA-OAEP-256');
  },
  'Key Vault, data plane: algorithmNotSupported': async (local) => {
    await key(local, ['wrapKey']);
    return use(local, 'wrapkey', 'RSA1_5');
  },

  'Blob storage: noAuthentication': (local) =>
    ask(local, undefined, 'GET', 'states.blob.core.windows.net', blob),
  'Blob storage: permissionMismatch': (local) => {
    for (const { id } of local.azure.state.ofType('Microsoft.Authorization/roleAssignments'))
      local.azure.state.delete(id);
    return state(local, 'GET');
  },
  'Blob storage: containerNotFound': (local) => state(local, 'GET', '/absent/llama.tfstate'),
  'Blob storage: blobNotFound': (local) => state(local, 'GET'),
  'Blob storage: leaseIdMissing': async (local) => {
    await leased(local);
    return state(local, 'PUT');
  },
  'Blob storage: leaseIdMismatch': async (local) => {
    await leased(local);
    return state(local, 'PUT', blob, { 'x-ms-lease-id': 'two' });
  },
  'Blob storage: leaseAlreadyPresent': async (local) => {
    await leased(local);
    return lease(local, 'acquire', 'two');
  },
  'Blob storage: leaseIdMismatchOfLease': async (local) => {
    await leased(local);
    return lease(local, 'release', 'two');
  },
  'Blob storage: leaseActionUnknown': async (local) => {
    await leased(local);
    return lease(local, 'extend', 'one');
  },
};
