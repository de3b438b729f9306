/** A retry with the same id writes one row, also if several run at once. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asApplication } from '../../runtime/index.ts';
import { migratedDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let clients: pg.Client[];
beforeAll(async () => {
  database = await migratedDatabase();
  clients = await Promise.all(Array.from({ length: 6 }, () => database.connect()));
});
afterAll(() => database.drop());

/** The columns that each table needs besides tenant and id. */
const tables = {
  storage_records: ['source_data_hash, mapped_data, model_version, detector_type', "'h', '{}', 'm', 'd'"],
  model_metrics: ['model_version, metric_type, metric_value', "'m', 'latency', 1"],
  detector_executions: ['detector_type, execution_time_ms, success', "'d', 1, true"],
} as const;
type Table = keyof typeof tables;

const ids = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;

const insert = (client: pg.Client, table: Table, tenant: string, id: string, rest = '', values = '') =>
  client.query(
    `INSERT INTO llama.${table} (tenant_id, id, ${tables[table][0]}${rest}) VALUES ($1, $2, ${tables[table][1]}${values}) ON CONFLICT DO NOTHING`,
    [tenant, id],
  );

/** As the documentation says: claims, then inserts only if no row has the id. */
const once = (client: pg.Client, table: Table, tenant: string, id: string) =>
  asApplication(client, tenant, async () => {
    const { rows } = await client.query('SELECT llama.claim_id($1, $2, $3) AS written', [table, tenant, id]);
    if (rows[0]?.written !== null) return rows[0]?.written as Date;
    await insert(client, table, tenant, id);
    return undefined;
  });

const count = async (table: Table, id: string) => {
  const [row] = await database.query<{ n: number }>(
    'superuser',
    `SELECT count(*)::int AS n FROM llama.${table} WHERE id = $1`,
    [id],
  );
  return row?.n;
};

describe.each(Object.keys(tables) as Table[])('%s', (table) => {
  it('gets two rows from a retry that does not claim the id', async () => {
    const [client] = clients as [pg.Client];
    for (const _ of [1, 2]) await asApplication(client, 'a', () => insert(client, table, 'a', ids(1)));
    expect(await count(table, ids(1))).toBe(2);
  });

  it('gets one row from retries one after the other, and from many at once', async () => {
    const [client] = clients as [pg.Client];
    expect(await once(client, table, 'a', ids(2))).toBeUndefined();
    expect(await once(client, table, 'a', ids(2))).toBeInstanceOf(Date);
    for (let round = 0; round < 10; round += 1) {
      const id = ids(100 + round);
      const results = await Promise.all(clients.map((one) => once(one, table, 'a', id)));
      expect(results.filter((written) => written === undefined)).toHaveLength(1);
      expect(await count(table, id)).toBe(1);
    }
  });

  it('gets one row across months, and one from a repeated timestamp', async () => {
    const [client] = clients as [pg.Client];
    await asApplication(client, 'a', () =>
      insert(client, table, 'a', ids(3), ', "timestamp"', ", date_trunc('month', now()) - interval '1 day'"),
    );
    expect(await once(client, table, 'a', ids(3))).toBeInstanceOf(Date);
    expect(await count(table, ids(3))).toBe(1);
    for (const _ of [1, 2]) {
      await asApplication(client, 'a', () =>
        insert(client, table, 'a', ids(4), ', "timestamp"', ", date_trunc('month', now())"),
      );
    }
    expect(await count(table, ids(4))).toBe(1);
  });

  it('is claimed per tenant, and shows no row of another', async () => {
    const [client] = clients as [pg.Client];
    expect(await once(client, table, 'a', ids(5))).toBeUndefined();
    expect(await once(client, table, 'b', ids(5))).toBeUndefined();
    await asApplication(client, 'b', async () => {
      const { rows } = await client.query('SELECT llama.claim_id($1, $2, $3) AS written', [
        table,
        'a',
        ids(2),
      ]);
      expect(rows).toEqual([{ written: null }]);
    });
  });

  it('is claimed again after a rollback', async () => {
    const [first, second] = clients as [pg.Client, pg.Client];
    let failed: Promise<unknown> = Promise.resolve();
    await new Promise<void>((claimed) => {
      failed = asApplication(first, 'a', async () => {
        await first.query('SELECT llama.claim_id($1, $2, $3)', [table, 'a', ids(6)]);
        await insert(first, table, 'a', ids(6));
        claimed();
        await new Promise((wait) => setTimeout(wait, 200));
        throw new Error('the client is gone');
      }).catch(() => undefined);
    });
    expect(await once(second, table, 'a', ids(6))).toBeUndefined();
    await failed;
    expect(await count(table, ids(6))).toBe(1);
  });
});

it('needs READ COMMITTED', async () => {
  const [client] = clients as [pg.Client];
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL ROLE application_role');
  await expect(
    client.query("SELECT llama.claim_id('model_metrics', 'a', gen_random_uuid())"),
  ).rejects.toMatchObject({
    code: '25000',
  });
  await client.query('ROLLBACK');
});
