/**
 * The project under other versions of Node, which `.ci/run` installs in `tmp/node`: the synthesis, a command, and whether
 * cdktf-cli can run.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { environments } from '../../environments/index.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'llama-node-'));
  synthesize(process.execPath, 'this');
});
afterAll(() => rmSync(folder, { recursive: true }));

const installed = (major: number) => resolve(`tmp/node/node_modules/node-${major}/bin/node`);

function run(program: string, args: readonly string[], variables: Readonly<Record<string, string>> = {}) {
  const env = { ...process.env, NODE_OPTIONS: '', ...variables };
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', env });
  return { status, stdout, stderr };
}

const synthesize = (program: string, name: string) =>
  run(program, ['--import', 'tsx', 'main.ts'], { CDKTF_OUTDIR: join(folder, name) });

const stacks = (name: string) =>
  environments.names.map((one) => readFileSync(join(folder, name, `stacks/${one}/cdk.tf.json`), 'utf8'));

describe.each([22, 24])('Node %i', (major) => {
  const program = installed(major);
  const skipped = existsSync(program) ? false : `needs Node ${major} in tmp/node, which .ci/run installs`;

  it('synthesizes the same bytes as this Node, without a warning', (context) => {
    context.skip(skipped !== false, String(skipped));
    expect(synthesize(program, `node-${major}`)).toEqual({ status: 0, stdout: '', stderr: '' });
    expect(stacks(`node-${major}`)).toEqual(stacks('this'));
  });

  it('runs commands without a warning', (context) => {
    context.skip(skipped !== false, String(skipped));
    const { status, stderr } = run(program, ['commands/llama-db.mjs', 'explain', 'ROL-016']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });

  it('names the reason if cdktf-cli cannot run', (context) => {
    context.skip(skipped !== false, String(skipped));
    const code = `import { findCdktf } from './rehearsal/terraform/installation.ts'; console.log(JSON.stringify(findCdktf()));`;
    const { stdout, stderr } = run(program, ['--import', 'tsx', '--input-type=module', '-e', code]);
    expect(stderr).toBe('');
    // The module has a prebuilt binary up to Node 22.
    expect(JSON.parse(stdout)).toEqual(
      major > 22
        ? { reason: expect.stringMatching(/node-pty.* does not load in Node v2/) }
        : expect.anything(),
    );
  });
});
