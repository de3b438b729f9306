/**
 * Retention by whole partitions: detach without stopping anybody, look again, drop.
 *
 * DETACH … CONCURRENTLY waits for every transaction that used the table and cannot be undone halfway, so a run may
 * end at any point. What it meant to do stands as a comment on the partition, and only tables with that comment are
 * ever dropped: one that a person detached to archive it is nobody else's business.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { sqlState } from '../diagnosis.ts';
import { Fault } from '../fault.ts';
import { asOwner } from '../migrations/prepare.ts';
import { duration } from '../report.ts';
import { closeAuditMonth, isAuditMonthClosed } from './closing.ts';
import { monthOf } from './months.ts';
import { briefly, type Run } from './run.ts';

export interface DetachOptions {
  /** Leave detached tables where they are. @default false */
  readonly keepDetached?: boolean;
  /** Seconds one detach may wait for older transactions; 0 has no limit. @default 3600 */
  readonly detachWaitSeconds?: number;
}

const intention = 'llama-db maintain: past its retention, to be dropped';
const kept = 'llama-db maintain: past its retention, detached and kept';

interface Leaf {
  readonly table: string;
  readonly leaf: string;
}

interface Due extends Leaf, Inhabited {}

/** Whose rows a partition still holds; only one without any may go. */
interface Inhabited {
  /** Tenants whose retention protects rows in it, or who have none. */
  readonly tenants: number;
  /** Tenants whose rows there are due and not erased yet. */
  readonly late: number;
}

interface Loose extends Leaf {
  readonly comment: string | null;
}

/** Runs one part; on a fault keeps it for the end and says false. */
export type Attempt = (doing: string, part: () => Promise<void>) => Promise<boolean>;

/**
 * Finishes what an earlier run left, then detaches every partition past retention that holds nobody's records; a table
 * whose readers do not let it finish does not keep the others from theirs.
 */
export async function detachExpired(
  run: Run,
  tables: readonly string[],
  options: DetachOptions,
  attempt: Attempt,
): Promise<void> {
  const free: string[] = [];
  for (const table of tables) {
    const finish = async () => {
      await letOthersFinish(run, table, options);
      await asOwner(run.connection, () => finishEarlier(run, table, options));
    };
    if (await attempt(`Detached partitions of ${table}`, finish)) free.push(table);
  }
  let due: readonly Due[] = [];
  await attempt('Partitions past retention', async () => {
    due = await asOwner(run.connection, async () => {
      const found = await partitionsPastRetention(run);
      await forgetOldIntentions(run, found);
      return found;
    });
  });
  for (const table of free) {
    const own = due.filter((partition) => partition.table === table);
    await attempt(`Partitions of ${table}`, () =>
      asOwner(run.connection, async () => {
        for (const partition of own) await detach(run, partition, options);
      }),
    );
  }
}

/**
 * FINALIZE takes a detach out of the hands of whoever is still at it, and fails theirs. That one holds no lock on
 * the table while it waits, so its statement is the only sign of it.
 *
 * @throws Fault naming the session that is still at it when the wait is over.
 */
async function letOthersFinish(
  { connection: { client } }: Run,
  table: string,
  { detachWaitSeconds = 3600 }: DetachOptions,
): Promise<void> {
  const start = performance.now();
  for (;;) {
    const { rows } = await client.query<{ leaf: string; pid: number; login: string }>(
      `SELECT c.relname AS leaf, a.pid, a.usename AS login
         FROM pg_catalog.pg_inherits AS i
         JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
         JOIN pg_catalog.pg_stat_activity AS a
           ON a.datname = pg_catalog.current_database() AND a.pid <> pg_catalog.pg_backend_pid() AND a.state = 'active'
          AND a.query ~* 'detach\\s+partition' AND pg_catalog.strpos(a.query, c.relname) > 0
        WHERE i.inhparent = pg_catalog.format('llama.%I', $1::text)::pg_catalog.regclass AND i.inhdetachpending`,
      [table],
    );
    const [other] = rows;
    if (!other) return;
    const waited = performance.now() - start;
    if (detachWaitSeconds > 0 && waited >= detachWaitSeconds * 1000) {
      throw new Fault(
        `Partition ${other.leaf} could not be detached`,
        `backend ${other.pid}, login ${other.login}, is detaching it; gave up after ${duration(waited)}`,
        'Let it finish or end it, then run llama-db maintain again.',
      );
    }
    await sleep(500);
  }
}

