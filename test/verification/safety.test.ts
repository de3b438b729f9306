/** Verification of a server that is busy, read-only, unreachable or silent: it neither hangs nor blocks others. */
import net from 'node:net';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { migrationsDirectory } from '../../database/migrator/files.ts';
import { resolveTarget } from '../../database/target.ts';
import type { LocalPostgres } from '../../local/postgres/server.ts';
import type { Check } from '../../verification/check.ts';
import { evaluate, runChecks } from '../../verification/run.ts';
import { takeSnapshot } from '../../verification/snapshot/snapshot.ts';
import { verdictOf } from '../../verification/verdict.ts';
import { verify } from '../../verification/verify.ts';
import { databaseChecks, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

const reporter = { line: () => {}, warn: () => {} };

describe('beside a working application', () => {
  it('ends with an error after two seconds if a table is locked', async () => {
    const { superuser, server } = verified;
    await superuser.query('BEGIN; LOCK TABLE llama.storage_records IN ACCESS EXCLUSIVE MODE');
    try {
      const target = await resolveTarget({ url: server.url('migrator') }, {});
      await expect(verify(target, { reporter, migrationsDirectory })).rejects.toMatchObject({
        exitCode: 2,
        message: expect.stringMatching(/lock/),
      });
      // The verification leaves no session that waits.
      const { rows } = await superuser.query(
        "SELECT count(*)::int AS waiting FROM pg_stat_activity WHERE application_name ~ 'llama-db verify'",
      );
      expect(rows).toEqual([{ waiting: 0 }]);
    } finally {
      await superuser.query('ROLLBACK');
    }
  });

  it('takes no lock that blocks readers, writers or the creation of a partition', async () => {
    const { migrator, server } = verified;
    const worker = new pg.Client(server.connection('superuser'));
    await worker.connect();
    await worker.query("SET lock_timeout = '100ms'");
    let running = true;
    let rounds = 0;
    const work = (async () => {
      while (running) {
        await worker.query(`BEGIN; INSERT INTO llama.tenant_configs (tenant_id) VALUES ('worker');
          SET LOCAL ROLE llama_owner;
          SELECT llama.create_monthly_partition('model_metrics', (now() + interval '1 year')::date); ROLLBACK`);
        rounds += 1;
      }
    })();
    try {
      await runChecks({ client: migrator });
    } finally {
      running = false;
      await work;
      await worker.end();
    }
    expect(rounds).toBeGreaterThan(1);
  });

  it('takes a transaction id only for statements that it rolls back', async () => {
    const { superuser, migrator } = verified;
    const next = async () =>
      (await superuser.query<{ id: string }>('SELECT pg_snapshot_xmax(pg_current_snapshot()) AS id')).rows[0]
        ?.id;
    const readOnly = databaseChecks.filter(({ id }) => !/^(ISO|AUD)-05\d$|^ENC-/.test(id));
    const before = await next();
    const snapshot = await takeSnapshot(migrator);
    const results = await evaluate({ client: migrator, snapshot }, readOnly);
    expect(idsOf(results, 'passed').length).toBeGreaterThan(90);
    expect(await next()).toBe(before);
  });
});

describe('a standby', () => {
  let standby: LocalPostgres;
  beforeAll(async () => {
    standby = await verified.server.standby();
  });
  afterAll(() => standby.stop());

  it('is verified without writes: checks that write are skipped, and REP-001 fails', async () => {
    const target = await resolveTarget({ url: standby.url('migrator') }, {});
    const report = await verify(target, { reporter, migrationsDirectory });
    expect(idsOf(report.checks, 'failed')).toEqual(['REP-001']);
    const skipped = idsOf(report.checks, 'skipped');
    for (const id of ['ISO-050', 'ISO-051', 'ISO-054', 'AUD-050', 'AUD-051', 'ENC-002']) {
      expect(skipped).toContain(id);
    }
    expect(idsOf(report.checks, 'passed').length).toBeGreaterThan(80);
  });

  it('appears on its primary with its lag', async () => {
    const report = await runChecks({ client: verified.migrator }, { groups: ['replication'] });
    expect(idsOf(report.checks, 'failed')).toEqual([]);
    expect(idsOf(report.checks, 'passed')).toEqual(expect.arrayContaining(['REP-001', 'REP-003', 'REP-004']));
  });
});

function checkThat(run: Check['run']): Check {
  const [any] = databaseChecks;
  if (!any) throw new Error('the catalogue is empty');
  return { ...any, run };
}

describe('a check that fails with an error', () => {
  const answered = async (run: Check['run']) => {
    const snapshot = await takeSnapshot(verified.migrator);
    return evaluate({ client: verified.migrator, snapshot }, [checkThat(run)]);
  };

  it('could not read its facts if the server refuses its statement, and the exit status is 2', async () => {
    const checks = await answered(async ({ client }) => {
      await client.query("SELECT pg_catalog.pg_ls_dir('/')");
      return { status: 'passed', inspected: '' };
    });
    expect(checks[0]?.outcome).toEqual({
      status: 'skipped',
      reason: expect.stringContaining('permission denied for function pg_ls_dir'),
      blind: true,
    });
    const subject = { version: '17.10', login: 'reviewer', auditHead: null };
    const report = { subject, checks, counts: { passed: 0, failed: 0, skipped: 1 }, durationMs: 1 };
    expect(verdictOf(report)).toEqual({
      exitCode: 2,
      reasons: [
        expect.stringMatching(/^not inspected, could not read: permission denied .*: [A-Z]{3}-\d{3}$/),
      ],
    });
  });

  it('is defective for any other error, and the exit status is 2', async () => {
    const checks = await answered(() => {
      throw new TypeError('x is not a function');
    });
    const subject = { version: '17.10', login: 'reviewer', auditHead: null };
    const report = { subject, checks, counts: { passed: 0, failed: 0, skipped: 1 }, durationMs: 1 };
    expect(verdictOf(report)).toEqual({
      exitCode: 2,
      reasons: [
        `${checks[0]?.check.id}: this check is defective (TypeError: x is not a function); report it`,
      ],
    });
  });

  it('ends the run if the connection is lost', async () => {
    const client = new pg.Client(verified.server.connection('migrator'));
    client.on('error', () => {});
    await client.connect();
    const snapshot = await takeSnapshot(client);
    const cut = checkThat(async () => {
      await verified.superuser.query('SELECT pg_terminate_backend($1)', [Reflect.get(client, 'processID')]);
      await client.query('SELECT 1');
      return { status: 'passed', inspected: '' };
    });
    await expect(evaluate({ client, snapshot }, [cut])).rejects.toThrow();
  });
});

it('a run ends after its time limit if the server stops answering', async () => {
  const { server } = verified;
  // Forwards everything until the session is established, and nothing after that.
  let silent = false;
  const proxy = net.createServer((client) => {
    const upstream = net.connect(server.port, '127.0.0.1');
    const quiet = () => {};
    client.on('error', quiet).on('close', () => upstream.destroy());
    upstream.on('error', quiet).on('close', () => client.destroy());
    client.pipe(upstream);
    upstream.on('data', (data) => {
      if (!silent) client.write(data);
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const { port } = proxy.address() as net.AddressInfo;
  try {
    const target = await resolveTarget(
      { url: server.url('migrator').replace(`:${server.port}/`, `:${port}/`) },
      {},
    );
    const line = (text: string) => {
      silent ||= text.startsWith('Connected');
    };
    const started = performance.now();
    await expect(
      verify(target, { reporter: { ...reporter, line }, migrationsDirectory, timeLimitSeconds: 2 }),
    ).rejects.toMatchObject({ code: 'verify/timed-out', exitCode: 2 });
    expect(performance.now() - started).toBeLessThan(20_000);
  } finally {
    proxy.close();
  }
});
