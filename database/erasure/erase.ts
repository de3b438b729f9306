/**
 * `llama-db erase`: removes a tenant from the database. Its data keys are destroyed, its rows are deleted, and the copies in
 * the audit trail lose their content (docs/erasure.md). Every step finds its remaining work in the tables, so a run that ended
 * at any point is repeated.
 */
import { Fault } from '../../core/fault.ts';
import { counted } from '../../core/text.ts';
import type { Connection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import { asAdministrator } from '../keys/administrator.ts';
import { destroyKeys } from '../keys/erase.ts';
import { changingKeys, type KeysOptions } from '../keys/session.ts';
import type { Target } from '../target.ts';
import { keepErasure } from './list.ts';
import { cleanUp, type Residue } from './upkeep.ts';

export interface EraseTenantOptions extends KeysOptions {
  readonly tenant: string;
  /** The tenant's id, repeated. */
  readonly confirm: string | undefined;
  /** Rows per transaction. @default 1000 */
  readonly batchSize?: number;
  /** Whether tables are rewritten, which blocks their readers and writers meanwhile. @default false */
  readonly rewrite?: boolean;
  /** Whether dead rows and statistics are removed at the end. @default true */
  readonly upkeep?: boolean;
  /** Environment variables; one names the list of erasures. @default - none, the erasure is not listed */
  readonly env?: NodeJS.ProcessEnv;
}

export interface ErasedTenant extends Residue {
  readonly target: string;
  readonly tenant: string;
  /** Data keys that this run destroyed. */
  readonly keys: number;
  /** Rows that this run deleted, by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Audit rows that lost their content in this run. */
  readonly auditRows: number;
}

/** @throws Fault (exit 2) without confirmation; while an application still writes rows of the tenant */
export function eraseTenantData(target: Target, options: EraseTenantOptions): Promise<ErasedTenant> {
  const { tenant, confirm, reporter, batchSize = 1000, rewrite = false, upkeep = true, env = {} } = options;
  if (confirm !== tenant || tenant === '') {
    throw new Fault(
      'erasure/not-confirmed',
      `Tenant ${tenant} is not erased`,
      confirm === undefined ? 'it was not confirmed' : 'the confirmation names another tenant',
      `Its data is gone for ever afterwards. To erase it, give --confirm ${tenant}.`,
      { exitCode: 2 },
    );
  }
  const connect = { ...options, applicationName: 'llama-db erase' };
  return changingKeys(target, connect, async (connection) => {
    const { client, circumstances } = connection;
    // First: an erasure that ends half-way is completed by the list too.
    keepErasure(env, tenant, 'tenant');
    const { keys } = await destroyKeys(client, tenant);
    if (keys > 0) reporter.line(`Destroyed ${counted(keys, 'data key')} of ${tenant}`);
    const rows: Record<string, number> = {};
    const emptied = new Set<string>();
    for (const table of await tenantTables(connection)) {
      rows[table] = await deleteRows(connection, table, tenant, batchSize, emptied);
      if (rows[table]) reporter.line(`Table ${table}: deleted ${counted(rows[table], 'row')} of ${tenant}`);
    }
    const auditRows = await eraseTrail(connection, tenant, batchSize);
    if (auditRows > 0)
      reporter.line(`Audit trail: removed the content of ${counted(auditRows, 'row')} of ${tenant}`);
    const work = { tables: Object.keys(rows), emptied, rewrite, reporter };
    const residue = upkeep ? await cleanUp(connection, work) : { statistics: [], deadRows: 0 };
    reporter.line(`Done: ${circumstances.target} no longer has the content of ${tenant}`);
    return { target: circumstances.target, tenant, keys, rows, auditRows, ...residue };
  });
}

/** Every table with a tenant column except the trail and the data keys; the configuration last, as it decides how others are audited. */
async function tenantTables({ client }: Connection): Promise<readonly string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
       FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT (n.nspname = 'llama' AND c.relname IN ('audit_trail', 'data_keys'))
      ORDER BY n.nspname = 'llama' AND c.relname = 'tenant_configs', 1`,
  );
  return rows.map(({ name }) => name);
}

/** @param emptied receives the names of the tables and partitions that lost rows */
async function deleteRows(
  { client }: Connection,
  table: string,
  tenant: string,
  batchSize: number,
  emptied: Set<string>,
): Promise<number> {
  let deleted = 0;
  for (;;) {
    // Partitions have equal ctids, but every row found has this tenant.
    const { rows } = await asAdministrator(client, () =>
      client.query<{ leaf: string; n: number }>(
        `WITH gone AS (
           DELETE FROM ${table} AS d
            WHERE d.tenant_id = $1 AND d.ctid = ANY (ARRAY(SELECT s.ctid FROM ${table} AS s WHERE s.tenant_id = $1 LIMIT $2))
           RETURNING d.tableoid AS leaf)
         SELECT leaf::pg_catalog.regclass::text AS leaf, count(*)::int AS n FROM gone GROUP BY 1`,
        [tenant, batchSize],
      ),
    );
    if (rows.length === 0) return deleted;
    for (const { leaf, n } of rows) {
      emptied.add(leaf);
      deleted += n;
    }
  }
}

async function eraseTrail({ client }: Connection, tenant: string, batchSize: number): Promise<number> {
  let erased = 0;
  for (;;) {
    const { rows } = await asAdministrator(client, () =>
      client.query<{ n: number }>('SELECT llama.erase_audit_of_tenant($1, $2) AS n', [tenant, batchSize]),
    ).catch((error: unknown) => {
      if (sqlState(error) !== '55000' || !(error instanceof Error)) throw error;
      throw new Fault(
        'erasure/tenant-in-use',
        `The audit trail of ${tenant} keeps its content`,
        error.message,
        'Stop the application for this tenant, and run the command again.',
        { cause: error },
      );
    });
    const n = rows[0]?.n ?? 0;
    if (n === 0) return erased;
    erased += n;
  }
}
