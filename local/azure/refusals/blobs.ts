/** Refusals of blob storage, which answers in XML. */
import { ArmError, type AzureResponse } from '../core/http.ts';
import { defineRefusals } from '../core/refusal.ts';

const rest = 'https://learn.microsoft.com/rest/api/storageservices';
const lease = `${rest}/lease-blob`;
const codes = `${rest}/blob-service-error-codes`;
const common = `${rest}/common-rest-api-error-codes`;

class BlobError extends ArmError {
  override toResponse(): AzureResponse {
    return {
      status: this.status,
      headers: { 'x-ms-error-code': this.code, 'content-type': 'application/xml' },
      body: Buffer.from(
        `<?xml version="1.0" encoding="utf-8"?><Error><Code>${this.code}</Code><Message>${this.message}</Message></Error>`,
      ),
    };
  }
}

export const blobs = defineRefusals(
  'Blob storage',
  {
    noAuthentication: {
      status: 401,
      code: 'NoAuthenticationInformation',
      rule: 'A request carries a token for storage',
      source: common,
      message: () => 'Server failed to authenticate the request.',
    },
    permissionMismatch: {
      status: 403,
      code: 'AuthorizationPermissionMismatch',
      rule: 'A role with the data action is held on the container or above it',
      source: common,
      message: () => 'This request is not authorized to perform this operation using this permission.',
    },
    containerNotFound: {
      status: 404,
      code: 'ContainerNotFound',
      rule: 'The container exists',
      source: codes,
      message: () => 'The specified container does not exist.',
    },
    blobNotFound: {
      status: 404,
      code: 'BlobNotFound',
      rule: 'A blob that is read, leased or deleted exists',
      source: codes,
      message: () => 'The specified blob does not exist.',
    },
    leaseIdMissing: {
      status: 412,
      code: 'LeaseIdMissing',
      rule: 'A leased blob is changed with the id of its lease',
      source: lease,
      message: () => 'There is currently a lease on the blob and no lease ID was specified in the request.',
    },
    leaseIdMismatch: {
      status: 412,
      code: 'LeaseIdMismatchWithBlobOperation',
      rule: 'The id of a change is that of the lease',
      source: lease,
      message: () => 'The lease ID specified did not match the lease ID for the blob.',
    },
    leaseAlreadyPresent: {
      status: 409,
      code: 'LeaseAlreadyPresent',
      rule: 'A leased blob is not leased again',
      source: lease,
      message: () => 'There is already a lease present.',
    },
    leaseIdMismatchOfLease: {
      status: 409,
      code: 'LeaseIdMismatchWithLeaseOperation',
      rule: 'A lease is renewed and released with its id',
      source: lease,
      message: () => 'The lease ID specified did not match the lease ID for the blob.',
    },
    leaseActionUnknown: {
      status: 400,
      code: 'InvalidHeaderValue',
      rule: 'The action on a lease is acquire, renew, release or break',
      source: lease,
      message: () => 'The value for x-ms-lease-action is not known.',
    },
  },
  BlobError,
);
