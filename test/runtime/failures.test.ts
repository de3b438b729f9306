// Duration: 40 s
/** Failures of the network and of a server, with a real primary with a synchronous standby. */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Database, type DatabaseOptions } from '../../runtime/index.ts';
import { insertRecord, until } from './fixture.ts';
import { NetworkProxy } from './proxy.ts';
import { type ReplicatedServers, replicatedServers } from './servers.ts';

/** In a month that has a partition. */
const today = new Date();

let servers: ReplicatedServers;
const open: { close(): Promise<unknown> }[] = [];
beforeAll(async () => {
  servers = await replicatedServers();
}, 120_000);
afterAll(() => servers.stop());
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function proxied(address?: string, port?: number): Promise<NetworkProxy> {
  const proxy = await NetworkProxy.start(servers.primary.port, address, port);
  open.push({ close: () => proxy.stop() });
  return proxy;
}

function database(port: number, options: Partial<DatabaseOptions> = {}): Database {
  const db = new Database({ ...servers.options(port), ...options });
  open.push({ close: () => db.close({ graceMs: 0 }) });
  return db;
}

const write = (db: Database, id = randomUUID()) =>
  db.tenant('acme').transaction((tx) => tx.query(insertRecord, ['acme', id, today]), { idempotent: true });
const gauges = (db: Database) => db.gauges['default']?.writer;

describe('a pool', () => {
  it('answers its callers at the deadline if it is exhausted, and lends on afterwards', async () => {
    const db = database(servers.primary.port, { pool: { max: 1 }, timeouts: { acquire: 300 } });
    let finish = () => {};
    const holding = db.tenant('acme').transaction(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve;
        }),
    );
    await until(() => gauges(db)?.inUse === 1);
    const start = performance.now();
    await expect(write(db)).rejects.toMatchObject({ code: 'pool/exhausted' });
    expect(performance.now() - start).toBeLessThan(2000);
    finish();
    await holding;
    await write(db);
    expect(gauges(db)).toMatchObject({ total: 1, idle: 1, waiting: 0, breaker: 'closed' });
  });

  it('gives up a name that is not resolved in time, and leaves nothing behind', async () => {
    const stalled = new Promise<never>(() => {});
    const db = database(servers.primary.port, {
      host: 'localhost',
      address: undefined as never,
      lookup: () => stalled,
      timeouts: { connect: 200, acquire: 5000 },
      retry: { forMs: 0 },
    });
    await expect(write(db)).rejects.toMatchObject({ code: 'connection/not-opened', retryable: true });
    expect(gauges(db)).toMatchObject({ total: 0, opening: 0, waiting: 0 });
  });

  it('connects again after a resolution of the name that never ends', async () => {
    let lookups = 0;
    const db = database(servers.primary.port, {
      host: 'localhost',
      address: undefined as never,
      lookup: () => {
        lookups += 1;
        return lookups === 1
          ? new Promise<never>(() => {})
          : Promise.resolve({ address: '127.0.0.1', family: 4 });
      },
      timeouts: { connect: 300 },
    });
    await write(db);
    expect(lookups).toBe(2);
  });

  it('keeps a connection that arrives after its caller has gone, within its size', async () => {
    let delay = 400;
    const db = database(servers.primary.port, {
      host: 'localhost',
      address: undefined as never,
      lookup: async () => {
        await new Promise((resolve) => setTimeout(resolve, delay));
        return { address: '127.0.0.1', family: 4 };
      },
      pool: { max: 2 },
      timeouts: { acquire: 100 },
      retry: { forMs: 0 },
    });
    const refused = await Promise.allSettled(Array.from({ length: 10 }, () => write(db)));
    expect(refused.every(({ status }) => status === 'rejected')).toBe(true);
    delay = 0;
    await until(() => gauges(db)?.idle === 2);
    expect(await servers.sessions()).toBe(2);
    await write(db);
    expect(await servers.sessions()).toBe(2);
  });

  it('is refused if the server in force cannot hold it', async () => {
    const db = database(servers.primary.port, { pool: { max: 5000 } });
    await expect(write(db)).rejects.toMatchObject({ code: 'pool/larger-than-server' });
    expect(gauges(db)).toMatchObject({ total: 0, opening: 0 });
  });

  it('drops all idle connections at the first that is lost', async () => {
    const db = database(servers.primary.port);
    await Promise.all(Array.from({ length: 5 }, () => write(db)));
    const before = await servers.pids();
    expect(before.length).toBeGreaterThan(1);
    await servers.terminate(before[0] ?? 0);
    await until(async () => gauges(db)?.total === 0 && (await servers.sessions()) === 0, 3000);
    await write(db);
  });
});

