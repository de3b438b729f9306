import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stackOf } from './stack.ts';

const run = promisify(execFile);
const missing = await run('checkov', ['--version']).then(
  () => undefined,
  () => 'needs checkov on the PATH: pip install checkov',
);

interface Report {
  readonly results: { readonly failed_checks: readonly { readonly check_id: string }[] };
  readonly summary: {
    readonly passed: number;
    readonly failed: number;
    readonly skipped: number;
    readonly parsing_errors: number;
  };
}

let project: string;
beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'llama-checkov-'));
  cpSync('.checkov.yaml', join(project, '.checkov.yaml'));
  for (const environment of ['development', 'staging', 'production'] as const) {
    const folder = join(project, 'cdktf.out/stacks', environment);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'cdk.tf.json'), stackOf(environment).text);
  }
});
afterAll(() => rmSync(project, { recursive: true }));

/** In the project, so that its configuration with the waivers applies. */
async function scan(...args: string[]): Promise<Report> {
  const { stdout } = await run('checkov', [...args, '--output', 'json'], { cwd: project }).catch(
    (error: { stdout: string }) => error,
  );
  return JSON.parse(stdout);
}

describe('checkov', () => {
  it('has no finding for staging and production', async (context) => {
    context.skip(missing !== undefined, missing);
    const { summary } = await scan('--directory', 'cdktf.out');
    expect(summary).toMatchObject({ failed: 0, skipped: 0, parsing_errors: 0 });
    // checkov passes a folder that it could not read, so a run without a single check is a failure.
    expect(summary.passed).toBeGreaterThan(30);
  }, 120_000);

  it('has only the waived findings for development', async (context) => {
    context.skip(missing !== undefined, missing);
    const report = await scan('--directory', 'cdktf.out/stacks/development', '--skip-path', 'none');
    expect(report.results.failed_checks.map(({ check_id }) => check_id)).toEqual(['CKV_AZURE_136']);
    expect(readFileSync('.checkov.yaml', 'utf8')).toContain('Waived for development: CKV_AZURE_136');
    expect(report.summary.passed).toBeGreaterThan(10);
  }, 120_000);

  it('still refuses production without geo-redundant backup', async (context) => {
    context.skip(missing !== undefined, missing);
    const file = join(project, 'cdktf.out/stacks/production/cdk.tf.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(
      file,
      text.replace('"geo_redundant_backup_enabled": true', '"geo_redundant_backup_enabled": false'),
    );
    const report = await scan('--directory', 'cdktf.out');
    writeFileSync(file, text);
    expect(report.results.failed_checks.map(({ check_id }) => check_id)).toEqual(['CKV_AZURE_136']);
  }, 120_000);
});
