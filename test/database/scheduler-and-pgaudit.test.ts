/** The real pg_cron and pgaudit, on the one server that has them. Other tests replace them or run without them. */
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { roleChangeQuery } from '../../constructs/log-alerts.ts';
import { synchronise } from '../../database/schedules.ts';
import { checks as scheduleChecks } from '../../verification/checks/schedules.ts';
import { evaluate } from '../../verification/run.ts';
import { takeSnapshot } from '../../verification/snapshot/snapshot.ts';
import { type DebianPostgres, startDebianPostgres, whyNoDebianPostgres } from '../support/debian.ts';
import { environments } from '../support/environments.ts';

const reason = whyNoDebianPostgres();

/** The logging parameters of production, in the syntax of postgresql.conf. */
function productionLogging(): Record<string, string> {
  const { parameters } = environments.named('production').servers.primary;
  return Object.fromEntries(
    [...parameters].filter(
      ([name]) =>
        name.startsWith('pgaudit.') ||
        /^log_(statement|min_duration_statement|parameter|line_prefix)/.test(name),
    ),
  );
}

/** Applies the operators of the alert's query to lines of the log: the logins that it reports. */
function reported(lines: readonly string[], administrators: readonly string[]): string[] {
  const query = roleChangeQuery({ servers: ['production'], administrators });
  const text = (pattern: RegExp) => JSON.parse(pattern.exec(query)?.[1] ?? '""');
  const message = new RegExp(text(/matches regex (".*")/));
  const login = new RegExp(text(/extract\((".*"), 1/));
  const excepted: string[] = JSON.parse(`[${/!in \((.*)\)/.exec(query)?.[1]}]`);
  return lines
    .filter((line) => message.test(line))
    .map((line) => login.exec(line)?.[1] ?? '')
    .filter((name) => !excepted.includes(name));
}

describe('pg_cron and pgaudit', () => {
  let server: DebianPostgres;
  let superuser: pg.Client;
  let app: pg.Client;
  let deployer: pg.Client;
  let scheduledAt = 0;

  beforeAll(async () => {
    if (reason) return;
    server = await startDebianPostgres(productionLogging());
    superuser = await server.connect();
    await superuser.query(`
      CREATE EXTENSION pgaudit;
      CREATE EXTENSION pg_cron;
      CREATE ROLE deployer LOGIN;
      CREATE ROLE mapper LOGIN;
      GRANT llama_owner, maintenance_role, admin_role TO deployer;
      GRANT application_role TO mapper;
      GRANT USAGE ON SCHEMA cron TO deployer;
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA cron TO deployer`);
    app = await server.connect('mapper');
    await app.query("SELECT set_config('app.current_tenant_id', 'alpha', false)");
    deployer = await server.connect('deployer');
    await deployer.query('SELECT pg_catalog.set_config($1, $2, false)', ['search_path', '']);
    const { rows } = await deployer.query<{ name: string; schedule: string; command: string }>(
      `SELECT job_name AS name, schedule, command FROM llama.scheduled_jobs()`,
    );
    await app.query(
      `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
       VALUES ('alpha', 'h', '{}', 'm', 'd')`,
    );
    // The state after a run one minute ago.
    await deployer.query('SET ROLE maintenance_role; SELECT llama.seal_audit_trail(); RESET ROLE');
    await synchronise({ client: deployer }, 'llama', rows);
    scheduledAt = Date.now();
  });
  afterAll(() => server?.stop());

  const logged = async (work: () => Promise<unknown>) => {
    const before = server.log().length;
    await work();
    await sleep(100);
    return server
      .log()
      .slice(before)
      .split('\n')
      .filter((line) => line.includes('AUDIT:'));
  };

  it('log a read of tenant data with the table and without values', async (context) => {
    if (reason) return context.skip(reason);
    const lines = await logged(() =>
      app.query(
        'SELECT mapped_data FROM llama.storage_records WHERE source_data_hash = $1 AND s3_key IS DISTINCT FROM $2',
        ['canary-4f7b', 'canary-90aa'],
      ),
    );
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('AUDIT: SESSION,');
    expect(lines[0]).toContain(',READ,SELECT,,,SELECT mapped_data FROM llama.storage_records WHERE');
    expect(server.log()).not.toContain('canary-');
  });

  it.each([
    'ALTER ROLE CURRENT_USER SET row_security = off',
    "ALTER USER mapper SET local_preload_libraries = ''",
    "alter role mapper in database llama set statement_timeout = '1ms'",
    '/* ALTER */ ALTER ROLE SESSION_USER RESET ALL',
    "ALTER ROLE mapper PASSWORD 'another'",
    "DO $$ BEGIN EXECUTE 'ALTER ' || 'ROLE mapper SET work_mem = 64'; END $$",
    'PREPARE nothing AS SELECT 1; ALTER ROLE mapper RESET work_mem; DEALLOCATE nothing',
    "SET application_name = 'user=deployer,db=x'; ALTER ROLE mapper RESET ALL",
    'ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC',
    'DROP OWNED BY mapper',
  ])('the alert reports %s of the application, and not of an administrator', async (statement) => {
    if (reason) return;
    const lines = await logged(() => app.query(statement));
    expect(reported(lines, ['deployer'])).toEqual(['mapper']);
    expect(reported(lines, ['mapper'])).toEqual([]);
  });

  it('the alert reports no ordinary statement', async (context) => {
    if (reason) return context.skip(reason);
    const lines = await logged(async () => {
      await app.query("SELECT 'AUDIT: ALTER ROLE', mapped_data FROM llama.storage_records");
      await deployer.query('SET ROLE maintenance_role; SELECT llama.seal_audit_trail(); RESET ROLE');
      await app.query('CREATE TEMPORARY TABLE scratch (a int); DROP TABLE scratch').catch(() => undefined);
    });
    expect(lines.length).toBeGreaterThan(0);
    expect(reported(lines, [])).toEqual([]);
  });

  it('log no password of a role', async (context) => {
    if (reason) return context.skip(reason);
    const before = server.log().length;
    const lines = await logged(() => app.query("ALTER ROLE mapper PASSWORD 'never in a log'"));
    expect(lines.join()).toContain('ALTER ROLE');
    expect(server.log().slice(before)).not.toContain('never in a log');
  });

  it('log no change of tenant data, which the trail records', async (context) => {
    if (reason) return context.skip(reason);
    const count = async () =>
      (await superuser.query('SELECT count(*)::int AS n FROM llama.audit_trail')).rows[0].n;
    const before = await count();
    const lines = await logged(async () => {
      await app.query(`UPDATE llama.storage_records SET detector_type = 'changed'`);
      await app.query(
        `INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
         VALUES ('alpha', 'h2', '{}', 'm', 'd')`,
      );
      await app.query(`DELETE FROM llama.storage_records WHERE source_data_hash = 'h2'`);
    });
    expect(lines).toEqual([]);
    expect(await count()).toBe(before + 3);
  });

  it('log each change of roles and of the schema', async (context) => {
    if (reason) return context.skip(reason);
    const lines = await logged(() =>
      superuser.query(
        'CREATE ROLE audited NOLOGIN; CREATE TABLE public.audited (n int); DROP TABLE public.audited',
      ),
    );
    expect(lines.map((line) => line.replace(/.*SESSION,\d+,\d+,(\w+,[\w ]+),.*/, '$1'))).toEqual([
      'ROLE,CREATE ROLE',
      'DDL,CREATE TABLE',
      'DDL,DROP TABLE',
    ]);
  });

  it('run the jobs as scheduled, including sealing, and verification finds them', async (context) => {
    if (reason) return context.skip(reason);
    const runs = async () =>
      (
        await superuser.query<{ status: string; return_message: string }>(
          `SELECT d.status, d.return_message FROM cron.job_run_details d JOIN cron.job j USING (jobid)
            WHERE j.jobname = 'llama: seal-audit-trail' AND d.end_time IS NOT NULL`,
        )
      ).rows;
    while ((await runs()).length === 0 && Date.now() - scheduledAt < 130_000) await sleep(250);
    expect(await runs()).toMatchObject([{ status: 'succeeded' }]);
    const { rows: seals } = await superuser.query(
      `SELECT kind, first_sequence::int AS first, last_sequence::int AS last, row_count::int AS rows
         FROM llama.audit_seals WHERE number = 1`,
    );
    expect(seals).toEqual([{ kind: 'rows', first: 1, last: 1, rows: 1 }]);

    const snapshot = await takeSnapshot(deployer);
    const ids = ['SCH-001', 'SCH-002', 'SCH-003', 'SCH-004'];
    const checks = scheduleChecks.filter(({ id }) => ids.includes(id));
    const judged = async () =>
      (await evaluate({ client: deployer, snapshot: await takeSnapshot(deployer) }, checks)).map(
        ({ check, outcome }) => [check.id, outcome.status],
      );
    expect('jobs' in snapshot.cron && snapshot.cron.jobs.length).toBeGreaterThan(4);
    expect(await judged()).toEqual(ids.map((id) => [id, 'passed']));
    // The login may delete the records of its own jobs.
    const { rows: prune } = await deployer.query(
      `SELECT command FROM cron.job WHERE jobname = 'llama: prune-job-history'`,
    );
    await superuser.query(`UPDATE cron.job_run_details SET end_time = now() - interval '31 days'`);
    expect((await deployer.query(prune[0].command)).rowCount).toBeGreaterThan(0);
    await deployer.query(`SELECT cron.unschedule('llama: seal-audit-trail')`);
    expect(await judged()).toContainEqual(['SCH-001', 'failed']);
  }, 150_000);
});
