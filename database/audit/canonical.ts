/**
 * What is hashed, said once more beside migration 0012, so that the check of the trail does not rest on functions that
 * lie in the database it checks.
 *
 * A row is hashed as a JSON array in which nothing depends on a setting of the session, on the order of columns or on
 * the server's version: instants are seconds since 1970 as exact decimals, addresses and the login are text.
 */
import { createHash } from 'node:crypto';

/** SHA-256 of a row of llama.audit_trail, which the query calls `a`, as a bytea. */
export const rowHash = `pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
  a.sequence, a.id, a.tenant_id, a.table_name, a.record_id, a.operation, a.user_id,
  extract(epoch FROM a."timestamp")::text, a.old_values, a.new_values, a.correlation_id, a.ip_address::text,
  a.user_agent, a.record_key, extract(epoch FROM a.record_timestamp)::text, a.content_hash, a.login::text
)::text, 'UTF8'))`;

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
}

/** What a seal's `hash` must be: SHA-256 in hex over everything else that it says. */
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
  ];
  return createHash('sha256')
    .update(`[${parts.join(', ')}]`)
    .digest('hex');
}

/** What the first seal names as the hash before it. */
export const genesis = '0'.repeat(64);
