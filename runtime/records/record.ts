/** The storage record: its fields, their rules, and its form as JSON. */
import { RecordError, refuse } from './error.ts';
import { type DecimalInput, Fields } from './fields.ts';
import { decode, encode, type JsonObject, type JsonValue, type StoredJson } from './json.ts';
import type { Timestamp } from './timestamp.ts';

export type BackupStatus = 'pending' | 'completed' | 'failed';

/** A stored record. */
export interface StorageRecord {
  readonly id: string;
  readonly tenantId: string;
  /** SHA-256 of the source in hex; of an encrypted record its keyed hash. */
  readonly sourceDataHash: string;
  readonly mappedData: JsonValue;
  readonly modelVersion: string;
  readonly detectorType: string;
  /** A decimal from 0 to 1 with up to four places, as text. */
  readonly confidenceScore: string | null;
  readonly timestamp: Timestamp;
  readonly metadata: JsonObject;
  /** Blob name of the exported record. */
  readonly s3Key: string | null;
  /** Whether content and metadata are encrypted in the database. */
  readonly encrypted: boolean;
  readonly correlationId: string | null;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
  readonly azureRegion: string | null;
  readonly backupStatus: BackupStatus;
}

/** A record to insert. The database sets the other fields. */
export interface NewRecord {
  /** A uuid. With an id, insertion can be repeated. @default - a random one */
  readonly id?: string;
  /** SHA-256 of the source in hex. */
  readonly sourceDataHash: string;
  readonly mappedData: JsonValue;
  readonly modelVersion: string;
  readonly detectorType: string;
  readonly confidenceScore?: DecimalInput | null;
  /** @default - now */
  readonly timestamp?: Date | string;
  /** @default {} */
  readonly metadata?: JsonObject;
  readonly s3Key?: string | null;
  readonly correlationId?: string | null;
  /** @default 'eastus' */
  readonly azureRegion?: string;
}

/** The values of a new record as they are bound, without the tenant and before encryption. */
export interface CheckedRecord {
  readonly id: string | undefined;
  readonly source_data_hash: string;
  readonly mapped_data: StoredJson;
  readonly model_version: string;
  readonly detector_type: string;
  readonly confidence_score: string | null;
  readonly timestamp: string | undefined;
  readonly metadata: { readonly [key: string]: StoredJson };
  readonly s3_key: string | null;
  readonly correlation_id: string | null;
  readonly azure_region: string;
}

/** The column's default. */
export const usualRegion = 'eastus';

const optional = <Result>(value: unknown, check: () => Result): Result | null =>
  value === undefined || value === null ? null : check();

/** @throws RecordError `record/invalid` with every problem */
export function checkRecord(record: NewRecord): CheckedRecord {
  const fields = new Fields();
  const given: Partial<Record<keyof NewRecord, unknown>> = record ?? {};
  const { id, timestamp, confidenceScore, s3Key, correlationId, azureRegion } = given;
  const found = {
    id: id === undefined ? undefined : fields.uuid('id', id),
    source_data_hash: fields.hash('sourceDataHash', given.sourceDataHash),
    mapped_data: encode(given.mappedData, 'mappedData', fields.problems),
    model_version: fields.text('modelVersion', given.modelVersion, 100),
    detector_type: fields.text('detectorType', given.detectorType, 50),
    confidence_score: optional(confidenceScore, () =>
      fields.decimal('confidenceScore', confidenceScore, score),
    ),
    timestamp: timestamp === undefined ? undefined : fields.time('timestamp', timestamp)?.toISOString(),
    metadata: objectOf(given.metadata ?? {}, 'metadata', fields),
    s3_key: optional(s3Key, () => fields.text('s3Key', s3Key, 500)),
    correlation_id: optional(correlationId, () => fields.uuid('correlationId', correlationId)),
    azure_region: azureRegion === undefined ? usualRegion : fields.text('azureRegion', azureRegion, 50),
  };
  refuse('record', fields.problems);
  return found as CheckedRecord;
}

