import pg from 'pg';
import { setPassword } from './password.ts';

/** Azure's own superuser; nobody else is one on a Flexible Server. */
export const superuser = 'azuresu';

/**
 * Roles and ownership as on a Flexible Server: NOLOGIN `azure_pg_admin` owns the databases and their schema
 * public; the administrator is its member, may create roles and databases, and is no superuser.
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

/** Everybody may create in schema public there, which vanilla PostgreSQL stopped at 15. */
const publicSchema =
  'ALTER SCHEMA public OWNER TO azure_pg_admin; GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC';

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
