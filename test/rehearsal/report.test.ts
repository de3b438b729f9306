/** The files of a rehearsal's pages, which are checked before anything is started. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { reportFile, requireWritable } from '../../rehearsal/report.ts';
import { scenarios } from '../../rehearsal/sandbox/scenario.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'llama-report-'));
afterAll(() => rmSync(folder, { recursive: true }));

const all = await scenarios();
const environment = 'development';

describe('the page of a rehearsal', () => {
  it('is the named file, or one file per scenario if there are several', () => {
    const report = path.join(folder, 'page.v2.html');
    expect(reportFile({ environment, report }, 'switchover')).toBe(report);
    expect(reportFile({ environment, report, all: true }, 'switchover')).toBe(
      path.join(folder, 'page.v2-switchover.html'),
    );
    const files = all.map(({ name }) => reportFile({ environment, report, all: true }, name));
    expect(new Set(files).size).toBe(all.length);
  });

  it('stays unchanged by the check, which creates no file', async () => {
    const there = path.join(folder, 'there.html');
    writeFileSync(there, 'an earlier page');
    await requireWritable({ environment, report: there }, all.slice(0, 1));
    expect(readFileSync(there, 'utf8')).toBe('an earlier page');
    const absent = path.join(folder, 'absent.html');
    await requireWritable({ environment, report: absent }, all.slice(0, 1));
    expect(existsSync(absent)).toBe(false);
  });

  it.each([
    ['a missing folder', path.join(folder, 'nowhere/page.html'), 'ENOENT'],
    ['a folder', folder, 'not a regular file'],
    ['a device, which the page would replace', '/dev/null', 'not a regular file'],
    ['a path below a file', path.join(import.meta.filename, 'page.html'), 'ENOTDIR'],
  ])('cannot replace %s: one line and exit status 2, before anything is started', (_, file, why) => {
    const startedAt = Date.now();
    const ended = spawnSync(
      process.execPath,
      ['commands/llama-db.mjs', 'rehearse', environment, '--report', file],
      { cwd: path.join(import.meta.dirname, '../..'), encoding: 'utf8' },
    );
    expect(ended.status).toBe(2);
    expect(ended.stderr).toMatch(
      /^The page of the rehearsal cannot be written to .*--report <file>\. \[rehearsal\/report-not-writable\]\n$/,
    );
    expect(ended.stderr).toContain(why);
    expect(ended.stdout).toBe('');
    expect(Date.now() - startedAt).toBeLessThan(15_000);
  });

  it('is checked for each scenario of --all', async () => {
    const place = { environment, report: path.join(folder, 'all.html'), all: true };
    const [first, second] = all;
    if (!first || !second) throw new Error('there are scenarios');
    mkdirSync(reportFile(place, second.name));
    await requireWritable(place, [first]);
    await expect(requireWritable(place, [first, second])).rejects.toThrow(`all-${second.name}.html`);
  });
});
