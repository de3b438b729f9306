/**
 * `llama-db audit verify`: computes the chain again, from the rows up.
 *
 * The chain is read in one transaction, each month in another: sealed rows never change, so nothing is lost by it, and
 * no snapshot is held open for as long as the whole takes. Memory does not grow with the trail.
 */
import { createHash, type Hash } from 'node:crypto';
import { type Connection, withConnection } from '../connection.ts';
import { leafName, monthName, parseBounds } from '../maintain/months.ts';
import type { Reporter } from '../report.ts';
import type { Target } from '../target.ts';
import { genesis, hashOf, rowHash, type Seal } from './canonical.ts';
import { type Head, readingTrail, sealsAfter } from './seals.ts';

export type Tampering =
  | 'changed row'
  | 'removed row'
  | 'inserted row'
  | 'broken link'
  | 'rewritten seal'
  | 'removed seal'
  | 'missing partition'
  | 'wrong closing'
  | 'other chain';

export interface TrailFinding {
  readonly kind: Tampering;
  /** Seal that says otherwise. */
  readonly seal?: number;
  /** `audit_trail_y2026m11`. */
  readonly partition?: string;
  /** One line: what is wrong, and where. */
  readonly detail: string;
}

/** A month whose partition may be gone, as its closing seal says. */
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
  /** Whether its rows were there to be checked. */
  readonly present: boolean;
}

export interface VerifiedTrail {
  readonly target: string;
  readonly findings: readonly TrailFinding[];
  /** Findings beyond those listed. */
  readonly more: number;
  /** Newest seal; null while nothing was sealed. */
  readonly head: Head | null;
  readonly seals: number;
  /** Rows that were read and compared. */
  readonly rows: number;
  readonly closed: readonly ClosedPartition[];
  readonly unsealed: { readonly rows: number; readonly oldest: string | null };
  /** Milliseconds. */
  readonly durationMs: number;
}

export interface VerifyTrailOptions {
  readonly reporter: Reporter;
  /** An earlier head that the chain must contain. @default - none: a chain that was computed anew goes unnoticed */
  readonly expect?: Head;
}

/** Findings that are listed; a trail that was emptied has one a seal. */
const listed = 100;
/** Rows taken from the server at a time. */
const fetchSize = 5_000;
/** Seals whose rows are asked for at a time. */
const pageSize = 500;

/**
 * Verifies the trail of one server; a replica too.
 *
 * @throws Fault (exit 2) when it could not be looked at.
 */
export async function verifyTrail(target: Target, options: VerifyTrailOptions): Promise<VerifiedTrail> {
  const connect = {
    reporter: options.reporter,
    applicationName: 'llama-db audit',
    session: 'reading',
    acceptStandby: true,
  } as const;
  return withConnection(target, connect, (connection) => new Verification(connection, options).run());
}

interface Month {
  readonly month: string;
  rows: bigint;
  first: bigint | undefined;
  last: bigint;
  /** Over the content hashes of its seals. */
  readonly contents: Hash;
  closing: Seal | undefined;
}

interface SealInHand {
  readonly seal: Seal;
  readonly hash: Hash;
  rows: bigint;
}

class Verification {
  readonly #connection: Connection;
  readonly #options: VerifyTrailOptions;
  readonly #findings: TrailFinding[] = [];
  readonly #months = new Map<string, Month>();
  #more = 0;
  #rows = 0;
  #seals = 0;
  #last: Seal | undefined;
  /** Everything numbered up to here is sealed. */
  #through = 0n;

