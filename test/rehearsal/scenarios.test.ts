// Duration: 150 s
/** The scenarios of rehearsal/scenarios/, on the first environment with their traits; quick unless complete. */

import { afterAll, describe, expect, it } from 'vitest';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import { within } from '../../local/postgres/bootstrap.ts';
import { Sandbox } from '../../rehearsal/sandbox/sandbox.ts';
import {
  environmentsFor,
  runScenario,
  scenarios,
  whyNoEnvironment,
} from '../../rehearsal/sandbox/scenario.ts';
import { whyNoTerraform } from '../../rehearsal/terraform/installation.ts';
import { includesLong, takesMinutes } from '../support/extent.ts';

const missing = await whyNoTerraform();
const isComplete = process.env['LLAMA_REHEARSAL'] === 'complete';
const timeout = isComplete ? 1_800_000 : 600_000;

const all = await scenarios();
/** The scenario with the longest waits for the provider comes first, so that the others run meanwhile. */
const inOrder = [...all].sort((a, b) => (b.waitSeconds ?? 0) - (a.waitSeconds ?? 0));
const first = all.find(({ name }) => name === 'first-deploy');

const open: Sandbox[] = [];
afterAll(async () => {
  for (const sandbox of open) await sandbox.close();
});

const bases = new Map<EnvironmentName, Promise<Sandbox>>();

/** The sandbox of an environment's first deployment; deployed once. */
function deployed(environment: EnvironmentName): Promise<Sandbox> {
  const base = bases.get(environment) ?? deploy(environment);
  bases.set(environment, base);
  return base;
}

async function deploy(environment: EnvironmentName): Promise<Sandbox> {
  if (!first) throw new Error('there is no scenario first-deploy');
  const sandbox = await Sandbox.open({ environment, quick: !isComplete });
  open.push(sandbox);
  await runScenario(first, sandbox);
  return sandbox;
}

describe('rehearsal: first-deploy', () => {
  it.concurrent.for(environments.names)('%s', { timeout }, async (environment, context) => {
    context.skip(missing !== undefined, missing);
    const { checks } = await deployed(environment);
    expect(checks.length).toBeGreaterThan(3);
  });
});

describe('rehearsal: first-deploy on another major version', () => {
  it.concurrent.for([16, 18])('PostgreSQL %i', { timeout }, async (version, context) => {
    context.skip(missing !== undefined, missing);
    context.skip(!includesLong, takesMinutes);
    const [environment] = environments.names;
    if (!first || environment === undefined) throw new Error('there is no scenario or no environment');
    const sandbox = await Sandbox.open({
      environment,
      quick: true,
      change: ({ server }) => Object.assign(server, { version }),
    });
    try {
      await runScenario(first, sandbox);
      await within(sandbox.postgres.connection('superuser'), async (client) => {
        const { rows } = await client.query('SHOW server_version');
        expect(rows).toEqual([{ server_version: expect.stringMatching(new RegExp(`^${version}\\.`)) }]);
      });
    } finally {
      await sandbox.close();
    }
  });
});

describe('rehearsal', () => {
  it.concurrent.for(inOrder.filter((scenario) => scenario !== first))(
    '$name: $title',
    { timeout },
    async (scenario, context) => {
      context.skip(missing !== undefined, missing);
      context.skip(scenario.isLong === true && !includesLong, takesMinutes);
      const [environment] = environmentsFor(scenario);
      if (environment === undefined) return context.skip(true, whyNoEnvironment(scenario));
      const sharesProvider = scenario.startsProvider !== true;
      const sandbox =
        scenario.startsFrom === 'deployed'
          ? await (await deployed(environment)).fork({ sharesProvider })
          : await Sandbox.open({ environment, quick: !isComplete, sharesProvider });
      try {
        await runScenario(scenario, sandbox);
        expect(sandbox.checks.length).toBeGreaterThan(2);
      } finally {
        await sandbox.close();
      }
    },
  );
});
