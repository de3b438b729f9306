/** The commit that a pack describes. */
import { execFileSync } from 'node:child_process';
import { relative, sep } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { type Commit, utc } from './report.ts';

/**
 * @param without files and folders that are no change: the pack itself, and the observations for it
 * @throws Fault (exit 2) if the project is not a work tree of git
 */
export function commitOf(directory: string, without: readonly string[]): Commit {
  const git = (...args: readonly string[]) =>
    execFileSync('git', args, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    const [hash = '', time = ''] = git('log', '-1', '--format=%H%n%cI').trim().split('\n');
    const own = without.map((path) => relative(directory, path).replaceAll(sep, '/'));
    const changed = git('status', '--porcelain', '-z', '--untracked-files=all', '--no-renames')
      .split('\0')
      .map((line) => line.slice(3))
      .filter((file) => file !== '' && !own.some((one) => file === one || file.startsWith(`${one}/`)));
    return { hash, time: utc(time) ?? time, changed: changed.sort() };
  } catch (error) {
    throw new Fault(
      'evidence/no-commit',
      'The commit of this project cannot be read',
      messageOf(error).split('\n')[0] ?? '',
      'Run the command in a clone of the repository, with git on the PATH.',
      { exitCode: 2, cause: error },
    );
  }
}
