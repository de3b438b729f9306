/**
 * Erasures of audit content. Seals cover the hash of old and new values, so they stay intact without the values. Every removal
 * therefore must belong to an ERASE row, which is sealed itself, names who removed content, and has a digest over the rows.
 */
import type pg from 'pg';
import { counted } from '../../core/text.ts';
import type { Find } from './findings.ts';
import { partitionOf } from './months.ts';

/** One erasure: audit rows of one tenant and month that lost their content. */
export interface Erasure {
  readonly tenant: string;
  /** `2026-11`: month of the audit rows. */
  readonly month: string;
  /** `retention` or `tenant`; anything else was not written by the functions of the migrations. */
  readonly reason: string;
  readonly rows: number;
  /** ISO 8601. */
  readonly at: string;
  /** The acting user, as the client named it, and the login. */
  readonly user: string;
  readonly login: string;
}

/** SQL condition on the alias `e`: the ERASE row of the erasure `b.erased_by` of the tenant `b.tenant_id`. */
const itsErasure = `e.tenant_id = b.tenant_id AND e.id = b.erased_by AND e.operation = 'ERASE' AND e.table_name = 'audit_trail'`;

interface Group {
  readonly tenant: string;
  readonly month: string;
  readonly erasure: string | null;
  readonly first: string;
  readonly rows: number;
  readonly named: boolean;
  readonly complete: boolean;
}

/** Compares removed content with the erasures of the whole trail, inside a reading transaction as admin_role. */
export async function compareErasures(client: pg.ClientBase, find: Find): Promise<readonly Erasure[]> {
  const { rows: groups } = await client.query<Group>(
    `WITH blanked AS (
       SELECT a.tenant_id, a.erased_by, pg_catalog.to_char(a."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
              min(a.sequence) AS first, count(*) AS rows,
              bool_and(a.erased_by IS NOT NULL AND a.erased_hash IS NOT NULL AND a.old_values IS NULL AND a.new_values IS NULL) AS blank,
              pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(
                pg_catalog.string_agg(a.sequence || ' ' || a.erased_hash, ',' ORDER BY a.sequence, a.id), 'UTF8')), 'hex') AS digest
         FROM llama.audit_trail AS a WHERE a.erased_by IS NOT NULL OR a.erased_hash IS NOT NULL GROUP BY 1, 2, 3
     )
     SELECT b.tenant_id AS tenant, b.month, b.erased_by::text AS erasure, b.first::text, b.rows::int,
            e.id IS NOT NULL AS named,
            coalesce(b.blank AND e.record_key = b.month AND e.new_values ->> 'rows' = b.rows::text
                     AND e.new_values ->> 'digest' = b.digest, false) AS complete
       FROM blanked AS b LEFT JOIN llama.audit_trail AS e ON ${itsErasure}
      ORDER BY b.first`,
  );
  for (const { tenant, month, first, rows, named, complete } of groups) {
    if (complete) continue;
    const partition = partitionOf(`${month}-01`);
    const which = `${counted(rows, 'row')} of ${partition} from row ${first} on (tenant ${JSON.stringify(tenant)})`;
    const detail = named
      ? `the content of ${which} is not what its erasure removed: rows were added to it, or taken from it`
      : `the content of ${which} was removed without an erasure`;
    find({ kind: 'forged erasure', partition, detail });
  }
  await compareLiving(client, find);
  const { rows: erasures } = await client.query<Erasure & { id: string; present: boolean }>(
    `SELECT e.id::text, e.tenant_id AS tenant, e.record_key AS month, coalesce(e.new_values ->> 'reason', '') AS reason,
            CASE WHEN e.new_values ->> 'rows' ~ '^[0-9]{1,9}$' THEN (e.new_values ->> 'rows')::int ELSE 0 END AS rows,
            pg_catalog.to_char(e."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS at,
            coalesce(e.user_id, '') AS "user", e.login::text AS login,
            EXISTS (SELECT FROM llama.audit_trail AS a
                     WHERE a.tenant_id = e.tenant_id AND a.erased_by IS NULL AND (a.old_values IS NOT NULL OR a.new_values IS NOT NULL)
                       AND a.sequence < e.sequence AND a.table_name NOT IN ('audit_trail', 'data_keys')
                       AND pg_catalog.to_char(a."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM') = e.record_key) AS present
       FROM llama.audit_trail AS e WHERE e.operation = 'ERASE' ORDER BY e.sequence`,
  );
  const known = new Set(groups.map(({ erasure }) => erasure));
  for (const { id, tenant, month, at, present } of erasures) {
    // The month may have left the trail since; rows that are there without a removal were put back.
    if (known.has(id) || !present) continue;
    const partition = partitionOf(`${month}-01`);
    const detail = `the erasure of ${at} in ${partition} (tenant ${JSON.stringify(tenant)}) removed content that is there again`;
    find({ kind: 'forged erasure', partition, detail });
  }
  return erasures.map(({ id: _, present: __, ...erasure }) => erasure);
}

/** Finds erasures of records that exist: erasing begins with the record, and a later record with the same key has its own insert. */
async function compareLiving(client: pg.ClientBase, find: Find): Promise<void> {
  const { rows } = await client.query<{ partition: string; tenant: string; record: string; rows: number }>(
    `SELECT min(b.tableoid::regclass::text) AS partition, b.tenant_id AS tenant, b.record_key AS record, count(*)::int AS rows
       FROM llama.audit_trail AS b
       JOIN llama.audit_trail AS e ON ${itsErasure}
       JOIN llama.storage_records AS s
         ON s.tenant_id = b.tenant_id AND s.id = b.record_id AND s."timestamp" = b.record_timestamp
      WHERE b.erased_by IS NOT NULL AND b.table_name = 'storage_records'
        AND NOT EXISTS (SELECT FROM llama.audit_trail AS i
                         WHERE i.record_id = b.record_id AND i.tenant_id = b.tenant_id AND i.operation = 'INSERT'
                           AND i.table_name = 'storage_records' AND i.sequence > e.sequence)
      GROUP BY 2, 3 ORDER BY 2, 3 LIMIT 20`,
  );
  for (const { partition, tenant, record, rows: count } of rows) {
    const detail = `the content of ${counted(count, 'row')} about record ${record} of tenant ${JSON.stringify(tenant)} was removed, but the record exists`;
    find({ kind: 'forged erasure', partition: partition.replace(/^llama\./, ''), detail });
  }
}

/** Newest rows without content that a bounded verification inspects. */
const newest = 10_000;

/** Rows without content that no erasure explains, among the newest ones. */
export async function unexplainedErasures(
  client: pg.ClientBase,
): Promise<readonly { readonly partition: string; readonly rows: number }[]> {
  const { rows } = await client.query<{ partition: string; rows: number }>(
    `SELECT b.place::regclass::text AS partition, count(*)::int AS rows
       FROM (SELECT a.tableoid AS place, a.tenant_id, a.erased_by, a.erased_hash, a.old_values, a.new_values FROM llama.audit_trail AS a
              WHERE a.erased_by IS NOT NULL OR a.erased_hash IS NOT NULL ORDER BY a.sequence DESC LIMIT ${newest}) AS b
      WHERE b.erased_hash IS NULL OR b.old_values IS NOT NULL OR b.new_values IS NOT NULL
         OR NOT EXISTS (SELECT FROM llama.audit_trail AS e WHERE ${itsErasure})
      GROUP BY 1 ORDER BY 1`,
  );
  return rows;
}
