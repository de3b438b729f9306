import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MaintainOptions, maintain } from '../../../database/maintain/maintain.ts';
import { resolveTarget } from '../../../database/target.ts';
import { run, start } from '../../commands/run.ts';
import { migratedDatabase, type TestDatabase } from '../../support/postgres.ts';

const old = 'storage_records_y2023m01';
const oldAudit = 'audit_trail_y2023m01';

let database: TestDatabase;
let client: pg.Client;
let lines: string[];

beforeEach(async () => {
  database = await migratedDatabase();
  client = await database.connect();
  lines = [];
});
afterEach(() => database.drop());

async function keepHouse(options: Partial<MaintainOptions> = {}) {
  const target = await resolveTarget({ url: database.url() }, {});
  const reporter = { line: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) };
  return maintain(target, { reporter, ...options });
}

/** Actions that changed rows or partitions. */
const changes = (actions: Awaited<ReturnType<typeof keepHouse>>['actions']) =>
  actions
    .filter(({ step }) => !['statistics', 'summary', 'seals', 'holes'].includes(step))
    .map(({ done, object }) => `${object} ${done}`);

async function as(role: string, sql: string, values: unknown[] = []) {
  await client.query(`SET ROLE ${role}`);
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.query('RESET ROLE');
  }
}

const makeOld = async (table = 'storage_records') => {
  await as('llama_owner', 'SELECT llama.create_monthly_partition($1, $2)', [table, '2023-01-01']);
};

const tenant = (name: string, days: number | null) =>
  as('admin_role', 'INSERT INTO llama.tenant_configs (tenant_id, storage_retention_days) VALUES ($1, $2)', [
    name,
    days,
  ]);

