/** Detector executions, model metrics and the configuration of one tenant. */
import { randomUUID } from 'node:crypto';
import type { ReadOptions, Tenant } from '../tenant/tenant.ts';
import type { Page, PageOptions } from './cursor.ts';
import { RecordError, refuse } from './error.ts';
import { type DecimalInput, Fields } from './fields.ts';
import { decode, type JsonObject, type StoredJson } from './json.ts';
import { objectOf, score } from './record.ts';
import { pageOf, pageQuery, rangeOf, textColumn, timeOf } from './rows.ts';
import { Timestamp } from './timestamp.ts';

export interface NewExecution {
  /** A uuid. With an id and a timestamp, insertion can be repeated. @default - a random one */
  readonly id?: string;
  readonly detectorType: string;
  /** Whole milliseconds. */
  readonly executionTimeMs: number;
  /** From 0 to 1. @default - none */
  readonly confidenceScore?: DecimalInput | null;
  readonly success: boolean;
  /** Not encrypted: write no content of the tenant here. @default - none */
  readonly errorMessage?: string | null;
  /** @default - now */
  readonly timestamp?: Date | string;
  readonly correlationId?: string | null;
}

/** A run of a detector. */
export interface DetectorExecution {
  readonly id: string;
  readonly tenantId: string;
  readonly detectorType: string;
  readonly executionTimeMs: number;
  readonly confidenceScore: string | null;
  readonly success: boolean;
  readonly errorMessage: string | null;
  readonly timestamp: Timestamp;
  readonly correlationId: string | null;
}

export interface NewModelMetric {
  /** A uuid. With an id and a timestamp, insertion can be repeated. @default - a random one */
  readonly id?: string;
  readonly modelVersion: string;
  readonly metricType: string;
  /** Up to four digits before the point and six after it. */
  readonly metricValue: DecimalInput;
  /** @default - now */
  readonly timestamp?: Date | string;
  /** Not encrypted: write no content of the tenant here. @default {} */
  readonly metadata?: JsonObject;
}

/** A measured value of a model. */
export interface ModelMetric {
  readonly id: string;
  readonly tenantId: string;
  readonly modelVersion: string;
  readonly metricType: string;
  readonly metricValue: string;
  readonly timestamp: Timestamp;
  readonly metadata: JsonObject;
}

type Row = Readonly<Record<string, unknown>> & { readonly id: string; readonly timestamp: string };
type Column = readonly [name: string, type: string];

const executions = 'llama.detector_executions';
const executionColumns: readonly Column[] = [
  ...([
    ['id', 'uuid'],
    ['detector_type', 'text'],
    ['execution_time_ms', 'int'],
    ['confidence_score', 'numeric'],
  ] as const),
  ...([
    ['success', 'boolean'],
    ['error_message', 'text'],
    ['timestamp', 'timestamptz'],
    ['correlation_id', 'uuid'],
  ] as const),
];
const metrics = 'llama.model_metrics';
const metricColumns: readonly Column[] = [
  ...([
    ['id', 'uuid'],
    ['model_version', 'text'],
    ['metric_type', 'text'],
    ['metric_value', 'numeric'],
  ] as const),
  ...([
    ['timestamp', 'timestamptz'],
    ['metadata', 'jsonb'],
  ] as const),
];
/** Types that are read as text: the application may have replaced the parsers of the driver. */
const texts: ReadonlySet<string> = new Set(['timestamptz', 'jsonb', 'numeric']);
const metricValue = { whole: 4, places: 6 } as const;
const longestInteger = 2 ** 31 - 1;
const optional = <Result>(value: unknown, check: () => Result): Result | null =>
  value === undefined || value === null ? null : check();

/** Detector executions and model metrics of a tenant. Rows are inserted and read, never changed. */
export class Observations {
  readonly #tenant: Tenant;

  constructor(tenant: Tenant) {
    this.#tenant = tenant;
  }

