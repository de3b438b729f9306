/**
 * `llama-db keys rewrap`: wraps every data key with the newest version of the wrapping key. No value is touched. Each key
 * is one statement of its own, so a run that was killed has done what it did, and the next one does the rest.
 */
import type pg from 'pg';
import { Fault } from '../../core/fault.ts';
import { EncryptionError } from '../../runtime/encryption/error.ts';
import { keyColumns, keyOfRow, type StoredKey } from '../../runtime/encryption/key-store.ts';
import { unwrapDataKey, type WrappingKey, wrapDataKey } from '../../runtime/encryption/wrapping-key.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { changingKeys, type KeysOptions } from './session.ts';

export interface RewrapOptions extends KeysOptions {
  /** Wraps from now on. */
  readonly wrapping: WrappingKey;
  /** Others that still unwrap, to move keys from one wrapping key to another. @default - none */
  readonly from?: readonly WrappingKey[];
}

export interface Rewrapped {
  readonly target: string;
  /** Version that every key but the failed ones is wrapped with now. */
  readonly version: string;
  readonly rewrapped: number;
}

/** Requests to the wrapping key's keeper at once: Key Vault answers hundreds a second for the whole vault. */
const atOnce = 8;
const page = 500;

/** @throws Fault when keys are left that could not be unwrapped; the others are done. */
export function rewrap(target: Target, options: RewrapOptions): Promise<Rewrapped> {
  return changingKeys(target, options, async ({ client, circumstances }) => {
    const { wrapping, reporter } = options;
    const version = await wrapping.newest(true);
    const failures: EncryptionError[] = [];
    let rewrapped = 0;
    let after: StoredKey | undefined;
    for (;;) {
      const keys = await outdated(client, wrapping, version, after);
      if (keys.length === 0) break;
      after = keys.at(-1);
      await client.query('SET ROLE admin_role');
      await forEach(keys, atOnce, async (key) => {
        try {
          if (await rewrapOne(client, key, options)) rewrapped += 1;
        } catch (error) {
          // One key that was damaged must not keep the others with a version that is about to expire.
          if (!(error instanceof EncryptionError) || error.problem === 'unavailable') throw error;
          failures.push(error);
          reporter.warn(error.message);
        }
      });
      await client.query('RESET ROLE');
      reporter.line(`Wrapped ${rewrapped} data keys with version ${version}`);
    }
    const [first] = failures;
    if (first) {
      throw new Fault(
        'rewrap/1',
        `${failures.length} data keys could not be wrapped again`,
        `the first: ${first.what}: ${first.why}`,
        first.remedy,
      );
    }
    return { target: circumstances.target, version, rewrapped };
  });
}

async function outdated(
  client: pg.ClientBase,
  wrapping: WrappingKey,
  version: string,
  after: StoredKey | undefined,
): Promise<readonly StoredKey[]> {
  const { rows } = await asAdministrator(client, () =>
    client.query<Parameters<typeof keyOfRow>[0]>(
      `SELECT ${keyColumns} FROM llama.data_keys
        WHERE wrapped IS NOT NULL AND (wrapping_key, wrapping_key_version) <> ($1, $2)
          AND ($3::text IS NULL OR (tenant_id, key_id) > ($3::text, $4::uuid))
        ORDER BY tenant_id, key_id LIMIT $5`,
      [wrapping.id, version, after?.tenant ?? null, after?.keyId ?? null, page],
    ),
  );
  return rows.map(keyOfRow);
}

async function rewrapOne(
  client: pg.ClientBase,
  key: StoredKey,
  { wrapping, from = [] }: RewrapOptions,
): Promise<boolean> {
  const keeper = [wrapping, ...from].find(({ id }) => id === key.wrappingKey);
  if (!keeper) {
    throw new EncryptionError(
      'denied',
      `Data key ${key.keyId} of tenant ${key.tenant} is wrapped by ${key.wrappingKey}`,
      `that is not ${wrapping.id}`,
      'Name it with --from, to move data keys from one wrapping key to another.',
    );
  }
  if (!key.wrapped) return false;
  const plain = await unwrapDataKey(keeper, key, { version: key.wrappingKeyVersion, bytes: key.wrapped });
  try {
    const { version, bytes } = await wrapDataKey(wrapping, key, plain);
    // Only if nobody was faster.
    const { rowCount } = await client.query(
      `UPDATE llama.data_keys SET algorithm = $3, wrapping_key = $4, wrapping_key_version = $5, wrapped = $6
        WHERE tenant_id = $1 AND key_id = $2 AND wrapped = $7`,
      [key.tenant, key.keyId, wrapping.algorithm, wrapping.id, version, bytes, key.wrapped],
    );
    return rowCount === 1;
  } finally {
    plain.fill(0);
  }
}

async function forEach<Item>(
  items: readonly Item[],
  limit: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: limit }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
