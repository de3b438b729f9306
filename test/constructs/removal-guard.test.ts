import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, LocalBackend, TerraformStack } from 'cdktf';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RemovalGuard } from '../../constructs/removal-guard.ts';
import { terraform, whyNoTerraform } from '../support/terraform.ts';

const missing = await whyNoTerraform();

describe('RemovalGuard, applied by Terraform', () => {
  let project: string;
  beforeAll(() => {
    project = mkdtempSync(join(tmpdir(), 'llama-guard-'));
  });
  afterAll(() => rmSync(project, { recursive: true }));

  async function deploy(replica: boolean, preventDestroy: boolean): Promise<string> {
    const app = new App({ stackTraces: false, outdir: join(project, 'cdktf.out') });
    const stack = new TerraformStack(app, 'test');
    new LocalBackend(stack, { path: 'terraform.tfstate' });
    new RemovalGuard(stack, 'protected', { present: { replica, vault: true }, preventDestroy });
    app.synth();
    const folder = join(project, 'cdktf.out/stacks/test');
    await terraform(folder, 'init', '-input=false', '-no-color');
    return terraform(folder, 'apply', '-auto-approve', '-input=false', '-no-color');
  }

  it('lets things come, refuses that they go, and lets them go when the settings say so', async (context) => {
    context.skip(missing !== undefined, missing);
    expect(await deploy(false, true)).toContain('2 added');
    expect(await deploy(true, true)).toContain('1 added, 0 changed, 1 destroyed');
    expect(await deploy(true, true)).toContain('No changes');

    await expect(deploy(false, true)).rejects.toThrow(
      /terraform_data\.\S*replica\S* has\s+lifecycle\.prevent_destroy/,
    );
    expect(await deploy(false, false)).toContain('1 added, 0 changed, 1 destroyed');
    expect(await deploy(false, true)).toContain('No changes');
  }, 60_000);
});
