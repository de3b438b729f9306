/**
 * Encrypted storage records. `mapped_data` and `metadata` become `{"$enc": "gcm1:…"}`, and the hash of the source becomes a
 * keyed hash. Times, versions, scores and the region stay readable, because reports and retention need them.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import type { Place } from './ciphertext.ts';
import { EncryptionError } from './error.ts';
import type { BlindIndexOptions, FieldEncryption } from './field-encryption.ts';

const table = 'storage_records';

type Json = unknown;

/** Content of a record in clear. */
export interface PlainContent {
  readonly mappedData: Json;
  /** @default {} */
  readonly metadata?: Readonly<Record<string, Json>>;
  /** SHA-256 of the source, in hex. */
  readonly sourceDataHash: string;
}

export interface PlainRecord extends PlainContent {
  readonly tenantId: string;
  /** A uuid, in any form that PostgreSQL accepts. @default - a new one */
  readonly id?: string;
  /** Values for equality search, by name (`findableBy`). They are not part of the metadata. @default - none */
  readonly search?: Readonly<Record<string, string>>;
  /** Form of the index of `search`. @default - exact text, 128 bits */
  readonly index?: BlindIndexOptions;
}

/** The stored form of the content. */
export interface StoredContent {
  readonly mapped_data: Json;
  readonly metadata: Readonly<Record<string, Json>> | null;
  readonly source_data_hash: string;
}

/** The columns of a row that decryption needs. */
export interface StoredRecord extends Pick<StoredContent, 'mapped_data' | 'metadata'> {
  readonly tenant_id: string;
  readonly id: string;
}

export interface OpenedRecord {
  readonly mappedData: Json;
  readonly metadata: Readonly<Record<string, Json>> | null;
  /** The record is under a data key that was replaced: see `renewRecord`. */
  readonly stale: boolean;
}

const sealedKey = '$enc';
const searchKey = '$search';

/** Encrypts the content of a record. @throws EncryptionError, and TypeError for an id that is not a uuid */
export async function sealRecord(
  encryption: FieldEncryption,
  record: PlainRecord & { readonly id: string },
): Promise<StoredContent> {
  const { tenantId, id, mappedData, metadata = {}, sourceDataHash } = record;
  const [mapped, hash, tokens, described] = await Promise.all([
    sealValue(encryption, { tenant: tenantId, record: id, column: 'mapped_data' }, mappedData),
    sourceIndex(encryption, tenantId, sourceDataHash),
    searchTokens(encryption, record),
    Object.keys(metadata).length === 0
      ? {}
      : sealValue(encryption, { tenant: tenantId, record: id, column: 'metadata' }, metadata),
  ]);
  return {
    mapped_data: mapped,
    metadata: { ...described, ...tokens },
    source_data_hash: hash,
  };
}

/** The part of the metadata that searches use, in encrypted records and in records in clear. */
async function searchTokens(
  encryption: FieldEncryption,
  { tenantId, search = {}, index }: PlainRecord,
): Promise<{ readonly [searchKey]?: Readonly<Record<string, string>> }> {
  const tokens = await Promise.all(
    Object.entries(search).map(
      async ([name, value]) => [name, await searchToken(encryption, tenantId, name, value, index)] as const,
    ),
  );
  return tokens.length > 0 ? { [searchKey]: Object.fromEntries(tokens) } : {};
}

/** Decrypts a record. A record in clear is returned unchanged. @throws EncryptionError */
export async function openRecord(encryption: FieldEncryption, row: StoredRecord): Promise<OpenedRecord> {
  const place = { tenant: row.tenant_id, record: row.id };
  const mapped = await openValue(encryption, { ...place, column: 'mapped_data' }, row.mapped_data);
  const { [searchKey]: tokens, ...rest } = row.metadata ?? {};
  // In a record in clear from another program, this key may be data of that program.
  const own = tokens === undefined || areTokens(tokens) ? rest : { ...rest, [searchKey]: tokens };
  const metadata = await openValue(encryption, { ...place, column: 'metadata' }, own);
  return {
    mappedData: mapped.value,
    metadata: row.metadata === null ? null : (metadata.value as OpenedRecord['metadata']),
    stale: mapped.stale || metadata.stale,
  };
}

/**
 * Writes a record in the caller's transaction, encrypted unless the tenant's configuration says
 * `encryption_enabled = false`.
 *
 * With an id, the call is idempotent: a record that exists stays as it is, even if both calls run at once
 * (docs/isolation.md). The transaction must be READ COMMITTED.
 *
 * @param client a connection in a transaction that called llama.set_tenant_context, not from the pool of the key store.
 * @returns the record's id
 * @throws EncryptionError; TypeError and RangeError for values that the table refuses, before they reach the server
 */
