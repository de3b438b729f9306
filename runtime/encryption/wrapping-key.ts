/** The key that wraps data keys. Each wrapped data key is bound to its tenant, id and purpose. */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { lengthPrefixed } from './ciphertext.ts';
import { EncryptionError } from './error.ts';

export type WrappingAlgorithm = 'RSA-OAEP-256' | 'A256GCM';

export interface Wrapped {
  /** Version of the wrapping key. */
  readonly version: string;
  readonly bytes: Buffer;
}

/** A wrapping key in Key Vault, or in a file for a local server. The private key never leaves a vault. */
export interface WrappingKey {
  /** The id that data keys store, without a version. */
  readonly id: string;
  readonly algorithm: WrappingAlgorithm;
  /**
   * The version that wraps new data keys.
   *
   * @param fresh request it again instead of using a cached one. @default false
   * @throws EncryptionError `denied` or `unavailable`
   */
  newest(fresh?: boolean): Promise<string>;
  /** Wraps with the newest version. @throws EncryptionError `denied` or `unavailable` */
  wrap(plain: Buffer): Promise<Wrapped>;
  /** @throws EncryptionError `denied`, `unavailable`, `refused` (other bytes), `destroyed` (the version is gone) */
  unwrap(wrapped: Wrapped): Promise<Buffer>;
}

export type Purpose = 'encryption' | 'index';

/** The identity of a data key. A wrapped key that is stored under another identity is refused. */
export interface DataKeyIdentity {
  readonly tenant: string;
  readonly keyId: string;
  readonly purpose: Purpose;
}

const keyLength = 32;
const payloadVersion = 1;

export function generateDataKey(): Buffer {
  return randomBytes(keyLength);
}

/**
 * Wraps a data key together with a digest of its identity. RSA-OAEP does not authenticate the sender, so without the
 * digest a wrapped key could be moved to another tenant or purpose unnoticed.
 */
export async function wrapDataKey(
  wrapping: WrappingKey,
  identity: DataKeyIdentity,
  key: Buffer,
): Promise<Wrapped> {
  const payload = Buffer.concat([Buffer.of(payloadVersion), key, digestOf(identity)]);
  try {
    return await wrapping.wrap(payload);
  } finally {
    payload.fill(0);
  }
}

/** @throws EncryptionError `refused` if the wrapped key belongs to another identity */
export async function unwrapDataKey(
  wrapping: WrappingKey,
  identity: DataKeyIdentity,
  wrapped: Wrapped,
): Promise<Buffer> {
  const payload = await wrapping.unwrap(wrapped);
  try {
    const digest = payload.subarray(1 + keyLength);
    const expected = digestOf(identity);
    if (
      payload[0] === payloadVersion &&
      digest.length === expected.length &&
      timingSafeEqual(digest, expected)
    ) {
      return Buffer.from(payload.subarray(1, 1 + keyLength));
    }
  } finally {
    payload.fill(0);
  }
  throw new EncryptionError(
    'refused',
    `Data key ${identity.keyId} of tenant ${identity.tenant} is refused`,
    'the wrapped key in llama.data_keys was made for another tenant, key or purpose',
    'Wrapped keys were moved between rows: restore llama.data_keys from a backup and read its audit trail.',
  );
}

function digestOf({ tenant, keyId, purpose }: DataKeyIdentity): Buffer {
  return createHash('sha256')
    .update(lengthPrefixed('llama-data-key-1', tenant, keyId, purpose))
    .digest();
}
