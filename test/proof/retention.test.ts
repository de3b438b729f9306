// Duration: 40 s
import { expect, it } from 'vitest';
import { proveRetention } from './retention.ts';

it('erases every expired record in batches of several sizes', async () => {
  const lines: string[] = [];
  const { summary } = await proveRetention({ rows: 1200, tenants: 5, log: (line) => lines.push(line) });
  expect(summary).toMatch(
    /\d+ rows\/s in batches of 200, \d+ rows\/s in batches of 1000, \d+ rows\/s in batches of 5000/,
  );
  expect(lines).toHaveLength(3);
}, 240_000);
