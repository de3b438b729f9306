import fc from 'fast-check';
import { loadModule, parseSync } from 'libpg-query';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type LintFolder, lintFolder } from './files.ts';
import { rows } from './rows.ts';

let folder: LintFolder;
beforeAll(async () => {
  await loadModule();
  folder = lintFolder();
});
afterAll(() => folder.drop());

/** The statements of the rows and some of other kinds. */
const statements = rows
  .flatMap(({ bad, good }) => [bad, good])
  .flatMap((given) => (typeof given === 'string' ? [given] : [given.up ?? '', given.down ?? '']))
  .concat(
    'WITH a AS (SELECT 1) MERGE INTO llama.plain USING a ON true WHEN MATCHED THEN DO NOTHING;',
    'CREATE FUNCTION llama.g(x int) RETURNS int LANGUAGE sql SET search_path = pg_temp BEGIN ATOMIC SELECT x FROM llama.plain; END;',
    'CREATE FUNCTION llama.h() RETURNS int LANGUAGE sql RETURN 1;',
    "COPY llama.plain FROM PROGRAM 'x';",
    'IMPORT FOREIGN SCHEMA a FROM SERVER s INTO llama;',
    'SELECT $1, (SELECT ARRAY[ROW(1, NULL)::llama.pair]), CASE WHEN a THEN b END FROM a, LATERAL (VALUES (1)) v(x);',
  );
const words = [...new Set(statements.flatMap((statement) => statement.split(/(\s+|[(),;])/)))].filter(
  (word) => word.trim() !== '',
);

const parses = (sql: string): boolean => {
  try {
    return (parseSync(sql).stmts ?? []).length > 0;
  } catch {
    return false;
  }
};

/** One or more known statements with words removed, inserted, doubled or replaced. Many of them still parse. */
const sql = fc
  .array(
    fc.tuple(
      fc.constantFrom(...statements),
      fc.array(fc.tuple(fc.nat(), fc.constantFrom(...words), fc.constantFrom('out', 'in', 'for')), {
        maxLength: 3,
      }),
    ),
    { minLength: 1, maxLength: 3 },
  )
  .map((parts) =>
    parts
      .map(([statement, changes]) => {
        const parts = statement.split(/(\s+|[(),;])/);
        for (const [at, word, how] of changes) {
          parts.splice(at % parts.length, how === 'in' ? 0 : 1, ...(how === 'out' ? [] : [` ${word} `]));
        }
        return parts.join('');
      })
      .join(';\n'),
  )
  .filter(parses);

it('never throws on SQL that the parser accepts, and reports only lines of the file', async () => {
  await fc.assert(
    fc.asyncProperty(sql, async (text) => {
      const content = `-- Up Migration\n${text}\n-- Down Migration\n${text}\n`;
      const path = folder.write('0002_fuzz.sql', content);
      const { findings } = await folder.lint(path);
      const lines = content.split('\n').length;
      for (const { line } of findings) {
        expect(line).toBeGreaterThan(0);
        expect(line).toBeLessThanOrEqual(lines);
      }
    }),
    { numRuns: Number(process.env['LLAMA_DB_FUZZ_RUNS'] ?? 400) },
  );
});
