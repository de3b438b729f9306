import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalAzure, startLocalAzure } from '../../../local/azure/index.ts';
import { whyNoTerraform } from '../../../rehearsal/terraform/installation.ts';
import { TerraformStack } from '../../../rehearsal/terraform/stack.ts';
import { run } from '../../commands/run.ts';
import { AzureClient } from '../../support/azure-client.ts';

const missing = await whyNoTerraform();
const secret = 'canary-of-the-deploying-identity';

const document = JSON.stringify({
  terraform: {
    required_providers: { azurerm: { source: 'azurerm', version: '4.55.0' } },
    backend: {
      azurerm: {
        storage_account_name: 'states',
        container_name: 'small',
        key: 'small.tfstate',
        use_azuread_auth: true,
      },
    },
  },
  provider: {
    azurerm: [{ features: [{}], resource_provider_registrations: 'none', storage_use_azuread: true }],
  },
  resource: {
    azurerm_resource_group: { group: { name: 'small-rg', location: 'eastus' } },
    azurerm_user_assigned_identity: {
      identity: {
        name: 'small-identity',
        location: 'eastus',
        resource_group_name: `\${azurerm_resource_group.group.name}`,
      },
    },
  },
});

const lock = {
  ID: '6f1d7a52-0b5e-4c1f-9a77-1c2d3e4f5a6b',
  Operation: 'OperationTypeApply',
  Who: 'runner@agent-7',
  Created: '2026-11-24T10:00:00Z',
};

