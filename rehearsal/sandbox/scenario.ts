/** The contract of a scenario, and the catalogue of scenarios: one file each in `rehearsal/scenarios/`. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Fault } from '../../core/fault.ts';
import type { EnvironmentName } from '../../environments/index.ts';
import { inputs } from '../../environments/list.ts';
import { describeTraits, namesWith, type Wanted } from '../../environments/traits.ts';
import type { Sandbox } from './sandbox.ts';

/** It runs on any environment with the traits that it needs. `npm test` runs it on the first of them. */
export interface Scenario extends Wanted {
  /** Name of its file without the extension: `second-deploy-changes-nothing`. */
  readonly name: string;
  /** An assertion: the behaviour that it demonstrates. */
  readonly title: string;
  /**
   * Whether it starts before the first deployment or after it. Scenarios that start `deployed` share one deployment:
   * each runs on a copy.
   */
  readonly startsFrom: 'empty' | 'deployed';
  /**
   * Seconds that it waits for azurerm's own polling. Tests begin with the longest.
   * @default 0
   */
  readonly waitSeconds?: number;
  /**
   * Whether `npm test` leaves it out, because it waits for minutes or resembles another. `LLAMA_REHEARSAL=all` includes
   * it.
   * @default false
   */
  readonly isLong?: boolean;
  /**
   * Whether Terraform starts the provider for each run in tests too, as in a rehearsal and in a real deployment.
   * Otherwise one process serves all runs of the scenario that it does not stop.
   * @default false
   */
  readonly startsProvider?: boolean;
  /** Whether the plan must be empty at the end. @default true */
  readonly endsWithEmptyPlan?: boolean;
  /** Runs it. `sandbox.check` throws if an assertion does not hold. */
  run(sandbox: Sandbox): Promise<void>;
}

const folder = path.join(import.meta.dirname, '../scenarios');

/** All scenarios, by name. */
export async function scenarios(): Promise<readonly Scenario[]> {
  const files = (await readdir(folder)).filter((file) => file.endsWith('.ts')).sort();
  return Promise.all(
    files.map(async (file) => {
      const { scenario }: { readonly scenario: Scenario } = await import(path.join(folder, file));
      if (`${scenario.name}.ts` !== file) throw new Error(`${file} exports scenario ${scenario.name}`);
      return scenario;
    }),
  );
}

/** The environments of the project that a scenario can run on, the most suitable first. */
export function environmentsFor(scenario: Scenario): readonly EnvironmentName[] {
  return namesWith(inputs, scenario);
}

/** Why no environment of the project runs a scenario, or undefined. */
export function whyNoEnvironment(scenario: Scenario): string | undefined {
  return environmentsFor(scenario).length > 0
    ? undefined
    : `no environment of environments/list.ts has ${describeTraits(scenario.needs)}`;
}

/** @throws Fault with exit status 2 if no scenario has this name, or if it cannot run on this environment */
export async function scenarioNamed(name: string, environment: EnvironmentName): Promise<Scenario> {
  const all = await scenarios();
  const found = all.find((scenario) => scenario.name === name);
  if (!found)
    throw new Fault(
      'rehearsal/unknown-scenario',
      `There is no scenario ${name}`,
      `rehearsal/scenarios/ has ${all.map((scenario) => scenario.name).join(', ')}`,
      'Name one of them; --list describes each.',
      { exitCode: 2 },
    );
  const suitable = environmentsFor(found);
  if (suitable.includes(environment)) return found;
  throw new Fault(
    'rehearsal/scenario-not-for-environment',
    `Scenario ${name} is not for ${environment}`,
    `it needs ${describeTraits(found.needs)}, which ${suitable.length > 0 ? `${suitable.join(', ')} has` : 'no environment has'}`,
    suitable.length > 0
      ? `Run it there: npm run rehearse -- ${suitable[0]} --scenario ${name}.`
      : 'Leave it out, or add an environment of that kind (docs/adopting.md).',
    { exitCode: 2 },
  );
}

/** Runs a scenario against a prepared sandbox, then checks the invariants common to all scenarios. */
export async function runScenario(scenario: Scenario, sandbox: Sandbox): Promise<void> {
  await scenario.run(sandbox);
  if (scenario.endsWithEmptyPlan ?? true) await sandbox.assertEmptyPlan('the plan is empty afterwards');
  await sandbox.assertInvariants();
}
