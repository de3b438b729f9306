/**
 * OSCAL 1.2.3 documents of a pack: the catalog of this project's controls, the assessment plan, the results, and the
 * mapping to the frameworks.
 *
 * Source: https://pages.nist.gov/OSCAL-Reference/models/v1.2.3/
 */
import { type FrameworkId, frameworkIds, frameworks } from '../frameworks.ts';
import { type AssessedControl, controlsOf, type Report, type Row, timeOf, type Verdict } from '../report.ts';
import { uuid5 } from '../uuid.ts';
import { text, waiverText } from './markdown.ts';

const oscalVersion = '1.2.3';

export interface OscalInput {
  readonly report: Report;
  /** SHA-256 of `controls.json`: every identifier follows from it. */
  readonly digest: string;
}

export const oscalFiles = {
  catalog: 'oscal/catalog.json',
  plan: 'oscal/assessment-plan.json',
  results: 'oscal/assessment-results.json',
  mapping: 'oscal/mapping-collection.json',
} as const;

export function oscalDocuments(input: OscalInput): ReadonlyMap<string, object> {
  return new Map<string, object>([
    [oscalFiles.catalog, { catalog: catalogOf(input) }],
    [oscalFiles.plan, { 'assessment-plan': planOf(input) }],
    [oscalFiles.results, { 'assessment-results': resultsOf(input) }],
    [oscalFiles.mapping, { 'mapping-collection': mappingOf(input) }],
  ]);
}

/** Ids of OSCAL are tokens; the field writes control ids in lower case. */
const tokenOf = (id: string) => id.toLowerCase();

function metadata({ report }: OscalInput, title: string) {
  return {
    title,
    'last-modified': timeOf(report),
    version: report.commit.hash,
    'oscal-version': oscalVersion,
  };
}

function catalogOf(input: OscalInput) {
  const { report, digest } = input;
  return {
    uuid: uuid5(digest, 'catalog'),
    metadata: metadata(input, "Controls of Llama Mapper's database on Azure"),
    groups: report.families.map(({ prefix, title, controls }) => ({
      id: tokenOf(prefix),
      title,
      controls: controls.map((control) => ({
        id: tokenOf(control.id),
        title: control.title,
        parts: [
          { id: `${tokenOf(control.id)}_smt`, name: 'statement', prose: `${control.title}. ${control.why}` },
        ],
      })),
    })),
  };
}

function reviewed(report: Report) {
  const applicable = controlsOf(report).filter(({ verdict }) => verdict !== 'not applicable');
  return {
    'control-selections': [
      { 'include-controls': applicable.map(({ id }) => ({ 'control-id': tokenOf(id) })) },
    ],
  };
}

function resource(input: OscalInput, name: string, title: string, href: string) {
  return { uuid: uuid5(input.digest, 'resource', name), title, rlinks: [{ href }] };
}

function planOf(input: OscalInput) {
  const { report, digest } = input;
  const settings = resource(
    input,
    'settings',
    `Settings of ${report.environment}, in place of a system security plan: environments/${report.environment}.ts of the commit`,
    '../cdk.tf.json',
  );
  const catalog = resource(input, 'catalog', 'Controls that are assessed', 'catalog.json');
  return {
    uuid: uuid5(digest, 'plan'),
    metadata: metadata(input, `Assessment plan for ${report.environment}`),
    'import-ssp': { href: `#${settings.uuid}` },
    'reviewed-controls': reviewed(report),
    tasks: [
      {
        uuid: uuid5(digest, 'task'),
        type: 'action',
        title: 'Compare the synthesized stack, the live checks and the records with the controls',
        timing: { 'within-date-range': { start: report.commit.time, end: timeOf(report) } },
      },
    ],
    'back-matter': { resources: [settings, catalog] },
  };
}

const states: Readonly<Record<Verdict, { readonly state: string; readonly reason: string }>> = {
  holds: { state: 'satisfied', reason: 'pass' },
  violated: { state: 'not-satisfied', reason: 'fail' },
  waived: { state: 'not-satisfied', reason: 'other' },
  'not collected': { state: 'not-satisfied', reason: 'other' },
  'no tool sees it': { state: 'not-satisfied', reason: 'other' },
  'not applicable': { state: 'not-satisfied', reason: 'other' },
};

const methods: Readonly<Record<Row['kind'], string>> = {
  stack: 'EXAMINE',
  rule: 'EXAMINE',
  check: 'TEST',
  record: 'EXAMINE',
  person: 'INTERVIEW',
};

const evidenceFiles: Readonly<Record<Row['kind'], string>> = {
  stack: 'cdk.tf.json',
  rule: 'controls.json',
  check: 'observations/verification.json',
  record: 'controls.json',
  person: 'controls.json',
};

