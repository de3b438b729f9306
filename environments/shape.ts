/** What the shape of settings refuses, told in the same way as what the rules refuse. */
import { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import type { Problem } from './problems.ts';
import { environmentSettings } from './settings.ts';

const source = 'environments/settings.ts';

type Issue = z.core.$ZodIssue;

/** One problem for each thing wrong with the shape; several for an issue that lists several unknown keys. */
export function shapeProblems(issues: readonly Issue[], input: unknown, environment: string): Problem[] {
  return issues.flatMap((issue) => problemsOf(issue, input, environment));
}

function problemsOf(issue: Issue, input: unknown, environment: string): Problem[] {
  const path = issue.path.map(String);
  const field = path.join('.') || '(the whole file)';
  const value = valueAt(input, path);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(environmentSettings, path, input);
    return issue.keys.map((key) => {
      const guess = nearest(key, known);
      return {
        environment,
        field: [...path, key].join('.'),
        value: valueAt(input, [...path, key]),
        rule: `there is no such setting; known here are ${known.join(', ')}`,
        source,
        ...(guess ? { remedy: `Did you mean ${guess}?` } : {}),
      };
    });
  }
  return [{ environment, field, value, rule: ruleOf(issue, value), source }];
}

const kinds: Readonly<Record<string, string>> = {
  string: 'a text',
  int: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function ruleOf(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type': {
      const kind = kinds[issue.expected] ?? issue.expected;
      return value === undefined ? `this is required: ${kind}` : `this is ${kind}`;
    }
    case 'invalid_value':
      return `this is one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return `this has at least ${issue.minimum}`;
    case 'invalid_union': {
      const options = 'options' in issue && Array.isArray(issue.options) ? issue.options.map(String) : [];
      return options.length > 0
        ? `this is one of ${options.join(', ')}`
        : 'this is a text, a number, or true or false';
    }
    default:
      return issue.message;
  }
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined,
    input,
  );
}

/** The settings there are at a path, found by walking the schema as the input chose its alternatives. */
function keysAt(schema: z.core.$ZodType, path: readonly string[], input: unknown): string[] {
  const inner = unwrap(schema, input);
  const [key, ...rest] = path;
  if (key === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  const below =
    inner instanceof z.ZodObject ? inner.shape[key] : inner instanceof z.ZodArray ? inner.element : undefined;
  return below ? keysAt(below, rest, valueAt(input, [key])) : [];
}

function unwrap(schema: z.core.$ZodType, input: unknown): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrap(schema.unwrap(), input);
  }
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const discriminator = schema.def.discriminator;
    const chosen = valueAt(input, [discriminator]);
    return (
      schema.options.find(
        (option) => option instanceof z.ZodObject && z.safeParse(option.shape[discriminator], chosen).success,
      ) ?? schema
    );
  }
  return schema;
}
