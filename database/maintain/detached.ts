/**
 * What becomes of a detached partition: dropped, kept, or attached again. Only tables that bear the command's own
 * comment are ever dropped.
 */
import pg from 'pg';
import { compareDetachedMonth, isAuditMonthClosed } from './closing.ts';
import { monthOf } from './months.ts';
import { type Action, briefly, type Run } from './run.ts';

export const intention = 'llama-db maintain: past its retention, to be dropped';
export const kept = 'llama-db maintain: past its retention, detached and kept';

export interface Leaf {
  readonly table: string;
  readonly leaf: string;
}

/** Whose rows a partition still holds; only one without any may go. */
export interface Inhabited {
  /** Tenants whose retention protects rows in it, or who have none. */
  readonly tenants: number;
  /** Tenants whose rows there are due and not erased yet. */
  readonly late: number;
}

/** Why a partition stays, as its action tells it. */
export type Reason = Pick<Action, 'tenants'> & { readonly detail: string };

export interface Loose extends Leaf {
  readonly comment: string | null;
}

/** What becomes of a detached table: dropped, kept, or attached again because rows have come or a tenant protects them. */
export async function settle(
  run: Run,
  { table, leaf, comment }: Loose,
  keepDetached: boolean,
): Promise<void> {
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
    dropUnlessProtected(run, { table, leaf }, keepDetached),
  );
  if (reason === undefined) {
    if (keepDetached) {
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

/** A record that left with its partition would leave neither key nor hash in the audit trail. */
export function whyItStays({ tenants, late }: Inhabited): Reason | undefined {
  const count = (number: number) => `${number} ${number === 1 ? 'tenant' : 'tenants'}`;
  if (tenants > 0) {
    return { tenants, detail: `storage_retention_days of ${count(tenants)} still protects rows in it` };
  }
  if (late > 0) return { detail: `rows of ${count(late)} past their retention are still to be erased` };
  return undefined;
}

export async function mark(run: Run, leaf: string, comment: string | undefined): Promise<void> {
  const text = comment === undefined ? 'NULL' : pg.escapeLiteral(comment);
  await briefly(run, `Marking partition ${leaf}`, () =>
    run.connection.client.query(`COMMENT ON TABLE ${qualified(leaf)} IS ${text}`),
  );
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
): Promise<Reason | undefined> {
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
    const reason =
      table === 'audit_trail'
        ? await whyMonthStays(run, leaf)
        : table === 'storage_records'
          ? await whyRecordsStay(run, leaf)
          : undefined;
    if (reason) {
      await client.query('ROLLBACK');
      return reason;
    }
    if (!keep) await client.query(`DROP TABLE ${qualified(leaf)}`);
    await client.query(keep ? 'ROLLBACK' : 'COMMIT');
    return undefined;
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

async function whyMonthStays(run: Run, leaf: string): Promise<Reason | undefined> {
  if (!(await isAuditMonthClosed(run, leaf))) {
    return {
      detail:
        'no closing hash is kept of it, or rows were sealed after that; without it the audit trail could not be checked any more',
    };
  }
  const detail = await readingDetached(run, leaf, 'admin_role', () =>
    compareDetachedMonth(run, leaf, qualified(leaf)),
  );
  return detail === undefined ? undefined : { detail };
}

async function whyRecordsStay(run: Run, leaf: string): Promise<Reason | undefined> {
  const rows = await readingDetached(run, leaf, 'maintenance_role', async () => {
    const counted = await run.connection.client.query<Inhabited>(
      `SELECT count(*) FILTER (WHERE h.kept)::int AS tenants, count(*) FILTER (WHERE NOT h.kept)::int AS late
         FROM (SELECT s.tenant_id, pg_catalog.bool_or(
                        c.storage_retention_days IS NULL OR c.storage_retention_days < 0 OR
                        s."timestamp" >= pg_catalog.now() - pg_catalog.make_interval(days => c.storage_retention_days)) AS kept
                 FROM ${qualified(leaf)} AS s LEFT JOIN llama.tenant_configs AS c ON c.tenant_id = s.tenant_id
                GROUP BY s.tenant_id) AS h`,
    );
    return counted.rows;
  });
  const [inhabited] = rows;
  if (inhabited === undefined) throw new Error('the count of protecting tenants came back empty');
  return whyItStays(inhabited);
}

/**
 * Forced row-level security without a policy shows nobody a row, the owner included. Nobody else sees the table while
 * the open transaction holds it, and that ends with the table dropped, or rolled back.
 */
async function readingDetached<Result>(
  { connection: { client } }: Run,
  leaf: string,
  role: 'admin_role' | 'maintenance_role',
  work: () => Promise<Result>,
): Promise<Result> {
  await client.query(
    `ALTER TABLE ${qualified(leaf)} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY`,
  );
  await client.query(`GRANT SELECT ON TABLE ${qualified(leaf)} TO ${role}`);
  await client.query(`SET LOCAL ROLE ${role}`);
  const result = await work();
  await client.query('SET LOCAL ROLE llama_owner');
  return result;
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

export function qualified(name: string): string {
  return `llama.${pg.escapeIdentifier(name)}`;
}
