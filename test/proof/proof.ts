/** Functions and types that the proofs share. */

/** Prints one line. */
export type Log = (line: string) => void;

/** A claim that does not hold. Its message is the complete output. */
export class Disproved extends Error {}

/** The result of a proof, for its last line and for tests. */
export interface Proved {
  /** The claim with its numbers, in one phrase. */
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

/** The value below which this share of the sorted numbers lies; 0 for an empty list. */
export function quantile(numbers: readonly number[], share: number): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

/** Lines in only one of two lists, marked as missing or added. */
export function difference(expected: readonly string[], found: readonly string[]): readonly string[] {
  const [wanted, there] = [new Set(expected), new Set(found)];
  return [
    ...expected.filter((line) => !there.has(line)).map((line) => `missing: ${line}`),
    ...found.filter((line) => !wanted.has(line)).map((line) => `added: ${line}`),
  ];
}
