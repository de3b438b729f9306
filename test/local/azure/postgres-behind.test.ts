/** A real PostgreSQL repeats the events of a server of the local Azure. */
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type LocalAzure,
  PostgresBehind,
  serverBehind,
  startLocalAzure,
} from '../../../local/azure/index.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { AzureClient } from '../../support/azure-client.ts';
import { serverDocument } from '../../support/azure-fixture.ts';

let postgres: LocalPostgres;
let behind: PostgresBehind;
let azure: LocalAzure;
let client: AzureClient;
const path = (name: string) =>
  `/subscriptions/${azure.subscriptionId}/resourceGroups/database/providers/Microsoft.DBforPostgreSQL/flexibleServers/${name}`;
const host = (name: string) => `${name}.postgres.database.azure.com`;

/** A query of the administrator to whatever that name leads to, its certificate checked. */
async function ask<Row extends pg.QueryResultRow>(
  name: string,
  text: string,
  database = 'postgres',
): Promise<Row[]> {
  const connection = new pg.Client({
    host: '127.0.0.1',
    port: behind.port,
    user: 'admins',
    password: postgres.passwords.migrator,
    database,
    ssl: { ca: readFileSync(behind.caFile, 'utf8'), servername: host(name) },
  });
  await connection.connect();
  try {
    return (await connection.query<Row>(text)).rows;
  } finally {
    await connection.end();
  }
}

const shown = async (name: string, parameter: string) =>
  (
    await ask<{ setting: string; pending: boolean }>(
      name,
      `SELECT setting, pending_restart AS pending FROM pg_settings WHERE name = '${parameter}'`,
    )
  )[0];
const set = (name: string, parameter: string, value: string) =>
  client.done('PUT', `${path(name)}/configurations/${parameter}`, { properties: { value } });
const pending = async (name: string, parameter: string) =>
  (await client.arm('GET', `${path(name)}/configurations/${parameter}`)).body.properties
    .isConfigPendingRestart;

beforeAll(async () => {
  postgres = await startPostgres({
    administrator: 'admins',
    hostNames: [host('main'), host('llama.writer'), host('llama.reader')],
    extensions: [],
    durable: true,
  });
  behind = await PostgresBehind.start({
    server: 'main',
    postgres,
    resolve: (name) => serverBehind(azure.azure, name),
  });
  azure = await startLocalAzure({ latency: () => 5, serverEvents: behind.events });
  client = new AzureClient(azure);
  await client.arm('PUT', `/subscriptions/${azure.subscriptionId}/resourceGroups/database`, {
    location: 'eastus',
  });
  await client.done(
    'PUT',
    path('main'),
    serverDocument({ properties: { highAvailability: { mode: 'ZoneRedundant' } } }),
  );
});
afterAll(async () => {
  await azure?.stop();
  await behind?.stop();
  await postgres?.stop();
});

