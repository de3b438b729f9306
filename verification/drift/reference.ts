/** Where the description comes from that a database is compared with. */

import type { Reporter } from '../../core/report.ts';
import { type Connection, withConnection } from '../../database/connection.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import type { Target } from '../../database/target.ts';
import { type Description, describeSchema } from './description.ts';

/** An empty database on a server whose migrating login is as weak as Azure's; the caller takes it away. */
export interface EmptyDatabase {
  readonly target: Target;
  close(): Promise<void>;
}

/** Starts a server for one reference. @throws Fault where it cannot */
export type OpenReference = () => Promise<EmptyDatabase>;

const silent: Reporter = { line: () => {}, warn: () => {} };

/**
 * Migrates an empty database from the same files and describes what came of it.
 *
 * @throws Fault when no server can be started here, or when a migration fails on it
 */
export async function freshReference(open: OpenReference, directory: string): Promise<Description> {
  const { target, close } = await open();
  try {
    return await withConnection(target, { applicationName: 'llama-db verify' }, (connection) =>
      withLock(connection, { reporter: silent }, async () => {
        await migrate(connection, { reporter: silent, migrationsDirectory: directory });
        await connection.restoreSession();
        return describeSchema(connection.client);
      }),
    );
  } finally {
    await close();
  }
}

/** Describes a database that is the reference as it stands: another environment, a restored copy. Changes nothing. */
export async function givenReference(target: Target): Promise<Description> {
  const options = {
    applicationName: 'llama-db verify',
    session: 'reading',
    acceptStandby: true,
  } as const;
  return withConnection(target, options, ({ client }: Connection) => describeSchema(client));
}
