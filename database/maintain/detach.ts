/**
 * Retention by whole partitions: detaches without blocking other sessions, checks again, drops.
 *
 * DETACH … CONCURRENTLY waits for every transaction that used the table and cannot be undone halfway, so a run may end
 * at any point. A comment on the partition records the intention. Only tables with that comment are dropped, never one
 * that a person detached in order to archive it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../core/fault.ts';
import { counted, duration } from '../../core/text.ts';
import { sqlState } from '../diagnosis.ts';
import { asOwner } from '../migrator/prepare.ts';
import { closeAuditMonth } from './closing.ts';
import {
  type Inhabited,
  intention,
  kept,
  type Leaf,
  type Loose,
  mark,
  qualified,
  type Reason,
  settle,
  whyItStays,
} from './detached.ts';
import { leafName, month, monthName } from './months.ts';
import { limits, type Run } from './run.ts';

export interface DetachOptions {
  /** Keep detached tables instead of dropping them. @default false */
  readonly keepDetached?: boolean;
  /** Seconds that one detach may wait for older transactions; 0 means no limit. @default 3600 */
  readonly detachWaitSeconds?: number;
}

export interface Due extends Leaf, Inhabited {
  /** First instant after the partition. */
  readonly upper: Date;
}

/** Runs one part. @returns false after a Fault, which is kept until the end of the run */
export type Attempt = (doing: string, part: () => Promise<void>) => Promise<boolean>;

/**
 * Finishes the work of an earlier run, then detaches every partition past retention in which no tenant has records left.
 * A table whose readers block it does not delay the other tables.
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
      await awaitOtherDetach(run, table, options);
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
 * Waits for a detach of another session, because FINALIZE would make it fail. While that session waits, it holds no lock
 * on the table, so only its statement identifies it.
 *
 * @throws Fault naming the other session if it has not finished within `detachWaitSeconds`
 */
async function awaitOtherDetach(
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
        'maintain/detach-by-another',
        `Partition ${other.leaf} could not be detached`,
        `backend ${other.pid}, login ${other.login}, is detaching it; gave up after ${duration(waited)}`,
        'Let it finish or end it. Then run llama-db maintain again.',
      );
    }
    await sleep(500);
  }
}

async function finishEarlier(run: Run, table: string, options: DetachOptions): Promise<void> {
  for (const pending of await pendingDetaches(run, table)) {
    await detachWhenFree(run, pending, 'FINALIZE', options);
    run.act({ step: 'partitions', done: 'finalized', object: pending.leaf });
  }
  for (const loose of await looseTables(run, table)) await settle(run, loose, options.keepDetached ?? false);
}

async function detach(run: Run, due: Due, options: DetachOptions): Promise<void> {
  const { table, leaf } = due;
  const reason = whyDueStays(due);
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
  if (!options.keepDetached) await eraseCopies(run, due);
  await mark(run, leaf, intention);
  await detachWhenFree(run, { table, leaf }, 'CONCURRENTLY', options);
  run.act({ step: 'partitions', done: 'detached', object: leaf });
  await settle(run, { table, leaf, comment: intention }, options.keepDetached ?? false);
}

/** Removes the copies of the rows from the audit trail, which outlives them. Records were erased one by one, with theirs. */
export async function eraseCopies(run: Run, { table, leaf, upper }: Due): Promise<void> {
  const { client } = run.connection;
  const { rows: found } = await client.query<{ may: boolean }>(
    `SELECT NOT p.append_only AND p.table_name <> 'storage_records'
            AND pg_catalog.has_column_privilege('maintenance_owner', pg_catalog.format('llama.%I', p.table_name), 'tenant_id', 'SELECT') AS may
       FROM llama.partitioned_tables AS p WHERE p.table_name = $1`,
    [table],
  );
  if (!found[0]?.may) return;
  let erased = 0;
  for (let last: readonly [string | null, string | null] = [null, null]; ; ) {
    const { rows } = await client.query<{
      last_tenant: string | null;
      last_id: string | null;
      erased: number;
    }>('SELECT * FROM llama.erase_audit_of_month($1, $2, $3, $4, 5000)', [
      table,
      `${monthName(month(upper, -1))}-01`,
      ...last,
    ]);
    const [batch] = rows;
    if (!batch?.last_id) break;
    erased += batch.erased;
    last = [batch.last_tenant, batch.last_id];
  }
  if (erased === 0) return;
  const detail = `the content of ${counted(erased, 'row')} about rows of ${leaf}`;
  run.act({ step: 'records', done: 'erased', object: 'audit_trail', rows: erased, detail });
}

