/**
 * A scratch copy of the project's layout in a temporary folder: links to the sources, and everything that a deployment
 * writes (stacks, state, plans, logs). A deployment from it deploys this project and leaves nothing in the checkout.
 */
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { azurermVersion } from '../../azure/provider.ts';
import { Guardian } from '../../local/processes/guardian.ts';
import { killProcessesOf, scratchFolderVariable } from '../../local/processes/process-tree.ts';
import { findProvider, writeConfiguration } from './installation.ts';

const source = fileURLToPath(new URL('../..', import.meta.url));

/** Files that a deployment writes, or that would mislead one: a state of the checkout belongs to another deployment. */
const written = /^(?:cdktf\.out|tmp|\..*|.*\.tfstate(?:\..*)?|.*\.log)$/;

/** Whether a top-level entry of the checkout is a source, which a scratch copy links to. */
export function isSource(name: string): boolean {
  return !written.test(name);
}

export class Project {
  readonly #guardian: Guardian;

  private constructor(
    /** The folder that `../../..` leads to from a stack. */
    readonly root: string,
    /** Environment variables of every program that runs in it. */
    readonly environment: Readonly<Record<string, string>>,
    guardian: Guardian,
  ) {
    this.#guardian = guardian;
  }

  /**
   * @param postDeployProgram an ES module that replaces `commands/llama-db.mjs`, so that the post-deploy step needs no
   *   PostgreSQL. @default - the project's own program
   * @param from folder of the sources. @default - this checkout
   */
  static async open(postDeployProgram?: string, from: string = source): Promise<Project> {
    return Project.#made(async (root) => {
      await link(root, from, postDeployProgram === undefined ? [] : ['commands']);
      if (postDeployProgram === undefined) return;
      await mkdir(path.join(root, 'commands'));
      await writeFile(path.join(root, 'commands/llama-db.mjs'), postDeployProgram);
    });
  }

  static async #made(fill: (root: string) => Promise<void>): Promise<Project> {
    const root = await mkdtemp(path.join(os.tmpdir(), 'llama-rehearsal-'));
    // Ends the folder's processes and removes the folder if this program is killed.
    const guardian = new Guardian(root, scratchFolderVariable);
    try {
      await fill(root);
      const configuration = path.join(root, '.terraformrc');
      await writeConfiguration(configuration, await findProvider(azurermVersion));
      return new Project(root, environmentOf(root, configuration), guardian);
    } catch (error) {
      await guardian.finish();
      throw error;
    }
  }

  /** Deploys other sources from now on. Everything that was initialised and applied stays. */
  async take(from: string): Promise<void> {
    for (const entry of await readdir(this.root, { withFileTypes: true }))
      if (entry.isSymbolicLink()) await unlink(path.join(this.root, entry.name));
    await rm(path.join(this.root, 'synthesized.json'), { force: true });
    const stacks = path.join(this.root, 'cdktf.out/stacks');
    // Without it, Terraform is initialised anew: the sources may want another version of the provider.
    for (const name of await readdir(stacks).catch(() => []))
      await rm(path.join(stacks, name, '.terraform.lock.hcl'), { force: true });
    await link(this.root, from);
  }

  /** Folder of a stack; created if it is missing. */
  async stackFolder(name: string): Promise<string> {
    const folder = path.join(this.root, 'cdktf.out/stacks', name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** Copies the project with everything that was synthesized, initialised and applied in it. */
  async fork(): Promise<Project> {
    return Project.#made((root) =>
      cp(this.root, root, { recursive: true, verbatimSymlinks: true, filter: isNoSocket }),
    );
  }

  /** Every file that deployments left here, by path: stacks, state, plans, logs. */
  async artefacts(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const open = [this.root];
    for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        const file = path.join(folder, entry.name);
        // Links are left out: they lead to the sources and to the provider.
        if (entry.isDirectory()) open.push(file);
        else if (entry.isFile()) found.set(path.relative(this.root, file), await readFile(file));
      }
    }
    return found;
  }

  /** Ends the processes that run in it, and removes it. */
  async close(): Promise<void> {
    await killProcessesOf(this.root);
    await this.#guardian.finish();
    await rm(this.root, { recursive: true, force: true });
  }
}

async function link(root: string, from: string, without: readonly string[] = []): Promise<void> {
  for (const name of await readdir(from))
    if (isSource(name) && !without.includes(name))
      await symlink(path.join(from, name), path.join(root, name));
}

/** A provider that serves several runs listens on a socket, which cannot be copied. */
async function isNoSocket(file: string): Promise<boolean> {
  return !(await lstat(file)).isSocket();
}

function environmentOf(root: string, configuration: string): Record<string, string> {
  return {
    ...inherited(),
    [scratchFolderVariable]: root,
    TF_CLI_CONFIG_FILE: configuration,
    TF_IN_AUTOMATION: '1',
    TF_INPUT: '0',
    CHECKPOINT_DISABLE: '1',
    // Terraform and its provider live for seconds. Collecting garbage less often saves a seventh of their processor time.
    GOGC: '400',
    // Without these, the cdktf command line writes to the user's home.
    CDKTF_DISABLE_PLUGIN_CACHE_ENV: '1',
    CDKTF_HOME: path.join(root, '.cdktf'),
    CDKTF_LOG_FILE_DIRECTORY: root,
    FORCE_COLOR: '0',
  };
}

function inherited(): Record<string, string> {
  // Only these: a proxy, a subscription or a Terraform setting of this shell would mislead the rehearsal.
  const names = ['PATH', 'HOME', 'TMPDIR', 'USER', 'SystemRoot', 'APPDATA'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}
