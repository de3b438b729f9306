/** Transactions of tenants: the context, nesting, ends, and what a connection is like afterwards. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Database, type TenantClient } from '../../runtime/index.ts';
import { type ApplicationDatabase, applicationDatabase, insertRecord, until } from './fixture.ts';

let testbed: ApplicationDatabase;
let db: Database;
beforeAll(async () => {
  testbed = await applicationDatabase();
});
afterAll(() => testbed.drop());
beforeEach(() => {
  db = new Database({ ...testbed.options, pool: { max: 4 }, retry: { forMs: 0 } });
});
afterEach(() => db.close({ graceMs: 0 }));

const insert = (tx: TenantClient, id = randomUUID()) => tx.query(insertRecord, [tx.tenant, id, new Date()]);
const count = async (tenant: string) =>
  (await db.tenant(tenant).read((tx) => tx.query('SELECT FROM llama.storage_records'))).rowCount;
const sessions = () =>
  testbed.query<{ state: string; query: string }>(
    'superuser',
    `SELECT state, query FROM pg_stat_activity WHERE usename = '${testbed.login.user}'`,
  );

describe('a transaction', () => {
  it('has its tenant, its actor, UTC, its name and its limits, for itself only', async () => {
    const seen = await db
      .tenant('alpha', {
        user: 'maria',
        correlationId: '3f0c4a0e-52ac-4a3e-9a64-0a2ce19ac0bd',
        address: '192.0.2.7',
        userAgent: 'test/1',
      })
      .transaction(async (tx) => {
        const { rows } = await tx.query(
          `SELECT current_setting('app.current_tenant_id') AS tenant, current_setting('app.current_user_id') AS "user",
                  current_setting('app.correlation_id') AS correlation, current_setting('app.client_address') AS address,
                  current_setting('app.user_agent') AS agent, current_setting('TimeZone') AS zone,
                  current_setting('application_name') AS name, current_setting('statement_timeout') AS statement`,
        );
        return rows[0];
      });
    expect(seen).toEqual({
      tenant: 'alpha',
      user: 'maria',
      correlation: '3f0c4a0e-52ac-4a3e-9a64-0a2ce19ac0bd',
      address: '192.0.2.7',
      agent: 'test/1',
      zone: 'UTC',
      name: 'llama_mapper_write',
      statement: '1min',
    });
    const other = await db.tenant('beta').transaction(async (tx) => {
      const { rows } = await tx.query('SELECT current_setting(\'app.current_user_id\') AS "user"');
      return rows[0];
    });
    expect(other).toEqual({ user: '' });
    expect(db.gauges['default']?.writer).toMatchObject({ total: 1, idle: 1, breaker: 'closed' });
  });

  it('commits, rolls back, and shows its rows to its tenant only', async () => {
    await db.tenant('gamma').transaction((tx) => insert(tx));
    await expect(
      db.tenant('gamma').transaction(async (tx) => {
        await insert(tx);
        throw new Error('changed my mind');
      }),
    ).rejects.toThrow('changed my mind');
    expect(await count('gamma')).toBe(1);
    expect(await count('delta')).toBe(0);
  });

  it.each(['', undefined, null, 7, 'x'.repeat(101), 'a\0b'])('is refused for the tenant %j', (id) => {
    expect(() => db.tenant(id as string)).toThrow(expect.objectContaining({ code: 'tenant/missing' }));
  });

  it('outlives a malformed call, whose deadline does not end the connection later', async () => {
    const brief = new Database({ ...testbed.options, timeouts: { statement: 100 }, retry: { forMs: 0 } });
    try {
      const calling = brief.tenant('alpha').transaction((tx) => tx.query(null as never));
      await expect(calling).rejects.toThrow(TypeError);
      await new Promise((resolve) => setTimeout(resolve, 1200));
      expect(brief.gauges['default']?.writer).toMatchObject({ total: 1, idle: 1 });
    } finally {
      await brief.close();
    }
  });

  it('passes the errors of statements unchanged', async () => {
    const failing = db.tenant('alpha').transaction((tx) => tx.query('SELECT 1 / 0'));
    await expect(failing).rejects.toMatchObject({ code: '22012', severity: 'ERROR' });
  });

  it('is not reported as committed after an error that the work swallowed', async () => {
    const swallowing = db.tenant('epsilon').transaction(async (tx) => {
      await insert(tx);
      await tx.query('SELECT 1 / 0').catch(() => undefined);
    });
    await expect(swallowing).rejects.toMatchObject({ code: 'transaction/rolled-back', outcome: 'none' });
    expect(await count('epsilon')).toBe(0);
  });

  it('keeps savepoints, and the order of statements that are sent at once', async () => {
    const seen = await db.tenant('zeta').transaction(async (tx) => {
      await tx.query('SAVEPOINT part');
      await tx.query('SELECT 1 / 0').catch(() => undefined);
      await tx.query('ROLLBACK TO SAVEPOINT part');
      return Promise.all([1, 2, 3].map((n) => tx.query<{ n: number }>('SELECT $1::int AS n', [n])));
    });
    expect(seen.map(({ rows }) => rows[0]?.n)).toEqual([1, 2, 3]);
  });

  it.each([
    'COMMIT',
    'rollback',
    ' -- a comment\nBEGIN',
    '/* one */ END',
    'ABORT',
    'START TRANSACTION READ WRITE',
    'ROLLBACK AND CHAIN',
    'COMMIT AND CHAIN',
    "PREPARE TRANSACTION 'x'",
    'SELECT 1; COMMIT',
    'SELECT 1; COMMIT; BEGIN',
    'SELECT 1; ROLLBACK AND CHAIN',
  ])('cannot be ended by the statement %j', async (sql) => {
    const inner: unknown[] = [];
    const ending = db.tenant('eta').transaction(async (tx) => {
      await tx.query(sql).catch((error: unknown) => inner.push(error));
      throw new Error('after it');
    });
    await expect(ending).rejects.toThrow('after it');
    expect(inner).toMatchObject([{ code: 'transaction/controlled-by-statement' }]);
    expect(await count('eta')).toBe(0);
  });

  it('accepts no statement after its end', async () => {
    const kept = await db.tenant('alpha').transaction(async (tx) => tx);
    await expect(kept.query('SELECT 1')).rejects.toMatchObject({ code: 'transaction/ended' });
  });

  it('waits for statements that the work did not await', async () => {
    await db.tenant('theta').transaction(async (tx) => {
      void insert(tx);
    });
    expect(await count('theta')).toBe(1);
  });
});

