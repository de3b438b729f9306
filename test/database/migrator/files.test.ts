import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checksumOf, listMigrations, readMigration, sectionOf } from '../../../database/migrator/files.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'migrations-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

function write(name: string, content = '-- Up Migration\nselect 1;\n-- Down Migration\n'): void {
  writeFileSync(join(directory, name), content);
}

describe('listMigrations', () => {
  it('orders by version and names files as node-pg-migrate records them', () => {
    write('0002_tables.sql');
    write('0010_indexes.ts', 'export const up = () => {};\n');
    write('0001_extensions.sql');
    write('README.md');
    expect(listMigrations(directory).map(({ version, name, kind }) => ({ version, name, kind }))).toEqual([
      { version: '0001', name: '0001_extensions', kind: 'sql' },
      { version: '0002', name: '0002_tables', kind: 'sql' },
      { version: '0010', name: '0010_indexes', kind: 'ts' },
    ]);
  });

  it('reads the headers of SQL files, and only above the first section', () => {
    write(
      '0001_a.sql',
      '-- run as: login\n-- loses data of: storage_records, audit_trail\n-- Up Migration\nselect 1;\n',
    );
    write('0002_b.sql', '-- Up Migration\n-- run as: login\nselect 1;\n');
    expect(listMigrations(directory)).toMatchObject([
      { runAs: 'login', losesDataOf: ['storage_records', 'audit_trail'] },
      { runAs: 'owner', losesDataOf: [] },
    ]);
  });

  it('reads the exported constants of TypeScript files without running them', () => {
    write(
      '0001_a.ts',
      `export const runAs = 'login';\nexport const losesDataOf: readonly string[] = [\n  'a_b',\n  "c",\n];\nthrow new Error('run');\n`,
    );
    expect(listMigrations(directory)).toMatchObject([{ runAs: 'login', losesDataOf: ['a_b', 'c'] }]);
  });

  it.each([
    ['notes.txt', 'x', 'migration/name-malformed', /notes\.txt/],
    ['001_short.sql', 'x', 'migration/name-malformed', /001_short\.sql/],
    ['0001_no_section.sql', 'select 1;', 'migration/no-up-marker', /0001_no_section\.sql/],
    ['0001_role.sql', '-- run as: postgres\n-- Up Migration\n', 'migration/run-as-unknown', /"postgres"/],
    [
      '0001_table.sql',
      '-- loses data of: a; drop\n-- Up Migration\n',
      'migration/lost-table-malformed',
      /"a; drop"/,
    ],
  ])('refuses %s', (name, content, code, values) => {
    write(name, content);
    expect(() => listMigrations(directory)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(values) }),
    );
  });

  it('refuses a folder that cannot be read', () => {
    expect(() => listMigrations(join(directory, 'nowhere'))).toThrow(
      expect.objectContaining({ code: 'migration/folder-unreadable', exitCode: 2 }),
    );
  });

  it('reads the head of a file after a byte order mark', () => {
    write('0001_a.sql', '\uFEFF-- run as: login\n-- loses data of: a\n\n-- Up Migration\nselect 1;\n');
    write('0002_b.sql', '\uFEFF-- Up Migration\nselect 1;\n');
    const [first, second] = listMigrations(directory);
    expect(first).toMatchObject({ runAs: 'login', losesDataOf: ['a'] });
    expect(sectionOf(readMigration(second?.path ?? ''), 'up')?.sql).toBe('-- Up Migration\nselect 1;\n');
  });

  it('refuses two files with one version', () => {
    write('0001_a.sql');
    write('0001_b.sql');
    expect(() => listMigrations(directory)).toThrow(
      expect.objectContaining({
        code: 'migration/version-twice',
        what: expect.stringContaining('0001_b.sql'),
        why: expect.stringContaining('0001_a.sql'),
      }),
    );
  });
});

describe('checksumOf', () => {
  it('ignores line ends, trailing white space and a byte order mark', () => {
    const plain = checksumOf('create table t ();\nselect 1;\n');
    expect(checksumOf('\uFEFFcreate table t ();  \r\nselect 1;\t\r\n\r\n')).toBe(plain);
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each(['create table u ();\nselect 1;', ' create table t ();\nselect 1;', 'create table t ();select 1;'])(
    'changes with the content: %j',
    (content) => {
      expect(checksumOf(content)).not.toBe(checksumOf('create table t ();\nselect 1;'));
    },
  );
});

describe('a migration with a long run of blanks', () => {
  it('has its checksum in time that does not grow with the square of the run', () => {
    // With the square of the run each of these would take hours.
    for (const blanks of [' '.repeat(2_000_000), '\t '.repeat(1_000_000)]) {
      expect(checksumOf(`select${blanks}1;${blanks}\n${blanks}\n`)).toBe(checksumOf(`select${blanks}1;\n`));
      expect(checksumOf(`${blanks}\u2028x`)).toBe(checksumOf('\u2028x'));
    }
  });
});