function resultsOf(input: OscalInput) {
  const { report, digest } = input;
  const applicable = controlsOf(report).filter(({ verdict }) => verdict !== 'not applicable');
  const plan = resource(input, 'plan', 'Assessment plan of this pack', 'assessment-plan.json');
  return {
    uuid: uuid5(digest, 'results'),
    metadata: metadata(input, `Assessment results for ${report.environment}`),
    'import-ap': { href: `#${plan.uuid}` },
    results: [
      {
        uuid: uuid5(digest, 'result'),
        title: `Evidence of ${report.environment} at commit ${report.commit.hash.slice(0, 12)}`,
        description:
          'A control is satisfied only if tools saw all of it. Every other finding says which part is open, accepted or violated.',
        start: report.commit.time,
        end: timeOf(report),
        'reviewed-controls': reviewed(report),
        observations: applicable.flatMap((control) =>
          control.rows.map((row, index) => observation(input, control, row, index)),
        ),
        findings: applicable.map((control) => ({
          uuid: uuid5(digest, 'finding', control.id),
          title: `${control.id} ${control.title}`,
          description: `${control.verdict}. ${control.why}`,
          target: {
            type: 'statement-id',
            'target-id': `${tokenOf(control.id)}_smt`,
            status: { ...states[control.verdict], remarks: control.verdict },
          },
          'related-observations': control.rows.map((_, index) => ({
            'observation-uuid': uuid5(digest, 'observation', control.id, String(index)),
          })),
        })),
      },
    ],
    'back-matter': { resources: [plan] },
  };
}

function observation({ report, digest }: OscalInput, control: AssessedControl, row: Row, index: number) {
  const facts = [
    row.requires === undefined ? '' : `required: ${row.requires}`,
    row.value === null ? '' : `value: ${text(row.value)}`,
    row.remark ?? '',
    waiverText(row) ?? '',
  ].filter(Boolean);
  const place = row.place + (row.within === undefined ? '' : ` > ${row.within}`);
  const prop = (name: string, value: string) => ({ name, ns: 'urn:llama-mapper:evidence', value });
  return {
    uuid: uuid5(digest, 'observation', control.id, String(index)),
    title: `${control.id} ${row.kind}`,
    description: [row.subject, ...facts].join('; '),
    props: [prop('verdict', row.verdict), ...(place === '' ? [] : [prop('place', place)])],
    methods: [methods[row.kind]],
    'relevant-evidence': [{ href: `../${evidenceOf(row)}`, description: place === '' ? row.subject : place }],
    collected: row.observedAt ?? timeOf(report),
    ...(row.observedAt === null ? { remarks: 'Nothing was observed; the time is that of the pack.' } : {}),
  };
}

function evidenceOf(row: Row): string {
  // A check without an observation has no file.
  return row.kind === 'check' && row.observedAt === null ? 'controls.json' : evidenceFiles[row.kind];
}

function mappingOf(input: OscalInput) {
  const { digest } = input;
  const catalog = resource(input, 'catalog', "This project's controls", 'catalog.json');
  const targets = frameworkIds.map((id) => {
    const { name, version, url } = frameworks[id];
    return [id, resource(input, id, `${name}, ${version}`, url)] as const;
  });
  return {
    uuid: uuid5(digest, 'mapping'),
    metadata: metadata(input, "Mapping of this project's controls to frameworks"),
    provenance: {
      method: 'human',
      'matching-rationale': 'semantic',
      status: 'draft',
      'mapping-description':
        'Each control gives evidence for a part of the controls that it is mapped to, and never for all of one.',
    },
    mappings: targets.map(([id, target]) => ({
      uuid: uuid5(digest, 'mapping', id),
      'source-resource': { type: 'catalog', href: `#${catalog.uuid}` },
      'target-resource': { type: 'catalog', href: `#${target.uuid}` },
      maps: mapsOf(input, id),
      'mapping-description': `${frameworks[id].name}, ${frameworks[id].version}: ${frameworks[id].checked}.`,
    })),
    'back-matter': { resources: [catalog, ...targets.map(([, target]) => target)] },
  };
}

function mapsOf({ report, digest }: OscalInput, framework: FrameworkId) {
  return controlsOf(report).flatMap(({ id, mapped }) => {
    const numbers = mapped[framework];
    if (!numbers) return [];
    return [
      {
        uuid: uuid5(digest, 'map', framework, id),
        relationship: 'intersects-with',
        sources: [{ type: 'control', 'id-ref': tokenOf(id) }],
        targets: numbers.map((number) => ({ type: 'control', 'id-ref': number })),
      },
    ];
  });
}
