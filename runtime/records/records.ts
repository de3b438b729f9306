/** The storage records of one tenant. */
import { randomUUID } from 'node:crypto';
import type { FieldEncryption } from '../encryption/field-encryption.ts';
import { clearRecord, findableBy, openRecord, sealRecord, wantsEncryption } from '../encryption/records.ts';
import type { TenantClient } from '../tenant/client.ts';
import type { ReadOptions, Tenant, TransactionOptions } from '../tenant/tenant.ts';
import type { Page, PageOptions } from './cursor.ts';
import { RecordError, refuse } from './error.ts';
import { Fields } from './fields.ts';
import { decode, type JsonObject, type StoredJson } from './json.ts';
import { type CheckedRecord, checkRecord, type NewRecord, objectOf, type StorageRecord } from './record.ts';
import { pageOf, pageQuery, rangeOf, textColumn, timeOf } from './rows.ts';
import { Timestamp } from './timestamp.ts';

export interface RecordsOptions {
  /**
   * Encrypts content and metadata of the tenants that want it, and decrypts what it reads. `off` writes in clear, and refuses
   * to write for a tenant whose configuration demands encryption.
   */
  readonly encryption: FieldEncryption | 'off';
  /** Fields of the metadata that `search` can find although they are encrypted. Their values are texts. @default - none */
  readonly searchable?: readonly string[];
}

/** As for `Tenant.transaction`. */
export type InsertOptions = Pick<TransactionOptions, 'signal'>;

/** Where a record is. With the time, only one partition is searched. */
export interface RecordPlace {
  readonly id: string;
  /** Time of the record; a Date without microseconds means its whole millisecond. @default - any */
  readonly timestamp?: Date | string;
}

interface Row {
  readonly id: string;
  readonly tenant_id: string;
  readonly source_data_hash: string;
  readonly mapped_data: string;
  readonly model_version: string;
  readonly detector_type: string;
  readonly confidence_score: string | null;
  readonly timestamp: string;
  readonly metadata: string | null;
  readonly s3_key: string | null;
  readonly encrypted: boolean | null;
  readonly correlation_id: string | null;
  readonly created_at: string;
  readonly updated_at: string;
  readonly azure_region: string | null;
  readonly backup_status: StorageRecord['backupStatus'];
}

const table = 'llama.storage_records';
// JSON as text: the application may have replaced the parsers of the driver.
const columns = `id, tenant_id, source_data_hash, mapped_data::text AS mapped_data, model_version, detector_type,
  confidence_score::text AS confidence_score, ${textColumn('timestamp')}, metadata::text AS metadata, s3_key, encrypted, correlation_id,
  ${textColumn('created_at')}, ${textColumn('updated_at')}, azure_region, backup_status`;

/** Columns of an insertion with the types of their arrays, in the order of the statement. */
const inserted = {
  id: 'uuid',
  source_data_hash: 'text',
  mapped_data: 'text',
  model_version: 'text',
  detector_type: 'text',
  confidence_score: 'numeric',
  timestamp: 'timestamptz',
  metadata: 'text',
  s3_key: 'text',
  correlation_id: 'uuid',
  azure_region: 'text',
} as const;
type Bound = { readonly [Column in keyof typeof inserted]: string | null };

const names = Object.keys(inserted) as (keyof typeof inserted)[];
const insertion = `
  INSERT INTO ${table} (tenant_id, ${names.map((name) => `"${name}"`).join(', ')})
  SELECT $1, ${names.map((name) => (inserted[name] === 'text' && /data$/.test(name) ? `r."${name}"::jsonb` : `r."${name}"`)).join(', ')}
    FROM unnest(${names.map((name, place) => `$${place + 2}::${inserted[name]}[]`).join(', ')})
      AS r (${names.map((name) => `"${name}"`).join(', ')})
  ON CONFLICT DO NOTHING`;

