/**
 * Databases for the tests of an application: each a copy of a migrated one, with two tenants, and logins that may do what logins
 * on Azure may do.
 */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import type { DatabaseOptions } from '../configuration/options.ts';
import { Secret } from '../configuration/secret.ts';
import { resolveServer, type Server } from '../configuration/server.ts';
import { tlsOptions } from '../configuration/tls.ts';
import { Database } from '../database.ts';
import { ConfigurationError } from '../errors.ts';
import type { Tenant } from '../tenant/tenant.ts';
import { ensureTemplate, grantsOf, retryWhileInUse, templateOf } from './template.ts';

export interface TestDatabaseOptions {
  /**
   * URL of a migrated database, with a login that owns it and may create databases and roles, such as the login of migrations that
   * `npm start -- --keep` prints. Nothing is written there. @default - LLAMA_TEST_DATABASE
   */
  readonly url?: string;
  /** Ids of the two tenants. Their records are in clear. @default ['acme', 'globex'] */
  readonly tenants?: readonly [string, string];
  /** Further options of `db`. @default - those of Database */
  readonly options?: Partial<DatabaseOptions>;
}

export interface TestDatabase {
  readonly name: string;
  /** As the application logs in. */
  readonly db: Database;
  /** To make another Database. */
  readonly options: DatabaseOptions;
  /** Two tenants, for tests that one does not see the other. */
  readonly tenants: readonly [Tenant, Tenant];
  /** A client of admin_role, which sees every tenant, is no superuser and owns nothing. */
  readonly admin: pg.Client;
  /** Ends the connections and drops database and logins. */
  drop(): Promise<void>;
}

const defaultTenants = ['acme', 'globex'] as const;

/**
 * Makes a database of its own, usually in less than 300 ms. The first call after a migration copies the migrated database once,
 * for which nobody else may be connected to it.
 *
 * @throws ConfigurationError if the source cannot be used
 */
export async function testDatabase(given: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const { tenants: ids = defaultTenants } = given;
  const source = resolveServer({ url: urlOf(given) });
  const [template, administrator] = await both(
    templateOf(source.database, () => connect(source)),
    connect({ ...source, database: 'postgres' }),
  );
  const name = `llama_test_${randomBytes(6).toString('hex')}`;
  const logins = [login(), login()] as const;
  const [application, admin] = logins;
  try {
    await ensureTemplate(administrator, template);
    const created = [
      `CREATE DATABASE ${name} TEMPLATE ${template.name}`,
      [
        ...logins.map(({ user, password }) => `CREATE ROLE ${user} LOGIN PASSWORD '${password.reveal()}'`),
        `GRANT application_role TO ${application.user} WITH INHERIT TRUE, SET FALSE`,
        `GRANT admin_role TO ${admin.user} WITH INHERIT TRUE, SET FALSE`,
        // A copy has neither the privileges nor the settings of the original database.
        ...(await grantsOf(administrator, source.database, name)),
      ].join(';\n'),
    ];
    for (const statement of created) await retryWhileInUse(() => administrator.query(statement));
  } catch (error) {
    await removed(administrator, name, logins).catch(() => undefined);
    await administrator.end();
    throw error;
  }
  const client = await connect({ ...source, ...admin, database: name });
  await client.query(
    'INSERT INTO llama.tenant_configs (tenant_id, encryption_enabled) SELECT t, false FROM unnest($1::text[]) AS u (t)',
    [ids],
  );
  const options: DatabaseOptions = {
    ...given.options,
    ...{ host: source.host, port: source.port, address: await source.resolve().found, database: name },
    ...{ user: application.user, password: application.password.reveal() },
    ...(source.roots === undefined ? {} : { rootCertificates: source.roots }),
  };
  const db = new Database(options);
  return {
    ...{ name, db, options, admin: client },
    tenants: [db.tenant(ids[0]), db.tenant(ids[1])],
    async drop() {
      await db.close({ graceMs: 0 });
      await client.end();
      await removed(administrator, name, logins);
      await administrator.end();
    },
  };
}

/** The part of vitest, jest or node:test that `useTestDatabase` uses. */
export interface Hooks {
  beforeAll(work: () => Promise<void>): unknown;
  afterAll(work: () => Promise<void>): unknown;
}

/** A database for the tests of a file: `const database = useTestDatabase({ beforeAll, afterAll });`. */
export function useTestDatabase(hooks: Hooks, options?: TestDatabaseOptions): () => TestDatabase {
  let made: TestDatabase | undefined;
  hooks.beforeAll(async () => {
    made = await testDatabase(options);
  });
  hooks.afterAll(async () => {
    await made?.drop();
  });
  return () => {
    if (made) return made;
    throw new ConfigurationError(
      'testing/not-ready',
      'The test database does not exist yet',
      'beforeAll creates it',
      'Use it inside of a test or of a later hook.',
    );
  };
}

interface Login {
  readonly user: string;
  readonly password: Secret;
}

function login(): Login {
  return {
    user: `llama_test_${randomBytes(6).toString('hex')}`,
    password: new Secret(randomBytes(18).toString('base64url')),
  };
}

async function removed(client: pg.Client, name: string, logins: readonly Login[]): Promise<void> {
  await retryWhileInUse(() => client.query(`DROP DATABASE IF EXISTS ${name}`));
  await client.query(logins.map(({ user }) => `DROP ROLE IF EXISTS ${user}`).join(';'));
}

function urlOf({ url = process.env['LLAMA_TEST_DATABASE'] }: TestDatabaseOptions): string {
  if (url) return url;
  throw new ConfigurationError(
    'testing/no-source',
    'There is no database to copy',
    'neither url nor LLAMA_TEST_DATABASE names a migrated one',
    'Run npm start -- --keep in the project of the database, and set LLAMA_TEST_DATABASE to the URL for migrations.',
  );
}

/** Passwords of new logins travel as text of a statement, so the connection is verified like every other. */
async function connect(
  server: Omit<Server, 'password'> & { readonly password: Secret | undefined },
): Promise<pg.Client> {
  const client = new pg.Client({
    ...{
      host: await server.resolve().found,
      port: server.port,
      user: server.user,
      database: server.database,
    },
    ...{ password: server.password?.reveal(), application_name: 'llama_mapper_test' },
    ...{ connectionTimeoutMillis: 10_000, ssl: tlsOptions(server.host, server.roots) },
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

/** Both at once; a connection does not stay open if the other part fails. */
async function both<Found>(
  found: Promise<Found>,
  connection: Promise<pg.Client>,
): Promise<[Found, pg.Client]> {
  try {
    return await Promise.all([found, connection]);
  } catch (error) {
    await Promise.allSettled([found, connection.then((client) => client.end())]);
    throw error;
  }
}
