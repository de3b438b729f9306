// Duration: 150 s
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hashOf } from '../../database/audit/canonical.ts';
import { headsVariable, keptHeads } from '../../database/audit/heads.ts';
import { formatHead, readHead, sealsAfter } from '../../database/audit/seals.ts';
import { maintain } from '../../database/maintain/maintain.ts';
import { resolveTarget } from '../../database/target.ts';
import { runChecks } from '../../verification/run.ts';
import { run } from '../commands/run.ts';
import { change, makeTrail, sealAll, type Trail, tamper, verified } from '../database/audit/trail.ts';
import { copyOf } from '../support/postgres.ts';
import { deployment } from './fixture.ts';
import { type Forgery, forgeries } from './forgeries.ts';

const now = new Date();
const monthOf = (offset: number) =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset)).toISOString().slice(0, 10);
const leafOf = (table: string, offset: number) =>
  `llama.${table}_y${monthOf(offset).slice(0, 7).replace('-', 'm')}`;
const offsets = { p: -1, m: 0, n: 1 } as const;

const filled = (sql: string) =>
  sql
    .replace(/\{leaf:([pmn])\}/g, (_, at: keyof typeof offsets) => leafOf('audit_trail', offsets[at]))
    .replace(/\{records:([pmn])\}/g, (_, at: keyof typeof offsets) => leafOf('storage_records', offsets[at]))
    .replace(/\{([pmn])\}/g, (_, at: keyof typeof offsets) => `'${monthOf(offsets[at])}'`);

const newRelease = `INSERT INTO llama.releases (environment, migrations_digest, settings_digest, executor, outcome, checks_passed, checks_failed, checks_skipped, audit_head)
  VALUES ('test', 'x', 'x', 'somebody', 'verified', 1, 0, 0, $1)`;

/** Rows of last month and of this month in four seals, a record, and a release with the head of the third seal. */
let original: Trail;
let trail: Trail;

beforeAll(async () => {
  original = await makeTrail();
  await tamper(
    original,
    `INSERT INTO llama.audit_trail (tenant_id, table_name, operation, record_key, "timestamp")
     SELECT 'alpha', 'storage_records', 'SELECT', n::text, '${monthOf(-1)}'::timestamptz + interval '9 days'
       FROM generate_series(1, 3) AS n`,
  );
  await sealAll(original);
  await change(original.client, 'alpha', 2);
  await sealAll(original);
  await original.client.query(`BEGIN; SET LOCAL ROLE admin_role;
    INSERT INTO llama.tenant_configs (tenant_id) VALUES ('alpha');
    INSERT INTO llama.storage_records (tenant_id, source_data_hash, mapped_data, model_version, detector_type)
    VALUES ('alpha', 'kept', '{}', 'm', 'd'); COMMIT`);
  await sealAll(original);
  const head = await readHead(original.superuser);
  if (!head) throw new Error('the trail has no head');
  await original.client.query('SET ROLE llama_owner');
  await original.client.query(newRelease, [formatHead(head)]);
  await original.client.query('RESET ROLE');
  await sealAll(original);
  await Promise.all([original.client.end(), original.superuser.end()]);
}, 120_000);
afterAll(() => original.database.drop());

beforeEach(async () => {
  const database = await copyOf(original.database);
  trail = { database, client: await database.connect(), superuser: await database.connect('superuser') };
});
afterEach(() => trail.database.drop());

async function act({ steps }: Pick<Forgery, 'steps'>): Promise<string | undefined> {
  for (const [role, sql] of steps) {
    const powerful = role === 'superuser' || role === 'replica';
    const client = powerful ? trail.superuser : trail.client;
    const before = powerful ? '' : `SET ROLE ${role};`;
    try {
      await client.query(
        `${role === 'replica' ? 'SET session_replication_role = replica;' : before} ${filled(sql)}`,
      );
    } catch (error) {
      return (error as pg.DatabaseError).code;
    } finally {
      await client.query('RESET ROLE; RESET session_replication_role').catch(() => undefined);
    }
  }
  return undefined;
}

async function failedChecks(): Promise<readonly string[]> {
  const report = await runChecks(
    { client: trail.client, deployment },
    { groups: ['audit', 'partitions', 'drift', 'isolation'] },
  );
  return report.checks.filter(({ outcome }) => outcome.status === 'failed').map(({ check }) => check.id);
}

const quiet = { line: () => undefined, warn: () => undefined };
const keepHouse = async () =>
  maintain(await resolveTarget({ url: trail.database.url() }, {}), { reporter: quiet });

it('finds nothing before a forgery', async () => {
  expect(await verified(trail)).toMatchObject({ findings: [], remarks: [], heads: 1 });
  expect((await failedChecks()).filter((id) => /^(AUD|PAR|DRI)/.test(id))).toEqual([]);
});

it('knows at least forty forgeries', () => {
  expect(forgeries.length).toBeGreaterThanOrEqual(60);
  expect(new Set(forgeries.map(({ name }) => name)).size).toBe(forgeries.length);
});

describe('every forgery is refused or leaves a trace', () => {
  it.each(forgeries.map((forgery) => [forgery.name, forgery] as const))('%s', async (_, forgery) => {
    expect(await act(forgery)).toBe(forgery.refused);
    if (forgery.seal) await sealAll(trail);
    const { findings, remarks } = await verified(trail);
    const kinds = [...new Set(findings.map(({ kind }) => kind))].sort();
    expect(kinds).toEqual([...(forgery.tampering ?? [])].sort());
    expect([...new Set(remarks.map(({ kind }) => kind))]).toEqual(forgery.remarks ?? []);
    if (forgery.checks?.length) {
      expect(await failedChecks()).toEqual(expect.arrayContaining([...forgery.checks]));
    }
    if (forgery.row) {
      const { rowCount } = await trail.superuser.query(`SELECT FROM llama.audit_trail WHERE ${forgery.row}`);
      expect(rowCount).toBeGreaterThan(0);
    }
    // A forgery that expects nothing would prove nothing.
    const { refused, tampering = [], remarks: remarked = [], checks = [], row } = forgery;
    expect(refused ?? row ?? [...tampering, ...remarked, ...checks][0]).toBeDefined();
  });
});

