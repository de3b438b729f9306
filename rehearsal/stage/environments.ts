/** The environments that are rehearsed: their own settings, or changed ones under the same rules. */
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

/** An environment's own settings, to be changed by whoever asked for them. */
export function inputOf(environment: EnvironmentName): EnvironmentInput {
  return structuredClone(inputs[environment]);
}

/** Whether they are the environment's own, unchanged. */
export function isOwn(input: EnvironmentInput, environment: EnvironmentName): boolean {
  return JSON.stringify(input) === JSON.stringify(inputs[environment]);
}

/** @throws SettingsError with every rule that the settings break */
export function settingsOf(input: EnvironmentInput): EnvironmentSettings {
  const others = Object.values(inputs).filter(({ name }) => name !== input.name);
  const found = parseEnvironments([...others, input]).find(({ name }) => name === input.name);
  if (!found) throw new Error(`no environment ${input.name}`);
  return found;
}

export function deploymentOf(settings: EnvironmentSettings): Deployment {
  return deploymentDocument(settings, localAttributes(settings));
}
