import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { catalogue } from '../../verification/catalogue.ts';
import { parseSarif } from '../support/sarif.ts';
import { run } from './run.ts';

/** A separate server, because roles of other tests would be findings here. */
let server: LocalPostgres;
let url: string;
let folder: string;
beforeAll(async () => {
  server = await startPostgres({ databases: ['llama_mapper'] });
  url = server.url('migrator');
  folder = mkdtempSync(join(tmpdir(), 'llama-db-verify-'));
  expect(await run(['migrate', '--url', url])).toMatchObject({ code: 0 });
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await server.stop();
});

async function broken<Result>(sql: string, back: string, work: () => Promise<Result>): Promise<Result> {
  const { default: pg } = await import('pg');
  const client = new pg.Client(server.connection('superuser'));
  await client.connect();
  try {
    await client.query(sql);
    return await work();
  } finally {
    await client.query(back);
    await client.end();
  }
}

const open = 'ALTER TABLE llama.model_metrics NO FORCE ROW LEVEL SECURITY';
const closed = 'ALTER TABLE llama.model_metrics FORCE ROW LEVEL SECURITY';

describe('llama-db verify', () => {
  it('exits with 0 without findings, and lists skipped checks', async () => {
    const { code, stdout, stderr } = await run(['verify', '--url', url]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(/nothing found: \d+ passed, 0 failed, \d+ skipped of \d+ checks/);
    expect(stdout).toMatch(/^skipped +no deployment is known to compare with: [\s\S]*AZU-001/m);
    expect((await run(['verify', '--url', url, '--all'])).stdout).toContain('│ AZU-001 │ ');
  });

  it('exits with 1 for a finding with its object and remedy, and with 0 below --fail-on', async () => {
    await broken(open, closed, async () => {
      const found = await run(['verify', '--url', url]);
      expect(found.code).toBe(1);
      expect(found.stdout).toContain('ISO-002 │ high');
      expect(found.stdout).toContain('- llama.model_metrics: ');
      expect(found.stdout).toContain('Remedy: ALTER TABLE … FORCE ROW LEVEL SECURITY');
      const below = await run(['verify', '--url', url, '--group', 'isolation', '--fail-on', 'critical']);
      expect(below.code).toBe(0);
      expect(below.stdout).toContain('1 found');
    });
  });

  it('exits with 2 if a check of a required group is skipped', async () => {
    const { code, stdout } = await run(['verify', '--url', url, '--require', 'isolation,schedules']);
    expect(code).toBe(2);
    expect(stdout).toContain(
      'SCH-001 of required group schedules was skipped: pg_cron is not on this server',
    );
  });

  it('exits with 2 as a login that cannot read what the checks inspect, and says so', async () => {
    const sql = "CREATE ROLE app_login LOGIN PASSWORD 'p'; GRANT application_role TO app_login";
    await broken(sql, 'DROP ROLE app_login', async () => {
      const asApplication = new URL(url);
      asApplication.username = 'app_login';
      asApplication.password = 'p';
      const { code, stdout } = await run(['verify', '--url', asApplication.href]);
      expect(code).toBe(2);
      expect(stdout).toMatch(/incomplete, \d+ checks could not read what they inspect: \d+ passed/);
      expect(stdout).not.toContain('nothing found');
      expect(stdout).toMatch(/not inspected, .*permission denied to set role "llama_owner": LED-001/);
      const json = JSON.parse((await run(['verify', '--url', asApplication.href, '--json'])).stdout);
      expect(json).toMatchObject({ ok: false });
      const one = ['verify', '--url', asApplication.href, '--only', 'ISO-001'];
      expect((await run(one)).code).toBe(0);
    });
  });

  it('exits with 2 and one line if it cannot connect', async () => {
    const { code, stderr } = await run(['verify', '--url', url.replace(/:[^:@]+@/, ':wrong@')]);
    expect(code).toBe(2);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });

  it('prints one JSON document on stdout, progress on stderr', async () => {
    const { code, stdout, stderr } = await run(['verify', '--url', url, '--json']);
    expect(code).toBe(0);
    const document = JSON.parse(stdout);
    expect(document).toMatchObject({ ok: true, format: 2, counts: { failed: 0 } });
    expect(document.checks).toHaveLength(catalogue.length);
    expect(stderr).toContain('Connected to');
  });

  it.each(['junit', 'sarif', 'html'])('writes %s to a file, and the sums to the terminal', async (format) => {
    const file = join(folder, `report.${format}`);
    const args = [
      'verify',
      '--url',
      url,
      '--group',
      'isolation,ledger',
      '--format',
      format,
      '--output',
      file,
    ];
    const { code, stdout } = await run(args);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\d+ passed, 0 failed, 0 skipped/);
    expect(readFileSync(file, 'utf8')).toContain('ISO-001');
    expect(readFileSync(file, 'utf8')).not.toContain('SCH-001');
    if (format === 'sarif') expect(parseSarif(readFileSync(file, 'utf8')).runs).toHaveLength(1);
    expect(readFileSync(file, 'utf8')).not.toContain(server.passwords.migrator);
  });

  it('compares with the schema manifest', async () => {
    const { code, stdout } = await run(['verify', '--url', url, '--group', 'drift', '--all']);
    expect(code).toBe(0);
    expect(stdout).toContain('of the manifest (PostgreSQL');
    expect(stdout).toMatch(/drift +\d+ passed\n/);
    const change = "COMMENT ON SCHEMA llama IS 'changed by hand'";
    await broken(change, 'COMMENT ON SCHEMA llama IS NULL', async () => {
      const found = await run(['verify', '--url', url, '--group', 'drift', '--fail-on', 'low']);
      expect(found.code).toBe(1);
      expect(found.stdout).toMatch(/schema llama.*changed by hand/);
    });
  });

  it('refuses a group or check that does not exist', async () => {
    expect(await run(['verify', '--url', url, '--group', 'colours'])).toMatchObject({
      code: 2,
    });
    const { code, stderr } = await run(['verify', '--url', url, '--only', 'ISO-999']);
    expect(code).toBe(2);
    expect(stderr).toMatch(/ISO-999.*\[verify\/unknown-check\]/);
    const none = await run(['verify', '--url', url, '--only', 'ISO-001', '--group', 'audit']);
    expect(none.code).toBe(2);
    expect(none.stderr).toMatch(/group audit.*ISO-001.*\[verify\/no-check-selected\]/);
  });

  it('refuses an output file that it cannot write before it connects', async () => {
    const output = join(folder, 'no folder', 'report.html');
    const { code, stderr } = await run(['verify', '--url', url, '--output', output]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/no such file.*\[verify\/report-not-writable\]/);
    expect(stderr).not.toContain('Connected');
  });
});

describe('llama-db explain', () => {
  it.each(['iso-006', 'tenant-tables-have-floor-policy'])(
    'explains a check by id or name: %s',
    async (asked) => {
      const { code, stdout } = await run(['explain', asked]);
      expect(code).toBe(0);
      for (const word of [
        'ISO-006',
        'Severity   critical',
        'Name       tenant-tables-have-floor-policy',
        'Inspects',
        'Why',
        'Remedy',
        'Source',
      ]) {
        expect(stdout).toContain(word);
      }
    },
  );

  it('lists every check without an argument', async () => {
    const { stdout } = await run(['explain']);
    expect(stdout.trim().split('\n')).toHaveLength(catalogue.length);
  });

  it('refuses a check that does not exist', async () => {
    expect(await run(['explain', 'XYZ-001'])).toMatchObject({ code: 2, stdout: '' });
  });
});
