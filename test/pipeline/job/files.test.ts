import { cp, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '../../../local/processes/program.ts';
import { digestOfPostDeploy, postDeployPaths } from '../../../pipeline/job/files.ts';
import { releasedPaths } from '../../../pipeline/release/checkout.ts';
import { buildImage, copiesOf } from '../../../rehearsal/sandbox/image.ts';

const project = path.resolve(import.meta.dirname, '../../..');
let image = '';
beforeAll(async () => {
  image = await buildImage(project);
});
afterAll(() => rm(image, { recursive: true, force: true }));

describe('the files of the post-deploy step', () => {
  it('are among those of a release', () => {
    expect(postDeployPaths.filter((one) => !releasedPaths.includes(one))).toEqual([]);
  });

  it('are all in the image, with the settings that the command line loads', async () => {
    const copied = (await copiesOf()).map(([, to]) => to);
    expect([...new Set(copied.map((one) => one.split('/')[0]))].sort()).toEqual(
      [...postDeployPaths, 'environments'].sort(),
    );
  });

  it('have the same digest in the image as in the checkout, through links too', async () => {
    const digest = await digestOfPostDeploy();
    expect(await digestOfPostDeploy(image)).toBe(digest);
    const linked = await mkdtemp(path.join(tmpdir(), 'llama-linked-'));
    for (const name of await readdir(image)) await symlink(path.join(image, name), path.join(linked, name));
    expect(await digestOfPostDeploy(linked)).toBe(digest);
    await rm(linked, { recursive: true });
  });

  it.each([
    ['an edited migration', 'migrations/0001_extensions.sql'],
    ['an added file', 'database/added.ts'],
    ['another lock file', 'package-lock.json'],
  ])('have another digest with %s', async (_what, file) => {
    const changed = await mkdtemp(path.join(tmpdir(), 'llama-changed-'));
    await cp(image, changed, { recursive: true, verbatimSymlinks: true });
    await writeFile(path.join(changed, file), '-- changed');
    expect(await digestOfPostDeploy(changed)).not.toBe(await digestOfPostDeploy());
    await rm(changed, { recursive: true });
  });

  it('do not contain the settings, which name the image', async () => {
    const changed = await mkdtemp(path.join(tmpdir(), 'llama-changed-'));
    await cp(image, changed, { recursive: true, verbatimSymlinks: true });
    await writeFile(path.join(changed, 'environments/production.ts'), '');
    expect(await digestOfPostDeploy(changed)).toBe(await digestOfPostDeploy());
    await rm(changed, { recursive: true });
  });
});

describe('the image', () => {
  const run = (variables: Readonly<Record<string, string>>, ...parameters: string[]) =>
    runProgram(process.execPath, ['commands/llama-db.mjs', ...parameters], {
      cwd: image,
      environment: { PATH: process.env['PATH'], HOME: image, ...variables },
    });

  it('runs the step, and nothing that is missing in it', async () => {
    const { exitCode, output } = await run({}, 'post-deploy', '--help');
    expect(output).toContain('Usage: llama-db post-deploy');
    expect(exitCode).toBe(0);
  });

  it('refuses to be the code of another release, and says its exit status last', async () => {
    const { exitCode, lines, stderr } = await run(
      { LLAMA_DB_JOB_MARK: 'mark', LLAMA_DB_JOB_FILES: 'f'.repeat(64) },
      'post-deploy',
    );
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/not of this release: .*ffffffffffff.* \[post-deploy\/job-image-differs\]\n$/);
    expect(lines.at(-1)?.text).toBe('llama-db job mark ends with exit status 2');
  });
});
