import { expect, it } from 'vitest';
import { provePlans } from './plans.ts';
import { Random } from './random.ts';

it('crashes on no changed plan, and finds nothing only where nothing changes', async () => {
  const { summary } = await provePlans({
    mutants: 500,
    random: new Random(Random.seed()),
    log: () => undefined,
  });
  expect(summary).toMatch(/^500 changed plans: /);
}, 120_000);
