import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lastEnvironment as name } from '../../commands/common/options.ts';
import { verification } from '../pipeline/evidence/fixture.ts';
import { run } from './run.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'llama-evidence-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** No stack of an earlier synthesis, which may be of other sources. */
const evidence = (...args: readonly string[]) =>
  run(['evidence', ...args], { CDKTF_OUTDIR: join(folder, 'nothing') });

describe('llama-db evidence', () => {
  it('makes a pack twice with the same digest, and verifies it', async () => {
    const file = join(folder, 'verification.json');
    writeFileSync(file, verification(name).text);
    const pack = join(folder, 'pack');
    const make = () => evidence(name, '--uncommitted', '--verification', file, '--output', pack, '--json');
    const first = await make();
    const made = JSON.parse(first.stdout);
    expect(made).toMatchObject({ ok: true, folder: pack, digest: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(first.code).toBe(made.counts.violated > 0 ? 1 : 0);
    expect(first.stderr.match(/^\S+ is violated: /gm) ?? []).toHaveLength(made.counts.violated);
    expect(made.counts.holds).toBeGreaterThan(10);
    expect(JSON.parse((await make()).stdout).digest).toBe(made.digest);
    expect(await evidence('verify', pack, '--digest', made.digest)).toMatchObject({
      code: 0,
      stdout: expect.stringContaining(`nothing differs. The pack is ${made.digest}`),
    });
    const table = join(pack, 'controls.csv');
    writeFileSync(table, readFileSync(table, 'utf8').replace('holds', 'Holds'));
    expect(await evidence('verify', pack)).toMatchObject({
      code: 1,
      stdout: expect.stringContaining('controls.csv was changed'),
    });
  }, 120_000);

  it.each([
    ['an unknown environment', ['elsewhere'], 'environment/unknown'],
    [
      'a verification of another environment',
      [name, '--uncommitted', '--verification', 'FILE'],
      'evidence/other-environment',
    ],
    ['a folder that is not a pack', ['verify', 'docs'], 'evidence/not-a-pack'],
  ])(
    'refuses %s',
    async (_, args, code) => {
      const file = join(folder, 'other.json');
      writeFileSync(file, verification('elsewhere').text);
      const { code: status, stderr } = await evidence(...args.map((one) => (one === 'FILE' ? file : one)));
      expect(stderr).toContain(`[${code}]`);
      expect(status).toBe(2);
    },
    60_000,
  );

  it('refuses a stack that is not the one of the sources', async () => {
    const output = mkdtempSync(join(folder, 'stale-'));
    const place = join(output, 'stacks', name);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'cdk.tf.json'), '{}');
    const { code, stderr } = await run(['evidence', name, '--uncommitted', '--output', join(folder, 'no')], {
      CDKTF_OUTDIR: output,
    });
    expect(stderr).toContain('[evidence/stack-differs]');
    expect(code).toBe(2);
  }, 60_000);
});
