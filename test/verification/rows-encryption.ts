import { notesTable } from '../runtime/encryption/fixture.ts';
import { deployment } from './fixture.ts';
import type { Row } from './rows.ts';
import { builtInRows } from './rows-built-in.ts';

const vaultKey = 'https://verify.vault.azure.net/keys/fields';
const id = '11111111-2222-3333-4444-555555555555';

interface Key {
  readonly tenant?: string;
  readonly keyId?: string;
  readonly algorithm?: string;
  readonly wrappingKey?: string;
  readonly version?: string;
  readonly length?: number;
}

/** A complete data key. */
function key(change: Key = {}): string {
  const { tenant = 'verify-keys', keyId = id, algorithm = 'RSA-OAEP-256', wrappingKey = vaultKey } = change;
  const { version = 'v1', length = 256 } = change;
  return `INSERT INTO llama.data_keys (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped)
    VALUES ('${tenant}', '${keyId}', 'encryption', '${algorithm}', '${wrappingKey}', '${version}',
            decode(repeat('ab', ${length}), 'hex'));`;
}

const config = "INSERT INTO llama.tenant_configs (tenant_id) VALUES ('verify-keys');";

function record(mapped: string, columns = ''): string {
  return `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type${columns ? ', encrypted' : ''})
    VALUES ('verify-keys', 'verify', '${mapped}', 'verify', 'verify'${columns ? `, ${columns}` : ''});`;
}

const text = `gcm1:${id}:${'A'.repeat(60)}`;
const sealed = `{"$enc": "${text}"}`;

/** A table with a registered column, closed as it must be, and a value in it. */
const notes = `SET LOCAL ROLE llama_owner; ${notesTable} RESET ROLE;`;
const note = `INSERT INTO llama.notes (tenant_id, body) VALUES ('verify-keys', '${text}');`;

/** Bypasses the triggers, like a restore or a repair by a superuser. */
const unguarded = (sql: string) =>
  `SET LOCAL session_replication_role = replica; ${sql} SET LOCAL session_replication_role = origin;`;

const erase = "UPDATE llama.data_keys SET state = 'erased', wrapped = NULL;";

