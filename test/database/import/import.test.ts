// Duration: 60 s
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { run as runProgram, start } from '../../commands/run.ts';
import { freshDatabase, migratedDatabase, randomName, type TestDatabase } from '../../support/postgres.ts';
import { recordsOf, sourceRows, sourceTables } from './source.ts';

const records = 600;

let source: TestDatabase;
let old: pg.Client;
let target: TestDatabase;
let superuser: pg.Client;
let folder: string;

beforeAll(async () => {
  source = await freshDatabase();
  await source.query('superuser', `${sourceTables} ${sourceRows(records)}`);
  await source.query('superuser', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO azure_pg_admin');
  old = await source.connect('superuser');
}, 60_000);
afterAll(() => source.drop());
beforeEach(async () => {
  target = await migratedDatabase();
  superuser = await target.connect('superuser');
  folder = mkdtempSync(join(tmpdir(), 'llama-import-'));
});
afterEach(async () => {
  rmSync(folder, { recursive: true });
  await target.drop();
});

interface Table {
  readonly table: string;
  readonly [figure: string]: unknown;
}
interface Result {
  readonly ok: boolean;
  readonly tables: readonly Table[];
  readonly rejects?: string;
  readonly error?: { readonly code: string };
}

const arguments_ = (from: string, more: readonly string[]) => [
  'import',
  ...['--url', target.url(), '--from', from, '--json', '--rejects', join(folder, 'rejects'), ...more],
];
async function run(
  from: string,
  ...more: readonly string[]
): Promise<Result & { readonly code: number; readonly stderr: string }> {
  const { code, stdout, stderr } = await runProgram(arguments_(from, more));
  expect(stderr).not.toContain('defect');
  return { ...(JSON.parse(stdout) as Result), code, stderr };
}
const figures = ({ tables }: Result, table = 'storage_records') => tables.find((one) => one.table === table);
const rejects = () =>
  readFileSync(join(folder, 'rejects'), 'utf8')
    .trim()
    .split('\n')
    .map(
      (line) =>
        JSON.parse(line) as { key: Record<string, string>; reason: string; row: object; line?: number },
    );
const trail = async (where: string) =>
  (
    await superuser.query<Record<string, unknown> & { new_values: Record<string, unknown> }>(
      `SELECT * FROM llama.audit_trail WHERE ${where} ORDER BY sequence`,
    )
  ).rows;

/** The files that \copy of docs/importing.md writes: the server's own CSV. */
async function dump(tables = ['storage_records', 'tenant_configs', 'model_metrics', 'detector_executions']) {
  await old.query("SET timezone = 'UTC'");
  for (const table of tables) {
    const file = `${source.name}-${table}.csv`;
    const query =
      table === 'storage_records' ? '(SELECT * FROM storage_records ORDER BY tenant_id, "timestamp")' : table;
    const { rows } = await old.query<{ folder: string }>(
      "SELECT current_setting('data_directory') AS folder",
    );
    await old.query(`COPY ${query} TO '${rows[0]?.folder}/${file}' (FORMAT csv, HEADER)`);
    const { rows: read } = await old.query<{ text: string }>('SELECT pg_read_file($1) AS text', [file]);
    writeFileSync(join(folder, `${table}.csv`), read[0]?.text ?? '');
  }
}

describe('an import from a connection', () => {
  it('copies every row with its content, makes months without holes, and derives encrypted', async () => {
    const done = await run(source.url());
    expect(done.code, done.stderr).toBe(0);
    expect(figures(done)).toMatchObject({
      rows: records,
      added: records,
      equal: records,
      complete: true,
      refused: 0,
    });
    expect(await recordsOf(superuser, 'llama.storage_records')).toEqual(
      await recordsOf(old, 'storage_records'),
    );
    for (const table of ['tenant_configs', 'model_metrics', 'detector_executions']) {
      const [here, there] = await Promise.all([
        superuser.query(`SELECT to_jsonb(t) AS row FROM llama.${table} AS t ORDER BY row`),
        old.query(`SELECT to_jsonb(t) AS row FROM ${table} AS t ORDER BY row`),
      ]);
      expect(here.rows).toEqual(there.rows);
    }
    const { rows } = await superuser.query('SELECT DISTINCT encrypted FROM llama.storage_records');
    expect(rows).toEqual([{ encrypted: false }]);
    const { rows: months } = await superuser.query<{ months: number; span: number }>(
      `SELECT count(*)::int AS months,
              (extract(year FROM age(max(m), min(m))) * 12 + extract(month FROM age(max(m), min(m))) + 1)::int AS span
         FROM (SELECT to_date(right(inhrelid::regclass::text, 7), 'YYYY"m"MM') AS m
                 FROM pg_inherits WHERE inhparent = 'llama.storage_records'::regclass) AS t`,
    );
    expect(months[0]?.months).toBe(months[0]?.span);
  }, 120_000);

  it('leaves one audit row per batch that names source, number and digest, and no row per record', async () => {
    const done = await run(source.url(), '--batch-size', '100');
    const rows = await trail("table_name = 'storage_records'");
    expect(new Set(rows.map(({ record_key }) => record_key))).toEqual(new Set(['import']));
    expect(rows.reduce((sum, { new_values }) => sum + Number(new_values['rows']), 0)).toBe(records);
    for (const { tenant_id, new_values, user_agent } of rows) {
      expect(['acme', 'globex']).toContain(tenant_id);
      expect(new_values['source']).toContain(source.name);
      expect(user_agent).toContain('llama-db import from');
    }
    const [first] = rows;
    const { rows: recomputed } = await superuser
      .query<{ digest: string }>(`SET timezone = 'UTC'; `)
      .then(() =>
        superuser.query<{ digest: string }>(
          `SELECT encode(sha256(string_agg(d, ''::bytea ORDER BY d)), 'hex') AS digest
           FROM (SELECT sha256(convert_to(r::text, 'UTF8')) AS d FROM llama.storage_records AS r
                  WHERE tenant_id = $1 AND "timestamp" BETWEEN $2 AND $3) AS t`,
          [first?.['tenant_id'], first?.new_values['first'], first?.new_values['last']],
        ),
      );
    expect(first?.new_values['sha256']).toBe(recomputed[0]?.digest);
    expect(done.ok).toBe(true);
  }, 120_000);

  it('does nothing the second time', async () => {
    await run(source.url());
    const before = await trail('true');
    const again = await run(source.url());
    expect(figures(again)).toMatchObject({ added: 0, replaced: 0, equal: records, complete: true });
    expect(await trail('true')).toHaveLength(before.length);
  }, 120_000);

  it('continues after a kill, and doubles nothing', async () => {
    const running = start(arguments_(source.url(), ['--batch-size', '10']));
    await vi.waitFor(
      async () => {
        const { rows } = await superuser.query<{ there: number }>(
          'SELECT count(*)::int AS there FROM llama.storage_records',
        );
        expect(rows[0]?.there).toBeGreaterThan(20);
      },
      { timeout: 60_000, interval: 20 },
    );
    running.kill();
    expect((await running.finished).code).toBe(137);
    const { rows } = await superuser.query<{ there: number }>(
      'SELECT count(*)::int AS there FROM llama.storage_records',
    );
    const there = rows[0]?.there ?? 0;
    expect(there).toBeLessThan(records);
    const done = await run(source.url());
    expect(figures(done)).toMatchObject({ rows: records, equal: records, complete: true });
    expect(await recordsOf(superuser, 'llama.storage_records')).toEqual(
      await recordsOf(old, 'storage_records'),
    );
  }, 180_000);

  it('refuses rows that the target refuses, with key and reason, and copies all others', async () => {
    const other = await freshDatabase();
    try {
      await other.query('superuser', `${sourceTables} ${sourceRows(20)}`);
      await other.query('superuser', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO azure_pg_admin');
      await other.query(
        'superuser',
        `INSERT INTO tenant_configs (tenant_id, storage_retention_days) VALUES ('forever', 99999999);
         ALTER TABLE storage_records DROP CONSTRAINT valid_metadata, DROP CONSTRAINT storage_records_backup_status_check, DROP CONSTRAINT storage_records_confidence_score_check,
           ALTER COLUMN detector_type TYPE text, ALTER COLUMN confidence_score TYPE numeric;
         INSERT INTO storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, timestamp, metadata,
                                      backup_status, confidence_score)
         VALUES ('bad', '1', '{}', 'm', 'd', '2024-02-02', '[]', 'pending', 0.5), ('bad', '2', '{}', 'm', 'd', '2024-02-02', '{}', 'lost', 0.5),
                ('bad', '3', '{}', 'm', repeat('d', 51), '2024-02-02', '{}', 'pending', 0.5),
                ('bad', '4', '{}', 'm', 'd', '2024-02-02', '{}', 'pending', 0.123456),
                ('bad', '5', '{}', 'm', 'd', '2024-02-02', '{}', 'pending', 77),
                ('bad', '6', '{}', 'm', 'd', '1971-02-02', '{}', 'pending', 0.5), ('bad', '7', '{}', 'm', 'd', 'infinity', '{}', 'pending', 0.5),
                ('bad', '8', '{"$enc": "gcm1:00000000-0000-4000-8000-000000000000:AAAA"}', 'm', 'd', '2024-02-02', '{}', 'pending', 0.5),
                ('bad', 'good', '{}', 'm', 'd', '2024-02-02', '{}', 'pending', 0.5)`,
      );
      const done = await run(other.url());
      expect(done.code).toBe(1);
      expect(figures(done)).toMatchObject({ rows: 29, added: 21, refused: 8, equal: 21, complete: true });
      expect(figures(done, 'tenant_configs')).toMatchObject({ rows: 3, added: 2, refused: 1 });
      const found = rejects();
      expect(found).toHaveLength(9);
      for (const { key, reason, row } of found) {
        expect(key['tenant_id']).toMatch(/^(bad|forever)$/);
        expect(reason).not.toBe('');
        expect(row).toHaveProperty('tenant_id');
      }
      expect((await trail("tenant_id = 'bad'"))[0]?.new_values).toMatchObject({
        given: 4,
        rows: 1,
        refused: 3,
      });
      const again = await run(other.url());
      expect(figures(again)).toMatchObject({ added: 0, refused: 8, equal: 21, complete: true });
    } finally {
      await other.drop();
    }
  }, 180_000);

  it('stops before it reads a source whose policies hide rows', async () => {
    const other = await freshDatabase();
    try {
      await other.query('superuser', `${sourceTables} ${sourceRows(20)}`);
      await other.query(
        'superuser',
        `GRANT SELECT ON ALL TABLES IN SCHEMA public TO azure_pg_admin; ALTER TABLE storage_records ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON storage_records USING (tenant_id = 'acme')`,
      );
      expect(await run(other.url())).toMatchObject({ code: 1, error: { code: 'import/source-hidden' } });
    } finally {
      await other.drop();
    }
  }, 90_000);
});

describe('changes after the first import', () => {
  it('are followed, and what others wrote or erased in the target stays', async () => {
    const other = await freshDatabase();
    try {
      await other.query('superuser', `${sourceTables} ${sourceRows(40)}`);
      await other.query('superuser', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO azure_pg_admin');
      expect((await run(other.url())).ok).toBe(true);
      const [erased, changed] = (
        await superuser.query<{ id: string }>(
          "SELECT id FROM llama.storage_records WHERE tenant_id = 'acme' ORDER BY id LIMIT 2",
        )
      ).rows;
      const admin = await target.connect();
      await admin.query('SET ROLE admin_role');
      await admin.query('DELETE FROM llama.storage_records WHERE id = $1', [erased?.id]);
      await admin.query("UPDATE llama.storage_records SET detector_type = 'here' WHERE id = $1", [
        changed?.id,
      ]);
      await admin.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, "timestamp")
         VALUES ('acme', 'own', '{}', 'm', 'd', '2024-01-15')`,
      );
      await other.query(
        'superuser',
        `UPDATE storage_records SET detector_type = 'there', updated_at = now() WHERE tenant_id = 'globex';
         DELETE FROM storage_records WHERE id = (SELECT min(id::text)::uuid FROM storage_records WHERE tenant_id = 'globex');
         UPDATE tenant_configs SET storage_retention_days = 10 WHERE tenant_id = 'acme';
         INSERT INTO storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, timestamp)
         VALUES ('acme', 'new', '{}', 'm', 'd', '2024-01-16')`,
      );
      const done = await run(other.url(), '--follow');
      expect(figures(done)).toMatchObject({
        rows: 40,
        added: 1,
        replaced: 19,
        removed: 1,
        left: 2,
        complete: true,
      });
      expect(figures(done, 'tenant_configs')).toMatchObject({ replaced: 1, complete: true });
      const { rows } = await superuser.query<{ hash: string }>(
        "SELECT source_data_hash AS hash FROM llama.storage_records WHERE source_data_hash IN ('own', 'new') ORDER BY 1",
      );
      expect(rows.map(({ hash }) => hash)).toEqual(['new', 'own']);
      expect(
        await superuser.query('SELECT FROM llama.storage_records WHERE id = $1', [erased?.id]),
      ).toMatchObject({ rowCount: 0 });
      // Each replaced or removed record left its former content.
      expect(
        await trail(
          "table_name = 'storage_records' AND operation = 'DELETE' AND user_agent LIKE 'llama-db import%'",
        ),
      ).toHaveLength(20);
      expect(figures(await run(other.url(), '--follow'))).toMatchObject({
        added: 0,
        replaced: 0,
        removed: 0,
        left: 2,
      });
      expect(await run(other.url(), '--compare')).toMatchObject({ code: 1, ok: false });
    } finally {
      await other.drop();
    }
  }, 180_000);
});

describe('an import from a dump', () => {
  it('copies every row, and the second run nothing', async () => {
    await dump();
    const done = await run(folder);
    expect(done.code, done.stderr).toBe(0);
    expect(await recordsOf(superuser, 'llama.storage_records')).toEqual(
      await recordsOf(old, 'storage_records'),
    );
    expect(figures(await run(folder))).toMatchObject({ added: 0, equal: records, complete: true });
    expect((await run(source.url(), '--compare')).ok).toBe(true);
  }, 180_000);

  it.each([
    [
      'a file that ends within a value',
      (text: string) => text.slice(0, text.lastIndexOf('"')),
      'import/dump-malformed',
    ],
    [
      'a column that the target lacks',
      (text: string) => text.replace('azure_region', 'region'),
      'import/columns-differ',
    ],
    ['no header', (text: string) => text.slice(text.indexOf('\n') + 1), 'import/dump-without-header'],
  ])(
    'refuses %s',
    async (_, change, code) => {
      await dump(['storage_records']);
      const file = join(folder, 'storage_records.csv');
      writeFileSync(file, change(readFileSync(file, 'utf8')));
      const done = await run(folder);
      expect(done.code).toBeGreaterThan(0);
      expect(done.error?.code).toBe(code);
    },
    90_000,
  );
});

describe('the path without an audit row per record', () => {
  it('is open to no login but administrators, and records what takes it', async () => {
    const login = randomName('app');
    await superuser.query(
      `CREATE ROLE ${login} LOGIN; GRANT application_role, admin_role, maintenance_role, analytics_role TO ${login}`,
    );
    try {
      await superuser.query(`SET SESSION AUTHORIZATION ${login}`);
      await expect(superuser.query('SET ROLE import_writer')).rejects.toThrow(/permission denied/);
      await superuser.query('SET app.import_batch = \'{"source": "forged"}\'');
      await superuser.query('SET ROLE admin_role');
      await superuser.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
         VALUES ('acme', 'h', '{}', 'm', 'd')`,
      );
    } finally {
      await superuser.query('RESET SESSION AUTHORIZATION; RESET ROLE');
      await superuser.query(`DROP ROLE ${login}`);
    }
    expect((await trail("table_name = 'storage_records'")).map(({ record_id }) => record_id)).not.toContain(
      null,
    );
    await superuser.query("SET ROLE import_writer; SET app.import_batch = ''");
    const insert = `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
                    VALUES ('acme', 'h', '{}', 'm', 'd')`;
    await expect(superuser.query(insert)).rejects.toThrow(/does not name its source/);
    await expect(superuser.query("UPDATE llama.storage_records SET s3_key = 'x'")).rejects.toThrow(
      /permission denied/,
    );
    await superuser.query(
      `SET app.import_batch = '{"source": "by hand", "rows": 0, "sha256": "none"}'; ${insert}`,
    );
    await superuser.query('RESET ROLE');
    const [, row] = await trail("table_name = 'storage_records'");
    expect(row?.new_values).toMatchObject({
      source: 'by hand',
      rows: 1,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
  });
});
