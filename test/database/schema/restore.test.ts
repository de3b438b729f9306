// Duration: 60 s
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { within } from '../../../local/postgres/bootstrap.ts';
import { binariesOf } from '../../../local/postgres/installation.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { run } from '../../commands/run.ts';
import { runTool, whyNoTools } from '../../support/postgres-tools.ts';

const missing = whyNoTools();
const folder = mkdtempSync(join(tmpdir(), 'restore-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

const record = (tenant: string) => `
  BEGIN;
  SET LOCAL ROLE application_role;
  SELECT llama.set_tenant_context('${tenant}');
  INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type, encrypted, confidence_score)
    VALUES ('${tenant}', repeat('a', 64), '{}', 'v', 'd', false, 0.5);
  UPDATE llama.storage_records SET detector_type = 'e';
  COMMIT`;

/** PyPI's programs of version 18 have no TLS. */
async function allowClear(server: LocalPostgres): Promise<void> {
  appendFileSync(join(server.dataDirectory, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
  await within(server.connection('superuser'), (client) => client.query('SELECT pg_reload_conf()'));
}

function clear(server: LocalPostgres): string {
  const url = new URL(server.url('migrator'));
  url.searchParams.delete('sslrootcert');
  url.searchParams.set('sslmode', 'disable');
  return url.href;
}

/** Findings of `llama-db verify`: ids. */
async function verified(url: string): Promise<readonly string[]> {
  const { stdout, stderr } = await run(['verify', '--url', url, '--json']);
  const report = JSON.parse(stdout || `{"broken": ${JSON.stringify(stderr)}}`);
  return report.checks
    .filter(({ status }: { status: string }) => status === 'failed')
    .map(({ id }: { id: string }) => id);
}

const head = async (url: string) => (await run(['audit', 'head', '--url', url])).stdout.trim();

describe.skipIf(missing)(`a logical dump${missing ? ` (${missing})` : ''}`, () => {
  describe.each([17, 18] as const)('of PostgreSQL %i', (major) => {
    let source: LocalPostgres;
    let target: LocalPostgres;
    const dump = join(folder, `${major}.dump`);
    const ask = (server: LocalPostgres, sql: string, who: 'migrator' | 'superuser' = 'migrator') =>
      within(server.connection(who), (client) => client.query(sql));

    beforeAll(async () => {
      const binaries = await binariesOf(major);
      [source, target] = await Promise.all([
        startPostgres({ binaries, databases: ['llama_mapper'] }),
        startPostgres({ binaries, databases: ['llama_mapper'] }),
      ]);
      await Promise.all([source, target].map(allowClear));
      await run(['migrate', '--url', source.url('migrator')]);
      for (const tenant of ['acme', 'other']) await ask(source, record(tenant));
      for (let round = 0; round < 2; round += 1)
        await run(['audit', 'seal', '--url', source.url('migrator')]);
    }, 120_000);
    afterAll(() => Promise.all([source?.stop(), target?.stop()]));

    it('by the administrator fails, and with --enable-row-security has no rows', async () => {
      const refused = await runTool(major, 'pg_dump', ['-Fc', '-f', dump, clear(source)]);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(/row-level security/);
    });

    it('by a role that bypasses row-level security, restored by an administrator, is repaired and goes on', async () => {
      // As on Azure from version 16 on.
      await ask(source, `ALTER ROLE ${source.administrator} BYPASSRLS`, 'superuser');
      await ask(
        source,
        `CREATE ROLE llama_dump NOLOGIN BYPASSRLS;
         GRANT llama_owner TO llama_dump WITH INHERIT TRUE;
         GRANT llama_dump TO CURRENT_USER WITH INHERIT FALSE, SET TRUE`,
      );
      const dumped = await runTool(major, 'pg_dump', [
        '-Fc',
        '--role=llama_dump',
        '-f',
        dump,
        clear(source),
      ]);
      expect(dumped).toEqual({ code: 0, stderr: '' });

      const url = target.url('migrator');
      const prepared = await run(['repair', '--before-restore', '--yes', '--url', url]);
      expect([prepared.code, prepared.stderr], prepared.stdout).toEqual([0, '']);
      const restored = await runTool(major, 'pg_restore', ['--no-owner', '--exit-on-error', '-d', clear(target), dump]);
      expect(restored).toEqual({ code: 0, stderr: '' });

      const dry = await run(['repair', '--dry-run', '--url', url]);
      expect(dry.stdout).toMatch(/^ALTER ROUTINE llama\.write_audit\(\) OWNER TO audit_writer;$/m);
      const repaired = await run(['repair', '--yes', '--url', url]);
      expect([repaired.code, repaired.stderr], repaired.stdout).toEqual([0, '']);
      expect((await run(['repair', '--yes', '--url', url])).stdout).toMatch(
        /are as the migrations make them/,
      );
      await run(['maintain', '--url', url]);
      expect(await verified(url)).toEqual([]);

      const trail = await run([
        'audit',
        'verify',
        '--url',
        url,
        '--expect',
        await head(source.url('migrator')),
      ]);
      expect([trail.code, trail.stdout]).toEqual([0, expect.stringMatching(/intact/i)]);
      await ask(target, record('acme'));
      for (let round = 0; round < 2; round += 1) await run(['audit', 'seal', '--url', url]);
      expect(await head(url)).not.toBe(await head(source.url('migrator')));
      expect((await run(['audit', 'verify', '--url', url])).code).toBe(0);
      const { rows } = await ask(
        target,
        'SET ROLE admin_role; SELECT count(*)::int AS n FROM llama.storage_records',
      ).then((answers) => (answers as unknown as { rows: { n: number }[] }[])[1] ?? { rows: [] });
      expect(rows).toEqual([{ n: 3 }]);
    }, 240_000);
  });
});