export async function insertRecord(
  client: pg.ClientBase,
  encryption: FieldEncryption,
  record: PlainRecord & { readonly modelVersion: string; readonly detectorType: string },
  others: {
    readonly confidenceScore?: number;
    readonly timestamp?: Date;
    readonly correlationId?: string;
    readonly azureRegion?: string;
  } = {},
): Promise<string> {
  requireColumns(record, others.confidenceScore);
  const id = record.id === undefined ? randomUUID() : canonicalId(record.id);
  if (record.id !== undefined && (await isWritten(client, record.tenantId, id))) return id;
  const content = (await wantsEncryption(client, record.tenantId))
    ? await sealRecord(encryption, { ...record, id })
    : await clearRecord(encryption, record);
  const columns: Record<string, unknown> = {
    id,
    tenant_id: record.tenantId,
    source_data_hash: content.source_data_hash,
    mapped_data: storableJson('mapped_data', content.mapped_data),
    metadata: storableJson('metadata', content.metadata),
    model_version: record.modelVersion,
    detector_type: record.detectorType,
    confidence_score: others.confidenceScore,
    timestamp: others.timestamp,
    correlation_id: others.correlationId,
    azure_region: others.azureRegion,
  };
  const given = Object.entries(columns).filter(([, value]) => value !== undefined);
  try {
    await client.query(
      `INSERT INTO llama.storage_records (${given.map(([name]) => `"${name}"`).join(', ')})
       VALUES (${given.map((_, place) => `$${place + 1}`).join(', ')})`,
      given.map(([, value]) => value),
    );
  } catch (error) {
    // The data key was retired or destroyed after it was cached. The next attempt loads the keys again.
    if (error instanceof Error && Reflect.get(error, 'code') === '55000') encryption.forget(record.tenantId);
    throw error;
  }
  return id;
}

async function isWritten(client: pg.ClientBase, tenant: string, id: string): Promise<boolean> {
  const { rows } = await client.query<{ written: boolean }>(
    "SELECT llama.claim_id('storage_records', $1, $2) IS NOT NULL AS written",
    [tenant, id],
  );
  return rows[0]?.written === true;
}

/**
 * The columns of a stale record under the tenant's newest key, for the next update of the record. Undefined if the record
 * is already under that key, or is in clear.
 */
export async function renewRecord(
  encryption: FieldEncryption,
  { tenant_id: tenant, id: record, mapped_data: mapped, metadata }: StoredRecord,
): Promise<Pick<StoredContent, 'mapped_data' | 'metadata'> | undefined> {
  const renew = async <Value>(column: string, value: Value): Promise<Value | undefined> => {
    const text = sealedText(value);
    if (text === undefined) return undefined;
    const renewed = await encryption.renew(placeOf({ tenant, record, column }), text);
    return renewed === undefined ? undefined : { ...value, [sealedKey]: renewed };
  };
  const [content, described] = [await renew('mapped_data', mapped), await renew('metadata', metadata)];
  if (content === undefined && described === undefined) return undefined;
  return { mapped_data: content ?? mapped, metadata: described ?? metadata };
}

/** The `source_data_hash` of an encrypted record. It is keyed, because the plain hash of a short source can be guessed. */
export function sourceIndex(
  encryption: FieldEncryption,
  tenant: string,
  sourceDataHash: string,
): Promise<string> {
  return encryption
    .blindIndexBytes({ tenant, table, column: 'source_data_hash' }, sourceDataHash.toLowerCase(), {
      bits: 256,
    })
    .then((bytes) => bytes.toString('hex'));
}

/**
 * The condition that finds records by a value of `search`. Bind it to `metadata @> $n::jsonb`, together with conditions on
 * `tenant_id` and the time.
 */
export async function findableBy(
  encryption: FieldEncryption,
  tenant: string,
  name: string,
  value: string,
  index?: BlindIndexOptions,
): Promise<string> {
  const token = await searchToken(encryption, tenant, name, value, index);
  return JSON.stringify({ [searchKey]: { [name]: token } });
}

function searchToken(
  encryption: FieldEncryption,
  tenant: string,
  name: string,
  value: string,
  index?: BlindIndexOptions,
): Promise<string> {
  return encryption.blindIndex({ tenant, table, column: `metadata.${name}` }, value, index);
}

interface ColumnOf {
  readonly tenant: string;
  readonly record: string;
  readonly column: string;
}

/**
 * A uuid in PostgreSQL's output form. A value bound to another spelling could never be read again.
 *
 * @throws TypeError for a text that is not a uuid
 */
