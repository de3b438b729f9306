/** Microsoft.ManagedIdentity: user-assigned identities, each with a principal in the directory. */
import { randomUUID } from 'node:crypto';
import { objectAt, textAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { registerResourceType } from '../core/resource-types.ts';
import { managedIdentityShape } from '../core/shapes.ts';

export function registerManagedIdentity(azure: Azure): void {
  registerResourceType(azure, {
    type: 'Microsoft.ManagedIdentity/userAssignedIdentities',
    shape: managedIdentityShape,
    change: 'immediate',
    patch: true,
    accept: (sent, { name, existing }) => {
      const principalId = textAt(existing?.body, 'properties', 'principalId') ?? randomUUID();
      const clientId = textAt(existing?.body, 'properties', 'clientId') ?? randomUUID();
      azure.directory.add({
        objectId: principalId,
        kind: 'ServicePrincipal',
        displayName: name,
        appId: clientId,
      });
      return {
        ...sent,
        properties: { ...objectAt(sent, 'properties'), tenantId: azure.tenantId, principalId, clientId },
      };
    },
    deleted: ({ body }) => azure.directory.remove(textAt(body, 'properties', 'principalId') ?? ''),
  });
  registerResourceType(azure, {
    type: 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials',
    shape: { properties: { issuer: 'any', subject: 'any', audiences: 'any' } },
    change: 'immediate',
    accept: (sent) => sent,
  });
}
