import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseBounds } from '../../database/maintain/months.ts';
import type { Snapshot } from '../../verification/snapshot/snapshot.ts';
import { deployment } from './fixture.ts';
import { otherMigrations, type Row } from './rows.ts';
import { notes } from './rows-isolation.ts';

const migration = '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n';

/** One day before the start of the oldest leaf. */
function beforeAll(snapshot: Snapshot): Date {
  const starts = snapshot.relations.flatMap(({ bound }) => parseBounds(bound)?.from.getTime() ?? []);
  return new Date(Math.min(...starts) - 24 * 3600 * 1000);
}

export const partitionRows: readonly Row[] = [
  {
    breaks: 'PAR-013',
    sql: "INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ('hasty', 0)",
  },
  {
    breaks: 'PAR-013',
    sql: "INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ('hasty', 6), ('patient', -1)",
  },
  {
    breaks: 'PAR-001',
    skips: ['ISO-055'],
    because: 'the probe has no current leaf to try',
    bend: (snapshot) => ({ ...snapshot, server: { ...snapshot.server, now: beforeAll(snapshot) } }),
  },
  { breaks: 'PAR-002', sql: 'DROP TABLE {leaf:model_metrics:2}, {leaf:model_metrics:3}' },
  {
    breaks: 'PAR-003',
    sql: "SET LOCAL ROLE llama_owner; SELECT llama.create_monthly_partition('model_metrics', {month:-3})",
  },
  {
    breaks: 'PAR-004',
    because: 'maintenance handles only one schema',
    sql: 'CREATE SCHEMA elsewhere; ALTER TABLE {leaf:model_metrics:-1} SET SCHEMA elsewhere',
  },
  {
    breaks: 'PAR-004',
    because: 'its name is that of another month',
    sql: 'ALTER TABLE {leaf:model_metrics:0} RENAME TO model_metrics_y1999m01',
  },
  {
    breaks: 'PAR-004',
    also: ['PAR-003', 'AUD-002', 'AUD-025'],
    because: 'bounds in another time zone also leave a gap',
    sql: `SET LOCAL ROLE llama_owner;
      DROP TABLE {leaf:model_metrics:-1};
      SET LOCAL timezone = 'America/New_York';
      CREATE TABLE {leaf:model_metrics:-1} PARTITION OF llama.model_metrics FOR VALUES FROM ({month:-1}) TO ('{month:-1}');`
      .replace("TO ('{month:-1}')", "TO ({month:-1}::timestamp + interval '20 days')")
      .concat('ALTER TABLE {leaf:model_metrics:-1} ENABLE ROW LEVEL SECURITY'),
  },
  {
    breaks: 'PAR-005',
    also: ['AUD-002', 'AUD-025'],
    sql: `SET LOCAL ROLE llama_owner;
      CREATE TABLE llama.model_metrics_rest PARTITION OF llama.model_metrics DEFAULT;
      ALTER TABLE llama.model_metrics_rest ENABLE ROW LEVEL SECURITY`,
  },
  {
    breaks: 'PAR-006',
    sql: "UPDATE pg_inherits SET inhdetachpending = true WHERE inhrelid = '{leaf:model_metrics:-1}'::regclass",
  },
  {
    breaks: 'PAR-007',
    sql: "INSERT INTO llama.partitioned_tables (table_name, retention_days) VALUES ('tenant_configs', 90)",
  },
  {
    breaks: 'PAR-007',
    because: 'an unregistered partitioned table',
    sql: `SET LOCAL ROLE llama_owner;
      CREATE TABLE llama.samples (n int PRIMARY KEY) PARTITION BY RANGE (n)`,
    also: ['PAR-001'],
  },
  {
    breaks: 'PAR-008',
    sql: `UPDATE llama.partitioned_tables SET retention_days = 1 WHERE table_name = 'model_metrics';
      SET LOCAL ROLE llama_owner;
      SELECT llama.create_monthly_partition('model_metrics', {month:-2})`,
    deployment: {
      partitions: {
        ...deployment.partitions,
        retentionDays: { ...deployment.partitions.retentionDays, model_metrics: 1 },
      },
    },
  },
  {
    breaks: 'PAR-009',
    because: 'a rollback does not undo ANALYZE',
    bend: (snapshot) => ({
      ...snapshot,
      relations: snapshot.relations.map((relation) =>
        relation.name.startsWith('model_metrics_y') ? { ...relation, tuples: 1000 } : relation,
      ),
    }),
  },
  { breaks: 'PAR-010', also: ['ROL-014'], sql: 'ALTER TABLE {leaf:model_metrics:-1} OWNER TO verify_app' },
  { breaks: 'PAR-011', sql: 'ALTER TABLE llama.model_metrics DETACH PARTITION {leaf:model_metrics:-1}' },
  { breaks: 'PAR-012', deployment: { partitions: { ...deployment.partitions, monthsAhead: 4 } } },
];

