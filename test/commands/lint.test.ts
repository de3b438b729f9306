import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { freshDatabase } from '../support/postgres.ts';
import { parseSarif } from '../support/sarif.ts';
import { type MigrationsCopy, migrationsCopy, run } from './run.ts';

let migrations: MigrationsCopy;
beforeEach(() => {
  migrations = migrationsCopy('empty');
  migrations.write(
    '0001_tables.sql',
    `-- loses data of: full, empty
-- Up Migration
CREATE TABLE llama.full (a bigint);
CREATE TABLE llama.empty (a bigint);
INSERT INTO llama.full SELECT generate_series(1, 200000);
-- Down Migration
DROP TABLE llama.full, llama.empty;
`,
  );
  migrations.write(
    '0002_change.sql',
    `-- Up Migration
ALTER TABLE llama.full ALTER COLUMN a SET NOT NULL;
ALTER TABLE llama.empty ALTER COLUMN a SET NOT NULL;
-- lint allow truncate: nothing has ever been written to it
TRUNCATE llama.empty;
-- Down Migration
SELECT 1;
`,
  );
});
afterEach(() => migrations.drop());

const lint = (...more: string[]) => run(['lint', '--migrations', migrations.directory, ...more]);

describe('lint', () => {
  it('reports problems of tables of unknown size as low, with exit status 0', async () => {
    const { code, stdout } = await lint();
    expect(code).toBe(0);
    expect(stdout).toMatch(/0002_change\.sql:2 {2}low {2}set-not-null: .*llama\.full .*its size is unknown/);
    expect(stdout).toMatch(/^ {2}Why: SET NOT NULL reads every row .*\(squawk adding-not-nullable-field;/m);
    expect(stdout).toMatch(/^ {2}Remedy: Use ADD CONSTRAINT … CHECK \(column IS NOT NULL\) NOT VALID/m);
    expect(stdout).toMatch(/^2 findings \(2 low\), 1 allowed with a reason, 0 not seen, in 2 files$/m);
    expect((await lint('--fail-on', 'low')).code).toBe(1);
  });

  it('reads table sizes from a server, and lints the migrations pending there', async () => {
    const database = await freshDatabase();
    try {
      expect(
        (await run(['migrate', '--url', database.url(), '--migrations', migrations.directory])).code,
      ).toBe(0);
      migrations.write(
        '0003_more.sql',
        '-- Up Migration\nALTER TABLE llama.full ALTER COLUMN a SET NOT NULL;\nALTER TABLE llama.empty ALTER COLUMN a SET NOT NULL;\n-- Down Migration\nSELECT 1;\n',
      );
      await database.query('superuser', 'ANALYZE llama.full, llama.empty');
      const { code, stdout, stderr } = await lint('--url', database.url(), '--json');
      expect(code, stderr).toBe(1);
      expect(JSON.parse(stdout)).toMatchObject({
        ok: false,
        files: [expect.stringMatching(/0003_more\.sql$/)],
        findings: [
          {
            rule: 'set-not-null',
            severity: 'high',
            line: 2,
            detail: expect.stringContaining('llama.full'),
          },
        ],
      });
    } finally {
      await database.drop();
    }
  });

  it('writes SARIF with places, and with allowed findings and their reasons', async () => {
    const { stdout } = await lint('--format', 'sarif');
    const [log] = parseSarif(stdout).runs;
    expect(log?.tool.driver.rules.length).toBeGreaterThan(80);
    const truncate = log?.results.find(({ ruleId }) => ruleId === 'truncate');
    expect(truncate).toMatchObject({
      level: 'error',
      locations: [
        {
          physicalLocation: {
            artifactLocation: { uri: expect.stringMatching(/0002_change\.sql$/) },
            region: { startLine: 5 },
          },
        },
      ],
      suppressions: [{ kind: 'inSource', justification: 'nothing has ever been written to it' }],
    });
  });

  it('exits with 2 if it could not lint', async () => {
    const missing = await lint('nowhere.sql');
    expect(missing.code).toBe(2);
    expect(missing.stderr).toMatch(/nowhere\.sql: ENOENT.* \[lint\/file-unreadable\]$/m);
    expect((await lint('--fail-on', 'much')).code).toBe(2);
  });

  it('lists its rules', async () => {
    expect((await lint('--rules')).stdout).toMatch(
      /^grant-on-leaf +critical +No role has a privilege on a partition$/m,
    );
    const { rules } = JSON.parse((await lint('--rules', '--json')).stdout);
    expect(rules.length).toBeGreaterThan(80);
    expect(
      rules.every(({ id, why, remedy, source }: Record<string, string>) => id && why && remedy && source),
    ).toBe(true);
  });

  it('prints the page of its rules', async () => {
    const { stdout } = await lint('--rules', '--markdown');
    expect(stdout).toBe(readFileSync(join(import.meta.dirname, '../../docs/lint-rules.md'), 'utf8'));
  });
});
