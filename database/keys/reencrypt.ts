/** Moves a tenant's values in one table to its newest data key. Each batch is one transaction. */
import type pg from 'pg';
import type { FieldEncryption } from '../../runtime/encryption/field-encryption.ts';
import { listKeys } from '../../runtime/encryption/key-store.ts';
import type { Connection } from '../connection.ts';
import { asAdministrator } from './administrator.ts';
import type { EncryptedColumn, EncryptedTable } from './columns.ts';
import type { Failures } from './failures.ts';

export interface Reencryption {
  readonly encryption: FieldEncryption;
  readonly tenant: string;
  readonly table: EncryptedTable;
  /** Time of `performance.now()` after which no batch begins. */
  readonly until: number;
  /** Maximum number of records per transaction. @default 500 */
  readonly batchSize?: number;
  readonly failures: Failures;
}

export interface Reencrypted {
  readonly records: number;
  /** Whether time ran out before all records were done. */
  readonly more: boolean;
}

/** Texts of a record's key columns. */
type Key = readonly string[];
type Value = string | Buffer;

/** Per column, the value that was read and the value that replaces it; null for a value that stays. */
interface Change {
  readonly key: Key;
  readonly old: readonly (Value | null)[];
  readonly renewed: readonly (Value | null)[];
}

/** Bytes of values in one batch. A larger record is a batch of its own. */
const batchBytes = 8 * 2 ** 20;

/** Failures after which a run leaves the table of a tenant, so that time remains for the other tenants. */
const mostFailures = 20;

/**
 * Encrypts records outside any transaction and writes only those that have not changed since they were read. So other
 * sessions do not wait, and their writes stay. A record that fails is reported, and the others continue.
 */
export async function reencrypt(connection: Connection, options: Reencryption): Promise<Reencrypted> {
  const { client } = connection;
  const { encryption, tenant, table, until, batchSize = 500, failures } = options;
  const statements = statementsFor(table);
  let records = 0;
  let after: Key | undefined;
  let failed = 0;
  const fail = async (error: unknown, { key }: { readonly key: Key }) => {
    const doing = `Encrypting a record of ${table.relation} of ${tenant} again (${key.join(', ')})`;
    await failures.add(error, doing, tenant);
    failed += 1;
  };
  while (failed < mostFailures) {
    if (performance.now() >= until) return { records, more: true };
    const found = await asAdministrator(client, async () => {
      const keys = await listKeys(client, tenant);
      const newest = keys.find(({ purpose, state }) => purpose === 'encryption' && state === 'active');
      return statements.find(client, tenant, newest?.keyId, after, Math.max(batchSize, 1));
    });
    for (const batch of batchesOf(found.rows)) {
      if (failed >= mostFailures) break;
      if (performance.now() >= until) return { records, more: true };
      const rows = await piecewise(
        batch,
        (some) => asAdministrator(client, () => statements.read(client, tenant, found.newest, some)),
        fail,
      );
      const changes: Change[] = [];
      for (const row of rows) {
        try {
          const change = await renew(encryption, tenant, table, row);
          if (change.renewed.some((value) => value !== null)) changes.push(change);
        } catch (error) {
          await fail(error, row);
          if (failed >= mostFailures) break;
        }
      }
      const written = await piecewise(
        changes,
        async (some) => [await asAdministrator(client, () => statements.write(client, tenant, some))],
        fail,
      );
      records += written.reduce((sum, count) => sum + count, 0);
    }
    after = found.rows.at(-1)?.key;
    if (after === undefined || after.length === 0) return { records, more: false };
  }
  return { records, more: false };
}

/** Does the work for all items at once. If that fails, does it for each item alone, so that one failure affects one item. */
async function piecewise<Item, Result>(
  items: readonly Item[],
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  fail: (error: unknown, item: Item) => Promise<void>,
): Promise<readonly Result[]> {
  if (items.length === 0) return [];
  try {
    return await work(items);
  } catch (error) {
    const [only, ...others] = items;
    if (only && others.length === 0) {
      await fail(error, only);
      return [];
    }
  }
  const results: Result[] = [];
  for (const item of items) results.push(...(await piecewise([item], work, fail)));
  return results;
}