describe('a PostgreSQL behind a server', () => {
  it('applies a dynamic parameter at once, and a static one with the restart, as Azure reports it', async () => {
    await set('main', 'log_min_duration_statement', '1234');
    expect(await shown('main', 'log_min_duration_statement')).toEqual({ setting: '1234', pending: false });
    await set('main', 'max_worker_processes', '12');
    expect(await shown('main', 'max_worker_processes')).toEqual({ setting: '8', pending: true });
    expect(await pending('main', 'max_worker_processes')).toBe(true);
    const session = new pg.Client(postgres.connection('migrator', { database: 'postgres' }));
    await session.connect();
    const dropped = new Promise((resolve) => session.on('error', resolve));
    await client.done('POST', `${path('main')}/restart`, {});
    expect(await dropped).toBeInstanceOf(Error);
    expect(await shown('main', 'max_worker_processes')).toEqual({ setting: '12', pending: false });
    expect(await pending('main', 'max_worker_processes')).toBe(false);
  });

  it('fails an operation with a value that PostgreSQL refuses, and keeps the former value', async () => {
    const answer = await set('main', 'timezone', 'Nowhere/At_All');
    expect(answer.body.status).toBe('Failed');
    expect(azure.unknown).toEqual([expect.stringContaining('refuses timezone')]);
    expect((await shown('main', 'TimeZone'))?.setting).toBe('UTC');
    expect((await set('main', 'work_mem', '5000')).body.status).toBe('Succeeded');
  });

  it("gets a login for each Entra administrator, with an administrator's rights", async () => {
    await client.done('PUT', `${path('main')}/administrators/c5a9e3d7-41f8-4b26-b0d9-7f3e8c6a5d01`, {
      properties: { principalName: 'second-group', principalType: 'Group', tenantId: azure.tenantId },
    });
    expect(
      await ask(
        'main',
        `SELECT rolcanlogin, rolcreaterole, rolsuper, pg_has_role(rolname, 'azure_pg_admin', 'member') AS admin
           FROM pg_roles WHERE rolname = 'second-group'`,
      ),
    ).toEqual([{ rolcanlogin: true, rolcreaterole: true, rolsuper: false, admin: true }]);
  });

  it('creates databases, and extensions only while azure.extensions names them', async () => {
    await client.done('PUT', `${path('main')}/databases/llama`, {});
    const create = () => ask('main', 'CREATE EXTENSION pg_trgm', 'llama');
    await expect(create()).rejects.toThrow('permission denied to create extension');
    await set('main', 'azure.extensions', 'PG_TRGM,hstore');
    await create();
    await set('main', 'azure.extensions', 'hstore');
    await ask('main', 'DROP EXTENSION pg_trgm', 'llama');
    await expect(create()).rejects.toThrow('permission denied to create extension');
    await client.done('PUT', `${path('main')}/databases/passing`, {});
    await client.done('DELETE', `${path('main')}/databases/passing`);
    await expect(ask('main', 'SELECT 1', 'passing')).rejects.toThrow('does not exist');
  });

  it('is down while the server is stopped, and crashes in a failover without losing a commit', async () => {
    await client.done('POST', `${path('main')}/stop`);
    await expect(ask('main', 'SELECT 1')).rejects.toThrow();
    await client.done('POST', `${path('main')}/start`);
    await ask('main', 'CREATE TABLE kept AS SELECT 1 AS row', 'llama');
    const start = postgres.log().length;
    await client.done('POST', `${path('main')}/restart`, {
      restartWithFailover: true,
      failoverMode: 'ForcedFailover',
    });
    expect(postgres.log().slice(start)).toContain('database system was not properly shut down');
    expect(await ask('main', 'SELECT row FROM kept', 'llama')).toEqual([{ row: 1 }]);
  });
});

describe('a PostgreSQL behind a replica', () => {
  it('streams from its primary, and takes over in a switchover that the names of the endpoint follow', async () => {
    await client.done('PUT', path('reader'), {
      location: 'westus2',
      properties: { createMode: 'Replica', sourceServerResourceId: path('main') },
    });
    await client.done('PUT', `${path('main')}/virtualEndpoints/llama`, {
      properties: { endpointType: 'ReadWrite', members: ['reader'] },
    });
    const state = async (name: string) =>
      (await ask<{ standby: boolean }>(name, 'SELECT pg_is_in_recovery() AS standby'))[0]?.standby;
    expect([await state('llama.writer'), await state('llama.reader')]).toEqual([false, true]);
    await ask('llama.writer', 'INSERT INTO kept VALUES (2)', 'llama');
    const rows = (name: string) => ask<{ row: number }>(name, 'SELECT row FROM kept ORDER BY row', 'llama');
    await expect.poll(() => rows('llama.reader')).toEqual([{ row: 1 }, { row: 2 }]);
    await expect(ask('llama.reader', 'INSERT INTO kept VALUES (3)', 'llama')).rejects.toThrow('read-only');

    const promote = (name: string) =>
      client.done('PATCH', path(name), {
        properties: { replica: { role: 'Primary', promoteMode: 'Switchover', promoteOption: 'Planned' } },
      });
    expect((await promote('reader')).body.status).toBe('Succeeded');
    expect([await state('main'), await state('reader')]).toEqual([true, false]);
    await ask('llama.writer', 'INSERT INTO kept VALUES (3)', 'llama');
    await expect.poll(() => rows('llama.reader')).toHaveLength(3);
    expect((await promote('main')).body.status).toBe('Succeeded');
    await ask('llama.writer', 'INSERT INTO kept VALUES (4)', 'llama');
    await expect.poll(() => rows('reader')).toHaveLength(4);
  });

  it('becomes independent when it is promoted alone', async () => {
    await client.done('PATCH', path('reader'), { properties: { replicationRole: 'None' } });
    await ask('reader', 'INSERT INTO kept VALUES (5)', 'llama');
    await ask('main', 'INSERT INTO kept VALUES (6)', 'llama');
    const [alone] = await ask<{ rows: string }>('reader', 'SELECT sum(row) AS rows FROM kept', 'llama');
    const [primary] = await ask<{ rows: string }>(
      'llama.reader',
      'SELECT sum(row) AS rows FROM kept',
      'llama',
    );
    expect([alone?.rows, primary?.rows]).toEqual(['15', '16']);
  });

  it('knows only the host names of Azure', async () => {
    await expect(ask('nobody', 'SELECT 1')).rejects.toThrow();
  });
});
