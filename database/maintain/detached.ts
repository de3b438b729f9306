/** Drops, keeps or reattaches a detached partition. Only tables with the comment of this command are dropped. */
import pg from 'pg';
import { counted } from '../../core/text.ts';
import { compareDetachedMonth, isAuditMonthClosed } from './closing.ts';
import { monthOf } from './months.ts';
import { type Action, briefly, type Run } from './run.ts';

export const intention = 'llama-db maintain: past its retention, to be dropped';
export const kept = 'llama-db maintain: past its retention, detached and kept';

export interface Leaf {
  readonly table: string;
  readonly leaf: string;
}

/** Tenants with rows in a partition. Only a partition without any may be removed. */
export interface Inhabited {
  /** Number of tenants whose retention protects rows in it, or who have no retention. */
  readonly tenants: number;
  /** Number of tenants with rows in it that are past retention and not erased yet. */
  readonly late: number;
}

/** The reason why a partition stays, as reported by its action. */
export type Reason = Pick<Action, 'tenants'> & { readonly detail: string };

export interface Loose extends Leaf {
  readonly comment: string | null;
}

/** Drops or keeps a detached table, or reattaches it if it has new rows or a tenant protects its rows. */
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
    const detail = 'this command did not detach it: reattach, archive or drop it by hand';
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

/** The audit trail must keep key and hash of each record, which requires erasing records before their partition goes. */
export function whyItStays({ tenants, late }: Inhabited): Reason | undefined {
  if (tenants > 0) {
    const detail = `storage_retention_days of ${counted(tenants, 'tenant')} still protects rows in it`;
    return { tenants, detail };
  }
  if (late > 0)
    return { detail: `rows of ${counted(late, 'tenant')} past their retention are not erased yet` };
  return undefined;
}

export async function mark(run: Run, leaf: string, comment: string | undefined): Promise<void> {
  const text = comment === undefined ? 'NULL' : pg.escapeLiteral(comment);
  await briefly(run, `Marking partition ${leaf}`, () =>
    run.connection.client.query(`COMMENT ON TABLE ${qualified(leaf)} IS ${text}`),
  );
}

/**
 * Checks again before the drop: a detach may have waited for hours, and settings and tenants change meanwhile.
 *
 * @returns the reason why the table must stay; undefined if it was dropped, or with `keep` could have been
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
        'it has no closing seal, or rows were sealed after the closing; without the rows, the audit trail could no longer be verified',
    };
  }
  const detail = await readingDetached(run, leaf, 'admin_role', () =>
    compareDetachedMonth(run, leaf, qualified(leaf)),
  );
  return detail === undefined ? undefined : { detail };
}

async function whyRecordsStay(run: Run, leaf: string): Promise<Reason | undefined> {
  const rows = await readingDetached(run, leaf, 'maintenance_owner', async () => {
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
  if (inhabited === undefined) throw new Error('the count of protecting tenants returned no row');
  return whyItStays(inhabited);
}

/**
 * Runs `work` as a role that sees all rows of the detached table. Forced row-level security without a policy hides every
 * row, even from the owner, so it is switched off. The open transaction locks out other sessions, and it ends with a drop
 * or a rollback.
 */
async function readingDetached<Result>(
  { connection: { client } }: Run,
  leaf: string,
  role: 'admin_role' | 'maintenance_owner',
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
    // DETACH … CONCURRENTLY left a CHECK constraint with the bounds, which ATTACH has just used instead of a scan.
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

/** Quoted name in schema `llama`. */
export function qualified(name: string): string {
  return `llama.${pg.escapeIdentifier(name)}`;
}
