import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { migrationsDirectory } from '../../../database/migrator/files.ts';
import { migrationScript } from '../../../database/migrator/script.ts';
import { type MigrationsCopy, migrationsCopy } from '../../commands/run.ts';
import { catalogOf } from '../../support/catalog.ts';
import { type History, makesTable, newHistory } from './history.ts';

const execute = promisify(execFile);
const psql = process.env['LLAMA_DB_PSQL'] ?? 'psql';
const missing = await execute(psql, ['--version']).then(
  () => undefined,
  () => 'needs psql on the PATH, or LLAMA_DB_PSQL',
);

let byRunner: History;
let byScript: History;
let copy: MigrationsCopy;
beforeEach(async () => {
  byRunner = await newHistory();
  byScript = await newHistory();
  copy = migrationsCopy('empty');
});
afterEach(async () => {
  copy.drop();
  await byRunner.drop();
  await byScript.drop();
});

const scriptFor = async (history: History, directory = copy.directory) => {
  const connection = await history.connect();
  try {
    return await migrationScript(connection, { migrationsDirectory: directory });
  } finally {
    await connection.close();
  }
};

const runScript = async (history: History, script: string, ...more: string[]) => {
  const child = execute(psql, ['--no-psqlrc', '--quiet', ...more, history.database.url()]);
  child.child.stdin?.end(script);
  return child;
};

const ledgerOf = (history: History) =>
  history.rows(
    `SELECT version, description, checksum, direction, outcome, executor, error, execution_time_ms >= 0 AS timed
       FROM llama.schema_migrations ORDER BY id`,
  );

/** Runs the same files both ways and compares the catalogs, including privileges. */
const both = async (): Promise<string> => {
  await byRunner.migrate({ migrationsDirectory: copy.directory });
  const script = await scriptFor(byScript);
  await runScript(byScript, script);
  expect(await catalogOf(byScript.database.connection('superuser'))).toEqual(
    await catalogOf(byRunner.database.connection('superuser')),
  );
  expect(await ledgerOf(byScript)).toEqual(await ledgerOf(byRunner));
  return script;
};

const partitioned = `-- loses data of: t_parts, t_whole
-- Up Migration
CREATE TABLE llama.t_parts (a int NOT NULL, b text, at timestamptz NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE llama.t_parts_y2026m01 PARTITION OF llama.t_parts FOR VALUES FROM ('2026-01-01 00:00:00+00') TO ('2026-02-01 00:00:00+00');
CREATE TABLE llama.t_parts_y2026m02 PARTITION OF llama.t_parts FOR VALUES FROM ('2026-02-01 00:00:00+00') TO ('2026-03-01 00:00:00+00');
CREATE TABLE llama.t_whole (a int, b text);
-- Down Migration
DROP TABLE llama.t_parts, llama.t_whole;
`;
const builds = (
  ...indexes: object[]
) => `import { buildPartitionedIndex } from '../database/indexes/partitioned-index.ts';
export async function up(pgm) {
  pgm.noTransaction();
  for (const index of ${JSON.stringify(indexes)}) await buildPartitionedIndex(pgm, index);
}
export async function down() {}
`;
const long = 'i_whose_name_is_so_long_that_its_parts_need_cutting_down_a_bit';

