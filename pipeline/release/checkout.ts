/**
 * The checkout that a release is made from and applied in. Terraform checks a saved plan, but not the code that the
 * post-deploy step runs: a plan of one commit, applied in a checkout of another, runs the other's migrations.
 */

import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';

const execute = promisify(execFile);

/** Everything that the post-deploy step can load, and everything that a stack is synthesized from. */
export const releasedPaths: readonly string[] = [
  'azure',
  'cdktf.json',
  'commands',
  'constructs',
  'core',
  'database',
  'environments',
  'main.ts',
  'migrations',
  'package-lock.json',
  'package.json',
  'pipeline',
  'runtime',
  'stacks',
  'tsconfig.json',
  'verification',
];

export interface Checkout {
  readonly commit: string;
  /** Of the commit, ISO 8601. */
  readonly committedAt: string;
  /** Changed and untracked files of the released paths. */
  readonly changed: readonly string[];
  /** SHA-256 by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** Packages of a workspace are those of the lock file; the last one is what macOS leaves in folders. */
const isLoaded = (path: string) => !/(?:^|\/)(?:node_modules\/|\.DS_Store$)/.test(path);

/** @throws Fault `release/no-commit` outside a git repository, or without a commit */
export async function readCheckout(directory: string): Promise<Checkout> {
  const lines = async (...parameters: string[]) =>
    (await git(directory, ...parameters)).split('\0').filter((one) => one !== '');
  const [commit = '', committedAt = ''] = (await git(directory, 'log', '-1', '--format=%H%x00%cI'))
    .trim()
    .split('\0');
  const paths = ['--', ...releasedPaths];
  const status = [
    'status',
    '--porcelain',
    '-z',
    '--no-renames',
    '--untracked-files=all',
    '--ignored=matching',
  ];
  const changed = await lines(...status, ...paths);
  // Ignored files count: a program loads a migration or a module whether git ignores it or not.
  const listed = await lines('ls-files', '-z', '--cached', '--others', ...paths);
  const files = await Promise.all(
    [...new Set(listed)]
      .filter(isLoaded)
      .sort()
      .map(async (path) => {
        const content = await readFile(join(directory, path)).catch(() => undefined);
        return [path, content === undefined ? 'missing' : sha256(content)] as const;
      }),
  );
  return {
    commit,
    committedAt,
    changed: changed.map((line) => line.slice(3)).filter(isLoaded),
    files: new Map(files),
  };
}

/** @param leftOut paths that do not count */
export function digestOfFiles({ files }: Pick<Checkout, 'files'>, leftOut: readonly string[] = []): string {
  return sha256(
    [...files]
      .filter(([path]) => !leftOut.includes(path))
      .map(([path, content]) => `${content}  ${path}\n`)
      .join(''),
  );
}

/** Number of commits of a branch that the checkout does not have. @throws Fault `release/no-commit` for an unknown branch */
export async function commitsBehind(directory: string, branch: string): Promise<number> {
  return Number(await git(directory, 'rev-list', '--count', `HEAD..${branch}`));
}

/** Whether the checkout contains a commit. An unknown commit is not contained. */
export function contains(directory: string, commit: string): Promise<boolean> {
  return git(directory, 'merge-base', '--is-ancestor', commit, 'HEAD').then(
    () => true,
    () => false,
  );
}

async function git(directory: string, ...parameters: string[]): Promise<string> {
  try {
    return (await execute('git', parameters, { cwd: directory, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const stderr: unknown = error instanceof Error ? Reflect.get(error, 'stderr') : undefined;
    throw new Fault(
      'release/no-commit',
      `git ${parameters[0]} failed in ${directory}`,
      typeof stderr === 'string' && stderr.trim() !== '' ? stderr.trim() : messageOf(error),
      'Run the command in a checkout of the repository with its history (fetch-depth: 0).',
      { exitCode: 2 },
    );
  }
}
