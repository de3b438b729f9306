import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

import type { TableFacts } from '../../../../database/migrator/lint/estimates.ts';
import { readForLint } from '../../../../database/migrator/lint/read.ts';
import { selectFiles } from '../../../../database/migrator/lint/select.ts';
import { contentOf, type LintFolder, lintFolder } from './files.ts';

let folder: LintFolder;
let number = 1;
beforeAll(() => {
  folder = lintFolder();
});
afterAll(() => folder.drop());
beforeEach(() => {
  number += 1;
});

const lintSql = (up: string, options: Parameters<LintFolder['lint']>[1] = {}, head = '') =>
  folder.lint(folder.write(`${number}_case.sql`, contentOf({ up, head }).content), options);
const lintTs = (ts: string) => folder.lint(folder.write(`${number}_case.ts`, ts));
const brief = ({ rule, line, severity }: { rule: string; line: number; severity: string }) =>
  `${line} ${rule} ${severity}`;

describe('the size of a table', () => {
  const statement = (table: string) => `ALTER TABLE llama.${table} ADD CONSTRAINT c CHECK (1 = 1);`;
  const facts: TableFacts = {
    partitioned: [],
    sizeOf: (table) => (({ 'llama.plain': 'large', 'llama.events': 'small' }) as const)[table],
  };

  it('is large for partitioned tables and unknown for others, without a database', async () => {
    expect((await lintSql(statement('events'))).findings.map(brief)).toEqual([
      '2 constraint-without-not-valid high',
    ]);
    const { findings } = await lintSql(statement('plain'));
    expect(findings.map(brief)).toEqual(['2 constraint-without-not-valid low']);
    expect(findings[0]?.detail).toMatch(/its size is unknown/);
  });

  it('comes from the database if there is one; a table that does not exist yet has no rows', async () => {
    expect((await lintSql(statement('plain'), { facts })).findings.map(brief)).toEqual([
      '2 constraint-without-not-valid high',
    ]);
    expect((await lintSql(statement('events'), { facts })).findings).toEqual([]);
    expect((await lintSql(statement('unheard_of'), { facts })).findings).toEqual([]);
  });

  it('is large for a table that only the registry makes partitioned', async () => {
    const before = folder.write(
      '0002_register.sql',
      "-- Up Migration\nCREATE TABLE llama.late (a bigint);\nINSERT INTO llama.partitioned_tables (table_name) VALUES ('other'), ('late');\n",
    );
    expect((await lintSql(statement('late'), { before: [before] })).findings.map(brief)).toEqual([
      '2 constraint-without-not-valid high',
    ]);
  });
});

describe('allowances', () => {
  it.each([
    ['before the statement', '-- Because.\n-- lint allow truncate: nobody reads it\nTRUNCATE llama.plain;'],
    ['inside it', 'TRUNCATE\n  -- lint allow truncate: nobody reads it\n  llama.plain;'],
    [
      'behind it on its line',
      'SELECT 1;\nTRUNCATE llama.plain; -- lint allow truncate: nobody reads it\nSELECT 2;',
    ],
    ['in a block comment', '/* lint allow truncate: nobody reads it */ TRUNCATE llama.plain;'],
    [
      'inside its block',
      'DO $$\nBEGIN\n  -- lint allow truncate: nobody reads it\n  TRUNCATE llama.plain;\nEND $$;',
    ],
  ])('apply %s', async (_, up) => {
    const { findings, allowed } = await lintSql(up);
    expect(findings).toEqual([]);
    expect(allowed).toMatchObject([{ rule: 'truncate', reason: 'nobody reads it' }]);
  });

  it('apply to one statement, not to the next', async () => {
    const { findings } = await lintSql(
      '-- lint allow truncate: nobody reads it\nTRUNCATE llama.plain;\nTRUNCATE llama.plain;',
    );
    expect(findings.map(brief)).toEqual(['4 truncate critical']);
  });

  it('in the head of a file apply to the file', async () => {
    const path = folder.write(
      `${number}_head.sql`,
      '-- lint allow no-down: what it erases is gone\n-- Up Migration\nSELECT 1;\n',
    );
    const { findings, allowed } = await folder.lint(path);
    expect(findings).toEqual([]);
    expect(allowed).toMatchObject([{ rule: 'no-down', reason: 'what it erases is gone' }]);
  });

  it('without a reason accept nothing', async () => {
    const { findings } = await lintSql('-- lint allow truncate:\nTRUNCATE llama.plain;');
    expect(findings.map(brief)).toEqual(['2 allowance-without-reason high', '3 truncate critical']);
  });

  it('apply in TypeScript, next to the call and inside its SQL', async () => {
    const { findings, allowed } = await lintTs(`export async function up(pgm) {
  // lint allow truncate: nobody reads it
  pgm.sql('TRUNCATE llama.plain');
  pgm.sql(\`
    SELECT 1;
    -- lint allow drop-schema: it is empty
    DROP SCHEMA beside;
  \`);
  pgm.sql('TRUNCATE llama.plain');
}
export const down = async () => undefined;
`);
    expect(allowed.map(({ rule, line }) => `${line} ${rule}`)).toEqual(['3 truncate', '7 drop-schema']);
    expect(findings.map(brief)).toEqual(['9 truncate critical']);
  });
});

