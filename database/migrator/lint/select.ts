/** Selects the files that a run lints, and the earlier files that it only reads. */
import { dirname, resolve } from 'node:path';
import type { Connection } from '../../connection.ts';
import { listMigrations } from '../files.ts';
import { status } from '../migrate.ts';
import { readTableFacts } from './estimates.ts';
import type { LintOptions } from './lint.ts';

/**
 * The named files, after the migrations of the folder with lower versions; for a file outside the folder, after all of
 * them. Without names, all migrations of the folder.
 *
 * @throws Fault if the files of the folder cannot be put in order
 */
export function selectFiles(
  named: readonly string[],
  migrationsDirectory: string,
): Required<Omit<LintOptions, 'facts'>> {
  const project = listMigrations(migrationsDirectory).map(({ path }) => resolve(path));
  if (named.length === 0) return { files: project, before: [] };
  const files = named.map((path) => resolve(path));
  const inFolder = project.filter((path) => files.includes(path));
  const first = inFolder[0];
  const own = files.every((path) => dirname(path) === resolve(migrationsDirectory));
  return {
    files: own ? inFolder.concat(files.filter((path) => !project.includes(path))) : files,
    before: project.filter((path) => !files.includes(path) && (!own || first === undefined || path < first)),
  };
}

/** The pending migrations of a server, with the sizes of its tables. It changes nothing. */
export async function selectPending(
  connection: Connection,
  named: readonly string[],
  migrationsDirectory: string,
): Promise<LintOptions> {
  const facts = await readTableFacts(connection);
  if (named.length > 0) return { ...selectFiles(named, migrationsDirectory), facts };
  const { pending, migrations } = await status(connection, migrationsDirectory);
  const waiting = new Set(pending.map(({ path }) => path));
  return {
    files: [...waiting],
    before: migrations.flatMap(({ file }) => (file && !waiting.has(file.path) ? [file.path] : [])),
    facts,
  };
}
