import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App, LocalBackend, TerraformStack } from 'cdktf';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RemovalGuard } from '../../constructs/removal-guard.ts';
import { TerraformData } from '../../constructs/terraform-data.ts';
import { terraform, whyNoTerraform } from '../support/terraform.ts';

const missing = await whyNoTerraform();

interface Deployment {
  /** Whether the settings have a replica. @default true */
  readonly replica?: boolean;
  /** Refuse. @default true */
  readonly protect?: boolean;
  /** Argument of the server: another value replaces it. @default 1 */
  readonly server?: number;
  /** Name of the server in the stack. @default 'server' */
  readonly address?: string;
  /** Former name of the server in the stack, for a `moved` block. @default - none */
  readonly movedFrom?: string;
}

describe('RemovalGuard, applied by Terraform', () => {
  let project: string;
  const folder = () => join(project, 'cdktf.out/stacks/test');
  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), 'llama-guard-'));
  });
  afterEach(() => rmSync(project, { recursive: true }));

  async function deploy(how: Deployment): Promise<string> {
    const { replica = true, protect = true, server = 1, address = 'server', movedFrom } = how;
    const app = new App({ stackTraces: false, outdir: join(project, 'cdktf.out') });
    const stack = new TerraformStack(app, 'test');
    new LocalBackend(stack, { path: 'terraform.tfstate' });
    // In place of a server: it has an id, and other arguments replace it.
    const made = new TerraformData(stack, address, { triggersReplace: { server } });
    made.overrideLogicalId(address);
    if (movedFrom !== undefined)
      stack.addOverride('moved', [{ from: `terraform_data.${movedFrom}`, to: `terraform_data.${address}` }]);
    new RemovalGuard(stack, 'protected', {
      present: { replica, vault: true },
      kept: { server: made.getStringAttribute('id') },
      preventDestroy: protect,
    });
    app.synth();
    await terraform(folder(), 'init', '-input=false', '-no-color');
    return terraform(folder(), 'apply', '-auto-approve', '-input=false', '-no-color');
  }

  it('allows new resources, refuses their removal, and allows it once the settings do', async (context) => {
    context.skip(missing !== undefined, missing);
    expect(await deploy({ replica: false })).toContain('4 added');
    expect(await deploy({})).toContain('1 added, 0 changed, 1 destroyed');
    expect(await deploy({})).toContain('No changes');

    await expect(deploy({ replica: false })).rejects.toThrow(
      /terraform_data\.protected_replica\s+has\s+lifecycle\.prevent_destroy/,
    );
    expect(await deploy({ replica: false, protect: false })).toContain('1 added, 0 changed, 1 destroyed');
    expect(await deploy({ replica: false })).toContain('No changes');
  }, 60_000);

  const refusal = /terraform_data\.protected_server_id\s+has\s+lifecycle\.prevent_destroy/;

  it('refuses another server at the same address', async (context) => {
    context.skip(missing !== undefined, missing);
    await deploy({});
    await expect(deploy({ server: 2 })).rejects.toThrow(refusal);
    expect(await deploy({ server: 2, protect: false })).toContain('2 added, 0 changed, 2 destroyed');
  }, 60_000);

  it('refuses to create a lost resource again', async (context) => {
    context.skip(missing !== undefined, missing);
    await deploy({});
    // A refresh does the same to a resource that Azure no longer has.
    await terraform(folder(), 'state', 'rm', 'terraform_data.server');
    await expect(deploy({})).rejects.toThrow(refusal);
    expect(await deploy({ protect: false })).toContain('2 added, 0 changed, 1 destroyed');
  }, 60_000);

  it('refuses another address in the stack without a moved block', async (context) => {
    context.skip(missing !== undefined, missing);
    await deploy({});
    await expect(deploy({ address: 'database_server' })).rejects.toThrow(refusal);
    expect(await deploy({ address: 'database_server', movedFrom: 'server' })).toContain(
      '0 added, 0 changed, 0 destroyed',
    );
  }, 60_000);
});
