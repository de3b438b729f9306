import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const run = promisify(execFile);
const project = join(import.meta.dirname, '../..');

let application: string;
let packed: readonly string[];

beforeAll(async () => {
  application = mkdtempSync(join(tmpdir(), 'llama-application-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', application], {
    cwd: join(project, 'runtime'),
  });
  // The build prints before the JSON.
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('[\n')));
  packed = files.map(({ path }: { path: string }) => path);
  const installed = join(application, 'node_modules/@llama-mapper/database');
  mkdirSync(installed, { recursive: true });
  await run('tar', ['-xzf', join(application, filename), '-C', installed, '--strip-components=1']);
  symlinkSync(join(project, 'node_modules/pg'), join(application, 'node_modules/pg'));
  writeFileSync(join(application, 'package.json'), '{ "type": "module" }');
}, 120_000);

afterAll(() => rmSync(application, { recursive: true, force: true }));

it('contains its own modules and types, and no sources', () => {
  expect(packed).toContain('dist/index.js');
  expect(packed).toContain('dist/index.d.ts');
  expect(packed.filter((file) => !/^(dist\/.*\.(js|d\.ts)|package\.json)$/.test(file))).toEqual([]);
});

it('encrypts in an application that has only this package and pg', async () => {
  const program = `
    import { ConfigurationError } from '@llama-mapper/database';
    import { EncryptionError, LocalKey } from '@llama-mapper/database/encryption';
    const key = LocalKey.fromText(Buffer.alloc(32, 7).toString('base64'), 'the test');
    const wrapped = await key.wrap(Buffer.alloc(32, 1));
    const opened = await key.unwrap(wrapped);
    let code = '';
    try { LocalKey.fromText('too short', 'the test'); } catch (error) {
      if (error instanceof ConfigurationError) code = error.code;
    }
    process.stdout.write(JSON.stringify({ equal: opened.equals(Buffer.alloc(32, 1)), code, type: typeof EncryptionError }));
  `;
  writeFileSync(join(application, 'main.js'), program);
  const { stdout } = await run(process.execPath, ['main.js'], { cwd: application });
  expect(JSON.parse(stdout)).toEqual({ equal: true, code: 'wrapping-key/unusable-file', type: 'function' });
});
