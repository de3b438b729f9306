// Duration: 40 s
/** Two clones of a commit make the same pack: another folder, time zone, language and version of Node.js change no byte. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { environments } from '../../../environments/index.ts';
import { sumsFile } from '../../../pipeline/evidence/pack.ts';
import { verifyPack } from '../../../pipeline/evidence/verify.ts';
import { audit, verification } from './fixture.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'llama-clones-'));
afterAll(() => rmSync(folder, { recursive: true }));

const environment = environments.names.at(-1) ?? '';
const other = resolve('tmp/node/node_modules/node-24/bin/node');
const missing = await run('git', ['rev-parse', '--verify', 'HEAD']).then(
  () => undefined,
  () => 'needs a git repository with a commit',
);

async function pack(
  name: string,
  node: string,
  variables: Readonly<Record<string, string>>,
): Promise<string> {
  const clone = join(folder, name);
  await run('git', ['clone', '--quiet', '--shared', '.', clone]);
  // .gitignore names the folder, and this is a link.
  writeFileSync(join(clone, '.git/info/exclude'), 'node_modules\n');
  symlinkSync(resolve('node_modules'), join(clone, 'node_modules'));
  for (const { origin, text } of [verification(environment), audit(environment)])
    writeFileSync(join(folder, origin), text);
  const output = join(folder, `${name}-pack`);
  const given = ['--verification', join(folder, 'verification.json'), '--audit', join(folder, 'audit.json')];
  const parameters = ['commands/llama-db.mjs', 'evidence', environment, ...given, '--output', output];
  const env = { ...process.env, CDKTF_OUTDIR: join(clone, 'cdktf.out'), ...variables };
  // Its status is 1 if a control is violated.
  const ended = await run(node, parameters, { cwd: clone, env }).catch((error: unknown) => error);
  expect(existsSync(join(output, sumsFile)), String(Reflect.get(Object(ended), 'stderr'))).toBe(true);
  expect(verifyPack(output).findings).toEqual([]);
  return readFileSync(join(output, sumsFile), 'utf8');
}

it('has the same bytes from two clones', { timeout: 240_000 }, async (context) => {
  context.skip(missing !== undefined, missing);
  const [one, two] = await Promise.all([
    pack('one', process.execPath, { TZ: 'UTC', LANG: 'C' }),
    pack('another-folder', existsSync(other) ? other : process.execPath, {
      TZ: 'Pacific/Auckland',
      LANG: 'tr_TR.UTF-8',
      LC_ALL: 'tr_TR.UTF-8',
    }),
  ]);
  expect(one.split('\n').length).toBeGreaterThan(12);
  expect(two).toBe(one);
});
