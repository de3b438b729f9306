/**
 * All environments, parsed and checked together: nothing downstream sees a setting that some rule refuses.
 */
import { z } from 'zod';
import { development } from './development.ts';
import { type Problem, SettingsError } from './problems.ts';
import { production } from './production.ts';
import { problemsAcross } from './rules/across.ts';
import { problemsWithin } from './rules/index.ts';
import { type EnvironmentSettings, environmentSettings } from './settings.ts';
import { shapeProblems } from './shape.ts';
import { staging } from './staging.ts';

// Each schema is used once a run: compiling it first costs more than it saves.
z.config({ jitless: true });

export interface ParsedEnvironment {
  /** Absent when there is a problem. */
  readonly settings?: EnvironmentSettings;
  readonly problems: readonly Problem[];
}

/**
 * Parses one environment and checks every rule that concerns it alone.
 *
 * @param name what to call it in problems. @default - its own `name`
 */
export function parseEnvironment(input: unknown, name: string = nameOf(input)): ParsedEnvironment {
  const { settings, problems } = read(input, name);
  return settings && problems.length === 0 ? { settings, problems } : { problems };
}

/**
 * Parses environments and checks them each alone and against each other.
 *
 * @throws SettingsError with every problem of every environment
 */
export function parseEnvironments(inputs: readonly unknown[]): EnvironmentSettings[] {
  const all = inputs.map((input) => read(input, nameOf(input)));
  // Compared even when one of them is wrong in itself, so that a second run finds nothing the first could have said.
  const readable = all.flatMap((one) => (one.settings ? [one.settings] : []));
  const problems = [...all.flatMap((one) => one.problems), ...problemsAcross(readable)];
  if (problems.length > 0) throw new SettingsError(problems);
  return readable;
}

/**
 * The project's environments, in the order of promotion.
 *
 * @throws SettingsError with every problem of every environment
 */
export function environments(): EnvironmentSettings[] {
  return parseEnvironments([development, staging, production]);
}

/** Settings whose shape is right are returned even when a rule refuses them. */
function read(input: unknown, name: string): ParsedEnvironment {
  const parsed = environmentSettings.safeParse(input);
  return parsed.success
    ? { settings: parsed.data, problems: problemsWithin(parsed.data, name) }
    : { problems: shapeProblems(parsed.error.issues, input, name) };
}

function nameOf(input: unknown): string {
  return typeof input === 'object' && input !== null && 'name' in input && typeof input.name === 'string'
    ? input.name
    : 'unnamed';
}