describe('a nested transaction', () => {
  it('joins the outer one of the same tenant', async () => {
    const pids = await db.tenant('iota').transaction(async (tx) => {
      await insert(tx);
      const inner = await db.tenant('iota').read((own) => own.query('SELECT pg_backend_pid() AS pid'));
      const outer = await tx.query('SELECT pg_backend_pid() AS pid');
      return [inner.rows[0].pid, outer.rows[0].pid];
    });
    expect(pids[0]).toBe(pids[1]);
  });

  it('that failed does not let the outer one commit', async () => {
    const outer = db.tenant('kappa').transaction(async (tx) => {
      await insert(tx);
      await db
        .tenant('kappa')
        .transaction(async () => Promise.reject(new Error('half done')))
        .catch(() => undefined);
    });
    await expect(outer).rejects.toMatchObject({ code: 'transaction/nested-failed' });
    expect(await count('kappa')).toBe(0);
  });

  it('is refused for another tenant, and for a write inside of a read', async () => {
    const inside = (work: () => Promise<unknown>) => db.tenant('lambda').read(work);
    await expect(inside(() => db.tenant('other').read(async () => 1))).rejects.toMatchObject({
      code: 'tenant/inside-another',
    });
    await expect(inside(() => db.tenant('lambda').transaction(async () => 1))).rejects.toMatchObject({
      code: 'tenant/inside-read',
    });
  });

  it('that starts after the end of the outer one is a transaction of its own', async () => {
    let later = Promise.resolve<unknown>(undefined);
    await db.tenant('mu').transaction(async () => {
      later = new Promise((resolve) => setTimeout(resolve, 100)).then(() =>
        db.tenant('nu').transaction((tx) => insert(tx)),
      );
    });
    await later;
    expect(await count('nu')).toBe(1);
  });
});

describe('the end of a transaction', () => {
  it('by its signal cancels the statement on the server and leaves no session', async () => {
    const controller = new AbortController();
    const sleeping = db
      .tenant('alpha')
      .transaction((tx) => tx.query('SELECT pg_sleep(60)'), { signal: controller.signal });
    sleeping.catch(() => undefined);
    await until(async () => (await sessions()).some(({ query }) => query.includes('pg_sleep')));
    controller.abort();
    await expect(sleeping).rejects.toMatchObject({ code: 'transaction/aborted' });
    await until(async () => (await sessions()).length === 0, 2000);
    expect(db.gauges['default']?.writer.total).toBe(0);
  });

  it('by the deadline of a statement cancels it on the server and leaves no session', async () => {
    const config = { text: 'SELECT pg_sleep(60)', query_timeout: 200 };
    await expect(db.tenant('alpha').transaction((tx) => tx.query(config))).rejects.toMatchObject({
      code: 'statement/unanswered',
    });
    await until(async () => (await sessions()).length === 0, 2000);
  });

  it('lends no connection again that a cursor or lock of the session could still use', async () => {
    await db.tenant('alpha').transaction((tx) => tx.query('SELECT 1'));
    const [before] = await testbed.query<{ pid: number }>(
      'superuser',
      `SELECT pid FROM pg_stat_activity WHERE usename = '${testbed.login.user}'`,
    );
    await testbed.query('superuser', 'SELECT pg_terminate_backend($1)', [before?.pid]);
    await until(() => db.gauges['default']?.writer.total === 0);
    expect(await count('alpha')).toBe(0);
  });
});
