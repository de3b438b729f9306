/** A server for one proof, with one database that has every migration. */
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory as directory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';

/** Name of the database. */
export const database = 'proof';

export async function migratedServer(
  settings: Readonly<Record<string, string>>,
  options: { readonly durable?: boolean } = {},
): Promise<LocalPostgres> {
  const server = await startPostgres({ databases: [database], settings, ...options });
  try {
    const reporter = { line: () => {}, warn: () => {} };
    const target = await resolveTarget({ url: server.url('migrator') }, {});
    await withConnection(target, { reporter }, (connection) =>
      withLock(connection, { reporter }, () =>
        migrate(connection, { reporter, migrationsDirectory: directory }),
      ),
    );
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}
