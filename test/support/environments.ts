/**
 * The environments of the tests. Tests name these, so that another project's settings in `environments/` fail no test.
 * A test about the project's own environments loops over `environments/index.ts`.
 */
import { environmentsOf } from '../../environments/collection.ts';
import { development } from './settings/development.ts';
import { production } from './settings/production.ts';
import { staging } from './settings/staging.ts';

const inputs = { development, staging, production };

export type EnvironmentName = keyof typeof inputs;

export const environments = environmentsOf(inputs);
