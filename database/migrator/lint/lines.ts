/** Byte offsets of a text, as the parser counts, to line numbers. */
export class Lines {
  readonly #starts: number[] = [0];
  readonly #first: number;

  /** @param first number of the first line */
  constructor(text: Buffer, first: number) {
    this.#first = first;
    for (let at = text.indexOf(10); at >= 0; at = text.indexOf(10, at + 1)) this.#starts.push(at + 1);
  }

  at(offset: number): number {
    let low = 0;
    for (let high = this.#starts.length - 1; low < high; ) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return this.#first + low;
  }
}