const record = (name: string, timestamp: string) =>
  as(
    'admin_role',
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
     VALUES ($1, 'h', '{"secret":"content"}', 'm', 'd', $2)`,
    [name, timestamp],
  );

/** `attached`, `pending`, `detached` or `gone`. */
async function state(leaf: string): Promise<string> {
  const [row] = await as(
    'llama_owner',
    `SELECT CASE WHEN c.oid IS NULL THEN 'gone' WHEN i.inhdetachpending THEN 'pending'
                 WHEN i.inhdetachpending IS NULL THEN 'detached' ELSE 'attached' END AS state
       FROM (SELECT to_regclass('llama.' || $1) AS oid) AS c LEFT JOIN pg_inherits AS i ON i.inhrelid = c.oid`,
    [leaf],
  );
  return row?.state;
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  for (let left = 400; left > 0; left -= 1) {
    if (await condition()) return;
    await sleep(50);
  }
  throw new Error(`${what} did not happen`);
}

/** A transaction that has read every partition and stays open. */
async function longRead(): Promise<pg.Client> {
  const reader = await database.connect();
  await reader.query('BEGIN; SET LOCAL ROLE admin_role; SELECT count(*) FROM llama.storage_records');
  return reader;
}

const pidOf = async (application: string) => {
  const rows = await database.query<{ pid: number }>(
    'superuser',
    'SELECT pid FROM pg_stat_activity WHERE datname = $1 AND starts_with(application_name, $2)',
    [database.name, application],
  );
  return rows[0]?.pid;
};

describe('months ahead', () => {
  it('creates and reports missing partitions, and creates nothing in a second run', async () => {
    await as(
      'llama_owner',
      "UPDATE llama.partitioned_tables SET months_ahead = 5 WHERE table_name = 'audit_trail'",
    );
    const first = await keepHouse();
    expect(changes(first.actions)).toHaveLength(2);
    for (const change of changes(first.actions)) expect(change).toMatch(/^audit_trail_y\d{4}m\d{2} created$/);
    expect(lines.filter((line) => /^Partition audit_trail_y\d{4}m\d{2} created$/.test(line))).toHaveLength(2);
    for (const { object } of first.actions.filter(({ done }) => done === 'created')) {
      expect(await state(object)).toBe('attached');
    }
    expect(changes((await keepHouse()).actions)).toEqual([]);
  });
});

describe('partitions past retention', () => {
  it('detaches and drops unprotected partitions of every table, and changes nothing in a second run', async () => {
    await makeOld();
    await makeOld('audit_trail');
    await tenant('short', 30);
    await record('short', '2023-01-10T00:00:00Z');
    const { actions } = await keepHouse();
    expect(changes(actions)).toEqual([
      'storage_records erased',
      `${oldAudit} detached`,
      `${oldAudit} dropped`,
      `${old} detached`,
      `${old} dropped`,
    ]);
    expect([await state(old), await state(oldAudit)]).toEqual(['gone', 'gone']);
    expect(changes((await keepHouse()).actions)).toEqual([]);
  });

  it('drops a month of the audit trail only if its rows match its seals, and adds a closing seal', async () => {
    await makeOld('audit_trail');
    const superuser = await database.connect('superuser');
    const add = (key: string, month: string) =>
      superuser.query(
        `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
         VALUES ('alpha', 'storage_records', 'SELECT', $1, $2)`,
        [key, `${month}-10`],
      );
    await add('first', '2023-01');
    await until('the sealing', async () => {
      await as('maintenance_role', 'SELECT llama.seal_audit_trail()');
      return (await as('admin_role', 'SELECT FROM llama.audit_seals')).length > 0;
    });
    await superuser.query(`SET session_replication_role = replica;
      UPDATE llama.audit_trail SET user_id = 'somebody else';
      SET session_replication_role = origin`);
    expect(changes((await keepHouse()).actions)).toEqual([`${oldAudit} left attached`]);
    expect(lines).toContainEqual(
      expect.stringMatching(
        new RegExp(`^Partition ${oldAudit} left attached: .*2023-01 .*seal 1.*; llama-db audit verify`),
      ),
    );

    await superuser.query(`SET session_replication_role = replica;
      UPDATE llama.audit_trail SET user_id = NULL;
      SET session_replication_role = origin`);
    const { actions } = await keepHouse();
    expect(changes(actions)).toEqual([`${oldAudit} detached`, `${oldAudit} dropped`]);
    expect(actions).toContainEqual(
      expect.objectContaining({ step: 'seals', done: 'closed', object: oldAudit }),
    );
    expect(await as('admin_role', `SELECT kind, row_count FROM llama.audit_seals ORDER BY number`)).toEqual([
      { kind: 'rows', row_count: '1' },
      { kind: 'closing', row_count: '1' },
    ]);
    const checked = await run(['audit', 'verify', '--url', database.url()]);
    expect(checked).toMatchObject({ code: 0, stdout: expect.stringContaining('1 month closed') });
  });

  it('reattaches a detached month of the audit trail without a closing seal', async () => {
    await makeOld('audit_trail');
    await as('llama_owner', `ALTER TABLE llama.audit_trail DETACH PARTITION llama.${oldAudit}`);
    await as(
      'llama_owner',
      `COMMENT ON TABLE llama.${oldAudit} IS 'llama-db maintain: past its retention, to be dropped'`,
    );
    const { actions } = await keepHouse();
    expect(changes(actions).slice(0, 1)).toEqual([`${oldAudit} attached again`]);
    expect(lines.join('\n')).toContain('it has no closing seal');
  });

  it.each([
    ['was added', 'x2', `row 2 of ${oldAudit} was added to the sealed rows of the month`],
    ['was changed', undefined, `at least 1 of 1 row changed (seal 1, ${oldAudit}, rows numbered 1 to 1)`],
  ])('keeps a month of the audit trail in which a row %s after its closing', async (_, added, detail) => {
    await makeOld('audit_trail');
    const superuser = await database.connect('superuser');
    const add = (table: string, key: string) =>
      superuser.query(
        `INSERT INTO llama.${table} (tenant_id, table_name, operation, record_key, "timestamp", sequence)
         VALUES ('alpha', 'storage_records', 'SELECT', $1, '2023-01-10', nextval('llama.audit_sequence'))`,
        [key],
      );
    await add('audit_trail', 'x1');
    await until('the sealing', async () => {
      await as('maintenance_role', 'SELECT llama.seal_audit_trail()');
      return (await as('admin_role', 'SELECT FROM llama.audit_seals')).length > 0;
    });
    await as('llama_owner', `SELECT llama.close_audit_partition('2023-01-01')`);
    await as('llama_owner', `ALTER TABLE llama.audit_trail DETACH PARTITION llama.${oldAudit}`);
    await as(
      'llama_owner',
      `COMMENT ON TABLE llama.${oldAudit} IS 'llama-db maintain: past its retention, to be dropped'`,
    );
    if (added) await add(oldAudit, added);
    else await superuser.query(`UPDATE llama.${oldAudit} SET user_id = 'somebody else'`);

    expect(changes((await keepHouse({ keepDetached: true })).actions).slice(0, 1)).toEqual([
      `${oldAudit} attached again`,
    ]);
    expect(lines).toContain(
      `Partition ${oldAudit} attached again: ${detail}; llama-db audit verify lists the differences`,
    );
    expect(await state(oldAudit)).toBe('attached');
    const [row] = await superuser
      .query<{ open: boolean; grants: number }>(
        `SELECT NOT (relrowsecurity AND relforcerowsecurity) AS open,
                (SELECT count(*)::int FROM aclexplode(relacl) WHERE grantee <> relowner) AS grants
           FROM pg_class WHERE oid = 'llama.${oldAudit}'::regclass`,
      )
      .then(({ rows }) => rows);
    expect(row).toEqual({ open: false, grants: 0 });
  });

  it.each([
    ['longer days', 36_500],
    ['negative days, which erase nothing', -1],
    ['no end', null],
  ])(
    'leaves a partition attached if a tenant protects it with %s, and counts such tenants',
    async (_, days) => {
      await makeOld();
      await tenant('archive', days);
      await record('archive', '2023-01-10T00:00:00Z');
      const { actions } = await keepHouse();
      expect(actions).toContainEqual(
        expect.objectContaining({ object: old, done: 'left attached', tenants: 1 }),
      );
      expect(lines.join('\n')).toContain(
        `Partition ${old} left attached: storage_retention_days of 1 tenant still protects rows in it`,
      );
      expect(await state(old)).toBe('attached');
      expect(
        await as('admin_role', "SELECT FROM llama.storage_records WHERE tenant_id = 'archive'"),
      ).toHaveLength(1);
    },
  );

  it('erases the records of a month before its drop, so the trail has key and hash of each', async () => {
    await makeOld();
    await tenant('short', 30);
    for (let n = 0; n < 3; n += 1) await record('short', '2023-01-10T00:00:00Z');
    const cut = await keepHouse({ eraseSeconds: 0 });
    expect(cut.actions).toContainEqual(
      expect.objectContaining({
        ...{ object: old, done: 'left attached' },
        detail: 'rows of 1 tenant past their retention are not erased yet',
      }),
    );
    expect(await state(old)).toBe('attached');
    await keepHouse();
    expect(await state(old)).toBe('gone');
    const trail = await as(
      'admin_role',
      "SELECT FROM llama.audit_trail WHERE tenant_id = 'short' AND operation = 'DELETE' AND content_hash IS NOT NULL",
    );
    expect(trail).toHaveLength(3);
  });

  it('keeps the records of a tenant without configuration', async () => {
    await makeOld();
    await record('unconfigured', '2023-01-10T00:00:00Z');
    const { actions } = await keepHouse();
    expect(actions).toContainEqual(
      expect.objectContaining({ object: old, done: 'left attached', tenants: 1 }),
    );
    expect(await as('admin_role', 'SELECT FROM llama.storage_records')).toHaveLength(1);
  });

  it('reattaches a partition with a new record, and erases the record in the next run', async () => {
    await makeOld();
    await tenant('late', 30);
    await record('late', '2023-01-10T00:00:00Z');
    await as('llama_owner', `ALTER TABLE llama.storage_records DETACH PARTITION llama.${old}`);
    await as(
      'llama_owner',
      `COMMENT ON TABLE llama.${old} IS 'llama-db maintain: past its retention, to be dropped'`,
    );
    expect(changes((await keepHouse()).actions)).toContain(`${old} attached again`);
    await keepHouse();
    expect(await state(old)).toBe('gone');
  });

  it('keeps partitions and records of a tenant with negative retention days', async () => {
    await makeOld();
    await tenant('negative', -1);
    await record('negative', '2023-01-10T00:00:00Z');
    await keepHouse();
    expect(await state(old)).toBe('attached');
    expect(await as('admin_role', 'SELECT FROM llama.storage_records')).toHaveLength(1);
  });

  it('waits for a detach of another session without disturbing it', async () => {
    await makeOld();
    const reader = await longRead();
    const other = await database.connect();
    await other.query('SET ROLE llama_owner');
    const detach = other
      .query(`ALTER TABLE llama.storage_records DETACH PARTITION llama.${old} CONCURRENTLY`)
      .then(() => 'done');
    await until('the detach', async () => (await state(old)) === 'pending');
    await expect(keepHouse({ detachWaitSeconds: 1 })).rejects.toMatchObject({
      code: 'maintain/detach-by-another',
      what: expect.stringContaining('storage_records_y2023m01'),
      why: expect.stringMatching(/^backend \d+/),
      message: expect.stringMatching(/^[^\n]+$/),
    });
    const running = keepHouse();
    await sleep(500);
    await reader.query('COMMIT');
    expect(await detach).toBe('done');
    expect(changes((await running).actions)).toEqual([`${old} left detached`]);
    expect(await state(old)).toBe('detached');
  });

  it('keeps detached tables on request, and a later run does not drop them', async () => {
    await makeOld();
    expect(changes((await keepHouse({ keepDetached: true })).actions)).toEqual([
      `${old} detached`,
      `${old} left detached`,
    ]);
    expect(changes((await keepHouse()).actions)).toEqual([`${old} left detached`]);
    expect(await state(old)).toBe('detached');
  });

  it('leaves a partition attached whose name does not match its month, and continues with the others', async () => {
    await makeOld();
    await as(
      'llama_owner',
      `CREATE TABLE llama.storage_records_before (LIKE llama.storage_records INCLUDING ALL);
       ALTER TABLE llama.storage_records ATTACH PARTITION llama.storage_records_before
         FOR VALUES FROM (MINVALUE) TO ('2023-01-01 00:00:00+00')`,
    );
    await record('keeper', '2019-05-05');
    const past = await as(
      'maintenance_role',
      'SELECT partition_name, protected_by::int FROM llama.partitions_past_retention() ORDER BY 1',
    );
    expect(past).toEqual([
      { partition_name: 'storage_records_before', protected_by: 1 },
      { partition_name: old, protected_by: 0 },
    ]);
    await tenant('keeper', 0);
    const { actions } = await keepHouse();
    expect(await state('storage_records_before')).toBe('attached');
    expect(await state(old)).toBe('gone');
    const left = actions.find(({ object }) => object === 'storage_records_before');
    expect(left).toMatchObject({ done: 'left attached', detail: expect.stringMatching(/PAR-004/) });
  });

  it('never drops a table that it did not detach', async () => {
    await makeOld();
    await as('llama_owner', `ALTER TABLE llama.storage_records DETACH PARTITION llama.${old}`);
    await keepHouse();
    expect(await state(old)).toBe('detached');
    expect(lines.join('\n')).toContain('this command did not detach it');
  });
});

describe('an interrupted run', () => {
  /** Ends the backend of a run in the middle of its detach, as a failover would. */
  async function interrupted(): Promise<void> {
    const reader = await longRead();
    const running = keepHouse().then(
      () => undefined,
      (error: Error) => error,
    );
    await until('the detach', async () => (await state(old)) === 'pending');
    const pid = await pidOf('llama-db maintain');
    await database.query('superuser', 'SELECT pg_terminate_backend($1)', [pid]);
    const error = await running;
    expect(error).toMatchObject({
      code: 'connection/ended-by-server',
      message: expect.stringMatching(/^[^\n]+$/),
    });
    await reader.query('COMMIT');
    expect(await state(old)).toBe('pending');
  }

  it('is finished by the next run', async () => {
    await makeOld();
    await interrupted();
    lines = [];
    expect(changes((await keepHouse()).actions)).toEqual([`${old} finalized`, `${old} dropped`]);
    expect(await state(old)).toBe('gone');
    expect(changes((await keepHouse()).actions)).toEqual([]);
  });

  it('is followed by a reattached partition with all rows if it received a protected record', async () => {
    await makeOld();
    await tenant('changed', null);
    await interrupted();
    // The record stands for one written between the check of the partition and its detach.
    await database.query(
      'superuser',
      // A detached leaf keeps the trigger that refuses a write which names it.
      `SET session_replication_role = replica;
       INSERT INTO llama.${old} (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
       VALUES ('changed', 'h', '{}', 'm', 'd', '2023-01-10T00:00:00Z')`,
    );
    expect(await as('admin_role', 'SELECT FROM llama.storage_records')).toHaveLength(0);
    const { actions } = await keepHouse();
    expect(actions).toContainEqual(
      expect.objectContaining({ object: old, done: 'attached again', tenants: 1 }),
    );
    expect(await state(old)).toBe('attached');
    expect(await as('admin_role', 'SELECT FROM llama.storage_records')).toHaveLength(1);
    const [leaf] = await as(
      'llama_owner',
      `SELECT c.relrowsecurity AND c.relforcerowsecurity AS guarded,
              EXISTS (SELECT FROM aclexplode(c.relacl) AS a WHERE a.grantee <> c.relowner) AS granted,
              obj_description(c.oid, 'pg_class') AS comment,
              pg_get_expr(c.relpartbound, c.oid) AS bounds,
              (SELECT count(*)::int FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgparentid <> 0) AS triggers,
              (SELECT count(*)::int FROM pg_trigger AS t
                WHERE t.tgrelid = 'llama.storage_records'::regclass AND NOT t.tgisinternal AND t.tgtype & 1 = 1) AS wanted
         FROM pg_class AS c WHERE c.oid = $1::regclass`,
      [`llama.${old}`],
    );
    expect(leaf).toMatchObject({ guarded: true, granted: false, comment: null, triggers: leaf?.wanted });
    expect(leaf?.bounds).toContain("FROM ('2023-01-01 00:00:00+00')");
  });

  it('by someone else is finalized, and the table is kept', async () => {
    await makeOld();
    const reader = await longRead();
    const other = await database.connect();
    other.on('error', () => undefined);
    await other.query('SET ROLE llama_owner');
    const { rows } = await other.query('SELECT pg_backend_pid() AS pid');
    const detach = other
      .query(`ALTER TABLE llama.storage_records DETACH PARTITION llama.${old} CONCURRENTLY`)
      .catch((error: Error) => error);
    await until('the detach', async () => (await state(old)) === 'pending');
    await database.query('superuser', 'SELECT pg_terminate_backend($1)', [rows[0]?.pid]);
    expect(await detach).toBeInstanceOf(Error);
    await reader.query('COMMIT');
    expect(changes((await keepHouse()).actions)).toEqual([`${old} finalized`, `${old} left detached`]);
    expect(await state(old)).toBe('detached');
  });
});

describe('a long read', () => {
  it('blocks neither writers nor other steps, and is named after the wait', async () => {
    await makeOld();
    await tenant('busy', 30);
    await as(
      'llama_owner',
      "UPDATE llama.partitioned_tables SET months_ahead = 4 WHERE table_name = 'storage_records'",
    );
    const reader = await longRead();
    const { rows } = await reader.query('SELECT pg_backend_pid() AS pid');
    let running = true;
    const outcome = keepHouse({ detachWaitSeconds: 3 })
      .then(
        () => undefined,
        (error: Error) => error,
      )
      .finally(() => {
        running = false;
      });
    let written = 0;
    await client.query('SET ROLE admin_role');
    await client.query("SET statement_timeout = '1s'");
    while (running) {
      await client.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
         VALUES ('busy', 'h', '{}', 'm', 'd')`,
      );
      written += 1;
      await sleep(20);
    }
    await client.query('RESET ROLE');
    const error = await outcome;
    expect(written).toBeGreaterThan(10);
    expect(error).toMatchObject({
      code: 'maintain/detach-timed-out',
      what: expect.stringContaining(old),
      why: expect.stringContaining(`backend ${rows[0]?.pid}`),
      remedy: expect.stringContaining('--detach-wait'),
      message: expect.stringMatching(/^[^\n]+$/),
    });
    expect(lines.join('\n')).toMatch(/storage_records_y\d{4}m\d{2} created/);
    expect(lines).toContain('View tenant_performance_summary refreshed');
    expect(await state(old)).toBe('pending');
    await reader.query('COMMIT');
    expect(changes((await keepHouse()).actions)).toEqual([`${old} finalized`, `${old} dropped`]);
  });
});

