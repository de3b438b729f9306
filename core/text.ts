/** The message of an error; any other thrown value as text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** C0 and C1 control characters except newline and tab, and the marks that reorder text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to replace
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/**
 * Text for a terminal. Names of objects and messages of servers may contain escape sequences that move the cursor or rename
 * the window: their control characters are written as `\u001b`, which JSON reads as the same character.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `1 row`, `2 rows`. @param many the plural. @default the noun with an s */
export function counted(count: number | bigint, noun: string, many = `${noun}s`): string {
  return `${count} ${BigInt(count) === 1n ? noun : many}`;
}

/** Durations as a person reads them: `85 ms`, `2.4 s`, `3 min 20 s`, `25 h 0 min`. */
export function duration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 60_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 120
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Text in lines of at most `width` characters, as far as its words permit; later lines are indented. */
export function wrapped(text: string, width: number, indent = 0): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.at(-1);
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(line === undefined ? word : `${' '.repeat(indent)}${word}`);
  }
  return lines.join('\n');
}
