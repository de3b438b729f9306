/**
 * Microsoft.DataProtection: backup vaults, policies, and a server's long-term backup.
 * https://learn.microsoft.com/azure/backup/backup-azure-database-postgresql-flex-overview
 */

import { redundancyOf } from '../../../azure/regions.ts';
import { nameOf, parentOf, resourceGroupOf, sameId, typeOf } from '../../../azure/resource-id.ts';
import { type JsonObject, objectAt, objectsAt, textAt } from '../../../core/json.ts';
import { holdsRole } from '../core/access.ts';
import type { Azure } from '../core/context.ts';
import { canonicalLocation, isSameRegion } from '../core/locations.ts';
import { keep, registerResourceType, withPrincipal } from '../core/resource-types.ts';
import { dataProtectionShapes } from '../core/shapes.ts';
import { backup as refusals } from '../refusals/backup.ts';
import { serverType } from './postgresql/server.ts';

const vaultType = 'Microsoft.DataProtection/backupVaults';

export function registerDataProtection(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: vaultType,
    shape: dataProtectionShapes.vault,
    change: 'polled',
    patch: true,
    accept: (sent, { name, existing }) => {
      refuseRedundancy(sent, name);
      return keep(withPrincipal(azure, sent, existing, name));
    },
    mayDelete: (vault) => {
      const [instance] = store.children(vault.id, `${vaultType}/backupInstances`);
      if (instance) throw refusals.vaultProtectsInstances(vault.name, instance.name);
    },
  });
  registerResourceType(azure, {
    type: `${vaultType}/backupPolicies`,
    shape: dataProtectionShapes.policy,
    change: 'immediate',
    createdStatus: 200,
    accept: (sent) => sent,
    mayDelete: (policy) => {
      const user = store
        .children(parentOf(policy.id), `${vaultType}/backupInstances`)
        .find(({ body }) => sameId(textAt(body, 'properties', 'policyInfo', 'policyId') ?? '', policy.id));
      if (user) throw refusals.policyInUse(policy.name, user.name);
    },
  });
  registerResourceType(azure, {
    type: `${vaultType}/backupInstances`,
    shape: dataProtectionShapes.instance,
    change: 'polled',
    accept: (sent, { id }) => {
      refuseInstance(azure, sent, parentOf(id));
      return keep(sent, {
        currentProtectionState: 'ProtectionConfigured',
        protectionStatus: { status: 'ProtectionConfigured' },
      });
    },
  });
}

function refuseRedundancy(sent: JsonObject, vault: string): void {
  const location = canonicalLocation(textAt(sent, 'location') ?? '');
  const { pair, zones } = redundancyOf(location);
  for (const { type = '' } of objectsAt(sent, 'properties', 'storageSettings').map((one) => ({
    type: textAt(one, 'type'),
  })))
    if ((type === 'GeoRedundant' && !pair) || (type === 'ZoneRedundant' && !zones))
      throw refusals.redundancyNotOffered(vault, type, location);
}

function refuseInstance(azure: Azure, sent: JsonObject, vault: string): void {
  const source = textAt(sent, 'properties', 'dataSourceInfo', 'resourceID') ?? '';
  if (typeOf(source).toLowerCase() !== serverType.toLowerCase() || !azure.store.get(source))
    throw refusals.dataSourceNotFound(source);
  if (!isSameRegion(azure.store.get(source)?.body, azure.store.get(vault)?.body))
    throw refusals.vaultInAnotherRegion(nameOf(vault), source);
  const policy = textAt(sent, 'properties', 'policyInfo', 'policyId');
  if (!azure.store.get(policy)) throw refusals.policyNotFound(policy ?? '');
  const principal = String(objectAt(azure.store.get(vault)?.body, 'identity')['principalId'] ?? '');
  const needed = [
    ['PostgreSQL Flexible Server Long Term Retention Backup Role', source],
    ['Reader', resourceGroupOf(source) ?? ''],
  ] as const;
  for (const [role, scope] of needed)
    if (!holdsRole(azure, principal, role, scope)) throw refusals.missingPermissions(role, scope);
}
