/** Reads on replicas: measured lag, one's own writes, fallback, and replicas that stop following. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Database, type DatabaseOptions, type TenantClient } from '../../runtime/index.ts';
import { LogHistory } from '../../runtime/replicas/log-history.ts';
import { reaches } from '../../runtime/replicas/lsn.ts';
import { insertRecord, until } from './fixture.ts';
import { NetworkProxy } from './proxy.ts';
import { type ReplicatedServers, replicatedServers } from './servers.ts';

let servers: ReplicatedServers;
const open: { close(): Promise<unknown> }[] = [];
beforeAll(async () => {
  servers = await replicatedServers();
}, 120_000);
afterAll(() => servers.stop());
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const today = new Date();

async function database(
  replicas: readonly number[] = [servers.standby.port],
  options: Partial<DatabaseOptions> = {},
): Promise<Database> {
  const db = new Database({
    ...servers.options(servers.primary.port),
    replicas: replicas.map((port) => ({ host: 'localhost', address: '127.0.0.1', port, name: `at ${port}` })),
    measureEveryMs: 200,
    ...options,
  });
  open.push({ close: () => db.close({ graceMs: 0 }) });
  await db.ready();
  return db;
}

const isReplica = async (tx: TenantClient) => {
  const { rows } = await tx.query<{ recovering: boolean }>('SELECT pg_is_in_recovery() AS recovering');
  return rows[0]?.recovering;
};
const has = (id: string) => async (tx: TenantClient) =>
  (await tx.query('SELECT FROM llama.storage_records WHERE id = $1', [id])).rowCount === 1;
const write = (db: Database, id: string) => {
  const tenant = db.tenant('acme');
  return tenant.transaction((tx) => tx.query(insertRecord, ['acme', id, today])).then(() => tenant);
};
const replayIs = (what: 'pause' | 'resume') =>
  servers.query(`SELECT pg_wal_replay_${what}()`, [], servers.standby);
const replica = (db: Database) => db.gauges['default']?.replicas[0];

describe('a read', () => {
  it('uses the replica while its lag is within the limit, and the primary otherwise', async () => {
    const db = await database();
    expect(await db.tenant('acme').read(isReplica)).toBe(true);
    expect(await db.tenant('acme').read(isReplica, { maxLagMs: 0 })).toBe(false);
    await replayIs('pause');
    try {
      await write(db, randomUUID());
      await until(() => (replica(db)?.lagMs ?? 0) > 1000);
      expect(await db.tenant('acme').read(isReplica, { maxLagMs: 1000 })).toBe(false);
      expect(await db.tenant('acme').read(isReplica, { maxLagMs: 60_000 })).toBe(true);
    } finally {
      await replayIs('resume');
    }
    await until(() => (replica(db)?.lagMs ?? 1000) < 600);
    expect(await db.tenant('acme').read(isReplica, { maxLagMs: 1000 })).toBe(true);
  });

  it('sees what its tenant object wrote, and with the position as text also what another process wrote', async () => {
    const [writer, reader] = [await database(), await database()];
    await replayIs('pause');
    const id = randomUUID();
    try {
      const tenant = await write(writer, id);
      const message = JSON.parse(JSON.stringify({ lsn: tenant.lsn }));
      expect(message.lsn).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
      expect(await tenant.read(has(id))).toBe(true);
      expect(await reader.tenant('acme').read(has(id))).toBe(false);
      expect(await reader.tenant('acme').read(has(id), { atLeast: message.lsn })).toBe(true);
      await replayIs('resume');
      await until(() => reader.tenant('acme').read(isReplica, { atLeast: message.lsn }).then(Boolean));
    } finally {
      await replayIs('resume');
    }
  });

  it.each(['', '16', '16/', 'G/1', '1/123456789', "0/0'; --"])('refuses the position %j', async (atLeast) => {
    const db = await database();
    await expect(db.tenant('acme').read(isReplica, { atLeast })).rejects.toMatchObject({
      code: 'replica/position-malformed',
    });
  });

  it('shows only the rows of its tenant on a replica, and writes nothing there', async () => {
    const db = await database();
    const id = randomUUID();
    const { lsn } = await write(db, id);
    const options = lsn === undefined ? {} : { atLeast: lsn };
    expect(await db.tenant('other').read(has(id), options)).toBe(false);
    const writing = db.tenant('acme').read((tx) => tx.query(insertRecord, ['acme', randomUUID(), today]));
    await expect(writing).rejects.toMatchObject({ code: '25006' });
  });

  it('falls back to the primary if the replica is lost, and returns to it', async () => {
    const proxy = await NetworkProxy.start(servers.standby.port);
    open.push({ close: () => proxy.stop() });
    const db = await database([proxy.port]);
    expect(await db.tenant('acme').read(isReplica)).toBe(true);
    proxy.lead(1);
    proxy.cut();
    expect(await db.tenant('acme').read(isReplica)).toBe(false);
    await until(() => replica(db)?.state === 'lost');
    proxy.lead(servers.standby.port);
    await until(() => db.tenant('acme').read(isReplica).then(Boolean));
  });

  it('ends on the primary if the replica breaks in the middle of it', async () => {
    const db = await database();
    const seen: unknown[] = [];
    const result = await db.tenant('acme').read(async (tx) => {
      seen.push(await isReplica(tx));
      if (seen.length === 1) {
        const [row] = (await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
        await servers.query('SELECT pg_terminate_backend($1)', [row?.pid], servers.standby);
      }
      return isReplica(tx);
    });
    expect([seen, result]).toEqual([[true, false], false]);
  });

  it('prefers the replica that answers sooner', async () => {
    const far = await NetworkProxy.start(servers.standby.port);
    far.delayMs = 40;
    open.push({ close: () => far.stop() });
    const db = await database([far.port, servers.standby.port]);
    await until(() => (db.gauges['default']?.replicas[1]?.latencyMs ?? 100) < 20);
    const before = far.bytes;
    for (let nth = 0; nth < 10; nth += 1) expect(await db.tenant('acme').read(isReplica)).toBe(true);
    // Only measurements go to the far one.
    const [one, other] = db.gauges['default']?.replicas ?? [];
    expect(one?.latencyMs).toBeGreaterThan(other?.latencyMs ?? Number.POSITIVE_INFINITY);
    expect(far.bytes - before).toBeLessThan(3000);
  });
});

it.each([
  ['0/0', '0/0', true],
  ['1/0', '0/FFFFFFFF', true],
  ['0/FFFFFFFF', '1/0', false],
  ['A/1', '9/FFFFFFFF', true],
  ['FFFFFFFF/FFFFFFFE', 'FFFFFFFF/FFFFFFFF', false],
  ['FFFFFFFF/FFFFFFFF', 'FFFFFFFF/FFFFFFFE', true],
  ['80000000/0', '7FFFFFFF/FFFFFFFF', true],
  ['10/b374d848', '10/B374D848', true],
])('the position %s is at or after %s: %j', (position, least, isAfter) => {
  expect(reaches(position, least)).toBe(isAfter);
});

it('the lag does not grow while nobody writes, and counts from the newest position that was replayed', () => {
  const history = new LogHistory();
  history.add(0, '0/FFFFFFF0');
  history.add(1000, '1/10');
  history.add(2000, '1/10');
  expect(history.newestWithin('1/10')).toBe(2000);
  expect(history.newestWithin('1/F')).toBe(0);
  expect(history.newestWithin('0/1')).toBeUndefined();
  // Another primary, without the end of the log.
  history.add(3000, '1/0');
  expect(history.newestWithin('1/0')).toBe(3000);
  expect(history.newestWithin('0/FFFFFFFF')).toBe(0);
});

it('a cell of a tenant is chosen by the resolver', async () => {
  const shared = servers.options(servers.primary.port);
  const db = new Database({
    cells: { one: shared, two: { ...shared, database: 'postgres' } },
    cellOf: async (tenant) => (tenant === 'acme' ? 'one' : tenant === 'lost' ? 'three' : 'two'),
    retry: { forMs: 0 },
  });
  open.push({ close: () => db.close({ graceMs: 0 }) });
  expect(await db.tenant('acme').read(isReplica)).toBe(false);
  await expect(db.tenant('bravo').read(isReplica)).rejects.toMatchObject({ code: '3F000' });
  await expect(db.tenant('lost').read(isReplica)).rejects.toMatchObject({
    code: 'configuration/cell-unknown',
  });
});

it('a replica that was promoted is not read any more', async () => {
  const db = await database();
  expect(await db.tenant('acme').read(isReplica)).toBe(true);
  await servers.standby.promote();
  for (let nth = 0; nth < 20; nth += 1) {
    const { rows } = await db
      .tenant('acme')
      .read((tx) => tx.query<{ port: number }>('SELECT inet_server_port() AS port'));
    expect(rows[0]?.port).toBe(servers.primary.port);
  }
  await until(() => replica(db)?.state === 'promoted');
});
