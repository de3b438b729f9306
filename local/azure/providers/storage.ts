/** Microsoft.Storage: accounts and containers, as far as the state of Terraform needs them. */
import { redundancyOf } from '../../../azure/regions.ts';
import { nameOf, parentOf, sameId } from '../../../azure/resource-id.ts';
import { type JsonObject, objectAt, textAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { canonicalLocation } from '../core/locations.ts';
import { refuseReservedName } from '../core/names.ts';
import { type Change, keep, registerResourceType } from '../core/resource-types.ts';
import { storageShapes } from '../core/shapes.ts';
import { storage as refusals } from '../refusals/storage.ts';
import type { BlobStore } from './storage-blobs.ts';

const accountType = 'Microsoft.Storage/storageAccounts';

export function registerStorage(azure: Azure, blobs: BlobStore): void {
  registerResourceType(azure, {
    type: accountType,
    shape: storageShapes.account,
    change: 'accepted',
    accept: (sent, { id, name }) => {
      refuseAccount(azure, sent, { id, name });
      return keep(sent, { primaryEndpoints: { blob: `https://${name}.blob.core.windows.net/` } });
    },
  });
  registerResourceType(azure, {
    type: `${accountType}/blobServices`,
    shape: storageShapes.blobService,
    change: 'immediate',
    createdStatus: 200,
    accept: (sent) => sent,
  });
  registerResourceType(azure, {
    type: `${accountType}/blobServices/containers`,
    shape: storageShapes.container,
    change: 'immediate',
    accept: (sent, { id, name }) => {
      blobs.addContainer(nameOf(parentOf(parentOf(id))), name);
      return { properties: { publicAccess: 'None', ...objectAt(sent, 'properties') } };
    },
  });
}

function refuseAccount(azure: Azure, sent: JsonObject, { id, name }: Pick<Change, 'id' | 'name'>): void {
  if (!/^[a-z0-9]{3,24}$/.test(name)) throw refusals.nameNotValid(name);
  refuseReservedName(name);
  const others = azure.store.ofType(accountType).filter((other) => !sameId(other.id, id));
  if (others.some((other) => other.name === name)) throw refusals.nameTaken(name);
  const location = canonicalLocation(textAt(sent, 'location') ?? '');
  const { pair, zones } = redundancyOf(location);
  // Standard_RAGZRS: `G` is the paired region, `ZRS` the zones.
  const sku = textAt(sent, 'sku', 'name') ?? '';
  if ((/_(?:RA)?G/.test(sku) && !pair) || (/ZRS$/.test(sku) && !zones))
    throw refusals.redundancyNotOffered(sku, location);
}
