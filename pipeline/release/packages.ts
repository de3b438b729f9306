/**
 * The installed packages that the post-deploy step loads. `npm ci` compares each with the lock file when it installs it, and
 * nothing does so again: a file that is edited in `node_modules` afterwards runs as code of the release.
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join, posix } from 'node:path';
import { sha256 } from '../../core/digest.ts';
import { isObject, type JsonObject, objectAt, parseJson } from '../../core/json.ts';

/** Packages that only the synthesis loads. A release has its result, by digest. */
const synthesizing: readonly string[] = ['@cdktf/provider-azurerm', 'cdktf', 'constructs'];

/** SHA-256 by the path of the package, `node_modules/pg`. */
export type InstalledPackages = Readonly<Record<string, string>>;

/** @param project root of the checkout */
export function installedPackages(project: string): InstalledPackages {
  const { listed, needed } = packagesIn(project);
  return Object.fromEntries(
    needed
      .filter((path) => existsSync(join(project, path)))
      .sort()
      .map((path) => [path, digestOfFolder(project, path, listed)]),
  );
}

/** Those that have the same files on every platform, and after every installation. */
export function portable(packages: InstalledPackages, project: string): InstalledPackages {
  const { lock } = packagesIn(project);
  const isBound = (path: string) =>
    ['os', 'cpu', 'libc', 'hasInstallScript'].some((key) => key in objectAt(lock, path));
  return Object.fromEntries(Object.entries(packages).filter(([path]) => !isBound(path)));
}

/** Paths of the packages that the lock file lists; none without one. */
export function listedPackages(project: string): ReadonlySet<string> {
  return new Set(Object.keys(lockOf(project)));
}

function lockOf(project: string): JsonObject {
  const file = join(project, 'package-lock.json');
  return existsSync(file) ? objectAt(parseJson(readFileSync(file, 'utf8')), 'packages') : {};
}

function packagesIn(project: string) {
  const lock = lockOf(project);
  const listed = new Set(Object.keys(lock));
  const open = Object.keys(objectAt(lock, '', 'dependencies'))
    .filter((name) => !synthesizing.includes(name))
    .map((name) => `node_modules/${name}`);
  const needed = new Set(open);
  for (let path = open.pop(); path !== undefined; path = open.pop())
    for (const name of Object.keys({
      ...objectAt(lock, path, 'dependencies'),
      ...objectAt(lock, path, 'optionalDependencies'),
    })) {
      const found = resolved(path, name, listed);
      if (found === undefined || needed.has(found)) continue;
      needed.add(found);
      open.push(found);
    }
  // A workspace is a link to files of the repository.
  const isLink = (path: string) => isObject(lock[path]) && lock[path]['link'] === true;
  return { lock, listed, needed: [...needed].filter((path) => listed.has(path) && !isLink(path)) };
}

/** The package that a name leads to from another one, as Node.js searches for it. */
function resolved(from: string, name: string, listed: ReadonlySet<string>): string | undefined {
  for (let folder = from; folder !== '.'; folder = posix.dirname(folder)) {
    const path = `${folder}/node_modules/${name}`;
    if (listed.has(path)) return path;
  }
  const path = `node_modules/${name}`;
  return listed.has(path) ? path : undefined;
}

/** Of every file below the folder, but those of packages that the lock file lists themselves. */
function digestOfFolder(project: string, path: string, listed: ReadonlySet<string>): string {
  const lines: string[] = [];
  const visit = (folder: string) => {
    for (const entry of readdirSync(join(project, folder), { withFileTypes: true })) {
      const inner = `${folder}/${entry.name}`;
      if (listed.has(inner)) continue;
      if (entry.isDirectory()) visit(inner);
      else if (entry.isSymbolicLink()) lines.push(`link ${readlinkSync(join(project, inner))}  ${inner}`);
      else lines.push(`${sha256(readFileSync(join(project, inner)))}  ${inner}`);
    }
  };
  visit(path);
  return sha256(lines.sort().join('\n'));
}
