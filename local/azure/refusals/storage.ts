/** Refusals of Microsoft.Storage. */
import { defineRefusals, learn } from '../core/refusal.ts';

const naming = `${learn}/azure-resource-manager/management/resource-name-rules#microsoftstorage`;

export const storage = defineRefusals('Storage accounts', {
  nameNotValid: {
    status: 400,
    code: 'AccountNameInvalid',
    rule: 'The name of a storage account has 3 to 24 lower-case letters and digits',
    source: naming,
    message: (name: string) =>
      `${name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in length and use numbers and lower-case letters only.`,
  },
  nameTaken: {
    status: 409,
    code: 'StorageAccountAlreadyTaken',
    rule: 'The name of a storage account is unique in all of Azure',
    source: naming,
    message: (name: string) => `The storage account named ${name} is already taken.`,
  },
  redundancyNotOffered: {
    status: 400,
    code: 'RedundancyConfigurationNotAvailableInRegion',
    rule: 'Geo-redundant storage needs a region with a pair, zone-redundant storage a region with availability zones',
    source: `${learn}/storage/common/storage-redundancy`,
    message: (sku: string, location: string) =>
      `Redundancy configuration ${sku} is not available in region '${location}'.`,
  },
});
