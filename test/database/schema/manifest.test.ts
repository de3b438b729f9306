import { describe, expect, it } from 'vitest';
import { changesBetween } from '../../../database/schema/changes.ts';
import {
  type Area,
  type Areas,
  areas,
  type Described,
  type Description,
} from '../../../database/schema/describe.ts';
import { expectedOn, manifestOf } from '../../../database/schema/manifest.ts';
import { formatManifest, parseManifest } from '../../../database/schema/manifest-file.ts';

type Objects = Partial<Record<Area, readonly Described[]>>;

const describedOn = (major: number, objects: Objects): Description => ({
  major,
  areas: { ...(Object.fromEntries(areas.map((area) => [area, []])) as unknown as Areas), ...objects },
});
const one = (object: string, says: Described['says'], subject = 'llama.t'): Described => ({
  object,
  subject,
  says,
});

const table = one('llama.t', { kind: 'table' });
const body = one(
  'function llama.f()',
  { body: '\nBEGIN\n  RETURN 1;\nEND\n', returns: 'integer' },
  'function llama.f()',
);
const both: Objects = { objects: [table], functions: [body], policies: [one('llama.t', { rls: 'enabled' })] };
const migrations = [{ name: '0001_first' }];

describe('a manifest', () => {
  it('gives each major back what was described on it', () => {
    const seventeen = describedOn(17, {
      ...both,
      columns: [one('column llama.t.a', { type: 'text', default: "'x'" })],
    });
    const eighteen = describedOn(18, {
      ...both,
      columns: [one('column llama.t.a', { type: 'text', default: "'y'" }), one('column llama.t.b', {})],
    });
    const manifest = manifestOf([eighteen, seventeen], migrations);
    expect(manifest.majors).toEqual([17, 18]);
    const read = parseManifest(formatManifest(manifest));
    expect(read).toEqual(manifest);
    expect(expectedOn(read, 17)).toEqual(seventeen);
    expect(expectedOn(read, 18)).toEqual(eighteen);
    expect(expectedOn(read, 16)).toBeUndefined();
  });

  it('keeps apart only the facts in which the majors differ', () => {
    const manifest = manifestOf(
      ['1', '2'].map((value, place) =>
        describedOn(17 + place, { columns: [one('column llama.t.a', { type: 'text', default: value })] }),
      ),
      migrations,
    );
    expect(manifest.common).toEqual({
      'llama.t': { columns: { 'column llama.t.a': { type: 'text' } } },
    });
    expect(manifest.only[18]).toEqual({
      'llama.t': { columns: { 'column llama.t.a': { default: '2' } } },
    });
  });

  it('is laid out one line per object and per line of a body', () => {
    const text = formatManifest(manifestOf([describedOn(17, both)], migrations));
    expect(text).toMatchInlineSnapshot(`
      "{
        "about": "Generated from the migrations by \`llama-db schema --write\`. Do not edit.",
        "majors": [ 17 ],
        "migrations": [
          "0001_first"
        ],
        "common": {
          "function llama.f()": {
            "functions": {
              "body": [
                "",
                "BEGIN",
                "  RETURN 1;",
                "END",
                ""
              ],
              "returns": "integer"
            }
          },
          "llama.t": {
            "objects": { "kind": "table" },
            "policies": { "rls": "enabled" }
          }
        },
        "only": {
          "17": {}
        }
      }
      "
    `);
  });

  it('does not depend on the order in which a server names things', () => {
    const list = ['a', 'b', 'c'].map((name) => one(`column llama.t.${name}`, { type: 'text' }));
    const text = (columns: readonly Described[]) =>
      formatManifest(manifestOf([describedOn(17, { objects: [table], columns })], migrations));
    expect(text([...list].reverse())).toBe(text(list));
  });

  it('has one entry for the leaves of a table, and refuses leaves that differ', () => {
    const leaf = (name: string, owner: string) => one(`llama.t_${name}`, { owner });
    const alike = describedOn(17, { leaves: [leaf('y2026m01', 'a'), leaf('y2026m02', 'a')] });
    expect(manifestOf([alike], []).common).toEqual({
      'llama.t': { leaves: { 'each leaf of llama.t': { owner: 'a' } } },
    });
    const differing = describedOn(17, { leaves: [leaf('y2026m01', 'a'), leaf('y2026m02', 'b')] });
    expect(() => manifestOf([differing], [])).toThrow(
      expect.objectContaining({ code: 'schema/leaves-differ', what: expect.stringContaining('y2026m02') }),
    );
  });

  it.each(['{}', '[]', '{"majors": [17]}', 'nothing'])('is not read from %s', (text) => {
    expect(() => parseManifest(text)).toThrow();
  });
});

describe('the changes between two manifests', () => {
  it('name the majors on which they happen', () => {
    const before = manifestOf(
      [17, 18].map((major) => describedOn(major, both)),
      migrations,
    );
    const after = manifestOf(
      [
        describedOn(17, both),
        describedOn(18, { ...both, indexes: [one('index llama.i', { definition: 'CREATE INDEX' })] }),
      ],
      [...migrations, { name: '0002_second' }],
    );
    expect(changesBetween(before, before)).toEqual([]);
    expect(changesBetween(before, after)).toEqual([
      '+ migration 0002_second',
      '+ index llama.i: CREATE INDEX (PostgreSQL 18 only)',
    ]);
    expect(changesBetween(after, before)).toEqual([
      '- migration 0002_second',
      '- index llama.i: CREATE INDEX (PostgreSQL 18 only)',
    ]);
  });
});
