/** A migrated database with a login of the application, and a wrapping key that counts its requests. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  FieldEncryption,
  type FieldEncryptionOptions,
  keyStoreOf,
  LocalKey,
  type WrappingKey,
} from '../../../runtime/encryption/index.ts';
import { migratedDatabase, randomName, type TestDatabase } from '../../support/postgres.ts';

export interface EncryptionFixture {
  readonly database: TestDatabase;
  /** Connections of a login that is a member of the application role. */
  readonly pool: pg.Pool;
  /** Connections of the login that migrates. */
  readonly migrator: pg.Client;
  readonly wrapping: CountingKey;
  /** The wrapping key. */
  readonly secrets: readonly Buffer[];
  /** `local:<file>` with the same key, for `--wrapping-key`. */
  readonly wrappingFile: string;
  /** Simulates another process: an instance with separate caches. */
  encryption(options?: Partial<FieldEncryptionOptions>): FieldEncryption;
  /** Runs a transaction of the application for a tenant. */
  within<Result>(tenant: string, work: (client: pg.PoolClient) => Promise<Result>): Promise<Result>;
  /** Runs one statement as the role that sees all tenants. */
  asAdmin<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    sql: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  stop(): Promise<void>;
}

/** The migration of docs/encryption.md: table llama.notes with a registered column of each form. */
export const notesMigration =
  /```sql\n([\s\S]*?)```/.exec(
    readFileSync(join(import.meta.dirname, '../../../docs/encryption.md'), 'utf8'),
  )?.[1] ?? '';
/** The part that migrates up. */
export const notesTable = notesMigration.replace(/-- Down Migration[\s\S]*/, '');

export async function startEncryption(): Promise<EncryptionFixture> {
  const database = await migratedDatabase();
  const migrator = await database.connect();
  await migrator.query(`SET ROLE llama_owner; ${notesTable} RESET ROLE;`);
  const login = { user: randomName('app'), password: randomBytes(12).toString('hex') };
  await migrator.query(`CREATE ROLE ${login.user} LOGIN PASSWORD '${login.password}'`);
  await migrator.query(`GRANT application_role TO ${login.user} WITH INHERIT TRUE, SET FALSE`);
  const pool = new pg.Pool({ ...database.connection(login), max: 12 });
  const secret = randomBytes(32);
  const wrapping = new CountingKey(new LocalKey([secret]));
  const folder = mkdtempSync(join(tmpdir(), 'llama-db-keys-'));
  const file = join(folder, 'key');
  writeFileSync(file, `${secret.toString('base64')}\n`, { mode: 0o600 });
  const made: FieldEncryption[] = [];
  return {
    database,
    pool,
    migrator,
    wrapping,
    secrets: [secret],
    wrappingFile: `local:${file}`,
    encryption: (options) => {
      const one = new FieldEncryption({ store: keyStoreOf(pool), wrapping, ...options });
      made.push(one);
      return one;
    },
    within: (tenant, work) => withTenant(pool, tenant, work),
    async asAdmin<Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[] = []) {
      await migrator.query('SET ROLE admin_role');
      try {
        return (await migrator.query<Row>(sql, [...values])).rows;
      } finally {
        await migrator.query('RESET ROLE');
      }
    },
    async stop() {
      for (const one of made) one.close();
      await pool.end();
      await migrator.query(`DROP ROLE ${login.user}`);
      await database.drop();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Runs a transaction as an application does. */
export async function withTenant<Result>(
  pool: pg.Pool,
  tenant: string,
  work: (client: pg.PoolClient) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  try {
    await client.query('BEGIN');
    await client.query('SELECT llama.set_tenant_context($1)', [tenant]);
    const result = await work(client);
    await client.query('COMMIT');
    return result;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  } finally {
    client.release();
  }
}

/** A wrapping key that counts its requests. */
export class CountingKey implements WrappingKey {
  readonly #key: WrappingKey;
  wraps = 0;
  unwraps = 0;

  constructor(key: WrappingKey) {
    this.#key = key;
  }

  get id(): string {
    return this.#key.id;
  }

  get algorithm(): WrappingKey['algorithm'] {
    return this.#key.algorithm;
  }

  newest(fresh?: boolean): Promise<string> {
    return this.#key.newest(fresh);
  }

  wrap(plain: Buffer): ReturnType<WrappingKey['wrap']> {
    this.wraps += 1;
    return this.#key.wrap(plain);
  }

  unwrap(wrapped: Parameters<WrappingKey['unwrap']>[0]): Promise<Buffer> {
    this.unwraps += 1;
    return this.#key.unwrap(wrapped);
  }
}

export const sourceHash = 'ab'.repeat(32);
