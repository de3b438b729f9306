/** The programs that a rehearsal needs, where it finds them, and how Terraform is configured to use them. */
import { spawnSync } from 'node:child_process';
import { readdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { azurermVersion } from '../../azure/provider.ts';
import { Fault } from '../../core/fault.ts';

const minimumVersion = [1, 11] as const;

const missing = { exitCode: 3 };

/** @throws Fault with exit status 3 if Terraform is missing or too old */
export function findTerraform(): string {
  const found = spawnSync('terraform', ['version', '-json'], {
    encoding: 'utf8',
    env: { ...process.env, CHECKPOINT_DISABLE: '1', TF_CLI_CONFIG_FILE: '' },
  });
  const version = /"terraform_version":\s*"(\d+)\.(\d+)\.[^"]*"/.exec(found.stdout ?? '');
  const needed = minimumVersion.join('.');
  const remedy = `Install Terraform ${needed} or newer: https://developer.hashicorp.com/terraform/install`;
  if (!version)
    throw new Fault(
      'installation/terraform-missing',
      'A rehearsal needs Terraform',
      'the program `terraform` is not on the PATH',
      remedy,
      missing,
    );
  const [major, minor] = [Number(version[1]), Number(version[2])];
  if (major < minimumVersion[0] || (major === minimumVersion[0] && minor < minimumVersion[1]))
    throw new Fault(
      'installation/terraform-too-old',
      'A rehearsal needs a newer Terraform',
      `write-only arguments and ephemeral values need ${needed}, and \`terraform\` is ${major}.${minor}`,
      remedy,
      missing,
    );
  return 'terraform';
}

/**
 * Finds the folder from which Terraform can install the azurerm provider without a network. Both layouts of a mirror
 * count: unpacked, as in a plugin cache, and packed, as `terraform providers mirror` writes it.
 * https://developer.hashicorp.com/terraform/cli/config/config-file#filesystem_mirror
 *
 * @throws Fault with exit status 3 if no folder holds the provider
 */
export async function findProvider(version: string = azurermVersion): Promise<string> {
  const inside = 'registry.terraform.io/hashicorp/azurerm';
  for (const root of [path.join(os.homedir(), '.terraform.d/plugins'), process.env['TF_PLUGIN_CACHE_DIR']]) {
    if (root === undefined || root === '') continue;
    const folder = path.join(root, inside);
    const packed = `terraform-provider-azurerm_${version}_${platform()}.zip`;
    if ((await namesIn(folder)).includes(packed)) return root;
    const unpacked = await namesIn(path.join(folder, version, platform()));
    if (unpacked.some((name) => name.startsWith('terraform-provider-azurerm'))) return root;
  }
  throw new Fault(
    'installation/provider-missing',
    'A rehearsal needs the azurerm provider',
    `version ${version} for ${platform()} is neither in ~/.terraform.d/plugins/${inside} nor in TF_PLUGIN_CACHE_DIR`,
    'Put it there: npm run synth, then in cdktf.out/stacks/<environment>: terraform providers mirror ~/.terraform.d/plugins',
    missing,
  );
}

/** Why this machine cannot run a rehearsal; undefined if it can. */
export async function whyNoTerraform(providerVersion = azurermVersion): Promise<string | undefined> {
  try {
    findTerraform();
    await findProvider(providerVersion);
    return undefined;
  } catch (error) {
    if (error instanceof Fault) return error.message;
    throw error;
  }
}

const terminalModule = '@cdktf/node-pty-prebuilt-multiarch';

/**
 * The program of cdktf-cli, an optional dependency, or why it cannot run. Its terminal module has prebuilt binaries for
 * some versions of Node only, and loading fails with a stack trace in the others.
 */
export function findCdktf(): { readonly program: string } | { readonly reason: string } {
  let description: string;
  try {
    description = createRequire(import.meta.url).resolve('cdktf-cli/package.json');
  } catch {
    return { reason: 'cdktf-cli, an optional dependency, is not installed' };
  }
  const folder = path.dirname(description);
  const loads = spawnSync(process.execPath, ['-e', `require('${terminalModule}')`], {
    cwd: folder,
    stdio: 'ignore',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  if (loads.status !== 0)
    return {
      reason: `the terminal module of cdktf-cli, ${terminalModule}, does not load in Node ${process.version}`,
    };
  return { program: path.join(folder, 'bundle/bin/cdktf.js') };
}

/** Writes a Terraform CLI configuration that installs the provider from `mirror` and replaces the user's own. */
export async function writeConfiguration(file: string, mirror: string): Promise<void> {
  await writeFile(
    file,
    `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirror)}\n  }\n}\n`,
  );
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch(() => []);
}

function platform(): string {
  const systems: Readonly<Record<string, string>> = { win32: 'windows' };
  const machines: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
  return `${systems[process.platform] ?? process.platform}_${machines[process.arch] ?? process.arch}`;
}
