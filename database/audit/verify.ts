/**
 * `llama-db audit verify`: recomputes the chain from the rows.
 *
 * One transaction reads the chain, and one per month reads its rows. Sealed rows never change, so the result is the same
 * as in one transaction, without one long-lived snapshot. Memory use does not grow with the trail.
 */
import type { Reporter } from '../../core/report.ts';
import { counted } from '../../core/text.ts';
import { type Connection, withConnection } from '../connection.ts';
import { sqlState } from '../diagnosis.ts';
import type { Target } from '../target.ts';
import type { Seal } from './canonical.ts';
import { Chain } from './chain.ts';
import { compareErasures, type Erasure } from './erasures.ts';
import { Findings, type TrailFinding, type TrailRemark } from './findings.ts';
import { compareReleases, headsOfReleases, type RecordedHead } from './heads.ts';
import { boundsOf, outsideOfMonths, partitionOf, partitionsOfMonths } from './months.ts';
import { instantOf, judgedClosings } from './retention.ts';
import { compareMonth } from './rows.ts';
import { type Head, readingTrail } from './seals.ts';
import { distortionsOf } from './unfiltered.ts';

/** A closed month, according to its closing seal. Its partition may no longer exist. */
export interface ClosedPartition {
  readonly partition: string;
  readonly from: string;
  readonly to: string;
  readonly firstSequence: string;
  readonly lastSequence: string;
  readonly rows: string;
  readonly closingHash: string;
  readonly closedAt: string;
  readonly seal: number;
  /** Whether its rows exist and were compared. */
  readonly present: boolean;
}

export interface VerifiedTrail {
  readonly target: string;
  readonly findings: readonly TrailFinding[];
  /** Number of findings beyond those listed. */
  readonly more: number;
  /** Circumstances to explain that are no tampering. */
  readonly remarks: readonly TrailRemark[];
  /** Number of earlier heads that the chain was compared with: of releases, and of `expected`. */
  readonly heads: number;
  /** Newest seal; null if nothing is sealed. */
  readonly head: Head | null;
  readonly seals: number;
  /** Number of rows compared. */
  readonly rows: number;
  readonly closed: readonly ClosedPartition[];
  /** Erasures of audit content that explain rows without it. */
  readonly erasures: readonly Erasure[];
  readonly unsealed: { readonly rows: number; readonly oldest: string | null };
  /** Milliseconds. */
  readonly durationMs: number;
}

export interface VerifyTrailOptions {
  readonly reporter: Reporter;
  /** Earlier heads, kept outside the database, that the chain must contain. @default - those of the releases only */
  readonly expected?: readonly RecordedHead[];
}

/**
 * Verifies the trail of one server, which may be a replica.
 *
 * @throws Fault (exit 2) if the trail cannot be read
 */
export async function verifyTrail(target: Target, options: VerifyTrailOptions): Promise<VerifiedTrail> {
  const connect = {
    reporter: options.reporter,
    applicationName: 'llama-db audit',
    session: 'reading',
    acceptStandby: true,
  } as const;
  return withConnection(target, connect, (connection) =>
    new Verification(connection).run(options.expected ?? []),
  );
}

/** SQLSTATE classes of damaged data: data exception, program limit exceeded, internal error. */
const ofTheData = /^(22|54|XX)/;