async function finishEarlier(run: Run, table: string, options: DetachOptions): Promise<void> {
  for (const pending of await pendingDetaches(run, table)) {
    await patiently(run, pending, 'FINALIZE', options);
    run.act({ step: 'partitions', done: 'finalized', object: pending.leaf });
  }
  for (const loose of await looseTables(run, table)) await settle(run, loose, options);
}

async function detach(run: Run, { table, leaf, ...inhabited }: Due, options: DetachOptions): Promise<void> {
  const reason = whyItStays(inhabited);
  if (reason) {
    run.act({ step: 'partitions', done: 'left attached', object: leaf, ...reason });
    return;
  }
  if (table === 'audit_trail') {
    const reason = await closeAuditMonth(run, leaf);
    if (reason !== undefined) {
      run.act({ step: 'partitions', done: 'left attached', object: leaf, detail: reason });
      return;
    }
  }
  await mark(run, leaf, intention);
  await patiently(run, { table, leaf }, 'CONCURRENTLY', options);
  run.act({ step: 'partitions', done: 'detached', object: leaf });
  await settle(run, { table, leaf, comment: intention }, options);
}

/** A record that left with its partition would leave neither key nor hash in the audit trail. */
function whyItStays({
  tenants,
  late,
}: Inhabited): { readonly detail: string; readonly tenants?: number } | undefined {
  const count = (number: number) => `${number} ${number === 1 ? 'tenant' : 'tenants'}`;
  if (tenants > 0) {
    return { tenants, detail: `storage_retention_days of ${count(tenants)} still protects rows in it` };
  }
  if (late > 0) return { detail: `rows of ${count(late)} past their retention are still to be erased` };
  return undefined;
}

async function pendingDetaches({ connection }: Run, table: string): Promise<readonly Leaf[]> {
  const { rows } = await connection.client.query<Leaf>(
    `SELECT p.table_name AS "table", c.relname AS leaf
       FROM llama.partitioned_tables AS p
       JOIN pg_catalog.pg_inherits AS i
         ON i.inhparent = pg_catalog.format('llama.%I', p.table_name)::pg_catalog.regclass AND i.inhdetachpending
       JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
      WHERE p.table_name = $1
      ORDER BY 2`,
    [table],
  );
  return rows;
}

/** Tables named like a partition that are none. */
async function looseTables({ connection }: Run, table: string): Promise<readonly Loose[]> {
  const { rows } = await connection.client.query<Loose>(
    `SELECT p.table_name AS "table", c.relname AS leaf, pg_catalog.obj_description(c.oid, 'pg_class') AS comment
       FROM llama.partitioned_tables AS p
       JOIN pg_catalog.pg_class AS c ON c.relname ~ ('^' || p.table_name || '_y[0-9]{4}m[0-9]{2}$')
      WHERE p.table_name = $1 AND c.relnamespace = 'llama'::pg_catalog.regnamespace AND c.relkind = 'r'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhrelid = c.oid)
      ORDER BY 2`,
    [table],
  );
  return rows;
}

async function partitionsPastRetention({ connection }: Run): Promise<readonly Due[]> {
  const { rows } = await connection.client.query<Due>(
    `SELECT table_name AS "table", partition_name AS leaf, protected_by::int AS tenants, to_be_erased_of::int AS late
       FROM llama.partitions_past_retention()`,
  );
  return rows;
}

/** A partition that is no longer to go must not be dropped should somebody detach it by hand one day. */
async function forgetOldIntentions(run: Run, due: readonly Due[]): Promise<void> {
  const { rows } = await run.connection.client.query<{ leaf: string }>(
    `SELECT c.relname AS leaf
       FROM llama.partitioned_tables AS p
       JOIN pg_catalog.pg_inherits AS i
         ON i.inhparent = pg_catalog.format('llama.%I', p.table_name)::pg_catalog.regclass
       JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
      WHERE pg_catalog.obj_description(c.oid, 'pg_class') IN ($1, $2)`,
    [intention, kept],
  );
  const going = new Set(due.filter((partition) => !whyItStays(partition)).map(({ leaf }) => leaf));
  for (const { leaf } of rows) if (!going.has(leaf)) await mark(run, leaf, undefined);
}

