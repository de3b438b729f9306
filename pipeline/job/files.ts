/**
 * The files that the post-deploy step runs, by one digest: the image of a job and the checkout of a release are compared by
 * it. The image has no git, so both walk their folders.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sha256 } from '../../core/digest.ts';

/**
 * Rooms and files that the step loads. The settings are not among them: the step gets what it needs of them in the
 * deployment document, and they name the image.
 */
export const postDeployPaths: readonly string[] = [
  ...['azure', 'commands', 'core', 'database', 'migrations', 'pipeline', 'runtime', 'verification'],
  ...['package-lock.json', 'package.json', 'tsconfig.json'],
];

const project = fileURLToPath(new URL('../..', import.meta.url));
const isLoaded = (name: string) => !['node_modules', '.DS_Store'].includes(name);

/** SHA-256 over the paths and contents of the files, in order. @param root @default - this project */
export async function digestOfPostDeploy(root: string = project): Promise<string> {
  const files = (await Promise.all(postDeployPaths.map((name) => filesIn(root, name)))).flat().sort();
  const lines = await Promise.all(
    files.map(async (file) => `${sha256(await readFile(path.join(root, file)))}  ${file}\n`),
  );
  return sha256(lines.join(''));
}

/** Paths with `/`, relative to the root. Links are followed. */
async function filesIn(root: string, name: string): Promise<string[]> {
  const found = await stat(path.join(root, name)).catch(() => undefined);
  if (!found) return [];
  if (found.isFile()) return [name];
  const entries = (await readdir(path.join(root, name))).filter(isLoaded);
  return (await Promise.all(entries.map((entry) => filesIn(root, `${name}/${entry}`)))).flat();
}
