/** Every scenario of rehearsal/scenarios/, on the environment it names first, without the provider's longest waits. */
import { afterAll, describe, expect, it } from 'vitest';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import { play, scenarios } from '../../rehearsal/scenario.ts';
import { Stage } from '../../rehearsal/stage/stage.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';

const missing = await whyNoTerraform();
const complete = process.env['LLAMA_REHEARSAL'] === 'complete';
const timeout = complete ? 1_800_000 : 600_000;

const all = await scenarios();

/** Those in which the provider watches longest what it has changed begin first, and the others run meanwhile. */
const longest = [
  'replica-removed-and-added',
  'child-removed-under-lock',
  'destroy-development',
  'scale-pair',
];
const inOrder = [...all].sort((a, b) => Number(longest.includes(b.name)) - Number(longest.includes(a.name)));

const first = all.find(({ name }) => name === 'first-deploy');

const open: Stage[] = [];
afterAll(async () => {
  for (const stage of open) await stage.close();
});

const bases = new Map<EnvironmentName, Promise<Stage>>();

/** The stage of an environment's first deployment, made once. */
function deployed(environment: EnvironmentName): Promise<Stage> {
  const made = bases.get(environment) ?? make(environment);
  bases.set(environment, made);
  return made;
}

async function make(environment: EnvironmentName): Promise<Stage> {
  if (!first) throw new Error('there is no scenario of a first deployment');
  const stage = await Stage.open({ environment, quick: !complete });
  open.push(stage);
  await play(first, stage);
  return stage;
}

describe('rehearsal: first-deploy', () => {
  it.concurrent.for(environments.names)('%s', { timeout }, async (environment, context) => {
    context.skip(missing !== undefined, missing);
    const { checks } = await deployed(environment);
    expect(checks.length).toBeGreaterThan(3);
  });
});

describe('rehearsal', () => {
  it.concurrent.for(inOrder.filter((scenario) => scenario !== first))(
    '$name: $title',
    { timeout },
    async (scenario, context) => {
      context.skip(missing !== undefined, missing);
      const [environment] = scenario.environments;
      const stage =
        scenario.begins === 'deployed'
          ? await (await deployed(environment)).fork()
          : await Stage.open({ environment, quick: !complete });
      try {
        await play(scenario, stage);
        expect(stage.checks.length).toBeGreaterThan(2);
      } finally {
        await stage.close();
      }
    },
  );
});