/** A partition needs the name of its month: a detached table has no bounds, so only its name still shows the month. */
export function whyDueStays(due: Due): Reason | undefined {
  if (due.leaf === leafName(due.table, month(due.upper, -1))) return whyItStays(due);
  return { detail: `its name does not match its month of ${due.table} (PAR-004): detach it by hand` };
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

/** Tables with the name of a partition that are not attached. */
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

export async function partitionsPastRetention({ connection }: Run): Promise<readonly Due[]> {
  const { rows } = await connection.client.query<Due>(
    `SELECT table_name AS "table", partition_name AS leaf, upper_bound AS upper, protected_by::int AS tenants,
            to_be_erased_of::int AS late
       FROM llama.partitions_past_retention()`,
  );
  return rows;
}

/** Removes the comment from partitions that stay; otherwise a later detach by hand would lead to their drop. */
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
  const going = new Set(due.filter((partition) => !whyDueStays(partition)).map(({ leaf }) => leaf));
  for (const { leaf } of rows) if (!going.has(leaf)) await mark(run, leaf, undefined);
}

/**
 * Waits up to `detachWaitSeconds`. The wait blocks no other session, whereas a detach that gives up early would never
 * finish on a table with continuous readers.
 */
async function detachWhenFree(
  run: Run,
  { table, leaf }: Leaf,
  how: 'CONCURRENTLY' | 'FINALIZE',
  { detachWaitSeconds = 3600 }: DetachOptions,
): Promise<void> {
  const { client } = run.connection;
  const start = performance.now();
  // The whole statement has the limit, because its waits are many: one per older transaction.
  const limit = (statement: number, lock: number) =>
    client.query(
      "SELECT pg_catalog.set_config('statement_timeout', $1, false), pg_catalog.set_config('lock_timeout', $2, false)",
      [String(statement), String(lock)],
    );
  const usual = () => limit(0, limits.lockTimeout);
  await limit(detachWaitSeconds * 1000, 0);
  const waiting = setInterval(() => {
    const waited = duration(performance.now() - start);
    run.reporter.line(`Partition ${leaf} is being detached: waiting for older transactions since ${waited}`);
  }, 30_000);
  try {
    await client.query(`ALTER TABLE ${qualified(table)} DETACH PARTITION ${qualified(leaf)} ${how}`);
  } catch (error) {
    if (sqlState(error) !== '57014') throw error;
    await usual();
    throw new Fault(
      'maintain/detach-timed-out',
      `Partition ${leaf} could not be detached`,
      `${await oldestTransaction(run)}; gave up after ${duration(performance.now() - start)}`,
      'End that transaction, or wait longer with --detach-wait <seconds>; the next run finishes what this one began.',
      { cause: error },
    );
  } finally {
    clearInterval(waiting);
    await usual().catch(() => undefined);
  }
}

async function oldestTransaction({ connection }: Run): Promise<string> {
  // Only the login, not llama_owner, may see the activity of other sessions.
  await connection.client.query('SET ROLE NONE');
  const { rows } = await connection.client.query<{ pid: number; name: string; login: string; since: Date }>(
    `SELECT pid, application_name AS name, usename AS login, xact_start AS since
       FROM pg_catalog.pg_stat_activity
      WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL
      ORDER BY xact_start LIMIT 1`,
  );
  const [oldest] = rows;
  if (!oldest) return 'it waited for older transactions, which have ended by now';
  return `it waits for older transactions, the oldest of backend ${oldest.pid}, ${oldest.name || 'unnamed application'}, login ${oldest.login}, since ${oldest.since.toISOString()}`;
}
