/** A pack of a running database: what it shows there, and its audit head compared later. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseJson, textAt } from '../../../core/json.ts';
import { seal } from '../../../database/audit/seals.ts';
import { withConnection } from '../../../database/connection.ts';
import { listMigrations, migrationsDirectory } from '../../../database/migrator/files.ts';
import { resolveTarget, type Target } from '../../../database/target.ts';
import { compareHead, observeLive } from '../../../pipeline/evidence/live.ts';
import type { Given } from '../../../pipeline/evidence/observations.ts';
import { type Commit, controlsOf } from '../../../pipeline/evidence/report.ts';
import { digestOfMigrations, recordRelease } from '../../../pipeline/release/releases.ts';
import { migratedDatabase, type TestDatabase } from '../../support/postgres.ts';
import { packed } from './fixture.ts';

const reporter = { line: () => {}, warn: () => {} };

let database: TestDatabase;
let target: Target;
let given: readonly Given[];
let commit: Commit;
beforeAll(async () => {
  database = await migratedDatabase();
  target = { ...(await resolveTarget({ url: database.url('migrator') }, {})), environment: 'production' };
  await withConnection(
    target,
    { reporter, session: 'maintenance', applicationName: 'test' },
    async (connection) => {
      await recordRelease(connection, {
        environment: 'production',
        migrationsDigest: digestOfMigrations(listMigrations(migrationsDirectory)),
        settingsDigest: 'a'.repeat(64),
        outcome: 'verified',
        counts: { passed: 1, failed: 0, skipped: 0 },
        auditHead: null,
      });
      await seal(connection);
    },
  );
  given = await observeLive(target, { reporter, migrationsDirectory });
  // A pack accepts checks of its own commit only.
  const verified = textAt(parseJson(given[0]?.text ?? ''), 'sources', 'commit') ?? '';
  commit = { hash: verified.replace('+', '').padEnd(40, '0'), time: '2026-11-27T12:00:00Z', changed: [] };
}, 120_000);
afterAll(() => database.drop());

describe('a pack of a running database', () => {
  const rowsOf = (id: string) =>
    controlsOf(packed('production', { given, overrides: { commit } }).report).find((one) => one.id === id)
      ?.rows ?? [];

  it('has the answers of the checks with their time, and the skipped ones as not collected', () => {
    const checks = rowsOf('ACC-5').filter(({ kind }) => kind === 'check');
    expect(checks.filter(({ verdict }) => verdict === 'holds').length).toBeGreaterThan(10);
    const at = new Date(checks.find(({ observedAt }) => observedAt)?.observedAt ?? 0);
    expect(Math.abs(Date.now() - at.getTime())).toBeLessThan(10 * 60_000);
    // No settings of the deployment are given here, so Azure is not asked.
    expect(rowsOf('NET-1').at(-1)).toMatchObject({
      place: 'AZU-020',
      verdict: 'not collected',
      observedAt: null,
    });
  });

  it('has the release record of the migrations in the stack', () => {
    expect(rowsOf('CHG-1').find(({ kind }) => kind === 'record')).toMatchObject({
      verdict: 'holds',
      value: expect.stringContaining('verified'),
    });
  });

  it('has the audit head, which the chain contains as long as nobody rewrites it', async () => {
    const { auditHead } = packed('production', { given, overrides: { commit } }).report;
    expect(auditHead).toMatch(/^\d+:[0-9a-f]{64}$/);
    expect(rowsOf('TRL-2').find(({ kind }) => kind === 'record')).toMatchObject({
      verdict: 'holds',
      value: auditHead,
    });
    expect(await compareHead(target, auditHead ?? '', reporter)).toEqual([]);
    const [number] = (auditHead ?? '').split(':');
    expect(await compareHead(target, `${number}:${'0'.repeat(64)}`, reporter)).not.toEqual([]);
  });

  it('refuses a target without an environment', async () => {
    const { environment: _, ...unnamed } = target;
    await expect(observeLive(unnamed, { reporter, migrationsDirectory })).rejects.toMatchObject({
      code: 'evidence/environment-unnamed',
      exitCode: 2,
    });
  });
});
