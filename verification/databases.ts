import { type Connection, withConnection } from '../database/connection.ts';
import type { OpenDatabase } from './snapshot/source.ts';

/** Connects the same login to other databases of the same server. */
export function otherDatabases({ target, credential }: Connection): OpenDatabase {
  return (database, work) =>
    withConnection(target, { database, credential, session: 'reading', attempts: 1 }, ({ client }) =>
      work(client),
    );
}
