/** The content of a pack: pointers, values, verdicts, and the shapes of its documents. */

import { z } from 'zod';
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { at, isObject, type Json, type JsonObject, parseJson } from '../../core/json.ts';
import { checkRow, countsOf, type Observed, recordRow, verdictOf } from './assess.ts';
import { controls as catalogue } from './catalogue/index.ts';
import { recordKinds } from './control.ts';
import { headOf, type Read, readObservation } from './observations.ts';
import { type AssessedControl, controlsOf, type Report, type Row, verdicts } from './report.ts';
import { valueAt } from './stack.ts';

/** Content by path in the pack. */
export type Files = ReadonlyMap<string, Buffer>;

export interface PackFinding {
  /** Path in the pack. */
  readonly file: string;
  /** Continues a sentence that starts with the file. */
  readonly detail: string;
}

export interface Content {
  readonly findings: readonly PackFinding[];
  readonly remarks: readonly string[];
  readonly auditHead: string | null;
}

const file = 'controls.json';

/** @param files all of whose digests agree */
export function contentFindings(files: Files): Content {
  const found: PackFinding[] = [];
  const remarks: string[] = [];
  const read = (path: string): Json | undefined => {
    const content = files.get(path);
    const document = content && parseJson(content.toString('utf8'));
    if (document === undefined) found.push({ file: path, detail: content ? 'is not JSON' : 'is missing' });
    return document;
  };
  for (const [path, shape] of Object.entries(shapes)) {
    const document = read(path);
    if (document === undefined) continue;
    const parsed = shape.safeParse(document);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      found.push({ file: path, detail: `is not of its schema: ${issue?.path.join('.')}: ${issue?.message}` });
    }
  }
  const report = reportIn(read(file));
  const stack = read('cdk.tf.json');
  if (!report) {
    remarks.push(`pointers and verdicts were not compared: ${file} cannot be read`);
    return { findings: found, remarks, auditHead: null };
  }
  if (stack !== undefined) {
    const digest = sha256(files.get('cdk.tf.json') ?? '');
    if (digest !== report.stack.sha256) found.push({ file, detail: 'names another digest of cdk.tf.json' });
  }
  for (const { file: path, sha256: digest } of report.observations) {
    const content = files.get(path);
    if (!content || sha256(content) !== digest) {
      found.push({ file, detail: `names another digest of ${path}` });
    }
  }
  const observations = observationsIn(report, files, found);
  const observed = { commit: report.commit, observations, stack: { document: isObject(stack) ? stack : {} } };
  for (const control of controlsOf(report)) {
    const problem = controlProblem(control, stack, remarks) ?? observedProblem(control, observed);
    if (problem) found.push({ file, detail: `${control.id}: ${problem}` });
  }
  const counts = countsOf(controlsOf(report));
  if (verdicts.some((verdict) => counts[verdict] !== report.counts[verdict])) {
    found.push({ file, detail: 'has other counts than its controls' });
  }
  found.push(...headFindings(report, observations));
  return { findings: found, remarks: [...new Set(remarks)], auditHead: report.auditHead };
}

function controlProblem(
  control: AssessedControl,
  stack: Json | undefined,
  remarks: string[],
): string | undefined {
  if (verdictOf(control.rows) !== control.verdict)
    return `is ${control.verdict}, but its evidence is ${verdictOf(control.rows)}`;
  if (stack === undefined || !isObject(stack)) return undefined;
  for (const row of control.rows.filter(({ kind }) => kind === 'stack')) {
    // The remark about a waiver follows.
    const [observed] = row.remark?.split('; ') ?? [];
    if (observed === 'the stack has no such resource') continue;
    const value = pointed(stack, row);
    if (value === undefined) return `${row.place} leads nowhere`;
    if (observed !== 'not set' && JSON.stringify(value) !== JSON.stringify(row.value)) {
      return `${row.place} is ${JSON.stringify(value)}, not ${JSON.stringify(row.value)}`;
    }
  }
  return judgedAgain(control, stack, remarks);
}

/** The value that a row claims. An object is shown by its keys. */
function pointed(stack: JsonObject, { place, within }: Row): Json | undefined {
  const outer = valueAt(stack, place);
  const inner = typeof outer === 'string' && within !== undefined ? parseJson(outer) : outer;
  const key = isObject(inner) && within !== undefined ? keyIn(inner) : inner;
  const value = within === undefined || key === undefined ? key : valueAt(key, within);
  return isObject(value) ? `{ ${Object.keys(value).join(', ')} }` : value;
}

function keyIn(template: JsonObject): Json | undefined {
  const resources = template['resources'];
  return Array.isArray(resources)
    ? resources.find((one) => at(one, 'type') === 'Microsoft.KeyVault/vaults/keys')
    : undefined;
}