export const dataKeyRows: readonly Row[] = [
  { breaks: 'ENC-005', sql: 'GRANT DELETE ON llama.data_keys TO admin_role' },
  { breaks: 'ENC-005', sql: 'GRANT SELECT (wrapped) ON llama.data_keys TO import_writer' },
  { breaks: 'ENC-005', sql: 'GRANT UPDATE (wrapped) ON llama.data_keys TO application_role' },
  { breaks: 'ENC-006', because: 'a length that RSA does not produce', sql: key({ length: 100 }) },
  {
    breaks: 'ENC-006',
    because: 'a key in a file, on Azure',
    sql: key({ algorithm: 'A256GCM', wrappingKey: 'local', length: 93 }),
  },
  {
    breaks: 'ENC-006',
    because: 'another wrapping key than that of the deployment',
    sql: key(),
    deployment: {
      ...deployment,
      fieldEncryptionKeyId: 'https://llama-mapper-test.vault.azure.net/keys/fields',
    },
  },
  {
    breaks: 'ENC-007',
    because: 'wrapped three years ago',
    sql: `${key()} UPDATE llama.data_keys SET wrapped_at = now() - interval '3 years'`,
  },
  {
    breaks: 'ENC-007',
    because: 'left with an older version',
    sql: `${key()} ${key({ tenant: 'verify-other', version: 'v2' })}
      UPDATE llama.data_keys SET wrapped_at = now() - CASE wrapping_key_version WHEN 'v1' THEN interval '50 days' ELSE interval '40 days' END`,
  },
  { breaks: 'ENC-008', sql: `${key()} UPDATE llama.data_keys SET values_reserved = 3300000000` },
  {
    breaks: 'ENC-008',
    because: 'replaced long ago but still in use',
    sql: unguarded(
      `${key()} UPDATE llama.data_keys SET state = 'retiring', state_since = now() - interval '100 days';`,
    ),
  },
  { breaks: 'ENC-009', because: 'readable', sql: unguarded(record('{"name": "Ann"}', 'true')) },
  { breaks: 'ENC-016', because: 'its key does not exist', sql: unguarded(record(sealed, 'true')) },
  {
    breaks: 'ENC-016',
    because: 'its key was destroyed too early',
    sql: `${key()} ${record(sealed)} ${unguarded("UPDATE llama.data_keys SET state = 'destroyed', wrapped = NULL;")}`,
  },
  {
    breaks: 'ENC-016',
    because: 'in another table, its key is not there',
    sql: `${notes} ${unguarded(note)}`,
  },
  {
    breaks: 'ENC-016',
    because: 'its key was retired and never moved on',
    sql: `${notes} ${key()} ${note} ${unguarded("UPDATE llama.data_keys SET state = 'retired', state_since = now() - interval '30 days';")}`,
  },
  { breaks: 'ENC-010', sql: 'DROP TRIGGER guard_key_end ON llama.data_keys' },
  {
    breaks: 'ENC-014',
    because: 'its column is gone',
    sql: `${notes} ALTER TABLE llama.notes DROP body CASCADE`,
  },
  {
    breaks: 'ENC-014',
    because: 'its column was renamed',
    also: ['ENC-015'],
    sql: `${notes} ${key()} ${note} ALTER TABLE llama.notes RENAME body TO content`,
  },
  {
    breaks: 'ENC-014',
    because: 'its record was renamed',
    // With its audit triggers, which name it too.
    sql: `${notes} ALTER TABLE llama.notes RENAME id TO number;
      DROP TRIGGER audit_change ON llama.notes; DROP TRIGGER audit_update ON llama.notes;
      CREATE TRIGGER audit_change AFTER INSERT OR UPDATE OR DELETE ON llama.notes
        FOR EACH ROW EXECUTE FUNCTION llama.write_audit('notes', 'number', '');
      ALTER TABLE llama.notes ENABLE ALWAYS TRIGGER audit_change`,
  },
  {
    breaks: 'ENC-014',
    because: 'its table is gone',
    sql: `${notes} DROP TABLE llama.notes`,
  },
  {
    breaks: 'ENC-014',
    because: 'its guard is disabled',
    sql: `${notes} ALTER TABLE llama.notes DISABLE TRIGGER guard_sealed_body`,
  },
  {
    breaks: 'ENC-014',
    because: 'its guard is gone',
    sql: `${notes} DROP TRIGGER guard_sealed_body ON llama.notes`,
  },
  {
    breaks: 'ENC-014',
    because: 'its guard asks for nothing',
    sql: `${notes} DROP TRIGGER guard_sealed_body ON llama.notes;
      CREATE TRIGGER guard_sealed_body BEFORE INSERT OR UPDATE OF body ON llama.notes FOR EACH ROW WHEN (false)
        EXECUTE FUNCTION llama.guard_sealed_value('notes', 'body')`,
  },
  {
    breaks: 'ENC-014',
    because: 'some of its rows are hidden from who counts',
    also: ['ENC-017'],
    sql: `${notes} CREATE POLICY narrow ON llama.notes AS RESTRICTIVE TO admin_role USING (tenant_id <> 'hidden')`,
  },
  {
    breaks: 'ENC-014',
    because: 'nobody may change it',
    sql: `${notes} REVOKE UPDATE ON llama.notes FROM admin_role`,
  },
  {
    breaks: 'ENC-015',
    because: 'a copy of a table',
    sql: `${notes} ${key()} ${note} SET LOCAL ROLE llama_owner; CREATE TABLE llama.kept (n text PRIMARY KEY); RESET ROLE; INSERT INTO llama.kept SELECT body FROM llama.notes`,
  },
  {
    breaks: 'ENC-015',
    because: 'a value in a document',
    sql: `${key()} INSERT INTO llama.model_metrics (model_version, tenant_id, metric_type, metric_value, metadata) VALUES ('m', 'verify-keys', 't', 1, '{"note": ["${text}"]}')`,
  },
  {
    breaks: 'ENC-015',
    because: 'bytes',
    sql: `${key()} CREATE TABLE public.scans (id int PRIMARY KEY, scan bytea); INSERT INTO public.scans VALUES (1, decode('01${id.replaceAll('-', '')}' || repeat('ab', 40), 'hex')); GRANT SELECT ON public.scans TO database_admins`,
  },
  {
    breaks: 'ENC-015',
    because: 'a column that was taken out of the registry',
    sql: `${notes} ${key()} ${note} SELECT llama.forget_encrypted_column('notes', 'body')`,
  },
  {
    breaks: 'ENC-015',
    because: 'a table of which even a sample takes too long',
    sql: `SET LOCAL ROLE llama_owner; CREATE TABLE llama.bulk (n int PRIMARY KEY, said text); RESET ROLE;
      INSERT INTO llama.bulk VALUES (1, repeat('x', 200000000));
      INSERT INTO llama.bulk SELECT m.number, said FROM llama.bulk CROSS JOIN generate_series(2, 80) AS m (number)`,
  },
  {
    breaks: 'ENC-017',
    because: 'a table that nobody may look at',
    sql: 'SET LOCAL ROLE llama_owner; CREATE TABLE llama.closed (said text PRIMARY KEY); ALTER TABLE llama.closed ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; RESET ROLE',
  },
  { breaks: 'ENC-018', sql: 'GRANT UPDATE ON llama.encrypted_columns TO admin_role' },
  { breaks: 'ENC-018', sql: 'GRANT SELECT (stored_table) ON llama.encrypted_columns TO application_role' },
  {
    breaks: 'ENC-018',
    sql: 'GRANT EXECUTE ON FUNCTION llama.forget_encrypted_column(text, text) TO maintenance_role',
  },
  { breaks: 'ENC-010', sql: 'ALTER TABLE llama.data_keys DISABLE TRIGGER guard_data_key' },
  { breaks: 'ENC-010', sql: 'DROP TRIGGER guard_erasure ON llama.data_keys' },
  { breaks: 'ENC-010', sql: 'ALTER TABLE llama.storage_records DISABLE TRIGGER guard_sealed_update' },
  { breaks: 'ENC-010', sql: 'DROP TRIGGER refuse_key_loss ON llama.data_keys' },
  {
    breaks: 'ENC-019',
    because: 'a new key beside the erased one',
    sql: `${key()} ${erase} ${unguarded(key({ keyId: id.replace('1', '2') }))}`,
  },
  {
    breaks: 'ENC-019',
    because: 'the erased key is back',
    sql: `${key()} ${erase} ${unguarded("UPDATE llama.data_keys SET state = 'active', wrapped = decode(repeat('ab', 256), 'hex');")}`,
  },
  {
    breaks: 'ENC-019',
    because: 'the erased key is gone, and another one is there',
    sql: `${key()} ${erase} ${unguarded(`DELETE FROM llama.data_keys; ${key({ keyId: id.replace('1', '2') })}`)}`,
  },
  {
    breaks: 'ENC-011',
    sql: `${config} ${key()} UPDATE llama.data_keys SET state = 'retiring'; ${record(sealed)}`,
  },
  { breaks: 'ENC-012', sql: `${config} ${key()} ${record('{"name": "Ann"}')}` },
  {
    breaks: 'ENC-011',
    because: 'the tenant has only plaintext',
    also: ['ENC-012'],
    sql: `${config} ${record('{"name": "Ann"}')}`,
  },
  {
    breaks: 'ENC-013',
    sql: `CREATE TRIGGER leak AFTER INSERT ON llama.data_keys
      FOR EACH ROW EXECUTE FUNCTION llama.write_audit('data_keys', 'key_id', '');
      ALTER TABLE llama.data_keys ENABLE ALWAYS TRIGGER leak`,
  },
];

export const sideChannelRows: readonly Row[] = [
  { breaks: 'ISO-060', sql: "SELECT lo_from_bytea(0, 'left behind')" },
  { breaks: 'ISO-062', sql: 'GRANT EXECUTE ON FUNCTION lo_export(oid, text) TO application_role' },
  { breaks: 'ISO-062', sql: 'GRANT EXECUTE ON FUNCTION lo_import(text, oid) TO PUBLIC' },
  {
    breaks: 'ISO-062',
    because: 'the administrator could close it',
    sql: 'GRANT EXECUTE ON FUNCTION lo_from_bytea(oid, bytea) TO database_admins WITH GRANT OPTION',
  },
  { breaks: 'ISO-062', sql: 'SET LOCAL lo_compat_privileges = on' },
  ...builtInRows,
  {
    breaks: 'ISO-061',
    bend: (snapshot) => ({
      ...snapshot,
      server: {
        ...snapshot.server,
        version: Math.floor(snapshot.server.version / 10_000) === 16 ? 160_009 : 170_005,
      },
    }),
    deployment: {},
  },
];
