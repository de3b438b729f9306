/** Which files a run of the lint looks at, and which come before them. */
import { dirname, resolve } from 'node:path';
import type { Connection } from '../../connection.ts';
import { listMigrations } from '../files.ts';
import { status } from '../migrate.ts';
import { readTableFacts } from './estimates.ts';
import type { LintOptions } from './lint.ts';

/**
 * Files that were named, each after those of its own folder with a lower version (or of `directory`, for a file that
 * lies elsewhere); without names every migration of `directory`.
 *
 * @throws Fault for a folder whose files cannot be put in order
 */
export function selectFiles(
  named: readonly string[],
  directory: string,
): Required<Omit<LintOptions, 'facts'>> {
  const project = listMigrations(directory).map(({ path }) => resolve(path));
  if (named.length === 0) return { files: project, before: [] };
  const files = named.map((path) => resolve(path));
  const inFolder = project.filter((path) => files.includes(path));
  const first = inFolder[0];
  const own = files.every((path) => dirname(path) === resolve(directory));
  return {
    files: own ? inFolder.concat(files.filter((path) => !project.includes(path))) : files,
    before: project.filter((path) => !files.includes(path) && (!own || first === undefined || path < first)),
  };
}

/** What is pending on a server, with what the server knows of its tables. Changes nothing. */
export async function selectPending(
  connection: Connection,
  named: readonly string[],
  directory: string,
): Promise<LintOptions> {
  const facts = await readTableFacts(connection);
  if (named.length > 0) return { ...selectFiles(named, directory), facts };
  const { pending, migrations } = await status(connection, directory);
  const waiting = new Set(pending.map(({ path }) => path));
  return {
    files: [...waiting],
    before: migrations.flatMap(({ file }) => (file && !waiting.has(file.path) ? [file.path] : [])),
    facts,
  };
}
