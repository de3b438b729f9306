/** What a rehearsal shows: one file a scenario in `scenarios/`, found by its name. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../core/fault.ts';
import type { EnvironmentName } from '../environments/index.ts';
import type { Stage } from './stage/stage.ts';

export interface Scenario {
  /** Name of its file: `second-deploy-changes-nothing`. */
  readonly name: string;
  /** What it shows, as a sentence. */
  readonly title: string;
  /** Where it can be played. The first one is where `npm test` plays it. */
  readonly environments: readonly [EnvironmentName, ...EnvironmentName[]];
  /**
   * Where it begins: before the first deployment, or after one. Scenarios that begin after one share it: it is made
   * once, and each of them plays on a copy.
   */
  readonly begins: 'before the first deployment' | 'deployed';
  /**
   * Whether the plan must be empty afterwards, which is checked for whoever does not say otherwise.
   * @default true
   */
  readonly endsDeployed?: boolean;
  /** Plays it. What does not hold is said by `stage.check`, which throws. */
  run(stage: Stage): Promise<void>;
}

const folder = path.join(import.meta.dirname, 'scenarios');

/** All scenarios, by name. */
export async function scenarios(): Promise<readonly Scenario[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  return Promise.all(
    files.map(async (file) => {
      const { scenario }: { readonly scenario: Scenario } = await import(path.join(folder, file));
      if (`${scenario.name}.ts` !== file) throw new Error(`${file} holds scenario ${scenario.name}`);
      return scenario;
    }),
  );
}

/** @throws Fault with exit status 2 when there is none of that name, or not for that environment */
export async function scenarioNamed(name: string, environment: EnvironmentName): Promise<Scenario> {
  const all = await scenarios();
  const found = all.find((scenario) => scenario.name === name);
  if (!found)
    throw new Fault(
      'scenario/1',
      `There is no scenario ${name}`,
      `rehearsal/scenarios/ has ${all.map((scenario) => scenario.name).join(', ')}`,
      'Name one of them; --list says what each shows.',
      { exitCode: 2 },
    );
  if (found.environments.includes(environment)) return found;
  throw new Fault(
    'scenario/2',
    `Scenario ${name} is not for ${environment}`,
    `it needs what only ${found.environments.join(', ')} has`,
    `Run it there: npm run rehearse -- ${found.environments[0]} --scenario ${name}.`,
    { exitCode: 2 },
  );
}

/** Plays a scenario on a stage that is where the scenario begins, and checks what holds after every one. */
export async function play(scenario: Scenario, stage: Stage): Promise<void> {
  await scenario.run(stage);
  if (scenario.endsDeployed ?? true) await stage.unchanged('the plan is empty afterwards');
  await stage.sound();
}
