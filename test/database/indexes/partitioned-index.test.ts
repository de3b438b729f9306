import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildPartitionedIndex,
  dropPartitionedIndex,
  type IndexStep,
  leafIndexName,
  type PartitionedIndex,
} from '../../../database/indexes/partitioned-index.ts';
import { freshDatabase, type TestDatabase } from '../../support/postgres.ts';

const index: PartitionedIndex = {
  table: 'shop.orders',
  name: 'idx_orders_customer',
  definition: '(customer, at DESC)',
};

interface IndexRow {
  name: string;
  valid: boolean;
  part_of: string | null;
}

describe('the index builder', () => {
  let database: TestDatabase;
  let client: pg.Client;

  beforeAll(async () => {
    database = await freshDatabase();
    client = await database.connect();
  });
  afterAll(() => database.drop());
  beforeEach(async () => {
    // A failed test may have left a transaction open.
    await client.query(
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    await client.query(`
      DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop;
      CREATE TABLE shop.orders (customer text NOT NULL, at timestamptz NOT NULL, total numeric) PARTITION BY RANGE (at);
      CREATE TABLE shop.orders_y2026m01 PARTITION OF shop.orders FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');
      CREATE TABLE shop.orders_y2026m02 PARTITION OF shop.orders FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00');
      CREATE TABLE shop.orders_y2026m03 PARTITION OF shop.orders FOR VALUES FROM ('2026-03-01 00:00:00+00') TO ('2026-04-01 00:00:00+00');
      INSERT INTO shop.orders SELECT 'c' || n % 7, '2026-01-01 00:00:00+00'::timestamptz + n * interval '1 hour', n FROM generate_series(0, 2000) n;
    `);
  });

  /** A second session, which the next test may find terminated. */
  const connect = async () => {
    const session = await database.connect();
    session.on('error', () => undefined);
    return session;
  };

  const indexes = async (): Promise<IndexRow[]> =>
    (
      await client.query<IndexRow>(
        `SELECT c.relname AS name, i.indisvalid AS valid,
                (SELECT h.inhparent::regclass::text FROM pg_inherits h WHERE h.inhrelid = i.indexrelid) AS part_of
           FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'shop'::regnamespace ORDER BY 1`,
      )
    ).rows;
  const complete: IndexRow[] = [
    { name: 'idx_orders_customer', valid: true, part_of: null },
    ...[1, 2, 3].map((n) => ({
      name: `idx_orders_customer_y2026m0${n}`,
      valid: true,
      part_of: 'shop.idx_orders_customer',
    })),
  ];
  const build = async (definition: PartitionedIndex = index, db = client): Promise<string[]> => {
    const steps: IndexStep[] = [];
    await buildPartitionedIndex({ db }, definition, { report: (step) => steps.push(step) });
    return steps.map((step) => `${step.action} ${step.table}`);
  };
  /** Runs the statements of a killed build; the last one fails half-way. */
  const invalid = async (name: string, leaf: string) => {
    await client.query(
      `INSERT INTO ${leaf} VALUES ('twin', '2026-02-03 00:00:00+00', 1), ('twin', '2026-02-03 00:00:00+00', 1)`,
    );
    await client
      .query(`CREATE UNIQUE INDEX CONCURRENTLY ${name} ON ${leaf} (customer, at DESC)`)
      .catch(() => undefined);
    expect(await indexes()).toContainEqual({ name, valid: false, part_of: null });
  };

  it('builds and attaches every leaf, and reports each step', async () => {
    expect(await build()).toEqual([
      'created shop.orders',
      'built orders_y2026m01',
      'attached orders_y2026m01',
      'built orders_y2026m02',
      'attached orders_y2026m02',
      'built orders_y2026m03',
      'attached orders_y2026m03',
    ]);
    expect(await indexes()).toEqual(complete);
    await client.query('SET enable_seqscan = off');
    const { rows } = await client.query<{ 'QUERY PLAN': string }>(
      `EXPLAIN SELECT * FROM shop.orders WHERE customer = 'c1'`,
    );
    await client.query('RESET enable_seqscan');
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('idx_orders_customer_y2026m02');
  });

  it('does nothing in a second run', async () => {
    await build();
    expect(await build()).toEqual(['kept orders_y2026m01', 'kept orders_y2026m02', 'kept orders_y2026m03']);
    expect(await indexes()).toEqual(complete);
  });

  it('leaves an index that later partitions inherit', async () => {
    await build();
    await client.query(
      `CREATE TABLE shop.orders_y2026m04 PARTITION OF shop.orders FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00')`,
    );
    expect(await build()).toContain('kept orders_y2026m04');
  });

  it.each([
    [
      'nothing but the parent',
      async () => client.query(`CREATE INDEX idx_orders_customer ON ONLY shop.orders (customer, at DESC)`),
    ],
    [
      'a finished leaf that is not attached',
      async () => {
        await client.query(`CREATE INDEX idx_orders_customer ON ONLY shop.orders (customer, at DESC)`);
        await client.query(
          `CREATE INDEX idx_orders_customer_y2026m01 ON shop.orders_y2026m01 (customer, at DESC)`,
        );
      },
    ],
    [
      'an attached leaf',
      async () => {
        await client.query(`CREATE INDEX idx_orders_customer ON ONLY shop.orders (customer, at DESC)`);
        await client.query(
          `CREATE INDEX idx_orders_customer_y2026m01 ON shop.orders_y2026m01 (customer, at DESC)`,
        );
        await client.query(
          `ALTER INDEX shop.idx_orders_customer ATTACH PARTITION shop.idx_orders_customer_y2026m01`,
        );
      },
    ],
    ['an invalid leaf', () => invalid('idx_orders_customer_y2026m02', 'shop.orders_y2026m02')],
  ])('finishes a killed build: %s', async (_, leftover) => {
    await leftover();
    await build();
    expect(await indexes()).toEqual(complete);
  });

  it('rebuilds an invalid index', async () => {
    await invalid('idx_orders_customer_y2026m02', 'shop.orders_y2026m02');
    expect(await build()).toContain('rebuilt orders_y2026m02');
    const { rows } = await client.query<{ unique: boolean }>(
      `SELECT indisunique AS unique FROM pg_index WHERE indexrelid = 'shop.idx_orders_customer_y2026m02'::regclass`,
    );
    expect(rows).toEqual([{ unique: false }]);
  });

  it('refuses the name of a valid index with another definition, on a leaf, a parent or a plain table', async () => {
    const code = 'index/other-definition';
    await client.query(`CREATE INDEX idx_orders_customer_y2026m01 ON shop.orders_y2026m01 (total)`);
    await expect(build()).rejects.toMatchObject({
      code,
      what: expect.stringContaining('idx_orders_customer_y2026m01'),
      why: expect.stringContaining('(total)'),
    });
    await client.query(`DROP INDEX shop.idx_orders_customer_y2026m01`);
    await build();
    await client.query('CREATE TABLE shop.plain (a int, b int); CREATE INDEX plain_a ON shop.plain (b)');
    await expect(build({ table: 'shop.plain', name: 'plain_a', definition: '(a)' })).rejects.toMatchObject({
      code,
      what: expect.stringContaining('plain_a'),
      why: expect.stringContaining('(b)'),
    });
    await client.query('DROP TABLE shop.plain');
    await expect(build({ ...index, definition: '(customer)' })).rejects.toMatchObject({
      code,
      why: expect.stringContaining('CREATE INDEX'),
    });
    await expect(build({ ...index, where: 'total > 0' })).rejects.toMatchObject({ code });
    await expect(build({ ...index, unique: true })).rejects.toMatchObject({ code });
    expect(await indexes()).toEqual(complete);
  });

  it('finishes after its backend was terminated during the build of a leaf', async () => {
    // An open transaction blocks CREATE INDEX CONCURRENTLY half-way, while the index is invalid.
    const blocker = await connect();
    await blocker.query(
      `BEGIN; INSERT INTO shop.orders_y2026m02 VALUES ('open', '2026-02-10 00:00:00+00', 1)`,
    );
    const victim = await connect();
    const { rows } = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const ended = build(index, victim).then(
      () => 'finished',
      () => 'killed',
    );
    await until(async () => (await indexes()).some((row) => row.name.endsWith('m02') && !row.valid));
    await client.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    expect(await ended).toBe('killed');
    expect(await indexes()).toContainEqual({
      name: 'idx_orders_customer_y2026m02',
      valid: false,
      part_of: null,
    });
    expect(await indexes()).toContainEqual({ name: 'idx_orders_customer', valid: false, part_of: null });
    await blocker.query('ROLLBACK');
    expect(await build()).toEqual([
      'kept orders_y2026m01',
      'rebuilt orders_y2026m02',
      'attached orders_y2026m02',
      'built orders_y2026m03',
      'attached orders_y2026m03',
    ]);
    expect(await indexes()).toEqual(complete);
  });

  it('waits for a backend that still builds after its client was killed, and keeps its index', async () => {
    const blocker = await connect();
    await blocker.query(
      `BEGIN; INSERT INTO shop.orders_y2026m01 VALUES ('open', '2026-01-10 00:00:00+00', 1)`,
    );
    const orphan = await connect();
    const orphaned = orphan.query(
      `CREATE INDEX CONCURRENTLY idx_orders_customer_y2026m01 ON shop.orders_y2026m01 (customer, at DESC)`,
    );
    await until(async () => (await indexes()).some((row) => row.name.endsWith('m01')));
    const second = build();
    await sleep(100);
    await blocker.query('ROLLBACK');
    await orphaned;
    expect(await second).toContain('kept orders_y2026m01');
    expect(await indexes()).toEqual(complete);
  });

  it('gives up on a lock that stays taken, and restores the timeouts', async () => {
    const blocker = await connect();
    await blocker.query('BEGIN; LOCK TABLE shop.orders IN ROW EXCLUSIVE MODE');
    await client.query(`SET lock_timeout = '77s'; SET statement_timeout = '66s'`);
    await expect(
      buildPartitionedIndex({ db: client }, index, { limits: { lockTimeout: 20, attempts: 2 } }),
    ).rejects.toMatchObject({ code: 'lock/not-free', why: expect.stringMatching(/20 ms in 2 attempts/) });
    await blocker.query('ROLLBACK');
    await build();
    const { rows } = await client.query(
      `SELECT current_setting('lock_timeout') AS lock, current_setting('statement_timeout') AS statement`,
    );
    await client.query('RESET lock_timeout; RESET statement_timeout');
    expect(rows).toEqual([{ lock: '77s', statement: '66s' }]);
    expect(await indexes()).toEqual(complete);
  });

  it('removes a unique index that the data violates, and builds it once the data is corrected', async () => {
    await client.query(
      `INSERT INTO shop.orders VALUES ('twin', '2026-02-03 00:00:00+00', 1), ('twin', '2026-02-03 00:00:00+00', 1)`,
    );
    const unique = { ...index, unique: true };
    await expect(build(unique)).rejects.toMatchObject({ code: '23505' });
    expect((await indexes()).map((row) => row.name)).not.toContain('idx_orders_customer_y2026m02');
    await client.query(`DELETE FROM shop.orders WHERE customer = 'twin'`);
    await build(unique);
    expect(await indexes()).toEqual(complete);
  });

  it('supports a condition, another access method and an unpartitioned table', async () => {
    await build({
      table: 'shop.orders',
      name: 'idx_dear',
      definition: '(total)',
      where: 'total > 100',
      using: 'brin',
    });
    const { rows } = await client.query<{ definition: string }>(
      `SELECT pg_get_indexdef('shop.idx_dear_y2026m03'::regclass) AS definition`,
    );
    expect(rows[0]?.definition).toMatch(/USING brin \(total\) WHERE \(total > /);
    await client.query('CREATE TABLE shop.customers (name text)');
    const plain = { table: 'shop.customers', name: 'idx_customers_name', definition: '(name)' };
    expect(await build(plain)).toEqual(['built customers']);
    expect(await build(plain)).toEqual(['kept customers']);
  });

  it('builds expressions, and recognizes them in a second run', async () => {
    const expression = {
      table: 'shop.orders',
      name: 'idx_lower',
      definition: "((lower(customer) || ' USING '), at) INCLUDE (total) WITH (fillfactor = 80)",
    };
    expect(await build(expression)).toContain('attached orders_y2026m03');
    expect(await build(expression)).toEqual([
      'kept orders_y2026m01',
      'kept orders_y2026m02',
      'kept orders_y2026m03',
    ]);
    await expect(build({ ...expression, definition: '((upper(customer)), at)' })).rejects.toMatchObject({
      code: 'index/other-definition',
    });
  });

  it('refuses a name that PostgreSQL would truncate', async () => {
    await expect(build({ ...index, name: 'é'.repeat(32) })).rejects.toMatchObject({
      code: 'index/name-too-long',
      why: expect.stringContaining('63 bytes'),
    });
    const name = `idx_${'x'.repeat(59)}`;
    await build({ ...index, name });
    expect((await indexes()).filter(({ part_of }) => part_of === `shop.${name}`)).toHaveLength(3);
    expect(await build({ ...index, name })).toContain('kept orders_y2026m03');
  });

  it('refuses an index that is part of another one already', async () => {
    await client.query('CREATE INDEX other ON ONLY shop.orders (customer, at DESC)');
    await client.query(
      'CREATE INDEX idx_orders_customer_y2026m02 ON shop.orders_y2026m02 (customer, at DESC)',
    );
    await client.query('ALTER INDEX shop.other ATTACH PARTITION shop.idx_orders_customer_y2026m02');
    await expect(build()).rejects.toMatchObject({ code: 'index/part-of-another' });
  });

  describe('while others change the partitions', () => {
    /** Builds, while another session does something during the build of the first leaf. */
    const buildWhile = async (meanwhile: (other: pg.Client) => Promise<unknown>, leaf = 'm01') => {
      const blocker = await connect();
      await blocker.query(
        `BEGIN; INSERT INTO shop.orders_y2026${leaf} VALUES ('open', '2026-0${leaf.at(-1)}-10 00:00:00+00', 1)`,
      );
      const building = build(index, await connect());
      await until(async () => (await indexes()).some((row) => row.name.endsWith(leaf) && !row.valid));
      const other = await connect();
      const done = meanwhile(other);
      await sleep(50);
      await blocker.query('ROLLBACK');
      await done;
      return building;
    };
    const valid = async () => (await indexes()).every((row) => row.valid);

    it('includes a partition that is attached meanwhile', async () => {
      await buildWhile(async (other) => {
        await other.query('CREATE TABLE shop.orders_y2026m04 (LIKE shop.orders)');
        await other.query(
          `ALTER TABLE shop.orders ATTACH PARTITION shop.orders_y2026m04 FOR VALUES FROM ('2026-04-01 00:00:00+00') TO ('2026-05-01 00:00:00+00')`,
        );
      });
      expect(await valid()).toBe(true);
      expect((await indexes()).filter(({ part_of }) => part_of === 'shop.idx_orders_customer')).toHaveLength(
        4,
      );
    });

    it.each(['m02', 'm03'])('leaves out a partition that is detached meanwhile: %s', async (leaf) => {
      const steps = await buildWhile((other) =>
        other.query(`ALTER TABLE shop.orders DETACH PARTITION shop.orders_y2026${leaf} CONCURRENTLY`),
      );
      expect(await valid()).toBe(true);
      expect((await indexes()).filter(({ part_of }) => part_of === 'shop.idx_orders_customer')).toHaveLength(
        2,
      );
      expect(
        (await indexes()).filter(({ part_of, name }) => part_of === null && name.endsWith(leaf)),
      ).toEqual([]);
      expect(steps).not.toContain(`attached orders_y2026${leaf}`);
    });

    it('finishes if the partition under construction is detached, which causes a deadlock', async () => {
      await buildWhile((other) =>
        other
          .query('ALTER TABLE shop.orders DETACH PARTITION shop.orders_y2026m01 CONCURRENTLY')
          .catch((error) => expect(error).toMatchObject({ code: '40P01' })),
      );
      expect(await valid()).toBe(true);
      const { rows } = await client.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM pg_inherits WHERE inhparent = 'shop.orders'::regclass AND NOT inhdetachpending`,
      );
      const parts = (await indexes()).filter(({ part_of }) => part_of === 'shop.idx_orders_customer');
      expect(parts).toHaveLength(rows[0]?.count ?? 0);
    });

    it('makes the index valid if the last leaf without a part is removed', async () => {
      const blocker = await connect();
      await build();
      // The state after a kill before the last leaf.
      await dropPartitionedIndex({ db: client }, index);
      await client.query('CREATE INDEX idx_orders_customer ON ONLY shop.orders (customer, at DESC)');
      for (const leaf of ['m01', 'm02']) {
        await client.query(
          `CREATE INDEX idx_orders_customer_y2026${leaf} ON shop.orders_y2026${leaf} (customer, at DESC)`,
        );
        await client.query(
          `ALTER INDEX shop.idx_orders_customer ATTACH PARTITION shop.idx_orders_customer_y2026${leaf}`,
        );
      }
      await blocker.query('DROP TABLE shop.orders_y2026m03');
      expect((await indexes())[0]).toMatchObject({ name: 'idx_orders_customer', valid: false });
      expect(await build()).toEqual(['kept orders_y2026m01', 'kept orders_y2026m02']);
      expect(await valid()).toBe(true);
    });

    it('continues if a leaf is dropped', async () => {
      await buildWhile((other) => other.query('DROP TABLE shop.orders_y2026m03'));
      expect(await valid()).toBe(true);
    });
  });

  it('runs one build per table at a time, of the same and of another index', async () => {
    const sessions = await Promise.all([connect(), connect(), connect()]);
    const other = { ...index, name: 'idx_orders_total', definition: '(total)' };
    const [first, second] = await Promise.all([
      build(index, sessions[0]),
      build(index, sessions[1]),
      build(other, sessions[2]),
    ]);
    expect(
      [first, second].map((steps) => steps?.filter((step) => step.startsWith('built')).length).sort(),
    ).toEqual([0, 3]);
    expect(await indexes()).toHaveLength(8);
    expect((await indexes()).every((row) => row.valid)).toBe(true);
  });

  it('finishes after a kill before each of its statements', async () => {
    /** Ends the session before its nth statement; without a number, counts them. */
    const killedBefore = async (statement: number): Promise<number> => {
      const session = await connect();
      const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      let sent = 0;
      const db = {
        query: async (text: string, values?: unknown[]) => {
          sent += 1;
          if (sent === statement) {
            await client.query('SELECT pg_terminate_backend($1, 5000)', [rows[0]?.pid]);
          }
          return session.query(text, values);
        },
      };
      const ended = await buildPartitionedIndex({ db }, index).then(
        () => 'finished',
        () => 'killed',
      );
      expect(ended).toBe(statement > sent || statement === 0 ? 'finished' : 'killed');
      return sent;
    };
    await client.query('DROP TABLE shop.orders_y2026m03');
    const statements = await killedBefore(0);
    expect(statements).toBeGreaterThan(25);
    const reference = await indexes();
    // The last statements restore timeouts and release the lock, as a kill does too.
    const restoring = 3;
    for (let statement = 1; statement <= statements - restoring; statement += 1) {
      await dropPartitionedIndex({ db: client }, index);
      await killedBefore(statement);
      await build();
      expect(await indexes(), `killed before statement ${statement} of ${statements}`).toEqual(reference);
    }
  }, 120_000);

  it('refuses a transaction, a missing table, a name without schema and a taken name', async () => {
    await client.query('BEGIN');
    await expect(build()).rejects.toMatchObject({
      code: 'index/inside-transaction',
      remedy: expect.stringContaining('noTransaction'),
    });
    await client.query('ROLLBACK');
    await expect(build({ ...index, table: 'shop.nothing' })).rejects.toMatchObject({
      code: 'index/table-missing',
      what: expect.stringContaining('nothing'),
    });
    await expect(build({ ...index, table: 'orders' })).rejects.toMatchObject({
      code: 'index/table-without-schema',
      why: expect.stringContaining('schema.table'),
    });
    await client.query('CREATE TABLE shop.other (x int); CREATE INDEX idx_orders_customer ON shop.other (x)');
    await expect(build()).rejects.toMatchObject({
      code: 'index/name-taken',
      why: expect.stringContaining('CREATE INDEX idx_orders_customer ON shop.other'),
    });
    await expect(dropPartitionedIndex({ db: client }, index)).rejects.toMatchObject({
      code: 'index/name-taken',
    });
  });

  it('drops the index with its parts, and the remains of an unfinished build', async () => {
    await build();
    await dropPartitionedIndex({ db: client }, index);
    expect(await indexes()).toEqual([]);
    await client.query(`CREATE INDEX idx_orders_customer ON ONLY shop.orders (customer, at DESC)`);
    await client.query(
      `CREATE INDEX idx_orders_customer_y2026m03 ON shop.orders_y2026m03 (customer, at DESC)`,
    );
    await dropPartitionedIndex({ db: client }, index);
    expect(await indexes()).toEqual([]);
    await dropPartitionedIndex({ db: client }, index);
  });
});

describe('the name of the index on a leaf', () => {
  it('is the name of the index with the suffix of the leaf', () => {
    expect(leafIndexName('idx_a', 'orders', 'orders_y2026m01')).toBe('idx_a_y2026m01');
    expect(leafIndexName('idx_a', 'orders', 'archive')).toBe('idx_a_archive');
  });

  it('stays unique within 63 bytes', () => {
    const long = 'idx_storage_records_a_very_long_name_that_still_fits_in_63';
    const names = [1, 2, 3].map((n) => leafIndexName(long, 'orders', `orders_y2026m0${n}`));
    expect(new Set(names).size).toBe(3);
    for (const name of names) expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(Buffer.byteLength(leafIndexName('é'.repeat(31), 'orders', 'orders_y2026m01'))).toBeLessThanOrEqual(
      63,
    );
  });
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 500; attempt += 1) {
    if (await condition()) return;
    await sleep(10);
  }
  throw new Error('what the test waits for did not happen within 5 s');
}
