// Duration: 15 s
/** A short form of `llama-db prove runtime-memory`. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Database, type TenantClient } from '../../runtime/index.ts';
import { Tenant } from '../../runtime/tenant/tenant.ts';
import { type ApplicationDatabase, applicationDatabase } from '../runtime/fixture.ts';
import { Random } from './random.ts';
import { proveRuntimeMemory } from './runtime-memory.ts';

let testbed: ApplicationDatabase;
let db: Database;
beforeAll(async () => {
  testbed = await applicationDatabase();
  db = new Database({ ...testbed.options, pool: { max: 8 } });
});
afterAll(async () => {
  await db.close({ graceMs: 0 });
  await testbed.drop();
});

/** About 150 bytes per operation in the first thousands are code that is being compiled; a kept client is about 1,200. */
async function short(warmUp: number): Promise<string> {
  const sessions = async () =>
    (await testbed.query('superuser', `SELECT FROM pg_stat_activity WHERE usename = '${testbed.login.user}'`))
      .length;
  const { summary } = await proveRuntimeMemory({
    ...{ db, sessions, operations: 2000, warmUp, random: new Random(Random.seed()), log: () => {} },
    limits: { heapUsed: 400, external: 400, rss: Number.POSITIVE_INFINITY },
  });
  return summary;
}

it('transactions leave no memory and no session behind', { timeout: 90_000 }, async () => {
  expect(await short(2000)).toMatch(/^2000 operations/);
});

it('a client that is kept after its transaction is found', { timeout: 60_000 }, async () => {
  const kept: TenantClient[] = [];
  const read = Tenant.prototype.read;
  Tenant.prototype.read = function (work, options) {
    const keeping = (tx: TenantClient) => {
      kept.push(tx);
      return work(tx);
    };
    return read.call(this, keeping, options) as never;
  };
  try {
    await expect(short(0)).rejects.toThrow(/heapUsed may grow by 400/);
  } finally {
    Tenant.prototype.read = read;
  }
});
