import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { severities } from '../../core/severity.ts';
import { catalogue } from '../../verification/catalogue.ts';
import { type Check, groups, type Report } from '../../verification/check.ts';
import { losses } from '../../verification/losses.ts';
import { failing, runChecks } from '../../verification/run.ts';
import { deployment, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

/** Reasons of skipped checks, except for those of group azure. */
const skips = (report: Report) =>
  Object.fromEntries(
    report.checks.flatMap(({ check, outcome }) =>
      outcome.status === 'skipped' && check.group !== 'azure' ? [[check.id, outcome.reason]] : [],
    ),
  );

const because = (...words: readonly string[]) => expect.stringMatching(new RegExp(words.join('.*')));

const unknown = because('no deployment');
const noScheduler = because('pg_cron');
const notAzure = because("not Azure's");

async function majorNow(): Promise<number> {
  const { rows } = await verified.migrator.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS version",
  );
  return rows[0]?.version ?? 0;
}

/** Checks that skip on a local server, with or without a deployment. */
const local = (major: number) => ({
  'SET-005': because('log_parameter_max_length, log_parameter_max_length_on_error', 'built-in'),
  'AUD-029': expect.stringContaining('the settings have no workspace for logs'),
  'SET-006': because('statement_timeout, lock_timeout, idle_in_transaction_session_timeout', 'built-in'),
  'SET-008': because(
    'log_lock_waits, log_checkpoints, log_temp_files, log_autovacuum_min_duration, log_min_duration_statement',
    'built-in',
  ),
  'SET-009': because('log_line_prefix', "not Azure's"),
  'SET-012': because("not Azure's", 'synchronous_commit'),
  'SET-015': because('pgaudit is not loaded'),
  'SET-021': because('no query store'),
  ...(major < 18 ? { 'SET-023': because("not Azure's", 'checksums') } : {}),
  'IDX-009': because('statistics cover 0 days'),
  'SCH-005': noScheduler,
  'SCH-001': noScheduler,
  'SCH-002': noScheduler,
  'SCH-003': noScheduler,
  'SCH-004': noScheduler,
  'REP-003': because('no standby'),
});

describe('a freshly migrated database', () => {
  it('passes every check that is not skipped, and gives the reasons of the others', async () => {
    const report = await runChecks({ client: verified.migrator });
    expect(report.checks.filter(({ outcome }) => outcome.status === 'failed')).toEqual([]);
    expect(skips(report)).toEqual({
      ...local(await majorNow()),
      'PAR-012': unknown,
      'ROL-016': unknown,
      'ROL-005': unknown,
      'ROL-006': unknown,
      'SET-016': unknown,
      'SET-018': unknown,
      'CON-001': unknown,
      'CON-008': unknown,
      'REP-002': unknown,
    });
    const skipped = idsOf(report.checks, 'skipped').length;
    expect(report.counts).toEqual({ passed: catalogue.length - skipped, failed: 0, skipped });
  });

  it('matches its deployment', async () => {
    const version = await majorNow();
    const report = await runChecks({ client: verified.migrator, deployment: { ...deployment, version } });
    expect(report.checks.filter(({ outcome }) => outcome.status === 'failed')).toEqual([]);
    expect(skips(report)).toEqual({
      ...local(version),
      'SET-016': notAzure,
      'CON-001': because("not Azure's", 'max_connections'),
      'CON-008': because("not Azure's", 'max_connections'),
      'REP-002': because("not Azure's", 'replica'),
    });
  });

  it('is unchanged afterwards, except for sequences', async () => {
    const rows = async () =>
      (
        await verified.superuser.query(
          `SELECT c.relname, pg_relation_filenode(c.oid) AS file, c.relrowsecurity, c.relacl::text,
                  (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid) AS policies
             FROM pg_class c WHERE c.relnamespace = 'llama'::regnamespace ORDER BY 1`,
        )
      ).rows;
    const counts = async () =>
      (
        await verified.superuser.query(
          `SELECT (SELECT count(*) FROM llama.storage_records) + (SELECT count(*) FROM llama.audit_trail)
                  + (SELECT count(*) FROM llama.tenant_configs) + (SELECT count(*) FROM llama.model_metrics) AS rows`,
        )
      ).rows;
    const before = [await rows(), await counts()];
    await runChecks({ client: verified.migrator });
    expect([await rows(), await counts()]).toEqual(before);
    expect(verified.migrator.getTransactionStatus()).toBe('I');
  });
});

