// Duration: 60 s
/** `llama-db erase`: no byte of a tenant is left in what the server serves, and the audit chain stays intact. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeTrail, sealAll, type Trail, verified } from '../database/audit/trail.ts';
import { run } from './run.ts';

vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let trail: Trail;
const folder = mkdtempSync(join(tmpdir(), 'llama-erase-'));
const canary = 'canaryZebraQuartz';

beforeAll(async () => {
  trail = await makeTrail();
  await trail.superuser.query('CREATE EXTENSION IF NOT EXISTS pageinspect');
});
afterAll(async () => {
  await trail.database.drop();
  rmSync(folder, { recursive: true });
});

/** Rows of a tenant in every table, small and large (TOAST), of two months, changed and deleted, sealed and analyzed. */
async function plant(tenant: string, text: string): Promise<void> {
  const { client, superuser } = trail;
  await client.query('BEGIN; SET LOCAL ROLE admin_role');
  await client.query(
    `INSERT INTO llama.tenant_configs (tenant_id, detector_whitelist, custom_taxonomy_mappings)
     VALUES ($1, ARRAY[$2], jsonb_build_object($2::text, $2::text))`,
    [tenant, text],
  );
  await client.query(
    `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, metadata, model_version, detector_type, "timestamp")
     SELECT $1, $2::text || n, jsonb_build_object($2::text || 'key', $2::text || n, 'long', (SELECT string_agg(md5(n::text || m) || $2::text, '') FROM generate_series(1, n * 10) AS m)),
            jsonb_build_object($2::text || n, $2::text), $2::text, 'd', now() - make_interval(days => n % 20)
       FROM generate_series(1, 60) AS n`,
    [tenant, text],
  );
  await client.query(
    `INSERT INTO llama.model_metrics (tenant_id, model_version, metric_type, metric_value, metadata)
     SELECT $1, $2::text, 't', 0.5, jsonb_build_object('m', $2::text) FROM generate_series(1, 5)`,
    [tenant, text],
  );
  await client.query(
    `INSERT INTO llama.detector_executions (tenant_id, detector_type, execution_time_ms, success, error_message)
     SELECT $1, 'd', 1, false, $2 FROM generate_series(1, 5)`,
    [tenant, text],
  );
  await client.query('COMMIT; BEGIN; SET LOCAL ROLE admin_role');
  await client.query(
    `UPDATE llama.storage_records SET metadata = jsonb_build_object('changed', $2::text) WHERE tenant_id = $1`,
    [tenant, text],
  );
  await client.query(`DELETE FROM llama.detector_executions WHERE tenant_id = $1`, [tenant]);
  await client.query('COMMIT');
  await sealAll(trail);
  await client.query('SET ROLE maintenance_role; SELECT llama.refresh_performance_views(); RESET ROLE');
  await superuser.query('ANALYZE');
}

