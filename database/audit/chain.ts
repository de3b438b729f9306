/** Follows the chain of seals and checks each seal: its own hash, its link to the previous seal, its closing. */
import { createHash, type Hash } from 'node:crypto';
import type pg from 'pg';
import { genesis, hashOf, type Seal } from './canonical.ts';
import type { Find } from './findings.ts';
import { isMonth, partitionOf } from './months.ts';
import { type Head, sealsAfter } from './seals.ts';

export interface SealedMonth {
  /** Sum over all seals of rows, closed or not. */
  rows: bigint;
  first: bigint | undefined;
  last: bigint;
  /** Hash over the content hashes of its seals. */
  readonly contents: Hash;
  /** The newest closing, even if rows of the month were sealed after it. */
  lastClosing: Seal | undefined;
  /** The newest closing, unless rows of the month were sealed after it: it does not cover them. */
  closing: Seal | undefined;
}

export class Chain {
  readonly #find: Find;
  readonly #months = new Map<string, SealedMonth>();
  #seals = 0;
  #last: Seal | undefined;
  #through = 0n;

  constructor(find: Find) {
    this.#find = find;
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

  /** @param expect an earlier head that the chain must contain */
  async follow(client: pg.Client, expect: Head | undefined): Promise<void> {
    let met = false;
    for await (const page of sealsAfter(client, 0)) {
      for (const seal of page) {
        this.#link(seal);
        if (expect?.number === seal.number) {
          met = true;
          if (expect.hash !== hashOf(seal)) {
            this.#find({
              kind: 'other chain',
              seal: seal.number,
              detail: `seal ${seal.number} differs from the expected head: the chain was recomputed since then`,
            });
          }
        }
        this.#count(seal);
        this.#last = seal;
        this.#seals += 1;
      }
    }
    if (expect && !met) {
      const newest = this.#last ? `the newest seal is ${this.#last.number}` : 'the chain is empty';
      this.#find({
        kind: 'other chain',
        seal: expect.number,
        detail: `the expected seal ${expect.number} does not exist: ${newest}, and later seals were removed`,
      });
    }
  }

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
            ? 'seal 1 does not begin the chain: it names a previous seal'
            : `seal ${number} does not link to seal ${previous.number}: one of them was replaced`,
      });
    }
    if (hashOf(seal) !== seal.hash) {
      const detail = `seal ${number} (${partitionOf(seal.month)}) was rewritten: its hash does not match its content`;
      this.#find({ kind: 'rewritten seal', seal: number, partition: partitionOf(seal.month), detail });
    }
  }

  #count(seal: Seal): void {
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
      lastClosing: undefined,
      closing: undefined,
    };
    if (!known) this.#months.set(seal.month, month);
    if (seal.kind === 'closing') {
      month.lastClosing = seal;
      month.closing = seal;
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
    month.closing = undefined;
    month.rows += seal.rowCount;
    month.first ??= seal.firstSequence;
    month.last = seal.lastSequence;
    month.contents.update(Buffer.from(seal.contentHash, 'hex'));
    if (seal.lastSequence > this.#through) this.#through = seal.lastSequence;
  }
}
