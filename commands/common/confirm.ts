import { createInterface } from 'node:readline/promises';

/** Asks a person; no without a terminal to ask at. The question goes to stderr, because stdout may be a result. */
export async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    process.stderr.write(`${question} Not without --yes: there is no terminal to ask at.\n`);
    return false;
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(?:es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
