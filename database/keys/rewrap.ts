/**
 * `llama-db keys rewrap`: wraps every data key with the newest version of the wrapping key and changes no value. Each key
 * has its own statement, so a killed run keeps its progress and the next run continues.
 */
import type pg from 'pg';
import { EncryptionError } from '../../runtime/encryption/error.ts';
import { keyColumns, keyOfRow, type StoredKey } from '../../runtime/encryption/key-store.ts';
import {
  unwrapDataKey,
  type Wrapped,
  type WrappingKey,
  wrapDataKey,
} from '../../runtime/encryption/wrapping-key.ts';
import type { Target } from '../target.ts';
import { asAdministrator } from './administrator.ts';
import { type Failure, Failures } from './failures.ts';
import { changingKeys, type KeysOptions } from './session.ts';

export interface RewrapOptions extends KeysOptions {
  /** The key that wraps every data key after the run. */
  readonly wrapping: WrappingKey;
  /** Further wrapping keys that only unwrap, to move data keys from them to `wrapping`. @default - none */
  readonly from?: readonly WrappingKey[];
}

export interface Rewrapped {
  readonly target: string;
  /** The version that now wraps every key except the failed ones. */
  readonly version: string;
  readonly rewrapped: number;
  /** Keys that could not be wrapped again. */
  readonly failures: readonly Failure[];
}

/** Concurrent requests for the wrapping key. Key Vault limits the requests per second of a whole vault. */
const atOnce = 8;
const page = 500;

export function rewrap(target: Target, options: RewrapOptions): Promise<Rewrapped> {
  return changingKeys(target, options, async (connection) => {
    const { client, circumstances } = connection;
    const { wrapping, reporter } = options;
    const version = await wrapping.newest(true);
    // A damaged key must not leave the others on a version that is about to expire.
    const failures = new Failures(connection, options);
    let rewrapped = 0;
    let after: StoredKey | undefined;
    for (;;) {
      const keys = await outdated(client, wrapping, version, after);
      if (keys.length === 0) break;
      after = keys.at(-1);
      const wrapped: [StoredKey, Wrapped][] = [];
      await forEach(keys, atOnce, (key) =>
        failures.attempt(key.tenant, nameOf(key), async () => {
          wrapped.push([key, await wrapAgain(key, options)]);
        }),
      );
      await client.query('SET ROLE admin_role');
      for (const [key, again] of wrapped) {
        await failures.attempt(key.tenant, nameOf(key), async () => {
          if (await write(client, key, again, wrapping)) rewrapped += 1;
        });
      }
      await client.query('SET ROLE NONE');
      reporter.line(`Wrapped ${rewrapped} data keys with version ${version}`);
    }
    return { target: circumstances.target, version, rewrapped, failures: failures.all };
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

function nameOf({ keyId, tenant }: StoredKey): string {
  return `Data key ${keyId} of tenant ${tenant}`;
}

async function wrapAgain(key: StoredKey, { wrapping, from = [] }: RewrapOptions): Promise<Wrapped> {
  const keeper = [wrapping, ...from].find(({ id }) => id === key.wrappingKey);
  if (!keeper) {
    throw new EncryptionError(
      'denied',
      `${nameOf(key)} is wrapped by ${key.wrappingKey}`,
      `the command wraps with ${wrapping.id}`,
      'Name it with --from, to move data keys from one wrapping key to another.',
    );
  }
  const old = { version: key.wrappingKeyVersion, bytes: key.wrapped ?? Buffer.alloc(0) };
  const plain = await unwrapDataKey(keeper, key, old);
  try {
    return await wrapDataKey(wrapping, key, plain);
  } finally {
    plain.fill(0);
  }
}

/** @returns false if another session changed the key first */
async function write(
  client: pg.ClientBase,
  key: StoredKey,
  { version, bytes }: Wrapped,
  wrapping: WrappingKey,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE llama.data_keys SET algorithm = $3, wrapping_key = $4, wrapping_key_version = $5, wrapped = $6
      WHERE tenant_id = $1 AND key_id = $2 AND wrapped = $7`,
    [key.tenant, key.keyId, wrapping.algorithm, wrapping.id, version, bytes, key.wrapped],
  );
  return rowCount === 1;
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
