import type { MigrationBuilder } from 'node-pg-migrate';
import {
  buildPartitionedIndex,
  dropPartitionedIndex,
  type PartitionedIndex,
} from '../database/indexes/partitioned-index.ts';

const indexes: readonly PartitionedIndex[] = [
  {
    table: 'llama.storage_records',
    name: 'idx_storage_records_tenant_timestamp',
    definition: '(tenant_id, "timestamp" DESC)',
  },
  {
    table: 'llama.storage_records',
    name: 'idx_storage_records_model_version',
    definition: '(model_version, "timestamp" DESC)',
  },
  {
    table: 'llama.storage_records',
    name: 'idx_storage_records_detector_confidence',
    definition: '(detector_type, confidence_score DESC)',
    where: 'confidence_score IS NOT NULL',
  },
  {
    table: 'llama.storage_records',
    name: 'idx_storage_records_metadata_gin',
    using: 'gin',
    definition: '(metadata)',
  },
  {
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_tenant_timestamp',
    definition: '(tenant_id, "timestamp" DESC)',
  },
  {
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_record_operation',
    definition: '(record_id, operation, "timestamp" DESC)',
  },
  {
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_correlation',
    definition: '(correlation_id)',
    where: 'correlation_id IS NOT NULL',
  },
  {
    // Leaves store rows in the order of insertion, so BRIN is enough for sealing and costs writers almost nothing.
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_sequence',
    using: 'brin',
    definition: '(sequence) WITH (pages_per_range = 32, autosummarize = on)',
  },
  {
    // Of erased data keys only: verification compares each with the key's row.
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_erased_keys',
    definition: '(tenant_id, record_id)',
    where: "table_name = 'data_keys' AND (new_values ->> 'state') = 'erased'",
  },
  {
    // Copies of records that somebody deleted before their retention was over; llama.apply_retention erases them after it.
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_deleted_content',
    definition: '(tenant_id, record_timestamp)',
    where:
      "table_name = 'storage_records' AND operation = 'DELETE' AND old_values IS NOT NULL AND erased_by IS NULL",
  },
  {
    // Of erased content only: verification looks for the erasure of each.
    table: 'llama.audit_trail',
    name: 'idx_audit_trail_erased',
    definition: '(sequence)',
    where: 'erased_by IS NOT NULL',
  },
  {
    table: 'llama.model_metrics',
    name: 'idx_model_metrics_version_type',
    definition: '(model_version, metric_type, "timestamp" DESC)',
  },
  {
    table: 'llama.detector_executions',
    name: 'idx_detector_executions_performance',
    definition: '(detector_type, "timestamp" DESC, execution_time_ms)',
  },
];

export async function up(pgm: MigrationBuilder): Promise<void> {
  pgm.noTransaction();
  for (const index of indexes) await buildPartitionedIndex(pgm, index);
}

export async function down(pgm: MigrationBuilder): Promise<void> {
  pgm.noTransaction();
  for (const index of [...indexes].reverse()) await dropPartitionedIndex(pgm, index);
}
