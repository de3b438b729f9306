/** A run whose login cannot see what the checks need is never clean. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Report } from '../../verification/check.ts';
import { runChecks } from '../../verification/run.ts';
import { verdictOf } from '../../verification/verdict.ts';
import { applicationLogin, deployment, startVerifiedServer, type VerifiedServer } from './fixture.ts';

/** A login of each group role, one of no role, and one that may watch the server but act as nobody. */
const logins = {
  [applicationLogin]: '',
  of_admin: 'GRANT admin_role TO of_admin',
  of_analytics: 'GRANT analytics_role TO of_analytics',
  of_maintenance: 'GRANT maintenance_role TO of_maintenance',
  monitor: 'GRANT pg_monitor, pg_read_all_data TO monitor',
  nobody_special: '',
};

let verified: VerifiedServer;
/** The report of the login of deployments about the same database. */
let seen: Report;

beforeAll(async () => {
  verified = await startVerifiedServer();
  const { superuser, migrator } = verified;
  for (const [login, grant] of Object.entries(logins)) {
    const make = login === applicationLogin ? 'ALTER' : 'CREATE';
    await superuser.query(`${make} ROLE ${login} LOGIN PASSWORD 'unread'; ${grant}`);
  }
  seen = await runChecks({ client: migrator, deployment });
});
afterAll(() => verified.stop());

async function as(login: string): Promise<Report> {
  const client = new pg.Client({
    ...verified.server.connection('migrator'),
    user: login,
    password: 'unread',
  });
  await client.connect();
  try {
    return await runChecks({ client, deployment });
  } finally {
    await client.end();
  }
}

/** Checks about the login itself, and about statistics that move between two runs. */
const differs = new Set(['ENC-004', 'ROL-003', 'SET-022', 'SET-026']);

describe.each(Object.keys(logins))('as %s', (login) => {
  let report: Report;
  beforeAll(async () => {
    report = await as(login);
  });

  it('no check passes on facts that it cannot see', () => {
    const all = new Map(seen.checks.map(({ check, outcome }) => [check.id, outcome]));
    for (const { check, outcome } of report.checks) {
      if (outcome.status !== 'passed' || differs.has(check.id)) continue;
      // It sees all sessions, whose number has changed.
      if (login === 'monitor' && check.group === 'connections') continue;
      expect([check.id, all.get(check.id)]).toEqual([
        check.id,
        expect.objectContaining({ inspected: outcome.inspected }),
      ]);
    }
  });

  it('every check that only this login skips says that it could not read', () => {
    const skippedByAll = new Set(
      seen.checks.filter(({ outcome }) => outcome.status === 'skipped').map(({ check }) => check.id),
    );
    const missed = report.checks.filter(
      ({ check, outcome }) =>
        outcome.status === 'skipped' && !skippedByAll.has(check.id) && outcome.blind !== true,
    );
    expect(missed).toEqual([]);
  });

  it('the verdict is not clean, and names the reason and the checks', () => {
    const clean = { ...report, checks: report.checks.filter(({ outcome }) => outcome.status !== 'failed') };
    const { exitCode, reasons } = verdictOf(clean);
    expect(exitCode).toBe(2);
    expect(reasons.join('\n')).toMatch(/not inspected, .*permission denied to set role.*: .*LED-001/);
  });
});

it('the login of deployments could read everything that exists here', () => {
  expect(seen.checks.filter(({ outcome }) => outcome.status === 'skipped' && outcome.blind)).toEqual([]);
});
