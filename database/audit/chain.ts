/** Follows the chain of seals and checks each seal: its own hash, its link to the previous seal, its time, its closing. */
import { createHash, type Hash } from 'node:crypto';
import type pg from 'pg';
import { genesis, hashOf, type Seal } from './canonical.ts';
import type { Find, Remark } from './findings.ts';
import { HeadComparison, type RecordedHead } from './heads.ts';
import { isMonth, partitionOf } from './months.ts';
import { clockTolerance, endOf, instantOf, whyClosingFails } from './retention.ts';
import { sealsAfter } from './seals.ts';

export interface SealedMonth {
  /** Sum over all seals of rows, closed or not. */
  rows: bigint;
  first: bigint | undefined;
  last: bigint;
  /** Hash over the content hashes of its seals. */
  readonly contents: Hash;
  /** Number of the last seal of rows before its first one: its rows were written under the retention of that one. */
  readonly since: number;
  /** The newest closing, even if rows of the month were sealed after it. */
  lastClosing: Seal | undefined;
  /** The newest closing, unless rows of the month were sealed after it, or its retention was not over. */
  closing: Seal | undefined;
}

/** Seconds by which a row may be older than its number: a transaction numbers its last row long after it began. */
export const backdatedSeconds = 3600;

export class Chain {
  readonly #find: Find;
  readonly #remark: Remark;
  /** Changes of the retention: the first seal with it. */
  readonly #retentions: { readonly number: number; readonly days: number }[] = [];
  #notes = { last: Number.NEGATIVE_INFINITY, before: Number.NEGATIVE_INFINITY };
  #now = 0;
  #lastOfRows = 0;
  readonly #months = new Map<string, SealedMonth>();
  #seals = 0;
  #last: Seal | undefined;
  #through = 0n;

  constructor(find: Find, remark: Remark) {
    this.#find = find;
    this.#remark = remark;
  }

  get months(): ReadonlyMap<string, SealedMonth> {
    return this.#months;
  }

  get seals(): number {
    return this.#seals;
  }

  get last(): Seal | undefined {
    return this.#last;
  }

  /** The highest sealed sequence number. */
  get through(): bigint {
    return this.#through;
  }

  /** @param expected earlier heads that the chain must contain */
  async follow(client: pg.Client, expected: readonly RecordedHead[]): Promise<void> {
    const heads = new HeadComparison(expected, this.#find, this.#remark);
    const { rows } = await client.query<{ now: number }>(
      'SELECT extract(epoch FROM pg_catalog.clock_timestamp())::float8 AS now',
    );
    this.#now = rows[0]?.now ?? 0;
    for await (const page of sealsAfter(client, 0)) {
      for (const seal of page) {
        const genuine = this.#link(seal);
        if (genuine) this.#time(seal);
        this.#retention(seal);
        heads.pass(seal);
        this.#count(seal, genuine);
        if (seal.kind === 'rows') this.#lastOfRows = seal.number;
        this.#last = seal;
        this.#seals += 1;
      }
    }
    heads.end(this.#last);
  }

  /** Seals follow each other in time, and none is of the future. A closing could otherwise claim any instant. */
  #time(seal: Seal): void {
    const sealed = Number(seal.sealedAt);
    const noted = seal.notedAt === null ? sealed : Number(seal.notedAt);
    const object = `seal ${seal.number}`;
    const wrong = (detail: string) =>
      this.#find({ kind: 'wrong time', seal: seal.number, detail: `${object} ${detail}` });
    if (!(sealed <= this.#now + clockTolerance)) wrong(`is of ${instantOf(seal.sealedAt)}, in the future`);
    else if (this.#last && !(sealed >= Number(this.#last.sealedAt) - clockTolerance)) {
      wrong(`is of ${instantOf(seal.sealedAt)}, before seal ${this.#last.number}`);
    } else if (!(noted <= sealed + clockTolerance)) {
      wrong(`was noted at ${instantOf(String(noted))}, after it was sealed`);
    }
    if (seal.notedAt === null || !isMonth(seal.month)) return;
    if (noted > this.#notes.last) this.#notes = { last: noted, before: this.#notes.last };
    const { before } = this.#notes;
    if (before > endOf(seal.month) + backdatedSeconds) {
      const rows = `${seal.rowCount} row${seal.rowCount === 1n ? '' : 's'}`;
      const detail = `${rows} of ${partitionOf(seal.month)} (seal ${seal.number}) were numbered after ${instantOf(String(before))}`;
      this.#remark({ kind: 'backdated rows', seal: seal.number, detail });
    }
  }

  #retention({ kind, number, retentionDays: days }: Seal): void {
    if (kind !== 'rows') return;
    const known = this.#retentions.at(-1);
    if (known?.days === days) return;
    this.#retentions.push({ number, days });
    if (known && days < known.days) {
      const detail = `the trail was kept for ${known.days} days before seal ${number}, and ${days} days since then; earlier months keep the longer retention`;
      this.#remark({ kind: 'shorter retention', seal: number, detail });
    }
  }

  /** The longest retention in force from one seal to the newest. */
  #longestSince(number: number): number {
    return this.#retentions.reduce((longest, { days }, place) => {
      const next = this.#retentions[place + 1];
      return next === undefined || next.number > number ? Math.max(longest, days) : longest;
    }, 0);
  }