/** Judges the stack again, if this version of the project has the control as the pack has it. */
function judgedAgain(control: AssessedControl, stack: JsonObject, remarks: string[]): string | undefined {
  const known = catalogue.find(({ id }) => id === control.id);
  const rows = control.rows.filter(({ kind }) => kind === 'stack');
  if (!known || known.title !== control.title) {
    remarks.push('some controls were not judged again: this version of the project has other controls');
    return undefined;
  }
  const again = known.stack.flatMap((expectation) => {
    const places = expectation.find({ document: stack });
    return places.length === 0
      ? [expectation.ifNone]
      : places.map(({ value }) => (expectation.holds(value) ? ('holds' as const) : ('violated' as const)));
  });
  const stated = rows.map(({ verdict }) => (verdict === 'waived' ? 'violated' : verdict));
  return JSON.stringify(again) === JSON.stringify(stated)
    ? undefined
    : `its evidence in cdk.tf.json is ${again.join(', ')}, not ${stated.join(', ')}`;
}

/** Judges live checks and records again, by the observations in the pack. */
function observedProblem(control: AssessedControl, observed: Observed): string | undefined {
  for (const row of control.rows) {
    if (row.kind !== 'check' && row.kind !== 'record') continue;
    const kind = recordKinds.find((one) => one === row.place);
    const again = row.kind === 'check' ? checkRow(row.place, observed) : kind && recordRow(kind, observed);
    if (!again) return `${row.place} is not a record`;
    const facts = ({ verdict, value, observedAt }: Row) => JSON.stringify({ verdict, value, observedAt });
    if (facts(again) !== facts(row))
      return `${row.place} is ${facts(row)}, but its observation is ${facts(again)}`;
  }
  return undefined;
}

/** The observations in the pack, as they were read when it was made. */
function observationsIn(report: Report, files: Files, found: PackFinding[]): readonly Read[] {
  return report.observations.flatMap(({ kind, file: path }) => {
    try {
      const text = files.get(path)?.toString('utf8') ?? '';
      return [readObservation({ kind, text, origin: path }, report.environment)];
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      found.push({ file: path, detail: error.why });
      return [];
    }
  });
}

function headFindings(report: Report, observations: readonly Read[]): readonly PackFinding[] {
  const seen = observations.find(({ kind }) => kind === 'audit');
  const head = (seen && headOf(seen.document)) ?? null;
  return head === report.auditHead ? [] : [{ file, detail: 'has another audit head than its observation' }];
}

const text = z.string();
const uuid = z.uuid();
const verdict = z.enum(verdicts);
const row = z.object({
  kind: z.enum(['stack', 'rule', 'check', 'record', 'person']),
  place: text,
  subject: text,
  verdict,
  observedAt: text.nullable(),
});
const controls = z.object({
  format: z.literal(1),
  environment: text,
  commit: z.object({ hash: z.string().regex(/^[0-9a-f]{40}$/), time: text, changed: z.array(text) }),
  stack: z.object({ file: z.literal('cdk.tf.json'), sha256: text }),
  observations: z.array(
    z.object({
      kind: z.enum(['verification', 'releases', 'guard', 'audit']),
      file: text,
      sha256: text,
      at: text.nullable(),
    }),
  ),
  auditHead: z
    .string()
    .regex(/^\d+:[0-9a-f]{64}$/)
    .nullable(),
  counts: z.record(verdict, z.int()),
  families: z.array(
    z.object({
      prefix: text,
      title: text,
      controls: z.array(z.object({ id: text, title: text, verdict, rows: z.array(row).min(1) })),
    }),
  ),
});

const metadata = z.object({
  title: text,
  'last-modified': text,
  version: text,
  'oscal-version': z.literal('1.2.3'),
});
const oscal = <Shape extends z.ZodRawShape>(model: string, shape: Shape) =>
  z.strictObject({ [model]: z.object({ uuid, metadata, ...shape }) });
const some = z.array(z.looseObject({ uuid })).min(1);
const href = z.object({ href: text });

/** Required members of each document. The tests of the project compare with the published schemas. */
const shapes: Readonly<Record<string, z.ZodType>> = {
  [file]: controls,
  'controls.sarif': z.object({
    version: z.literal('2.1.0'),
    runs: z.tuple([
      z.object({
        tool: z.object({ driver: z.object({ name: text }) }),
        results: z.array(z.object({ ruleId: text })),
      }),
    ]),
  }),
  'bom.cdx.json': z.object({
    bomFormat: z.literal('CycloneDX'),
    specVersion: z.literal('1.7'),
    serialNumber: z.string().regex(/^urn:uuid:[0-9a-f-]{36}$/),
    components: z.array(z.object({ type: text, name: text, version: text, purl: text })).min(1),
  }),
  'statement.intoto.json': z.object({
    _type: z.literal('https://in-toto.io/Statement/v1'),
    predicateType: z.literal('https://in-toto.io/attestation/svr/v0.2'),
    predicate: z.object({ verifier: z.object({ id: text }), timeCreated: text, properties: z.array(text) }),
  }),
  'oscal/catalog.json': oscal('catalog', { groups: z.array(z.object({ id: text })).min(1) }),
  'oscal/assessment-plan.json': oscal('assessment-plan', {
    'import-ssp': href,
    'reviewed-controls': z.object({}),
  }),
  'oscal/assessment-results.json': oscal('assessment-results', { 'import-ap': href, results: some }),
  'oscal/mapping-collection.json': oscal('mapping-collection', { provenance: z.object({}), mappings: some }),
};

function reportIn(document: Json | undefined): Report | undefined {
  return controls.safeParse(document).success ? (document as unknown as Report) : undefined;
}
