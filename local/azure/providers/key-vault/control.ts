/**
 * Microsoft.KeyVault: vaults with soft delete, and keys through the control plane.
 *
 * Keys: https://learn.microsoft.com/rest/api/keyvault/keys/keys/create-if-not-exist (control plane)
 */
import { randomBytes } from 'node:crypto';
import { parentOf, resourceGroupOf, sameId } from '../../../../azure/resource-id.ts';
import { at, type JsonObject, numberAt, objectAt, textAt } from '../../../../core/json.ts';
import type { Azure } from '../../core/context.ts';
import { isTakenElsewhere, refuseReservedName } from '../../core/names.ts';
import type { Resource } from '../../core/resource-store.ts';
import { keep, registerList, registerResourceType } from '../../core/resource-types.ts';
import { vaultShapes } from '../../core/shapes.ts';
import { general } from '../../refusals/general.ts';
import { keyVault } from '../../refusals/key-vault.ts';
import { registerDataPlane } from './data.ts';

export const vaultType = 'Microsoft.KeyVault/vaults';
const keyType = `${vaultType}/keys` as const;

interface DeletedVault {
  readonly id: string;
  readonly body: JsonObject;
  /** They come back with the vault. */
  readonly keys: readonly Resource[];
  readonly deletedAt: number;
}

export function registerKeyVault(azure: Azure): void {
  const deleted = azure.memory.map<DeletedVault>('deletedVaults');
  registerVaults(azure, deleted);
  registerDeletedVaults(azure, deleted);
  registerKeys(azure);
  registerDataPlane(azure);
}

function registerVaults(azure: Azure, deleted: Map<string, DeletedVault>): void {
  registerResourceType(azure, {
    type: vaultType,
    shape: vaultShapes.vault,
    change: 'immediate',
    patch: true,
    accept: (sent, { name, id, existing }) => {
      const { createMode, ...properties } = objectAt(sent, 'properties');
      const gone = stillDeleted(azure, deleted, name);
      if (!existing && gone) {
        if (createMode !== 'recover') throw keyVault.nameInDeletedState(name);
        if (!sameId(gone.id, id)) throw keyVault.recoveredElsewhere(name, resourceGroupOf(gone.id) ?? '');
        deleted.delete(name.toLowerCase());
        for (const key of gone.keys) azure.store.put(key.id, key.body);
        return gone.body;
      }
      refuseName(azure, name, id);
      refuseIrreversible(existing?.body, properties);
      return vaultOf(name, { ...sent, properties }, existing?.body);
    },
  });
  // Role assignments and private endpoints are not kept:
  // https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
  azure.store.beforeDeletion(vaultType, ({ id, name, body }) => {
    const keys = azure.store.children(id, keyType);
    const { privateEndpointConnections: _connections, ...properties } = objectAt(body, 'properties');
    const kept = { id, body: { ...body, properties }, keys, deletedAt: azure.clock.now() };
    deleted.set(name.toLowerCase(), structuredClone(kept));
  });
  registerList(azure, vaultType, {
    template: '/subscriptions/{s}/providers/Microsoft.KeyVault/vaults',
  });
  registerSearch(azure);
}

/** https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftkeyvault */
function refuseName(azure: Azure, name: string, id: string): void {
  if (!/^[a-z][a-z0-9-]{1,22}[a-z0-9]$/i.test(name) || name.includes('--')) throw keyVault.nameNotValid(name);
  refuseReservedName(name);
  const exists = azure.store.get(id) !== undefined;
  if (!exists && isTakenElsewhere(azure, 'vault', name)) throw keyVault.nameTaken(name);
  const twin = azure.store.ofType(vaultType).find((vault) => vault.name.toLowerCase() === name.toLowerCase());
  if (twin && !sameId(twin.id, id)) throw keyVault.nameTaken(name);
}

/** Protection against purging stays on, and the retention keeps its first value. */
function refuseIrreversible(before: JsonObject | undefined, wanted: JsonObject): void {
  if (at(before, 'properties', 'enablePurgeProtection') === true && wanted['enablePurgeProtection'] === false)
    throw keyVault.purgeProtectionIrreversible();
  const kept = numberAt(before, 'properties', 'softDeleteRetentionInDays');
  const sent = wanted['softDeleteRetentionInDays'];
  if (kept !== undefined && sent !== undefined && sent !== kept) throw keyVault.retentionImmutable();
}

/** The vault as Azure keeps it: what was sent, with Azure's defaults. */
function vaultOf(name: string, sent: JsonObject, before: JsonObject | undefined): JsonObject {
  const properties = objectAt(sent, 'properties');
  return keep(sent, {
    vaultUri: `https://${name}.vault.azure.net/`,
    enableSoftDelete: true,
    softDeleteRetentionInDays:
      properties['softDeleteRetentionInDays'] ??
      numberAt(before, 'properties', 'softDeleteRetentionInDays') ??
      90,
    networkAcls: properties['networkAcls'] ?? {
      bypass: 'AzureServices',
      defaultAction: 'Allow',
      ipRules: [],
      virtualNetworkRules: [],
    },
    accessPolicies: properties['accessPolicies'] ?? [],
  });
}

