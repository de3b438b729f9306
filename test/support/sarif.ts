/**
 * The rules of the schema of SARIF 2.1.0 (OASIS, errata 01) for the parts that llama-db writes: required properties, closed
 * sets, ranges, unique items. Every object is closed, as in the schema, so an unknown property is refused, and a new one
 * must be looked up there first.
 */
import { z } from 'zod';

const level = z.enum(['none', 'note', 'warning', 'error']);
/** The schema accepts an empty text, but readers do not. */
const text = z.string().min(1);
const multiformat = z.strictObject({ text, markdown: text.optional() });
const message = z.strictObject({ text });
const unique = <Item extends z.ZodType>(item: Item) =>
  z
    .array(item)
    .refine(
      (items) => new Set(items.map((one) => JSON.stringify(one))).size === items.length,
      'items are unique',
    );

const reportingDescriptor = z.strictObject({
  id: text,
  name: text,
  shortDescription: multiformat,
  fullDescription: multiformat,
  help: multiformat,
  defaultConfiguration: z.strictObject({ level }),
  properties: z.looseObject({
    tags: unique(text),
    // GitHub's: a number as text, 0.0 to 10.0.
    'security-severity': z.string().regex(/^(10\.0|\d\.\d)$/),
  }),
});

const location = z.strictObject({
  physicalLocation: z.strictObject({
    // A file reference without characters that need escaping.
    artifactLocation: z.strictObject({ uri: z.string().regex(/^[\w./-]+$/) }),
    region: z.strictObject({ startLine: z.int().min(1) }).optional(),
  }),
  logicalLocations: unique(z.strictObject({ fullyQualifiedName: text })).optional(),
});

const result = z.strictObject({
  ruleId: text,
  ruleIndex: z.int().min(0),
  level,
  message,
  locations: z.array(location).min(1),
  partialFingerprints: z.record(text, text).optional(),
  suppressions: unique(
    z.strictObject({ kind: z.enum(['inSource', 'external']), justification: text }),
  ).optional(),
});

const run = z
  .strictObject({
    tool: z.strictObject({ driver: z.strictObject({ name: text, rules: unique(reportingDescriptor) }) }),
    results: z.array(result),
    invocations: z.array(
      z.strictObject({
        executionSuccessful: z.boolean(),
        toolConfigurationNotifications: z.array(z.strictObject({ level, message })),
      }),
    ),
  })
  .superRefine(({ tool, results }, context) => {
    const ids = tool.driver.rules.map(({ id }) => id);
    if (new Set(ids).size < ids.length) context.addIssue('a rule is there twice');
    for (const { ruleId, ruleIndex } of results) {
      if (ids[ruleIndex] !== ruleId) context.addIssue(`rule ${ruleIndex} is not ${ruleId}`);
    }
  });

const log = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z.array(run).min(1),
});

export type SarifLog = z.infer<typeof log>;

/** Parses a document. @throws ZodError naming each violation of the schema */
export function parseSarif(json: string): SarifLog {
  return log.parse(JSON.parse(json));
}
