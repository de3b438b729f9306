/** A list of environments. All are parsed and checked together: no other room sees settings that a rule refuses. */
import { z } from 'zod';
import { Fault } from '../core/fault.ts';
import { nearest } from '../core/nearest.ts';
import { problemsWithin } from './catalogue.ts';
import { type Problem, SettingsError } from './problems.ts';
import { type ResolvedEnvironment, resolve } from './resolved.ts';
import { problemsAcross } from './rules/across.ts';
import { type EnvironmentInput, type EnvironmentSettings, environmentSettings } from './settings.ts';
import { shapeProblems } from './shape.ts';

// Each schema is used once per run: compiling it first costs more than it saves.
z.config({ jitless: true });

export interface Environments<Name extends string = string> {
  /** In the order of promotion. */
  readonly names: readonly Name[];

  /** @throws Fault `environment/unknown` (exit 2) */
  nameOf(text: string): Name;

  /** The settings of one environment as its file has them. The copy is the caller's to change. */
  inputOf(name: Name): EnvironmentInput;

  /**
   * Checked settings of all environments.
   *
   * @throws SettingsError with every problem of every environment
   * @throws Fault `environment/name-differs` (exit 2)
   */
  settings(): EnvironmentSettings[];

  /** @throws SettingsError with every problem of every environment */
  all(): ResolvedEnvironment[];

  /**
   * @throws Fault `environment/unknown` (exit 2)
   * @throws SettingsError with every problem of every environment
   */
  named(text: string): ResolvedEnvironment;

  /**
   * Parses changed settings in place of the environment of the same name, and checks them against the other environments.
   *
   * @throws SettingsError with every problem of every environment
   */
  changed(input: EnvironmentInput): EnvironmentSettings;
}

/** @param inputs settings by the environment's name, in the order of promotion */
export function environmentsOf<const Name extends string>(
  inputs: Readonly<Record<Name, EnvironmentInput>>,
): Environments<Name> {
  const list = Object.entries<EnvironmentInput>(inputs);
  const environments: Environments<Name> = {
    names: Object.keys(inputs) as Name[],

    nameOf(text) {
      const { names } = environments;
      const found = names.find((name) => name === text);
      if (found !== undefined) return found;
      const guess = nearest(text, names);
      throw new Fault(
        'environment/unknown',
        `There is no environment ${text}`,
        `environments/list.ts has ${names.join(', ')}`,
        guess === undefined ? 'Name one of them.' : `Did you mean ${guess}?`,
        { exitCode: 2 },
      );
    },

    inputOf: (name) => structuredClone(inputs[name]),

    settings() {
      for (const [key, { name }] of list) if (key !== name) throw nameDiffers(key, name);
      return parseEnvironments(list.map(([, input]) => input));
    },

    all: () => environments.settings().map(resolve),

    named(text) {
      const name = environments.nameOf(text);
      const found = environments.all().find((one) => one.name === name);
      if (!found) throw new Error(`parsing lost environment ${text}`);
      return found;
    },

    changed(input) {
      const others = list.flatMap(([, other]) => (other.name === input.name ? [] : [other]));
      const changed = parseEnvironments([...others, input]).at(-1);
      if (!changed) throw new Error(`parsing lost environment ${input.name}`);
      return changed;
    },
  };
  return environments;
}

const nameDiffers = (key: string, name: string) =>
  new Fault(
    'environment/name-differs',
    `environments/list.ts lists environment ${name} as ${key}`,
    'commands know an environment by its key in the list, and Terraform by its name (docs/adopting.md)',
    `Write ${/^[a-z]+$/.test(name) ? name : `'${name}'`}: ${key} in the list, or change the name in its file.`,
    { exitCode: 2 },
  );

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