/** The provider finds the id of a vault by its address here. */
function registerSearch({ router, store }: Azure): void {
  router.on(
    'GET',
    '/subscriptions/{s}/resources',
    ({ request }) => {
      const filter = request.query.get('$filter') ?? '';
      const type = /resourceType eq '([^']+)'/i.exec(filter)?.[1];
      const name = /name eq '([^']+)'/i.exec(filter)?.[1];
      if (type === undefined) throw general.invalidFilter(filter);
      const found = store
        .ofType(type)
        .filter((one) => name === undefined || one.name.toLowerCase() === name.toLowerCase());
      return {
        status: 200,
        body: {
          value: found.map(({ id, name, type, body }) => ({ id, name, type, location: body['location'] })),
        },
      };
    },
    { type: 'Microsoft.Resources/subscriptions/resources', query: ['$filter', '$top'] },
  );
}

/** Milliseconds a deleted vault can be recovered: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview */
function retention(body: JsonObject): number {
  return (numberAt(body, 'properties', 'softDeleteRetentionInDays') ?? 90) * 24 * 60 * 60 * 1000;
}

/** The deleted vault of that name during its retention. */
function stillDeleted(
  azure: Azure,
  deleted: Map<string, DeletedVault>,
  name: string,
): DeletedVault | undefined {
  const found = deleted.get(name.toLowerCase());
  if (found && found.deletedAt + retention(found.body) > azure.clock.now()) return found;
  deleted.delete(name.toLowerCase());
  return undefined;
}

function registerDeletedVaults(azure: Azure, deleted: Map<string, DeletedVault>): void {
  const { router } = azure;
  const template =
    '/subscriptions/{s}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{name}';
  const options = { type: 'Microsoft.KeyVault/locations/deletedVaults' } as const;
  const find = (parameters: Readonly<Record<string, string>>): DeletedVault => {
    const found = stillDeleted(azure, deleted, parameters['name'] ?? '');
    if (!found || textAt(found.body, 'location') !== parameters['location'])
      throw keyVault.deletedVaultNotFound(parameters['name'] ?? '');
    return found;
  };
  router.on(
    'GET',
    template,
    ({ request, parameters }) => {
      const { id, body, deletedAt } = find(parameters);
      return {
        status: 200,
        body: {
          id: request.path,
          name: parameters['name'] ?? '',
          type: 'Microsoft.KeyVault/deletedVaults',
          properties: {
            vaultId: id,
            location: body['location'],
            tags: body['tags'],
            deletionDate: new Date(deletedAt).toISOString(),
            scheduledPurgeDate: new Date(deletedAt + retention(body)).toISOString(),
            purgeProtectionEnabled: at(body, 'properties', 'enablePurgeProtection') === true,
          },
        },
      };
    },
    options,
  );
  router.on(
    'POST',
    `${template}/purge`,
    ({ request, parameters }) => {
      const { id, body } = find(parameters);
      if (at(body, 'properties', 'enablePurgeProtection') === true)
        throw keyVault.purgeProtected(parameters['name'] ?? '');
      const operation = azure.operations.start({
        method: 'POST',
        target: `${id}/purge`,
        effect: () => {
          deleted.delete((parameters['name'] ?? '').toLowerCase());
        },
      });
      return { status: 202, headers: azure.operations.pollingHeaders(operation, request) };
    },
    options,
  );
}

/** PUT creates a missing key and changes nothing on an existing one; DELETE does not exist. */
function registerKeys(azure: Azure): void {
  const { store } = azure;
  registerResourceType(azure, {
    type: keyType,
    shape: vaultShapes.key,
    change: 'immediate',
    without: ['DELETE'],
    accept: (sent, { name, id, existing }) => {
      if (existing) return existing.body;
      const vault = store.get(parentOf(id));
      const kind = textAt(sent, 'properties', 'kty') ?? 'RSA';
      if (
        kind.endsWith('-HSM') &&
        textAt(vault?.body, 'properties', 'sku', 'name')?.toLowerCase() !== 'premium'
      )
        throw keyVault.hardwareKeyNeedsPremium(kind, vault?.name ?? '');
      const uri = `${textAt(vault?.body, 'properties', 'vaultUri')}keys/${name}`;
      return {
        location: vault?.body['location'],
        tags: sent['tags'] ?? {},
        properties: {
          attributes: { enabled: true, exportable: false, recoveryLevel: 'Recoverable' },
          keyOps: ['encrypt', 'decrypt', 'sign', 'verify', 'wrapKey', 'unwrapKey'],
          keySize: kind.startsWith('RSA') ? 2048 : undefined,
          ...objectAt(sent, 'properties'),
          kty: kind,
          keyUri: uri,
          keyUriWithVersion: `${uri}/${randomBytes(16).toString('hex')}`,
        },
      };
    },
  });
  registerList(azure, keyType, {
    template: '/subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.KeyVault/vaults/{v}/keys',
  });
}
