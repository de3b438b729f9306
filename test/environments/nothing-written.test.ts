import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { useTestEnvironments } from '../support/scratch-environments.ts';

const project = join(import.meta.dirname, '../..');
const parts = ['main.ts', 'package.json', 'tsconfig.json', 'cdktf.json', 'migrations'];
const rooms = ['core', 'azure', 'environments', 'stacks', 'constructs', 'database'];

/** The app in a folder of its own, so that its settings can be made invalid. */
describe('synthesizing', () => {
  let folder = '';

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'llama-mapper-synth-'));
    for (const part of [...parts, ...rooms])
      cpSync(join(project, part), join(folder, part), { recursive: true });
    useTestEnvironments(folder);
    symlinkSync(join(project, 'node_modules'), join(folder, 'node_modules'));
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function edit(file: string, from: string, to: string): void {
    const path = join(folder, 'environments', file);
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
  }

  function synthesize() {
    return spawnSync(process.execPath, ['--import', 'tsx', 'main.ts'], { cwd: folder, encoding: 'utf8' });
  }

  it('writes nothing if the last environment is invalid, reports every problem, and works once they are corrected', () => {
    edit('production.ts', 'retentionDays: 35', 'retentionDays: 350');
    edit('staging.ts', "sku: 'GP_Standard_D2s_v3'", "sku: 'GP_Standard_D2_v3'");
    const refused = synthesize();
    expect(refused.status).toBe(1);
    expect(existsSync(join(folder, 'cdktf.out'))).toBe(false);
    const lines = refused.stderr.split('\n').filter((line) => line.startsWith('environments/'));
    expect(lines).toEqual([
      expect.stringMatching(
        /^environments\/staging\.ts: server\.sku is "GP_Standard_D2_v3": .*\[compute\/known-sku\]$/,
      ),
      expect.stringMatching(
        /^environments\/production\.ts: server\.backup\.retentionDays is 350: .*\[compute\/backup-retention\]$/,
      ),
    ]);
    expect(refused.stderr).not.toMatch(/^\s+at /m);

    edit('production.ts', 'retentionDays: 350', 'retentionDays: 35');
    edit('staging.ts', "sku: 'GP_Standard_D2_v3'", "sku: 'GP_Standard_D2s_v3'");
    const accepted = synthesize();
    expect(accepted.stderr.split('\n').filter((line) => line.startsWith('environments/'))).toEqual([]);
    expect(accepted.status).toBe(0);
    for (const name of ['development', 'staging', 'production']) {
      expect(existsSync(join(folder, 'cdktf.out/stacks', name, 'cdk.tf.json')), name).toBe(true);
    }
  });
});