function canonicalId(id: string): string {
  const digits = id
    .replace(/^\{(.*)\}$/, '$1')
    .replaceAll('-', '')
    .toLowerCase();
  const parts = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/.exec(digits)?.slice(1);
  if (parts) return parts.join('-');
  throw new TypeError('the id of a storage record is a uuid');
}

function placeOf({ tenant, record, column }: ColumnOf): Place {
  return { tenant, table, column, record: canonicalId(record) };
}

async function sealValue(
  encryption: FieldEncryption,
  place: ColumnOf,
  value: Json,
): Promise<Readonly<Record<string, string>>> {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${place.column} is not a JSON value`);
  return { [sealedKey]: await encryption.encrypt(placeOf(place), text) };
}

async function openValue(
  encryption: FieldEncryption,
  place: ColumnOf,
  value: Json,
): Promise<{ readonly value: Json; readonly stale: boolean }> {
  const text = sealedText(value);
  if (text === undefined) return { value, stale: false };
  const { plaintext, stale } = await encryption.decrypt(placeOf(place), text);
  try {
    return { value: JSON.parse(plaintext.toString('utf8')), stale };
  } catch {
    // The parser's message quotes the text, so it is not passed on.
    throw new EncryptionError(
      'malformed',
      `The decrypted value in ${place.column} of record ${place.record} is not JSON`,
      'sealRecord did not write it',
      'Decrypt it with FieldEncryption.decrypt and inspect it.',
    );
  } finally {
    plaintext.fill(0);
  }
}

function sealedText(value: Json): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const text: unknown = Reflect.get(value, sealedKey);
  return typeof text === 'string' ? text : undefined;
}

/** The stored form of a record in clear. @throws TypeError for content that looks like an encrypted record */
export async function clearRecord(encryption: FieldEncryption, record: PlainRecord): Promise<StoredContent> {
  const { mappedData, metadata = {}, sourceDataHash } = record;
  for (const [column, value] of Object.entries({ mapped_data: mappedData, metadata })) {
    for (const key of [sealedKey, searchKey]) {
      if (typeof value === 'object' && value !== null && Object.hasOwn(value, key)) {
        throw new TypeError(`${column} of a record in clear has no key ${key}: it marks encrypted records`);
      }
    }
  }
  const tokens = await searchTokens(encryption, record);
  return { mapped_data: mappedData, metadata: { ...metadata, ...tokens }, source_data_hash: sourceDataHash };
}

/** Whether the value has the form that `searchTokens` gives. */
function areTokens(value: Json): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((token) => typeof token === 'string' && /^[A-Za-z0-9_-]{6,43}$/.test(token))
  );
}

/**
 * JSON that PostgreSQL accepts. PostgreSQL logs the beginning of a refused text or row, so the check comes first.
 *
 * @throws TypeError without any part of the text
 */
function storableJson(column: string, value: Json): string {
  const text = JSON.stringify(value);
  if (text === undefined) throw new TypeError(`${column} is not a JSON value`);
  // JSON escapes both, so one search finds candidates. The exact check follows, because `\\u0000` can be ordinary text.
  if (/\\u(?:0000|d[89a-f])/.test(text)) JSON.stringify(value, requireText);
  return text;
}

function requireText(this: unknown, key: string, value: unknown): unknown {
  for (const text of [key, value]) {
    if (typeof text === 'string' && (text.includes('\0') || /\p{Surrogate}/u.test(text))) {
      throw new TypeError(
        'a text has a NUL character or half a surrogate pair, which PostgreSQL cannot store',
      );
    }
  }
  return value;
}

/** PostgreSQL logs the row that violates a constraint, so the values are checked here first. */
function requireColumns(
  { tenantId, sourceDataHash, modelVersion, detectorType, metadata = {} }: Parameters<typeof insertRecord>[2],
  confidenceScore: number | undefined,
): void {
  for (const [name, text] of Object.entries({ tenantId, sourceDataHash, modelVersion, detectorType })) {
    if (typeof text !== 'string') throw new TypeError(`${name} is a text`);
  }
  if (tenantId === '') throw new TypeError('tenantId is not empty');
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new TypeError('metadata is a JSON object');
  }
  if (confidenceScore !== undefined && !(confidenceScore >= 0 && confidenceScore <= 1)) {
    throw new RangeError('confidenceScore is between 0 and 1');
  }
}

/** The tenant's choice. A tenant without a configuration gets the column's default, true. */
export async function wantsEncryption(client: pg.ClientBase, tenant: string): Promise<boolean> {
  const { rows } = await client.query<{ wanted: boolean }>(
    `SELECT coalesce((SELECT c.encryption_enabled FROM llama.tenant_configs AS c WHERE c.tenant_id = $1), true) AS wanted`,
    [tenant],
  );
  return rows[0]?.wanted ?? true;
}
