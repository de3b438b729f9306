/** Moves a tenant's records to its newest data key, in batches that are each whole or not at all. */

import type { FieldEncryption } from '../../runtime/encryption/field-encryption.ts';
import { listKeys } from '../../runtime/encryption/key-store.ts';
import { renewRecord, type StoredRecord } from '../../runtime/encryption/records.ts';
import { asApplication } from '../../runtime/encryption/transaction.ts';
import type { Connection } from '../connection.ts';

export interface Reencryption {
  readonly encryption: FieldEncryption;
  readonly tenant: string;
  /** By `performance.now()`: no batch is begun after it. */
  readonly until: number;
  /** @default 500 */
  readonly batchSize?: number;
}

interface Row extends StoredRecord {
  /** As text: a Date would lose its microseconds. */
  readonly at: string;
}

/**
 * Records are read, encrypted again outside any transaction, and written only where they are still what was read: nobody
 * waits for this, and what somebody else wrote meanwhile stays.
 */
export async function reencrypt(
  { client }: Connection,
  { encryption, tenant, until, batchSize = 500 }: Reencryption,
): Promise<{ readonly records: number; readonly more: boolean }> {
  let records = 0;
  let after = { at: '-infinity', id: '00000000-0000-0000-0000-000000000000' };
  for (;;) {
    if (performance.now() >= until) return { records, more: true };
    const rows = await asApplication(client, tenant, async () => {
      const keys = await listKeys(client, tenant);
      const newest = keys.find(({ purpose, state }) => purpose === 'encryption' && state === 'active');
      const form = `gcm1:${newest?.keyId ?? ''}:`;
      const found = await client.query<Row>(
        `SELECT tenant_id, id, "timestamp"::text AS at, mapped_data, metadata
           FROM llama.storage_records
          WHERE tenant_id = $1 AND encrypted AND ("timestamp", id) > ($2::timestamptz, $3::uuid)
            AND NOT (starts_with(mapped_data ->> '$enc', $4)
                     AND (metadata ->> '$enc' IS NULL OR starts_with(metadata ->> '$enc', $4)))
          ORDER BY "timestamp", id LIMIT $5`,
        [tenant, after.at, after.id, form, Math.max(batchSize, 1)],
      );
      return found.rows;
    });
    const last = rows.at(-1);
    if (!last) return { records, more: false };
    after = last;
    records += await write(client, tenant, await renewed(encryption, rows));
  }
}

interface Change {
  readonly row: Row;
  readonly content: Pick<StoredRecord, 'mapped_data' | 'metadata'>;
}

async function renewed(encryption: FieldEncryption, rows: readonly Row[]): Promise<readonly Change[]> {
  const changes: Change[] = [];
  for (const row of rows) {
    const content = await renewRecord(encryption, row);
    if (content) changes.push({ row, content });
  }
  return changes;
}

async function write(
  client: Connection['client'],
  tenant: string,
  changes: readonly Change[],
): Promise<number> {
  if (changes.length === 0) return 0;
  const column = (value: (change: Change) => unknown) => changes.map(value);
  const json = (value: unknown) => (value === null ? null : JSON.stringify(value));
  const { rowCount } = await asApplication(client, tenant, () =>
    client.query(
      `UPDATE llama.storage_records AS r SET mapped_data = n.mapped, metadata = n.described
         FROM unnest($2::uuid[], $3::timestamptz[], $4::jsonb[], $5::jsonb[], $6::jsonb[], $7::jsonb[])
              AS n (id, at, mapped, described, old_mapped, old_described)
        WHERE r.tenant_id = $1 AND r.id = n.id AND r."timestamp" = n.at
          AND r.mapped_data = n.old_mapped AND r.metadata IS NOT DISTINCT FROM n.old_described`,
      [
        tenant,
        column(({ row }) => row.id),
        column(({ row }) => row.at),
        column(({ content }) => json(content.mapped_data)),
        column(({ content }) => json(content.metadata)),
        column(({ row }) => json(row.mapped_data)),
        column(({ row }) => json(row.metadata)),
      ],
    ),
  );
  return rowCount ?? 0;
}
