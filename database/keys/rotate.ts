/**
 * `llama-db keys rotate`: new data keys for tenants whose key is due, then everything that follows from it, in steps that
 * may each end anywhere: what a run leaves undone, the next one finds by looking.
 *
 *   active ──new key──► retiring ──no record holds it, grace over──► retired ──audit trail too old──► destroyed
 */

import { duration } from '../../core/text.ts';
import { FieldEncryption, makeDataKey } from '../../runtime/encryption/field-encryption.ts';
import { keyStoreWithin, valuesPerKey } from '../../runtime/encryption/key-store.ts';
import { asAdministrator, asApplication } from '../../runtime/encryption/transaction.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Connection } from '../connection.ts';
import type { Target } from '../target.ts';
import { reencrypt } from './reencrypt.ts';
import { changingKeys, type KeysOptions } from './session.ts';

export interface RotateOptions extends KeysOptions {
  readonly wrapping: WrappingKey;
  /** Replace the key of this tenant now, whatever its age. @default - those that are due */
  readonly tenant?: string;
  /** Replace every tenant's key now. @default false */
  readonly all?: boolean;
  /** Days after which a key is due; one that has encrypted half of what it may is due earlier. @default 365 */
  readonly maxKeyAgeDays?: number;
  /** Records re-encrypted in one transaction. @default 500 */
  readonly batchSize?: number;
  /** Seconds after which no further batch is begun; the next run goes on. @default 900 */
  readonly seconds?: number;
  /**
   * Seconds that a replaced key is still taken from applications: longer than their caches keep one
   * (`maxAgeSeconds`). @default 900
   */
  readonly graceSeconds?: number;
}

export interface Rotated {
  readonly target: string;
  /** Tenants that got a new key. */
  readonly replaced: number;
  /** Records that were encrypted again. */
  readonly records: number;
  readonly retired: number;
  readonly destroyed: number;
  /** Whether records are left for the next run. */
  readonly more: boolean;
}

export function rotate(target: Target, options: RotateOptions): Promise<Rotated> {
  return changingKeys(target, options, async (connection) => {
    const { reporter, wrapping, seconds = 900 } = options;
    const start = performance.now();
    const replaced = await replaceDue(connection, options);
    if (replaced > 0) reporter.line(`Made new data keys for ${replaced} tenants`);
    const encryption = new FieldEncryption({
      store: keyStoreWithin(connection.client),
      wrapping,
      // The age of keys is this command's to judge.
      maxKeyAgeDays: 36_500,
    });
    let records = 0;
    let more = false;
    try {
      for (const tenant of await tenantsWith(connection, 'retiring', 'retired')) {
        const until = start + seconds * 1000;
        const done = await reencrypt(connection, { encryption, tenant, until, ...options });
        records += done.records;
        more ||= done.more;
        if (done.records > 0) reporter.line(`Encrypted ${done.records} records of ${tenant} again`);
      }
    } finally {
      encryption.close();
    }
    const retired = await retire(connection, options);
    const destroyed = await destroy(connection);
    if (retired > 0) reporter.line(`Retired ${retired} data keys that no record holds any more`);
    if (destroyed > 0) reporter.line(`Destroyed ${destroyed} data keys that nothing holds any more`);
    reporter.line(
      `Done (${duration(performance.now() - start)})${more ? '; more is left for the next run' : ''}`,
    );
    return { target: connection.circumstances.target, replaced, records, retired, destroyed, more };
  });
}

async function replaceDue({ client }: Connection, options: RotateOptions): Promise<number> {
  const { tenant, all = false, maxKeyAgeDays = 365, wrapping } = options;
  const { rows } = await asAdministrator(client, () =>
    client.query<{ tenant: string; key: string }>(
      `SELECT tenant_id AS tenant, key_id AS key FROM llama.data_keys
        WHERE purpose = 'encryption' AND state = 'active'
          AND CASE WHEN $1::text IS NULL
                   THEN $2 OR created_at < now() - make_interval(days => $3) OR values_reserved >= $4::bigint
                   ELSE tenant_id = $1 END
        ORDER BY tenant_id`,
      [tenant ?? null, all, maxKeyAgeDays, valuesPerKey / 2],
    ),
  );
  const store = keyStoreWithin(client);
  for (const due of rows) {
    await makeDataKey(store, wrapping, { tenant: due.tenant, purpose: 'encryption' }, due.key);
  }
  return rows.length;
}

async function tenantsWith({ client }: Connection, ...states: readonly string[]): Promise<readonly string[]> {
  const { rows } = await asAdministrator(client, () =>
    client.query<{ tenant: string }>(
      `SELECT DISTINCT tenant_id AS tenant FROM llama.data_keys
        WHERE purpose = 'encryption' AND state = ANY ($1) ORDER BY 1`,
      [states],
    ),
  );
  return rows.map(({ tenant }) => tenant);
}

/** What a record holds is asked of the records themselves: the id of its key stands in front of each value. */
const heldByRecord = `
  SELECT FROM llama.storage_records AS r
   WHERE r.tenant_id = k.tenant_id AND r.encrypted
     AND (starts_with(r.mapped_data ->> '$enc', 'gcm1:' || k.key_id::text || ':')
          OR starts_with(r.metadata ->> '$enc', 'gcm1:' || k.key_id::text || ':'))`;

async function retire(connection: Connection, { graceSeconds = 900 }: RotateOptions): Promise<number> {
  const { client } = connection;
  let retired = 0;
  for (const tenant of await tenantsWith(connection, 'retiring')) {
    const { rowCount } = await asApplication(client, tenant, () =>
      client.query(
        `UPDATE llama.data_keys AS k SET state = 'retired'
          WHERE k.tenant_id = $1 AND k.purpose = 'encryption' AND k.state = 'retiring'
            AND k.state_since <= now() - make_interval(secs => $2) AND NOT EXISTS (${heldByRecord})`,
        [tenant, graceSeconds],
      ),
    );
    retired += rowCount ?? 0;
  }
  return retired;
}

/**
 * The audit trail keeps what records held, and nothing there can be encrypted again. So a retired key lives until the
 * trail has no month left from before it was retired, detached months that are still tables here included.
 */
async function destroy({ client }: Connection): Promise<number> {
  const { rowCount } = await asAdministrator(client, () =>
    client.query(
      `UPDATE llama.data_keys AS k SET state = 'destroyed', wrapped = NULL
        WHERE k.state = 'retired' AND k.state_since < now() - interval '1 day'
          AND k.state_since < (
            SELECT min(to_date(right(c.relname, 7), 'YYYY"m"MM'))::timestamp AT TIME ZONE 'UTC'
              FROM pg_class AS c
             WHERE c.relnamespace = 'llama'::regnamespace AND c.relname ~ '^audit_trail_y[0-9]{4}m[0-9]{2}$')
          AND NOT EXISTS (${heldByRecord})`,
    ),
  );
  return rowCount ?? 0;
}
