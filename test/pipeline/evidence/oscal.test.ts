/** OSCAL documents, validated against the published metaschemas of their version. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { oscalFiles } from '../../../pipeline/evidence/formats/oscal.ts';
import type { Pack } from '../../../pipeline/evidence/pack.ts';
import { complete, packed } from './fixture.ts';

const run = promisify(execFile);

/** Validates each file and prints one JSON document with the state and the errors of all. */
const program = `
import json, logging, sys
logging.disable(logging.CRITICAL)
from oscal.oscal_content import OSCAL
found = {}
for file in sys.argv[1:]:
    document = OSCAL.loads(open(file).read())
    document.validate()
    found[file] = {"state": document.validation_status, "errors": document.validation_errors[:5]}
print(json.dumps(found))
`;

const environment = { ...process.env, PYTHONPATH: resolve('tmp/oscal-tools'), PYTHONDONTWRITEBYTECODE: '1' };
const missing = await run('python3', ['-c', 'import oscal.oscal_content'], { env: environment }).then(
  () => undefined,
  () => 'needs the package oscal of PyPI in tmp/oscal-tools: .ci/run installs it',
);

interface Validated {
  readonly state: Readonly<Record<string, boolean>>;
  readonly errors: readonly object[];
}

let folder: string;
let pack: Pack;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'llama-oscal-'));
  pack = complete('production');
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (path: string) => JSON.parse(pack.files.get(path) ?? '');

async function validate(documents: ReadonlyMap<string, string>): Promise<readonly Validated[]> {
  const files = [...documents].map(([name, text]) => {
    const file = join(folder, name.replaceAll('/', '-'));
    writeFileSync(file, text);
    return file;
  });
  const { stdout } = await run('python3', ['-c', program, ...files], {
    env: environment,
    // It keeps a cache in its working folder.
    cwd: folder,
  });
  const found: Readonly<Record<string, Validated>> = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
  return files.map((file) => found[file] ?? { state: {}, errors: [] });
}

describe('OSCAL 1.2.3', () => {
  it('accepts every document of a complete pack and of an empty one', async (context) => {
    context.skip(missing !== undefined, missing);
    const empty = packed('development', { given: [] });
    const documents = new Map(
      [pack, empty].flatMap(({ files, report }) =>
        Object.values(oscalFiles).map(
          (path) => [`${report.environment}-${path}`, files.get(path) ?? ''] as const,
        ),
      ),
    );
    const validated = await validate(documents);
    expect(validated.length).toBe(8);
    for (const { state, errors } of validated) {
      expect(errors).toEqual([]);
      expect(Object.keys(state).length).toBeGreaterThan(4);
      expect(Object.values(state).every(Boolean)).toBe(true);
    }
  }, 120_000);

  it('refuses a document without a required member, or with a value that is not allowed', async (context) => {
    context.skip(missing !== undefined, missing);
    const text = pack.files.get(oscalFiles.results) ?? '';
    const validated = await validate(
      new Map([
        ['without', text.replace('"import-ap"', '"import-xx"')],
        ['value', text.replace('"collected": "2026', '"collected": "the year 2026')],
      ]),
    );
    for (const { state } of validated) expect(Object.values(state).every(Boolean)).toBe(false);
  }, 120_000);

  it('refers only to what exists: observations, plan, controls, resources', () => {
    const [plan, results, catalog, mapping] = [
      read(oscalFiles.plan)['assessment-plan'],
      read(oscalFiles.results)['assessment-results'],
      read(oscalFiles.catalog).catalog,
      read(oscalFiles.mapping)['mapping-collection'],
    ];
    const resources = (document: { 'back-matter': { resources: { uuid: string }[] } }) =>
      document['back-matter'].resources.map(({ uuid }) => `#${uuid}`);
    expect(resources(plan)).toContain(plan['import-ssp'].href);
    expect(resources(results)).toContain(results['import-ap'].href);
    const [result] = results.results;
    const observed = new Set(result.observations.map(({ uuid }: { uuid: string }) => uuid));
    expect(observed.size).toBe(result.observations.length);
    for (const finding of result.findings) {
      for (const one of finding['related-observations']) expect(observed).toContain(one['observation-uuid']);
    }
    const ids = catalog.groups.flatMap(({ controls }: { controls: { id: string }[] }) =>
      controls.map(({ id }) => id),
    );
    const selected = plan['reviewed-controls']['control-selections'][0]['include-controls'];
    for (const one of selected) expect(ids).toContain(one['control-id']);
    for (const one of mapping.mappings) {
      expect(resources(mapping)).toContain(one['source-resource'].href);
      expect(resources(mapping)).toContain(one['target-resource'].href);
      for (const map of one.maps) expect(ids).toContain(map.sources[0]['id-ref']);
    }
  });

  it('counts a control as satisfied only if all of it holds', () => {
    const [result] = read(oscalFiles.results)['assessment-results'].results;
    const satisfied = result.findings.filter(
      (one: { target: { status: { state: string } } }) => one.target.status.state === 'satisfied',
    );
    expect(satisfied.length).toBe(pack.report.counts.holds);
    expect(satisfied.length).toBeGreaterThan(10);
  });
});
