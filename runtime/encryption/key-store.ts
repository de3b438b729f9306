/**
 * The tenants' wrapped data keys (llama.data_keys) and the columns that may hold encrypted values
 * (llama.encrypted_columns), accessed as the application role.
 */
import type pg from 'pg';
import { asApplication, transaction } from '../tenant/on-client.ts';
import type { Purpose, WrappingAlgorithm } from './wrapping-key.ts';

export type KeyState = 'active' | 'retiring' | 'retired' | 'destroyed' | 'erased';

/** A row of llama.data_keys. */
export interface StoredKey {
  readonly tenant: string;
  readonly keyId: string;
  readonly purpose: Purpose;
  readonly state: KeyState;
  readonly algorithm: WrappingAlgorithm;
  readonly wrappingKey: string;
  readonly wrappingKeyVersion: string;
  /** Absent after the key was destroyed. */
  readonly wrapped?: Buffer;
  readonly createdAt: Date;
}

export type NewKey = Omit<StoredKey, 'state' | 'createdAt' | 'wrapped'> & { readonly wrapped: Buffer };

/** A column that llama.encrypted_columns lists, under the names that values are bound to. */
export interface RegisteredColumn {
  readonly table: string;
  readonly column: string;
}

export interface KeyStore {
  /** The columns whose values rotation finds. Encrypted values are written to no other column. */
  columns(): Promise<readonly RegisteredColumn[]>;
  /** Every key of a tenant, in any state. */
  list(tenant: string): Promise<readonly StoredKey[]>;
  /**
   * Stores a key as the tenant's active key for its purpose, unless another one was stored first. The key is committed on
   * return: the loss of a key in a rolled-back transaction would leave values that nobody can read.
   *
   * @param replaces id of the key to replace; nothing happens if that key is no longer active.
   */
  add(key: NewKey, replaces?: string): Promise<void>;
  /**
   * Reserves the given number of values for a key.
   *
   * @returns false if the key would exceed its limit of values, or is no longer active.
   */
  reserve(tenant: string, keyId: string, values: number): Promise<boolean>;
}

/** The part of `pg.Pool` that the store uses. */
export interface Pool {
  connect(): Promise<pg.PoolClient>;
}

/**
 * The store of an application.
 *
 * @param pool a separate pool (two connections are enough). Making a key needs a connection while a transaction of the
 * application holds another one: with one exhausted pool for both it would wait forever.
 */
export function keyStoreOf(pool: Pool): KeyStore {
  return {
    columns: () => pooled(pool, undefined, listColumns),
    list: (tenant) => pooled(pool, tenant, (client) => listKeys(client, tenant)),
    add: (key, replaces) => pooled(pool, key.tenant, (client) => addKey(client, key, replaces)),
    reserve: (tenant, keyId, values) =>
      pooled(pool, tenant, (client) => reserveValues(client, tenant, keyId, values)),
  };
}

/** The store on one connection of an administrator, in the application's role. Transactions run one after another. */
export function keyStoreWithin(client: pg.ClientBase): KeyStore {
  let last: Promise<unknown> = Promise.resolve();
  const within = <Result>(tenant: string | undefined, work: () => Promise<Result>): Promise<Result> => {
    const next = last.then(() => asApplication(client, tenant, work));
    last = next.catch(() => undefined);
    return next;
  };
  return {
    columns: () => within(undefined, () => listColumns(client)),
    list: (tenant) => within(tenant, () => listKeys(client, tenant)),
    add: (key, replaces) => within(key.tenant, () => addKey(client, key, replaces)),
    reserve: (tenant, keyId, values) => within(tenant, () => reserveValues(client, tenant, keyId, values)),
  };
}

async function pooled<Result>(
  pool: Pool,
  tenant: string | undefined,
  work: (client: pg.ClientBase) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  try {
    return await transaction(client, tenant === undefined ? {} : { tenant }, () => work(client));
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
    throw error;
  } finally {
    // A connection whose transaction failed may be broken, so the pool replaces it.
    client.release(broken);
  }
}

interface Row {
  readonly tenant_id: string;
  readonly key_id: string;
  readonly purpose: Purpose;
  readonly state: KeyState;
  readonly algorithm: WrappingAlgorithm;
  readonly wrapping_key: string;
  readonly wrapping_key_version: string;
  readonly wrapped: Buffer | null;
  readonly created_at: Date;
}

/** Columns of {@link StoredKey}. */
export const keyColumns =
  'tenant_id, key_id, purpose, state, algorithm, wrapping_key, wrapping_key_version, wrapped, created_at';

async function listColumns(client: pg.ClientBase): Promise<readonly RegisteredColumn[]> {
  const { rows } = await client.query<RegisteredColumn>(
    'SELECT table_name AS "table", column_name AS "column" FROM llama.encrypted_columns',
  );
  return rows;
}

export async function listKeys(client: pg.ClientBase, tenant: string): Promise<readonly StoredKey[]> {
  const { rows } = await client.query<Row>(
    `SELECT ${keyColumns} FROM llama.data_keys WHERE tenant_id = $1 ORDER BY created_at, key_id`,
    [tenant],
  );
  return rows.map(keyOfRow);
}

export function keyOfRow(row: Row): StoredKey {
  return {
    tenant: row.tenant_id,
    keyId: row.key_id,
    purpose: row.purpose,
    state: row.state,
    algorithm: row.algorithm,
    wrappingKey: row.wrapping_key,
    wrappingKeyVersion: row.wrapping_key_version,
    ...(row.wrapped === null ? {} : { wrapped: row.wrapped }),
    createdAt: row.created_at,
  };
}

async function addKey(client: pg.ClientBase, key: NewKey, replaces: string | undefined): Promise<void> {
  // This lock comes before any row lock, as in an erasure, so that the two cannot deadlock.
  await client.query('SELECT llama.hold_data_keys($1)', [key.tenant]);
  if (replaces !== undefined) {
    const { rowCount } = await client.query(
      `UPDATE llama.data_keys SET state = 'retiring'
        WHERE tenant_id = $1 AND key_id = $2 AND purpose = $3 AND state = 'active'`,
      [key.tenant, replaces, key.purpose],
    );
    if (rowCount === 0) return;
  }
  await client.query(
    `INSERT INTO llama.data_keys (tenant_id, key_id, purpose, algorithm, wrapping_key, wrapping_key_version, wrapped)
     VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (tenant_id, purpose) WHERE state = 'active' DO NOTHING`,
    [key.tenant, key.keyId, key.purpose, key.algorithm, key.wrappingKey, key.wrappingKeyVersion, key.wrapped],
  );
}

/** Values that one key may encrypt with random 96-bit nonces (NIST SP 800-38D, 8.3). The table has the same limit. */
export const valuesPerKey = 2 ** 32;

async function reserveValues(
  client: pg.ClientBase,
  tenant: string,
  keyId: string,
  values: number,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `UPDATE llama.data_keys SET values_reserved = values_reserved + $3::bigint
      WHERE tenant_id = $1 AND key_id = $2 AND state = 'active' AND values_reserved <= $4::bigint - $3::bigint`,
    [tenant, keyId, values, valuesPerKey],
  );
  return rowCount === 1;
}
