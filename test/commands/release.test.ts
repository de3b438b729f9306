/** `llama-db release`, `promote` and `drift`: what they refuse before they need a database, Azure or Terraform. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { inputs } from '../../environments/list.ts';
import { run } from './run.ts';

const names = Object.keys(inputs);
const [first = '', second = ''] = names;
const last = names.at(-1) ?? '';
const folder = mkdtempSync(join(tmpdir(), 'llama-release-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'file.json');
writeFileSync(file, '{}');

describe('refused at once', () => {
  it.each([
    [
      'a promotion against the order',
      ['promote', last, first],
      1,
      'promote/order',
      `llama-db release plan ${first}`,
    ],
    [
      'a promotion that skips an environment',
      ['promote', first, last],
      1,
      'promote/order',
      `llama-db promote ${second}`,
    ],
    ['a promotion to an unknown environment', ['promote', first, 'prod'], 1, 'environment/unknown', first],
    ['a release of an unknown environment', ['release', 'plan', 'prod'], 2, 'environment/unknown', first],
    [
      'a file that is no release',
      ['release', 'apply', last, '--release', file],
      2,
      'release/unreadable',
      'format',
    ],
    [
      'a missing release',
      ['release', 'apply', last, '--release', `${file}.none`],
      2,
      'release/unreadable',
      'ENOENT',
    ],
    ['drift of an unknown environment', ['drift', 'prod'], 1, 'environment/unknown', first],
  ] as const)('%s', async (_, args, code, fault, names) => {
    const ended = await run(args);
    expect(ended.code, ended.stderr).toBe(code);
    expect(ended.stderr).toContain(`[${fault}]`);
    expect(ended.stderr).toContain(names);
    expect(ended.stderr.trim().split('\n').length).toBe(1);
  });

  it('a release without a file, or with an age that is no number', async () => {
    expect((await run(['release', 'apply', last])).code).toBe(2);
    expect((await run(['release', 'apply', last, '--release', file, '--max-age', 'x'])).code).toBe(2);
  });
});
