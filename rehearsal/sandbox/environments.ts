/** Settings of the rehearsed environments: their own, or changed ones under the same rules. */
import { Fault } from '../../core/fault.ts';
import type { Deployment } from '../../database/deployment.ts';
import { development } from '../../environments/development.ts';
import { parseEnvironments } from '../../environments/index.ts';
import { production } from '../../environments/production.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import { staging } from '../../environments/staging.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';

const inputs = { development, staging, production } as const;
export type EnvironmentName = keyof typeof inputs;
export const environmentNames = Object.keys(inputs) as readonly EnvironmentName[];

/** @throws Fault with exit status 2 if there is no such environment */
export function environmentNamed(name: string): EnvironmentName {
  const found = environmentNames.find((one) => one === name);
  if (found) return found;
  throw new Fault(
    'environment/unknown',
    `There is no environment ${name}`,
    `environments/ has ${environmentNames.join(', ')}`,
    'Name one of them.',
    { exitCode: 2 },
  );
}

/** A copy of an environment's own settings, which the caller may change. */
export function inputOf(environment: EnvironmentName): EnvironmentInput {
  return structuredClone(inputs[environment]);
}

/** Whether these are the environment's own settings, unchanged. */
export function isOwn(input: EnvironmentInput, environment: EnvironmentName): boolean {
  return JSON.stringify(input) === JSON.stringify(inputs[environment]);
}

/** @throws SettingsError with every rule that the settings break, alone or beside the other environments */
export function settingsOf(input: EnvironmentInput): EnvironmentSettings {
  const others = Object.values(inputs).filter(({ name }) => name !== input.name);
  const found = parseEnvironments([...others, input]).find(({ name }) => name === input.name);
  if (!found) throw new Error(`no environment ${input.name}`);
  return found;
}

export function deploymentOf(settings: EnvironmentSettings): Deployment {
  return deploymentDocument(settings, localAttributes(settings));
}
