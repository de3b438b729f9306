// Duration: 40 s
import pg from 'pg';
import { beforeAll, describe, expect, it } from 'vitest';
import { supportedVersions } from '../../../azure/versions.ts';
import { type Description, describeSchema } from '../../../database/schema/describe.ts';
import { sameMeaning } from '../../../database/schema/meaning.ts';
import { loadParser } from '../../../database/schema/policy.ts';
import { within } from '../../../local/postgres/bootstrap.ts';
import { binariesOf } from '../../../local/postgres/installation.ts';
import { startPostgres } from '../../../local/postgres/server.ts';
import { differences } from '../../../verification/drift/compare.ts';
import { run } from '../../commands/run.ts';

beforeAll(loadParser);

const check = (condition: string) => `CHECK (${condition})`;
const trigger = (condition: string) =>
  `CREATE TRIGGER t AFTER UPDATE ON llama.data_keys FOR EACH ROW WHEN (${condition}) EXECUTE FUNCTION llama.f()`;
const list = (...values: string[]) => values.map((value) => `'${value}'::character varying`).join(', ');
const each = (...values: string[]) =>
  values.map((value) => `('${value}'::character varying)::text`).join(', ');

describe('definitions of the same meaning', () => {
  it.each<[string, string, string, string]>([
    [
      'a cast of an array',
      'definition',
      check(`x = ANY ((ARRAY[${list('a', 'b')}])::text[])`),
      check(`x = ANY (ARRAY[${each('a', 'b')}])`),
    ],
    ['a nested OR', 'definition', trigger('((a OR b) OR c)'), trigger('(a OR b OR c)')],
    ['a nested OR on the right', 'definition', trigger('(a OR (b OR c))'), trigger('(a OR b OR c)')],
    ['a nested AND in a policy', 'USING', '((a AND b) AND c)', '(a AND b AND c)'],
    ['brackets', 'WITH CHECK', '((a))', 'a'],
    [
      'a domain',
      'definition',
      `character varying(9) CHECK ((VALUE = ANY ((ARRAY[${list('a')}])::text[])))`,
      `character varying(9) CHECK ((VALUE = ANY (ARRAY[${each('a')}])))`,
    ],
  ])('%s', (_, fact, one, other) => {
    expect(one).not.toBe(other);
    expect(sameMeaning(fact, one, other)).toBe(true);
    expect(sameMeaning(fact, other, one)).toBe(true);
  });

  it.each<[string, string, string, string]>([
    [
      'another value',
      'definition',
      check(`x = ANY ((ARRAY[${list('a', 'b')}])::text[])`),
      check(`x = ANY (ARRAY[${each('a', 'c')}])`),
    ],
    [
      'one value fewer',
      'definition',
      check(`x = ANY ((ARRAY[${list('a', 'b')}])::text[])`),
      check(`x = ANY (ARRAY[${each('a')}])`),
    ],
    [
      'another type',
      'definition',
      check(`x = ANY ((ARRAY[${list('a')}])::text[])`),
      check(`x = ANY (ARRAY['a'::character varying])`),
    ],
    ['OR within AND', 'USING', '(a AND (b OR c))', '((a AND b) OR c)'],
    ['NOT', 'USING', '(NOT (a OR b))', '((NOT a) OR b)'],
    ['true', 'USING', '(tenant_id = t)', 'true'],
    ['spaces of a body', 'body', '\nBEGIN\nEND', '\nBEGIN\n END'],
    ['what is no SQL', 'security', 'definer', 'invoker'],
  ])('but not %s', (_, fact, one, other) => {
    expect(sameMeaning(fact, one, other)).toBe(false);
  });
});

/** Creates every definition of the schema again from the text that the server prints. */
function replay({ areas }: Description): readonly string[] {
  const own = (says: Readonly<Record<string, string>>, name: string) => says[name] ?? '';
  const kinds = new Map(areas.objects.map(({ object, says }) => [object, says['kind']]));
  const keys = new Set(areas.constraints.map(({ object }) => /^constraint (\S+) on/.exec(object)?.[1]));
  return [
    ...areas.constraints
      .filter(({ says }) => own(says, 'definition').startsWith('CHECK'))
      .map(({ object, subject, says }) => {
        const name = pg.escapeIdentifier(/^constraint (\S+) on/.exec(object)?.[1] ?? '');
        return `ALTER TABLE ${subject} DROP CONSTRAINT ${name}, ADD CONSTRAINT ${name} ${own(says, 'definition')}`;
      }),
    ...areas.triggers.map(({ object, says }) => `DROP ${object}; ${own(says, 'definition')}`),
    ...areas.policies
      .filter(({ object }) => object.startsWith('policy '))
      .map(({ object, says }) => {
        const condition = (word: string) => (says[word] ? ` ${word} (${says[word]})` : '');
        return `ALTER ${object}${condition('USING')}${condition('WITH CHECK')}`;
      }),
    ...areas.columns
      .filter(({ says }) => says['default'])
      .map(({ object, subject, says }) => {
        const name = pg.escapeIdentifier(object.split('.').at(-1) ?? '');
        return `ALTER TABLE ${subject} ALTER COLUMN ${name} SET DEFAULT ${own(says, 'default')}`;
      }),
    ...areas.views
      .filter(({ object }) => kinds.get(object) === 'view')
      .map(
        ({ object, says }) =>
          `CREATE OR REPLACE VIEW ${object} WITH (${own(says, 'options')}) AS ${own(says, 'definition')}`,
      ),
    ...areas.indexes
      .filter(({ object }) => !keys.has(object.split('.').at(-1)))
      .map(({ object, says }) => `DROP ${object}; ${own(says, 'definition')}`),
  ];
}

describe.each(supportedVersions)('every definition of the migrations on PostgreSQL %i', (major) => {
  it('means the same after it was created again from its own text', async () => {
    const server = await startPostgres({ binaries: await binariesOf(major), databases: ['llama_mapper'] });
    try {
      expect((await run(['migrate', '--url', server.url('migrator')])).code).toBe(0);
      await within(server.connection('superuser'), async (client) => {
        const before = await describeSchema(client);
        const statements = replay(before);
        expect(statements.length).toBeGreaterThan(150);
        for (const statement of statements) await client.query(statement);
        const after = await describeSchema(client);
        for (const area of ['constraints', 'triggers', 'policies', 'columns', 'views', 'indexes'] as const) {
          const found = differences(before, after, area).filter(
            ({ fact }) => fact !== 'state' && fact !== 'options',
          );
          expect([area, found]).toEqual([area, []]);
        }
        // Without the comparison by meaning, several would differ.
        const texts = ({ areas }: Description) =>
          new Set(areas.constraints.map(({ says }) => says['definition']));
        expect([...texts(after)].filter((text) => !texts(before).has(text)).length).toBeGreaterThan(2);
      });
    } finally {
      await server.stop();
    }
  }, 90_000);
});
