import { describe, expect, it } from 'vitest';
import { progressOn } from '../../../commands/common/progress.ts';

function shown(isTTY: boolean) {
  let now = 0;
  const lines: string[] = [];
  const written: string[] = [];
  const stream = { isTTY, write: (text: string) => written.push(text) > 0 };
  const reporter = { line: (text: string) => void lines.push(text), warn: () => {} };
  const progress = progressOn(stream, reporter, () => now);
  for (let done = 0; done <= 60; done += 1) {
    now += 1000;
    progress.update('storage_records', done, 60);
  }
  progress.end();
  return { lines, written };
}

describe('the progress of an import', () => {
  it('is a bar with the rest of the time on a terminal, which the end removes', () => {
    const { lines, written } = shown(true);
    expect(lines).toEqual([]);
    expect(written).toContain('\r\u001b[2K[############............] storage_records 50 %, 30.0 s left');
    expect(written.at(-1)).toBe('\r\u001b[2K');
  });

  it('is a plain line every ten seconds elsewhere, without control characters', () => {
    const { lines, written } = shown(false);
    expect(written).toEqual([]);
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(line).toMatch(/^storage_records \d+ %(?:, [^\p{C}]+ left)?$/u);
  });
});
