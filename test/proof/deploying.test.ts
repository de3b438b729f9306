import { expect, inject, it } from 'vitest';
import { proveDeployments } from './deployments.ts';
import { proveKills } from './kills.ts';
import { Random } from './random.ts';
import { sharedStage } from './stage.ts';

const options = () => {
  const said: string[] = [];
  return { said, random: new Random(Random.seed()), say: (line: string) => void said.push(line) };
};

it('mends every run that was killed (npm run prove -- kills)', { timeout: 120_000 }, async () => {
  const { random, said, say } = options();
  const { moments } = await proveKills(sharedStage(inject('postgres')), {
    kills: 3,
    rows: 2_000,
    random,
    say,
  });
  expect(
    [...moments.values()].reduce((sum, times) => sum + times),
    said.join('\n'),
  ).toBe(3);
});

it('applies everything once when two deploy (npm run prove -- deployments)', {
  timeout: 120_000,
}, async () => {
  const { random, say } = options();
  const { ends } = await proveDeployments(sharedStage(inject('postgres')), { pairs: 2, random, say });
  expect([...ends.values()].reduce((sum, times) => sum + times)).toBe(2);
});