describe('a run', () => {
  it('runs only the requested groups and checks', async () => {
    const report = await runChecks({ client: verified.migrator }, { groups: ['audit', 'ledger'] });
    expect(new Set(report.checks.map(({ check }) => check.group))).toEqual(new Set(['audit', 'ledger']));
    const one = await runChecks({ client: verified.migrator }, { only: ['ISO-001'] });
    expect(idsOf(one.checks, 'passed')).toEqual(['ISO-001']);
    for (const asked of ['iso-001', 'tenant-tables-enable-row-security']) {
      const { checks } = await runChecks({ client: verified.migrator }, { only: [asked] });
      expect(idsOf(checks, 'passed')).toEqual(['ISO-001']);
    }
  });

  it('leaves an open transaction with its role and settings', async () => {
    const { migrator } = verified;
    await migrator.query("BEGIN; SET LOCAL ROLE llama_owner; SET LOCAL timezone = 'Europe/Berlin'");
    await migrator.query(
      "UPDATE llama.partitioned_tables SET months_ahead = 4 WHERE table_name = 'model_metrics'",
    );
    try {
      // Checks apply to the login, not to the role of the transaction.
      await migrator.query('RESET ROLE');
      const report = await runChecks({ client: migrator });
      expect(idsOf(report.checks, 'failed')).toEqual(['PAR-002']);
      expect(failing(report)).toHaveLength(1);
      expect(failing(report, 'critical')).toHaveLength(0);
      const { rows } = await migrator.query("SELECT current_setting('timezone') AS zone");
      expect(rows).toEqual([{ zone: 'Europe/Berlin' }]);
      expect(migrator.getTransactionStatus()).toBe('T');
    } finally {
      await migrator.query('ROLLBACK');
    }
  });

  it('skips a check if the login may not read the facts', async () => {
    const { superuser } = verified;
    await superuser.query('BEGIN');
    try {
      await superuser.query(
        `CREATE ROLE verify_stranger LOGIN; SET LOCAL SESSION AUTHORIZATION verify_stranger`,
      );
      const report = await runChecks({ client: superuser });
      const skipped = idsOf(report.checks, 'skipped');
      for (const id of [
        'LED-001',
        'PAR-002',
        'PAR-007',
        'ISO-051',
        'AUD-050',
        'ENC-002',
        'CON-003',
        'CON-006',
        'SET-002',
        'ROL-013',
      ]) {
        expect(skipped).toContain(id);
      }
      // Unreadable facts cause no findings. SET-003 fails because only the superuser sees the TLS of this session.
      expect(idsOf(report.checks, 'failed')).toEqual(['SET-003']);
    } finally {
      await superuser.query('ROLLBACK');
    }
  });
});

describe('objects of the platform', () => {
  it('are those that its superuser made in database postgres too', async () => {
    const { superuser, server, migrator } = verified;
    const build = [
      `CREATE FUNCTION pg_catalog.build() RETURNS integer LANGUAGE sql AS 'SELECT 1'`,
      'GRANT EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() TO PUBLIC',
      'ALTER FUNCTION pg_catalog.jsonb_contains(jsonb, jsonb) LEAKPROOF SECURITY DEFINER',
    ].join(';');
    // An administrator may make these in both databases, but they are not the platform's.
    const added = `CREATE TYPE public.added AS ENUM ('a'); ALTER TYPE public.added OWNER TO azure_pg_admin`;
    const within = async <Result>(
      who: 'superuser' | 'migrator',
      work: (client: pg.Client) => Promise<Result>,
    ) => {
      const client = new pg.Client(server.connection(who, { database: 'postgres' }));
      await client.connect();
      try {
        return await work(client);
      } finally {
        await client.end();
      }
    };
    const found = async () => {
      const { checks } = await runChecks(
        { client: migrator, openDatabase: (_, work) => within('migrator', work) },
        { only: ['ISO-063', 'ISO-064', 'ISO-065'] },
      );
      return checks.flatMap(({ outcome }) =>
        outcome.status === 'failed' ? outcome.findings.map(({ object }) => object) : outcome.status,
      );
    };
    await superuser.query(`${build}; ${added}`);
    try {
      expect(await found()).toEqual([
        ...['function build()', 'type public.added', 'function pg_reload_conf()'],
        ...['function jsonb_contains(jsonb,jsonb)', 'functions of pg_catalog'],
      ]);
      await within('superuser', (client) => client.query(`${build}; ${added}`));
      expect(await found()).toEqual(['type public.added', 'passed', 'passed']);
    } finally {
      const undo = `DROP FUNCTION pg_catalog.build(); DROP TYPE public.added;
        REVOKE EXECUTE ON FUNCTION pg_catalog.pg_reload_conf() FROM PUBLIC;
        ALTER FUNCTION pg_catalog.jsonb_contains(jsonb, jsonb) NOT LEAKPROOF SECURITY INVOKER`;
      await superuser.query(undo);
      await within('superuser', (client) => client.query(undo));
    }
  });
});

