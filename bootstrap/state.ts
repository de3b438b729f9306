/** The group of an environment's state: the storage container, the pipeline's identities, their rights on the state. */
import { builtInRoles } from '../azure/built-in-roles.ts';
import { stableGuid } from '../azure/guid.ts';
import { redundancyOf } from '../azure/regions.ts';
import { apiVersionOf, type ResourceTypeName } from '../azure/resource-types.ts';
import type { ResolvedEnvironment } from '../environments/resolved.ts';
import { type Purpose, pipelineName } from './roles.ts';

export type RemoteState = Extract<ResolvedEnvironment['state'], { backend: 'azurerm' }>;

export interface Identity {
  readonly purpose: Purpose;
  readonly name: string;
  /** Name of its federated credential. */
  readonly credential: string;
  /** Claims `iss` and `sub` of the tokens that may sign in as it. */
  readonly issuer: string;
  readonly subject: string;
}

const account = 'Microsoft.Storage/storageAccounts';
const blobs = `${account}/blobServices` as const;
const container = `${blobs}/containers` as const;
export const identityType = 'Microsoft.ManagedIdentity/userAssignedIdentities';

const typed = <Type extends ResourceTypeName>(type: Type) => ({ type, apiVersion: apiVersionOf(type) });

/** `[resourceId('type', 'name', …)]` in a template's language. */
const idOf = (type: string, ...names: readonly string[]) =>
  `[resourceId(${[type, ...names].map((one) => `'${one}'`).join(', ')})]`;

/** The resources of a template for the group of the state. */
export function stateGroup(
  settings: ResolvedEnvironment,
  state: RemoteState,
  identities: readonly Identity[],
  subscriptionId: string,
) {
  return [
    ...storage(settings, state),
    ...identities.flatMap((identity) => [
      ...signIn(settings, identity),
      stateAccess(settings, state, identity, subscriptionId),
    ]),
  ];
}

/**
 * The most copies that the region offers: in its zones (`ZRS`), and readable in the paired region (`RAG`).
 * https://learn.microsoft.com/azure/storage/common/storage-redundancy
 */
function accountSku(location: string): string {
  const { pair, zones } = redundancyOf(location);
  if (pair) return zones ? 'Standard_RAGZRS' : 'Standard_RAGRS';
  return zones ? 'Standard_ZRS' : 'Standard_LRS';
}

/** Each earlier state can be restored, which is why the account must not be the immutable one. */
function storage({ location, tags }: ResolvedEnvironment, state: RemoteState) {
  const { storageAccount } = state;
  return [
    {
      ...typed(account),
      name: storageAccount,
      location,
      tags: { ...tags },
      sku: { name: accountSku(location) },
      kind: 'StorageV2',
      properties: {
        minimumTlsVersion: 'TLS1_2',
        supportsHttpsTrafficOnly: true,
        allowBlobPublicAccess: false,
        // Entra only: an account key would open the state of every environment to its reader.
        allowSharedKeyAccess: false,
        defaultToOAuthAuthentication: true,
        allowCrossTenantReplication: false,
      },
    },
    {
      ...typed(blobs),
      name: `${storageAccount}/default`,
      dependsOn: [idOf(account, storageAccount)],
      properties: {
        isVersioningEnabled: true,
        deleteRetentionPolicy: { enabled: true, days: 30 },
        containerDeleteRetentionPolicy: { enabled: true, days: 30 },
      },
    },
    {
      ...typed(container),
      name: `${storageAccount}/default/${state.container}`,
      dependsOn: [idOf(blobs, storageAccount, 'default')],
      properties: { publicAccess: 'None' },
    },
  ];
}

/** An identity, and the workflow that may sign in as it. */
function signIn({ location, tags }: ResolvedEnvironment, { name, credential, issuer, subject }: Identity) {
  return [
    { ...typed(identityType), name, location, tags: { ...tags } },
    {
      ...typed(`${identityType}/federatedIdentityCredentials`),
      name: `${name}/${credential}`,
      dependsOn: [idOf(identityType, name)],
      properties: {
        issuer,
        subject,
        audiences: ['api://AzureADTokenExchange'],
      },
    },
  ];
}

/** Plans run without taking the lease of the state, so reading is enough for them. */
function stateAccess(
  owner: ResolvedEnvironment,
  state: RemoteState,
  { purpose, name }: Identity,
  subscriptionId: string,
) {
  const containerId = idOf(container, state.storageAccount, 'default', state.container);
  const role =
    builtInRoles[purpose === 'plan' ? 'Storage Blob Data Reader' : 'Storage Blob Data Contributor'];
  return {
    ...typed('Microsoft.Authorization/roleAssignments'),
    name: stableGuid('state', subscriptionId, pipelineName(owner), purpose),
    scope: containerId,
    dependsOn: [idOf(identityType, name), containerId],
    properties: {
      roleDefinitionId: `[subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '${role.id}')]`,
      principalId: principalOf(name, state, subscriptionId),
      principalType: 'ServicePrincipal',
    },
  };
}

/** The principal of an identity in the group of the state. */
export function principalOf(identity: string, state: RemoteState, subscriptionId: string): string {
  return `[reference(resourceId('${subscriptionId}', '${state.resourceGroup}', '${identityType}', '${identity}'), '${apiVersionOf(identityType)}').principalId]`;
}