  /** Inserts with one statement, all or none. @returns the ids. @throws RecordError, DatabaseFailure */
  addExecutions(given: readonly NewExecution[]): Promise<string[]> {
    return this.#add(executions, executionColumns, given, (one, fields) => ({
      detector_type: fields.text('detectorType', one.detectorType, 50),
      execution_time_ms: fields.integer('executionTimeMs', one.executionTimeMs, 0, longestInteger),
      confidence_score: optional(one.confidenceScore, () =>
        fields.decimal('confidenceScore', one.confidenceScore, score),
      ),
      success: fields.boolean('success', one.success),
      error_message: optional(one.errorMessage, () => fields.text('errorMessage', one.errorMessage, 10_000)),
      correlation_id: optional(one.correlationId, () => fields.uuid('correlationId', one.correlationId)),
    }));
  }

  /** Inserts with one statement, all or none. @returns the ids. @throws RecordError, DatabaseFailure */
  addMetrics(given: readonly NewModelMetric[]): Promise<string[]> {
    return this.#add(metrics, metricColumns, given, (one, fields) => ({
      model_version: fields.text('modelVersion', one.modelVersion, 100),
      metric_type: fields.text('metricType', one.metricType, 50),
      metric_value: fields.decimal('metricValue', one.metricValue, metricValue),
      metadata: JSON.stringify(objectOf(one.metadata ?? {}, 'metadata', fields)),
    }));
  }

  /** Executions of a period, newest first. */
  executions(options: PageOptions & ReadOptions = {}): Promise<Page<DetectorExecution>> {
    return this.#list(executions, executionColumns, options, (row) => ({
      id: row.id,
      tenantId: this.#tenant.id,
      detectorType: String(row['detector_type']),
      executionTimeMs: Number(row['execution_time_ms']),
      confidenceScore: textOrNull(row['confidence_score']),
      success: row['success'] === true,
      errorMessage: textOrNull(row['error_message']),
      timestamp: timeOf(row.timestamp),
      correlationId: textOrNull(row['correlation_id']),
    }));
  }

  /** Metrics of a period, newest first. */
  metrics(options: PageOptions & ReadOptions = {}): Promise<Page<ModelMetric>> {
    return this.#list(metrics, metricColumns, options, (row) => ({
      id: row.id,
      tenantId: this.#tenant.id,
      modelVersion: String(row['model_version']),
      metricType: String(row['metric_type']),
      metricValue: String(row['metric_value']),
      timestamp: timeOf(row.timestamp),
      metadata: jsonOf(row['metadata']),
    }));
  }

  async #add<Given extends { readonly id?: string; readonly timestamp?: Date | string }>(
    table: string,
    columns: readonly Column[],
    given: readonly Given[],
    check: (one: Given, fields: Fields) => Readonly<Record<string, unknown>>,
  ): Promise<string[]> {
    const fields = new Fields();
    const now = new Timestamp(Date.now());
    const rows: Readonly<Record<string, unknown>>[] = given.map((one) => ({
      ...check(one, fields),
      id: one.id === undefined ? randomUUID() : fields.uuid('id', one.id),
      timestamp: fields.time('timestamp', one.timestamp ?? now)?.toISOString(),
    }));
    refuse('observation', fields.problems);
    if (rows.length === 0) return [];
    const names = columns.map(([name]) => `"${name}"`).join(', ');
    const arrays = columns.map(([, type], place) => `$${place + 2}::${type === 'jsonb' ? 'text' : type}[]`);
    const selected = columns.map(([name, type]) => `r."${name}"${type === 'jsonb' ? '::jsonb' : ''}`);
    const text = `INSERT INTO ${table} (tenant_id, ${names})
      SELECT $1, ${selected.join(', ')} FROM unnest(${arrays.join(', ')}) AS r (${names}) ON CONFLICT DO NOTHING`;
    const values = [this.#tenant.id, ...columns.map(([name]) => rows.map((row) => row[name]))];
    await this.#tenant.transaction((tx) => tx.query(text, values), { idempotent: true });
    return rows.map((row) => String(row['id']));
  }

  async #list<Result extends { readonly id: string; readonly timestamp: Timestamp }>(
    table: string,
    columns: readonly Column[],
    options: PageOptions & ReadOptions,
    open: (row: Row) => Result,
  ): Promise<Page<Result>> {
    const range = rangeOf(options);
    const selected = columns.map(([name, type]) => (texts.has(type) ? textColumn(name) : name)).join(', ');
    const rows = await this.#tenant.read(
      async (tx) => (await tx.query<Row>(pageQuery(table, selected, this.#tenant.id, range))).rows,
      options,
    );
    return pageOf(rows.map(open), range.limit);
  }
}

function jsonOf(value: unknown): JsonObject {
  return decode(JSON.parse(String(value ?? '{}')) as StoredJson) as JsonObject;
}

function textOrNull(value: unknown): string | null {
  return value === null ? null : String(value);
}

/** The configuration of a tenant, by administrators and by the tenant itself. */
export interface TenantConfiguration {
  readonly tenantId: string;
  readonly confidenceThreshold: string | null;
  /** Null permits every detector. */
  readonly detectorWhitelist: readonly string[] | null;
  readonly detectorBlacklist: readonly string[] | null;
  /** Null keeps records until a number is set. */
  readonly storageRetentionDays: number | null;
  readonly encryptionEnabled: boolean;
  readonly auditLevel: 'minimal' | 'standard' | 'verbose';
  readonly customTaxonomyMappings: JsonObject;
  readonly createdAt: Timestamp;
  readonly updatedAt: Timestamp;
}

/** The part that the application may change. Retention, encryption and audit belong to administrators. */
export interface TenantConfigurationChange {
  readonly confidenceThreshold?: DecimalInput | null;
  readonly detectorWhitelist?: readonly string[] | null;
  readonly detectorBlacklist?: readonly string[] | null;
  readonly customTaxonomyMappings?: JsonObject;
}

/** @returns undefined if the tenant has no configuration: then the defaults of llama.tenant_configs apply */
export async function tenantConfiguration(
  tenant: Tenant,
  options?: ReadOptions,
): Promise<TenantConfiguration | undefined> {
  const { rows } = await tenant.read(
    (tx) =>
      tx.query<Row>(
        `SELECT *, ${['confidence_threshold', 'custom_taxonomy_mappings', 'created_at', 'updated_at'].map(textColumn).join(', ')} FROM llama.tenant_configs WHERE tenant_id = $1`,
        [tenant.id],
      ),
    options,
  );
  const [row] = rows;
  if (!row) return undefined;
  return {
    tenantId: tenant.id,
    confidenceThreshold: textOrNull(row['confidence_threshold']),
    detectorWhitelist: row['detector_whitelist'] as string[] | null,
    detectorBlacklist: row['detector_blacklist'] as string[] | null,
    storageRetentionDays: row['storage_retention_days'] as number | null,
    encryptionEnabled: row['encryption_enabled'] === true,
    auditLevel: row['audit_level'] as TenantConfiguration['auditLevel'],
    customTaxonomyMappings: jsonOf(row['custom_taxonomy_mappings']),
    createdAt: timeOf(String(row['created_at'])),
    updatedAt: timeOf(String(row['updated_at'])),
  };
}

/**
 * Changes the given fields.
 *
 * @throws RecordError `record/no-configuration` if an administrator has not made one for the tenant
 */
export async function configureTenant(tenant: Tenant, change: TenantConfigurationChange): Promise<void> {
  const fields = new Fields();
  const { confidenceThreshold, detectorWhitelist, detectorBlacklist, customTaxonomyMappings } = change;
  const values: Readonly<Record<string, unknown>> = {
    confidence_threshold:
      confidenceThreshold === undefined
        ? undefined
        : optional(confidenceThreshold, () =>
            fields.decimal('confidenceThreshold', confidenceThreshold, score),
          ),
    detector_whitelist: detectorWhitelist && fields.texts('detectorWhitelist', detectorWhitelist),
    detector_blacklist: detectorBlacklist && fields.texts('detectorBlacklist', detectorBlacklist),
    custom_taxonomy_mappings:
      customTaxonomyMappings &&
      JSON.stringify(objectOf(customTaxonomyMappings, 'customTaxonomyMappings', fields)),
  };
  refuse('tenant configuration', fields.problems);
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  if (given.length === 0) return;
  const sets = given.map(([name], place) => `${name} = $${place + 2}`).join(', ');
  const { rowCount } = await tenant.transaction((tx) =>
    tx.query(`UPDATE llama.tenant_configs SET ${sets} WHERE tenant_id = $1`, [
      tenant.id,
      ...given.map(([, value]) => value),
    ]),
  );
  if (rowCount !== 0) return;
  throw new RecordError(
    'record/no-configuration',
    'The tenant configuration cannot be changed',
    'llama.tenant_configs has no row for the tenant, and only administrators add one',
    'Let an administrator insert the row (admin_role), then change it.',
  );
}