export const indexRows: readonly Row[] = [
  {
    breaks: 'IDX-001',
    sql: `UPDATE pg_index SET indisvalid = false
      WHERE indrelid = '{leaf:model_metrics:0}'::regclass AND NOT indisprimary`,
  },
  {
    breaks: 'IDX-010',
    sql: "UPDATE pg_database SET datcollversion = '1' WHERE datname = current_database()",
  },
  {
    breaks: 'IDX-010',
    because: 'a collation that a column uses',
    sql: `CREATE TEMPORARY TABLE names (name text COLLATE "de-x-icu") ON COMMIT DROP;
      UPDATE pg_collation SET collversion = '1' WHERE collname = 'de-x-icu'`,
  },
  { breaks: 'IDX-002', sql: 'CREATE INDEX unfinished ON ONLY llama.model_metrics (metric_value)' },
  {
    breaks: 'IDX-004',
    sql: `CREATE INDEX one ON llama.tenant_configs (audit_level);
      CREATE INDEX other ON llama.tenant_configs (audit_level)`,
  },
  {
    breaks: 'IDX-005',
    sql: `${notes} ALTER TABLE llama.tenant_configs ADD CONSTRAINT keyed UNIQUE (tenant_id, audit_level);
      ALTER TABLE llama.notes ADD FOREIGN KEY (tenant_id, note) REFERENCES llama.tenant_configs (tenant_id, audit_level)`,
  },
  { breaks: 'IDX-006', sql: 'SET LOCAL ROLE llama_owner; CREATE TABLE llama.keyless (n int)' },
  {
    breaks: 'IDX-007',
    sql: `${notes} ALTER TABLE llama.notes DROP CONSTRAINT notes_pkey, ADD PRIMARY KEY (id, tenant_id)`,
  },
  { breaks: 'IDX-008', sql: 'DROP INDEX llama.tenant_performance_summary_tenant_id_hour_idx' },
];

/** Bypasses the triggers that refuse it. */
const unguarded = (sql: string) =>
  `SET LOCAL session_replication_role = replica; ${sql}; SET LOCAL session_replication_role = origin`;

/** A closing of last month whose content is right. */
const closing = (more: string) =>
  `SELECT llama.append_audit_seal('closing', s.month, s.first_sequence, s.last_sequence, s.row_count, sha256(s.content_hash)${more})
     FROM llama.audit_seals AS s WHERE s.number = 1`;

const release = (head: string) =>
  `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome, checks_passed, checks_failed, checks_skipped, audit_head)
   VALUES ('test', 'x', 'x', 'somebody', 'verified', 1, 0, 0, ${head})`;