async function mark(run: Run, leaf: string, comment: string | undefined): Promise<void> {
  const text = comment === undefined ? 'NULL' : pg.escapeLiteral(comment);
  await briefly(run, `Marking partition ${leaf}`, () =>
    run.connection.client.query(`COMMENT ON TABLE ${qualified(leaf)} IS ${text}`),
  );
}

/**
 * Waits as long as it takes, within `detachWaitSeconds`: others are not stopped meanwhile, and a detach that gives up
 * early is pending for ever on a table that always has some reader.
 */
async function patiently(
  run: Run,
  { table, leaf }: Leaf,
  how: 'CONCURRENTLY' | 'FINALIZE',
  { detachWaitSeconds = 3600 }: DetachOptions,
): Promise<void> {
  const { client } = run.connection;
  const start = performance.now();
  const limit = (milliseconds: number) =>
    client.query("SELECT pg_catalog.set_config('statement_timeout', $1, false)", [String(milliseconds)]);
  await limit(detachWaitSeconds * 1000);
  const waiting = setInterval(() => {
    const waited = duration(performance.now() - start);
    run.reporter.line(`Partition ${leaf} is being detached: waiting for older transactions since ${waited}`);
  }, 30_000);
  try {
    await client.query(`ALTER TABLE ${qualified(table)} DETACH PARTITION ${qualified(leaf)} ${how}`);
  } catch (error) {
    if (sqlState(error) !== '57014') throw error;
    await limit(0);
    throw new Fault(
      `Partition ${leaf} could not be detached`,
      `${await oldestTransaction(run)}; gave up after ${duration(performance.now() - start)}`,
      'End that transaction, or wait longer with --detach-wait <seconds>; the next run finishes what this one began.',
      { cause: error },
    );
  } finally {
    clearInterval(waiting);
    await limit(0).catch(() => undefined);
  }
}

async function oldestTransaction({ connection }: Run): Promise<string> {
  // Only the login may see what others do.
  await connection.client.query('RESET ROLE');
  const { rows } = await connection.client.query<{ pid: number; name: string; login: string; since: Date }>(
    `SELECT pid, application_name AS name, usename AS login, xact_start AS since
       FROM pg_catalog.pg_stat_activity
      WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL
      ORDER BY xact_start LIMIT 1`,
  );
  const [oldest] = rows;
  if (!oldest) return 'it waited for older transactions, of which none is to be seen now';
  return `it waits for older transactions, the oldest is that of backend ${oldest.pid}, ${oldest.name || 'unnamed application'}, login ${oldest.login}, since ${oldest.since.toISOString()}`;
}

/** What becomes of a detached table: dropped, kept, or attached again because rows have come or a tenant protects them. */
async function settle(run: Run, { table, leaf, comment }: Loose, options: DetachOptions): Promise<void> {
  if (comment === kept) {
    run.act({
      step: 'partitions',
      done: 'left detached',
      object: leaf,
      detail: 'kept by an earlier --keep-detached',
    });
    return;
  }
  if (comment !== intention) {
    const detail = 'it was not detached by this command: attach it again, archive it, or drop it';
    run.act({ step: 'partitions', done: 'left detached', object: leaf, detail });
    return;
  }
  const reason = await briefly(run, `Dropping partition ${leaf}`, () =>
    dropUnlessProtected(run, { table, leaf }, options.keepDetached ?? false),
  );
  if (reason === undefined) {
    if (options.keepDetached) {
      await mark(run, leaf, kept);
      run.act({
        step: 'partitions',
        done: 'left detached',
        object: leaf,
        detail: 'kept, as --keep-detached asks',
      });
    } else run.act({ step: 'partitions', done: 'dropped', object: leaf });
    return;
  }
  await briefly(run, `Attaching partition ${leaf} again`, () => attachAgain(run, { table, leaf }));
  run.act({ step: 'partitions', done: 'attached again', object: leaf, ...reason });
}

