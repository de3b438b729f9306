import { afterAll, expect, it } from 'vitest';
import { within } from '../../../local/postgres/bootstrap.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';

const open: LocalPostgres[] = [];
afterAll(async () => {
  for (const server of open) await server.stop();
});

const count = (server: LocalPostgres) =>
  within(server.connection('migrator'), async (client) => {
    const { rows } = await client.query<{ count: number }>('SELECT count(*)::int AS count FROM seen');
    return rows[0]?.count;
  });

it('starts with the content of the original and is independent of it', async () => {
  const original = await startPostgres({ databases: ['llama'] });
  open.push(original);
  await within(original.connection('migrator'), (client) =>
    client.query('CREATE TABLE seen AS SELECT generate_series(1, 1000) AS n'),
  );
  const copy = await original.fork();
  open.push(copy);
  expect(await count(copy)).toBe(1000);
  await within(copy.connection('migrator'), (client) => client.query('INSERT INTO seen VALUES (0)'));
  await copy.restart();
  expect([await count(original), await count(copy)]).toEqual([1000, 1001]);
  expect([original.restarts, copy.restarts]).toEqual([0, 1]);
});
