/** Microsoft.Storage: accounts and containers, as far as the state of Terraform needs them. */
import { nameOf, parentOf } from '../../../azure/resource-id.ts';
import { objectAt } from '../../../core/json.ts';
import type { Azure } from '../core/context.ts';
import { keep, registerResourceType } from '../core/resource-types.ts';
import { storageShapes } from '../core/shapes.ts';
import type { BlobStore } from './storage-blobs.ts';

const accountType = 'Microsoft.Storage/storageAccounts';

export function registerStorage(azure: Azure, blobs: BlobStore): void {
  registerResourceType(azure, {
    type: accountType,
    shape: storageShapes.account,
    change: 'accepted',
    accept: (sent, { name }) =>
      keep(sent, { primaryEndpoints: { blob: `https://${name}.blob.core.windows.net/` } }),
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