  /** @returns whether its hash matches its content; otherwise its times prove nothing */
  #link(seal: Seal): boolean {
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
            ? 'seal 1 does not begin the chain: it names a previous seal'
            : `seal ${number} does not link to seal ${previous.number}: one of them was replaced`,
      });
    }
    const genuine = hashOf(seal) === seal.hash;
    if (!genuine) {
      const detail = `seal ${number} (${partitionOf(seal.month)}) was rewritten: its hash does not match its content`;
      this.#find({ kind: 'rewritten seal', seal: number, partition: partitionOf(seal.month), detail });
    }
    return genuine;
  }

  #count(seal: Seal, genuine: boolean): void {
    if (!isMonth(seal.month)) {
      const detail = `seal ${seal.number} covers ${JSON.stringify(seal.month)}, which the trail cannot contain`;
      this.#find({ kind: 'rewritten seal', seal: seal.number, detail });
      return;
    }
    const known = this.#months.get(seal.month);
    const month: SealedMonth = known ?? {
      rows: 0n,
      first: undefined,
      last: 0n,
      contents: createHash('sha256'),
      since: this.#lastOfRows,
      lastClosing: undefined,
      closing: undefined,
    };
    if (!known) this.#months.set(seal.month, month);
    if (seal.kind === 'closing') {
      month.lastClosing = seal;
      month.closing = seal;
      const early = genuine && whyClosingFails(seal, this.#longestSince(month.since), this.#now);
      if (early) {
        month.closing = undefined;
        const partition = partitionOf(seal.month);
        const detail = `seal ${seal.number}, which closes ${partition}, ${early}`;
        this.#find({ kind: 'early closing', seal: seal.number, partition, detail });
      }
      const right =
        seal.rowCount === month.rows &&
        seal.firstSequence === (month.first ?? 0n) &&
        seal.lastSequence === month.last &&
        seal.contentHash === month.contents.copy().digest('hex');
      if (right) return;
      const partition = partitionOf(seal.month);
      const detail = `seal ${seal.number} closes ${partition} with a hash that differs from the hash of its seals`;
      this.#find({ kind: 'wrong closing', seal: seal.number, partition, detail });
      return;
    }
    const sameRun = this.#last?.kind === 'rows' && this.#last.lastSequence === seal.lastSequence;
    const begins = sameRun ? (this.#last as Seal).firstSequence : this.#through + 1n;
    if (seal.firstSequence < begins || (sameRun && seal.month <= (this.#last as Seal).month)) {
      const detail = `seal ${seal.number} covers numbers from ${seal.firstSequence} on, which earlier seals cover up to ${this.#through}`;
      this.#find({ kind: 'overlapping seal', seal: seal.number, detail });
    }
    month.closing = undefined;
    month.rows += seal.rowCount;
    month.first ??= seal.firstSequence;
    month.last = seal.lastSequence;
    month.contents.update(Buffer.from(seal.contentHash, 'hex'));
    if (seal.lastSequence > this.#through) this.#through = seal.lastSequence;
  }
}
