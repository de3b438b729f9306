/** What the proofs share: where they write, how they count, and how they end. */

/** One line to a person. */
export type Log = (line: string) => void;

/** A claim that did not hold; its message is the whole of what is printed. */
export class Disproved extends Error {}

/** What a proof found, for the last line and for tests. */
export interface Proved {
  /** In a few words, with the numbers. */
  readonly summary: string;
}

/** `{ a: 2, b: 5 }` as `b 5, a 2`. */
export function tally(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a, left], [b, right]) => right - left || a.localeCompare(b))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

export function count(counts: Map<string, number>, name: string, by = 1): void {
  counts.set(name, (counts.get(name) ?? 0) + by);
}

/** The value below which this share of the sorted numbers lies; 0 of none. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** What is in one of two lists of lines and not in the other, each line with its side. */
export function difference(expected: readonly string[], found: readonly string[]): readonly string[] {
  const [wanted, there] = [new Set(expected), new Set(found)];
  return [
    ...expected.filter((line) => !there.has(line)).map((line) => `missing: ${line}`),
    ...found.filter((line) => !wanted.has(line)).map((line) => `added: ${line}`),
  ];
}
