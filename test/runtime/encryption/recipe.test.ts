/** The migration of docs/encryption.md works unchanged: no finding of lint or verification, and a complete rollback. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MigrationsCopy, migrationsCopy, run } from '../../commands/run.ts';
import { migratedDatabase, type TestDatabase } from '../../support/postgres.ts';
import { notesMigration } from './fixture.ts';

let database: TestDatabase;
let copy: MigrationsCopy;
beforeAll(async () => {
  database = await migratedDatabase();
  copy = migrationsCopy();
  copy.write('9000_notes.sql', notesMigration);
});
afterAll(async () => {
  copy.drop();
  await database.drop();
});

const llamaDb = (...args: string[]) =>
  run([...args, '--url', database.url(), '--migrations', copy.directory]);

it('is applied without a finding of lint or verification', async () => {
  const lint = await run(['lint', '--migrations', copy.directory, '--fail-on', 'low']);
  expect(lint.code, lint.stdout + lint.stderr).toBe(0);
  const migrated = await llamaDb('migrate');
  expect(migrated.code, migrated.stderr).toBe(0);
  const verified = await llamaDb('verify', '--json', '--group', 'encryption,isolation,audit,indexes');
  const { checks } = JSON.parse(verified.stdout) as {
    checks: { id: string; status: string; findings?: { object: string }[] }[];
  };
  const findings = checks.filter(({ findings = [] }) =>
    findings.some(({ object }) => object.includes('notes')),
  );
  expect(findings).toEqual([]);
  expect(checks.find(({ id }) => id === 'ENC-014')).toMatchObject({ status: 'passed' });
});

it('gets rows of the two-tenant probe, even if every column is NOT NULL', async () => {
  const probes = async () => {
    const { stdout } = await llamaDb('verify', '--json', '--only', 'ISO-050,ISO-052,AUD-050');
    const { checks } = JSON.parse(stdout) as { checks: { id: string; status: string; reason?: string }[] };
    return checks.map(({ id, status, reason = '' }) => `${id} ${status} ${reason}`.trim());
  };
  const passed = ['AUD-050 passed', 'ISO-050 passed', 'ISO-052 passed'];
  expect((await probes()).sort()).toEqual(passed);
  await database.query(
    'superuser',
    'ALTER TABLE llama.notes ALTER body SET NOT NULL, ALTER document SET NOT NULL, ALTER scan SET NOT NULL',
  );
  expect((await probes()).sort()).toEqual(passed);
});

it('is rolled back, including the registry', async () => {
  const registered = () =>
    database.query('superuser', "SELECT FROM llama.encrypted_columns WHERE table_name = 'notes'");
  expect(await registered()).toHaveLength(3);
  const back = await llamaDb('rollback', '--accept-data-loss', 'notes');
  expect(back.code, back.stderr).toBe(0);
  expect(await registered()).toEqual([]);
});