export const auditRows: readonly Row[] = [
  {
    breaks: 'AUD-001',
    also: ['AUD-026'],
    sql: 'ALTER TABLE llama.tenant_configs DISABLE TRIGGER audit_update',
  },
  { breaks: 'AUD-001', sql: 'DROP TRIGGER audit_update ON llama.model_metrics' },
  {
    breaks: 'AUD-001',
    because: 'rows that move to another month would be in no transition table',
    sql: 'DROP TRIGGER write_audit_of_move ON llama.model_metrics',
  },
  {
    breaks: 'AUD-001',
    because: 'the ordinary trigger leaves the rows of imports to it',
    sql: 'DROP TRIGGER audit_import ON llama.storage_records',
  },
  { breaks: 'AUD-001', sql: 'ALTER TABLE llama.model_metrics DISABLE TRIGGER audit_import' },
  { breaks: 'AUD-001', sql: 'DROP TRIGGER audit_erasure ON llama.storage_records' },
  { breaks: 'AUD-002', sql: 'ALTER TABLE {leaf:storage_records:-1} DISABLE TRIGGER write_audit_of_move' },
  {
    breaks: 'AUD-002',
    because: 'the statement triggers of its parent do not fire for a statement that names it',
    sql: 'DROP TRIGGER refuse_leaf_write ON {leaf:model_metrics:0}',
  },
  { breaks: 'AUD-002', sql: 'ALTER TABLE {leaf:storage_records:0} DISABLE TRIGGER refuse_leaf_write' },
  { breaks: 'AUD-003', sql: 'GRANT DELETE ON llama.audit_trail TO maintenance_role' },
  { breaks: 'AUD-003', sql: 'GRANT UPDATE (user_id) ON llama.audit_trail TO maintenance_owner' },
  { breaks: 'AUD-003', sql: 'GRANT INSERT ON llama.audit_trail TO admin_role' },
  { breaks: 'AUD-004', sql: 'DROP TRIGGER append_only_truncate ON llama.audit_trail' },
  { breaks: 'AUD-004', sql: 'DROP TRIGGER append_only_truncate ON {leaf:audit_trail:0}' },
  {
    breaks: 'AUD-004',
    sql: "UPDATE llama.partitioned_tables SET append_only = false WHERE table_name = 'audit_trail'",
  },
  {
    breaks: 'AUD-005',
    sql: `SET LOCAL ROLE llama_owner;
      CREATE FUNCTION llama.second_audit() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
      AS 'BEGIN INSERT INTO llama.audit_trail DEFAULT VALUES; RETURN NULL; END'`,
  },
  { breaks: 'AUD-006', sql: 'GRANT INSERT ON llama.model_metrics TO audit_writer' },
  {
    breaks: 'AUD-007',
    also: ['SET-020'],
    sql: "ALTER ROLE verify_app SET session_replication_role = 'replica'",
  },
  { breaks: 'AUD-007', sql: 'GRANT SET ON PARAMETER session_replication_role TO verify_app' },
  {
    breaks: 'AUD-010',
    sql: `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
      VALUES ('some tenant', 'storage_records', 'SELECT', 'x', now() - interval '20 minutes')`,
  },
  {
    breaks: 'AUD-011',
    because: 'a sealed row was changed',
    sql: unguarded(`UPDATE llama.audit_trail SET user_id = 'somebody else'
      WHERE sequence = (SELECT max(last_sequence) FROM llama.audit_seals)`),
  },
  {
    breaks: 'AUD-011',
    because: 'a sealed row was removed',
    sql: unguarded(`DELETE FROM llama.audit_trail
      WHERE sequence = (SELECT max(last_sequence) FROM llama.audit_seals)`),
  },
  {
    breaks: 'AUD-011',
    because: 'a seal was rewritten',
    sql: unguarded(`UPDATE llama.audit_seals SET sealed_at = now() - interval '1 year' WHERE number = 1`),
  },
  {
    breaks: 'AUD-011',
    because: 'a link was broken',
    sql: unguarded('DELETE FROM llama.audit_seals WHERE number = 2'),
  },
  { breaks: 'AUD-012', sql: 'DROP TABLE {leaf:audit_trail:-1}' },
  {
    breaks: 'AUD-012',
    also: ['AUD-020'],
    because: 'rows were sealed after the closing seal, which is early too',
    sql: `SELECT llama.append_audit_seal('closing', s.month, s.first_sequence, s.last_sequence, s.row_count, s.content_hash),
                 llama.append_audit_seal('rows', s.month, s.first_sequence, s.last_sequence, 1, s.content_hash)
            FROM (SELECT * FROM llama.audit_seals ORDER BY month LIMIT 1) AS s;
          DROP TABLE {leaf:audit_trail:-1}`,
  },
  { breaks: 'AUD-013', sql: 'GRANT INSERT ON llama.audit_seals TO maintenance_role' },
  { breaks: 'AUD-013', sql: 'GRANT UPDATE (noted_sequence) ON llama.audit_sealing TO maintenance_role' },
  { breaks: 'AUD-013', sql: 'ALTER TABLE llama.audit_seals DISABLE TRIGGER append_only' },
  { breaks: 'AUD-013', sql: 'DROP TRIGGER append_only_truncate ON llama.audit_seals' },
  { breaks: 'AUD-013', sql: 'ALTER TABLE llama.audit_seals NO FORCE ROW LEVEL SECURITY' },
  { breaks: 'AUD-013', sql: 'CREATE POLICY slip ON llama.audit_seals TO llama_owner USING (true)' },
  { breaks: 'AUD-014', sql: 'GRANT SELECT ON llama.schema_migrations TO audit_sealer' },
  { breaks: 'AUD-014', sql: 'ALTER FUNCTION llama.is_audit_partition_closed(date) OWNER TO llama_owner' },
  {
    breaks: 'AUD-014',
    sql: 'GRANT EXECUTE ON FUNCTION llama.seal_audit_trail(integer, integer) TO admin_role',
  },
  {
    breaks: 'AUD-015',
    sql: `CREATE OR REPLACE FUNCTION llama.scheduled_jobs() RETURNS TABLE (job_name text, schedule text, command text)
      LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp
      AS $$ VALUES ('create-partitions-ahead', '20 0 * * *', 'SELECT llama.create_partitions_ahead()') $$`,
  },
  { breaks: 'AUD-016', sql: 'ALTER SEQUENCE llama.audit_sequence CACHE 20' },
  { breaks: 'AUD-016', sql: 'ALTER TABLE llama.audit_trail ALTER COLUMN sequence SET DEFAULT 1' },
  {
    breaks: 'AUD-016',
    because: 'the sequence starts again',
    sql: 'ALTER SEQUENCE llama.audit_sequence RESTART',
  },
  {
    breaks: 'AUD-016',
    because: 'a read is numbered before its transaction has an id',
    sql: `CREATE OR REPLACE FUNCTION llama.record_read(table_name text, record_key text, record_timestamp timestamptz DEFAULT NULL)
      RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
      AS $$ BEGIN INSERT INTO llama.audit_trail (tenant_id) VALUES (current_setting('app.current_tenant_id')); END $$`,
  },
  {
    breaks: 'AUD-020',
    because: 'last month was closed before its retention was over',
    sql: closing(''),
  },
  {
    breaks: 'AUD-020',
    because: 'a closing claims another retention than was in force',
    sql: closing(', 1'),
  },
  {
    breaks: 'AUD-021',
    because: 'a release recorded another chain',
    sql: release("'1:' || repeat('0', 64)"),
  },
  {
    breaks: 'AUD-021',
    because: 'a release recorded a seal that is gone',
    sql: release("'99:' || repeat('0', 64)"),
  },
  {
    breaks: 'AUD-022',
    because: 'a release was rewritten',
    sql: `${release('NULL')}; ALTER TABLE llama.releases DISABLE TRIGGER append_only, DISABLE TRIGGER audit_platform;
      UPDATE llama.releases SET outcome = 'findings';
      ALTER TABLE llama.releases ENABLE ALWAYS TRIGGER append_only, ENABLE ALWAYS TRIGGER audit_platform`,
  },
  {
    breaks: 'AUD-022',
    because: 'a release records no head',
    sql: release("'nonsense'"),
  },
  {
    breaks: 'AUD-023',
    because: 'a policy hides rows from the reader',
    sql: "CREATE POLICY hide ON llama.audit_trail AS RESTRICTIVE FOR SELECT TO admin_role USING (record_key <> 'x')",
  },
  {
    breaks: 'AUD-023',
    also: ['ISO-036'],
    because: 'a rule takes the place of an insert',
    sql: 'CREATE RULE swallow AS ON INSERT TO llama.audit_seals DO INSTEAD NOTHING',
  },
  { breaks: 'AUD-024', sql: 'ALTER TABLE llama.audit_trail ADD COLUMN note text' },
  { breaks: 'AUD-025', sql: 'ALTER TABLE llama.tenant_configs DISABLE TRIGGER refuse_truncate' },
  { breaks: 'AUD-025', sql: 'DROP TRIGGER refuse_truncate ON llama.releases' },
  { breaks: 'AUD-025', sql: 'DROP TRIGGER refuse_truncate ON {leaf:storage_records:0}' },
  { breaks: 'AUD-026', sql: 'ALTER TABLE llama.tenant_configs ENABLE TRIGGER audit_update' },
  { breaks: 'AUD-026', sql: 'ALTER TABLE llama.tenant_configs ENABLE TRIGGER refuse_truncate' },
  { breaks: 'AUD-026', sql: 'DROP TRIGGER audit_replica ON llama.model_metrics' },
  { breaks: 'AUD-026', sql: 'ALTER TABLE {leaf:model_metrics:0} DISABLE TRIGGER audit_replica_update' },
  {
    breaks: 'AUD-027',
    because: 'a row of this month was numbered long before its time',
    sql: unguarded(`UPDATE llama.audit_seals SET noted_at = noted_at - interval '1 day' WHERE number = 3;
      UPDATE llama.audit_seals AS s SET hash = sha256(convert_to(jsonb_build_array(number, kind, to_char(month, 'YYYY-MM-DD'),
        first_sequence, last_sequence, row_count, encode(content_hash, 'hex'), encode(previous_hash, 'hex'),
        extract(epoch FROM sealed_at)::text, retention_days, extract(epoch FROM noted_at)::text)::text, 'UTF8'))
       WHERE number = 3`),
  },
  {
    breaks: 'AUD-028',
    because: 'content was removed without an erasure',
    sql: unguarded(`UPDATE llama.audit_trail SET erased_by = gen_random_uuid(), old_values = NULL, new_values = NULL,
        erased_hash = encode(sha256(convert_to(jsonb_build_array(old_values, new_values)::text, 'UTF8')), 'hex')
      WHERE sequence = (SELECT max(last_sequence) FROM llama.audit_seals)`),
  },
  {
    breaks: 'AUD-050',
    because: 'the trail gets the name of a partition',
    sql: `DROP TRIGGER audit_change ON llama.storage_records;
      CREATE TRIGGER audit_change AFTER INSERT ON llama.storage_records REFERENCING NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION llama.write_audit_of_statement('storage_records_y2024m01')`,
  },
  {
    breaks: 'AUD-051',
    because: 'a trigger that never refuses',
    sql: `CREATE OR REPLACE FUNCTION llama.guard_audit_row() RETURNS trigger LANGUAGE plpgsql
        SET search_path = pg_catalog, pg_temp
        AS 'BEGIN IF false THEN RAISE EXCEPTION ''refused''; END IF; RETURN coalesce(NEW, OLD); END';
      CREATE POLICY owner ON llama.audit_trail TO llama_owner USING (true)`,
  },
];

