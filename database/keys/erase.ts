/**
 * `llama-db keys erase`: destroys every data key of a tenant, and with them all that was encrypted, wherever it lies. What
 * still unwraps them is in docs/encryption.md: backups hold the wrapped keys until they expire.
 */
import { Fault } from '../../core/fault.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { changingKeys, type KeysOptions } from './session.ts';

export interface EraseOptions extends KeysOptions {
  readonly tenant: string;
  /** The tenant's id once more. */
  readonly confirm: string | undefined;
}

export interface Erased {
  readonly target: string;
  readonly tenant: string;
  /** Data keys that were destroyed now; 0 when an earlier run did it. */
  readonly keys: number;
}

/** @throws Fault (exit 2) without confirmation, or when the tenant has no keys */
export async function eraseTenant(target: Target, options: EraseOptions): Promise<Erased> {
  const { tenant, confirm, reporter } = options;
  if (confirm !== tenant) {
    throw new Fault(
      'erase/1',
      `Tenant ${tenant} is not erased`,
      confirm === undefined ? 'it was not confirmed' : 'the confirmation names another tenant',
      `What is encrypted for it can never be read again. If that is meant: --confirm ${tenant}.`,
      { exitCode: 2 },
    );
  }
  return changingKeys(target, options, async ({ client, circumstances }) => {
    const { known, keys } = await asAdministrator(client, async () => {
      // A key that is being made at this moment is erased as well: what follows sees it.
      await client.query('SELECT llama.hold_data_keys($1, true)', [tenant]);
      const { rowCount: known } = await client.query(
        'SELECT FROM llama.data_keys WHERE tenant_id = $1 LIMIT 1',
        [tenant],
      );
      // One statement for all of its keys: a tenant is erased, or it is not.
      const { rowCount: keys } = await client.query(
        `UPDATE llama.data_keys SET state = 'erased', wrapped = NULL WHERE tenant_id = $1 AND state <> 'erased'`,
        [tenant],
      );
      return { known, keys };
    });
    if (!known) {
      throw new Fault(
        'erase/2',
        `Tenant ${tenant} has no data keys`,
        'nothing was ever encrypted for it here, so destroying keys erases nothing',
        'Check the id; records in clear are deleted, not erased.',
        { exitCode: 2 },
      );
    }
    reporter.line(
      keys
        ? `Destroyed ${keys} data keys of ${tenant}; applications forget theirs within their cache's age`
        : `${tenant} was erased before`,
    );
    return { target: circumstances.target, tenant, keys: keys ?? 0 };
  });
}
