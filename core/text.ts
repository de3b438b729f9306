/** The message of an error; any other thrown value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** `1 row`, `2 rows`. @param many the plural. @default the noun with an s */
export function counted(count: number | bigint, noun: string, many = `${noun}s`): string {
  return `${count} ${BigInt(count) === 1n ? noun : many}`;
}

/** Durations as a person reads them: `85 ms`, `2.4 s`, `3 min 20 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}
