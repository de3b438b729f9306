import { expect, inject, it } from 'vitest';
import { proveDeployments } from './deployments.ts';
import { proveKills } from './kills.ts';
import { Random } from './random.ts';
import { sharedTestbed } from './testbed.ts';

const options = () => {
  const lines: string[] = [];
  return { lines, random: new Random(Random.seed()), log: (line: string) => void lines.push(line) };
};

it('repairs every run that was killed (npm run prove -- kills)', { timeout: 120_000 }, async () => {
  const { random, lines, log } = options();
  const { moments } = await proveKills(sharedTestbed(inject('postgres')), {
    kills: 3,
    rows: 2_000,
    random,
    log,
  });
  expect(
    [...moments.values()].reduce((sum, times) => sum + times),
    lines.join('\n'),
  ).toBe(3);
});

it('applies everything once when two deploy (npm run prove -- deployments)', {
  timeout: 120_000,
}, async () => {
  const { random, log } = options();
  const { ends } = await proveDeployments(sharedTestbed(inject('postgres')), { pairs: 2, random, log });
  expect([...ends.values()].reduce((sum, times) => sum + times)).toBe(2);
});