describe('a token', () => {
  it('that the server refuses is replaced at once, by one request for all connections', async () => {
    let requests = 0;
    const tokens = ['stale', servers.login.password];
    const credential = {
      getToken: async () => {
        requests += 1;
        await new Promise((resolve) => setTimeout(resolve, 50));
        return {
          token: tokens.shift() ?? servers.login.password,
          expiresOnTimestamp: Date.now() + 3_600_000,
        };
      },
    };
    const db = database(servers.primary.port, { credential });
    await Promise.all(Array.from({ length: 8 }, () => write(db)));
    expect(requests).toBe(2);
    expect(gauges(db)?.breaker).toBe('closed');
  });
});

describe('a server that is gone', () => {
  it('is not stormed: the breaker answers, probes, and closes once it is back', async () => {
    const proxy = await proxied();
    const db = database(proxy.port, { retry: { forMs: 0 }, pool: { max: 4 } });
    await write(db);
    proxy.lead(1);
    proxy.cut();
    await until(() => gauges(db)?.total === 0);
    const outcomes = new Set<unknown>();
    for (let call = 0; call < 200; call += 1)
      await write(db).catch((error: unknown) => outcomes.add(Reflect.get(error as Error, 'code')));
    expect([...outcomes]).toContain('connection/circuit-open');
    expect(gauges(db)?.breaker).toBe('open');
    proxy.lead(servers.primary.port);
    await until(
      () =>
        write(db).then(
          () => true,
          () => false,
        ),
      3000,
    );
    expect(gauges(db)?.breaker).toBe('closed');
  });

  it('lets no caller wait for the probe beyond its signal or its deadline', async () => {
    const proxy = await proxied();
    const timeouts = { connect: 5000, acquire: 1000 };
    const db = database(proxy.port, {
      retry: { forMs: 0 },
      timeouts,
      breaker: { failures: 1, probeAfterMs: 50 },
    });
    await write(db);
    proxy.lead(1);
    proxy.cut();
    await until(() => gauges(db)?.total === 0);
    await write(db).catch(() => undefined);
    expect(gauges(db)?.breaker).toBe('open');
    proxy.swallow();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const probing = write(db).catch(() => undefined);
    await until(() => gauges(db)?.breaker === 'half-open');
    const start = performance.now();
    const transaction = (signal?: AbortSignal) =>
      db.tenant('acme').transaction(async () => 1, signal ? { signal } : {});
    await expect(transaction(AbortSignal.timeout(100))).rejects.toMatchObject({
      code: 'transaction/aborted',
    });
    expect(performance.now() - start).toBeLessThan(600);
    await expect(transaction()).rejects.toMatchObject({
      code: /^(pool\/exhausted|connection\/circuit-open)$/,
    });
    expect(performance.now() - start).toBeLessThan(2500);
    await probing;
  });

  it('loses no acknowledged write and doubles none while connections are cut at random bytes', async () => {
    const proxy = await proxied();
    const db = database(proxy.port, { pool: { max: 8 } });
    // TLS and login take about 5,000 bytes.
    proxy.cutAfter = () => 4000 + Math.floor(Math.random() * 6000);
    const ids = Array.from({ length: 200 }, () => randomUUID());
    const results = await Promise.allSettled(ids.map((id) => write(db, id)));
    proxy.cutAfter = undefined;
    const acknowledged = ids.filter((_, at) => results[at]?.status === 'fulfilled');
    expect(acknowledged.length).toBeGreaterThan(100);
    const stored = await servers.stored(ids);
    expect(acknowledged.filter((id) => stored.get(id) !== 1)).toEqual([]);
    expect([...stored.values()].filter((times) => times > 1)).toEqual([]);
    await until(async () => (await servers.sessions()) <= (gauges(db)?.total ?? 0), 5000);
  });

  it('without closing a socket is noticed while its name moves: writes go on within 10 seconds', async () => {
    const old = await proxied('127.0.0.2');
    const next = await proxied('127.0.0.3', old.port);
    let address = '127.0.0.2';
    const db = database(old.port, {
      host: 'localhost',
      address: undefined as never,
      lookup: async () => ({ address, family: 4 }),
      pool: { max: 4 },
    });
    await Promise.all([write(db), write(db), write(db)]);
    expect(old.connections).toBeGreaterThan(0);
    old.swallow();
    address = '127.0.0.3';
    const start = performance.now();
    await Promise.all(Array.from({ length: 8 }, () => write(db)));
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(next.connections).toBeGreaterThan(0);
  });

  it('for no longer than a slow statement takes does not end that statement', async () => {
    const db = database(servers.primary.port);
    const slow = await db
      .tenant('acme')
      .read(async (tx) => (await tx.query("SELECT 'x' AS x, pg_sleep(4)")).rowCount);
    expect(slow).toBe(1);
  });
});

