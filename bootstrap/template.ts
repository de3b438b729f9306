/**
 * What a subscription needs before the first deployment of an environment and cannot make itself, as one
 * subscription-level ARM template: reviewable before it runs, and the same result however often it runs.
 */
import { createHash } from 'node:crypto';
import type { ResolvedEnvironment } from '../environments/resolved.ts';

export interface BootstrapOptions {
  /** Azure subscription, for ids inside the template. */
  readonly subscriptionId: string;
  /** GitHub repository whose workflows deploy, `owner/name`. */
  readonly repository: string;
}

/** Providers whose resources the stacks create. The deploying identity may not register them itself. */
export const resourceProviders = [
  'Microsoft.Authorization',
  'Microsoft.Consumption',
  'Microsoft.DataProtection',
  'Microsoft.DBforPostgreSQL',
  'Microsoft.Insights',
  'Microsoft.KeyVault',
  'Microsoft.ManagedIdentity',
  'Microsoft.Network',
  'Microsoft.OperationalInsights',
  'Microsoft.Storage',
] as const;

/** Built-in roles by their published ids (https://learn.microsoft.com/azure/role-based-access-control/built-in-roles). */
const READER = 'acdd72a7-3385-48ef-bd42-f606fba81ae7';
const BLOB_READER = '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1';
const BLOB_CONTRIBUTOR = 'ba92f5b4-2d11-453d-a403-e96b0029c9fe';
const KEY_WRAPPER = 'e147488a-f6f5-4113-8e2d-b22465e65bf6';
const LONG_TERM_BACKUP = 'c088a766-074b-43ba-90d4-1fb21feae531';

/**
 * The roles a stack gives away (constructs/key-vault-key.ts, constructs/long-term-backup.ts). Without this condition
 * the deploying identity could make itself an owner of the subscription.
 * https://learn.microsoft.com/azure/role-based-access-control/delegate-role-assignments-examples
 */
const onlyTheStacksRoles = [
  ['write', '@Request'],
  ['delete', '@Resource'],
]
  .map(
    ([action, source]) =>
      `((!(ActionMatches{'Microsoft.Authorization/roleAssignments/${action}'})) OR ` +
      `(${source}[Microsoft.Authorization/roleAssignments:RoleDefinitionId] ForAnyOfAnyValues:GuidEquals ` +
      `{${[KEY_WRAPPER, READER, LONG_TERM_BACKUP].join(', ')}}))`,
  )
  .join(' AND ');

/**
 * What applying a stack needs, and nothing of the data inside: no `sharedKeys/action`, so that the workspace's
 * shared key cannot enter the state, and no data-plane action on vaults.
 */
const deployActions = [
  'Microsoft.Authorization/*/read',
  'Microsoft.Authorization/locks/*',
  'Microsoft.Authorization/roleAssignments/*',
  'Microsoft.Consumption/budgets/*',
  'Microsoft.DataProtection/backupVaults/*',
  'Microsoft.DataProtection/locations/*',
  'Microsoft.DBforPostgreSQL/*',
  'Microsoft.Insights/actionGroups/*',
  'Microsoft.Insights/activityLogAlerts/*',
  'Microsoft.Insights/diagnosticSettings/*',
  'Microsoft.Insights/metricAlerts/*',
  'Microsoft.KeyVault/locations/*',
  'Microsoft.KeyVault/vaults/*',
  // Not their federated credentials: with those it could sign in as any identity of the subscription.
  'Microsoft.ManagedIdentity/userAssignedIdentities/assign/action',
  'Microsoft.ManagedIdentity/userAssignedIdentities/delete',
  'Microsoft.ManagedIdentity/userAssignedIdentities/read',
  'Microsoft.ManagedIdentity/userAssignedIdentities/write',
  // Addresses of private endpoints are read from their interfaces, and outcomes of operations from the region.
  'Microsoft.Network/locations/*/read',
  'Microsoft.Network/networkInterfaces/read',
  'Microsoft.Network/networkSecurityGroups/*',
  'Microsoft.Network/privateDnsOperationStatuses/read',
  'Microsoft.Network/privateDnsZones/*',
  'Microsoft.Network/privateEndpoints/*',
  'Microsoft.Network/virtualNetworks/*',
  'Microsoft.OperationalInsights/workspaces/delete',
  'Microsoft.OperationalInsights/workspaces/read',
  'Microsoft.OperationalInsights/workspaces/write',
  'Microsoft.OperationalInsights/deletedWorkspaces/read',
  'Microsoft.Resources/deployments/*',
  'Microsoft.Resources/subscriptions/resourceGroups/*',
] as const;

