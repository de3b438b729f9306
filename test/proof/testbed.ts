/** A server for deployments, each of which uses a database of its own. */

import type pg from 'pg';
import type { Deployment } from '../../database/deployment.ts';
import {
  connectionOf,
  createDatabase,
  dropDatabase,
  type ServerAddress,
  urlOf,
} from '../../local/postgres/address.ts';
import { superuser, within } from '../../local/postgres/bootstrap.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import { applicationLogin, serverFor } from '../../rehearsal/start.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';
import { type Running, start } from '../commands/run.ts';
import { roleLines } from '../support/catalog.ts';
import { environments } from '../support/environments.ts';

export interface Testbed {
  readonly server: ServerAddress;
  /** Starts the post-deploy step on a database in a process of its own. */
  deploy(database: string, extra?: readonly string[]): Running;
  /** Applies the migrations of a folder without the rest of a deployment. */
  migrate(database: string, directory: string): Running;
  /** Creates an empty database. On a server of its own, it also removes the roles of earlier deployments. */
  bare(database: string): Promise<void>;
  drop(database: string): Promise<void>;
  /** Rows of a query as the superuser. */
  query<Row extends pg.QueryResultRow>(
    database: string,
    sql: string,
    values?: readonly unknown[],
  ): Promise<Row[]>;
  /** Roles with their attributes and memberships; empty on a shared server. */
  roles(): Promise<readonly string[]>;
}

/** On a shared server: the target is a URL, and roles stay. */
export function sharedTestbed(server: ServerAddress): Testbed {
  return {
    ...common(server),
    deploy: (database, extra = []) =>
      start(['post-deploy', '--url', urlOf(server, 'migrator', { database }), ...extra]),
    bare: (database) => createDatabase(server, database),
    roles: async () => [],
  };
}

/** A server as production describes it. The step receives production's logins, months and parameters. */
export async function productionTestbed(): Promise<Testbed & { readonly server: LocalPostgres }> {
  const settings = environments.named('production');
  const deployment = deploymentDocument(settings, localAttributes(settings));
  const server = await serverFor(deployment);
  const application = applicationLogin(deployment);
  const testbed = common(server);
  const before = new Set(
    (await testbed.query<{ name: string }>('postgres', roleNames)).map(({ name }) => name),
  );
  return {
    ...testbed,
    server,
    deploy: (database, extra = []) =>
      start(['post-deploy', ...extra], environmentOf(server, { ...deployment, database }, application)),
    async bare(database) {
      for (const { name } of await testbed.query<{ name: string }>('postgres', roleNames)) {
        if (!before.has(name)) await testbed.query('postgres', `DROP ROLE "${name}"`);
      }
      await createDatabase(server, database);
    },
    roles: async () => (await testbed.query<{ line: string }>('postgres', roleLines)).map(({ line }) => line),
  };
}

function environmentOf(
  server: LocalPostgres,
  deployment: Deployment,
  application: { readonly user: string; readonly password: string },
): Record<string, string> {
  return {
    LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment),
    LLAMA_DB_LOGIN_PASSWORDS: JSON.stringify({ [application.user]: application.password }),
    PGHOSTADDR: '127.0.0.1',
    PGPORT: String(server.port),
    PGPASSWORD: server.passwords.migrator,
    PGSSLROOTCERT: server.caFile,
  };
}

function common(server: ServerAddress): Pick<Testbed, 'server' | 'migrate' | 'drop' | 'query'> {
  return {
    server,
    migrate: (database, directory) =>
      start(['migrate', '--url', urlOf(server, 'migrator', { database }), '--migrations', directory]),
    drop: (database) => dropDatabase(server, database),
    query: <Row extends pg.QueryResultRow>(database: string, sql: string, values: readonly unknown[] = []) =>
      within(connectionOf(server, 'superuser', { database }), async (client) => {
        return (await client.query<Row>(sql, [...values])).rows;
      }),
  };
}

const roleNames = `SELECT rolname AS name FROM pg_roles WHERE rolname !~ '^pg_' AND rolname <> '${superuser}' ORDER BY 1`;
