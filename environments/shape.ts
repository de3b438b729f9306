/** Problems with the shape of settings: unknown names, missing values, values of the wrong type. */
import { z } from 'zod';
import { nearest } from '../core/nearest.ts';
import type { Problem, RuleId } from './problems.ts';
import { didYouMean, type Finding, problemOf, type RuleText } from './rule.ts';
import { environmentSettings } from './settings.ts';

const source = 'environments/settings.ts';

export const shapeRules = {
  'shape/known-setting': { rule: 'a setting has one of the names of its schema', source },
  'shape/required': { rule: 'a setting without a default is set', source },
  'shape/type': { rule: 'a setting has the type of its schema', source },
  'shape/one-of': { rule: 'a setting with a closed set of values has one of them', source },
  'shape/not-too-few': { rule: 'a list has as many elements as its schema demands', source },
  'shape/other': { rule: 'a setting meets every other demand of its schema', source },
} as const satisfies Readonly<Record<RuleId, RuleText>>;

type Issue = z.core.$ZodIssue;
type ShapeFinding = Finding & { readonly id: keyof typeof shapeRules };

/** One problem per defect of the shape. An issue that lists several unknown keys yields several. */
export function shapeProblems(issues: readonly Issue[], input: unknown, environment: string): Problem[] {
  return issues
    .flatMap((issue) => findingsOf(issue, input))
    .map(({ id, ...finding }) => problemOf(environment, id, shapeRules[id], finding));
}

function findingsOf(issue: Issue, input: unknown): readonly ShapeFinding[] {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue.keys, path, input);
  const value = valueAt(input, path);
  return [{ field: path.join('.') || '(the whole file)', value, ...describeIssue(issue, value) }];
}

function unknownKeys(keys: readonly string[], path: readonly string[], input: unknown): ShapeFinding[] {
  const known = keysAt(environmentSettings, path, input);
  return keys.map((key) => {
    const guess = nearest(key, known);
    return {
      id: 'shape/known-setting',
      field: [...path, key].join('.'),
      value: valueAt(input, [...path, key]),
      rule: `there is no such setting; the settings here are ${known.join(', ')}`,
      ...(guess && { remedy: didYouMean(guess, '') }),
    };
  });
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

function describeIssue(issue: Issue, value: unknown): Pick<ShapeFinding, 'id' | 'rule'> {
  switch (issue.code) {
    case 'invalid_type': {
      const kind = kinds[issue.expected] ?? issue.expected;
      return value === undefined
        ? { id: 'shape/required', rule: `the setting is required: ${kind}` }
        : { id: 'shape/type', rule: `the setting is ${kind}` };
    }
    case 'invalid_value':
      return oneOf(issue.values);
    case 'too_small':
      return { id: 'shape/not-too-few', rule: `the setting has at least ${issue.minimum}` };
    case 'invalid_union':
      return 'options' in issue && Array.isArray(issue.options) && issue.options.length > 0
        ? oneOf(issue.options)
        : { id: 'shape/type', rule: 'the setting is a text, a number, or true or false' };
    default:
      return { id: 'shape/other', rule: issue.message };
  }
}

function oneOf(values: readonly unknown[]): Pick<ShapeFinding, 'id' | 'rule'> {
  return { id: 'shape/one-of', rule: `the setting is one of ${values.map(String).join(', ')}` };
}

function valueAt(input: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[key] : undefined,
    input,
  );
}

/** The names of the settings at a path, along the alternatives of the schema that the input chose. */
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
