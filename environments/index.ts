/** The environments of `environments/list.ts`, parsed and checked. */
import { type Environments, environmentsOf } from './collection.ts';
import { inputs } from './list.ts';

export type EnvironmentName = keyof typeof inputs;

export const environments: Environments<EnvironmentName> = environmentsOf(inputs);