/** A GUID from a name: a role assignment's name must be one, and the same one at every run. */
export function stableGuid(...parts: readonly string[]): string {
  const hex = createHash('sha256').update(parts.join('\n')).digest('hex');
  const variant = ((Number.parseInt(hex[16] ?? '0', 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/**
 * The template of one environment.
 *
 * @returns undefined for an environment whose state is local: it is deployed by a person under their own login
 */
export function bootstrapTemplate(settings: ResolvedEnvironment, options: BootstrapOptions) {
  if (settings.state.backend !== 'azurerm') return undefined;
  const { state, name, location } = settings;
  const tags = { ...settings.tags };
  const identity = (purpose: 'plan' | 'deploy') => ({
    purpose,
    name: `llama-mapper-${name}-${purpose}`,
    // A pull request may plan; only the protected deployment environment may apply.
    subject:
      purpose === 'plan'
        ? `repo:${options.repository}:pull_request`
        : `repo:${options.repository}:environment:${name}`,
  });
  const identities = [identity('plan'), identity('deploy')];
  const roleName = `Llama Mapper deployment (${name})`;
  const roleGuid = stableGuid('role', options.subscriptionId, name);
  const principal = (of: string) =>
    `[reference(resourceId('${options.subscriptionId}', '${state.resourceGroup}', 'Microsoft.ManagedIdentity/userAssignedIdentities', '${of}'), '2023-01-31').principalId]`;

  const insideGroup = [
    {
      type: 'Microsoft.Storage/storageAccounts',
      apiVersion: '2023-05-01',
      name: state.storageAccount,
      location,
      tags,
      sku: { name: 'Standard_RAGZRS' },
      kind: 'StorageV2',
      properties: {
        minimumTlsVersion: 'TLS1_2',
        supportsHttpsTrafficOnly: true,
        allowBlobPublicAccess: false,
        // Entra only: an account key would open every environment's state to whoever reads it.
        allowSharedKeyAccess: false,
        defaultToOAuthAuthentication: true,
        allowCrossTenantReplication: false,
      },
    },
    {
      type: 'Microsoft.Storage/storageAccounts/blobServices',
      apiVersion: '2023-05-01',
      name: `${state.storageAccount}/default`,
      dependsOn: [`[resourceId('Microsoft.Storage/storageAccounts', '${state.storageAccount}')]`],
      // Every former state can be brought back, which is why the account must not be the immutable one.
      properties: {
        isVersioningEnabled: true,
        deleteRetentionPolicy: { enabled: true, days: 30 },
        containerDeleteRetentionPolicy: { enabled: true, days: 30 },
      },
    },
    {
      type: 'Microsoft.Storage/storageAccounts/blobServices/containers',
      apiVersion: '2023-05-01',
      name: `${state.storageAccount}/default/${state.container}`,
      dependsOn: [
        `[resourceId('Microsoft.Storage/storageAccounts/blobServices', '${state.storageAccount}', 'default')]`,
      ],
      properties: { publicAccess: 'None' },
    },
    ...identities.flatMap((each) => [
      {
        type: 'Microsoft.ManagedIdentity/userAssignedIdentities',
        apiVersion: '2023-01-31',
        name: each.name,
        location,
        tags,
      },
      {
        type: 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials',
        apiVersion: '2023-01-31',
        name: `${each.name}/github`,
        dependsOn: [`[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${each.name}')]`],
        properties: {
          issuer: 'https://token.actions.githubusercontent.com',
          subject: each.subject,
          audiences: ['api://AzureADTokenExchange'],
        },
      },
      {
        type: 'Microsoft.Authorization/roleAssignments',
        apiVersion: '2022-04-01',
        name: stableGuid('state', options.subscriptionId, name, each.purpose),
        scope: `[resourceId('Microsoft.Storage/storageAccounts/blobServices/containers', '${state.storageAccount}', 'default', '${state.container}')]`,
        dependsOn: [
          `[resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${each.name}')]`,
          `[resourceId('Microsoft.Storage/storageAccounts/blobServices/containers', '${state.storageAccount}', 'default', '${state.container}')]`,
        ],
        properties: {
          // Plans run without taking the state's lease, so reading is enough for them.
          roleDefinitionId: `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${each.purpose === 'plan' ? BLOB_READER : BLOB_CONTRIBUTOR}')]`,
          principalId: principal(each.name),
          principalType: 'ServicePrincipal',
        },
      },
    ]),
  ];

  return {
    $schema: 'https://schema.management.azure.com/schemas/2018-05-01/subscriptionDeploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    resources: [
      {
        type: 'Microsoft.Resources/resourceGroups',
        apiVersion: '2022-09-01',
        name: state.resourceGroup,
        location,
        tags,
      },
      {
        type: 'Microsoft.Authorization/roleDefinitions',
        apiVersion: '2022-04-01',
        name: roleGuid,
        properties: {
          roleName,
          description: `Applies the ${name} stack of Llama Mapper's database. Reads no key, secret or row.`,
          type: 'CustomRole',
          permissions: [
            {
              actions: [...deployActions],
              notActions: ['Microsoft.OperationalInsights/workspaces/sharedKeys/action'],
            },
          ],
          assignableScopes: [`/subscriptions/${options.subscriptionId}`],
        },
      },
      {
        type: 'Microsoft.Resources/deployments',
        apiVersion: '2022-09-01',
        name: `llama-mapper-${name}-state`,
        resourceGroup: state.resourceGroup,
        dependsOn: [
          `[subscriptionResourceId('Microsoft.Resources/resourceGroups', '${state.resourceGroup}')]`,
        ],
        properties: {
          mode: 'Incremental',
          expressionEvaluationOptions: { scope: 'inner' },
          template: {
            $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
            contentVersion: '1.0.0.0',
            resources: insideGroup,
            outputs: Object.fromEntries(
              identities.map((each) => [
                `${each.purpose}ClientId`,
                {
                  type: 'string',
                  value: `[reference(resourceId('Microsoft.ManagedIdentity/userAssignedIdentities', '${each.name}'), '2023-01-31').clientId]`,
                },
              ]),
            ),
          },
        },
      },
      ...identities.map((each) => ({
        type: 'Microsoft.Authorization/roleAssignments',
        apiVersion: '2022-04-01',
        name: stableGuid('subscription', options.subscriptionId, name, each.purpose),
        dependsOn: [
          `[resourceId('${options.subscriptionId}', '${state.resourceGroup}', 'Microsoft.Resources/deployments', 'llama-mapper-${name}-state')]`,
          `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${roleGuid}')]`,
        ],
        properties: {
          roleDefinitionId: `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${each.purpose === 'plan' ? READER : roleGuid}')]`,
          principalId: principal(each.name),
          principalType: 'ServicePrincipal',
          ...(each.purpose === 'deploy' && { condition: onlyTheStacksRoles, conditionVersion: '2.0' }),
        },
      })),
    ],
    outputs: Object.fromEntries(
      identities.map((each) => [
        `${each.purpose}ClientId`,
        {
          type: 'string',
          value: `[reference('llama-mapper-${name}-state').outputs.${each.purpose}ClientId.value]`,
        },
      ]),
    ),
  };
}

export type BootstrapTemplate = NonNullable<ReturnType<typeof bootstrapTemplate>>;