class Verification {
  readonly #connection: Connection;
  readonly #findings = new Findings();
  readonly #chain = new Chain(this.#findings.add, this.#findings.remark);
  #rows = 0;
  #readable = true;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  async run(expected: readonly RecordedHead[]): Promise<VerifiedTrail> {
    const start = performance.now();
    const connection = this.#connection;
    const { client } = connection;
    const chain = this.#chain;
    const nothing: ReadonlyMap<string, readonly string[]> = new Map();
    const { unsealed, attached, heads, erasures } = await readingTrail(connection, async () => {
      const distortions = await distortionsOf(client);
      for (const { kind, object, detail } of distortions) {
        this.#findings.add({ kind, detail: `${object} ${detail}` });
      }
      const heads = [...(await headsOfReleases(client, this.#findings.add)), ...expected];
      const blind = distortions.some(
        ({ object, unreadable }) => unreadable && object === 'llama.audit_seals',
      );
      if (!blind) await chain.follow(client, heads);
      if (distortions.some(({ unreadable }) => unreadable)) {
        return { unsealed: { rows: 0, oldest: null }, attached: nothing, heads: heads.length, erasures: [] };
      }
      await compareReleases(client, this.#findings.add);
      await this.#outside();
      const erasures = await compareErasures(client, this.#findings.add);
      const attached = await partitionsOfMonths(client);
      return { unsealed: await this.#unsealed(), attached, heads: heads.length, erasures };
    });
    this.#readable = attached !== nothing;
    const closed: ClosedPartition[] = [];
    const months = this.#readable ? [...new Set([...chain.months.keys(), ...attached.keys()])].sort() : [];
    for (const month of months) {
      const present = await this.#monthOrFinding(month);
      const closing = chain.months.get(month)?.closing;
      if (closing) closed.push(closedPartition(closing, present));
    }
    const { last } = chain;
    return {
      target: connection.circumstances.target,
      findings: this.#findings.list,
      more: this.#findings.more,
      remarks: this.#findings.remarks,
      heads,
      head: last ? { number: last.number, hash: last.hash } : null,
      seals: chain.seals,
      rows: this.#rows,
      closed,
      erasures,
      unsealed,
      durationMs: performance.now() - start,
    };
  }

  async #unsealed(): Promise<VerifiedTrail['unsealed']> {
    const { rows } = await this.#connection.client.query<{ rows: string; oldest: Date | null }>(
      `SELECT count(*)::text AS rows, min(a."timestamp") AS oldest FROM llama.audit_trail AS a
        WHERE a.sequence > $1 AND NOT ${outsideOfMonths}`,
      [String(this.#chain.through)],
    );
    return { rows: Number(rows[0]?.rows ?? 0), oldest: rows[0]?.oldest?.toISOString() ?? null };
  }

  /** Finds rows outside all months: no trigger writes them, no monthly partition accepts them, no seal will cover them. */
  async #outside(): Promise<void> {
    const { rows } = await this.#connection.client.query<{ partition: string; first: string; rows: string }>(
      `SELECT c.relname AS partition, min(a.sequence)::text AS first, count(*)::text AS rows
         FROM llama.audit_trail AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.tableoid
        WHERE ${outsideOfMonths} GROUP BY 1 ORDER BY 1`,
    );
    for (const { partition, first, rows: count } of rows) {
      const others = count === '1' ? ' has' : ` and ${Number(count) - 1} more have`;
      const detail = `row ${first} of ${partition}${others} a time outside all months of the trail`;
      this.#findings.add({ kind: 'inserted row', partition, detail });
    }
  }

  /** Rows that the server cannot give, damaged or changed into what no answer can hold, hide no other month. */
  async #monthOrFinding(month: string): Promise<boolean> {
    try {
      return await readingTrail(this.#connection, () => this.#month(month));
    } catch (error) {
      const state = sqlState(error) ?? '';
      if (!ofTheData.test(state) || !(error instanceof Error)) throw error;
      const partition = partitionOf(month);
      this.#findings.add({
        kind: 'unreadable rows',
        partition,
        detail: `${partition} is not compared to its end: ${error.message} (SQLSTATE ${state})`,
      });
      return true;
    }
  }

  /** Compares the rows of one month with its seals. @returns whether it has a partition with rows */
  async #month(month: string): Promise<boolean> {
    const { client } = this.#connection;
    const known = this.#chain.months.get(month);
    const partitions = (await partitionsOfMonths(client)).get(month);
    if (!partitions) {
      if (known?.closing || !known || (await this.#closedSince(month))) return false;
      const partition = partitionOf(month);
      const { lastClosing } = known;
      const lost = counted(known.rows - (lastClosing?.rowCount ?? 0n), 'row');
      const detail = !lastClosing
        ? `${partition} is gone with ${lost} sealed and has no closing seal`
        : lost.startsWith('0 ')
          ? `${partition} is gone, and its closing seal ${lastClosing.number} does not count`
          : `${partition} is gone with ${lost} sealed after seal ${lastClosing.number} had closed it`;
      this.#findings.add({ kind: 'missing partition', partition, detail });
      return false;
    }
    // A closed month may have a new, empty partition; its closing seal accounts for the earlier rows.
    if (known?.closing && !(await this.#hasRows(month))) return false;
    const { last, through } = this.#chain;
    const partition = partitions.join(' and ');
    const part = { month, partition, lastSeal: last?.number ?? 0, through, remark: this.#findings.remark };
    const compared = await compareMonth(client, part, this.#findings.add);
    this.#rows += compared;
    return compared > 0;
  }

  /** Maintenance may have closed and dropped a month since the chain was read. */
  async #closedSince(month: string): Promise<boolean> {
    const { client } = this.#connection;
    const [newest] = (await judgedClosings(client)).filter((closing) => closing.month === month).slice(-1);
    return (
      newest !== undefined && newest.failure === undefined && newest.number > (this.#chain.last?.number ?? 0)
    );
  }

  async #hasRows(month: string): Promise<boolean> {
    const { rowCount } = await this.#connection.client.query(
      `SELECT FROM llama.audit_trail AS a WHERE a."timestamp" >= $1 AND a."timestamp" < $2 LIMIT 1`,
      [...boundsOf(month)],
    );
    return (rowCount ?? 0) > 0;
  }
}

function closedPartition(closing: Seal, present: boolean): ClosedPartition {
  const [from, to] = boundsOf(closing.month);
  return {
    partition: partitionOf(closing.month),
    from,
    to,
    firstSequence: String(closing.firstSequence),
    lastSequence: String(closing.lastSequence),
    rows: String(closing.rowCount),
    closingHash: closing.contentHash,
    closedAt: instantOf(closing.sealedAt),
    seal: closing.number,
    present,
  };
}
