import { readFileSync } from 'node:fs';
import pg from 'pg';
import { superuser, within } from './bootstrap.ts';

/** Everything a client of a local server needs; plain data, so that it can cross a process boundary. */
export interface ServerAddress {
  readonly port: number;
  /** Certificate of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** Names in the server's certificate beside localhost and 127.0.0.1. */
  readonly hostNames: readonly string[];
  /** Login that stands for the Entra administrator group: the migrating role. */
  readonly administrator: string;
  readonly passwords: { readonly superuser: string; readonly migrator: string };
  /** Database of a URL that names none. */
  readonly database: string;
}

/** Who connects: the server's superuser, the administrator's login, or a login of the caller's own. */
export type Who = 'superuser' | 'migrator' | { readonly user: string; readonly password: string };

export interface UrlOptions {
  /** @default - the address's own database */
  readonly database?: string;
  /** Name to find in the certificate; what is dialled is 127.0.0.1 always. @default 'localhost' */
  readonly host?: string;
}

/** `postgresql://` URL with sslmode=verify-full, sslrootcert and, for another host than localhost, hostaddr. */
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

/** Makes a database as Azure does: owned by azure_pg_admin. */
export async function createDatabase(address: ServerAddress, name: string): Promise<void> {
  await within(administration(address), (client) =>
    client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)} OWNER azure_pg_admin`),
  );
}

/**
 * Makes a database that is a copy of another, to which nobody may be connected.
 *
 * PostgreSQL copies what is inside a database, but not the rights on it nor its settings: they are copied here.
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

/** Needs no valid certificate: how clients take a bad one is for others to find out. */
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
