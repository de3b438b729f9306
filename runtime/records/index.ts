/** Storage records, observations and configurations of tenants. */
export type { Cursor, Page, PageOptions } from './cursor.ts';
export { type FieldProblem, RecordError } from './error.ts';
export type { DecimalInput } from './fields.ts';
export type { DecimalObject, JsonObject, JsonValue, StoredJson } from './json.ts';
export {
  configureTenant,
  type DetectorExecution,
  type ModelMetric,
  type NewExecution,
  type NewModelMetric,
  Observations,
  type TenantConfiguration,
  type TenantConfigurationChange,
  tenantConfiguration,
} from './observations.ts';
export {
  type BackupStatus,
  type NewRecord,
  parseRecord,
  type StorageRecord,
  serializeRecord,
} from './record.ts';
export { type InsertOptions, type RecordPlace, type RecordsOptions, StorageRecords } from './records.ts';
export { Timestamp } from './timestamp.ts';