describe('llama-db adopt, with the real Terraform', { timeout: 120_000 }, () => {
  let azure: LocalAzure;
  let stack: TerraformStack;
  const group = () => `/subscriptions/${azure.subscriptionId}/resourceGroups/small-rg`;
  const adopt = (...parameters: string[]) =>
    run(['adopt', 'small', ...parameters], {
      ...azure.environment,
      ...stack.environment,
      CDKTF_OUTDIR: join(stack.directory, '../..'),
    });
  const blob = async (method: string, query: string, headers: Record<string, string>) => {
    const client = new AzureClient(azure);
    return client.call(method, `/small/small.tfstate${query}`, {
      host: 'states.blob.core.windows.net',
      headers: { ...(await client.authorization('https://storage.azure.com')), ...headers },
    });
  };

  beforeAll(async () => {
    if (missing !== undefined) return;
    azure = await startLocalAzure({ clientSecret: secret, containers: ['states/small'] });
    stack = await TerraformStack.open({
      name: 'small',
      document,
      environment: azure.environment,
      postDeployProgram: '',
    });
    expect((await stack.init()).exitCode).toBe(0);
    azure.state.put(group(), { location: 'eastus', properties: { provisioningState: 'Succeeded' } });
    azure.state.put(`${group()}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/small-identity`, {
      location: 'eastus',
      properties: { principalId: lock.ID, clientId: lock.ID, tenantId: azure.tenantId },
    });
    // As a run that was killed leaves it: an empty state, a lease without an end, and who took it.
    await blob('PUT', '', { 'x-ms-blob-type': 'BlockBlob' });
    const id = Buffer.from(JSON.stringify(lock)).toString('base64');
    await blob('PUT', '?comp=metadata', { 'x-ms-meta-terraformlockid': id });
    const leased = {
      'x-ms-lease-action': 'acquire',
      'x-ms-lease-duration': '-1',
      'x-ms-proposed-lease-id': lock.ID,
    };
    expect((await blob('PUT', '?comp=lease', leased)).status).toBe(201);
  });

  afterAll(async () => {
    await stack?.close();
    await azure?.stop();
  });

  it('reports the holder of the lock and stops', async (context) => {
    context.skip(missing !== undefined, missing);
    const { code, stdout, stderr } = await adopt('--yes');
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(
      /^The state of small is locked by runner@agent-7 \(apply\) since 2026-11-24T10:00:00Z, \d+ \w+ ago: .* llama-db adopt small --break-lock 6f1d7a52-0b5e-4c1f-9a77-1c2d3e4f5a6b\. \[adopt\/state-locked\]\n$/,
    );
  });

  it('breaks only the named lock, and only with a confirmation', async (context) => {
    context.skip(missing !== undefined, missing);
    const other = await adopt('--break-lock', '00000000-0000-4000-8000-000000000000', '--yes');
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(/00000000-0000-4000-8000-000000000000.* 6f1d7a52.*\[adopt\/state-locked\]/);
    const unconfirmed = await adopt('--break-lock', lock.ID);
    expect(unconfirmed.code).toBe(2);
    expect(unconfirmed.stderr).toMatch(/ of small .*\[adopt\/lock-not-confirmed\]/);
    expect((await blob('HEAD', '', {})).headers['x-ms-lease-status']).toBe('locked');
  });

  it('writes nothing without a confirmation', async (context) => {
    context.skip(missing !== undefined, missing);
    // Breaking the lock is confirmed by --yes; then only the question about importing is left for the second run.
    expect((await adopt('--break-lock', lock.ID, '--yes', '--json')).code).toBe(0);
    expect((await blob('HEAD', '', {})).headers['x-ms-lease-status']).toBe('unlocked');
    expect((await blob('HEAD', '', {})).headers['x-ms-meta-terraformlockid']).toBeUndefined();
    const written = join(stack.directory, 'imports.tf.json');
    const before = readFileSync(written, 'utf8');
    const { code, stdout, stderr } = await adopt();
    expect(code).toBe(1);
    expect(stdout).toContain('azurerm_user_assigned_identity.identity');
    expect(stderr).toMatch(/Write import blocks for 2 resources\? Not without --yes/);
    expect(stdout).toContain('Nothing was changed.');
    expect(readFileSync(written, 'utf8')).toBe(before);
  });

  it('lets the next plan import them, and change nothing', async (context) => {
    context.skip(missing !== undefined, missing);
    const plan = await stack.plan();
    expect(plan.exitCode, plan.output).toBe(0);
    expect(plan.output).toMatch(/Plan: 2 to import, 0 to add, 0 to change, 0 to destroy/);
  });

  it('imports at once with --apply, then finds nothing and leaves no file', async (context) => {
    context.skip(missing !== undefined, missing);
    const imported = await adopt('--apply', '--yes', '--json');
    expect(imported.code, imported.stderr).toBe(0);
    expect(JSON.parse(imported.stdout)).toMatchObject({ ok: true, outcome: 'imported', obstacles: [] });
    expect(existsSync(join(stack.directory, 'imports.tf.json'))).toBe(false);
    const plan = await stack.plan();
    expect(plan.isEmpty, plan.output).toBe(true);
    const again = await adopt('--yes');
    expect(again).toMatchObject({ code: 0, stdout: 'small has nothing to adopt.\n' });
  });

  it('writes no block for a resource that the stack imports itself', async (context) => {
    context.skip(missing !== undefined, missing);
    const identity = 'azurerm_user_assigned_identity.identity';
    await stack.run(['state', 'rm', identity]);
    const id = `${group()}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/small-identity`;
    await stack.replace(JSON.stringify({ ...JSON.parse(document), import: [{ to: identity, id }] }));
    const { stdout } = await adopt('--yes', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ adoptable: [{ address: identity, importId: id }] });
    expect(existsSync(join(stack.directory, 'imports.tf.json'))).toBe(false);
    expect((await stack.plan()).output).toMatch(/Plan: 1 to import, 0 to add, 0 to change/);
  });

  it('prints no secret, and sends no request that the local Azure does not know', async (context) => {
    context.skip(missing !== undefined, missing);
    const { stdout, stderr } = await adopt('--json', '--debug', '--yes');
    expect(stdout + stderr).not.toContain(secret);
    expect(azure.unknown).toEqual([]);
  });
});