/** Records of one insertion. Its parameters stay far below the limit of a message. */
const largestBatch = 10_000;
/** Each claim is a lock in the memory that all sessions of the server share. */
const mostClaims = 1000;

/** Reads and writes of a tenant's storage records. It is cheap: make one per request. */
export class StorageRecords {
  readonly #tenant: Tenant;
  readonly #encryption: FieldEncryption | undefined;
  readonly #searchable: ReadonlySet<string>;

  constructor(tenant: Tenant, { encryption, searchable = [] }: RecordsOptions) {
    this.#tenant = tenant;
    this.#encryption = encryption === 'off' ? undefined : encryption;
    this.#searchable = new Set(searchable);
  }

  /** Inserts a record. @returns its id. @throws RecordError, EncryptionError, DatabaseFailure */
  async insert(record: NewRecord, options: InsertOptions = {}): Promise<string> {
    const [id = ''] = await this.insertAll([record], options);
    return id;
  }

  /**
   * Inserts records with one statement, all or none. A record that exists already stays as it is, so a call with ids can be
   * repeated: id and timestamp identify a record, and an id alone is looked for at all times.
   *
   * @param records at most 10,000, and at most 1,000 with an id alone
   * @returns their ids, in the same order
   * @throws RecordError with the problems of every record; EncryptionError, DatabaseFailure
   */
  async insertAll(records: readonly NewRecord[], { signal }: InsertOptions = {}): Promise<string[]> {
    const checked = checkAll(records);
    if (checked.length === 0) return [];
    const now = new Timestamp(Date.now()).toISOString();
    const complete = checked.map((record) => {
      return { ...record, id: record.id ?? randomUUID(), timestamp: record.timestamp ?? now };
    });
    // A repetition with an id and without a time has another time, which the primary key does not notice.
    const claimed = checked.flatMap(({ id, timestamp }) =>
      id !== undefined && timestamp === undefined ? [id] : [],
    );
    await this.#tenant.transaction(
      async (tx) => {
        const known = await this.#written(tx, claimed);
        const fresh = complete.filter(({ id }) => !known.has(id));
        if (fresh.length > 0) await this.#insert(tx, fresh);
      },
      { idempotent: true, ...(signal ? { signal } : {}) },
    );
    return complete.map(({ id }) => id);
  }

  /** Ids that are stored, claimed for the rest of the transaction. The order prevents deadlocks. */
  async #written(tx: TenantClient, ids: readonly string[]): Promise<ReadonlySet<string>> {
    if (ids.length === 0) return new Set();
    const { rows } = await tx.query<{ id: string }>(
      `SELECT c.id FROM (SELECT o.id, llama.claim_id('storage_records', $1, o.id) AS written
                           FROM (SELECT DISTINCT u.id FROM unnest($2::uuid[]) AS u (id) ORDER BY u.id) AS o) AS c
        WHERE c.written IS NOT NULL`,
      [this.#tenant.id, ids],
    );
    return new Set(rows.map(({ id }) => id));
  }

  async #insert(
    tx: TenantClient,
    records: readonly (CheckedRecord & { readonly id: string; readonly timestamp: string })[],
  ): Promise<void> {
    const isSealed = await this.#isSealed(tx);
    const bound = await Promise.all(
      records.map(async (record): Promise<Bound> => {
        const content = await this.#contentOf(record, isSealed);
        return {
          ...record,
          source_data_hash: content.source_data_hash,
          mapped_data: JSON.stringify(content.mapped_data),
          metadata: JSON.stringify(content.metadata),
        };
      }),
    );
    try {
      await tx.query(insertion, [
        this.#tenant.id,
        ...names.map((name) => bound.map((record) => record[name])),
      ]);
    } catch (error) {
      // The data key was retired or destroyed after it was cached. The next attempt loads the keys again.
      if (error instanceof Error && Reflect.get(error, 'code') === '55000')
        this.#encryption?.forget(this.#tenant.id);
      throw error;
    }
  }

  /** @throws RecordError `record/encryption-required` */
  async #isSealed(tx: TenantClient): Promise<boolean> {
    if (this.#encryption) return wantsEncryption(tx, this.#tenant.id);
    const { rowCount } = await tx.query(
      'SELECT FROM llama.tenant_configs WHERE tenant_id = $1 AND encryption_enabled',
      [this.#tenant.id],
    );
    if (rowCount === 0) return false;
    throw new RecordError(
      'record/encryption-required',
      'The records cannot be stored in clear',
      'tenant_configs.encryption_enabled is true for the tenant, and encryption is off here',
      'Give StorageRecords a FieldEncryption.',
    );
  }

  async #contentOf(record: CheckedRecord & { readonly id: string }, isSealed: boolean) {
    if (!this.#encryption) return record;
    const plain = {
      tenantId: this.#tenant.id,
      id: record.id,
      mappedData: record.mapped_data,
      metadata: record.metadata,
      sourceDataHash: record.source_data_hash,
      search: this.#searchValues(record.metadata),
    };
    return isSealed ? sealRecord(this.#encryption, plain) : clearRecord(this.#encryption, plain);
  }

  #searchValues(metadata: { readonly [key: string]: StoredJson }): Record<string, string> {
    const fields = new Fields();
    const found = Object.entries(metadata).flatMap(([name, value]) => {
      if (!this.#searchable.has(name)) return [];
      if (typeof value !== 'string')
        fields.problems.push({ field: `metadata.${name}`, rule: 'is a text, because it is searchable' });
      return [[name, String(value)]];
    });
    refuse('record', fields.problems);
    return Object.fromEntries(found);
  }

  /**
   * Finds a record by its id, or by its id and time.
   *
   * @returns undefined if the tenant has no such record
   */
  async get(place: string | RecordPlace, options?: ReadOptions): Promise<StorageRecord | undefined> {
    const { id, timestamp } = typeof place === 'string' ? { id: place, timestamp: undefined } : place;
    const fields = new Fields();
    const key = fields.uuid('id', id);
    const from = timestamp === undefined ? undefined : fields.time('timestamp', timestamp);
    refuse('search', fields.problems);
    // A Date of another source has lost its microseconds.
    const width =
      timestamp instanceof Date && !(timestamp instanceof Timestamp) ? '1 millisecond' : '1 microsecond';
    const rows = await this.#tenant.read(async (tx) => {
      const found = await tx.query<Row>(
        `SELECT ${columns} FROM ${table} AS t WHERE tenant_id = $1 AND id = $2
          ${from ? `AND "timestamp" >= $3::timestamptz AND "timestamp" < $3::timestamptz + interval '${width}'` : ''}
          ORDER BY t."timestamp" DESC LIMIT 1`,
        [this.#tenant.id, key, ...(from ? [from.toISOString()] : [])],
      );
      return found.rows;
    }, options);
    return rows[0] && this.#open(rows[0]);
  }

  /** The records of a period, newest first. */
  async list(options: PageOptions & ReadOptions = {}): Promise<Page<StorageRecord>> {
    const range = rangeOf(options);
    const rows = await this.#tenant.read(
      async (tx) => (await tx.query<Row>(pageQuery(table, columns, this.#tenant.id, range))).rows,
      options,
    );
    return pageOf(await Promise.all(rows.map((row) => this.#open(row))), range.limit);
  }

  /**
   * The records whose metadata contains all fields of `metadata`, newest first. Fields of encrypted metadata are found if they
   * are `searchable`; then they are compared as a whole and by exact text.
   *
   * @throws RecordError for a field that is not searchable, if there is encryption
   */
  async search(metadata: JsonObject, options: PageOptions & ReadOptions = {}): Promise<Page<StorageRecord>> {
    const range = rangeOf(options);
    const wanted = await this.#wanted(metadata);
    const { since, until, limit, place } = range;
    const rows = await this.#tenant.read(async (tx) => {
      const { rows } = await tx.query<Row>(
        `SELECT ${columns} FROM llama.find_records($2::jsonb, $3, $4, $5, $6, $7) AS found
           JOIN ${table} AS t ON t.tenant_id = $1 AND t.id = found.record_id AND t."timestamp" = found.record_timestamp
          ORDER BY t."timestamp" DESC, t.id DESC`,
        [this.#tenant.id, wanted, since, until, place?.timestamp ?? null, place?.id ?? null, limit + 1],
      );
      return rows;
    }, options);
    return pageOf(await Promise.all(rows.map((row) => this.#open(row))), limit);
  }

  /** The document that the stored metadata has to contain. */
  async #wanted(metadata: JsonObject): Promise<string> {
    const fields = new Fields();
    const stored = objectOf(metadata, 'metadata', fields);
    const encryption = this.#encryption;
    if (!encryption) {
      refuse('search', fields.problems);
      return JSON.stringify(stored);
    }
    for (const [name, value] of Object.entries(stored)) {
      if (!this.#searchable.has(name))
        fields.problems.push({ field: `metadata.${name}`, rule: 'is one of searchable' });
      else if (typeof value !== 'string')
        fields.problems.push({ field: `metadata.${name}`, rule: 'is a text' });
    }
    refuse('search', fields.problems);
    const parts = await Promise.all(
      Object.entries(stored).map(([name, value]) =>
        findableBy(encryption, this.#tenant.id, name, String(value)),
      ),
    );
    const tokens = parts.map((part) => Object.values(JSON.parse(part))[0]);
    return JSON.stringify(tokens.length === 0 ? {} : { $search: Object.assign({}, ...tokens) });
  }

  /** @throws EncryptionError for an encrypted record that cannot be decrypted */
  async #open(row: Row): Promise<StorageRecord> {
    const stored = {
      ...{ tenant_id: row.tenant_id, id: row.id },
      mapped_data: JSON.parse(row.mapped_data),
      metadata: row.metadata === null ? null : JSON.parse(row.metadata),
    };
    const content = this.#encryption
      ? await openRecord(this.#encryption, stored)
      : { mappedData: stored.mapped_data, metadata: stored.metadata };
    return {
      id: row.id,
      tenantId: row.tenant_id,
      sourceDataHash: row.source_data_hash,
      mappedData: decode(content.mappedData as StoredJson),
      modelVersion: row.model_version,
      detectorType: row.detector_type,
      confidenceScore: row.confidence_score,
      timestamp: timeOf(row.timestamp),
      metadata: decode((content.metadata ?? {}) as StoredJson) as JsonObject,
      s3Key: row.s3_key,
      encrypted: row.encrypted ?? false,
      correlationId: row.correlation_id,
      createdAt: timeOf(row.created_at),
      updatedAt: timeOf(row.updated_at),
      azureRegion: row.azure_region,
      backupStatus: row.backup_status,
    };
  }
}

/** @throws RecordError with the problems of all records */
function checkAll(records: readonly NewRecord[]): CheckedRecord[] {
  const fields = new Fields();
  fields.integer('the number of records', records.length, 0, largestBatch);
  refuse('batch', fields.problems);
  const ids = new Set<string>();
  const checked = records.flatMap((record, index) => {
    try {
      const found = checkRecord(record);
      if (found.id !== undefined && ids.has(found.id))
        fields.problems.push({ field: `records[${index}].id`, rule: 'is used once' });
      if (found.id !== undefined) ids.add(found.id);
      return [found];
    } catch (error) {
      if (!(error instanceof RecordError) || records.length === 1) throw error;
      fields.problems.push(
        ...error.problems.map(({ field, rule }) => ({ field: `records[${index}].${field}`, rule })),
      );
      return [];
    }
  });
  const claims = checked.filter(({ id, timestamp }) => id !== undefined && timestamp === undefined);
  fields.integer('the number of records with an id and without a timestamp', claims.length, 0, mostClaims);
  refuse('batch', fields.problems);
  return checked;
}