describe('records past retention', () => {
  it('are erased in batches; the trail keeps key and hash, not the content', async () => {
    await tenant('short', 7);
    await tenant('always', null);
    const [{ before } = { before: '' }] = await as(
      'admin_role',
      "SELECT greatest(now() - interval '8 days', date_trunc('month', now(), 'UTC') - interval '1 month')::text AS before",
    );
    for (let n = 0; n < 5; n += 1) await record('short', before);
    await record('always', before);
    const { actions } = await keepHouse({ batchSize: 2 });
    expect(actions).toContainEqual(expect.objectContaining({ step: 'records', done: 'erased', rows: 5 }));
    expect(await as('admin_role', 'SELECT tenant_id FROM llama.storage_records')).toEqual([
      { tenant_id: 'always' },
    ]);
    const trail = await as(
      'admin_role',
      `SELECT record_key, content_hash, old_values, new_values FROM llama.audit_trail
        WHERE tenant_id = 'short' AND table_name = 'storage_records' AND operation = 'DELETE'`,
    );
    expect(trail).toHaveLength(5);
    for (const entry of trail) {
      expect(entry.record_key).toMatch(/^[0-9a-f-]{36}$/);
      expect(entry.content_hash).toMatch(/^[0-9a-f]{64}$/);
      expect(entry).toMatchObject({ old_values: null, new_values: null });
    }
    expect(changes((await keepHouse()).actions)).toEqual([]);
  });
});

