/**
 * Reads the migration files: order, checksum and headers, without running them.
 *
 * The stack and the post-deploy step share this code: the plan names the pending files, and the step refuses applied files
 * that were edited.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';

/** The project's own migrations. */
export const migrationsDirectory = fileURLToPath(new URL('../../migrations', import.meta.url));

/** The schema manifest, which lies beside the migrations that it describes. */
export const manifestFile = 'schema.json';

export interface MigrationFile {
  /** Four digits, the order of application: `0003`. */
  readonly version: string;
  /** File name without extension, as node-pg-migrate records it: `0003_tables`. */
  readonly name: string;
  /** File name with extension: `0003_tables.sql`. */
  readonly file: string;
  readonly path: string;
  readonly kind: 'sql' | 'ts';
  /** SHA-256 in hexadecimal of the normalised content (`checksumOf`). */
  readonly checksum: string;
  /** `owner`: llama_owner; `login`: the role that logged in, as extensions and pg_cron require. */
  readonly runAs: 'owner' | 'login';
  /** Tables of schema `llama` whose rows the rollback destroys. */
  readonly losesDataOf: readonly string[];
}

const NAME = /^(\d{4})_[a-z0-9_]+\.(sql|ts)$/;
const TABLE = /^[a-z_][a-z0-9_]*$/;

/**
 * Every migration of a folder, sorted by version. Hidden files, `.md` files and the manifest are skipped.
 *
 * @throws Fault if a name or header is malformed, or if two files have the same version
 */
export function listMigrations(directory: string): MigrationFile[] {
  const migrations: MigrationFile[] = [];
  for (const file of filesIn(directory)) {
    if (file.startsWith('.') || file.endsWith('.md') || file === manifestFile) continue;
    const [, version, kind] = NAME.exec(file) ?? [];
    if (version === undefined || (kind !== 'sql' && kind !== 'ts')) {
      throw new Fault(
        'migration/name-malformed',
        `Migration ${join(directory, file)}`,
        'its name does not match NNNN_lower_case_name.sql or .ts, so its place in the order is unknown',
        'Rename it, or move it out of the folder.',
      );
    }
    const previous = migrations.at(-1);
    if (previous?.version === version) {
      throw new Fault(
        'migration/version-twice',
        `Migration ${join(directory, file)}`,
        `${previous.file} has the same version, so the order of the two is unknown`,
        'Give the next free version to the file that no environment has applied yet.',
      );
    }
    const path = join(directory, file);
    const content = readMigration(path);
    if (kind === 'sql' && sectionOf(content, 'up') === undefined) {
      throw new Fault(
        'migration/no-up-marker',
        `Migration ${path}`,
        'it has no line "-- Up Migration"',
        'Add the line above the statements to apply.',
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
  if (migrations.length === 0) {
    throw new Fault(
      'migration/folder-empty',
      `Folder ${directory}`,
      'it contains no migration, so every schema would count as complete',
      'Name the folder with the migration files: --migrations <folder>.',
      { exitCode: 2 },
    );
  }
  return migrations;
}

/** Text of a migration, without the byte order mark that some editors add. */
export function readMigration(path: string): string {
  return readFileSync(path, 'utf8').replace(/^\uFEFF/, '');
}

export interface Section {
  readonly sql: string;
  /** First line of the section in the file, from 1. */
  readonly line: number;
}

/** A section of a `.sql` migration, by the markers of node-pg-migrate. */
export function sectionOf(content: string, direction: 'up' | 'down'): Section | undefined {
  const start = marker(content, direction);
  if (start < 0) return undefined;
  const other = marker(content, direction === 'up' ? 'down' : 'up');
  const sql = content.slice(start, other > start ? other : undefined);
  return { sql, line: content.slice(0, start).split('\n').length };
}

/**
 * Position of the line with the marker of a section, as node-pg-migrate finds it: `--`, then only white space and dashes,
 * then `up migration`. A search for that expression is quadratic in lines of dashes, so this one starts from the words.
 *
 * @returns -1 if the text has no such line
 */
function marker(content: string, direction: 'up' | 'down'): number {
  for (const { index } of content.matchAll(new RegExp(`${direction}\\s+migration`, 'gi'))) {
    let start = index;
    while (start > 0 && /[\s-]/.test(content[start - 1] ?? '')) start -= 1;
    const before = content.slice(start, index);
    const line = before.search(start === 0 ? /^[ \t]*--/m : /(?<=[\r\n])[ \t]*--/);
    if (line >= 0) return start + line;
  }
  return -1;
}

function filesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (error) {
    throw new Fault(
      'migration/folder-unreadable',
      `Folder of migrations ${directory}`,
      messageOf(error),
      'Name a readable folder with --migrations.',
      { exitCode: 2, cause: error },
    );
  }
}

/**
 * Checksum of a migration. Differences that a checkout or an editor makes do not count: byte order mark, carriage returns,
 * and white space at the end of lines and of the file.
 *
 * @returns SHA-256 in hexadecimal
 */
export function checksumOf(content: string): string {
  const normalised = content
    .replace(/^\uFEFF/, '')
    .replace(/\r\n?/g, '\n')
    .split(lineEnd)
    .map(withoutTrailingBlanks)
    .join('')
    .trimEnd();
  return createHash('sha256').update(normalised).digest('hex');
}

/** The places where `$` with flag `m` matches; the separators stay in the list. */
const lineEnd = /([\n\u2028\u2029])/;

/** `/[ \t]+$/` takes the square of a run of blanks that ends elsewhere. */
function withoutTrailingBlanks(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end -= 1;
  return line.slice(0, end);
}

type Header = Pick<MigrationFile, 'runAs' | 'losesDataOf'>;

/**
 * The settings in the head of a migration.
 *
 * @throws Fault if one of them is malformed
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
  throw new Fault(
    'migration/run-as-unknown',
    `Migration ${path}`,
    `"run as" is "${value}"`,
    'Write login or owner.',
  );
}

function tables(values: readonly string[] | undefined, path: string): string[] {
  return (values ?? []).map((value) => {
    const table = value.trim();
    if (TABLE.test(table)) return table;
    throw new Fault(
      'migration/lost-table-malformed',
      `Migration ${path}`,
      `"loses data of" names "${table}", which is not a table name`,
      'Write table names without schema, separated by commas.',
    );
  });
}
