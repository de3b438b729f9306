/**
 * The hashed form of rows and seals. It repeats migration 0012 on purpose: the verification of the trail must not rely on
 * functions in the database that it verifies.
 *
 * A row is hashed as a JSON array. No element depends on session settings, on the order of columns or on the version of
 * the server: instants are seconds since 1970 as exact decimals; addresses and the login are text. Old and new values are
 * represented by their hash, which an erasure keeps when it removes them.
 */
import { createHash } from 'node:crypto';

/** SQL expression: SHA-256, as a bytea, of a row of llama.audit_trail with the alias `a`. */
export const rowHash = `pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
  a.sequence, a.id, a.tenant_id, a.table_name, a.record_id, a.operation, a.user_id,
  extract(epoch FROM a."timestamp")::text, CASE
    WHEN a.erased_hash IS NOT NULL AND a.old_values IS NULL AND a.new_values IS NULL THEN a.erased_hash
    ELSE pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
      pg_catalog.jsonb_build_array(a.old_values, a.new_values)::text, 'UTF8')), 'hex') END, a.correlation_id, a.ip_address::text,
  a.user_agent, a.record_key, extract(epoch FROM a.record_timestamp)::text, a.content_hash, a.login::text,
  a.authenticated_as, a.backend_pid
)::text, 'UTF8'))`;

/**
 * Columns of llama.audit_trail in that hash, which must be all of them: nobody could notice a change of another column. Of
 * the two that an erasure writes, erased_hash is in the hash, and erasures.ts compares erased_by with the erasures.
 */
export const sealedColumns: readonly string[] = [
  ...['sequence', 'id', 'tenant_id', 'table_name', 'record_id', 'operation', 'user_id', 'timestamp'],
  ...['old_values', 'new_values', 'correlation_id', 'ip_address', 'user_agent', 'record_key'],
  ...['record_timestamp', 'content_hash', 'login', 'authenticated_as', 'backend_pid'],
  ...['erased_by', 'erased_hash'],
];

/** A seal as it is stored. */
export interface Seal {
  readonly number: number;
  readonly kind: 'rows' | 'closing';
  /** `2026-11-01`: first day (UTC) of the month. */
  readonly month: string;
  readonly firstSequence: bigint;
  readonly lastSequence: bigint;
  readonly rowCount: bigint;
  /** Hashes in hex. */
  readonly contentHash: string;
  readonly previousHash: string;
  readonly hash: string;
  /** Seconds since 1970 as an exact decimal. */
  readonly sealedAt: string;
  /** Days of retention in force; of a closing the days that its month had to be kept. */
  readonly retentionDays: number;
  /** Every row with a higher number was numbered after this instant, in seconds since 1970; null for a closing. */
  readonly notedAt: string | null;
}

/** The correct `hash` of a seal: SHA-256 in hex over its other members. */
export function hashOf(seal: Omit<Seal, 'hash'>): string {
  const parts = [
    seal.number,
    JSON.stringify(seal.kind),
    JSON.stringify(seal.month),
    seal.firstSequence,
    seal.lastSequence,
    seal.rowCount,
    JSON.stringify(seal.contentHash),
    JSON.stringify(seal.previousHash),
    JSON.stringify(seal.sealedAt),
    seal.retentionDays,
    JSON.stringify(seal.notedAt),
  ];
  return createHash('sha256')
    .update(`[${parts.join(', ')}]`)
    .digest('hex');
}

/** `previousHash` of the first seal. */
export const genesis = '0'.repeat(64);
