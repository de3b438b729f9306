// Duration: 20 s
/** Real plans of Terraform and azurerm: each change has the impacts that a database administrator names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type impacts, rankOf } from '../../../pipeline/plan/impacts.ts';
import { judge, type Verdict } from '../../../pipeline/plan/judge.ts';
import { readPlan } from '../../../pipeline/plan/read.ts';
import { whyNoTerraform } from '../../../rehearsal/terraform/installation.ts';
import { changes as serverChanges } from './changes.ts';
import { surroundingChanges } from './surrounding-changes.ts';
import { PlansTestbed } from './testbed.ts';

const missing = await whyNoTerraform();
const changes = [...serverChanges, ...surroundingChanges];

/** `row07`: a prefix of names that no other row begins with. */
const tokenOf = (place: number) => `row${String(place).padStart(3, '0')}x`;

/** The post-deploy step of this project's stacks, which runs because a migration is new. */
const postDeploy = {
  terraform_data: {
    post_deploy: {
      triggers_replace: { migrations: { '0001_first.sql': 'a' }, settings: { environment: 'test' } },
    },
  },
};

const found = new Map<string, readonly Verdict[]>();

async function planAll(testbed: PlansTestbed, restarts: boolean): Promise<void> {
  const rows = changes.map((row, place) => [tokenOf(place), row] as const);
  const own = rows.filter(([, row]) => (row.restarts ?? false) === restarts);
  const text = await testbed.plan(Object.fromEntries(own), { restarts }, restarts ? {} : postDeploy);
  const { verdicts } = judge(readPlan(text));
  for (const [token] of own)
    found.set(
      token,
      verdicts.filter(({ address }) => address.includes(`.${token}_`)),
    );
}

function summary(verdicts: readonly Verdict[]): string {
  const names = verdicts.map(({ impact, when }) => `${impact}${when === undefined ? '' : '?'}`);
  const rank = (name: string) => rankOf(name.replace('?', '') as (typeof impacts)[number]);
  return [...new Set(names)].sort((a, b) => rank(a) - rank(b)).join(', ');
}

describe('the impact of a change in a real plan', () => {
  let testbed: PlansTestbed | undefined;
  beforeAll(async () => {
    if (missing !== undefined) return;
    testbed = await PlansTestbed.open();
    await planAll(testbed, false);
    await planAll(testbed, true);
  }, 120_000);
  afterAll(() => testbed?.close());

  it.each(changes.map(({ name, impacts: expected }, place) => [name, expected, place] as const))(
    '%s: %s',
    (_, expected, place) => {
      if (missing !== undefined) return;
      const verdicts = found.get(tokenOf(place)) ?? [];
      expect(
        summary(verdicts),
        JSON.stringify(verdicts.map(({ attribute, impact, says }) => [attribute, impact, says])),
      ).toBe(expected);
    },
  );
});
