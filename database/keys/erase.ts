/**
 * `llama-db keys erase`: destroys every data key of a tenant. Values encrypted with them become unreadable everywhere.
 * Backups still hold the wrapped keys until they expire (docs/encryption.md).
 */
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { changingKeys, type KeysOptions } from './session.ts';

export interface EraseOptions extends KeysOptions {
  readonly tenant: string;
  /** The tenant's id, repeated. */
  readonly confirm: string | undefined;
}

export interface Erased {
  readonly target: string;
  readonly tenant: string;
  /** Data keys that this run destroyed; 0 if an earlier run destroyed them. */
  readonly keys: number;
}

/** @throws Fault (exit 2) without confirmation, or if the tenant has no keys */
export async function eraseTenant(target: Target, options: EraseOptions): Promise<Erased> {
  const { tenant, confirm, reporter } = options;
  if (confirm !== tenant) {
    throw new Fault(
      'keys/erasure-not-confirmed',
      `Tenant ${tenant} is not erased`,
      confirm === undefined ? 'it was not confirmed' : 'the confirmation names another tenant',
      `Values encrypted with its keys can never be read again. To erase it, give --confirm ${tenant}.`,
      { exitCode: 2 },
    );
  }
  return changingKeys(target, options, async ({ client, circumstances }) => {
    const { known, keys } = await destroyKeys(client, tenant);
    if (!known) {
      throw new Fault(
        'keys/tenant-unknown',
        `Tenant ${tenant} has no data keys`,
        'no value was ever encrypted for it in this database',
        `Check the id. For data in clear: llama-db erase --tenant ${tenant}.`,
        { exitCode: 2 },
      );
    }
    reporter.line(
      keys
        ? `Destroyed ${keys} data keys of ${tenant}; applications forget theirs within their cache's age`
        : `${tenant} was erased before`,
    );
    return { target: circumstances.target, tenant, keys };
  });
}

/** Destroys all data keys of a tenant in one transaction. @returns whether it has any, and how many it lost now */
export function destroyKeys(
  client: pg.ClientBase,
  tenant: string,
): Promise<{ readonly known: boolean; readonly keys: number }> {
  return asAdministrator(client, async () => {
    // The lock waits for keys that are being made, so the statements below see and erase them too.
    await client.query('SELECT llama.hold_data_keys($1, true)', [tenant]);
    const { rowCount: known } = await client.query(
      'SELECT FROM llama.data_keys WHERE tenant_id = $1 LIMIT 1',
      [tenant],
    );
    // One statement destroys all keys, so that no tenant is partly erased.
    const { rowCount: keys } = await client.query(
      `UPDATE llama.data_keys SET state = 'erased', wrapped = NULL WHERE tenant_id = $1 AND state <> 'erased'`,
      [tenant],
    );
    return { known: known !== 0, keys: keys ?? 0 };
  });
}