  constructor(connection: Connection, options: VerifyTrailOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  async run(): Promise<VerifiedTrail> {
    const start = performance.now();
    const unsealed = await readingTrail(this.#connection, async () => {
      await this.#followChain();
      return this.#unsealed();
    });
    const leaves = await readingTrail(this.#connection, () => this.#leaves());
    const closed: ClosedPartition[] = [];
    for (const month of [...new Set([...this.#months.keys(), ...leaves])].sort()) {
      const present = await readingTrail(this.#connection, () => this.#month(month));
      const closing = this.#months.get(month)?.closing;
      if (closing) closed.push(closedPartition(closing, present));
    }
    return {
      target: this.#connection.circumstances.target,
      findings: this.#findings,
      more: this.#more,
      head: this.#last ? { number: this.#last.number, hash: this.#last.hash } : null,
      seals: this.#seals,
      rows: this.#rows,
      closed,
      unsealed,
      durationMs: performance.now() - start,
    };
  }

  #find(finding: TrailFinding): void {
    if (this.#findings.length < listed) this.#findings.push(finding);
    else this.#more += 1;
  }

  async #followChain(): Promise<void> {
    const { expect } = this.#options;
    let met = false;
    for await (const page of sealsAfter(this.#connection.client, 0)) {
      for (const seal of page) {
        this.#link(seal);
        if (expect?.number === seal.number) {
          met = true;
          if (expect.hash !== hashOf(seal)) {
            this.#find({
              kind: 'other chain',
              seal: seal.number,
              detail: `seal ${seal.number} is not the one that was expected: the chain was computed anew since then`,
            });
          }
        }
        this.#count(seal);
        this.#last = seal;
        this.#seals += 1;
      }
    }
    if (expect && !met) {
      const newest = this.#last ? `the newest is ${this.#last.number}` : 'there is none';
      this.#find({
        kind: 'other chain',
        seal: expect.number,
        detail: `seal ${expect.number}, which was expected, does not exist: ${newest}, and what followed it was removed`,
      });
    }
  }

  /** The seal itself, and how it hangs on the one before. */
  #link(seal: Seal): void {
    const { number } = seal;
    const previous = this.#last ?? { number: 0, hash: genesis };
    const missing = number - previous.number - 1;
    if (missing > 0) {
      const which =
        missing === 1 ? `seal ${number - 1} is` : `seals ${previous.number + 1} to ${number - 1} are`;
      this.#find({ kind: 'removed seal', seal: number - 1, detail: `${which} missing` });
    } else if (seal.previousHash !== previous.hash) {
      this.#find({
        kind: 'broken link',
        seal: number,
        detail:
          previous.number === 0
            ? 'seal 1 does not begin the chain: it names another seal before it'
            : `seal ${number} does not hang on seal ${previous.number}: one of them was replaced`,
      });
    }
    if (hashOf(seal) !== seal.hash) {
      const detail = `seal ${number} (${partitionOf(seal.month)}) was rewritten: its hash is not that of what it says`;
      this.#find({ kind: 'rewritten seal', seal: number, partition: partitionOf(seal.month), detail });
    }
  }

  #count(seal: Seal): void {
    const known = this.#months.get(seal.month);
    const month: Month = known ?? {
      month: seal.month,
      rows: 0n,
      first: undefined,
      last: 0n,
      contents: createHash('sha256'),
      closing: undefined,
    };
    if (!known) this.#months.set(seal.month, month);
    if (seal.kind === 'closing') {
      month.closing = seal;
      const right =
        seal.rowCount === month.rows &&
        seal.firstSequence === (month.first ?? 0n) &&
        seal.lastSequence === month.last &&
        seal.contentHash === month.contents.copy().digest('hex');
      if (right) return;
      const partition = partitionOf(seal.month);
      const detail = `seal ${seal.number} closes ${partition} with another hash than its seals give`;
      this.#find({ kind: 'wrong closing', seal: seal.number, partition, detail });
      return;
    }
    month.rows += seal.rowCount;
    month.first ??= seal.firstSequence;
    month.last = seal.lastSequence;
    month.contents.update(Buffer.from(seal.contentHash, 'hex'));
    if (seal.lastSequence > this.#through) this.#through = seal.lastSequence;
  }

  async #unsealed(): Promise<VerifiedTrail['unsealed']> {
    const { rows } = await this.#connection.client.query<{ rows: string; oldest: Date | null }>(
      'SELECT count(*)::text AS rows, min(a."timestamp") AS oldest FROM llama.audit_trail AS a WHERE a.sequence > $1',
      [String(this.#through)],
    );
    return { rows: Number(rows[0]?.rows ?? 0), oldest: rows[0]?.oldest?.toISOString() ?? null };
  }

  /**
   * Months that have a partition. In one that is not a month's, a default one for example, rows could hide: it counts for
   * every month that it has rows of.
   */
  async #leaves(): Promise<readonly string[]> {
    const { client } = this.#connection;
    const { rows } = await client.query<{ id: string; bound: string }>(
      `SELECT c.oid::text AS id, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound
         FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = 'llama.audit_trail'::pg_catalog.regclass AND NOT i.inhdetachpending`,
    );
    const months = new Set<string>();
    const others: string[] = [];
    for (const { id, bound } of rows) {
      const bounds = parseBounds(bound);
      const month = bounds && `${monthName(bounds.from)}-01`;
      if (month && bounds.to.getTime() === Date.parse(boundsOf(month)[1].slice(0, 10))) months.add(month);
      else others.push(id);
    }
    if (others.length > 0) {
      const { rows: found } = await client.query<{ month: string }>(
        `SELECT DISTINCT pg_catalog.to_char(a."timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-01') AS month
           FROM llama.audit_trail AS a
          WHERE a.tableoid = ANY ($1::oid[]) AND a."timestamp" >= '0001-01-01 00:00:00+00'
            AND a."timestamp" < '9999-12-01 00:00:00+00'`,
        [others],
      );
      for (const { month } of found) months.add(month);
    }
    return [...months];
  }

  /** Compares the rows of one month with its seals. @returns whether it has a partition with rows in it. */
  async #month(month: string): Promise<boolean> {
    const attached = (await this.#leaves()).includes(month);
    const known = this.#months.get(month);
    const partition = partitionOf(month);
    if (!attached) {
      if (known?.closing || !known || (await this.#closedSince(month))) return false;
      this.#find({
        kind: 'missing partition',
        partition,
        detail: `${partition} is gone with ${known.rows} sealed rows, and no closing hash was kept`,
      });
      return false;
    }
    // A month that was closed may have got its partition again, empty: what was in it has been accounted for.
    if (known?.closing && !(await this.#hasRows(month))) return false;
    const before = this.#rows;
    const limit = this.#last?.number ?? 0;
    let from = -(2n ** 63n);
    for await (const page of sealsAfter(this.#connection.client, 0, { month, pageSize })) {
      const seals = page.filter(({ number }) => number <= limit);
      const last = seals.at(-1);
      if (!last) break;
      await this.#compare(month, seals, from, last.lastSequence);
      from = last.lastSequence + 1n;
    }
    if (from <= this.#through) await this.#compare(month, [], from, this.#through);
    return this.#rows > before;
  }

  /** Maintenance may have closed and dropped a month since the chain was read. */
  async #closedSince(month: string): Promise<boolean> {
    const { rowCount } = await this.#connection.client.query(
      "SELECT FROM llama.audit_seals WHERE month = $1 AND kind = 'closing' LIMIT 1",
      [month],
    );
    return (rowCount ?? 0) > 0;
  }

  async #hasRows(month: string): Promise<boolean> {
    const { rowCount } = await this.#connection.client.query(
      `SELECT FROM llama.audit_trail AS a WHERE a."timestamp" >= $1 AND a."timestamp" < $2 LIMIT 1`,
      [...boundsOf(month)],
    );
    return (rowCount ?? 0) > 0;
  }

  /** Rows numbered `from` to `to` against the seals of that range, both in order. */
  async #compare(month: string, seals: readonly Seal[], from: bigint, to: bigint): Promise<void> {
    const { client } = this.#connection;
    await client.query(
      `DECLARE trail NO SCROLL CURSOR FOR
       SELECT a.sequence::text, ${rowHash} AS hash FROM llama.audit_trail AS a
        WHERE a."timestamp" >= '${boundsOf(month)[0]}' AND a."timestamp" < '${boundsOf(month)[1]}'
          AND a.sequence BETWEEN '${from}' AND '${to}'
        ORDER BY a.sequence, a.id`,
    );
    const strangers = { rows: 0, first: 0n };
    let place = 0;
    let inHand: SealInHand | undefined;
    const turnTo = (sequence: bigint) => {
      while (place < seals.length && (seals[place] as Seal).lastSequence < sequence) {
        this.#judge(inHand ?? take(seals[place] as Seal));
        inHand = undefined;
        place += 1;
      }
    };
    for (;;) {
      const { rows } = await client.query<{ sequence: string; hash: Buffer }>(
        `FETCH ${fetchSize} FROM trail`,
      );
      for (const row of rows) {
        const sequence = BigInt(row.sequence);
        turnTo(sequence);
        const seal = seals[place];
        if (!seal || sequence < seal.firstSequence) {
          if (strangers.rows === 0) strangers.first = sequence;
          strangers.rows += 1;
          continue;
        }
        inHand ??= take(seal);
        inHand.rows += 1n;
        inHand.hash.update(row.hash);
        this.#rows += 1;
      }
      if (rows.length < fetchSize) break;
    }
    turnTo(to + 1n);
    await client.query('CLOSE trail');
    if (strangers.rows === 0) return;
    const partition = partitionOf(month);
    const others = strangers.rows > 1 ? ` and ${strangers.rows - 1} more` : '';
    this.#find({
      kind: 'inserted row',
      partition,
      detail: `row ${strangers.first} of ${partition}${others} was inserted into a range that was sealed without it`,
    });
  }

  #judge({ seal, rows, hash }: SealInHand): void {
    if (rows === seal.rowCount && hash.digest('hex') === seal.contentHash) return;
    const partition = partitionOf(seal.month);
    const where = `seal ${seal.number}, ${partition}, rows numbered ${seal.firstSequence} to ${seal.lastSequence}`;
    const number = (count: bigint) => (count === 1n ? '1 row' : `${count} rows`);
    const [kind, detail]: [Tampering, string] =
      rows < seal.rowCount
        ? ['removed row', `${number(seal.rowCount - rows)} of ${seal.rowCount} removed (${where})`]
        : rows > seal.rowCount
          ? ['inserted row', `${number(rows - seal.rowCount)} inserted beside ${seal.rowCount} (${where})`]
          : ['changed row', `at least 1 of ${number(rows)} changed (${where})`];
    this.#find({ kind, seal: seal.number, partition, detail });
  }
}

function take(seal: Seal): SealInHand {
  return { seal, rows: 0n, hash: createHash('sha256') };
}

function partitionOf(month: string): string {
  return leafName('audit_trail', new Date(`${month}T00:00:00Z`));
}

/** First instants of the month and of the next. */
function boundsOf(month: string): readonly [string, string] {
  const from = new Date(`${month}T00:00:00Z`);
  const to = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + 1));
  return [`${monthName(from)}-01 00:00:00+00`, `${monthName(to)}-01 00:00:00+00`];
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
    closedAt: new Date(Number(closing.sealedAt) * 1000).toISOString(),
    seal: closing.number,
    present,
  };
}
