/**
 * `llama-db keys rotate`: makes new data keys for tenants whose key is due, moves values to them, and ends old keys. A run
 * may stop at any step: the next run reads the remaining work from the tables.
 *
 *   active ──new key──► retiring ──no value names it, grace over──► retired ──audit trail begins later──► destroyed
 *
 * The database counts the values that name a key in every registered column. It refuses the last two steps while such a
 * value exists (llama.guard_key_end).
 */

import { Fault } from '../../core/fault.ts';
import { counted, duration } from '../../core/text.ts';
import { FieldEncryption, makeDataKey } from '../../runtime/encryption/field-encryption.ts';
import { keyStoreWithin, valuesPerKey } from '../../runtime/encryption/key-store.ts';
import type { WrappingKey } from '../../runtime/encryption/wrapping-key.ts';
import { transaction } from '../../runtime/tenant/on-client.ts';
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { encryptedTables } from './columns.ts';
import { type Failure, Failures } from './failures.ts';
import { reencrypt } from './reencrypt.ts';
import { changingKeys, type KeysOptions } from './session.ts';
import { findStrays } from './strays.ts';

export interface RotateOptions extends KeysOptions {
  readonly wrapping: WrappingKey;
  /** Replace the key of this tenant now, at any age. @default - the tenants whose key is due */
  readonly tenant?: string;
  /** Replace every tenant's key now. @default false */
  readonly all?: boolean;
  /** Days after which a key is due. A key that has reserved half of its limit of values is due earlier. @default 365 */
  readonly maxKeyAgeDays?: number;
  /** Maximum number of records per transaction. @default 500 */
  readonly batchSize?: number;
  /** Seconds after which no further batch begins. The next run continues. @default 900 */
  readonly seconds?: number;
  /**
   * Seconds for which the database still accepts values under a replaced key. Must exceed the applications'
   * `maxAgeSeconds`. @default 900
   */
  readonly graceSeconds?: number;
}

export interface Rotated {
  readonly target: string;
  /** Tenants with a new key. */
  readonly replaced: number;
  /** Records that the run encrypted again. */
  readonly records: number;
  readonly retired: number;
  readonly destroyed: number;
  /** Whether records are left for the next run. */
  readonly more: boolean;
  /** Values, records and keys that failed. The run completed the rest. */
  readonly failures: readonly Failure[];
}

export function rotate(target: Target, options: RotateOptions): Promise<Rotated> {
  return changingKeys(target, options, async (connection) => {
    const { reporter, seconds = 900 } = options;
    const start = performance.now();
    const failures = new Failures(connection, options);
    const replaced = await replaceDue(connection, options, failures);
    if (replaced > 0) reporter.line(`Made new data keys for ${counted(replaced, 'tenant')}`);
    const { records, more } = await moveValues(connection, options, failures, start + seconds * 1000);
    const retired = await retire(connection, options, failures, more);
    if (retired > 0) reporter.line(`Retired ${retired} data keys that no value names any more`);
    const destroyed = await destroy(connection, failures);
    if (destroyed > 0) reporter.line(`Destroyed ${destroyed} data keys that nothing names any more`);
    reporter.line(
      `Done (${duration(performance.now() - start)})${more.size > 0 ? '; more is left for the next run' : ''}`,
    );
    return {
      target: connection.circumstances.target,
      ...{ replaced, records, retired, destroyed },
      more: more.size > 0,
      failures: failures.all,
    };
  });
}

/** @returns the number of records that were encrypted again, and the tenants with records left when time ran out */
async function moveValues(
  connection: Connection,
  { reporter, wrapping, batchSize }: RotateOptions,
  failures: Failures,
  until: number,
): Promise<{ readonly records: number; readonly more: ReadonlySet<string> }> {
  const { tables, missing } = await asAdministrator(connection.client, () =>
    encryptedTables(connection.client),
  );
  for (const fault of missing) await failures.add(fault, 'Reading the registry');
  const encryption = new FieldEncryption({
    store: keyStoreWithin(connection.client),
    wrapping,
    // This command decides by age which keys are due; the library must not.
    maxKeyAgeDays: 36_500,
  });
  const more = new Set<string>();
  let records = 0;
  try {
    for (const tenant of await tenantsWith(connection, 'retiring', 'retired')) {
      let moved = 0;
      for (const table of tables) {
        const doing = `Encrypting ${table.relation} of ${tenant} again`;
        const done = await failures.attempt(tenant, doing, () =>
          reencrypt(connection, {
            ...{ encryption, tenant, table, until, failures },
            ...(batchSize === undefined ? {} : { batchSize }),
          }),
        );
        moved += done?.records ?? 0;
        if (done?.more) more.add(tenant);
      }
      records += moved;
      if (moved > 0) reporter.line(`Encrypted ${counted(moved, 'record')} of ${tenant} again`);
    }
  } finally {
    encryption.close();
  }
  return { records, more };
}

