/**
 * The migration files as they lie on disk: order, checksum and headers, read without running anything.
 *
 * Both sides need the same answer: the stack, whose plan names the pending files, and the post-deploy step, which
 * refuses an applied file that was edited since.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';

/** The project's own migrations. */
export const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url));

/** The schema manifest, which lies beside the migrations that it describes. */
export const manifestFile = 'schema.json';

export interface MigrationFile {
  /** Four digits, the order of application: `0003`. */
  readonly version: string;
  /** File name without its ending, as node-pg-migrate records it: `0003_tables`. */
  readonly name: string;
  /** File name with its ending: `0003_tables.sql`. */
  readonly file: string;
  readonly path: string;
  readonly kind: 'sql' | 'ts';
  /** SHA-256 in hexadecimal of the normalised content (`checksumOf`). */
  readonly checksum: string;
  /** `owner`: as `llama_owner`; `login`: as the role that logged in, which extensions and pg_cron need. */
  readonly runAs: 'owner' | 'login';
  /** Tables whose rows the rollback destroys. */
  readonly losesDataOf: readonly string[];
}

const NAME = /^(\d{4})_[a-z0-9_]+\.(sql|ts)$/;
const TABLE = /^[a-z_][a-z0-9_]*$/;

/**
 * Every migration in `directory`, in order of version. Hidden files, `.md` files and the manifest are left out.
 *
 * @throws Fault for a file whose name or header cannot be read, and for two files with one version
 */
export function listMigrations(directory: string): MigrationFile[] {
  const migrations: MigrationFile[] = [];
  for (const file of filesIn(directory)) {
    if (file.startsWith('.') || file.endsWith('.md') || file === manifestFile) continue;
    const [, version, kind] = NAME.exec(file) ?? [];
    if (version === undefined || (kind !== 'sql' && kind !== 'ts')) {
      throw new Fault(
        'files/1',
        `Migration ${join(directory, file)}`,
        'its name is not NNNN_lower_case_name.sql or .ts, so its place in the order is unknown',
        'Rename it, or move it out of the folder.',
      );
    }
    const previous = migrations.at(-1);
    if (previous?.version === version) {
      throw new Fault(
        'files/2',
        `Migration ${join(directory, file)}`,
        `${previous.file} has the same version, so which of them comes first is unknown`,
        'Give the one that is not yet applied anywhere the next free version.',
      );
    }
    const path = join(directory, file);
    const content = readMigration(path);
    if (kind === 'sql' && sectionOf(content, 'up') === undefined) {
      throw new Fault(
        'files/3',
        `Migration ${path}`,
        'it has no line "-- Up Migration"',
        'Add it above the statements to apply.',
      );
    }
    migrations.push({
      version,
      name: file.slice(0, -(kind.length + 1)),
      file,
      path,
      kind,
      checksum: checksumOf(content),
      ...headerOf(content, kind, path),
    });
  }
  return migrations;
}

/** Text of a migration, without the byte order mark that some editors put before its first line. */
export function readMigration(path: string): string {
  return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
}

export interface Section {
  readonly sql: string;
  /** Line of the file, from 1, on which it starts. */
  readonly line: number;
}

/** A section of a `.sql` migration, by node-pg-migrate's own markers. */
export function sectionOf(content: string, direction: 'up' | 'down'): Section | undefined {
  const start = marker(content, direction);
  if (start < 0) return undefined;
  const other = marker(content, direction === 'up' ? 'down' : 'up');
  const sql = content.slice(start, other > start ? other : undefined);
  return { sql, line: content.slice(0, start).split('\n').length };
}

function marker(content: string, direction: 'up' | 'down'): number {
  return content.search(new RegExp(`^[ \\t]*--[\\s-]*${direction}\\s+migration`, 'im'));
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw new Fault(
      'files/4',
      `Folder of migrations ${directory}`,
      error instanceof Error ? error.message : String(error),
      'Name a folder that can be read.',
      { exitCode: 2, cause: error },
    );
  }
}

/**
 * Checksum of what a migration says, whatever a checkout or an editor did to its line ends: byte order mark,
 * carriage returns and white space at the end of lines and of the file do not count.
 *
 * @returns SHA-256 in hexadecimal
 */
export function checksumOf(content: string): string {
  const normalised = content
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .replace(/[ \t]+$/gm, '')
    .trimEnd();
  return createHash('sha256').update(normalised).digest('hex');
}

type Header = Pick<MigrationFile, 'runAs' | 'losesDataOf'>;

/**
 * What the head of a migration says about it.
 *
 * @throws Fault for a header that cannot be read
 */
export function headerOf(content: string, kind: MigrationFile['kind'], path: string): Header {
  return kind === 'sql' ? sqlHeader(content, path) : moduleHeader(content, path);
}

function sqlHeader(content: string, path: string): Header {
  const start = marker(content, 'up');
  const head = start < 0 ? '' : content.slice(0, start);
  return {
    runAs: runAs(/^--\s*run as:(.*)$/im.exec(head)?.[1]?.trim(), path),
    losesDataOf: tables(/^--\s*loses data of:(.*)$/im.exec(head)?.[1]?.split(','), path),
  };
}

function moduleHeader(content: string, path: string): Header {
  const list = /^export const losesDataOf\b[^=]*=\s*\[([^\]]*)\]/m.exec(content)?.[1];
  return {
    runAs: runAs(/^export const runAs\b[^=]*=\s*(['"])(.*?)\1/m.exec(content)?.[2], path),
    losesDataOf: tables(
      list
        ?.split(',')
        .map((entry) => entry.trim().replace(/^(['"])(.*)\1$/, '$2'))
        .filter((entry) => entry !== ''),
      path,
    ),
  };
}

function runAs(value: string | undefined, path: string): MigrationFile['runAs'] {
  if (value === undefined) return 'owner';
  if (value === 'login' || value === 'owner') return value;
  throw new Fault('files/5', `Migration ${path}`, `"run as" is "${value}"`, 'Write login or owner.');
}

function tables(values: readonly string[] | undefined, path: string): string[] {
  return (values ?? []).map((value) => {
    const table = value.trim();
    if (TABLE.test(table)) return table;
    throw new Fault(
      'files/6',
      `Migration ${path}`,
      `"loses data of" names "${table}", which is not the name of a table`,
      'Write table names, separated by commas.',
    );
  });
}
