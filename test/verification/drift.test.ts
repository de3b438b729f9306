import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import {
  type Area,
  areas,
  type Described,
  type Description,
  describeSchema,
} from '../../database/schema/describe.ts';
import { expectedOn } from '../../database/schema/manifest.ts';
import { formatManifest, readManifest } from '../../database/schema/manifest-file.ts';
import { loadParser } from '../../database/schema/policy.ts';
import { checks as driftChecks } from '../../verification/checks/drift.ts';
import { differences } from '../../verification/drift/compare.ts';
import { evaluate } from '../../verification/run.ts';
import { takeSnapshot } from '../../verification/snapshot/snapshot.ts';
import { migratedDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let own: Description;
beforeAll(async () => {
  await loadParser();
  database = await migratedDatabase();
  own = await describeSchema(await database.connect());
});
afterAll(() => database.drop());

function manifestHere() {
  const manifest = readManifest(migrationsDirectory);
  if (!manifest) throw new Error('migrations/schema.json is missing');
  return manifest;
}

describe('a description', () => {
  it('of a migrated database is what the manifest says, and the manifest what it says', () => {
    const expected = expectedOn(manifestHere(), own.major);
    if (!expected) throw new Error(`the manifest does not describe PostgreSQL ${own.major}`);
    for (const area of areas) {
      expect([area, differences(expected, own, area)]).toEqual([area, []]);
      if (area !== 'leaves') {
        expect([area, differences(own, expected, area)]).toEqual([area, []]);
        expect(expected.areas[area]).toEqual(own.areas[area]);
      }
    }
  });

  it('has something in every area, and the leaves of a table are all alike', () => {
    for (const area of areas) expect([area, own.areas[area].length > 0]).toEqual([area, true]);
    const kinds = new Map<string, Set<string>>();
    for (const { subject, says } of own.areas.leaves) {
      kinds.set(subject, (kinds.get(subject) ?? new Set()).add(JSON.stringify(says)));
    }
    const parents = own.areas.objects.filter(({ says }) => says['kind'] === 'partitioned table');
    expect([...kinds.keys()].sort()).toEqual(parents.map(({ object }) => object));
    expect(parents.length).toBeGreaterThanOrEqual(4);
    for (const [subject, rules] of kinds) expect([subject, rules.size]).toEqual([subject, 1]);
  });

  it('is the same for the login that verifies and for a superuser, except who deploys', async () => {
    const seen = await describeSchema(await database.connect('superuser'));
    for (const area of areas) expect(seen.areas[area]).toHaveLength(own.areas[area].length);
  });
});

/** Two descriptions that differ in one area only. */
function between(
  area: Area,
  reference: readonly Described[],
  found: readonly Described[],
): readonly string[] {
  const empty = Object.fromEntries(areas.map((name) => [name, []])) as unknown as Description['areas'];
  const table = (object: string) => ({ object, subject: object, says: { kind: 'table' } });
  const described = (list: readonly Described[], tables: readonly string[]): Description => ({
    major: 17,
    areas: { ...empty, ...(area === 'objects' ? {} : { objects: tables.map(table) }), [area]: list },
  });
  const [expected, present] = [described(reference, ['llama.t', 'llama.u']), described(found, ['llama.t'])];
  return differences(expected, present, area).map(({ object, detail }) => `${object}: ${detail}`);
}

const one = (object: string, says: Described['says'], subject = 'llama.t'): Described => ({
  object,
  subject,
  says,
});

describe('a difference in words', () => {
  it.each<[string, Area, readonly Described[], readonly Described[], readonly string[]]>([
    [
      'a changed condition',
      'policies',
      [one('policy floor on llama.t', { USING: '(tenant_id = 1)' })],
      [one('policy floor on llama.t', { USING: 'true' })],
      ['policy floor on llama.t: USING true instead of (tenant_id = 1)'],
    ],
    [
      'what is missing',
      'columns',
      [one('column llama.t.x', { type: 'text' })],
      [],
      ['column llama.t.x: is missing'],
    ],
    [
      'what nobody makes',
      'objects',
      [],
      [one('llama.copy', { kind: 'table' }, 'llama.copy')],
      ['llama.copy: is a table that no migration makes'],
    ],
    [
      'a grant too many',
      'privileges',
      [],
      [one('llama.t', { 'SELECT to PUBLIC': 'granted' })],
      ['llama.t: grant SELECT to PUBLIC that no migration makes'],
    ],
    [
      'a grant too few',
      'privileges',
      [one('llama.t', { 'SELECT to a': 'granted', 'INSERT to a': 'granted' })],
      [one('llama.t', { 'SELECT to a': 'granted with grant option' })],
      [
        'llama.t: grant INSERT to a is missing',
        'llama.t: grant SELECT to a is granted with grant option instead of granted',
      ],
    ],
    [
      'a body, by its first line that differs',
      'functions',
      [one('function llama.f()', { body: 'BEGIN\n  RETURN 1;\nEND' }, 'function llama.f()')],
      [one('function llama.f()', { body: 'BEGIN\n  RETURN 2;\nEND' }, 'function llama.f()')],
      ['function llama.f(): body differs from line 2 on: RETURN 2; instead of RETURN 1;'],
    ],
    [
      'what lost a fact',
      'columns',
      [one('column llama.t.x', { type: 'text', default: "'a'" })],
      [one('column llama.t.x', { type: 'text' })],
      ["column llama.t.x: has no default; the migrations give it 'a'"],
    ],
    ['nothing of what hangs on a missing table', 'columns', [one('column llama.u.x', {}, 'llama.u')], [], []],
  ])('%s', (_, area, reference, found, words) => {
    expect(between(area, reference, found)).toEqual(words);
  });
});

describe('without a manifest of these migrations', () => {
  const answers = async (migrationsDir: string) => {
    const client = await database.connect();
    const input = { client, snapshot: await takeSnapshot(client), migrationsDir };
    return (await evaluate(input, driftChecks)).map(({ check, outcome }) => ({ id: check.id, ...outcome }));
  };
  const empty = () => mkdtempSync(join(tmpdir(), 'llama-db-drift-'));

  it('every check says why it did not look', async () => {
    const directory = empty();
    try {
      for (const answer of await answers(directory)) {
        expect(answer).toMatchObject({
          status: 'skipped',
          reason: `there is no schema.json in ${directory}`,
        });
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('DRI-017 names the migrations that it does not describe, and the others are skipped', async () => {
    const directory = empty();
    try {
      const { migrations } = manifestHere();
      for (const name of migrations.slice(1))
        writeFileSync(join(directory, `${name}.sql`), '-- Up Migration');
      writeFileSync(join(directory, '9999_later.sql'), '-- Up Migration');
      writeFileSync(join(directory, 'schema.json'), formatManifest(manifestHere()));
      for (const { id, ...answer } of await answers(directory)) {
        if (id !== 'DRI-017') {
          expect(answer.status).toBe('skipped');
          continue;
        }
        expect(answer).toMatchObject({
          status: 'failed',
          findings: [
            { object: 'schema.json', detail: '9999_later is not in it' },
            { object: 'schema.json', detail: '0001_extensions is in it and not a file' },
          ],
        });
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('a manifest that cannot be read is named with its path', async () => {
    const directory = empty();
    try {
      writeFileSync(join(directory, 'schema.json'), '{');
      const [first] = await answers(directory);
      expect(first).toMatchObject({
        status: 'skipped',
        reason: expect.stringContaining(join(directory, 'schema.json')),
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
