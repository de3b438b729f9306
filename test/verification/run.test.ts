import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../verification/catalogue.ts';
import { type Check, groups, type Report } from '../../verification/check.ts';
import { failing, runChecks } from '../../verification/run.ts';
import { deployment, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

/** Why checks were skipped, those aside that ask Azure. */
const skips = (report: Report) =>
  Object.fromEntries(
    report.checks.flatMap(({ check, outcome }) =>
      outcome.status === 'skipped' && check.group !== 'azure' ? [[check.id, outcome.reason]] : [],
    ),
  );

const unknown = 'no deployment is known to compare with';
const noScheduler = 'pg_cron is not on this server; llama-db maintain does its work';

async function majorNow(): Promise<number> {
  const { rows } = await verified.migrator.query<{ version: number }>(
    "SELECT current_setting('server_version_num')::int / 10000 AS version",
  );
  return rows[0]?.version ?? 0;
}

/** What a server that is not Azure's leaves unsaid, whatever it is compared with. */
const local = (major: number) => ({
  'SET-005':
    "log_parameter_max_length, log_parameter_max_length_on_error stand at the built-in value of a server that is not Azure's",
  'SET-006':
    "statement_timeout, lock_timeout, idle_in_transaction_session_timeout stand at the built-in value of a server that is not Azure's",
  'SET-008':
    "log_lock_waits, log_checkpoints, log_temp_files, log_autovacuum_min_duration, log_min_duration_statement stand at the built-in value of a server that is not Azure's",
  'SET-009': "log_line_prefix stands at Azure's own value on a server that is not Azure's",
  'SET-012': "the server is not Azure's and keeps nothing: its operator switched synchronous_commit off",
  'SET-015': 'pgaudit is not loaded on this server',
  'SET-021': 'this server has no query store',
  ...(major < 18 ? { 'SET-023': "the server is not Azure's: whoever made it left checksums out" } : {}),
  'IDX-009': 'the statistics cover 0 days, which is too short to tell',
  'SCH-005': noScheduler,
  'SCH-001': noScheduler,
  'SCH-002': noScheduler,
  'SCH-003': noScheduler,
  'SCH-004': noScheduler,
  'REP-003': 'nothing replicates from this server',
});

describe('a freshly migrated database', () => {
  it('passes every check that can look, and names why the others cannot', async () => {
    const report = await runChecks({ client: verified.migrator });
    expect(report.checks.filter(({ outcome }) => outcome.status === 'failed')).toEqual([]);
    expect(skips(report)).toEqual({
      ...local(await majorNow()),
      'PAR-012': unknown,
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

  it('can be compared with its deployment as well', async () => {
    const version = await majorNow();
    const report = await runChecks({ client: verified.migrator, deployment: { ...deployment, version } });
    expect(report.checks.filter(({ outcome }) => outcome.status === 'failed')).toEqual([]);
    expect(skips(report)).toEqual({
      ...local(version),
      'SET-016': "the server is not Azure's: the deployment did not set its parameters",
      'CON-001': "the server is not Azure's: its max_connections are not the deployment's",
      'CON-008': "the server is not Azure's: its max_connections are not the deployment's",
      'REP-002': "the server is not Azure's, which makes the replica",
    });
  });

  it('is left exactly as it was, sequences aside', async () => {
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

  it('is verified in less than three seconds on a busy machine, the probe included', async () => {
    const { durationMs } = await runChecks({ client: verified.migrator });
    expect(durationMs).toBeLessThan(3000);
  });
});

describe('a run', () => {
  it('can be narrowed to groups and checks', async () => {
    const report = await runChecks({ client: verified.migrator }, { groups: ['audit', 'ledger'] });
    expect(new Set(report.checks.map(({ check }) => check.group))).toEqual(new Set(['audit', 'ledger']));
    const one = await runChecks({ client: verified.migrator }, { only: ['ISO-001'] });
    expect(idsOf(one.checks, 'passed')).toEqual(['ISO-001']);
    for (const asked of ['iso-001', 'tenant-tables-enable-row-security']) {
      const { checks } = await runChecks({ client: verified.migrator }, { only: [asked] });
      expect(idsOf(checks, 'passed')).toEqual(['ISO-001']);
    }
  });

  it('inside a transaction leaves it open, with its role and settings', async () => {
    const { migrator } = verified;
    await migrator.query("BEGIN; SET LOCAL ROLE llama_owner; SET LOCAL timezone = 'Europe/Berlin'");
    await migrator.query(
      "UPDATE llama.partitioned_tables SET months_ahead = 4 WHERE table_name = 'model_metrics'",
    );
    try {
      // The login's rights are what counts, and the role of the transaction is not the login.
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

  it('says skipped, not passed, when the login may not look', async () => {
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
      ]) {
        expect(skipped).toContain(id);
      }
      // What it may not see is no finding either; but this session is the superuser's, and shows its TLS to nobody else.
      expect(idsOf(report.checks, 'failed')).toEqual(['SET-003']);
    } finally {
      await superuser.query('ROLLBACK');
    }
  });
});

describe('an empty database', () => {
  it('passes nothing that is about tables: there are none', async () => {
    await verified.server.createDatabase('nothing');
    const client = new pg.Client(verified.server.connection('migrator', { database: 'nothing' }));
    await client.connect();
    try {
      const report = await runChecks({ client });
      const about = new Set(['isolation', 'partitions', 'indexes', 'audit']);
      expect(
        report.checks.filter(({ check, outcome }) => about.has(check.group) && outcome.status === 'passed'),
      ).toEqual([]);
      expect(skips(report)['PAR-001']).toBe(
        "schema llama has no table with tenants' rows: there is nothing to look at",
      );
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

  it('names each check once, under a stable kind of name', () => {
    const ids = catalogue.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[A-Z]{3}-\d{3}$/);
    expect(ids.length).toBeGreaterThanOrEqual(70);
    const names = catalogue.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z]+[a-z0-9]*(-[a-z0-9]+)+$/);
  });

  it('never uses the id of a check that was removed', () => {
    const removed = ['IDX-003', 'SCM-001', 'SCM-002', 'SCM-005'];
    expect(catalogue.map(({ id }) => id).filter((id) => removed.includes(id))).toEqual([]);
  });

  it('has checks of every group, one prefix a group', () => {
    const prefixes = new Map<string, string>();
    for (const { id, group } of catalogue) {
      expect(prefixes.get(id.slice(0, 3)) ?? group).toBe(group);
      prefixes.set(id.slice(0, 3), group);
    }
    expect(new Set(prefixes.values())).toEqual(new Set(groups));
  });

  it('says of each what it looks at, why, how to mend it and where it comes from', () => {
    for (const { title, inspects, why, remedy, source } of catalogue) {
      for (const text of [inspects, why, remedy, source]) expect(text.length).toBeGreaterThan(8);
      expect(title).not.toMatch(/\.$/);
    }
  });
});