it('a transaction of which the outcome is unknown is not repeated, unless marked idempotent', async () => {
  const proxy = await proxied();
  const db = database(proxy.port, { pool: { max: 1 } });
  let runs = 0;
  const losing = (idempotent: boolean) => {
    runs = 0;
    return db.tenant('acme').transaction(
      async (tx) => {
        runs += 1;
        await tx.query(insertRecord, ['acme', randomUUID(), today]);
        if (runs > 1) return;
        // The COMMIT reaches only the proxy.
        proxy.swallow();
        setTimeout(() => {
          proxy.cut();
          proxy.pass();
        }, 100);
      },
      { idempotent },
    );
  };
  await expect(losing(false)).rejects.toMatchObject({
    code: 'transaction/outcome-unknown',
    outcome: 'unknown',
  });
  expect(runs).toBe(1);
  await losing(true);
  expect(runs).toBe(2);
});

it('a transaction whose outcome is unknown and whose repetitions fail is not reported as not done', async () => {
  const proxy = await proxied();
  const db = database(proxy.port, { pool: { max: 1 }, retry: { forMs: 500 } });
  const losing = db.tenant('acme').transaction(
    async (tx) => {
      await tx.query(insertRecord, ['acme', randomUUID(), today]);
      proxy.swallow();
      proxy.lead(1);
      setTimeout(() => {
        proxy.cut();
        proxy.pass();
      }, 100);
    },
    { idempotent: true },
  );
  await expect(losing).rejects.toMatchObject({ code: 'transaction/outcome-unknown', outcome: 'unknown' });
});

