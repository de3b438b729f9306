/** A scratch project as a git checkout: its sources are copies that a scenario edits and commits. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Synthesis } from '../terraform/changed-stack.ts';

const execute = promisify(execFile);
const source = fileURLToPath(new URL('../..', import.meta.url));

/** Nothing that a deployment runs reads these, so they stay links. */
const linked: readonly string[] = ['docs', 'node_modules', 'test'];

export class Checkout {
  private constructor(readonly root: string) {}

  /** @param synthesis the settings that its app synthesizes; the app is the same in every checkout */
  static async in(root: string, synthesis: Synthesis): Promise<Checkout> {
    const checkout = new Checkout(root);
    if (!existsSync(path.join(root, '.git'))) {
      for (const name of await readdir(root)) {
        const file = path.join(root, name);
        if (linked.includes(name) || !(await lstat(file)).isSymbolicLink()) continue;
        await rm(file);
        await cp(path.join(source, name), file, { recursive: true });
      }
      // The folder of a fork is another one, and has its history.
      await checkout.git('init', '--quiet', '--initial-branch=main');
      await writeFile(
        path.join(root, '.gitignore'),
        [...linked, 'cdktf.out', '*.tfstate*', '/release*', ''].join('\n'),
      );
    }
    await checkout.synthesizes(synthesis);
    await checkout.commit('Begin');
    return checkout;
  }

  /** Makes the app of cdktf.json synthesize these settings. */
  async synthesizes(synthesis: Synthesis): Promise<void> {
    const file = path.join(this.root, 'cdktf.json');
    const settings = JSON.parse(await readFile(file, 'utf8'));
    const app = 'node --import tsx rehearsal/terraform/app.ts rehearsed.json';
    await this.write('cdktf.json', `${JSON.stringify({ ...settings, app }, undefined, 2)}\n`);
    await this.write('rehearsed.json', JSON.stringify(synthesis, undefined, 2));
  }

  /** Makes an installed package a copy, which a scenario may edit; all others stay links. */
  async ownPackage(name: string): Promise<void> {
    const folder = path.join(this.root, 'node_modules');
    const installed = path.join(source, 'node_modules');
    await rm(folder);
    await mkdir(folder);
    for (const one of await readdir(installed))
      if (one === name) await cp(path.join(installed, one), path.join(folder, one), { recursive: true });
      else await symlink(path.join(installed, one), path.join(folder, one));
  }

  read(name: string): Promise<string> {
    return readFile(path.join(this.root, name), 'utf8');
  }

  write(name: string, content: string | Buffer): Promise<void> {
    return writeFile(path.join(this.root, name), content);
  }

  /** Commits everything. @returns the commit */
  async commit(subject: string): Promise<string> {
    await this.git('add', '--all');
    await this.git('commit', '--quiet', '--allow-empty', `--message=${subject}`);
    return this.git('rev-parse', 'HEAD');
  }

  /** @returns the standard output of git */
  async git(...parameters: string[]): Promise<string> {
    const own = [
      '-c',
      'user.name=Rehearsal',
      '-c',
      'user.email=rehearsal@localhost',
      '-c',
      'commit.gpgsign=false',
    ];
    return (await execute('git', [...own, ...parameters], { cwd: this.root })).stdout.trim();
  }
}
