/**
 * The form of an encrypted value: AES-256-GCM with a random 96-bit nonce. Each value is bound to its place.
 *
 * As text: `gcm1:<data key's id>:<base64url of nonce, ciphertext and tag>`. As bytes: 0x01, the id's 16 bytes, nonce (12),
 * ciphertext, tag (16). The text shows the key's id without decoding, so that SQL can read it too.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { EncryptionError } from './error.ts';

/** The place that a value is bound to. Decryption refuses a value found in any other place. */
export interface Place {
  readonly tenant: string;
  readonly table: string;
  readonly column: string;
  /** Key of the row, as text. It must never change. */
  readonly record: string;
}

const cipher = 'aes-256-gcm';
const nonceLength = 12;
const tagLength = 16;
const version = 1;
const idLength = 16;

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const textualHead = /^gcm1:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}):$/;
const headLength = 42;
/** Characters of the nonce and the tag of an empty text. */
const emptyLength = 38;

/** The parts of an encrypted value. */
export interface Sealed {
  /** Id of the data key. */
  readonly keyId: string;
  readonly nonce: Buffer;
  readonly body: Buffer;
  readonly tag: Buffer;
}

/** Encrypts a value. Each value gets a new random nonce; the caller cannot choose it. */
export function seal(key: Buffer, keyId: string, place: Place, plaintext: Uint8Array): Sealed {
  const nonce = randomBytes(nonceLength);
  const gcm = createCipheriv(cipher, key, nonce, { authTagLength: tagLength });
  gcm.setAAD(associatedData(keyId, place));
  const body = Buffer.concat([gcm.update(plaintext), gcm.final()]);
  return { keyId, nonce, body, tag: gcm.getAuthTag() };
}

/** @throws EncryptionError `refused` if the value was changed or does not belong to that place */
export function open(key: Buffer, place: Place, { keyId, nonce, body, tag }: Sealed): Buffer {
  // Without this length Node accepts tags of four bytes, which an attacker can guess within hours.
  const gcm = createDecipheriv(cipher, key, nonce, { authTagLength: tagLength });
  gcm.setAAD(associatedData(keyId, place));
  gcm.setAuthTag(tag);
  const first = gcm.update(body);
  try {
    return Buffer.concat([first, gcm.final()]);
  } catch {
    // Plaintext whose tag failed must not be used.
    first.fill(0);
    throw new EncryptionError(
      'refused',
      `The encrypted value in ${place.table}.${place.column} of record ${place.record} is refused`,
      'it was changed, or it was encrypted for another tenant, table, column or record (its authentication tag does not fit)',
      'Restore the record from a backup; find out in the audit trail who wrote it.',
    );
  }
}

export function toText({ keyId, nonce, body, tag }: Sealed): string {
  return `gcm1:${keyId}:${Buffer.concat([nonce, body, tag]).toString('base64url')}`;
}

export function toBytes({ keyId, nonce, body, tag }: Sealed): Buffer {
  return Buffer.concat([Buffer.of(version), idBytes(keyId), nonce, body, tag]);
}

/** @throws EncryptionError `malformed`; the message does not quote the value */
export function parse(value: string | Uint8Array): Sealed {
  const sealed = typeof value === 'string' ? fromText(value) : fromBytes(Buffer.from(value));
  if (sealed) return sealed;
  throw new EncryptionError(
    'malformed',
    'A value is not encrypted',
    'it has neither the form gcm1:<key id>:<base64url> nor the binary form',
    'Do not decrypt values that were stored in clear; docs/encryption.md describes both forms.',
  );
}

function fromText(value: string): Sealed | undefined {
  const [, keyId] = textualHead.exec(value.slice(0, headLength)) ?? [];
  const encoded = value.slice(headLength);
  // The expression has no repetition: a repetition keeps a state per character, and megabytes overflow the stack.
  if (keyId === undefined || encoded.length < emptyLength || /[^A-Za-z0-9_-]/.test(encoded)) return undefined;
  // The length of base64 is never one more than a multiple of four.
  return encoded.length % 4 === 1 ? undefined : split(keyId, Buffer.from(encoded, 'base64url'));
}

function fromBytes(value: Buffer): Sealed | undefined {
  if (value.length < 1 + idLength || value[0] !== version) return undefined;
  const hex = value.toString('hex', 1, 1 + idLength);
  const keyId = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return split(keyId, value.subarray(1 + idLength));
}

function split(keyId: string, rest: Buffer): Sealed | undefined {
  if (rest.length < nonceLength + tagLength) return undefined;
  return {
    keyId,
    nonce: rest.subarray(0, nonceLength),
    body: rest.subarray(nonceLength, rest.length - tagLength),
    tag: rest.subarray(rest.length - tagLength),
  };
}

function idBytes(keyId: string): Buffer {
  if (!uuid.test(keyId)) throw new Error('a data key id is a uuid in lower case');
  return Buffer.from(keyId.replaceAll('-', ''), 'hex');
}

function associatedData(keyId: string, { tenant, table, column, record }: Place): Buffer {
  return lengthPrefixed('llama-field-1', keyId, tenant, table, column, record);
}

/** Each part after its length (4 bytes, big endian), so that different lists of parts give different bytes. */
export function lengthPrefixed(...parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const bytes = Buffer.from(part as string);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return [length, bytes];
    }),
  );
}