/** Every place of a database that can hold a value, read as a superuser: rows, dead rows, TOAST, statistics. */
async function places(superuser: pg.Client, text: string): Promise<readonly string[]> {
  const { rows: relations } = await superuser.query<{ name: string; kind: string; pages: number }>(
    `SELECT c.oid::regclass::text AS name, c.relkind AS kind, (pg_relation_size(c.oid) / 8192)::int AS pages
       FROM pg_class AS c WHERE c.relkind IN ('r', 'm', 't') AND pg_relation_size(c.oid) > 0 ORDER BY 1`,
  );
  const found: string[] = [];
  const bytes = `\\x${Buffer.from(text).toString('hex')}`;
  for (const { name, pages } of relations) {
    const { rows } = await superuser.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM generate_series(0, $2::int - 1) AS page
        CROSS JOIN LATERAL heap_page_items(get_raw_page($1, page)) AS item
        WHERE position($3::bytea IN item.t_data) > 0`,
      [name, pages, bytes],
    );
    if (rows[0]?.n) found.push(`${name}: ${rows[0].n} items`);
  }
  for (const view of ['pg_stats', 'pg_stats_ext', 'pg_stats_ext_exprs']) {
    const { rows } = await superuser.query<{ name: string }>(
      `SELECT DISTINCT s.tablename AS name FROM ${view} AS s WHERE to_jsonb(s)::text LIKE '%' || $1 || '%'`,
      [text],
    );
    found.push(...rows.map(({ name }) => `${view} of ${name}`));
  }
  return found;
}

/** Rows and content of a tenant. */
async function remains(tenant: string): Promise<unknown> {
  const { rows } = await trail.superuser.query(
    `SELECT (SELECT md5(string_agg(r::text, '' ORDER BY r.id)) FROM llama.storage_records AS r WHERE r.tenant_id = $1) AS records,
            (SELECT md5(string_agg(a::text, '' ORDER BY a.sequence)) FROM llama.audit_trail AS a WHERE a.tenant_id = $1) AS trail`,
    [tenant],
  );
  return rows;
}

/** Files of relations, with their free space and indexes, that hold a text. */
async function files({ superuser }: Trail, text: string): Promise<readonly string[]> {
  await superuser.query('CHECKPOINT');
  const { rows } = await superuser.query<{ name: string; path: string }>(
    `SELECT c.oid::regclass::text AS name, current_setting('data_directory') || '/' || pg_relation_filepath(c.oid) AS path
       FROM pg_class AS c WHERE c.relkind IN ('r', 'm', 't', 'i') AND c.oid >= 16384 AND pg_relation_size(c.oid) > 0`,
  );
  return rows.filter(({ path }) => readFileSync(path).includes(text)).map(({ name }) => name);
}

const erase = (...args: readonly string[]) =>
  run(['erase', '--url', trail.database.url(), ...args], {
    LLAMA_DB_ERASURES: join(folder, 'erasures.jsonl'),
  });

describe('llama-db erase', () => {
  it('leaves no byte of a tenant in rows, dead rows, TOAST, the summary or statistics, and another tenant whole', async () => {
    await plant('acme', canary);
    await plant('other', 'keptWalrus');
    const before = await places(trail.superuser, canary);
    expect(before.length).toBeGreaterThan(8);
    for (const kind of ['pg_toast', 'pg_stats', 'audit_trail']) expect(before.join(), kind).toContain(kind);
    const kept = await remains('other');
    const done = await erase('--tenant', 'acme', '--confirm', 'acme', '--json');
    expect(done).toMatchObject({ code: 0 });
    expect(JSON.parse(done.stdout)).toMatchObject({
      ok: true,
      tenant: 'acme',
      rows: { 'llama.storage_records': 60, 'llama.model_metrics': 5, 'llama.tenant_configs': 1 },
      statistics: [],
      deadRows: 0,
    });
    expect(await places(trail.superuser, canary)).toEqual([]);
    expect(await remains('other')).toEqual(kept);
    await sealAll(trail);
    const { findings, erasures } = await verified(trail);
    expect(findings).toEqual([]);
    expect(erasures.every(({ tenant, reason }) => tenant === 'acme' && reason === 'tenant')).toBe(true);
    const printed = await run(['audit', 'verify', '--url', trail.database.url()]);
    expect(printed.stdout).toMatch(
      /Content erased: \d+ rows of tenant "acme" \(tenant\) by \S+ as \S+, last at 20/,
    );
    expect(readFileSync(join(folder, 'erasures.jsonl'), 'utf8')).toMatch(
      /^\{"tenant":"acme","scope":"tenant"/,
    );
  });

  it('leaves no byte in files of tables and indexes with --rewrite, even if no row of another tenant is left', async () => {
    await erase('--tenant', 'other', '--confirm', 'other', '--rewrite');
    expect(await places(trail.superuser, 'keptWalrus')).toEqual([]);
    expect(await files(trail, 'keptWalrus')).toEqual([]);
    expect(await files(trail, canary)).toEqual([]);
    await sealAll(trail);
    expect((await verified(trail)).findings).toEqual([]);
  });

  it('reports that dead rows stay while a transaction may read them, and removes them in the next run', async () => {
    await plant('read', 'stillRead');
    const reader = await trail.database.connect('superuser');
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM llama.storage_records');
    const first = await erase('--tenant', 'read', '--confirm', 'read', '--json');
    expect(JSON.parse(first.stdout).deadRows).toBeGreaterThan(60);
    expect(await places(trail.superuser, 'stillRead')).not.toEqual([]);
    await reader.query('COMMIT');
    const second = await erase('--tenant', 'read', '--confirm', 'read', '--json');
    expect(JSON.parse(second.stdout)).toMatchObject({ auditRows: 0, deadRows: 0 });
    expect(await places(trail.superuser, 'stillRead')).toEqual([]);
  });

  it('keeps the content of the trail while the tenant has rows, and completes the erasure in the next run', async () => {
    await plant('busy', 'writtenOn');
    await trail.superuser.query(
      `CREATE FUNCTION public.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE TRIGGER keep BEFORE DELETE ON llama.tenant_configs FOR EACH ROW EXECUTE FUNCTION public.keep()`,
    );
    expect(await erase('--tenant', 'busy', '--confirm', 'busy')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/llama\.tenant_configs.*erasure\/tenant-in-use/),
    });
    await trail.superuser.query('DROP FUNCTION public.keep() CASCADE');
    expect(await erase('--tenant', 'busy', '--confirm', 'busy')).toMatchObject({ code: 0 });
    expect(await places(trail.superuser, 'writtenOn')).toEqual([]);
  });

  it('refuses without confirmation, and with neither a tenant nor a list', async () => {
    expect(await erase('--tenant', 'acme')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('erasure/not-confirmed'),
    });
    expect(await erase()).toMatchObject({ code: 2 });
    expect(await erase('--again', join(folder, 'missing'))).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('erasure/list-unreadable'),
    });
  });

  it('repeats the erasures of the list after a restore has brought the rows back', async () => {
    await plant('acme', 'backAgain');
    writeFileSync(
      join(folder, 'list'),
      '{"tenant":"acme","scope":"tenant"}\n{"tenant":"unknown","scope":"keys"}\n',
    );
    const done = await erase('--again', join(folder, 'list'), '--json');
    expect(JSON.parse(done.stdout)).toMatchObject({ ok: true, erased: 2, failures: [] });
    expect(await places(trail.superuser, 'backAgain')).toEqual([]);
  });
});
