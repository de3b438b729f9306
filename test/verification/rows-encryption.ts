import { deployment } from './fixture.ts';
import type { Row } from './rows.ts';

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

const sealed = `{"$enc": "gcm1:${id}:${'A'.repeat(60)}"}`;

/** Bypasses the triggers, like a restore or a repair by a superuser. */
const unguarded = (sql: string) =>
  `SET LOCAL session_replication_role = replica; ${sql} SET LOCAL session_replication_role = origin;`;

export const dataKeyRows: readonly Row[] = [
  { breaks: 'ENC-005', sql: 'GRANT DELETE ON llama.data_keys TO admin_role' },
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
  { breaks: 'ENC-009', because: 'its key does not exist', sql: unguarded(record(sealed, 'true')) },
  {
    breaks: 'ENC-009',
    because: 'its key was destroyed too early',
    sql: `${key()} ${record(sealed)} UPDATE llama.data_keys SET state = 'destroyed', wrapped = NULL`,
  },
  { breaks: 'ENC-010', sql: 'ALTER TABLE llama.data_keys DISABLE TRIGGER guard_data_key' },
  { breaks: 'ENC-010', sql: 'DROP TRIGGER guard_erasure ON llama.data_keys' },
  { breaks: 'ENC-010', sql: 'ALTER TABLE llama.storage_records DISABLE TRIGGER guard_sealed_update' },
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
      FOR EACH ROW EXECUTE FUNCTION llama.write_audit('data_keys', 'key_id', '')`,
  },
];

export const sideChannelRows: readonly Row[] = [
  { breaks: 'ISO-060', sql: "SELECT lo_from_bytea(0, 'left behind')" },
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