async function replaceDue(
  { client }: Connection,
  options: RotateOptions,
  failures: Failures,
): Promise<number> {
  const { tenant: only, all = false, maxKeyAgeDays = 365, wrapping } = options;
  const { rows } = await asAdministrator(client, () =>
    client.query<{ tenant: string; key: string }>(
      `SELECT tenant_id AS tenant, key_id AS key FROM llama.data_keys
        WHERE purpose = 'encryption' AND state = 'active'
          AND CASE WHEN $1::text IS NULL
                   THEN $2 OR created_at < now() - make_interval(days => $3) OR values_reserved >= $4::bigint
                   ELSE tenant_id = $1 END
        ORDER BY tenant_id`,
      [only ?? null, all, maxKeyAgeDays, valuesPerKey / 2],
    ),
  );
  const store = keyStoreWithin(client);
  let replaced = 0;
  for (const { tenant, key } of rows) {
    await failures.attempt(tenant, `Making a new data key for ${tenant}`, async () => {
      await makeDataKey(store, wrapping, { tenant, purpose: 'encryption' }, key);
      replaced += 1;
    });
  }
  return replaced;
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

interface Ending {
  readonly tenant: string;
  readonly key: string;
}

/** @param more tenants with values to move; their keys are not ready, so the database need not count their values */
async function retire(
  connection: Connection,
  { graceSeconds = 900 }: RotateOptions,
  failures: Failures,
  more: ReadonlySet<string>,
): Promise<number> {
  const { rows } = await asAdministrator(connection.client, () =>
    connection.client.query<Ending>(
      `SELECT tenant_id AS tenant, key_id AS key FROM llama.data_keys
        WHERE purpose = 'encryption' AND state = 'retiring' AND state_since <= now() - make_interval(secs => $1)
        ORDER BY 1, 2`,
      [graceSeconds],
    ),
  );
  const done = rows.filter(({ tenant }) => !more.has(tenant));
  return endEach(connection, done, 'retired', failures);
}

/**
 * The audit trail keeps the encrypted content of records, and its rows are never encrypted again. So a retired key is kept
 * until the trail, detached months included, has no month from before the key was retired. The database cannot count values
 * outside the registered columns, so this function searches for them before the irreversible step.
 */
async function destroy(connection: Connection, failures: Failures): Promise<number> {
  const { client } = connection;
  const { rows } = await asAdministrator(client, () =>
    client.query<Ending>(
      `SELECT tenant_id AS tenant, key_id AS key FROM llama.data_keys
        WHERE purpose = 'encryption' AND state = 'retired' AND state_since < now() - interval '1 day'
          AND state_since < llama.audit_trail_since()
        ORDER BY 1, 2`,
    ),
  );
  if (rows.length === 0) return 0;
  const { found, unread } = await transaction(client, {}, () => findStrays(client));
  if (unread.length > 0) {
    await failures.add(
      new Fault(
        'keys/unsearchable-tables',
        `${rows.length} retired data keys are kept`,
        `values under them may be in ${unread.map(({ table, why }) => `${table} (${why})`).join(', ')}`,
        'Archive and drop tables that are no longer needed. For the others, grant admin_role SELECT with a policy that shows every row, and repair tables that cannot be read.',
      ),
      'Looking for values',
    );
    return 0;
  }
  const free: Ending[] = [];
  for (const ending of rows) {
    const { tenant, key } = ending;
    const stray = found.find(({ keyId }) => keyId === key);
    if (!stray) {
      free.push(ending);
      continue;
    }
    const fault = new Fault(
      'keys/stray-values',
      `Data key ${key} of ${tenant} is kept`,
      `${counted(stray.values, 'value')} of it stand in ${stray.table}.${stray.column}, which is not a registered column`,
      'Register the column (docs/encryption.md) so that its values are encrypted again, or remove them.',
    );
    await failures.add(fault, 'Looking for values', tenant);
  }
  return endEach(connection, free, 'destroyed', failures);
}

/** SQLSTATE dependent_objects_still_exist. */
const stillNeeded = '2BP01';

/** @returns the number of keys that changed to the state; the database keeps a key that a value still names */
async function endEach(
  { client }: Connection,
  keys: readonly Ending[],
  state: 'retired' | 'destroyed',
  failures: Failures,
): Promise<number> {
  const wrapped = state === 'destroyed' ? ', wrapped = NULL' : '';
  let ended = 0;
  for (const { tenant, key } of keys) {
    await failures.attempt(tenant, `Data key ${key} of ${tenant}`, async () => {
      try {
        const { rowCount } = await asAdministrator(client, () =>
          client.query(
            `UPDATE llama.data_keys SET state = $3${wrapped} WHERE tenant_id = $1 AND key_id = $2`,
            [tenant, key, state],
          ),
        );
        ended += rowCount ?? 0;
      } catch (error) {
        // The values were written since, or could not be moved; the latter is already reported.
        if (state !== 'retired' || sqlState(error) !== stillNeeded) throw error;
      }
    });
  }
  return ended;
}
