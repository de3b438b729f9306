/** Writes a pack into a folder. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { listedIn, sumsFile } from './pack.ts';

/**
 * Replaces an earlier pack in the folder.
 *
 * @throws Fault (exit 2) if the folder holds something else
 */
export function writePack(folder: string, files: ReadonlyMap<string, string>): void {
  const sums = join(folder, sumsFile);
  const earlier = existsSync(sums) ? [...listedIn(readFileSync(sums, 'utf8')).keys(), sumsFile] : [];
  const others = existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((one) => !one.isDirectory())
        .map((one) => relative(folder, join(one.parentPath, one.name)).replaceAll(sep, '/'))
        .filter((path) => !earlier.includes(path))
    : [];
  if (others.length > 0) {
    throw new Fault(
      'evidence/folder-not-empty',
      `${folder} holds other files than a pack, such as ${others[0]}`,
      'a pack has only the files of its list, so that a file that somebody adds is found',
      'Name an empty folder: --output <folder>.',
      { exitCode: 2 },
    );
  }
  for (const path of earlier) rmSync(join(folder, path), { force: true });
  for (const [path, text] of files) {
    const file = join(folder, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
