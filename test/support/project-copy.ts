/** The sources of this project, committed or not, in another folder. */
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

export const checkout = join(import.meta.dirname, '../..');

export function git(folder: string, ...parameters: readonly string[]): string {
  return execFileSync('git', parameters, { cwd: folder, encoding: 'utf8' });
}

/** Copies the sources into an empty folder, without the installed packages. */
export function copyProject(folder: string): void {
  const listed = git(checkout, 'ls-files', '--cached', '--others', '--exclude-standard');
  for (const file of listed.split('\n').filter((one) => one !== '' && existsSync(join(checkout, one)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    copyFileSync(join(checkout, file), join(folder, file), constants.COPYFILE_FICLONE);
  }
}

/** Makes the copy a repository of its own, in which every file is known to git. */
export function trackAll(folder: string): void {
  git(folder, 'init', '--quiet');
  git(folder, 'add', '--all');
}
