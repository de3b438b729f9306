// Duration: 40 s
import { expect, it } from 'vitest';
import { Random } from './random.ts';
import { proveRuntimeFailures } from './runtime-failures.ts';

it('writes survive what happens to connections, a killed primary, and a name that moves', async () => {
  const lines: string[] = [];
  const { summary } = await proveRuntimeFailures({
    ...{ rate: 50, seconds: 1, stop: 2, random: new Random(Random.seed()), log: (line) => lines.push(line) },
  });
  expect(lines).toHaveLength(8);
  expect(summary).toMatch(/none lost or doubled/);
}, 180_000);
