import { readFileSync } from 'node:fs';
import pg from 'pg';
import { superuser, within } from './bootstrap.ts';

/** The data that a client of a local server needs. It is plain data and can cross a process boundary. */
export interface ServerAddress {
  readonly port: number;
  /** Certificate of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** Names in the server's certificate beside localhost and 127.0.0.1. */
  readonly hostNames: readonly string[];
  /** Login in place of the Entra administrator group: the migrating role. */
  readonly administrator: string;
  readonly passwords: { readonly superuser: string; readonly migrator: string };
  /** Default database of URLs. */
  readonly database: string;
}

/** The login of a connection: the superuser, the administrator, or the caller's own. */
export type Who = 'superuser' | 'migrator' | { readonly user: string; readonly password: string };

export interface UrlOptions {
  /** @default - the address's own database */
  readonly database?: string;
  /** Host name to verify in the certificate. The address is always 127.0.0.1. @default 'localhost' */
  readonly host?: string;
}

/** A `postgresql://` URL with sslmode=verify-full and sslrootcert; with hostaddr if the host is not localhost. */
export function urlOf(address: ServerAddress, who: Who, options: UrlOptions = {}): string {
  const { user, password } = credentials(address, who);
  const host = options.host ?? 'localhost';
  const database = encodeURIComponent(options.database ?? address.database);
  const url = new URL(`postgresql://${host}:${address.port}/${database}`);
  url.username = encodeURIComponent(user);
  url.password = encodeURIComponent(password);
  url.searchParams.set('sslmode', 'verify-full');
  url.searchParams.set('sslrootcert', address.caFile);
  if (host !== 'localhost') url.searchParams.set('hostaddr', '127.0.0.1');
  return url.href;
}

/** The same for `new pg.Client`. */
export function connectionOf(address: ServerAddress, who: Who, options: UrlOptions = {}): pg.ClientConfig {
  return {
    ...credentials(address, who),
    host: '127.0.0.1',
    port: address.port,
    database: options.database ?? address.database,
    ssl: { ca: readFileSync(address.caFile, 'utf8'), servername: options.host ?? 'localhost' },
  };
}

/** Creates a database that azure_pg_admin owns, as on Azure. */
export async function createDatabase(address: ServerAddress, name: string): Promise<void> {
  await within(administration(address), (client) =>
    client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER azure_pg_admin`),
  );
}

/**
 * Copies a database that has no connections.
 *
 * PostgreSQL copies the content of a database but neither its privileges nor its settings. This function copies both.
 */
export async function copyDatabase(address: ServerAddress, name: string, template: string): Promise<void> {
  await within(administration(address), async (client) => {
    const source = pg.escapeIdentifier(template);
    await client.query(
      `CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER azure_pg_admin TEMPLATE ${source}`,
    );
    await client.query(
      `WITH source AS (SELECT oid, datacl FROM pg_database WHERE datname = $2),
            settings AS (
              INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)
              SELECT (SELECT oid FROM pg_database WHERE datname = $1), setrole, setconfig
              FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM source))
       UPDATE pg_database SET datacl = (SELECT datacl FROM source) WHERE datname = $1`,
      [name, template],
    );
  });
}

/** Drops a database, ending the sessions connected to it. */
export async function dropDatabase(address: ServerAddress, name: string): Promise<void> {
  await within(administration(address), (client) =>
    client.query(`DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`),
  );
}

/** A superuser connection that does not verify the certificate, so that it works on servers with a bad one too. */
export function administration(address: ServerAddress): pg.ClientConfig {
  return {
    ...connectionOf(address, 'superuser', { database: 'postgres' }),
    ssl: { rejectUnauthorized: false },
  };
}

function credentials(address: ServerAddress, who: Who): { user: string; password: string } {
  if (who === 'superuser') return { user: superuser, password: address.passwords.superuser };
  if (who === 'migrator') return { user: address.administrator, password: address.passwords.migrator };
  return who;
}