describe('a record that cannot be erased', () => {
  it('keeps no other tenant from it, and is reported', async () => {
    const superuser = await database.connect('superuser');
    const [{ before } = { before: '' }] = await as(
      'admin_role',
      "SELECT (now() - interval '8 days')::text AS before",
    );
    for (const name of ['alpha', 'damaged', 'omega']) {
      await tenant(name, 7);
      await record(name, before);
    }
    await superuser.query(`
      CREATE FUNCTION public.damaged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'missing chunk' USING ERRCODE = 'XX001'; END $$;
      CREATE TRIGGER damaged BEFORE DELETE ON llama.storage_records
        FOR EACH ROW WHEN (OLD.tenant_id = 'damaged') EXECUTE FUNCTION public.damaged()`);
    await expect(keepHouse({ batchSize: 1 })).rejects.toMatchObject({
      code: 'maintain/records-not-erased',
      why: "records of tenant 'damaged' past retention are not erased: missing chunk",
    });
    const left = await as(
      'admin_role',
      "SELECT tenant_id FROM llama.storage_records WHERE tenant_id <> 'always'",
    );
    expect(left).toEqual([{ tenant_id: 'damaged' }]);
    await superuser.query('DROP TRIGGER damaged ON llama.storage_records; DROP FUNCTION public.damaged()');
    await keepHouse();
    expect(await as('admin_role', "SELECT FROM llama.storage_records WHERE tenant_id <> 'always'")).toEqual(
      [],
    );
  });
});

