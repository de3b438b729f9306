/**
 * The image of the post-deploy job without a container engine: a folder with the files that the Dockerfile copies, and the
 * packages of this checkout.
 */
import { cp, mkdtemp, readFile, symlink } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../..', import.meta.url));

/** Path of the Dockerfile from the project's root. */
export const dockerfile = 'pipelines/job/Dockerfile';

/** Sources that the Dockerfile copies, each with its place under the working directory. */
export async function copiesOf(root: string = project): Promise<readonly (readonly [string, string])[]> {
  const text = await readFile(path.join(root, dockerfile), 'utf8');
  return [...text.matchAll(/^COPY (.+)$/gm)].flatMap(([, given = '']) => {
    const words = given.trim().split(/\s+/);
    const target = words.pop() ?? '.';
    const isFolder = target.endsWith('/');
    return words.map((one) => [one, isFolder ? path.join(target, path.basename(one)) : target] as const);
  });
}

/** @returns the folder, which the caller removes */
export async function buildImage(root: string): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'llama-image-'));
  for (const [from, to] of await copiesOf(root))
    await cp(path.join(root, from), path.join(folder, to), {
      recursive: true,
      dereference: true,
      filter: (file) => path.basename(file) !== 'node_modules',
    });
  await symlink(path.join(project, 'node_modules'), path.join(folder, 'node_modules'));
  return folder;
}