export const ledgerRows: readonly Row[] = [
  {
    breaks: 'LED-001',
    ...otherMigrations,
    files: (directory) => writeFileSync(join(directory, '9999_later.sql'), migration),
  },
  {
    breaks: 'LED-002',
    because: 'a renamed file',
    ...otherMigrations,
    files: (directory) => renameSync(join(directory, '0003_tables.sql'), join(directory, '0003_other.sql')),
  },
  {
    breaks: 'LED-002',
    files: (directory) => writeFileSync(join(directory, '0003_tables.sql'), migration),
  },
  { breaks: 'LED-003', ...otherMigrations, files: (directory) => rmSync(join(directory, '0003_tables.sql')) },
  {
    breaks: 'LED-004',
    ...otherMigrations,
    files: (directory) => writeFileSync(join(directory, '0000_earlier.sql'), migration),
  },
  { breaks: 'LED-005', sql: "DELETE FROM llama.pgmigrations WHERE name = '0003_tables'" },
  {
    breaks: 'LED-006',
    sql: `INSERT INTO llama.schema_migrations (version, description, checksum, outcome, executor, error)
      VALUES ('9999', 'later', 'none', 'failed', 'somebody', 'disk full')`,
  },
  { breaks: 'LED-007', sql: 'GRANT INSERT ON llama.releases TO maintenance_role' },
];