describe('llama-db maintain', () => {
  it.each(
    forgeries
      .filter(
        ({ tampering = [] }) =>
          tampering.includes('early closing') || tampering.includes('missing partition'),
      )
      .map((forgery) => [forgery.name, forgery] as const),
  )('names the month if %s', async (_, forgery) => {
    await act(forgery);
    await expect(keepHouse()).rejects.toMatchObject({
      code: 'maintain/audit-closed-early',
      why: expect.stringMatching(/audit_trail_y\d{4}m\d{2}/),
    });
  });

  it('reattaches a month that was closed early, marked and detached', async () => {
    const closed = forgeries.find(
      ({ name }) => name === 'the sealer closes last month, and its partition stays',
    );
    const [step] = closed?.steps ?? [];
    if (!step) throw new Error('the forgery has no first step');
    await act({
      steps: [
        step,
        [
          'llama_owner',
          'ALTER TABLE llama.partitioned_tables DROP CONSTRAINT partitioned_tables_audit_floor',
        ],
        ['llama_owner', 'UPDATE llama.partitioned_tables SET retention_days = 1'],
        ['llama_owner', 'ALTER TABLE llama.audit_trail DETACH PARTITION {leaf:p}'],
        [
          'llama_owner',
          `COMMENT ON TABLE {leaf:p} IS 'llama-db maintain: past its retention, to be dropped'`,
        ],
      ],
    });
    await expect(keepHouse()).rejects.toMatchObject({ code: 'maintain/audit-closed-early' });
    const { rows } = await trail.superuser.query<{ attached: boolean }>(
      'SELECT relispartition AS attached FROM pg_class WHERE oid = $1::regclass',
      [leafOf('audit_trail', -1)],
    );
    expect(rows).toEqual([{ attached: true }]);
  });

  it('keeps every month for the longest retention since its first row', async () => {
    await act({
      steps: [
        [
          'llama_owner',
          'ALTER TABLE llama.partitioned_tables DROP CONSTRAINT partitioned_tables_audit_floor',
        ],
        ['llama_owner', 'UPDATE llama.partitioned_tables SET retention_days = 1'],
      ],
    });
    const { actions } = await keepHouse();
    expect(
      actions.filter(({ object, step }) => /^audit_trail_y/.test(object) && step === 'partitions'),
    ).toEqual([]);
    expect((await verified(trail)).findings).toEqual([]);
  });
});

/** Makes a consistent chain with other times, as an owner of everything could, and gives every release its new head. */
async function remakeEverything(): Promise<void> {
  let previousHash: string | undefined;
  for await (const page of sealsAfter(trail.superuser, 0)) {
    for (const seal of page) {
      const sealedAt = (Number(seal.sealedAt) + 1).toFixed(6);
      const changed = { ...seal, sealedAt, ...(previousHash ? { previousHash } : {}) };
      previousHash = hashOf(changed);
      await tamper(
        trail,
        `UPDATE llama.audit_seals SET sealed_at = to_timestamp(${sealedAt}::numeric::float8),
           previous_hash = decode('${changed.previousHash}', 'hex'), hash = decode('${previousHash}', 'hex')
          WHERE number = ${seal.number}`,
      );
    }
  }
}

describe('heads outside the database', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'llama-db-heads-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('reveal a chain that was made anew together with its releases', async () => {
    const { head } = await verified(trail);
    if (!head) throw new Error('the trail has no head');
    const file = join(folder, 'heads.txt');
    writeFileSync(file, `# production\n${formatHead(head)}\n`);
    const env = { [headsVariable]: file };
    const url = trail.database.url();
    expect((await run(['audit', 'verify', '--url', url], env)).code).toBe(0);
    await tamper(trail, 'DELETE FROM llama.audit_trail WHERE table_name = $$releases$$');
    await trail.superuser.query('ALTER TABLE llama.releases DISABLE TRIGGER ALL; DELETE FROM llama.releases');
    await tamper(trail, 'TRUNCATE llama.audit_seals; UPDATE llama.audit_sealing SET noted_sequence = NULL');
    await sealAll(trail);
    expect((await run(['audit', 'verify', '--url', url])).code).toBe(0);
    const checked = await run(['audit', 'verify', '--url', url], env);
    expect(checked).toMatchObject({ code: 1, stdout: expect.stringContaining('heads.txt, line 2') });
    const seen = await runChecks({ client: trail.client, keptHeads: keptHeads(env) }, { only: ['AUD-021'] });
    expect(seen.checks).toMatchObject([{ outcome: { status: 'failed' } }]);
  });

  it('reveal changed times through the recorded release', async () => {
    await remakeEverything();
    expect((await verified(trail)).findings.map(({ kind }) => kind)).toContain('other chain');
  });

  it('are a fault if the file is missing or contains anything else', async () => {
    const file = join(folder, 'heads.txt');
    const env = { [headsVariable]: file };
    expect(() => keptHeads(env)).toThrow(expect.objectContaining({ code: 'audit/heads-missing' }));
    appendFileSync(file, 'rubbish\n');
    expect(() => keptHeads(env)).toThrow(expect.objectContaining({ code: 'audit/head-malformed' }));
    expect(keptHeads({})).toEqual([]);
  });
});