/**
 * Looks again before the table is gone for good: a detach may have waited for hours, and settings and tenants change.
 *
 * @returns why it must stay, undefined when it may go (and is gone, unless `keep`).
 */
async function dropUnlessProtected(
  run: Run,
  { table, leaf }: Leaf,
  keep: boolean,
): Promise<{ readonly detail: string; readonly tenants?: number } | undefined> {
  const { client } = run.connection;
  const { to: upper } = monthOf(leaf);
  await client.query('BEGIN');
  try {
    await client.query(`LOCK TABLE ${qualified(leaf)} IN ACCESS EXCLUSIVE MODE`);
    const { rows: past } = await client.query<{ due: boolean }>(
      `SELECT $2::timestamptz <= pg_catalog.now() - pg_catalog.make_interval(days => retention_days) AS due
         FROM llama.partitioned_tables WHERE table_name = $1`,
      [table, upper],
    );
    if (past[0]?.due !== true) {
      await client.query('ROLLBACK');
      return { detail: 'it is no longer past its retention' };
    }
    if (table === 'audit_trail' && !(await isAuditMonthClosed(run, leaf))) {
      await client.query('ROLLBACK');
      return {
        detail: 'no closing hash is kept of it, without which the audit trail could not be checked any more',
      };
    }
    if (table === 'storage_records') {
      // Forced row-level security without a policy shows nobody a row, the owner included. Nobody else sees the
      // table while this transaction holds it, and it ends dropped or rolled back.
      await client.query(
        `ALTER TABLE ${qualified(leaf)} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY`,
      );
      await client.query(`GRANT SELECT ON TABLE ${qualified(leaf)} TO maintenance_role`);
      await client.query('SET LOCAL ROLE maintenance_role');
      const { rows } = await client.query<Inhabited>(
        `SELECT count(*) FILTER (WHERE h.kept)::int AS tenants, count(*) FILTER (WHERE NOT h.kept)::int AS late
           FROM (SELECT s.tenant_id, pg_catalog.bool_or(
                          c.storage_retention_days IS NULL OR c.storage_retention_days < 0 OR
                          s."timestamp" >= pg_catalog.now() - pg_catalog.make_interval(days => c.storage_retention_days)) AS kept
                   FROM ${qualified(leaf)} AS s LEFT JOIN llama.tenant_configs AS c ON c.tenant_id = s.tenant_id
                  GROUP BY s.tenant_id) AS h`,
      );
      const [inhabited] = rows;
      if (inhabited === undefined) throw new Error('the count of protecting tenants came back empty');
      const reason = whyItStays(inhabited);
      if (reason) {
        await client.query('ROLLBACK');
        return reason;
      }
      await client.query('SET LOCAL ROLE llama_owner');
    }
    if (!keep) await client.query(`DROP TABLE ${qualified(leaf)}`);
    await client.query(keep ? 'ROLLBACK' : 'COMMIT');
    return undefined;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function attachAgain({ connection: { client } }: Run, { table, leaf }: Leaf): Promise<void> {
  const bounds = monthOf(leaf);
  const [from, to] = [bounds.from, bounds.to].map(
    (instant) => `'${instant.toISOString().slice(0, 10)} 00:00:00+00'`,
  );
  await client.query('BEGIN');
  try {
    await client.query(
      `ALTER TABLE ${qualified(table)} ATTACH PARTITION ${qualified(leaf)} FOR VALUES FROM (${from}) TO (${to})`,
    );
    // DETACH … CONCURRENTLY left its bounds behind as a check of the leaf's own, which ATTACH has used by now.
    const { rows } = await client.query<{ name: string }>(
      `SELECT conname AS name FROM pg_catalog.pg_constraint
        WHERE conrelid = $1::pg_catalog.regclass AND contype = 'c' AND conislocal AND coninhcount = 0`,
      [qualified(leaf)],
    );
    for (const { name } of rows) {
      await client.query(`ALTER TABLE ${qualified(leaf)} DROP CONSTRAINT ${pg.escapeIdentifier(name)}`);
    }
    await client.query(`COMMENT ON TABLE ${qualified(leaf)} IS NULL`);
    await client.query('COMMIT');
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

function qualified(name: string): string {
  return `llama.${pg.escapeIdentifier(name)}`;
}
