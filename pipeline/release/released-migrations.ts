/** The migrations of an earlier commit: a database is compared with the release that it has, not with the next one. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';

const execute = promisify(execFile);

/**
 * Calls `work` with a folder of the migrations of a commit, which is removed afterwards.
 *
 * @throws Fault `release/commit-unknown` if the checkout does not have the commit
 */
export async function withMigrationsOf<Result>(
  project: string,
  commit: string,
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  const git = async (...parameters: string[]) =>
    (await execute('git', parameters, { cwd: project, encoding: 'buffer', maxBuffer: 1 << 26 })).stdout;
  const folder = await mkdtemp(join(tmpdir(), 'llama-migrations-'));
  try {
    const directory = join(folder, 'migrations');
    await mkdir(directory);
    try {
      const names = (await git('ls-tree', '-z', '--name-only', commit, 'migrations/')).toString().split('\0');
      for (const name of names.filter((one) => one !== ''))
        await writeFile(join(directory, basename(name)), await git('show', `${commit}:${name}`));
    } catch (error) {
      throw new Fault(
        'release/commit-unknown',
        `The checkout does not have commit ${commit.slice(0, 12)}, which is released`,
        messageOf(error).split('\n')[0] ?? '',
        'Fetch the whole history (git fetch --unshallow, or fetch-depth: 0) and run the command again.',
        { exitCode: 2 },
      );
    }
    return await work(directory);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
