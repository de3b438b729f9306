import type { Problem } from '../problems.ts';
import type { EnvironmentSettings } from '../settings.ts';
import { authenticationRules } from './authentication.ts';
import { capacityRules } from './capacity.ts';
import { computeRules } from './compute.ts';
import { encryptionRules } from './encryption.ts';
import { nameRules } from './names.ts';
import { networkRules } from './network.ts';
import { operationsRules } from './operations.ts';
import { parameterRules } from './parameters.ts';
import { replicaRules } from './replica.ts';

const rules = [
  ...nameRules,
  ...computeRules,
  ...networkRules,
  ...authenticationRules,
  ...encryptionRules,
  ...parameterRules,
  ...replicaRules,
  ...capacityRules,
  ...operationsRules,
];

/** Everything one environment's settings do wrong. */
export function problemsWithin(settings: EnvironmentSettings, environment: string): Problem[] {
  return rules.flatMap((rule) => rule(settings)).map((found) => ({ environment, ...found }));
}
