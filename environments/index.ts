/**
 * All environments, parsed and checked together: nothing downstream sees a setting that some rule refuses.
 */
import { development } from './development.ts';
import { type Problem, SettingsError } from './problems.ts';
import { production } from './production.ts';
import { type EnvironmentSettings, environmentSettings } from './settings.ts';
import { staging } from './staging.ts';

export interface ParsedEnvironment {
  /** Absent when there is a problem. */
  readonly settings?: EnvironmentSettings;
  readonly problems: readonly Problem[];
}

/**
 * Parses one environment and checks every rule.
 *
 * @param name what to call it in problems. @default - its own `name`
 */
export function parseEnvironment(input: unknown, name?: string): ParsedEnvironment {
  const environment = name ?? nameOf(input);
  const parsed = environmentSettings.safeParse(input);
  if (!parsed.success) {
    return {
      problems: parsed.error.issues.map((issue) => ({
        environment,
        field: issue.path.join('.'),
        value: undefined,
        rule: issue.message,
        source: 'environments/settings.ts',
      })),
    };
  }
  return { settings: parsed.data, problems: [] };
}

/**
 * The project's environments, in the order of promotion.
 *
 * @throws SettingsError with every problem of every environment
 */
export function environments(): EnvironmentSettings[] {
  const parsed = [development, staging, production].map((input) => parseEnvironment(input));
  const problems = parsed.flatMap((environment) => environment.problems);
  if (problems.length > 0) throw new SettingsError(problems);
  return parsed.flatMap((environment) => (environment.settings ? [environment.settings] : []));
}

function nameOf(input: unknown): string {
  return typeof input === 'object' && input !== null && 'name' in input && typeof input.name === 'string'
    ? input.name
    : 'unnamed';
}
