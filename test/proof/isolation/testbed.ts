/** A server for thousands of statements, without background work that would change the compared results. */
import { within } from '../../../local/postgres/bootstrap.ts';
import type { LocalPostgres } from '../../../local/postgres/server.ts';
import { database, migratedServer } from '../migrated.ts';

export interface IsolationTestbed {
  readonly server: LocalPostgres;
  /** A database with every migration applied. */
  readonly template: string;
  /** The server's own version. */
  readonly version: string;
}

export async function isolationTestbed(): Promise<IsolationTestbed> {
  const server = await migratedServer({
    autovacuum: 'off',
    jit: 'off',
    log_min_messages: 'fatal',
    log_min_error_statement: 'panic',
    max_wal_size: '256MB',
  });
  const version = await within(server.connection('superuser'), async (client) => {
    return (
      (await client.query<{ server_version: string }>('SHOW server_version')).rows[0]?.server_version ?? ''
    );
  });
  return { server, template: database, version };
}
