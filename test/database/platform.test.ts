import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
/** Objects of the whole server. Each test has a server of its own; SQL functions stand in for those that only Azure has. */
import pg from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { parseHead } from '../../database/audit/seals.ts';
import { verifyTrail } from '../../database/audit/verify.ts';
import type { Deployment } from '../../database/deployment.ts';
import { scramVerifier } from '../../database/principals.ts';
import { resolveTarget } from '../../database/target.ts';
import { type LocalPostgres, startPostgres } from '../../local/postgres/server.ts';
import { type PostDeployOptions, postDeploy } from '../../pipeline/release/post-deploy.ts';

let server: LocalPostgres;
let lines: string[];

beforeAll(async () => {
  server = await startPostgres({ databases: ['llama'] });
  lines = [];
  await deploy({});
});

afterAll(() => server.stop());

beforeEach(() => {
  lines = [];
});

async function ask<Row extends object>(database: string, sql: string): Promise<Row[]> {
  const client = new pg.Client(server.connection('superuser', { database }));
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

const app = {
  name: 'llama-mapper-app',
  objectId: '3f0c9f8e-0000-4000-8000-00000000000a',
  type: 'ServicePrincipal',
  role: 'application_role',
} as const;

function deployment(changes: Partial<Deployment> = {}): Deployment {
  return {
    environment: 'development',
    primary: { host: 'localhost' },
    writer: 'primary',
    database: 'llama',
    version: 17,
    administrator: server.administrator,
    authentication: 'password',
    extensions: [],
    parameters: {},
    logins: [],
    pools: [],
    partitions: { monthsAhead: 3, retentionDays: {} },
    ...changes,
  };
}

async function deploy(changes: Partial<Deployment>, options: Partial<PostDeployOptions> = {}) {
  // Verification reports members of group roles that the settings do not name.
  for (const name of [app.name, 'Data Analysts']) {
    if (!changes.logins?.some((login) => login.name === name))
      await ask('postgres', `DROP ROLE IF EXISTS "${name}"`);
  }
  const target = await resolveTarget(
    {},
    {
      LLAMA_DB_DEPLOYMENT: JSON.stringify(deployment(changes)),
      PGHOSTADDR: '127.0.0.1',
      PGPORT: String(server.port),
      PGPASSWORD: server.passwords.migrator,
      PGSSLROOTCERT: server.caFile,
    },
  );
  const reporter = { line: (text: string) => lines.push(text), warn: (text: string) => lines.push(text) };
  // The findings of the verification on these servers do not matter here.
  return postDeploy(target, { reporter, failOn: 'critical', ...options });
}

describe('logins on a server without Entra', () => {
  it('exist as members of their role, without SET ROLE, and cannot log in without a password', async () => {
    await deploy({ logins: [app] });
    expect(lines).toContain('Created logins llama-mapper-app (application_role)');
    expect(
      await ask(
        'llama',
        `SELECT r.rolcanlogin, m.inherit_option, m.set_option, m.admin_option
           FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
          WHERE m.roleid = 'application_role'::regrole AND r.rolname = 'llama-mapper-app'`,
      ),
    ).toEqual([{ rolcanlogin: true, inherit_option: true, set_option: false, admin_option: false }]);
    const client = new pg.Client(server.connection({ user: app.name, password: '' }, { database: 'llama' }));
    await expect(client.connect()).rejects.toThrow(/password/);
  });

  it('get back what somebody took from them, with a line for each change', async () => {
    await deploy({ logins: [app] });
    lines.length = 0;
    await ask(
      'llama',
      `ALTER ROLE "llama-mapper-app" SET local_preload_libraries = 'missing';
       ALTER ROLE "llama-mapper-app" IN DATABASE llama SET row_security = off;
       ALTER ROLE "llama-mapper-app" NOLOGIN NOINHERIT CONNECTION LIMIT 0 VALID UNTIL '2020-01-01';
       ALTER DATABASE llama SET datestyle = 'German';
       ALTER DATABASE llama SET default_transaction_read_only = on`,
    );
    await deploy({ logins: [app] });
    expect(lines).toEqual(
      expect.arrayContaining([
        'Reset local_preload_libraries of role llama-mapper-app',
        'Reset row_security of role llama-mapper-app in database llama',
        'Reset DateStyle of database llama',
        'Reset default_transaction_read_only of database llama',
        expect.stringMatching(/^Reset login llama-mapper-app to LOGIN INHERIT CONNECTION LIMIT -1/),
      ]),
    );
    expect(await ask('llama', 'SELECT 1 AS left FROM pg_db_role_setting')).toEqual([]);
  });

  it('get back the options of their membership', async () => {
    await deploy({ logins: [app] });
    await ask(
      'llama',
      'SET ROLE database_admins; GRANT application_role TO "llama-mapper-app" WITH SET TRUE, ADMIN TRUE',
    );
    await deploy({ logins: [app] });
    expect(
      await ask(
        'llama',
        `SELECT bool_or(m.set_option) AS set, bool_or(m.admin_option) AS admin FROM pg_auth_members m
          WHERE m.member = '"llama-mapper-app"'::regrole`,
      ),
    ).toEqual([{ set: false, admin: false }]);
  });

  it('log in with their given password, which no log contains', async () => {
    const password = 'Pässwort-canary-51c2';
    await deploy({ logins: [app] }, { loginPasswords: new Map([[app.name, password]]) });
    const client = new pg.Client(
      server.connection({ user: app.name, password: password.normalize('NFKC') }, { database: 'llama' }),
    );
    await client.connect();
    await client.end();
    expect(server.log() + lines.join('\n')).not.toContain('canary-51c2');
    expect(server.log()).not.toContain('SCRAM-SHA-256$');
    const kept = await ask(
      'llama',
      `SELECT query FROM extensions.pg_stat_statements WHERE query LIKE '%' || 'SCRAM-SHA' || '-256$%'`,
    );
    expect(kept).toEqual([]);
  });

  it('get the verifier of the example in RFC 7677', () => {
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64');
    expect(scramVerifier('pencil', salt)).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });
});

describe('logins on a server with Entra', () => {
  it('are created once in database postgres, by object id and type', async () => {
    await ask(
      'postgres',
      `CREATE TABLE public.asked (name text, oid text, kind text, admin bool, mfa bool);
       GRANT INSERT ON public.asked TO PUBLIC;
       CREATE FUNCTION public.pgaadauth_create_principal_with_oid(text, text, text, bool, bool) RETURNS text
         LANGUAGE plpgsql AS $$ BEGIN
           INSERT INTO public.asked VALUES ($1, $2, $3, $4, $5);
           EXECUTE format('CREATE ROLE %I LOGIN', $1);
           RETURN 'Created role for "' || $1 || '"';
         END $$`,
    );
    const group = { ...app, name: 'Data Analysts', type: 'Group', role: 'analytics_role' } as const;
    await deploy({ logins: [app, group], authentication: 'entra' });
    await deploy({ logins: [app, group], authentication: 'entra' });
    expect(await ask('postgres', 'SELECT * FROM public.asked')).toEqual([
      { name: 'Data Analysts', oid: group.objectId, kind: 'group', admin: false, mfa: false },
    ]);
    await ask(
      'postgres',
      'DROP FUNCTION public.pgaadauth_create_principal_with_oid(text, text, text, bool, bool)',
    );
  });

  it('are refused if a server on Azure lacks the functions', async () => {
    const logins = [{ ...app, name: 'not-yet-there' }];
    const primary = {
      host: 'localhost',
      id: '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/x',
    };
    await expect(deploy({ logins, primary, authentication: 'entra' })).rejects.toMatchObject({
      code: 'principals/entra-not-in-force',
      what: expect.stringMatching(/localhost .*pgaadauth/),
      remedy: expect.stringContaining('Entra administrator'),
    });
  });
});

describe('extensions', () => {
  it('are created in schema extensions; a missing one causes a warning', async () => {
    await deploy({ extensions: ['pgcrypto', 'pgaudit', 'pg_cron'] });
    expect(lines).toContainEqual(expect.stringMatching(/does not offer the extensions pgaudit: skipped/));
    expect(
      await ask(
        'llama',
        "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace WHERE extname = 'pgcrypto'",
      ),
    ).toEqual([{ nspname: 'extensions' }]);
  });

  it('are refused by name if azure.extensions does not list them', async () => {
    await expect(deploy({ extensions: ['hstore'] })).rejects.toMatchObject({
      code: 'extensions/not-allowed',
      what: expect.stringContaining('hstore'),
      why: expect.stringMatching(/azure\.extensions .*pgcrypto/),
      remedy: expect.stringContaining('server.extensions'),
    });
  });
});

describe('partitions', () => {
  it('follow the settings: the registry that the schedules read, and the months ahead', async () => {
    const retentionDays = { model_metrics: 123 };
    await deploy({ partitions: { monthsAhead: 5, retentionDays } });
    const registry = `SELECT months_ahead, retention_days,
                             (SELECT count(*)::int FROM pg_inherits WHERE inhparent = 'llama.model_metrics'::regclass
                                 AND to_regclass('llama.model_metrics_y' || to_char(now() AT TIME ZONE 'UTC'
                                       + interval '5 months', 'YYYY"m"MM')) = inhrelid) AS furthest
                        FROM llama.partitioned_tables WHERE table_name = 'model_metrics'`;
    expect(await ask('llama', registry)).toEqual([{ months_ahead: 5, retention_days: 123, furthest: 1 }]);
    lines = [];
    await deploy({ partitions: { monthsAhead: 5, retentionDays } });
    expect(lines.filter((line) => /changed|created/.test(line))).toEqual([]);
  });
});

describe('schedules', () => {
  it('are skipped by name without pg_cron', async () => {
    expect((await deploy({})).schedules).toBe('skipped');
    expect(lines).toContainEqual(
      expect.stringMatching(/pg_cron is not on this server: schedules are skipped/),
    );
  });

  it('become equal to the jobs of the database, and stay equal', async () => {
    // The columns and signatures of pg_cron 1.6.
    const folder = join(dirname(server.caFile), 'programs', 'share', 'postgresql', 'extension');
    writeFileSync(
      join(folder, 'pg_cron.control'),
      "default_version = '1.6'\nrelocatable = false\nschema = pg_catalog\ntrusted = true\n",
    );
    writeFileSync(
      join(folder, 'pg_cron--1.6.sql'),
      `CREATE SCHEMA cron;
       CREATE TABLE cron.job (jobid bigserial, schedule text, command text, nodename text, nodeport int, database text,
                              username text DEFAULT CURRENT_USER, active bool, jobname text, UNIQUE (jobname, username));
       CREATE FUNCTION cron.schedule_in_database(job_name text, schedule text, command text, database text,
                                                 username text DEFAULT NULL, active bool DEFAULT true)
         RETURNS bigint LANGUAGE sql AS $$
           INSERT INTO cron.job (jobname, schedule, command, database, active) VALUES ($1, $2, $3, $4, $6)
           ON CONFLICT (jobname, username) DO UPDATE SET schedule = $2, command = $3, database = $4, active = $6
           RETURNING jobid $$;
       CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS bool LANGUAGE sql
         AS $$ DELETE FROM cron.job WHERE jobid = $1 RETURNING true $$;
       GRANT USAGE ON SCHEMA cron TO PUBLIC;
       GRANT ALL ON ALL TABLES IN SCHEMA cron TO PUBLIC;
       GRANT ALL ON ALL SEQUENCES IN SCHEMA cron TO PUBLIC`,
    );
    // pg_cron is allowed and preloaded, but not created.
    expect((await deploy({})).schedules).toBe('skipped');
    const jobs = () =>
      ask<{ jobname: string }>(
        'postgres',
        'SELECT jobname, schedule, command, database, active FROM cron.job ORDER BY 1',
      );
    const wanted = await ask<{ job_name: string; schedule: string; command: string }>(
      'llama',
      'SELECT * FROM llama.scheduled_jobs() ORDER BY 1',
    );
    expect((await deploy({ extensions: ['pg_cron'] })).schedules).toBe('pg_cron');
    const expected = [
      ...wanted.map(({ job_name, schedule, command }) => ({
        jobname: `llama: ${job_name}`,
        schedule,
        command,
        database: 'llama',
        active: true,
      })),
      // This job runs in the database of pg_cron, which holds the records of all jobs.
      {
        jobname: 'llama: prune-job-history',
        schedule: '10 2 * * *',
        command: "DELETE FROM cron.job_run_details WHERE end_time < pg_catalog.now() - interval '30 days'",
        database: 'postgres',
        active: true,
      },
    ].sort((a, b) => (a.jobname < b.jobname ? -1 : 1));
    expect(expected.length).toBeGreaterThan(1);
    expect(await jobs()).toEqual(expected);
    const ids = await ask('postgres', 'SELECT jobid, xmin::text FROM cron.job ORDER BY 1');
    await deploy({});
    expect(await ask('postgres', 'SELECT jobid, xmin::text FROM cron.job ORDER BY 1')).toEqual(ids);

    await ask(
      'postgres',
      `UPDATE cron.job SET active = false WHERE jobname = '${expected[0]?.jobname}';
       SET ROLE ${server.administrator};
       SELECT cron.schedule_in_database('llama: forgotten', '* * * * *', 'SELECT 1', 'llama');
       SELECT cron.schedule_in_database('other: theirs', '* * * * *', 'SELECT 1', 'other')`,
    );
    await deploy({});
    expect(lines).toContainEqual(expect.stringMatching(/^Scheduled: changed .*removed llama: forgotten$/));
    expect((await jobs()).map(({ jobname }) => jobname)).toEqual([
      ...expected.map(({ jobname }) => jobname),
      'other: theirs',
    ]);
    await ask('postgres', 'DROP EXTENSION pg_cron');
  });
});

describe('a parameter that is pending a restart', () => {
  const id = '/subscriptions/s/resourceGroups/g/providers/Microsoft.DBforPostgreSQL/flexibleServers/primary';

  beforeAll(async () => {
    await ask('postgres', "ALTER SYSTEM SET max_worker_processes = '9'");
    await ask('postgres', 'SELECT pg_reload_conf()');
    await vi.waitFor(async () => {
      expect(await ask('postgres', 'SELECT name FROM pg_settings WHERE pending_restart')).toHaveLength(1);
    });
  });

  it('is only reported for a server outside Azure', async () => {
    expect((await deploy({})).restarted).toBe(false);
    expect(lines).toContainEqual(expect.stringMatching(/Restart the primary .*max_worker_processes/));
  });

  it('fails the step if the restart does not apply it', async () => {
    await expect(
      deploy({ primary: { host: 'localhost', id } }, { restartServer: async () => undefined }),
    ).rejects.toMatchObject({
      code: 'restart/still-pending',
      what: expect.stringContaining('primary localhost'),
      why: 'pending: max_worker_processes',
    });
  });

  it('causes one restart before all other work, and the step continues', async () => {
    const asked: string[] = [];
    const result = await deploy(
      { primary: { host: 'localhost', id } },
      {
        restartServer: async (resource) => {
          asked.push(resource);
          await server.restart();
        },
      },
    );
    expect(result.restarted).toBe(true);
    expect(asked).toEqual([id]);
    expect(await ask('postgres', 'SHOW max_worker_processes')).toEqual([{ max_worker_processes: '9' }]);
    expect(
      (await deploy({ primary: { host: 'localhost', id } }, { restartServer: () => expect.fail('again') }))
        .restarted,
    ).toBe(false);
  });
});

describe('the release', () => {
  it('is recorded with digests that change with the deployment', async () => {
    await deploy({});
    await deploy({});
    await deploy({ parameters: { work_mem: '8192' } });
    const rows = await ask<{ settings_digest: string; migrations_digest: string }>(
      'llama',
      'SELECT * FROM llama.releases ORDER BY id DESC LIMIT 3',
    );
    const [changed, second, first] = rows;
    expect(first).toMatchObject({ environment: 'development', executor: server.administrator });
    expect(second?.settings_digest).toBe(first?.settings_digest);
    expect(changed?.settings_digest).not.toBe(first?.settings_digest);
    expect(new Set(rows.map(({ migrations_digest }) => migrations_digest)).size).toBe(1);
  });
});

describe('the head of the audit trail', () => {
  const heads = async () => {
    const rows = await ask<{ audit_head: string | null }>(
      'llama',
      'SELECT audit_head FROM llama.releases ORDER BY id DESC LIMIT 1',
    );
    return rows[0]?.audit_head;
  };

  it('is printed, recorded with the release, and later found in the chain', async () => {
    expect((await deploy({})).auditHead).toBeNull();
    expect(await heads()).toBeNull();
    expect(lines.join('\n')).not.toContain('Audit trail');
    await ask('llama', "INSERT INTO llama.tenant_configs (tenant_id) VALUES ('sealed')");
    await vi.waitFor(
      async () => {
        await ask('llama', 'SELECT llama.seal_audit_trail()');
        expect(await ask('llama', 'SELECT FROM llama.audit_seals')).toHaveLength(1);
      },
      { timeout: 20_000, interval: 100 },
    );
    const { auditHead } = await deploy({});
    expect(auditHead).toMatch(/^1:[0-9a-f]{64}$/);
    expect(await heads()).toBe(auditHead);
    expect(lines).toContain(`Audit trail: its head is ${auditHead}`);

    const target = await resolveTarget({ url: server.url('migrator', { database: 'llama' }) }, {});
    const reporter = { line: () => undefined, warn: () => undefined };
    const expected = [{ ...parseHead(auditHead ?? ''), origin: 'the log' }];
    expect(await verifyTrail(target, { reporter, expected })).toMatchObject({ findings: [], heads: 2 });
  });
});

describe('a login without the privileges of an administrator', () => {
  it('gets a remedy with the missing grant', async () => {
    await ask('llama', "CREATE ROLE weak LOGIN PASSWORD 'weak-password'");
    const target = await resolveTarget(
      { url: server.url({ user: 'weak', password: 'weak-password' }, { database: 'llama' }) },
      {},
    );
    const reporter = { line: () => undefined, warn: () => undefined };
    const error: unknown = await postDeploy(target, { reporter }).catch((reason) => reason);
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({
      code: 'schema/owner-role-not-held',
      what: expect.stringContaining('weak'),
      remedy: expect.stringContaining('GRANT llama_owner TO "weak" WITH INHERIT FALSE, SET TRUE'),
    });
  });
});