describe('an empty database', () => {
  it('passes no check of tables', async () => {
    await verified.server.createDatabase('nothing');
    const client = new pg.Client(verified.server.connection('migrator', { database: 'nothing' }));
    await client.connect();
    try {
      const report = await runChecks({ client });
      const about = new Set(['isolation', 'partitions', 'indexes', 'audit']);
      expect(
        report.checks.filter(({ check, outcome }) => about.has(check.group) && outcome.status === 'passed'),
      ).toEqual([]);
      expect(skips(report)['PAR-001']).toMatch(/no tenant table/);
      expect(idsOf(report.checks, 'failed')).toContain('DRI-019');
    } finally {
      await client.end();
    }
  });
});

describe('the catalogue', () => {
  it('has the checks of every file of checks/', async () => {
    const folder = join(import.meta.dirname, '../../verification/checks');
    const ids = new Set(catalogue.map(({ id }) => id));
    for (const file of readdirSync(folder)) {
      const { checks } = (await import(join(folder, file))) as { readonly checks: readonly Check[] };
      expect(checks.length, file).toBeGreaterThan(0);
      expect(
        checks.filter(({ id }) => !ids.has(id)),
        file,
      ).toEqual([]);
    }
  });

  it('gives each check a unique id and name', () => {
    const ids = catalogue.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Z]{3}-\d{3}$/);
    expect(ids.length).toBeGreaterThanOrEqual(70);
    const names = catalogue.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+[a-z0-9]*(-[a-z0-9]+)+$/);
  });

  it('never reuses the id of a removed check', () => {
    const removed = ['IDX-003', 'SCM-001', 'SCM-002', 'SCM-005'];
    expect(catalogue.map(({ id }) => id).filter((id) => removed.includes(id))).toEqual([]);
  });

  it('has checks of every group, with one id prefix per group', () => {
    const prefixes = new Map<string, string>();
    for (const { id, group } of catalogue) {
      expect(prefixes.get(id.slice(0, 3)) ?? group).toBe(group);
      prefixes.set(id.slice(0, 3), group);
    }
    expect(new Set(prefixes.values())).toEqual(new Set(groups));
  });

  it('takes the severity of each check from its loss, and gives the losses from worst to mildest', () => {
    for (const { id, severity, loses } of catalogue)
      expect([id, severity]).toEqual([id, losses[loses].severity]);
    expect(new Set(catalogue.map(({ loses }) => loses))).toEqual(new Set(Object.keys(losses)));
    const ranks = Object.values(losses).map(({ severity }) => severities.indexOf(severity));
    expect(ranks).toEqual([...ranks].sort((a, b) => a - b));
    expect(new Set(Object.values(losses).map(({ severity }) => severity))).toEqual(new Set(severities));
  });

  it('has every text of every check, and no full stop after a title', () => {
    for (const { title, inspects, why, remedy, source } of catalogue) {
      for (const text of [inspects, why, remedy, source]) expect(text.length).toBeGreaterThan(8);
      expect(title).not.toMatch(/\.$/);
    }
  });
});
