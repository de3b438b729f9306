/**
 * The built-in roles that this project assigns or meets, with what they permit.
 * https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
 */

/** Actions with `*` for any text, matched without regard to case. */
export interface Permission {
  /** Of the control plane, `Microsoft.KeyVault/vaults/read`. */
  readonly actions: readonly string[];
  /** Taken out of `actions`. @default - none */
  readonly notActions?: readonly string[];
  /** Of a service's own endpoint, `Microsoft.KeyVault/vaults/keys/wrap/action`. @default - none */
  readonly dataActions?: readonly string[];
  /** Taken out of `dataActions`. @default - none */
  readonly notDataActions?: readonly string[];
}

export interface BuiltInRole extends Permission {
  /** Name of its definition, the same GUID in every tenant. */
  readonly id: string;
}

/** Actions of every Key Vault role in the control plane. */
const vaultReading = [
  'Microsoft.Authorization/*/read',
  'Microsoft.Insights/alertRules/*',
  'Microsoft.Resources/deployments/*',
  'Microsoft.Resources/subscriptions/resourceGroups/read',
  'Microsoft.Support/*',
  'Microsoft.KeyVault/checkNameAvailability/read',
  'Microsoft.KeyVault/deletedVaults/read',
  'Microsoft.KeyVault/locations/*/read',
  'Microsoft.KeyVault/vaults/*/read',
  'Microsoft.KeyVault/operations/read',
];
const keys = 'Microsoft.KeyVault/vaults/keys';
const containers = 'Microsoft.Storage/storageAccounts/blobServices/containers';
const delegationKey = 'Microsoft.Storage/storageAccounts/blobServices/generateUserDelegationKey/action';

export const builtInRoles = {
  Owner: { id: '8e3af657-a8ff-443c-a75c-2fe8c4bcb635', actions: ['*'] },
  Contributor: {
    id: 'b24988ac-6180-42a0-ab88-20f7382dd24c',
    actions: ['*'],
    notActions: [
      'Microsoft.Authorization/*/Delete',
      'Microsoft.Authorization/*/Write',
      'Microsoft.Authorization/elevateAccess/Action',
      'Microsoft.Blueprint/blueprintAssignments/write',
      'Microsoft.Blueprint/blueprintAssignments/delete',
      'Microsoft.Compute/galleries/share/action',
      'Microsoft.Purview/consents/write',
      'Microsoft.Purview/consents/delete',
      'Microsoft.Resources/deploymentStacks/manageDenySetting/action',
      'Microsoft.Subscription/cancel/action',
      'Microsoft.Subscription/enable/action',
    ],
  },
  Reader: { id: 'acdd72a7-3385-48ef-bd42-f606fba81ae7', actions: ['*/read'] },
  'Monitoring Reader': {
    id: '43d0d8ad-25c7-4714-9337-8ba259a9fe05',
    actions: ['*/read', 'Microsoft.OperationalInsights/workspaces/search/action', 'Microsoft.Support/*'],
  },
  'Storage Blob Data Reader': {
    id: '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1',
    actions: [`${containers}/read`, delegationKey],
    dataActions: [`${containers}/blobs/read`],
  },
  'Storage Blob Data Contributor': {
    id: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe',
    actions: [`${containers}/delete`, `${containers}/read`, `${containers}/write`, delegationKey],
    dataActions: ['delete', 'read', 'write', 'move/action', 'add/action'].map(
      (verb) => `${containers}/blobs/${verb}`,
    ),
  },
  'Key Vault Administrator': {
    id: '00482a5a-887f-4fb3-b363-3b7fe8e74483',
    actions: vaultReading,
    dataActions: ['Microsoft.KeyVault/vaults/*'],
  },
  'Key Vault Crypto Officer': {
    id: '14b46e9e-c2b7-41b4-b07b-48a6ebf60603',
    actions: vaultReading,
    dataActions: [`${keys}/*`, 'Microsoft.KeyVault/vaults/keyrotationpolicies/*'],
  },
  'Key Vault Crypto User': {
    id: '12338af0-0e69-4776-bea7-57ae8d297424',
    actions: [],
    dataActions: [
      'read',
      ...['update', 'backup', 'encrypt', 'decrypt', 'wrap', 'unwrap', 'sign', 'verify'].map(
        (verb) => `${verb}/action`,
      ),
    ].map((verb) => `${keys}/${verb}`),
  },
  'Key Vault Crypto Service Encryption User': {
    id: 'e147488a-f6f5-4113-8e2d-b22465e65bf6',
    actions: ['write', 'read', 'delete'].map((verb) => `Microsoft.EventGrid/eventSubscriptions/${verb}`),
    dataActions: [`${keys}/read`, `${keys}/wrap/action`, `${keys}/unwrap/action`],
  },
  'Key Vault Secrets Officer': {
    id: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7',
    actions: vaultReading,
    dataActions: ['Microsoft.KeyVault/vaults/secrets/*'],
  },
  'Key Vault Secrets User': {
    id: '4633458b-17de-408a-b874-0445c86b69e6',
    actions: [],
    dataActions: [
      'Microsoft.KeyVault/vaults/secrets/getSecret/action',
      'Microsoft.KeyVault/vaults/secrets/readMetadata/action',
    ],
  },
  'PostgreSQL Flexible Server Long Term Retention Backup Role': {
    id: 'c088a766-074b-43ba-90d4-1fb21feae531',
    actions: [
      'Microsoft.DBforPostgreSQL/flexibleServers/ltrBackupOperations/read',
      'Microsoft.DBforPostgreSQL/flexibleServers/ltrPreBackup/action',
      'Microsoft.DBforPostgreSQL/flexibleServers/startLtrBackup/action',
      'Microsoft.DBforPostgreSQL/locations/azureAsyncOperation/read',
      'Microsoft.DBforPostgreSQL/locations/operationResults/read',
      'Microsoft.Resources/subscriptions/read',
      'Microsoft.Resources/subscriptions/resourceGroups/read',
    ],
  },
} as const satisfies Readonly<Record<string, BuiltInRole>>;

export type BuiltInRoleName = keyof typeof builtInRoles;

/**
 * Roles whose holders an action group can write to.
 * https://learn.microsoft.com/azure/azure-monitor/alerts/action-groups#email-azure-resource-manager
 */
export const alertRoles = [
  'Owner',
  'Contributor',
  'Reader',
  'Monitoring Reader',
] as const satisfies readonly BuiltInRoleName[];
export type AlertRole = (typeof alertRoles)[number];

/** Roles that settings can give on a server. They only read: a pipeline that could give more could take it itself. */
export const serverAccessRoles = [
  'Reader',
  'Monitoring Reader',
] as const satisfies readonly BuiltInRoleName[];
export type ServerAccessRole = (typeof serverAccessRoles)[number];
