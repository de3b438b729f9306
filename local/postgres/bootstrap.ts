import pg from 'pg';
import { setPassword } from './password.ts';

/** Azure's own superuser, the only superuser of a Flexible Server. */
export const superuser = 'azuresu';

/**
 * Creates roles and ownership as on a Flexible Server: NOLOGIN `azure_pg_admin` owns the databases and their schema
 * public. The administrator is a member of it and may create roles and databases, but is not a superuser.
 *
 * Microsoft Learn, "Access management in Azure Database for PostgreSQL" (security/security-access-control).
 */
export async function createRoles(
  connection: pg.ClientConfig,
  administrator: { readonly name: string; readonly password: string },
): Promise<void> {
  const login = pg.escapeIdentifier(administrator.name);
  await within({ ...connection, database: 'postgres' }, async (client) => {
    await client.query('CREATE ROLE azure_pg_admin NOLOGIN');
    await client.query('GRANT pg_monitor, pg_read_all_data TO azure_pg_admin');
    await client.query(`CREATE ROLE ${login} LOGIN CREATEROLE CREATEDB`);
    await setPassword(client, administrator.name, administrator.password);
    await client.query(`GRANT azure_pg_admin TO ${login}`);
    await client.query('ALTER DATABASE postgres OWNER TO azure_pg_admin');
    await client.query(publicSchema);
  });
  await within({ ...connection, database: 'template1' }, async (client) => {
    await client.query(publicSchema);
  });
}

/** On Azure every role may create in schema public; vanilla PostgreSQL changed that in version 15. */
const publicSchema =
  'ALTER SCHEMA public OWNER TO azure_pg_admin; GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC';

/** Connects, does the work, and disconnects. */
export async function within<Result>(
  connection: pg.ClientConfig,
  work: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  const client = new pg.Client(connection);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
