import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { createVitest } from 'vitest/node';
import { declaredSeconds } from './longest-first.ts';

const folder = mkdtempSync(join(tmpdir(), 'llama-order-'));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

it('reads a duration from the first line only', () => {
  expect(declaredSeconds(file('slow.txt', '// Duration: 405 s\nimport x;\n'))).toBe(405);
  expect(declaredSeconds(file('late.txt', 'import x;\n// Duration: 405 s\n'))).toBe(0);
  expect(declaredSeconds(file('none.txt', ''))).toBe(0);
});

it('starts the files with the longest declared duration first in a fresh clone', async () => {
  file('a-large.test.ts', `// ${'x'.repeat(5000)}\n`);
  file('b-short.test.ts', '// Duration: 5 s\n');
  file('c-long.test.ts', '// Duration: 50 s\n');
  const { default: LongestFirst } = await import('./longest-first.ts');
  const vitest = await createVitest('test', {
    ...{ config: false, watch: false, root: folder, include: ['*.test.ts'] },
    sequence: { sequencer: LongestFirst },
  });
  try {
    const found = await vitest.globTestSpecifications();
    const sorted = await new LongestFirst(vitest).sort(found);
    expect(sorted.map(({ moduleId }) => moduleId.split('/').at(-1))).toEqual([
      'c-long.test.ts',
      'b-short.test.ts',
      'a-large.test.ts',
    ]);
  } finally {
    await vitest.close();
  }
});