it('a transaction whose connection ends while the work does something else is repeated', async () => {
  const db = database(servers.primary.port);
  let runs = 0;
  await db.tenant('acme').transaction(async (tx) => {
    runs += 1;
    await tx.query(insertRecord, ['acme', randomUUID(), today]);
    if (runs > 1) return;
    const { rows } = await tx.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await servers.terminate(rows[0]?.pid ?? 0);
    await until(async () => (await servers.sessions()) === 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
  expect(runs).toBe(2);
});

it('a failure of another service in the work is neither repeated nor held against the server', async () => {
  const db = database(servers.primary.port);
  await Promise.all([write(db), write(db)]);
  const idle = gauges(db)?.idle;
  let runs = 0;
  const failing = db.tenant('acme').transaction(async () => {
    runs += 1;
    throw Object.assign(new Error('connect ECONNREFUSED 192.0.2.1:443'), { code: 'ECONNREFUSED' });
  });
  await expect(failing).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(runs).toBe(1);
  expect(gauges(db)).toMatchObject({ idle, breaker: 'closed' });
});

it('a COMMIT that waits for its standby is not canceled by its signal', async () => {
  const db = database(servers.primary.port);
  await servers.query("ALTER SYSTEM SET synchronous_commit = 'on'");
  await servers.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await servers.query('SELECT pg_reload_conf()');
  const controller = new AbortController();
  const id = randomUUID();
  try {
    const committing = db
      .tenant('acme')
      .transaction((tx) => tx.query(insertRecord, ['acme', id, today]), { signal: controller.signal });
    const waiting = "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    await until(async () => (await servers.query(waiting)).length === 1);
    controller.abort();
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await servers.query(waiting)).toHaveLength(1);
    expect((await servers.stored([id])).size).toBe(0);
    await servers.query('ALTER SYSTEM RESET synchronous_standby_names');
    await servers.query('SELECT pg_reload_conf()');
    await committing;
    expect((await servers.stored([id])).size).toBe(1);
  } finally {
    await servers.query('ALTER SYSTEM RESET synchronous_standby_names');
    await servers.query('ALTER SYSTEM RESET synchronous_commit');
    await servers.query('SELECT pg_reload_conf()');
  }
});

it('a canceled wait for the standby is not reported as a commit', async () => {
  const db = database(servers.primary.port);
  await servers.query("ALTER SYSTEM SET synchronous_commit = 'on'");
  await servers.query("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await servers.query('SELECT pg_reload_conf()');
  try {
    const committing = db
      .tenant('acme')
      .transaction((tx) => tx.query(insertRecord, ['acme', randomUUID(), today]));
    committing.catch(() => undefined);
    const waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    await until(async () => (await servers.query(waiting)).length === 1);
    await servers.query(`SELECT pg_cancel_backend(pid) FROM (${waiting}) AS waiting`);
    await expect(committing).rejects.toMatchObject({ code: 'transaction/outcome-unknown' });
  } finally {
    await servers.query('ALTER SYSTEM RESET synchronous_standby_names');
    await servers.query('ALTER SYSTEM RESET synchronous_commit');
    await servers.query('SELECT pg_reload_conf()');
  }
});

it('many transactions share a signal without a warning of Node', async () => {
  const proxy = await proxied();
  const db = database(proxy.port, { pool: { max: 30 } });
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on('warning', warned);
  const stopping = new AbortController();
  const work = Array.from({ length: 60 }, () =>
    db.tenant('acme').transaction((tx) => tx.query('SELECT pg_sleep(0.1)'), { signal: stopping.signal }),
  );
  await until(() => (gauges(db)?.inUse ?? 0) > 10);
  proxy.cut();
  await Promise.all(work);
  const more = Array.from({ length: 40 }, () =>
    db.tenant('acme').transaction((tx) => tx.query('SELECT pg_sleep(60)'), { signal: stopping.signal }),
  );
  await until(() => (gauges(db)?.inUse ?? 0) > 10);
  stopping.abort();
  const codes = (await Promise.allSettled(more)).map((one) => one.status === 'rejected' && one.reason.code);
  expect(new Set(codes)).toEqual(new Set(['transaction/aborted']));
  process.off('warning', warned);
  expect(warnings).toEqual([]);
});

it('a serialization failure is repeated', async () => {
  const db = database(servers.primary.port);
  const id = randomUUID();
  await write(db, id);
  let runs = 0;
  await db.tenant('acme').transaction(
    async (tx) => {
      runs += 1;
      await tx.query('SELECT detector_type FROM llama.storage_records WHERE id = $1', [id]);
      if (runs === 1)
        await servers.query("UPDATE llama.storage_records SET detector_type = 'x' WHERE id = $1", [id]);
      await tx.query("UPDATE llama.storage_records SET detector_type = 'y' WHERE id = $1", [id]);
    },
    { isolation: 'repeatable read' },
  );
  expect(runs).toBe(2);
});

it('the process ends by itself after close(), with replicas, listeners, failures and open attempts', async () => {
  const hole = await proxied();
  hole.swallow();
  const { execFile } = await import('node:child_process');
  const { promisify } = await import('node:util');
  const text = `
    import { Database } from ${JSON.stringify(new URL('../../runtime/index.ts', import.meta.url).href)};
    const options = JSON.parse(process.env.OPTIONS);
    const db = new Database({ ...options, replicas: [{ host: 'localhost', address: '127.0.0.1', port: options.port }] });
    await db.ready();
    await db.tenant('a').transaction((tx) => tx.query('SELECT 1'));
    await db.tenant('a').transaction((tx) => tx.query({ text: 'SELECT pg_sleep(9)', query_timeout: 50 })).catch(() => {});
    await db.listen('jobs', () => {});
    const lost = new Database({ ...options, port: Number(process.env.HOLE) });
    const waiting = [lost.tenant('a').transaction(async () => 1), lost.listen('jobs', () => {}), lost.ready()];
    const left = Promise.allSettled(waiting);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await Promise.all([db.close(), lost.close({ graceMs: 0 })]);
    const closed = Date.now();
    for (const { reason } of await left) if (reason?.code !== 'pool/closed') throw reason;
    process.on('exit', () => process.stdout.write(JSON.stringify({ lingered: Date.now() - closed })));`;
  const options = {
    ...servers.options(servers.primary.port),
    rootCertificates: readFileSync(servers.primary.caFile, 'utf8'),
  };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', text],
    { env: { ...process.env, OPTIONS: JSON.stringify(options), HOLE: String(hole.port) }, timeout: 25_000 },
  );
  expect(JSON.parse(stdout).lingered).toBeLessThan(500);
});
