/** The newest part of the sealed audit trail; `llama-db audit verify` reads all of it. */
import type pg from 'pg';
import { rowHash, type Seal } from '../../database/audit/canonical.ts';
import { outsideOfMonths } from '../../database/audit/months.ts';
import { newestSeals } from '../../database/audit/seals.ts';
import { attempt } from '../../database/transaction.ts';
import type { Reader, Unreadable } from './source.ts';

/** Facts about the sealed audit trail that take no longer to read on a large one. */
export interface Sealing {
  /** The newest seals, oldest first. */
  readonly head: readonly Seal[];
  /** Present hashes of the rows of the newest seals. */
  readonly contents: readonly {
    readonly number: number;
    readonly rows: number;
    readonly hash: string | null;
  }[];
  readonly unsealed: {
    /** Counted up to `limit`. */
    readonly rows: number;
    readonly limit: number;
    readonly oldest: Date | null;
  };
  /** Months (`2026-11-01`) that have seals. */
  readonly months: readonly {
    readonly month: string;
    readonly attached: boolean;
    readonly closed: boolean;
  }[];
  /** The sequence that numbers the rows; undefined if it does not exist. */
  readonly numbering?: {
    readonly cache: number;
    readonly increment: number;
    readonly cycle: boolean;
    /** Last number taken; null before the first. */
    readonly last: number | null;
    readonly sealedThrough: number;
  };
}

/** Newest seals whose links are checked. */
const links = 50;
/** Newest seals whose rows are hashed. */
const contents = 3;
/** Unsealed rows that are counted at most. */
const limit = 100_000;

/** Reads as a role that sees the whole trail. */
async function readSealing({ client }: Reader): Promise<Sealing | Unreadable> {
  const result = await attempt(client, async () => {
    await client.query('SET LOCAL ROLE admin_role');
    const sealing = await read(client);
    await client.query('SET ROLE NONE');
    return sealing;
  });
  return 'value' in result ? result.value : { unreadable: result.refused.message };
}

async function read(client: pg.Client): Promise<Sealing> {
  const head = await newestSeals(client, links);
  const { rows: through } = await client.query<{ last: string }>(
    `SELECT last_sequence::text AS last FROM llama.audit_seals
      WHERE kind = 'rows' ORDER BY number DESC LIMIT 1`,
  );
  const sealedThrough = through[0]?.last ?? '0';
  const months = await monthsOf(client);
  const attached = new Set(months.filter((month) => month.attached).map(({ month }) => month));
  const inHand = head.filter(({ kind, month }) => kind === 'rows' && attached.has(month)).slice(-contents);
  const { rows: found } = await client.query<Sealing['contents'][number]>(
    `SELECT s.number::int, count(a.sequence)::int AS rows,
            encode(sha256(string_agg(${rowHash}, ''::bytea ORDER BY a.sequence, a.id)
              FILTER (WHERE a.sequence IS NOT NULL)), 'hex') AS hash
       FROM llama.audit_seals AS s
       LEFT JOIN llama.audit_trail AS a ON a.sequence BETWEEN s.first_sequence AND s.last_sequence
        AND a."timestamp" >= s.month::timestamp AT TIME ZONE 'UTC'
        AND a."timestamp" < (s.month::timestamp + interval '1 month') AT TIME ZONE 'UTC'
      WHERE s.number = ANY ($1) GROUP BY 1 ORDER BY 1`,
    [inHand.map(({ number }) => number)],
  );
  const { rows: unsealed } = await client.query<{ rows: number; oldest: Date | null }>(
    `SELECT count(*)::int AS rows, min(u."timestamp") AS oldest
       FROM (SELECT a."timestamp" FROM llama.audit_trail AS a
              WHERE a.sequence > $1 AND NOT ${outsideOfMonths} LIMIT $2) AS u`,
    [sealedThrough, limit],
  );
  const { rows: numbering } = await client.query<Omit<NonNullable<Sealing['numbering']>, 'sealedThrough'>>(
    `SELECT cache_size::int AS cache, increment_by::int AS increment, cycle, last_value::float8 AS last
       FROM pg_sequences WHERE schemaname = 'llama' AND sequencename = 'audit_sequence'`,
  );
  return {
    head,
    contents: found,
    unsealed: { rows: unsealed[0]?.rows ?? 0, limit, oldest: unsealed[0]?.oldest ?? null },
    months,
    ...(numbering[0] ? { numbering: { ...numbering[0], sealedThrough: Number(sealedThrough) } } : {}),
  };
}

/** Skips from month to month through the index: seals are numerous, months are few. */
async function monthsOf(client: pg.Client): Promise<Sealing['months']> {
  const { rows } = await client.query<Sealing['months'][number]>(
    `WITH RECURSIVE sealed (month) AS (
       SELECT min(s.month) FROM llama.audit_seals AS s
       UNION ALL
       SELECT (SELECT min(s.month) FROM llama.audit_seals AS s WHERE s.month > sealed.month)
         FROM sealed WHERE sealed.month IS NOT NULL
     ), leaves AS (
       SELECT pg_get_expr(c.relpartbound, c.oid) AS bound
         FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'llama.audit_trail'::regclass AND NOT i.inhdetachpending
     )
     SELECT to_char(m.month, 'YYYY-MM-DD') AS month,
            EXISTS (SELECT FROM leaves WHERE starts_with(bound, format('FOR VALUES FROM (%L)',
              to_char(m.month, 'YYYY-MM-DD') || ' 00:00:00+00'))) AS attached,
            coalesce((SELECT s.kind = 'closing' FROM llama.audit_seals AS s WHERE s.month = m.month
                       ORDER BY s.number DESC LIMIT 1), false) AS closed
       FROM sealed AS m WHERE m.month IS NOT NULL ORDER BY 1`,
  );
  return rows;
}

export const sealingFacts = { sealing: readSealing };
