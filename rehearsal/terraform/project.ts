/**
 * A scratch copy of the project's layout: the sources by links, everything that a deployment writes (stacks, state,
 * plans, logs) in a temporary folder. What is deployed from it is this project; what it leaves is not in it.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Guardian } from '../../local/postgres/guardian.ts';
import { azurermVersion, findProvider, writeConfiguration } from './installation.ts';
import { endProcessesOf, folderVariable } from './processes.ts';

const source = fileURLToPath(new URL('../..', import.meta.url));

/** What a deployment writes, or what would lead one astray: a state of this machine must not be taken for another's. */
const written = /^(?:cdktf\.out|tmp|\..*|.*\.tfstate(?:\..*)?|.*\.log)$/;

/** Whether something at the top of the checkout is a source, which a scratch copy has too. */
export function isSource(name: string): boolean {
  return !written.test(name);
}

export class Project {
  readonly #guardian: Guardian;

  private constructor(
    /** What `../../..` is for a stack. */
    readonly root: string,
    /** Environment of whatever runs in it, before anything of the rehearsal's own. */
    readonly environment: Readonly<Record<string, string>>,
    guardian: Guardian,
  ) {
    this.#guardian = guardian;
  }

  /**
   * @param postDeployProgram program that plays `commands/llama-db.mjs` (an ES module's text), for stacks that the
   *   real one knows nothing of. @default - the project's own, with all of the project around it
   */
  static async open(postDeployProgram?: string): Promise<Project> {
    return Project.#made(async (root) => {
      if (postDeployProgram === undefined) return linkSources(root);
      await mkdir(path.join(root, 'commands'));
      await writeFile(path.join(root, 'commands/llama-db.mjs'), postDeployProgram);
    });
  }

  static async #made(fill: (root: string) => Promise<void>): Promise<Project> {
    const root = await mkdtemp(path.join(os.tmpdir(), 'llama-rehearsal-'));
    // It outlives this program by what it takes to end what runs in the folder and to remove it.
    const guardian = new Guardian(root, folderVariable);
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

  /** Folder of a stack, made when it is not there. */
  async stackFolder(name: string): Promise<string> {
    const folder = path.join(this.root, 'cdktf.out/stacks', name);
    await mkdir(folder, { recursive: true });
    return folder;
  }

  /** A second one in the same condition: what was synthesized, initialised and applied here counts there too. */
  async fork(): Promise<Project> {
    return Project.#made((root) => cp(this.root, root, { recursive: true, verbatimSymlinks: true }));
  }

  /** Every file a deployment left here: stacks, state, plans, logs. */
  async artefacts(): Promise<Map<string, Buffer>> {
    const found = new Map<string, Buffer>();
    const open = [this.root];
    for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
      for (const entry of await readdir(folder, { withFileTypes: true })) {
        const file = path.join(folder, entry.name);
        // Links lead to the sources and to the provider.
        if (entry.isDirectory()) open.push(file);
        else if (entry.isFile()) found.set(path.relative(this.root, file), await readFile(file));
      }
    }
    return found;
  }

  /** Removes it, and ends whatever still runs in it. */
  async close(): Promise<void> {
    await endProcessesOf(this.root);
    await this.#guardian.finish();
    await rm(this.root, { recursive: true, force: true });
  }
}

function environmentOf(root: string, configuration: string): Record<string, string> {
  return {
    ...inherited(),
    [folderVariable]: root,
    TF_CLI_CONFIG_FILE: configuration,
    TF_IN_AUTOMATION: '1',
    TF_INPUT: '0',
    CHECKPOINT_DISABLE: '1',
    // Without these the cdktf command line writes to the user's home.
    CDKTF_DISABLE_PLUGIN_CACHE_ENV: '1',
    CDKTF_HOME: path.join(root, '.cdktf'),
    CDKTF_LOG_FILE_DIRECTORY: root,
    FORCE_COLOR: '0',
  };
}

function inherited(): Record<string, string> {
  // Nothing else: a proxy, a subscription or a Terraform setting of this shell would lead the rehearsal astray.
  const names = ['PATH', 'HOME', 'TMPDIR', 'USER', 'SystemRoot', 'APPDATA'];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function linkSources(root: string): Promise<void> {
  for (const name of await readdir(source))
    if (isSource(name)) await symlink(path.join(source, name), path.join(root, name));
}
