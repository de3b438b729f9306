/** After an erasure: the summary, dead rows, and statistics, which hold copies of values too. */
import type { Reporter } from '../../core/report.ts';
import { counted } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { diagnose } from '../diagnosis.ts';
import { asAdministrator } from '../keys/administrator.ts';
import { retryOnLock } from '../lock-retry.ts';
import { asOwner, asRole } from '../migrator/prepare.ts';
import { insertOf, sampleRow } from '../schema/sample.ts';

export interface Residue {
  /** Tables, or partitions that were empty, whose statistics could not be replaced, each with the reason. */
  readonly statistics: readonly string[];
  /** Dead rows, of any tenant, that a running transaction may still read. */
  readonly deadRows: number;
}

interface Work {
  readonly tables: readonly string[];
  /** Tables and partitions that lost rows. */
  readonly emptied: ReadonlySet<string>;
  readonly rewrite: boolean;
  readonly reporter: Reporter;
}

const trail = 'llama.audit_trail';
const summary = 'llama.tenant_performance_summary';
const locks = { lockTimeout: 5_000, attempts: 5 };

export async function cleanUp(connection: Connection, work: Work): Promise<Residue> {
  const { client, circumstances } = connection;
  const { tables, emptied, rewrite, reporter } = work;
  const patiently = (what: string, statement: string) =>
    retryOnLock(what, { ...locks, holder: circumstances.blocker }, () => client.query(statement));
  await asRole(connection, 'maintenance_role', () =>
    patiently('Refreshing the performance summary', 'SELECT llama.refresh_performance_views()'),
  );
  const statistics: string[] = [];
  for (const table of tables) {
    const failure = await fillStatistics(connection, table, emptied);
    if (failure === undefined) continue;
    statistics.push(failure);
    reporter.warn(failure);
  }
  const vacuum = async (what: string, options: readonly string[]) => {
    reporter.line(`${options.includes('FULL') ? 'Rewriting' : 'Vacuuming'} ${what}`);
    await patiently(`Vacuuming ${what}`, `VACUUM (${['VERBOSE', ...options].join(', ')}) ${what}`);
  };
  const options = rewrite ? ['FULL', 'ANALYZE'] : ['ANALYZE'];
  const left = new Leftovers();
  client.on('notice', left.note);
  try {
    await asOwner(connection, async () => {
      for (const table of [...tables, trail]) await vacuum(table, options);
    });
    await asRole(connection, 'maintenance_owner', () => vacuum(summary, options));
    // The replaced statistics are dead rows of catalogs, which not every login may vacuum.
    for (const catalog of ['pg_statistic', 'pg_statistic_ext_data'])
      await vacuum(`pg_catalog.${catalog}`, []);
  } finally {
    client.off('notice', left.note);
  }
  for (const warning of left.skipped) reporter.warn(`${warning}; autovacuum removes its dead rows later`);
  if (left.dead > 0) {
    reporter.warn(
      `${counted(left.dead, 'dead row')} cannot be removed while a transaction runs that may still read them: run the command again after its end`,
    );
  }
  return { statistics, deadRows: left.dead };
}

interface Notice {
  readonly severity?: string | undefined;
  readonly message?: string | undefined;
  readonly detail?: string | undefined;
}

/** The results of VACUUM that its notices report: tables that it skipped, and dead rows that it could not remove. */
class Leftovers {
  readonly skipped: string[] = [];
  dead = 0;

  readonly note = ({ severity, message = '', detail = '' }: Notice): void => {
    if (severity === 'WARNING') this.skipped.push(message);
    const kept = /(\d+) (?:are dead but not yet removable|dead row versions cannot be removed yet)/g;
    for (const [, count] of `${message}\n${detail}`.matchAll(kept)) this.dead += Number(count);
  };
}

/**
 * ANALYZE leaves the statistics of an empty table as they are, with the values of its former rows. Analyzing a sample row
 * replaces them; it is deleted in the same transaction, so nobody sees it.
 *
 * @returns the reason why the statistics of a table that lost all rows are left
 */
async function fillStatistics(
  { client, circumstances }: Connection,
  table: string,
  emptied: ReadonlySet<string>,
): Promise<string | undefined> {
  try {
    await asAdministrator(client, async () => {
      const { rows: leaves } = await client.query<{ name: string; lower: string | null }>(
        `SELECT c.oid::regclass::text AS name,
                (pg_catalog.regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), 'FROM \\((.+)\\) TO'))[1] AS lower
           FROM pg_catalog.pg_class AS c
          WHERE (c.oid = $1::regclass OR c.oid IN (SELECT t.relid FROM pg_catalog.pg_partition_tree($1::regclass) AS t))
            AND c.relkind = 'r' AND (c.oid::regclass::text = ANY ($2) OR pg_catalog.pg_stat_get_tuples_deleted(c.oid) > 0) ORDER BY 1`,
        [table, [...emptied]],
      );
      const samples: string[] = [];
      for (const { name, lower } of leaves) {
        const { rowCount } = await client.query(
          `SELECT FROM ${table} AS t WHERE t.tableoid = '${name}'::regclass LIMIT 1`,
        );
        if (rowCount) continue;
        samples.push(await sampleOf(client, table, lower));
      }
      for (const sample of samples) await client.query(sample);
      if (samples.length === 0) return;
      await client.query('SET LOCAL ROLE llama_owner');
      await client.query(`ANALYZE ${table}`);
      await client.query('SET LOCAL ROLE admin_role');
      await client.query(`DELETE FROM ${table} WHERE tenant_id = $1`, [sampleTenant]);
    });
    return undefined;
  } catch (error) {
    const { message } = diagnose(error, circumstances, `Statistics of ${table}`);
    return `The statistics of ${table} may have values of erased rows until it has rows again: ${message}`;
  }
}

/** No tenant can have it: the commands of this project refuse nothing else about an id. */
const sampleTenant = 'llama-db erase';

/** An insert of a row into the partition with that lower bound. */
async function sampleOf(client: Connection['client'], table: string, lower: string | null): Promise<string> {
  const { rows: columns } = await client.query<{
    name: string;
    type: string;
    notNull: boolean;
    key: boolean;
  }>(
    `SELECT a.attname AS name, pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS "notNull",
            a.attnum = ANY (coalesce(p.partattrs::int2[], '{}')) AS key
       FROM pg_catalog.pg_attribute AS a LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid = a.attrelid
      WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity = '' AND a.attgenerated = ''
        AND (NOT a.atthasdef OR a.attnum = ANY (coalesce(p.partattrs::int2[], '{}'))) ORDER BY a.attnum`,
    [table],
  );
  const { rows: checks } = await client.query<{ definition: string }>(
    `SELECT pg_catalog.pg_get_constraintdef(k.oid) AS definition FROM pg_catalog.pg_constraint AS k
      WHERE k.conrelid = $1::regclass AND k.contype = 'c'`,
    [table],
  );
  const key = columns.find((column) => column.key)?.name;
  const given: Record<string, string> = key !== undefined && lower !== null ? { [key]: lower } : {};
  return insertOf(
    table,
    sampleRow(
      columns,
      checks.map(({ definition }) => definition),
      sampleTenant,
      given,
    ),
  );
}
