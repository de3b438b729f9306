/** Refusals of Key Vault: the control plane, and the data plane with an inner code. */
import { ArmError, type AzureResponse } from '../core/http.ts';
import { defineRefusals, learn } from '../core/refusal.ts';

const softDelete = `${learn}/key-vault/general/soft-delete-overview`;
const naming = `${learn}/azure-resource-manager/management/resource-name-rules#microsoftkeyvault`;
const codes = `${learn}/key-vault/general/rest-error-codes`;

export const keyVault = defineRefusals('Key Vault', {
  nameInDeletedState: {
    status: 409,
    code: 'ConflictError',
    rule: 'A deleted vault keeps its name during its retention, unless it is recovered',
    source: softDelete,
    message: (name: string) =>
      `A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. (${name})`,
  },
  recoveredElsewhere: {
    status: 400,
    code: 'SoftDeletedVaultDoesNotExist',
    rule: 'A deleted vault is recovered in its own resource group',
    source: `${softDelete}; azurerm #12972`,
    message: (name: string, group: string) =>
      `A soft deleted vault with the given name does not exist. Ensure that the name for the vault that is being attempted to recover is in a recoverable state. (${name} was in ${group})`,
  },
  nameNotValid: {
    status: 400,
    code: 'VaultNameNotValid',
    rule: 'A vault name has 3 to 24 letters, digits and single hyphens, and begins with a letter',
    source: naming,
    message: (name: string) => `The vault name '${name}' is invalid.`,
  },
  nameTaken: {
    status: 409,
    code: 'VaultAlreadyExists',
    rule: 'A vault name is unique in all of Azure',
    source: naming,
    message: (name: string) => `The vault name '${name}' is already in use.`,
  },
  purgeProtectionIrreversible: {
    status: 400,
    code: 'BadRequest',
    rule: 'Purge protection stays on',
    source: softDelete,
    message: () =>
      'The property "enablePurgeProtection" cannot be set to false. Enabling the purge protection for a vault is an irreversible action.',
  },
  retentionImmutable: {
    status: 400,
    code: 'BadRequest',
    rule: 'The retention of deleted vaults and keys is set once',
    source: softDelete,
    message: () => 'The property "softDeleteRetentionInDays" has been set already and it can\'t be modified.',
  },
  deletedVaultNotFound: {
    status: 404,
    code: 'DeletedVaultNotFound',
    rule: 'A deleted vault that is read or purged is still retained',
    source: softDelete,
    message: (name: string) => `The specified deleted vault '${name}' does not exist.`,
  },
  purgeProtected: {
    status: 409,
    code: 'DeletedVaultPurge',
    rule: 'A vault with purge protection is not purged',
    source: softDelete,
    message: (name: string) =>
      `Operation 'DeletedVaultPurge' is not allowed: purge protection is enabled for vault '${name}'.`,
  },
  hardwareKeyNeedsPremium: {
    status: 400,
    code: 'BadParameter',
    rule: 'A key in hardware needs a premium vault',
    source: `${learn}/key-vault/keys/about-keys`,
    message: (kind: string, vault: string) =>
      `Key type ${kind} needs a premium vault, and '${vault}' is standard.`,
  },
});

/** The data plane names its reason in `innererror`. */
class VaultError extends ArmError {
  override toResponse(): AzureResponse {
    const inner = this.inner === undefined ? {} : { innererror: { code: this.inner } };
    return {
      status: this.status,
      headers: this.headers,
      body: { error: { code: this.code, message: this.message, ...inner } },
    };
  }
}

const keyDetails = `${learn}/key-vault/keys/about-keys-details`;

export const vaultData = defineRefusals(
  'Key Vault, data plane',
  {
    vaultNotFound: {
      status: 404,
      code: 'VaultNotFound',
      rule: 'The vault of the host name exists',
      source: codes,
      message: (name: string) => `The vault '${name}' does not exist.`,
    },
    unauthorized: {
      status: 401,
      code: 'Unauthorized',
      rule: 'A request carries a token for vaults; the answer names where to get one',
      source: codes,
      message: (_tenant: string) => 'AKV10000: Request is missing a Bearer or PoP token.',
      headers: (tenant: string) => ({
        'www-authenticate': `Bearer authorization="https://login.microsoftonline.com/${tenant}", resource="https://vault.azure.net"`,
      }),
    },
    forbiddenByConnection: {
      status: 403,
      code: 'Forbidden',
      inner: 'ForbiddenByConnection',
      rule: 'A closed vault answers through its private endpoint only',
      source: codes,
      message: () =>
        'Public network access is disabled and request is not from a trusted service nor via an approved private link.',
    },
    forbiddenByRbac: {
      status: 403,
      code: 'Forbidden',
      inner: 'ForbiddenByRbac',
      rule: 'A role with the data action is held on the key or above it',
      source: `${learn}/key-vault/general/rbac-guide`,
      message: () =>
        'Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role definitions were changed recently, please observe propagation time.',
    },
    keyNotFound: {
      status: 404,
      code: 'KeyNotFound',
      rule: 'The key and its version exist',
      source: codes,
      message: (name: string) => `A key with (name/id) ${name} was not found in this key vault.`,
    },
    operationForbidden: {
      status: 403,
      code: 'Forbidden',
      inner: 'KeyOperationForbidden',
      rule: 'The key permits the operation',
      source: keyDetails,
      message: (operation: string) => `Operation ${operation} is not permitted on this key.`,
    },
    keyDisabled: {
      status: 403,
      code: 'Forbidden',
      inner: 'KeyDisabled',
      rule: 'A disabled version does not unwrap',
      source: `${keyDetails}; https://github.com/Azure/azure-sdk-for-python/issues/45342`,
      message: () => 'Operation unwrapKey is not allowed on a disabled key.',
    },
    keyExpired: {
      status: 403,
      code: 'Forbidden',
      inner: 'KeyExpired',
      rule: 'An expired version does not wrap',
      source: keyDetails,
      message: () => 'Operation wrapKey is not allowed on an expired key.',
    },
    algorithmNotSupported: {
      status: 400,
      code: 'BadParameter',
      rule: 'The algorithm is one of the key',
      source: keyDetails,
      message: (algorithm: string) => `Property alg has invalid value ${algorithm} for this key.`,
    },
    badParameter: {
      status: 400,
      code: 'BadParameter',
      rule: 'The value was wrapped with this version',
      source: codes,
      message: () => 'The parameter is incorrect.\r\n',
    },
  },
  VaultError,
);
