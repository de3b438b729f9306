import { afterAll, beforeAll, expect, it } from 'vitest';
import { transaction } from '../../runtime/index.ts';
import { migratedDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await migratedDatabase();
});
afterAll(() => database.drop());

/** The server's own answer to a start that takes longer than the session's statement_timeout, `times` in a row. */
async function startsSlowly(times: number) {
  const client = await database.connect('superuser');
  await client.query('SET statement_timeout = 1');
  const query = client.query.bind(client);
  let slow = times;
  let starts = 0;
  Object.assign(client, {
    query: (text: unknown, ...rest: unknown[]) => {
      const isStart = typeof text === 'string' && text.includes('RESET ALL; COMMIT');
      if (isStart) starts += 1;
      const prefix = isStart && slow-- > 0 ? 'SELECT pg_sleep(1); ' : '';
      return Reflect.apply(query, client, [typeof text === 'string' ? prefix + text : text, ...rest]);
    },
  });
  return { client, starts: () => starts };
}

it('a transaction starts although an earlier tenant left a timeout that ends its start', async () => {
  const { client, starts } = await startsSlowly(3);
  const read = await transaction(client, { tenant: 'alpha' }, async () => {
    const { rows } = await client.query("SELECT current_setting('statement_timeout') AS timeout");
    return rows;
  });
  expect(read).toEqual([{ timeout: '0' }]);
  expect(starts()).toBe(4);
  await client.end();
});

it('a start that is always canceled ends with the error of the server', async () => {
  const { client, starts } = await startsSlowly(1000);
  await expect(transaction(client, { tenant: 'alpha' }, async () => undefined)).rejects.toMatchObject({
    code: '57014',
  });
  expect(starts()).toBe(20);
  await client.end();
});
