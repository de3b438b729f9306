// Duration: 60 s
/** `npm run new` on a scratch copy: the generated files must satisfy the compiler, the linter and every catalogue. */
import { execFile, execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'llama-new-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const run = promisify(execFile);
const node = (...parameters: string[]) => run(process.execPath, parameters, { cwd: scratch });
const generate = (kind: string, name: string) => node('commands/llama-db.mjs', 'new', kind, name);

const kinds: readonly (readonly [kind: string, name: string, file: string, text: string])[] = [
  ['check', 'replication/sample-check', 'verification/checks/replication.ts', "name: 'sample-check'"],
  ['lint-rule', 'locks/sample-lint-rule', 'database/migrator/lint/rules/locks.ts', "id: 'sample-lint-rule'"],
  ['settings-rule', 'compute/sample-rule', 'environments/rules/compute.ts', "'compute/sample-rule': {"],
  ['scenario', 'sample-scenario', 'rehearsal/scenarios/sample-scenario.ts', "name: 'sample-scenario'"],
  ['command', 'sample-command', 'commands/sample-command.ts', "command('sample-command')"],
  ['migration', 'sample-change', 'migrations/9999_sample_change.sql', '-- Up Migration'],
];

beforeAll(() => {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files.split('\n').filter((one) => one !== ''))
    cpSync(join(root, file), join(scratch, file));
  symlinkSync(join(root, 'node_modules'), join(scratch, 'node_modules'));
  // The build information of the compiler lies in node_modules, which both copies share.
  const tsconfig = join(scratch, 'tsconfig.json');
  const text = readFileSync(tsconfig, 'utf8');
  writeFileSync(tsconfig, text.replace(/\s*"(?:incremental|tsBuildInfoFile)": [^\n]*/g, ''));
  // A number that later migrations do not change.
  writeFileSync(join(scratch, 'migrations/9998_last.sql'), '-- Up Migration\n\n-- Down Migration\n');
  execFileSync('git', ['init', '--quiet'], { cwd: scratch });
});

describe('npm run new', () => {
  it.each(kinds)('%s makes its files', async (kind, name, file, text) => {
    const { stdout } = await generate(kind, name);
    expect(stdout).toMatch(/^wrote \S+\n[\s\S]*Next:\n {2}\S/);
    expect(readFileSync(join(scratch, file), 'utf8')).toContain(text);
  });

  it.each(kinds.slice(0, 5))('%s refuses a name that exists', async (kind, name) => {
    await expect(generate(kind, name)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('[new/exists]'),
    });
  });

  it.each([
    ['thing', 'name', 'new/unknown-kind'],
    ['scenario', 'Bad Name', 'new/bad-name'],
    ['check', 'without-a-family', 'new/bad-name'],
    ['check', 'nowhere/name', 'new/no-such-family'],
    ['check', 'azure-servers/name', 'new/no-test-rows'],
  ])('refuses %s %s in one line', async (kind, name, code) => {
    await expect(generate(kind, name)).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringMatching(new RegExp(`^[^\\n]*\\[${code}\\]\\n$`)),
    });
  });
});

describe('the generated files', () => {
  const generated = [
    ...kinds.map(([, , file]) => file).filter((file) => file.endsWith('.ts')),
    ...['test/commands/sample-command.test.ts', 'test/verification/rows-platform.ts'],
    ...['test/database/migrator/lint/rows.ts', 'test/environments/refused/server.ts'],
  ];

  it('compile and pass the linter', { timeout: 300_000 }, async () => {
    const extended = { extends: './tsconfig.json', include: generated };
    writeFileSync(join(scratch, 'tsconfig.generated.json'), JSON.stringify(extended));
    await node('node_modules/typescript/bin/tsc', '--noEmit', '--project', 'tsconfig.generated.json');
    await node('node_modules/@biomejs/biome/bin/biome', 'check', ...generated);
  });

  it('have their pages and catalogues, and only their own rows fail until they are written', {
    timeout: 300_000,
  }, async () => {
    await node('--import', 'tsx', 'test/support/write-pages.ts');
    for (const [page, text] of [
      ['docs/checks.md', 'sample-check'],
      ['docs/lint-rules.md', 'sample-lint-rule'],
      ['docs/settings-rules.md', 'compute/sample-rule'],
    ] as const)
      expect(readFileSync(join(scratch, page), 'utf8')).toContain(text);
    const tests = [
      ...['test/catalogue.test.ts', 'test/docs.test.ts'],
      ...['test/database/migrator/lint/rules.test.ts', 'test/environments/refused.test.ts'],
      'test/commands/sample-command.test.ts',
    ];
    await node(
      'node_modules/vitest/vitest.mjs',
      'run',
      '--reporter=json',
      '--outputFile=results.json',
      ...tests,
    ).catch(() => undefined);
    const { testResults }: Results = JSON.parse(readFileSync(join(scratch, 'results.json'), 'utf8'));
    const results = testResults.flatMap(({ assertionResults }) => assertionResults);
    const failed = results.filter(({ status }) => status !== 'passed').map(({ fullName }) => fullName);
    expect(failed.filter((name) => !/sample-lint-rule|sample-rule/.test(name))).toEqual([]);
    expect(failed.some((name) => name.includes('sample-lint-rule'))).toBe(true);
    expect(failed.some((name) => name.includes('sample-rule'))).toBe(true);
    const passed = results.map(({ fullName }) => fullName).filter((name) => !failed.includes(name));
    expect(passed).toContain('llama-db sample-command prints its target');
    expect(testResults).toHaveLength(tests.length);
  });
});

interface Results {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}
