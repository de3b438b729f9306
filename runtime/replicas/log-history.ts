import { type Lsn, lsnNumber } from './lsn.ts';

/** Longest lag that can be measured, in samples. */
const mostSamples = 1200;

/** Positions of the primary's log with the time before each was read. */
export class LogHistory {
  readonly #samples: { readonly at: number; readonly position: bigint }[] = [];

  /** @param at `performance.now()` before the position was read */
  add(at: number, position: Lsn): void {
    const number = lsnNumber(position);
    // A smaller position is that of another primary, after a failover that lost the end of the log.
    while ((this.#samples.at(-1)?.position ?? 0n) > number) this.#samples.pop();
    this.#samples.push({ at, position: number });
    if (this.#samples.length > mostSamples) this.#samples.shift();
  }

  /** Time of the newest sample that a replica at this position has replayed. */
  newestWithin(position: Lsn): number | undefined {
    const number = lsnNumber(position);
    return this.#samples.findLast((sample) => sample.position <= number)?.at;
  }
}