describe('TypeScript migrations', () => {
  it('run on the builder of node-pg-migrate, and findings have the line of the call', async () => {
    const { findings } =
      await lintTs(`import { dropPartitionedIndex } from './database/indexes/partitioned-index.ts';
export async function up(pgm) {
  pgm.createTable({ schema: 'llama', name: 'built' }, { id: { type: 'integer', primaryKey: true } });
  pgm.renameTable({ schema: 'llama', name: 'plain' }, 'simple');
  await pgm.db.query('TRUNCATE llama.plain');
}
export async function down(pgm) {
  pgm.noTransaction();
  await dropPartitionedIndex(pgm, { table: 'llama.events', name: 'events_kind' });
}
`);
    expect(findings.map(brief)).toEqual(['3 small-key medium', '4 rename-table high', '5 truncate critical']);
  });

  it('are unseen from the first query whose answer they need', async () => {
    const { findings, unseen } = await lintTs(`export async function up(pgm) {
  pgm.sql('TRUNCATE llama.plain');
  const { rows } = await pgm.db.query('SELECT 1');
  if (rows.length > 0) pgm.sql('TRUNCATE llama.events');
}
export async function down() {}
`);
    expect(findings.map(brief)).toEqual(['2 truncate critical']);
    expect(unseen).toMatchObject([
      { line: 3, reason: expect.stringMatching(/depend on the answer to a query/) },
    ]);
  });

  it('are refused if they cannot be loaded, and unseen from where they fail', async () => {
    const { findings } = await lintTs("import './nothing.ts';\nexport const up = 1;\nexport const down = 1;");
    expect(findings.map(brief)).toEqual(['1 syntax-error critical']);
    expect(findings[0]?.detail).toMatch(/cannot be loaded/);
    number += 1;
    expect((await lintTs('export async function down() {}')).findings[0]?.detail).toMatch(/no function up/);
    const failing =
      'export async function up(pgm) {\n  throw new Error("no\\nway");\n}\nexport async function down() {}\n';
    number += 1;
    expect((await lintTs(failing)).unseen).toMatchObject([
      { line: 2, reason: 'it fails without a database: no' },
    ]);
  });
});

describe('statements inside a body', () => {
  it('are linted at their own line in a block, and only by the rules for functions in a function', async () => {
    const body = '$$\nBEGIN\n  DROP TABLE llama.plain;\nEND $$;';
    expect((await lintSql(`DO ${body}`)).findings.map(brief)).toEqual(['4 drop-table high']);
    const fn =
      'CREATE FUNCTION llama.f() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS';
    expect((await lintSql(`${fn} ${body}`)).findings).toEqual([]);
  });

  it('are unseen if they are built at run time', async () => {
    const { unseen } = await lintSql(
      "DO $$\nDECLARE\n  s text := 'x';\nBEGIN\n  EXECUTE s || ' y';\nEND $$;",
    );
    expect(unseen).toMatchObject([{ line: 6, reason: expect.stringMatching(/EXECUTE of a string/) }]);
    expect(
      (
        await lintSql(
          "CREATE FUNCTION llama.f() RETURNS void LANGUAGE python SET search_path = pg_temp AS 'x';",
        )
      ).unseen,
    ).toMatchObject([{ reason: 'the body is written in python' }]);
  });

  it('have the right line after characters of any width', async () => {
    expect(
      (await lintSql("-- Größe, 大きさ, 🦙\nSELECT 'ä🦙';\nTRUNCATE llama.plain;")).findings.map(brief),
    ).toEqual(['4 truncate critical']);
    expect((await lintSql("SELECT 'ä🦙🦙🦙🦙🦙🦙🦙';\nSELECT 1;\nselekt;")).findings.map(brief)).toEqual([
      '4 syntax-error critical',
    ]);
  });
});

describe('a CHECK (column IS NOT NULL)', () => {
  it('allows SET NOT NULL once an earlier migration has validated it', async () => {
    const add =
      '-- Up Migration\nALTER TABLE llama.events ADD CONSTRAINT there CHECK (kind IS NOT NULL) NOT VALID;\n';
    const validate = '-- Up Migration\nALTER TABLE llama.events VALIDATE CONSTRAINT there;\n';
    const before = [
      folder.write(
        '1_base.sql',
        '-- Up Migration\nCREATE TABLE llama.events (kind text, at timestamptz) PARTITION BY RANGE (at);\n',
      ),
      folder.write('2_add.sql', add),
      folder.write('3_validate.sql', validate),
    ];
    const up =
      'ALTER TABLE llama.events ALTER COLUMN kind SET NOT NULL;\nALTER TABLE llama.events DROP CONSTRAINT there;';
    expect((await lintSql(up, { before })).findings).toEqual([]);
    expect((await lintSql(up, { before: before.slice(0, 2) })).findings.map(brief)).toEqual([
      '2 set-not-null high',
    ]);
  });
});

describe('the selected files', () => {
  it('follow the migrations of the folder with lower versions', () => {
    const first = folder.write('0001_base.sql', '-- Up Migration\nSELECT 1;\n');
    const own = lintFolder();
    const second = own.write('0002_second.sql', '-- Up Migration\nSELECT 1;\n');
    const third = own.write('0003_third.sql', '-- Up Migration\nSELECT 1;\n');
    const base = `${own.directory}/0001_base.sql`;
    try {
      // Other files than migrations would fail the listing.
      for (const name of ['package.json', 'core', 'database', 'runtime']) own.remove(name);
      expect(selectFiles([], own.directory)).toEqual({ files: [base, second, third], before: [] });
      expect(selectFiles([second], own.directory)).toEqual({ files: [second], before: [base] });
      expect(selectFiles([first], own.directory)).toEqual({ files: [first], before: [base, second, third] });
    } finally {
      own.drop();
    }
  });

  it('are refused if they cannot be read', async () => {
    await expect(readForLint('/nowhere/0001_a.sql')).rejects.toMatchObject({
      code: 'lint/file-unreadable',
      what: expect.stringContaining('/nowhere/0001_a.sql'),
    });
    await expect(readForLint('package.json')).rejects.toMatchObject({ code: 'lint/file-kind-unknown' });
  });
});
