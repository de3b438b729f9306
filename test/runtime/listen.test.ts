// Duration: 20 s
/** Notifications: heard from the first moment, and again after each loss of their connection. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Database, type DatabaseOptions, type Notification } from '../../runtime/index.ts';
import { processCollector, scrape } from '../../runtime/monitoring/index.ts';
import { type ApplicationDatabase, applicationDatabase, until } from './fixture.ts';
import { NetworkProxy } from './proxy.ts';

let testbed: ApplicationDatabase;
const open: { close(): Promise<unknown> }[] = [];
beforeAll(async () => {
  testbed = await applicationDatabase();
});
afterAll(() => testbed.drop());
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

function database(options: Partial<DatabaseOptions> = {}): Database {
  const db = new Database({ ...testbed.options, timeouts: { listenPing: 300 }, ...options });
  open.push({ close: () => db.close({ graceMs: 0 }) });
  return db;
}

async function proxied(address?: string, port?: number): Promise<NetworkProxy> {
  const proxy = await NetworkProxy.start(testbed.server.port, address, port);
  open.push({ close: () => proxy.stop() });
  return proxy;
}

const notify = (channel: string, payload = '') =>
  testbed.query('migrator', 'SELECT pg_notify($1, $2)', [channel, payload]);
const listeners = () =>
  testbed.query<{ pid: number }>(
    'superuser',
    "SELECT pid FROM pg_stat_activity WHERE usename = $1 AND application_name = 'llama_mapper_listen'",
    [testbed.login.user],
  );
const isListening = (db: Database) => db.gauges['default']?.listener.isListening;

describe('a listener', () => {
  it('hears its channel, also from a tenant, on one connection for all channels', async () => {
    const db = database();
    const heard: Notification[] = [];
    const strange = 'a "strange"; name\u00e9';
    const one = await db.listen('jobs', (notification) => heard.push(notification));
    await Promise.all([
      db.listen(strange, (notification) => heard.push(notification)),
      db.listen('jobs', () => 0),
    ]);
    await notify('jobs', 'first');
    await notify(strange);
    await notify('others', 'not heard');
    await db.tenant('acme').transaction((tx) => tx.query("SELECT pg_notify('jobs', 'of a tenant')"));
    await until(() => heard.length === 3);
    expect(heard).toEqual([
      { channel: 'jobs', payload: 'first' },
      { channel: strange, payload: '' },
      { channel: 'jobs', payload: 'of a tenant' },
    ]);
    expect(await listeners()).toHaveLength(1);
    expect(db.gauges['default']?.listener).toEqual({ isListening: true, channels: 2 });
    expect((await scrape([processCollector(db)])).text).toContain('llama_listening{cell="default"} 1');
    one.close();
    await notify('jobs', 'later');
    await notify(strange, 'last');
    await until(() => heard.length === 4);
    expect(heard[3]).toEqual({ channel: strange, payload: 'last' });
  });

  it('gets nothing after its end, also of notifications that came together', async () => {
    const db = database();
    const heard: string[] = [];
    const other = await db.listen('jobs', ({ payload }) => heard.push(payload));
    const one = await db.listen('ends', ({ payload }) => {
      heard.push(payload);
      one.close();
      other.close();
    });
    const sent = [
      ['ends', 'first'],
      ['ends', 'second'],
      ['jobs', 'third'],
    ];
    await testbed.query(
      'migrator',
      `SELECT ${sent.map(([to, what]) => `pg_notify('${to}', '${what}')`).join(', ')}`,
    );
    await until(() => heard.length > 0);
    await until(async () => (await listeners()).length === 0);
    expect(heard).toEqual(['first']);
  });

  it('ends its connection with its last subscription, and begins again with the next one', async () => {
    const db = database();
    const stopping = new AbortController();
    await db.listen('jobs', () => 0, { signal: stopping.signal });
    stopping.abort();
    await until(async () => (await listeners()).length === 0);
    const heard: string[] = [];
    await db.listen('jobs', ({ payload }) => heard.push(payload));
    await notify('jobs', 'again');
    await until(() => heard.length === 1);
  });

  it('hears again after its session was ended, and says that something may be missing', async () => {
    const db = database();
    const heard: string[] = [];
    let resumed = 0;
    const onResume = () => {
      resumed += 1;
    };
    await db.listen('jobs', ({ payload }) => heard.push(payload), { onResume });
    await testbed.query('superuser', 'SELECT pg_terminate_backend($1)', [(await listeners())[0]?.pid]);
    await until(() => resumed === 1);
    await notify('jobs', 'after');
    await until(() => heard.length > 0);
    expect([heard, await listeners()]).toMatchObject([['after'], [{}]]);
  });

  it('notices that both directions are swallowed, and follows the name to another address', async () => {
    const old = await proxied('127.0.0.2');
    const next = await proxied('127.0.0.3', old.port);
    let address = '127.0.0.2';
    const db = database({
      ...{ host: 'localhost', port: old.port, address: undefined as never, timeouts: {} },
      lookup: async () => ({ address, family: 4 }),
    });
    const heard: string[] = [];
    let resumed = false;
    await db.listen('jobs', ({ payload }) => heard.push(payload), {
      onResume: () => {
        resumed = true;
      },
    });
    old.swallow();
    address = '127.0.0.3';
    const start = performance.now();
    await until(() => resumed, 15_000);
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(next.connections).toBe(1);
    await notify('jobs', 'by the other way');
    await until(() => heard.length > 0);
    // The cancellation has no way to the old session, which ends with its socket.
    old.cut();
    await until(async () => (await listeners()).length === 1);
  });

  it('goes on waiting if its connection does not answer, and begins on the next one', async () => {
    const proxy = await proxied();
    const db = database({ port: proxy.port, timeouts: { connect: 500, listenPing: 100, ping: 300 } });
    await db.listen('jobs', () => 0);
    proxy.swallow();
    // A ping is under way.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const heard: string[] = [];
    const beginning = db.listen('others', ({ payload }) => heard.push(payload));
    await until(() => isListening(db) === false);
    proxy.pass();
    await beginning;
    await notify('others', 'heard');
    await until(() => heard.length === 1);
  });

  it('is closed without a wait for a server that does not answer', async () => {
    const proxy = await proxied();
    const db = database({ port: proxy.port, timeouts: { listenPing: 100, ping: 10_000 } });
    await db.listen('jobs', () => 0);
    proxy.swallow();
    // A ping is under way.
    await new Promise((resolve) => setTimeout(resolve, 300));
    const start = performance.now();
    await db.close({ graceMs: 0 });
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it('is left alone while its pings are answered', async () => {
    const db = database({ timeouts: { listenPing: 50 } });
    await db.listen('jobs', () => 0, { onResume: () => expect.unreachable() });
    const before = await listeners();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    expect(await listeners()).toEqual(before);
  });

  it('waits for a server that is gone, and begins when it is back', async () => {
    const proxy = await proxied();
    proxy.lead(1);
    const db = database({ port: proxy.port });
    const heard: string[] = [];
    const beginning = db.listen('jobs', ({ payload }) => heard.push(payload));
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isListening(db)).toBe(false);
    proxy.lead(testbed.server.port);
    await beginning;
    await notify('jobs', 'heard');
    await until(() => heard.length === 1);
  });

  it('says why its channel is not heard', async () => {
    const db = database({ port: 1, timeouts: { acquire: 300 } });
    await expect(db.listen('jobs', () => 0)).rejects.toMatchObject({
      code: 'listen/not-begun',
      cause: { code: 'connection/not-opened' },
    });
    const stranger = database({ password: 'wrong' });
    await expect(stranger.listen('jobs', () => 0)).rejects.toMatchObject({ code: '28P01' });
    expect(stranger.gauges['default']?.listener).toEqual({ isListening: false, channels: 0 });
  });

  it.each(['', 'x'.repeat(64), '\u00e9'.repeat(32), 'a\0b', undefined, 7])(
    'refuses the channel %j, which PostgreSQL would cut or refuse',
    async (channel) => {
      await expect(database().listen(channel as string, () => 0)).rejects.toMatchObject({
        code: 'listen/channel-unusable',
      });
    },
  );

  it('refuses the port of PgBouncer, unknown cells, and a closed Database', async () => {
    await expect(database({ port: 6432 }).listen('jobs', () => 0)).rejects.toMatchObject({
      code: 'listen/through-pooler',
    });
    await expect(database().listen('jobs', () => 0, { cell: 'none' })).rejects.toMatchObject({
      code: 'configuration/cell-unknown',
    });
    const db = database();
    await db.listen('jobs', () => 0);
    await db.close();
    expect(await listeners()).toEqual([]);
    await expect(db.listen('jobs', () => 0)).rejects.toMatchObject({ code: 'pool/closed' });
  });
});

it.each(['LISTEN jobs', '/* a */ listen "x"', 'SELECT 1; LISTEN jobs'])(
  'a transaction of a tenant refuses %j, and its session does not listen',
  async (sql) => {
    const db = database({ pool: { max: 1 } });
    await expect(db.tenant('acme').transaction((tx) => tx.query(sql))).rejects.toMatchObject({
      code: 'transaction/listens',
    });
    const { rows } = await db
      .tenant('acme')
      .read((tx) => tx.query('SELECT pg_listening_channels() AS channel'));
    expect(rows).toEqual([]);
  },
);
