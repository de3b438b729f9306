/** A migrated database with a login of the application, and the options to connect there. */
import { readFileSync } from 'node:fs';
import type { DatabaseOptions } from '../../runtime/index.ts';
import { migratedDatabase, randomName, type TestDatabase } from '../support/postgres.ts';

export interface ApplicationDatabase extends TestDatabase {
  readonly login: { readonly user: string; readonly password: string };
  readonly options: DatabaseOptions;
}

export async function applicationDatabase(): Promise<ApplicationDatabase> {
  const database = await migratedDatabase();
  const login = { user: randomName('app'), password: randomName('secret') };
  await database.query('superuser', loginSql(login));
  return {
    ...database,
    login,
    options: {
      ...login,
      ...{ host: 'localhost', address: '127.0.0.1', port: database.server.port, database: database.name },
      rootCertificates: readFileSync(database.server.caFile, 'utf8'),
    },
    async drop() {
      await database.drop();
    },
  };
}

export function loginSql({ user, password }: { readonly user: string; readonly password: string }): string {
  return `CREATE ROLE ${user} LOGIN PASSWORD '${password}';
    GRANT application_role TO ${user} WITH INHERIT TRUE, SET FALSE`;
}

/** One record of the tenant of the transaction. */
export const insertRecord = `
  INSERT INTO llama.storage_records (tenant_id, id, "timestamp", source_data_hash, mapped_data, model_version, detector_type)
  VALUES ($1, $2, $3, 'h', '{}', 'm', 'd') ON CONFLICT DO NOTHING`;

/** Waits until a condition holds. */
export async function until(holds: () => Promise<boolean> | boolean, ms = 10_000): Promise<void> {
  const end = Date.now() + ms;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
