/** A plan runs its providers with the access of its identity: one that is not listed is refused before it runs. */
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { makePlan } from '../../../pipeline/plan/make.ts';
import { whyNoTerraform } from '../../../rehearsal/terraform/installation.ts';

const missing = await whyNoTerraform();
const reporter = { line: () => {}, warn: () => {} };
const machine = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`;

let folder: string | undefined;
afterEach(() => {
  vi.unstubAllEnvs();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

function put(file: string, content: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
}

it('refuses a provider that is not listed, before the provider has run', {
  timeout: 120_000,
}, async (context) => {
  context.skip(missing !== undefined, missing);
  folder = mkdtempSync(join(tmpdir(), 'llama-provider-'));
  const [mirror, ran, directory] = [join(folder, 'mirror'), join(folder, 'ran'), join(folder, 'stack')];
  const provider = join(
    mirror,
    'registry.terraform.io/acme/other/1.0.0',
    machine,
    'terraform-provider-other_v1.0.0',
  );
  put(provider, `#!/bin/sh\ntouch ${ran}\n`);
  chmodSync(provider, 0o755);
  put(
    join(folder, 'terraformrc'),
    `provider_installation {\n  filesystem_mirror {\n    path = "${mirror}"\n  }\n}\n`,
  );
  vi.stubEnv('TF_CLI_CONFIG_FILE', join(folder, 'terraformrc'));
  vi.stubEnv('CHECKPOINT_DISABLE', '1');
  const listed = { resource: { terraform_data: { one: { input: 'x' } } } };
  put(join(directory, 'cdk.tf.json'), JSON.stringify(listed));
  expect(JSON.parse(await makePlan({ directory, reporter })).resource_changes).toHaveLength(1);

  const terraform = { required_providers: { other: { source: 'acme/other', version: '1.0.0' } } };
  put(
    join(directory, 'cdk.tf.json'),
    JSON.stringify({ ...listed, terraform, data: { other_one: { two: {} } } }),
  );
  await expect(makePlan({ directory, reporter })).rejects.toMatchObject({
    code: 'plan/provider-unlisted',
    message: expect.stringContaining('registry.terraform.io/acme/other'),
  });
  expect(existsSync(ran)).toBe(false);
});
