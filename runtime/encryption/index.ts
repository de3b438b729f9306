/** Field encryption for applications: docs/encryption.md. */
export type { Place } from './ciphertext.ts';
export { EncryptionError, type EncryptionProblem } from './error.ts';
export {
  type BlindIndexOptions,
  FieldEncryption,
  type FieldEncryptionOptions,
  type IndexedField,
  normalisation,
  type Opened,
} from './field-encryption.ts';
export type { CacheOptions } from './key-cache.ts';
export {
  type KeyState,
  type KeyStore,
  keyStoreOf,
  type NewKey,
  type Pool,
  type RegisteredColumn,
  type StoredKey,
} from './key-store.ts';
export { type KeyVaultOptions, KeyVaultWrappingKey } from './key-vault.ts';
export { LocalKey } from './local-key.ts';
export {
  findableBy,
  insertRecord,
  type OpenedRecord,
  openRecord,
  type PlainRecord,
  renewRecord,
  type StoredContent,
  type StoredRecord,
  sealRecord,
  sourceIndex,
} from './records.ts';
export { keyStoreFor, type ServerKeyStore } from './server-store.ts';
export type { Purpose, Wrapped, WrappingAlgorithm, WrappingKey } from './wrapping-key.ts';
