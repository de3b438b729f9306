// Duration: 20 s
/** A short form of `llama-db prove runtime-tenants`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type ApplicationDatabase, applicationDatabase } from '../runtime/fixture.ts';
import { whyNoPgbouncer } from '../runtime/pgbouncer.ts';
import { Random } from './random.ts';
import { proveRuntimeTenants } from './runtime-tenants.ts';

let testbed: ApplicationDatabase;
beforeAll(async () => {
  testbed = await applicationDatabase();
});
afterAll(() => testbed.drop());

it.for(['nothing', 'PgBouncer'] as const)(
  'tenants that share connections through %s see only their own rows while connections are cut',
  { timeout: 120_000 },
  async (through, context) => {
    const missing = through === 'PgBouncer' ? whyNoPgbouncer() : undefined;
    if (missing) return context.skip(missing);
    const random = new Random(Random.seed());
    const { summary } = await proveRuntimeTenants({
      ...{ testbed, through, random, log: () => {} },
      ...{ tenants: 200, connections: 10 },
    });
    expect(summary).toMatch(/600 reads of own rows, with [1-9]\d* connections cut/);
  },
);