export const schemaRows: readonly Row[] = [
  {
    breaks: 'SCM-003',
    sql: "ALTER TABLE llama.tenant_configs ADD CONSTRAINT later CHECK (tenant_id <> '-') NOT VALID",
  },
  { breaks: 'SCM-004', sql: 'ALTER TABLE llama.tenant_configs ADD COLUMN seen timestamp' },
  {
    breaks: 'SCM-006',
    sql: `INSERT INTO llama.storage_records
        (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp", created_at)
      VALUES ('some tenant', 'hash', '{}', 'v', 't', now() - interval '2 hours', now() - interval '2 hours')`,
  },
  { breaks: 'SCM-007', sql: 'ALTER TABLE llama.tenant_configs DISABLE TRIGGER touch_updated_at' },
  { breaks: 'SCM-013', sql: 'ALTER TABLE llama.data_keys SET UNLOGGED' },
  { breaks: 'SCM-013', sql: 'ALTER TABLE {leaf:model_metrics:0} SET UNLOGGED' },
  { breaks: 'SCM-013', sql: 'ALTER SEQUENCE llama.audit_sequence SET UNLOGGED' },
  {
    breaks: 'SCM-008',
    because: 'a rollback does not undo setval()',
    bend: (snapshot) => ({
      ...snapshot,
      activity: { ...snapshot.activity, sequences: [{ name: 'llama.pgmigrations_id_seq', used: 0.8 }] },
    }),
  },
  { breaks: 'SCM-009', sql: 'ALTER FUNCTION llama.scheduled_jobs() RESET search_path' },
];
