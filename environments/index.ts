/**
 * The project's environments, listed here and nowhere else. All are parsed and checked together: no other room sees
 * settings that a rule refuses.
 */
import { z } from 'zod';
import { Fault } from '../core/fault.ts';
import { nearest } from '../core/nearest.ts';
import { problemsWithin } from './catalogue.ts';
import { development } from './development.ts';
import { type Problem, SettingsError } from './problems.ts';
import { production } from './production.ts';
import { type ResolvedEnvironment, resolve } from './resolved.ts';
import { problemsAcross } from './rules/across.ts';
import { type EnvironmentInput, type EnvironmentSettings, environmentSettings } from './settings.ts';
import { shapeProblems } from './shape.ts';
import { staging } from './staging.ts';

// Each schema is used once per run: compiling it first costs more than it saves.
z.config({ jitless: true });

/** By name, in the order of promotion. */
const inputs = { development, staging, production } as const satisfies Readonly<
  Record<string, EnvironmentInput>
>;

export type EnvironmentName = keyof typeof inputs;

export const environments = {
  /** In the order of promotion. */
  names: Object.keys(inputs) as readonly EnvironmentName[],

  /** @throws Fault `environment/unknown` (exit 2) */
  nameOf(text: string): EnvironmentName {
    const { names } = environments;
    const found = names.find((name) => name === text);
    if (found !== undefined) return found;
    const guess = nearest(text, names);
    throw new Fault(
      'environment/unknown',
      `There is no environment ${text}`,
      `environments/index.ts has ${names.join(', ')}`,
      guess === undefined ? 'Name one of them.' : `Did you mean ${guess}?`,
      { exitCode: 2 },
    );
  },

  /** The settings of one environment as its file has them. The copy is the caller's to change. */
  inputOf(name: EnvironmentName): EnvironmentInput {
    return structuredClone(inputs[name]);
  },

  /**
   * Checked settings of all environments.
   *
   * @throws SettingsError with every problem of every environment
   */
  settings(): EnvironmentSettings[] {
    return parseEnvironments(Object.values(inputs));
  },

  /** @throws SettingsError with every problem of every environment */
  all(): ResolvedEnvironment[] {
    return environments.settings().map(resolve);
  },

  /**
   * @throws Fault `environment/unknown` (exit 2)
   * @throws SettingsError with every problem of every environment
   */
  named(text: string): ResolvedEnvironment {
    const name = environments.nameOf(text);
    const found = environments.all().find((one) => one.name === name);
    if (!found) throw new Error(`parsing lost environment ${text}`);
    return found;
  },
};

export interface ParsedEnvironment {
  /** Undefined if there is a problem. */
  readonly settings?: EnvironmentSettings;
  readonly problems: readonly Problem[];
}

/**
 * Parses one environment and checks every rule that concerns it alone.
 *
 * @param name its name in problems. @default - its own `name`
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
  // Rules across environments run even if one environment is invalid, so that one run reports every problem.
  const readable = all.flatMap((one) => (one.settings ? [one.settings] : []));
  const problems = [...all.flatMap((one) => one.problems), ...problemsAcross(readable)];
  if (problems.length > 0) throw new SettingsError(problems);
  return readable;
}

/**
 * Parses changed settings in place of the environment of the same name, and checks them against the other environments.
 *
 * @throws SettingsError with every problem of every environment
 */
export function parseChanged(input: EnvironmentInput): EnvironmentSettings {
  const others = Object.values(inputs).filter(({ name }) => name !== input.name);
  const changed = parseEnvironments([...others, input]).at(-1);
  if (!changed) throw new Error(`parsing lost environment ${input.name}`);
  return changed;
}

/** Settings of the right shape are returned even if a rule refuses them. */
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
