/** The cost of llama.set_tenant_context, which begins every request. */
import pg from 'pg';
import { within } from '../../local/postgres/bootstrap.ts';
import { randomPassword } from '../../local/postgres/server.ts';
import { transaction } from '../../runtime/index.ts';
import type { Benchmark } from '../benchmark.ts';
import { migrateServer, onServer, versionOf } from '../subject.ts';

const calls = 5000;
const transactions = 500;
const prepared = 100;

const settings = ['current_tenant_id', 'current_user_id', 'correlation_id', 'client_address', 'user_agent'];

export const benchmark: Benchmark = {
  name: 'tenant-context',
  description:
    'microseconds of a tenant context, beside only its five settings, with the prepared statements of a driver, and of a whole request',
  rounds: 5,
  run: ({ rounds, log }) =>
    onServer({ databases: ['llama_mapper'] }, async (server) => {
      await migrateServer(server);
      const login = { user: 'bench_app', password: randomPassword() };
      await within(server.connection('superuser'), (client) =>
        client.query(
          `CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}';
           GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`,
        ),
      );
      const client = new pg.Client(server.connection(login));
      await client.connect();
      const least: Record<string, number> = {};
      const measured = (name: string, microseconds: number) => {
        least[name] = Math.min(least[name] ?? Number.POSITIVE_INFINITY, microseconds);
      };
      try {
        for (let round = 1; round <= rounds; round += 1) {
          await client.query('DEALLOCATE ALL');
          const five = settings.map((name) => `set_config('app.${name}', n::text, true)`).join(', ');
          measured('five settings', await perCall(client, five));
          measured('context', await perCall(client, 'llama.set_tenant_context(n::text)'));
          measured('request', await perRequest(client));
          for (let nth = 0; nth < prepared; nth += 1)
            await client.query({
              name: `r${round}_${nth}`,
              text: `SELECT *, ${nth} FROM llama.storage_records WHERE tenant_id = $1 LIMIT 1`,
              values: ['bench'],
            });
          measured(
            `context, ${prepared} statements`,
            await perCall(client, 'llama.set_tenant_context(n::text)'),
          );
          log(`round ${round}: at least ${JSON.stringify(least)}`);
        }
      } finally {
        await client.end();
      }
      return {
        serverVersion: await versionOf(server),
        figures: Object.fromEntries(
          Object.entries(least).map(([name, value]) => [name, { value, unit: 'µs' }]),
        ),
      };
    }),
};

/** Microseconds in the server. */
async function perCall(client: pg.Client, call: string): Promise<number> {
  const { rows } = await client.query(
    `EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) SELECT ${call} FROM generate_series(1, ${calls}) AS n`,
  );
  return (rows[0]['QUERY PLAN'][0]['Execution Time'] / calls) * 1000;
}

/** Microseconds of a transaction with one query, seen by its client. */
async function perRequest(client: pg.Client): Promise<number> {
  const start = performance.now();
  for (let nth = 0; nth < transactions; nth += 1)
    await transaction(client, { tenant: 'bench' }, () =>
      client.query('SELECT id FROM llama.storage_records LIMIT 1'),
    );
  return ((performance.now() - start) / transactions) * 1000;
}
