/** The newest part of the sealed audit trail; `llama-db audit verify` reads all of it. */
import type pg from 'pg';
import { rowHash, type Seal } from '../../database/audit/canonical.ts';
import { backdatedSeconds } from '../../database/audit/chain.ts';
import { unexplainedErasures } from '../../database/audit/erasures.ts';
import type { TrailFinding } from '../../database/audit/findings.ts';
import { compareReleases, HeadComparison, headsOfReleases } from '../../database/audit/heads.ts';
import { outsideOfMonths } from '../../database/audit/months.ts';
import {
  clockTolerance,
  type JudgedClosing,
  judgedClosings,
  type SealedMonthState,
  sealedMonths,
} from '../../database/audit/retention.ts';
import { newestSeals, sealsNumbered } from '../../database/audit/seals.ts';
import { type Distortion, distortionsOf } from '../../database/audit/unfiltered.ts';
import { attempt } from '../../database/transaction.ts';
import type { Reader, Unreadable } from './source.ts';

/** Facts about the sealed audit trail that take no longer to read on a large one. */
export interface Sealing {
  /** The newest seals, oldest first. */
  readonly head: readonly Seal[];
  /** Present hashes of the rows of the newest seals, and of the newest one of each month with a partition. */
  readonly contents: readonly {
    readonly number: number;
    readonly seal: Seal;
    readonly rows: number;
    readonly hash: string | null;
    /** Rows of a time that their number contradicts. */
    readonly misdated: number;
  }[];
  readonly unsealed: {
    /** Counted up to `limit`. */
    readonly rows: number;
    readonly limit: number;
    readonly oldest: Date | null;
  };
  readonly months: readonly SealedMonthState[];
  readonly closings: readonly JudgedClosing[];
  /** Releases whose head the chain does not contain, or that differ from their audit rows. */
  readonly releases: { readonly compared: number; readonly findings: readonly TrailFinding[] };
  /** Partitions with rows, among the newest without content, that no erasure explains. */
  readonly unexplained: Awaited<ReturnType<typeof unexplainedErasures>>;
  /** Ways in which the reader does not see the whole trail, or its seals do not cover it. */
  readonly distortions: readonly Distortion[];
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
/** Rows at most in the seal of an earlier month that is hashed too. */
const rowsOfOldMonth = 10_000;
/** Unsealed rows that are counted at most. */
const limit = 100_000;

/** Reads as a role that sees the whole trail. */
async function readSealing({
  client,
}: Reader): Promise<Sealing | (Unreadable & Partial<Pick<Sealing, 'distortions'>>)> {
  const result = await attempt(client, async () => {
    await client.query('SET LOCAL ROLE admin_role');
    const sealing = await read(client);
    await client.query('SET ROLE NONE');
    return sealing;
  });
  return 'value' in result ? result.value : { unreadable: result.refused.message };
}

async function read(client: pg.Client): Promise<Sealing | (Unreadable & Pick<Sealing, 'distortions'>)> {
  const distortions = await distortionsOf(client);
  const unreadable = distortions.find((distortion) => distortion.unreadable);
  if (unreadable) return { unreadable: `${unreadable.object} ${unreadable.detail}`, distortions };
  const closings = await judgedClosings(client);
  const head = await newestSeals(client, links);
  const { rows: through } = await client.query<{ last: string }>(
    `SELECT last_sequence::text AS last FROM llama.audit_seals
      WHERE kind = 'rows' ORDER BY number DESC LIMIT 1`,
  );
  const sealedThrough = through[0]?.last ?? '0';
  const months = await sealedMonths(client, closings);
  const attached = months.filter((month) => month.attached).map(({ month }) => month);
  const newest = head
    .filter(({ kind, month }) => kind === 'rows' && attached.includes(month))
    .slice(-contents)
    .map(({ number }) => ({ number }));
  const { rows: ofMonths } = await client.query<{ number: number }>(
    `SELECT n.number::int FROM unnest($1::date[]) AS m(month) CROSS JOIN LATERAL (
       SELECT s.number, s.kind, s.row_count FROM llama.audit_seals AS s
        WHERE s.month = m.month ORDER BY s.number DESC LIMIT 1) AS n
      WHERE n.kind = 'rows' AND n.row_count <= $2`,
    [attached, rowsOfOldMonth],
  );
  const inHand = await sealsNumbered(client, [...newest, ...ofMonths]);
  const { rows: found } = await client.query<Omit<Sealing['contents'][number], 'seal'>>(
    `SELECT s.number::int, count(a.sequence)::int AS rows,
            (count(*) FILTER (
              WHERE a."timestamp" > s.noted_at + pg_catalog.make_interval(secs => ${clockTolerance})
                 OR a."timestamp" < (SELECT max(b.noted_at) FROM llama.audit_seals AS b
                                      WHERE b.number BETWEEN s.number - ${links} AND s.number AND b.noted_at < s.noted_at)
                                    - pg_catalog.make_interval(secs => ${backdatedSeconds})
            ))::int AS misdated,
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
    contents: found.flatMap((content) => {
      const seal = inHand.find(({ number }) => number === content.number);
      return seal ? [{ ...content, seal }] : [];
    }),
    unsealed: { rows: unsealed[0]?.rows ?? 0, limit, oldest: unsealed[0]?.oldest ?? null },
    months,
    closings,
    releases: await releasesOf(client),
    unexplained: await unexplainedErasures(client),
    distortions,
    ...(numbering[0] ? { numbering: { ...numbering[0], sealedThrough: Number(sealedThrough) } } : {}),
  };
}

/** Looks up only the seals that releases name. */
async function releasesOf(client: pg.Client): Promise<Sealing['releases']> {
  const findings: TrailFinding[] = [];
  const find = (finding: TrailFinding) => findings.push(finding);
  const heads = await headsOfReleases(client, find);
  const comparison = new HeadComparison(heads, find);
  for (const seal of await sealsNumbered(client, heads)) comparison.pass(seal);
  comparison.end((await newestSeals(client, 1))[0]);
  await compareReleases(client, find);
  return { compared: heads.length, findings };
}

export const sealingFacts = { sealing: readSealing };
