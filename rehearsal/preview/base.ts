/** The sources of a git ref in a scratch folder, with the packages of this checkout. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Fault } from '../../core/fault.ts';
import { parseJson } from '../../core/json.ts';
import { messageOf } from '../../core/text.ts';
import type { EnvironmentInput } from '../../environments/settings.ts';
import { Guardian } from '../../local/processes/guardian.ts';

export const checkout = fileURLToPath(new URL('../..', import.meta.url));

const run = promisify(execFile);

export interface Base {
  readonly folder: string;
  /** As the caller has named it. */
  readonly ref: string;
  /** Abbreviated. */
  readonly commit: string;
  /** Whether its packages are other ones than those of this checkout, which it runs with. */
  readonly hasOtherPackages: boolean;
  close(): Promise<void>;
}

/**
 * Checks a ref out. The caller closes it.
 *
 * @throws Fault `preview/ref-unknown` (exit 2) if git does not know the commit
 */
export async function checkOut(ref: string): Promise<Base> {
  const git = (...parameters: string[]) => run('git', parameters, { cwd: checkout });
  let commit: string;
  try {
    const found = await git('rev-parse', '--verify', '--quiet', '--end-of-options', `${ref}^{commit}`);
    commit = found.stdout.trim();
  } catch {
    throw new Fault(
      'preview/ref-unknown',
      `There is no commit ${ref}`,
      `git does not know it in ${checkout}`,
      'Name a branch, a tag or a commit. In a shallow clone, fetch it first: git fetch origin <branch>.',
      { exitCode: 2 },
    );
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'llama-preview-'));
  const guardian = new Guardian(folder);
  const close = async () => {
    await guardian.finish();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const archive = path.join(folder, '.archive');
    await git('archive', '--format=tar', `--output=${archive}`, commit);
    await run('tar', ['-xf', archive, '-C', folder]);
    await rm(archive);
    await rm(path.join(folder, 'node_modules'), { recursive: true, force: true });
    await symlink(path.join(checkout, 'node_modules'), path.join(folder, 'node_modules'));
    const same = await git('diff', '--quiet', commit, '--', 'package-lock.json').then(
      () => true,
      () => false,
    );
    return { folder, ref, commit: commit.slice(0, 10), hasOtherPackages: !same, close };
  } catch (error) {
    await close();
    throw new Fault(
      'preview/base-not-checked-out',
      `The sources of ${ref} cannot be checked out`,
      messageOf(error),
      'git archive and tar must run in this checkout.',
      { cause: error },
    );
  }
}

/** Settings of an environment by the sources in a folder; they run in a process of their own. */
const program = (name: string) => `
const { inputs } = await import('./environments/list.ts');
process.stdout.write(JSON.stringify(inputs[${JSON.stringify(name)}] ?? null));`;

/**
 * @returns the settings that a base has for an environment
 * @throws Fault `preview/base-unreadable` if its sources have no settings in this form, `preview/environment-is-new`
 */
export async function settingsOf(
  { folder, ref }: Pick<Base, 'folder' | 'ref'>,
  environment: string,
): Promise<EnvironmentInput> {
  const parameters = ['--import', 'tsx', '--input-type=module', '--eval', program(environment)];
  let text = '';
  try {
    text = existsSync(path.join(folder, 'environments/list.ts'))
      ? (await run(process.execPath, parameters, { cwd: folder, maxBuffer: 2 ** 26 })).stdout
      : '';
  } catch (error) {
    text = messageOf(error);
  }
  const input = parseJson(text);
  if (input === null)
    throw new Fault(
      'preview/environment-is-new',
      `Environment ${environment} does not exist at ${ref}`,
      'a preview deploys a change on top of what exists',
      `Rehearse its first deployment: npm run rehearse -- ${environment} --quick.`,
    );
  if (typeof input === 'object' && !Array.isArray(input)) return input as unknown as EnvironmentInput;
  throw new Fault(
    'preview/base-unreadable',
    `The settings of ${environment} at ${ref} cannot be read`,
    text.trim().split('\n').at(-1) || 'it has no environments/list.ts',
    'Name a later commit.',
  );
}
