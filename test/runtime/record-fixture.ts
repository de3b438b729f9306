/** A database with tenants of both choices about encryption, for tests of records. */
import { createHash, randomBytes } from 'node:crypto';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { FieldEncryption, keyStoreOf, LocalKey } from '../../runtime/encryption/index.ts';
import { Database } from '../../runtime/index.ts';
import { type NewRecord, StorageRecords } from '../../runtime/records/index.ts';
import { type ApplicationDatabase, applicationDatabase } from './fixture.ts';

interface RecordsFixture {
  readonly testbed: ApplicationDatabase;
  readonly db: Database;
  readonly superuser: pg.Client;
  /** Records without encryption. */
  clear(tenant: string): StorageRecords;
  /** Records with encryption, searchable by `email`. */
  sealed(tenant: string): StorageRecords;
}

/**
 * The fixture of a test file, from its first test to its last. Tenants `open` and `configured` want no encryption, `sealed` wants it.
 */
export function useRecords(): RecordsFixture {
  let started: Awaited<ReturnType<typeof startRecords>> | undefined;
  beforeAll(async () => {
    started = await startRecords();
  });
  afterAll(() => started?.stop());
  const there = () => {
    if (!started) throw new Error('the fixture is there within tests only');
    return started;
  };
  return {
    get testbed() {
      return there().testbed;
    },
    get db() {
      return there().db;
    },
    get superuser() {
      return there().superuser;
    },
    clear: (tenant) => there().clear(tenant),
    sealed: (tenant) => there().sealed(tenant),
  };
}

async function startRecords(): Promise<RecordsFixture & { stop(): Promise<void> }> {
  const testbed = await applicationDatabase();
  const db = new Database(testbed.options);
  const superuser = await testbed.connect('superuser');
  await superuser.query("SET TimeZone = 'UTC'");
  const keys = new pg.Pool({ ...testbed.connection(testbed.login), max: 2 });
  const encryption = new FieldEncryption({
    store: keyStoreOf(keys),
    wrapping: new LocalKey([randomBytes(32)]),
  });
  await superuser.query(
    `INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled)
     VALUES ('open', false), ('sealed', true), ('configured', false)`,
  );
  return {
    ...{ testbed, db, superuser },
    clear: (tenant) => new StorageRecords(db.tenant(tenant), { encryption: 'off' }),
    sealed: (tenant) => new StorageRecords(db.tenant(tenant), { encryption, searchable: ['email'] }),
    async stop() {
      encryption.close();
      await keys.end();
      await db.close();
      await testbed.drop();
    },
  };
}

export const hash = (text: string) => createHash('sha256').update(text).digest('hex');

export const record = (more: Partial<NewRecord> = {}): NewRecord => ({
  sourceDataHash: hash('source'),
  mappedData: { category: 'pii', count: 10n ** 30n },
  modelVersion: 'mapper-1',
  detectorType: 'email',
  ...more,
});
