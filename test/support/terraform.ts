import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { azurermVersion } from '../../azure/provider.ts';

const run = promisify(execFile);

/** Runs Terraform in a folder. @throws the error of `execFile`, with `stdout` and `stderr`, if it fails */
export async function terraform(folder: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await run('terraform', [`-chdir=${folder}`, ...args], {
    env: environment(),
    maxBuffer: 1 << 24,
  });
  return stdout + stderr;
}

/** Why Terraform cannot run here; undefined if it can. */
export async function whyNoTerraform(): Promise<string | undefined> {
  try {
    await run('terraform', ['version'], { env: environment() });
    return undefined;
  } catch {
    return 'needs the terraform program on the PATH';
  }
}

/** Why Terraform cannot run here with the real azurerm; undefined if it can. */
export async function whyNoAzurerm(): Promise<string | undefined> {
  const terraformMissing = await whyNoTerraform();
  if (terraformMissing !== undefined) return terraformMissing;
  const mirror = join(
    homedir(),
    `.terraform.d/plugins/registry.terraform.io/hashicorp/azurerm/${azurermVersion}`,
    `${process.platform === 'win32' ? 'windows' : process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}`,
  );
  return existsSync(mirror) ? undefined : `needs the azurerm ${azurermVersion} provider in ${mirror}`;
}

/** Without a CLI configuration that does not exist, which would stop Terraform. */
function environment(): NodeJS.ProcessEnv {
  const { TF_CLI_CONFIG_FILE: configuration, ...rest } = process.env;
  return {
    ...rest,
    CHECKPOINT_DISABLE: '1',
    ...(configuration && existsSync(configuration) ? { TF_CLI_CONFIG_FILE: configuration } : {}),
  };
}
