/**
 * The checkout that a release is made from and applied in. Terraform checks a saved plan, but not the code that the
 * post-deploy step runs: a plan of one commit, applied in a checkout of another, runs the other's migrations.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { lstat, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256 } from '../../core/digest.ts';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { listedPackages } from './packages.ts';

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
  /**
   * Files of the released paths that do not have the bytes of the commit: edited, added, removed, converted by git, or links,
   * whose target the commit does not hold.
   */
  readonly changed: readonly string[];
  /** SHA-256 by path. */
  readonly files: ReadonlyMap<string, string>;
}

/** @throws Fault `release/no-commit` outside a git repository, or without a commit */
export async function readCheckout(directory: string): Promise<Checkout> {
  const lines = async (...parameters: string[]) =>
    (await git(directory, ...parameters)).split('\0').filter((one) => one !== '');
  const [commit = '', committedAt = ''] = (await git(directory, 'log', '-1', '--format=%H%x00%cI'))
    .trim()
    .split('\0');
  const paths = ['--', ...releasedPaths];
  const committed = new Map(
    (await lines('ls-tree', '-r', '-z', 'HEAD', ...paths)).map((line) => {
      const [, mode = '', id = '', path = ''] = /^(\d+) \w+ (\w+)\t(.*)$/s.exec(line) ?? [];
      return [path, mode.startsWith('100') ? id : 'not a file'] as const;
    }),
  );
  // Ignored files count: a program loads a migration or a module whether git ignores it or not.
  const found = await lines('ls-files', '-z', '--cached', '--others', ...paths);
  const isLoaded = loadedIn(directory);
  const read = await Promise.all(
    [...new Set([...committed.keys(), ...found])]
      .filter(isLoaded)
      .sort()
      .map(async (path) => {
        const content = await contentOf(join(directory, path));
        // git status answers from its index, which can be set to ignore an edited file: the bytes are compared themselves.
        const isCommitted = content !== undefined && blobId(content, commit) === committed.get(path);
        return { path, isCommitted, digest: content === undefined ? 'missing' : sha256(content) };
      }),
  );
  return {
    commit,
    committedAt,
    changed: read.flatMap(({ path, isCommitted }) => (isCommitted ? [] : [path])),
    files: new Map(read.map(({ path, digest }) => [path, digest])),
  };
}

/** Undefined for what is not a file of the checkout itself. */
async function contentOf(file: string): Promise<Buffer | undefined> {
  const isFile = await lstat(file).then(
    (found) => found.isFile(),
    () => false,
  );
  return isFile ? readFile(file).catch(() => undefined) : undefined;
}

/** Git's name of a content, by the hash of the repository. */
function blobId(content: Buffer, commit: string): string {
  const hash = createHash(commit.length === 64 ? 'sha256' : 'sha1');
  return hash.update(`blob ${content.length}\0`).update(content).digest('hex');
}

/**
 * Whether a path counts. Packages of the lock file have digests of their own; any other one in a room would be loaded in their
 * place. macOS leaves .DS_Store in folders.
 */
function loadedIn(directory: string): (path: string) => boolean {
  const listed = listedPackages(directory);
  const isOfPackage = (path: string) =>
    [...path.matchAll(/(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/g)].some(({ 0: { length }, index }) =>
      listed.has(path.slice(0, index + length)),
    );
  return (path) => !/(?:^|\/)\.DS_Store$/.test(path) && !isOfPackage(path);
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