/** numeric(5, 4) from 0 to 1. */
export const score = { whole: 1, places: 4, least: 0, most: 1 } as const;

export function objectOf(
  value: unknown,
  field: string,
  fields: Fields,
): { readonly [key: string]: StoredJson } {
  const stored = encode(value, field, fields.problems);
  const isTagged = value instanceof Date || typeof value === 'bigint';
  if (typeof stored === 'object' && stored !== null && !Array.isArray(stored) && !isTagged)
    return stored as { readonly [key: string]: StoredJson };
  fields.problems.push({ field, rule: 'is an object' });
  return {};
}

/** A record as JSON with the names of the columns: texts for times, decimals and uuids. `parseRecord` is its inverse. */
export function serializeRecord(record: StorageRecord): Readonly<Record<string, StoredJson>> {
  const fields = new Fields();
  const form = {
    id: record.id,
    tenant_id: record.tenantId,
    source_data_hash: record.sourceDataHash,
    mapped_data: encode(record.mappedData, 'mappedData', fields.problems),
    model_version: record.modelVersion,
    detector_type: record.detectorType,
    confidence_score: record.confidenceScore,
    timestamp: record.timestamp.toISOString(),
    metadata: objectOf(record.metadata, 'metadata', fields),
    s3_key: record.s3Key,
    encrypted: record.encrypted,
    correlation_id: record.correlationId,
    created_at: record.createdAt.toISOString(),
    updated_at: record.updatedAt.toISOString(),
    azure_region: record.azureRegion,
    backup_status: record.backupStatus,
  };
  refuse('record', fields.problems);
  return form;
}

/** @throws RecordError `record/invalid` with every problem, `record/not-an-object` */
export function parseRecord(form: unknown): StorageRecord {
  if (typeof form !== 'object' || form === null || Array.isArray(form)) {
    throw new RecordError(
      'record/not-an-object',
      'The serialised record cannot be read',
      'it is not a JSON object',
      'Give what serializeRecord returned.',
    );
  }
  const given = form as Readonly<Record<string, unknown>>;
  const fields = new Fields();
  const { problems } = fields;
  const nullable = <Result>(name: string, check: (name: string, value: unknown) => Result) =>
    optional(given[name], () => check(name, given[name]));
  const status = given['backup_status'];
  if (status !== 'pending' && status !== 'completed' && status !== 'failed')
    problems.push({ field: 'backup_status', rule: 'is pending, completed or failed' });
  const found = {
    id: fields.uuid('id', given['id']),
    tenantId: fields.text('tenant_id', given['tenant_id'], 100),
    sourceDataHash: fields.hash('source_data_hash', given['source_data_hash']),
    mappedData: jsonOf(given['mapped_data'], 'mapped_data', fields),
    modelVersion: fields.text('model_version', given['model_version'], 100),
    detectorType: fields.text('detector_type', given['detector_type'], 50),
    confidenceScore: nullable('confidence_score', (name, value) => fields.decimal(name, value, score)),
    timestamp: fields.time('timestamp', given['timestamp']),
    metadata: jsonOf(given['metadata'], 'metadata', fields),
    s3Key: nullable('s3_key', (name, value) => fields.text(name, value, 500)),
    encrypted: fields.boolean('encrypted', given['encrypted']),
    correlationId: nullable('correlation_id', (name, value) => fields.uuid(name, value)),
    createdAt: fields.time('created_at', given['created_at']),
    updatedAt: fields.time('updated_at', given['updated_at']),
    azureRegion: nullable('azure_region', (name, value) => fields.text(name, value, 50)),
    backupStatus: status,
  };
  if (typeof found.metadata !== 'object' || found.metadata === null || Array.isArray(found.metadata))
    problems.push({ field: 'metadata', rule: 'is an object' });
  refuse('serialised record', problems);
  return found as StorageRecord;
}

function jsonOf(value: unknown, field: string, fields: Fields): JsonValue {
  // The keys have their stored form already, so only the types are checked.
  encode(value, field, fields.problems);
  return decode(value as StoredJson);
}