describe('statistics and summary', () => {
  it('are updated for the parents and the summary', async () => {
    await tenant('counted', null);
    await record('counted', new Date().toISOString());
    await keepHouse();
    const [parent] = await as(
      'llama_owner',
      "SELECT reltuples FROM pg_class WHERE oid = 'llama.storage_records'::regclass",
    );
    expect(parent?.reltuples).toBe(1);
    expect(await as('admin_role', 'SELECT tenant_id FROM llama.tenant_performance_summary')).toEqual([
      { tenant_id: 'counted' },
    ]);
  });
});

describe('llama-db maintain', () => {
  it('prints one line per action, or one JSON document', async () => {
    await makeOld();
    const plain = await run(['maintain', '--url', database.url()]);
    expect(plain.stderr).toBe('');
    expect(plain.code).toBe(0);
    expect(plain.stdout).toContain(`Partition ${old} detached\nPartition ${old} dropped\n`);
    const json = await run(['maintain', '--url', database.url(), '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: true, actions: expect.any(Array) });
    const help = await run(['maintain', '--help']);
    expect(help.stdout).toContain('Example: llama-db maintain production');
  });

  it('runs twice at once: the second waits for the first, or fails with one line that names it', async () => {
    await makeOld();
    const reader = await longRead();
    const first = start(['maintain', '--url', database.url()]);
    await until('the detach', async () => (await state(old)) === 'pending');
    const impatient = await run(['maintain', '--url', database.url(), '--lock-wait', '0']);
    expect(impatient.code).toBe(1);
    expect(impatient.stderr).toMatch(/^[^\n]+llama-db maintain[^\n]+ \[lock\/held-by-another\]\n$/);
    const second = start(['maintain', '--url', database.url()]);
    await until('the second', async () => second.printed().includes('Waiting for another run'));
    await reader.query('COMMIT');
    const [one, two] = await Promise.all([first.finished, second.finished]);
    expect([one.code, two.code], one.stderr + two.stderr).toEqual([0, 0]);
    expect(one.stdout).toContain(`${old} dropped`);
    expect(two.stdout).not.toContain(old);
  });

  it('reports in one line that nothing is deployed before the first migration', async () => {
    const result = await run([
      'maintain',
      '--url',
      database.url('migrator').replace(database.name, 'postgres'),
    ]);
    expect(result.code).toBe(2);
    expect(result.stderr).toMatch(/^[^\n]+ \[maintain\/nothing-deployed\]\n$/);
  });

  it('writes the settings of the deployment into the registry that pg_cron reads', async () => {
    const target = await resolveTarget({ url: database.url() }, {});
    const deployment = {
      environment: 'test',
      primary: { host: 'localhost' },
      writer: 'primary',
      database: database.name,
      version: 17,
      administrator: 'migrator',
      authentication: 'password',
      extensions: [],
      parameters: {},
      logins: [],
      pools: [],
      partitions: { monthsAhead: 3, retentionDays: { model_metrics: 200 } },
    } as const;
    const reporter = { line: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) };
    const given = { ...target, deployment: { ...deployment, extensions: [], logins: [], pools: [] } };
    const { actions } = await maintain(given, { reporter });
    expect(changes(actions)).toEqual(['model_metrics changed']);
    expect(
      await as(
        'llama_owner',
        "SELECT retention_days FROM llama.partitioned_tables WHERE table_name = 'model_metrics'",
      ),
    ).toEqual([{ retention_days: 200 }]);
    expect(changes((await maintain(given, { reporter })).actions)).toEqual([]);
  });
});