function* batchesOf(rows: readonly Found[]): Generator<readonly Found[]> {
  let batch: Found[] = [];
  let bytes = 0;
  for (const row of rows) {
    if (batch.length > 0 && bytes + row.size > batchBytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(row);
    bytes += row.size;
  }
  if (batch.length > 0) yield batch;
}

async function renew(
  encryption: FieldEncryption,
  tenant: string,
  { columns }: EncryptedTable,
  { key, records, values }: Read,
): Promise<Change> {
  const renewed: (Value | null)[] = [];
  for (const [place, { table, column }] of columns.entries()) {
    const value = values[place] ?? null;
    const record = records[place] ?? '';
    renewed.push(
      value === null ? null : ((await encryption.renew({ tenant, table, column, record }, value)) ?? null),
    );
  }
  return { key, old: values, renewed };
}

interface Found {
  readonly key: Key;
  /** Bytes on disk. */
  readonly size: number;
}

interface Read {
  readonly key: Key;
  /** The `record` that each column's value is bound to. */
  readonly records: readonly string[];
  /** Null for a value that is under the newest key or not encrypted. */
  readonly values: readonly (Value | null)[];
}

/** Length of the prefix that identifies a value (key id and nonce), in characters and in bytes. */
const beginning = { text: 42 + 16, document: 42 + 16, bytes: 1 + 16 + 12 };

/** The statements for one table. The server has quoted every name in them. */
function statementsFor({ relation, key, columns }: EncryptedTable) {
  const keyTexts = key.map(({ name }) => `r.${name}::text`).join(', ');
  const keyArray = `ARRAY[${keyTexts}]::text[]`;
  // $2 is the id of the newest key.
  const stale = columns.map((column) => {
    const value = sealedIn(column);
    return column.form === 'bytes'
      ? `(substr(${value}, 1, 1) = '\\x01' AND substr(${value}, 2, 16) <> decode(replace($2::text, '-', ''), 'hex'))`
      : `(starts_with(${value}, 'gcm1:') AND left(${value}, 42) <> 'gcm1:' || $2::text || ':')`;
  });
  const size = columns.map(({ stored }) => `coalesce(pg_column_size(r.${stored}), 0)::float8`).join(' + ');
  const keyNames = key.map(({ name }) => `r.${name}`).join(', ');
  const joined = key.map(({ name, type }, place) => ` AND r.${name} = n.k${place}::${type}`).join('');
  const keyColumns = key.map((_, place) => `k${place}`);
  const unnested = (arrays: readonly string[], names: readonly string[]) =>
    // Without key columns there is one record per tenant.
    arrays.length === 0
      ? '(VALUES (1)) AS n (one)'
      : `unnest(${arrays.join(', ')}) AS n (${names.join(', ')})`;
  const turned = (rows: readonly { readonly key: Key }[]) =>
    key.map((_, place) => rows.map((row) => row.key[place]));
  return {
    async find(
      client: pg.ClientBase,
      tenant: string,
      keyId: string | undefined,
      after: Key | undefined,
      limit: number,
    ) {
      const newest = keyId ?? '00000000-0000-0000-0000-000000000000';
      const { rows } = await client.query<Found>(
        `SELECT ${keyArray} AS key, ${size} AS size FROM ${relation} AS r
          WHERE r.tenant_id = $1 AND (${stale.join(' OR ')})
            ${after ? `AND (${keyNames}) > (${key.map(({ type }, place) => `$${place + 4}::${type}`).join(', ')})` : ''}
          ${key.length > 0 ? `ORDER BY ${keyNames}` : ''} LIMIT $3`,
        [tenant, newest, limit, ...(after ?? [])],
      );
      return { newest, rows };
    },
    async read(client: pg.ClientBase, tenant: string, newest: string, found: readonly Found[]) {
      const { rows } = await client.query<Record<string, unknown>>(
        `SELECT ${keyArray} AS key, ARRAY[${columns.map(({ record }) => `r.${record}::text`).join(', ')}] AS records,
                ${columns.map((column, place) => `CASE WHEN ${stale[place]} THEN ${sealedIn(column)} END AS v${place}`).join(', ')}
           FROM ${unnested(
             key.map((_, place) => `$${place + 3}::text[]`),
             keyColumns,
           )}
           JOIN ${relation} AS r ON r.tenant_id = $1${joined}`,
        [tenant, newest, ...turned(found)],
      );
      return rows.map(
        (row): Read => ({
          key: row['key'] as Key,
          records: row['records'] as readonly string[],
          values: columns.map((_, place) => row[`v${place}`] as Value | null),
        }),
      );
    },
    async write(client: pg.ClientBase, tenant: string, changes: readonly Change[]) {
      const arrays: string[] = key.map((_, place) => `$${place + 2}::text[]`);
      const names = [...keyColumns];
      const parameters: unknown[] = turned(changes);
      for (const [place, { form }] of columns.entries()) {
        const type = form === 'bytes' ? 'bytea[]' : 'text[]';
        arrays.push(`$${arrays.length + 2}::${type}`, `$${arrays.length + 3}::${type}`);
        names.push(`new${place}`, `old${place}`);
        parameters.push(
          changes.map(({ renewed }) => renewed[place] ?? null),
          changes.map(({ old, renewed }) =>
            (renewed[place] ?? null) === null ? null : (old[place]?.slice(0, beginning[form]) ?? null),
          ),
        );
      }
      const { rowCount } = await client.query(
        `UPDATE ${relation} AS r SET ${columns.map((column, place) => `${column.stored} = ${assigned(column, `n.new${place}`)}`).join(', ')}
           FROM ${unnested(arrays, names)}
          WHERE r.tenant_id = $1${joined}
            AND ${columns.map((column, place) => `(n.old${place} IS NULL OR ${beginningOf(column)} = n.old${place})`).join(' AND ')}`,
        [tenant, ...parameters],
      );
      return rowCount ?? 0;
    },
  };
}

function sealedIn({ stored, form }: EncryptedColumn): string {
  return form === 'document' ? `(r.${stored} ->> '$enc')` : `r.${stored}`;
}

function beginningOf(column: EncryptedColumn): string {
  const { form } = column;
  return form === 'bytes'
    ? `substr(${sealedIn(column)}, 1, ${beginning.bytes})`
    : `left(${sealedIn(column)}, ${beginning[form]})`;
}

function assigned({ stored, form }: EncryptedColumn, value: string): string {
  const column = `r.${stored}`;
  return form === 'document'
    ? `CASE WHEN ${value} IS NULL THEN ${column} ELSE jsonb_set(${column}, '{$enc}', to_jsonb(${value})) END`
    : `coalesce(${value}, ${column})`;
}
