/** Output that cannot be written, and names that must not control a terminal. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { printable } from '../../core/text.ts';
import { catalogue } from '../../verification/catalogue.ts';
import { renderTable } from '../../verification/report/table.ts';

const program = join(import.meta.dirname, '../../commands/llama-db.mjs');
const sh = (command: string) =>
  spawnSync('bash', ['-c', command], { encoding: 'utf8', env: { ...process.env, PROGRAM: program } });

it('a full disk under stdout is a fault with status 2', () => {
  const { status, stderr } = sh('node "$PROGRAM" explain > /dev/full');
  expect(stderr).toMatch(/no space left.*\[system\/call-refused\]/);
  expect(stderr).not.toMatch(/defect|\n {4}at /);
  expect(status).toBe(2);
}, 60_000);

it('a reader that closes the pipe early leaves the status as it is, without a stack', () => {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell expands it
  const { stdout, stderr } = sh('node "$PROGRAM" explain --json | true; echo "status ${PIPESTATUS[0]}"');
  expect(stderr).toBe('');
  expect(stdout).toContain('status 0');
}, 60_000);

it('an empty folder of migrations is refused with status 2', () => {
  const folder = mkdtempSync(join(tmpdir(), 'llama-db-empty-'));
  const { status, stderr } = sh(`node "$PROGRAM" lint --migrations ${folder}`);
  rmSync(folder, { recursive: true });
  expect(stderr).toContain('[migration/folder-empty]');
  expect(status).toBe(2);
}, 60_000);

it.each(['1e99', '9007199254740991', '2147484', '-1'])(
  'a time limit of %s s is refused',
  (limit) => {
    const { status, stderr } = sh(`node "$PROGRAM" verify --url postgresql://u@h/d --time-limit ${limit}`);
    expect(stderr).toMatch(/^Bad usage: .*--time-limit/);
    expect(status).toBe(2);
  },
  60_000,
);

it('control characters of names are shown, in texts and in the table of findings', () => {
  const name = 'a\u001b]0;title\u0007\u009b2J\rb\u202e';
  const shown = 'a\\u001b]0;title\\u0007\\u009b2J\\u000db\\u202e';
  expect(printable(`${name}\n`)).toBe(`${shown}\n`);
  const [first] = catalogue;
  if (!first) throw new Error('the catalogue is empty');
  const { run: _, ...check } = first;
  const text = renderTable({
    subject: { version: '17.10', login: name, auditHead: null },
    checks: [
      { check, outcome: { status: 'failed', inspected: name, findings: [{ object: name, detail: name }] } },
      { check, outcome: { status: 'skipped', reason: name } },
    ],
    counts: { passed: 0, failed: 1, skipped: 1 },
    durationMs: 1,
  });
  expect(text).not.toMatch(new RegExp(`[${String.fromCharCode(27, 7, 13)}\u009b\u202e]`));
  expect(text.replace(/\s/g, '')).toContain('a\\u001b]0;title');
});

it.each(['', 'verify', 'bootstrap', 'rehearse'])(
  'help of %s fits in 80 columns, except for examples',
  (command) => {
    const { stdout } = sh(`node "$PROGRAM" ${command} --help`);
    const wide = stdout
      .split('\n')
      .filter((line) => line.length > 80 && !/^(?:Example: | {2})(?:llama-db|gh) /.test(line));
    expect(wide).toEqual([]);
  },
  60_000,
);
