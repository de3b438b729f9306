import { readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { issueCertificate } from '../../local/postgres/certificates.ts';
import { whyNoSmallDisk } from '../../local/postgres/disk.ts';
import { startPostgres } from '../../local/postgres/server.ts';
import { freshDatabase, migratedDatabase, type TestDatabase } from '../support/postgres.ts';
import { type Finished, migrationsCopy, run, start } from './run.ts';

/** Provokes each fault through the real command line, removes its cause, and runs the command again. */
const databases: TestDatabase[] = [];

async function fresh(): Promise<TestDatabase> {
  const database = await freshDatabase();
  databases.push(database);
  return database;
}

/** A database in use: deployed, with a row that must survive every fault. Its migrations are a copy, which saves their time. */
async function lived(): Promise<TestDatabase> {
  const database = await migratedDatabase();
  databases.push(database);
  expectDone(await deploy(database.url()));
  await database.query('superuser', "CREATE TABLE public.kept AS SELECT 'row'::text AS what");
  return database;
}

afterAll(async () => {
  for (const database of databases) await database.drop();
});

const deploy = (url: string, ...more: string[]) => run(['post-deploy', '--url', url, ...more]);

/** Expects one line on stderr, with these values and the code of the fault, and no stack. */
function expectFault(finished: Finished, exitCode: number, code: string, values: RegExp): void {
  const lines = finished.stderr.trimEnd().split('\n');
  expect(lines, finished.stderr).toHaveLength(1);
  expect(lines[0]).toMatch(values);
  expect(lines[0]?.endsWith(` [${code}]`), lines[0]).toBe(true);
  expect(finished.stderr).not.toMatch(/^\s+at |defect/m);
  expect(finished.code).toBe(exitCode);
}

function expectDone(finished: Finished): void {
  expect(finished.stderr).toBe('');
  expect(finished.code, finished.stdout).toBe(0);
  expect(finished.stdout).toMatch(/^Done: /m);
}

async function applied(database: TestDatabase): Promise<number> {
  const rows = await database.query<{ count: number }>(
    'superuser',
    "SELECT count(*)::int FROM llama.schema_migrations WHERE direction = 'up' AND outcome = 'applied'",
  );
  return rows[0]?.count ?? 0;
}

const kept = (database: TestDatabase) => database.query('superuser', 'SELECT what FROM public.kept');

describe('PostgreSQL', () => {
  it('unreachable: is refused, and the same command succeeds once the server listens', async () => {
    const port = await freePort();
    const { caFile } = inject('postgres');
    const url = `postgresql://somebody:hunter22@localhost:${port}/llama?sslrootcert=${encodeURIComponent(caFile)}`;
    const finished = await deploy(url);
    expectFault(finished, 2, 'connection/refused', /^localhost:\d+, database llama /);
    expect(finished.stdout).toMatch(/retrying \(1 of 3\)/);

    const database = await fresh();
    const closed = database.url().replace(`:${database.server.port}/`, `:${port}/`);
    const waiting = start(['post-deploy', '--url', closed]);
    await expect.poll(() => waiting.printed(), { timeout: 10_000 }).toMatch(/retrying/);
    const forwarder = await forward(port, database.server.port);
    try {
      expectDone(await waiting.finished);
    } finally {
      await forwarder.close();
    }
  });

  it('unknown to DNS: the remedy names --host-address', async () => {
    const url = 'postgresql://somebody:hunter22@no-such-server.invalid/llama';
    const finished = await deploy(url);
    // Without a name server, DNS does not answer at all.
    const code = finished.stderr.includes('[connection/dns-unavailable]')
      ? 'connection/dns-unavailable'
      : 'connection/host-unknown';
    expectFault(finished, 2, code, /no-such-server\.invalid:5432.*--host-address/);
  });

  it('with a wrong password: makes no second attempt, prints no password', async () => {
    const database = await fresh();
    const { administrator } = database.server;
    const finished = await deploy(database.url({ user: administrator, password: 'not-the-password' }));
    expectFault(
      finished,
      2,
      'connection/login-refused',
      /database_admins: password authentication failed.*PGPASSWORD/,
    );
    expect(finished.stdout).toBe('');
    expect(finished.stderr).not.toContain('not-the-password');
    expectDone(await deploy(database.url()));
  });

  it('with an expired certificate, until it is renewed', async () => {
    const server = await startPostgres({ databases: ['llama'], certificate: { expired: true } });
    try {
      expectFault(await deploy(server.url('migrator')), 2, 'tls/certificate-expired', /Renew/);
      const renewed = await issueCertificate(['localhost', '127.0.0.1']);
      writeFileSync(join(server.dataDirectory, 'server.crt'), renewed.certificate);
      writeFileSync(join(server.dataDirectory, 'server.key'), renewed.privateKey);
      writeFileSync(server.caFile, renewed.authority);
      await server.restart();
      expectDone(await deploy(server.url('migrator')));
    } finally {
      await server.stop();
    }
  });

  it('with a certificate for another host, until the right name is used', async () => {
    const database = await fresh();
    const wrong = database.url('migrator', { host: 'elsewhere.postgres.database.azure.com' });
    expectFault(
      await deploy(wrong),
      2,
      'tls/certificate-for-another-host',
      /elsewhere\.postgres\.database\.azure\.com/,
    );
    const [name = ''] = database.server.hostNames;
    expectDone(await deploy(database.url('migrator', { host: name })));
  });

  it('with a certificate of an unknown authority, until the authority is named', async () => {
    const database = await fresh();
    const url = new URL(database.url());
    url.searchParams.delete('sslrootcert');
    expectFault(await deploy(url.href), 2, 'tls/unknown-authority', /PGSSLROOTCERT/);
    expectDone(await run(['post-deploy', '--url', url.href], { PGSSLROOTCERT: database.server.caFile }));
  });

  it('in recovery: the remedy names the writer, which accepts the deployment', async () => {
    const primaryHost = 'llama-primary.postgres.database.azure.com';
    const replicaHost = 'llama-replica.postgres.database.azure.com';
    const primary = await startPostgres({ databases: ['llama'], hostNames: [primaryHost] });
    const standby = await primary.standby({ hostNames: [replicaHost] });
    try {
      const environment = (writer: 'primary' | 'replica', port: number, authority: string) => ({
        LLAMA_DB_DEPLOYMENT: JSON.stringify({
          environment: 'production',
          primary: { host: primaryHost },
          replica: { host: replicaHost },
          writer,
          database: 'llama',
          version: 17,
          administrator: primary.administrator,
          authentication: 'password',
          extensions: [],
          parameters: {},
          logins: [],
          pools: [],
          partitions: { monthsAhead: 3, retentionDays: {} },
        }),
        PGHOSTADDR: '127.0.0.1',
        PGPORT: String(port),
        PGPASSWORD: primary.passwords.migrator,
        PGSSLROOTCERT: authority,
      });
      const misled = await run(['post-deploy'], environment('replica', standby.port, standby.caFile));
      expectFault(
        misled,
        2,
        'connection/server-in-recovery',
        /writer, llama-primary\.postgres\.database\.azure\.com/,
      );
      // The address of the writer does not lead to the replica. The command reports that and continues.
      const right = await run(['post-deploy'], environment('primary', primary.port, primary.caFile));
      expect(right.stdout).toMatch(/Replica llama-replica\S+ is not inspected/);
      expectDone(right);
    } finally {
      await standby.stop();
      await primary.stop();
    }
  });

  it('with a full disk: the step is rolled back, and the next run finishes', async (context) => {
    const reason = whyNoSmallDisk();
    if (reason) context.skip(reason);
    const server = await startPostgres({ databases: ['llama'], diskSize: 200 });
    const migrations = migrationsCopy();
    try {
      expectDone(await deploy(server.url('migrator'), '--migrations', migrations.directory));
      migrations.write(
        '9001_grows.sql',
        '-- Up Migration\nCREATE TABLE llama.grown AS SELECT repeat(md5(n::text), 200) AS filling FROM generate_series(1, 40000) AS n;\nDELETE FROM llama.grown;\n',
      );
      server.disk?.fill(2 * 1024 * 1024);
      const finished = await deploy(server.url('migrator'), '--migrations', migrations.directory);
      expectFault(finished, 1, 'server/disk-full', /9001_grows failed .*No space left/);
      server.disk?.empty();
      const again = await deploy(
        server.url('migrator'),
        '--migrations',
        migrations.directory,
        '--fail-on',
        'critical',
      );
      expect(again.stdout).toMatch(/^Applied 9001_grows/m);
      expectDone(again);
    } finally {
      migrations.drop();
      await server.stop();
    }
  });
});

describe('the history', () => {
  it('with its lock held by another run: waits, names the holder, gives up, succeeds later', async () => {
    const database = await lived();
    const other = await database.connect('migrator');
    await other.query("SET application_name = 'llama-db post-deploy (build-7 4711)'");
    await other.query('SELECT pg_advisory_lock(7241865325823964)');
    const finished = await deploy(database.url(), '--lock-wait', '1');
    expectFault(
      finished,
      1,
      'lock/held-by-another',
      /backend \d+, llama-db post-deploy \(build-7 4711\), login database_admins, connected since \d{4}-.*waited 1\.\d s.*--lock-wait/,
    );
    expect(finished.stdout).toMatch(/^Waiting for another run to finish: /m);
    await other.query('SELECT pg_advisory_unlock(7241865325823964)');
    expectDone(await deploy(database.url()));
    expect(await kept(database)).toEqual([{ what: 'row' }]);
  });

  it('with an edited migration: names it, and continues once it is restored', async () => {
    const database = await lived();
    const migrations = migrationsCopy();
    try {
      const before = await applied(database);
      const path = `${migrations.directory}/0003_tables.sql`;
      const original = readFileSync(path, 'utf8');
      migrations.write('0003_tables.sql', original.replace('tenant_id', 'tenant_name'));
      const finished = await deploy(database.url(), '--migrations', migrations.directory);
      expectFault(finished, 1, 'migration/edited', /0003_tables.*applied [0-9a-f]{64}, file/);
      expect(await applied(database)).toBe(before);
      migrations.write('0003_tables.sql', original);
      expectDone(await deploy(database.url(), '--migrations', migrations.directory));
      expect(await kept(database)).toEqual([{ what: 'row' }]);
    } finally {
      migrations.drop();
    }
  });

  it('with a failing migration: it is rolled back, and applied after a correction', async () => {
    const database = await lived();
    const migrations = migrationsCopy();
    try {
      const before = await applied(database);
      migrations.write(
        '9001_half.sql',
        '-- Up Migration\nDELETE FROM public.kept;\nALTER TABLE llama.tenant_configs ADD half text;\nSELECT nonsense();\n',
      );
      const finished = await deploy(database.url(), '--migrations', migrations.directory);
      // The owner has no privilege on public.kept, so the first statement fails.
      expectFault(
        finished,
        1,
        'server/permission-denied',
        /^Migration 9001_half failed \(.*9001_half\.sql.*\): .*permission denied for/,
      );
      migrations.write(
        '9001_half.sql',
        '-- run as: login\n-- Up Migration\nCREATE TABLE public.half (id int);\nSELECT nonsense();\n',
      );
      const further = await deploy(database.url(), '--migrations', migrations.directory);
      expectFault(
        further,
        1,
        'server/error',
        /^Migration 9001_half failed \(.*9001_half\.sql:4\): .*nonsense\(\) does not exist/,
      );
      expect(await database.query('superuser', "SELECT to_regclass('public.half')::text AS it")).toEqual([
        { it: null },
      ]);
      expect(await applied(database)).toBe(before);
      expect(await kept(database)).toEqual([{ what: 'row' }]);
      migrations.write(
        '9001_half.sql',
        '-- run as: login\n-- Up Migration\nCREATE TABLE public.half (id int);\nDROP TABLE public.half;\n',
      );
      expectDone(await deploy(database.url(), '--migrations', migrations.directory));
      expect(await applied(database)).toBe(before + 1);
    } finally {
      migrations.drop();
    }
  });
});

describe('verification', () => {
  it('that finds an open table fails the step after recording it; the next run is clean', async () => {
    const database = await lived();
    await database.query('superuser', 'ALTER TABLE llama.storage_records NO FORCE ROW LEVEL SECURITY');
    const finished = await deploy(database.url());
    expect(finished.code, finished.stderr).toBe(1);
    expect(finished.stderr).toMatch(/^Deployed .*: \d+ at high or above.*llama-db verify.* \[\S+\/\S+\]\n$/);
    expect(finished.stdout).toMatch(/^Note: [A-Z]+-\d+ \((critical|high)\) .*llama\.storage_records/m);
    await database.query('superuser', 'ALTER TABLE llama.storage_records FORCE ROW LEVEL SECURITY');
    expectDone(await deploy(database.url()));
    const outcomes = await database.query(
      'superuser',
      'SELECT outcome, checks_failed > 0 AS failed, checks_passed > 0 AS passed FROM llama.releases ORDER BY id',
    );
    expect(outcomes).toEqual([
      { outcome: 'verified', failed: false, passed: true },
      { outcome: 'findings', failed: true, passed: true },
      { outcome: 'verified', failed: false, passed: true },
    ]);
  });
});

describe('a program', () => {
  it('gets the fault as JSON on stdout, beside the line on stderr', async () => {
    const database = await fresh();
    const { administrator } = database.server;
    const finished = await deploy(database.url({ user: administrator, password: 'wrong-one' }), '--json');
    expect(finished.code).toBe(2);
    expect(JSON.parse(finished.stdout)).toEqual({
      ok: false,
      error: {
        code: 'connection/login-refused',
        what: expect.stringContaining(administrator),
        why: expect.stringMatching(/password authentication failed/),
        remedy: expect.stringContaining('PGPASSWORD'),
      },
    });
    expect(finished.stderr.trimEnd().split('\n')).toHaveLength(1);
  });

  it('gets the result as JSON on stdout alone', async () => {
    const database = await fresh();
    const finished = await deploy(database.url(), '--json');
    expect(finished.code, finished.stderr).toBe(0);
    expect(JSON.parse(finished.stdout)).toMatchObject({
      ok: true,
      applied: expect.arrayContaining(['0001_extensions', '0003_tables']),
      restarted: false,
      schedules: 'skipped',
    });
    expect(finished.stderr).toMatch(/^Connected to /m);
  });

  it('gets exit status 2 for bad usage', async () => {
    expect(await run(['nonsense'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: "Bad usage: unknown command 'nonsense'. Run llama-db --help.\n",
    });
    expect(await run(['status', '--nonsense'])).toMatchObject({
      code: 2,
      stderr: "Bad usage: unknown option '--nonsense'. Run llama-db status --help.\n",
    });
    expect((await run(['migrate', '--lock-wait', 'soon'])).stderr).toMatch(/whole number/);
    const unknown = await run(['status', 'nowhere']);
    expectFault(unknown, 2, 'environment/unknown', /nowhere.*development, .*production/);
    const help = await run(['rollback', '--help']);
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(/Example: llama-db rollback .*Exit status: 0 /s);
  });

  it('gets the stack only with --debug', async () => {
    const args = ['status', '--url', 'postgresql://u:hunter22@localhost:1/d'];
    const debugged = await run([...args, '--debug']);
    expect(debugged.stderr).toMatch(/^\s+at /m);
    expect(debugged.stderr).not.toContain('hunter22');
  });
});

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('a listening socket has a port');
  return address.port;
}

/** Listens on one port of this machine and passes everything on to another. */
async function forward(from: number, to: number): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((incoming) => {
    const outgoing = connect(to, '127.0.0.1');
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(from, '127.0.0.1', resolve));
  return {
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
