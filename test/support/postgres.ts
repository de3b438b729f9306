/** Databases for tests, on the server that `cluster.ts` starts for a run. */
import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { withConnection } from '../../database/connection.ts';
import { migrationsDirectory as directory } from '../../database/migrator/files.ts';
import { withLock } from '../../database/migrator/lock.ts';
import { migrate } from '../../database/migrator/migrate.ts';
import { resolveTarget } from '../../database/target.ts';
import {
  administration,
  connectionOf,
  copyDatabase,
  createDatabase,
  dropDatabase,
  type ServerAddress,
  type UrlOptions,
  urlOf,
  type Who,
} from '../../local/postgres/address.ts';
import { within } from '../../local/postgres/bootstrap.ts';

export interface TestDatabase {
  readonly name: string;
  readonly server: ServerAddress;
  /** @param who @default 'migrator' */
  url(who?: Who, options?: Omit<UrlOptions, 'database'>): string;
  /** Configuration for `new pg.Client`. @param who @default 'migrator' */
  connection(who?: Who): pg.ClientConfig;
  /** A connected client, closed by `drop`. @param who @default 'migrator' */
  connect(who?: Who): Promise<pg.Client>;
  /** One statement on a connection of its own. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    who: Who,
    sql: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** Drops the database, ending every session on it. */
  drop(): Promise<void>;
}

/**
 * Creates an empty database on the run's shared server, owned as on Azure.
 *
 * Roles belong to the whole server, and tests run in parallel: a test may create roles with random names and drops them. It
 * must not drop or alter roles of migrations or change server settings. A test that needs that, a restart, a full disk or
 * another certificate starts its own server with `startPostgres`.
 */
export async function freshDatabase(): Promise<TestDatabase> {
  const server = inject('postgres');
  const name = randomName('fresh');
  await createDatabase(server, name);
  return testDatabase(server, name);
}

/**
 * Creates a database with every migration: a copy of one that is migrated once per run. Otherwise like `freshDatabase`; the
 * roles of migrations exist already and are shared by all tests.
 */
export async function migratedDatabase(): Promise<TestDatabase> {
  const server = inject('postgres');
  const name = randomName('migrated');
  await within(administration(server), async (client) => {
    // Test files run in several processes: the first one migrates, and the others wait.
    await client.query('SELECT pg_advisory_lock($1)', [templateLock]);
    const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1 AND datistemplate', [
      template,
    ]);
    if (rowCount === 0) await makeTemplate(server, client);
  });
  await copyDatabase(server, name, template);
  return testDatabase(server, name);
}

/** Creates a copy of a database that no client is connected to. */
export async function copyOf({ server, name }: TestDatabase): Promise<TestDatabase> {
  const copy = randomName('copied');
  await copyDatabase(server, copy, name);
  return testDatabase(server, copy);
}

const template = 'migrated_template';
const templateLock = 5_810_263_117;

async function makeTemplate(server: ServerAddress, client: pg.Client): Promise<void> {
  await dropDatabase(server, template);
  await createDatabase(server, template);
  const target = await resolveTarget({ url: urlOf(server, 'migrator', { database: template }) }, {});
  const reporter = { line: () => {}, warn: () => {} };
  await withConnection(target, { reporter }, (connection) =>
    withLock(connection, { reporter }, () =>
      migrate(connection, { reporter, migrationsDirectory: directory }),
    ),
  );
  // Marks it as complete. Without connections it can be copied at any time.
  await client.query(`ALTER DATABASE ${template} WITH IS_TEMPLATE true ALLOW_CONNECTIONS false`);
}

/** A name that is unique within the run. */
export function randomName(prefix: string): string {
  return `${prefix}_${randomBytes(6).toString('hex')}`;
}

function testDatabase(server: ServerAddress, name: string): TestDatabase {
  const clients = new Set<pg.Client>();
  const connect = async (who: Who = 'migrator') => {
    const client = new pg.Client(connectionOf(server, who, { database: name }));
    await client.connect();
    clients.add(client);
    return client;
  };
  return {
    name,
    server,
    url: (who = 'migrator', options) => urlOf(server, who, { ...options, database: name }),
    connection: (who = 'migrator') => connectionOf(server, who, { database: name }),
    connect,
    async query<Row extends pg.QueryResultRow>(who: Who, sql: string, values: readonly unknown[] = []) {
      const client = await connect(who);
      try {
        return (await client.query<Row>(sql, [...values])).rows;
      } finally {
        clients.delete(client);
        await client.end();
      }
    },
    async drop() {
      for (const client of clients) await client.end();
      clients.clear();
      await dropDatabase(server, name);
    },
  };
}
