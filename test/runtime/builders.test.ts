/** Kysely and Drizzle inside of a tenant transaction, as runtime/README.md shows them. */
import { eq } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { pgSchema, text, uuid } from 'drizzle-orm/pg-core';
import { type Generated, Kysely, PostgresDialect } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Database, type TenantClient } from '../../runtime/index.ts';
import { type ApplicationDatabase, applicationDatabase } from './fixture.ts';

let testbed: ApplicationDatabase;
let db: Database;
beforeAll(async () => {
  testbed = await applicationDatabase();
  db = new Database({ ...testbed.options, retry: { forMs: 0 } });
});
afterAll(async () => {
  await db.close();
  await testbed.drop();
});

const values = (tenant: string) => ({
  tenant_id: tenant,
  source_data_hash: 'h',
  model_version: 'm',
  detector_type: 'd',
});

interface Tables {
  'llama.storage_records': {
    id: Generated<string>;
    tenant_id: string;
    source_data_hash: string;
    mapped_data: string;
    model_version: string;
    detector_type: string;
  };
}
const kyselyOf = (tx: TenantClient) =>
  new Kysely<Tables>({ dialect: new PostgresDialect({ pool: tx.pool }) });

const records = pgSchema('llama').table('storage_records', {
  id: uuid('id').defaultRandom(),
  tenant_id: text('tenant_id').notNull(),
  source_data_hash: text('source_data_hash').notNull(),
  mapped_data: text('mapped_data').notNull(),
  model_version: text('model_version').notNull(),
  detector_type: text('detector_type').notNull(),
});

describe('Kysely', () => {
  it('writes and reads for the tenant, and rolls back with it', async () => {
    const tenant = db.tenant('kysely');
    await tenant.transaction(async (tx) => {
      const kysely = kyselyOf(tx);
      await kysely
        .insertInto('llama.storage_records')
        .values({ ...values('kysely'), mapped_data: '{}' })
        .execute();
      await kysely.destroy();
      expect(await tx.query('SELECT 1')).toMatchObject({ rowCount: 1 });
    });
    const failing = tenant.transaction(async (tx) => {
      await kyselyOf(tx).deleteFrom('llama.storage_records').execute();
      throw new Error('not now');
    });
    await expect(failing).rejects.toThrow('not now');
    const seen = (id: string) =>
      db
        .tenant(id)
        .read((tx) => kyselyOf(tx).selectFrom('llama.storage_records').select('tenant_id').execute());
    expect(await seen('kysely')).toEqual([{ tenant_id: 'kysely' }]);
    expect(await seen('other')).toEqual([]);
  });

  it('gets an error for a transaction of its own', async () => {
    const own = db.tenant('kysely').transaction((tx) =>
      kyselyOf(tx)
        .transaction()
        .execute(async () => 1),
    );
    await expect(own).rejects.toMatchObject({ code: 'transaction/controlled-by-statement' });
  });
});

describe('Drizzle', () => {
  it('writes and reads for the tenant', async () => {
    const tenant = db.tenant('drizzle');
    await tenant.transaction((tx) =>
      drizzle(tx)
        .insert(records)
        .values({ ...values('drizzle'), mapped_data: '{}' }),
    );
    const seen = (id: string) =>
      db
        .tenant(id)
        .read((tx) =>
          drizzle(tx)
            .select({ tenant: records.tenant_id })
            .from(records)
            .where(eq(records.detector_type, 'd')),
        );
    expect(await seen('drizzle')).toEqual([{ tenant: 'drizzle' }]);
    expect(await seen('other')).toEqual([]);
  });

  it('gets an error for a transaction of its own', async () => {
    const own = db.tenant('drizzle').transaction((tx) => drizzle(tx).transaction(async () => 1));
    await expect(own).rejects.toMatchObject({ cause: { code: 'transaction/controlled-by-statement' } });
  });
});