describe.skipIf(missing !== undefined)(`the script of migrate --sql${missing ? `: ${missing}` : ''}`, () => {
  it('produces the same catalogs and the same ledger as migrate, for all migrations of the project', async () => {
    cpSync(migrationsDirectory, copy.directory, { recursive: true });
    const script = await both();
    expect(script).toContain('CREATE POLICY tenant_floor_storage');
    expect((await byScript.migrate({ migrationsDirectory: copy.directory })).length).toBe(0);
  });

  it('builds indexes of every kind on existing partitions', async () => {
    copy.write('0001_tables.sql', partitioned);
    copy.write(
      '0002_indexes.ts',
      builds(
        { table: 'llama.t_parts', name: 't_parts_a', definition: '(a, at DESC)', where: "b <> 'it''s 100%'" },
        { table: 'llama.t_parts', name: 't_parts_unique', definition: '(a, at)', unique: true },
        { table: 'llama.t_parts', name: long, definition: '(lower(b))', using: 'btree' },
        { table: 'llama.t_whole', name: 't_whole_b', definition: '(b)', using: 'hash' },
      ),
    );
    copy.write(
      '0003_more.ts',
      `export async function up(pgm) {
      pgm.createTable({ schema: 'llama', name: 't_more' }, { id: 'bigint' });
      pgm.sql("COMMENT ON TABLE llama.t_more IS ':llama_attempt \\\\ -- no comment'; -- the end");
    }
    export async function down(pgm) { pgm.dropTable({ schema: 'llama', name: 't_more' }); }`,
    );
    await both();
    const names = await byScript.rows(
      "SELECT relname AS name FROM pg_class WHERE relkind = 'i' AND relname LIKE 'i_whose%'",
    );
    expect(names).toHaveLength(2);
  });

  it('rebuilds an invalid index, and leaves a complete one alone', async () => {
    copy.write('0001_tables.sql', partitioned);
    await byScript.migrate({ migrationsDirectory: copy.directory });
    await byRunner.migrate({ migrationsDirectory: copy.directory });
    await byScript.rows(
      "INSERT INTO llama.t_parts SELECT 1, 'twin', '2026-01-05' FROM generate_series(1, 2)",
    );
    await byScript
      .rows('CREATE UNIQUE INDEX CONCURRENTLY t_parts_a_y2026m01 ON llama.t_parts_y2026m01 (a)')
      .catch(() => undefined);
    copy.write('0002_index.ts', builds({ table: 'llama.t_parts', name: 't_parts_a', definition: '(a)' }));
    await byScript.rows('ALTER TABLE llama.t_parts_y2026m01 OWNER TO llama_owner');
    const script = await scriptFor(byScript);
    await runScript(byScript, script);
    await byRunner.migrate({ migrationsDirectory: copy.directory });
    expect(await catalogOf(byScript.database.connection('superuser'))).toEqual(
      await catalogOf(byRunner.database.connection('superuser')),
    );
  });

  it('stops at the first error, and migrate continues from there', async () => {
    copy.write('0001_first.sql', makesTable('t_first'));
    copy.write(
      '0002_broken.sql',
      '-- Up Migration\nCREATE TABLE llama.t_half (a int);\nSELECT nonsense();\n',
    );
    const script = await scriptFor(byScript);
    await expect(runScript(byScript, script)).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/nonsense/),
    });
    copy.write('0002_broken.sql', makesTable('t_half'));
    expect(await byScript.migrate({ migrationsDirectory: copy.directory })).toEqual(['0002_broken']);
    expect((await ledgerOf(byScript)).map((row) => row['outcome'])).toEqual([
      'applied',
      'interrupted',
      'applied',
    ]);
  });

  it('refuses a server with a changed history, and one on which another run works', async () => {
    copy.write('0001_first.sql', makesTable('t_first'));
    const script = await scriptFor(byScript);
    const { database } = byScript;
    const holder = await database.connect('superuser');
    await holder.query('SELECT pg_advisory_lock(7241865325823964)');
    await expect(runScript(byScript, script)).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/another run works/),
    });
    await holder.query('SELECT pg_advisory_unlock(7241865325823964)');
    await runScript(byScript, script, '--set=llama_executor=somebody');
    expect(await ledgerOf(byScript)).toMatchObject([
      { version: '0001', outcome: 'applied', executor: 'somebody' },
    ]);
    await expect(runScript(byScript, script)).rejects.toMatchObject({
      code: 3,
      stderr: expect.stringMatching(/another history/),
    });
  });
});

describe('a script', () => {
  it('is refused for a migration whose statements depend on an answer', async () => {
    copy.write('0001_asks.ts', "export async function up(pgm) {\n  await pgm.db.query('SELECT 1');\n}\n");
    await expect(scriptFor(byScript)).rejects.toMatchObject({
      code: 'migration/not-printable',
      what: expect.stringMatching(/0001_asks .*\(line 2\)/),
      why: expect.stringContaining('answer to a query'),
    });
    copy.remove('0001_asks.ts');
    copy.write(
      '0001_binds.ts',
      "export async function up(pgm) {\n  await pgm.db.query('INSERT INTO llama.x VALUES ($1)', [1]);\n}\n",
    );
    await expect(scriptFor(byScript)).rejects.toMatchObject({
      code: 'migration/not-printable',
      what: expect.stringContaining('0001_binds'),
      why: expect.stringContaining('binds values'),
    });
  });

  it('creates the schema for the owner role', async () => {
    copy.write('0001_first.sql', '-- Up Migration\nSELECT 1;\n');
    expect(await scriptFor(byScript, join(copy.directory))).toContain(
      'CREATE SCHEMA llama AUTHORIZATION llama_owner',
    );
  });
});
