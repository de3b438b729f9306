/** Settings of the rehearsed environments: their own, or changed ones under the same rules. */
import type { Deployment } from '../../database/deployment.ts';
import { type EnvironmentName, environments } from '../../environments/index.ts';
import { resolve } from '../../environments/resolved.ts';
import type { EnvironmentInput, EnvironmentSettings } from '../../environments/settings.ts';
import { deploymentDocument, localAttributes } from '../../stacks/deployment.ts';

/** Whether these are the environment's own settings, unchanged. */
export function isOwn(input: EnvironmentInput, environment: EnvironmentName): boolean {
  return JSON.stringify(input) === JSON.stringify(environments.inputOf(environment));
}

/** The deployment document of a local run. */
export function deploymentOf(settings: EnvironmentSettings): Deployment {
  const environment = resolve(settings);
  return deploymentDocument(environment, localAttributes(environment));
}
