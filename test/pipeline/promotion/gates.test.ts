/** Each gate of a promotion is closed once by the thing itself: a real database, a real repository, a real plan. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withConnection } from '../../../database/connection.ts';
import { migrationsDirectory } from '../../../database/migrator/files.ts';
import { resolveTarget } from '../../../database/target.ts';
import { driftGroups, driftOf, isCaused } from '../../../pipeline/drift/drift.ts';
import { compareLedger, type EnvironmentFacts, readFacts } from '../../../pipeline/promotion/facts.ts';
import { answersOf, gates, type PromotionFacts } from '../../../pipeline/promotion/gates.ts';
import { renderGates } from '../../../pipeline/promotion/report.ts';
import { commitsBehind, contains } from '../../../pipeline/release/checkout.ts';
import { recordRelease } from '../../../pipeline/release/releases.ts';
import { verify } from '../../../verification/verify.ts';
import { migrationsCopy } from '../../commands/run.ts';
import { change, makeTrail, sealAll, type Trail, tamper } from '../../database/audit/trail.ts';
import { realProgram } from '../../support/command-line.ts';
import { document, guarded, resource, server } from '../plan/documents.ts';

const reporter = { line: () => {}, warn: () => {} };
const artifact = 'a'.repeat(64);
const commit = 'c'.repeat(40);
const now = () => new Date();

let trail: Trail;
beforeAll(async () => {
  trail = await makeTrail();
  await change(trail.client, 'one', 3);
  await record({});
  await sealAll(trail);
});
afterAll(() => trail.database.drop());

async function record(
  more: Partial<{
    outcome: 'verified' | 'findings';
    skippedGroups: string[];
    failed: string[];
    artifact: string;
  }>,
): Promise<void> {
  const target = await resolveTarget({ url: trail.database.url() }, {});
  const { outcome = 'verified', skippedGroups = [], failed = [] } = more;
  await withConnection(target, { reporter }, (connection) =>
    recordRelease(
      connection,
      {
        environment: 'source',
        migrationsDigest: 'd'.repeat(64),
        settingsDigest: 'e'.repeat(64),
        outcome,
        counts: { passed: 1, failed: failed.length, skipped: 0 },
        auditHead: null,
      },
      {
        releaseDigest: 'f'.repeat(64),
        artifactDigest: more.artifact ?? artifact,
        commit,
        startedAt: now(),
        plan: {},
        verification: { skippedGroups, failed },
      },
    ),
  );
}

async function read(): Promise<EnvironmentFacts> {
  const target = await resolveTarget({ url: trail.database.url() }, {});
  return readFacts(target, { environment: 'source', reporter, migrationsDirectory });
}

const accepted = guarded(document([resource({ actions: ['no-op'], before: server, after: server })]));
const same = { environment: 'target', plan: JSON.stringify(document([])) };

async function facts(
  more: Partial<PromotionFacts> = {},
  directory = migrationsDirectory,
): Promise<PromotionFacts> {
  const from = await read();
  const difference = compareLedger(from.ledger, directory);
  return {
    ...{ source: 'source', target: 'target', now: now(), maxAge: 24, except: [], guard: accepted },
    checkout: { commit, artifactDigest: artifact, branch: 'origin/main', behind: 0 },
    from: { ...from, difference },
    to: { ...from, difference, isContained: true, drift: driftOf(same) },
    ...more,
  };
}

const closedBy = (given: PromotionFacts) => answersOf(given).filter(({ isOpen }) => !isOpen);

/** The one gate that is closed. */
function closed(
  given: PromotionFacts,
  name: string,
): { readonly says: string; readonly opens: string | undefined } {
  const found = closedBy(given);
  tried.add(name);
  expect(found.map((one) => one.name)).toEqual([name]);
  const [{ says = '', opens } = {}] = found;
  expect(renderGates(answersOf(given), given)).toContain(`$ ${opens}`);
  return { says, opens };
}

const tried = new Set<string>();

/** A repository with one commit, and a branch that is one commit ahead. */
function repository(): { readonly directory: string; readonly ahead: string } {
  const directory = mkdtempSync(join(tmpdir(), 'llama-branch-'));
  const git = (...parameters: string[]) =>
    execFileSync('git', ['-c', 'user.name=T', '-c', 'user.email=t@localhost', ...parameters], {
      cwd: directory,
      encoding: 'utf8',
    }).trim();
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(join(directory, 'one'), 'one');
  git('add', '--all');
  git('commit', '--quiet', '-m', 'one');
  git('checkout', '--quiet', '-b', 'ahead');
  git('commit', '--quiet', '--allow-empty', '-m', 'two');
  const ahead = git('rev-parse', 'HEAD');
  git('checkout', '--quiet', 'main');
  return { directory, ahead };
}

describe('the gates of a promotion', () => {
  it('are open for an environment that is what it claims to be', async () => {
    const given = await facts();
    expect(closedBy(given)).toEqual([]);
    expect(renderGates(answersOf(given), given)).toMatch(/^source -> target: every gate is open\./);
  });

  it('are open for a target that does not exist yet', async () => {
    const given = await facts({ to: undefined });
    expect(closedBy(given)).toEqual([]);
    expect(answersOf(given).filter(({ says }) => says === 'target does not exist yet').length).toBe(3);
  });

  it('branch: another commit is on it', async () => {
    const { directory, ahead } = repository();
    try {
      const given = await facts();
      const behind = await commitsBehind(directory, 'ahead');
      const checkout = { ...given.checkout, behind, branch: 'ahead' };
      const { says, opens = '' } = closed({ ...given, checkout }, 'branch');
      expect([says, opens]).toEqual(['it lacks 1 commit of ahead', 'git merge --ff-only ahead']);
      const to = given.to && { ...given.to, isContained: await contains(directory, ahead) };
      const behindTarget = closed({ ...given, checkout: { ...checkout, behind: 0 }, to }, 'target-behind');
      expect(behindTarget).toMatchObject({ says: expect.stringMatching(/does not contain/), opens });
      execFileSync('sh', ['-c', opens], { cwd: directory });
      expect([await commitsBehind(directory, 'ahead'), await contains(directory, ahead)]).toEqual([0, true]);
      await expect(commitsBehind(directory, 'origin/none')).rejects.toMatchObject({
        code: 'release/no-commit',
      });
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('source-artifact: the source runs another one, or none', async () => {
    const given = await facts();
    const checkout = { ...given.checkout, artifactDigest: 'b'.repeat(64) };
    expect(closed({ ...given, checkout }, 'source-artifact')).toEqual({
      says: `it runs ${'a'.repeat(12)} of commit ${'c'.repeat(12)}, and this checkout is ${'b'.repeat(12)}`,
      opens: 'llama-db release plan source',
    });
    expect(closed({ ...given, before: 'first', checkout }, 'source-artifact').opens).toBe(
      'llama-db promote first source',
    );
    await record({ artifact: 'b'.repeat(64) });
    expect(closedBy({ ...(await facts()), checkout })).toEqual([]);
    await record({});
    const without = { ...given, from: { ...given.from, release: null } };
    expect(closedBy(without).map(({ name }) => name)).toEqual([
      ...['source-artifact', 'source-verified', 'source-age', 'source-groups'],
    ]);
  });

  it('source-ledger and target-behind: a migration is pending, edited or unknown', async () => {
    const copy = migrationsCopy();
    try {
      copy.write('0099_new.sql', '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n');
      const pending = await facts({}, copy.directory);
      expect(closed(pending, 'source-ledger')).toEqual({
        says: '0099_new is pending',
        opens: 'llama-db migrate source',
      });
      copy.remove('0099_new.sql');
      copy.remove('0017_imports.sql');
      copy.write(
        '0010_performance_summary.sql',
        '-- Up Migration\nSELECT 1;\n-- Down Migration\nSELECT 1;\n',
      );
      const other = await facts({}, copy.directory);
      expect(closedBy(other).map(({ name, says }) => [name, says])).toEqual([
        [
          'source-ledger',
          '0010_performance_summary was applied with another content; 0017_imports is applied and not in the checkout',
        ],
        [
          'target-behind',
          '0017_imports is applied there and not in the checkout; 0010_performance_summary was applied there with another content',
        ],
      ]);
    } finally {
      copy.drop();
    }
  });

  it('source-age: the verification or the facts are older than asked', async () => {
    const given = await facts();
    const later = new Date(now().getTime() + 25 * 3_600_000);
    expect(closed({ ...given, now: later }, 'source-age').opens).toBe('llama-db release verify source');
    expect(closedBy({ ...given, now: later, maxAge: 26 })).toEqual([]);
    const stale = { ...given.from, at: new Date(now().getTime() - 25 * 3_600_000).toISOString() };
    closed({ ...given, from: stale }, 'source-age');
  });

  it('target-plan: the guard refuses it', async () => {
    const guard = guarded(document([resource({ actions: ['delete'], before: server, after: null })]));
    const { says, opens } = closed(await facts({ guard }), 'target-plan');
    expect(says).toMatch(/^GRD-001 azurerm_postgresql_flexible_server\.one: /);
    expect(opens).toBe('llama-db plan target');
  });

  it('target-drift: a parameter was changed by hand, but not one that the stack leaves to Azure', async () => {
    const given = await facts();
    const parameter = resource({
      type: 'azurerm_postgresql_flexible_server_configuration',
      address: 'azurerm_postgresql_flexible_server_configuration.work_mem',
      before: { name: 'work_mem', value: '32768' },
      after: { name: 'work_mem', value: '65536' },
    });
    const zone = resource({ before: { ...server, zone: '1' }, after: { ...server, zone: '2' } });
    const plan = JSON.stringify(document([], { resource_drift: [parameter, zone] }));
    const stack = JSON.stringify({
      resource: { azurerm_postgresql_flexible_server: { one: { lifecycle: { ignore_changes: ['zone'] } } } },
    });
    const drift = driftOf({ environment: 'target', plan, stack });
    expect(drift).toMatchObject({ exitCode: 2, expected: [{ changes: ['zone: 1 -> 2'] }] });
    const to = given.to && { ...given.to, drift };
    expect(closed({ ...given, to }, 'target-drift')).toEqual({
      says: 'azurerm_postgresql_flexible_server_configuration.work_mem value: 32768 -> 65536',
      opens: 'llama-db drift target',
    });
    const unread = driftOf({ ...same, unread: ['the database: it did not answer'] });
    expect(unread.exitCode).toBe(1);
    closed({ ...given, to: given.to && { ...given.to, drift: unread } }, 'target-drift');
  });

  it.each([
    ['a network shows the subnets of the same apply', { subnet: [] }, { subnet: ['a'] }, true],
    ['a value of the stack differs', { address_space: ['a'] }, { address_space: ['b'] }, false],
    ['a resource is gone', { address_space: ['a'] }, null, false],
  ])('target-drift: after an apply, %s', (_, before, after, caused) => {
    const type = 'azurerm_virtual_network';
    const actions = after === null ? { actions: ['delete'] } : {};
    const drifted = resource({ type, address: `${type}.network`, before, after, ...actions });
    const plan = JSON.stringify(document([], { resource_drift: [drifted] }));
    const stack = JSON.stringify({ resource: { [type]: { network: { address_space: ['a'] } } } });
    expect(isCaused(plan, stack)).toBe(caused);
  });

  it('target-drift: a column was changed by hand', async () => {
    const target = await resolveTarget({ url: trail.database.url() }, {});
    const check = () => verify(target, { reporter, migrationsDirectory, groups: driftGroups });
    expect(driftOf({ ...same, report: await check() })).toMatchObject({ checks: [] });
    await trail.superuser.query('ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level DROP DEFAULT');
    try {
      const given = await facts();
      const drift = driftOf({ ...same, report: await check() });
      const to = given.to && { ...given.to, drift };
      expect(closed({ ...given, to }, 'target-drift').says).toMatch(/^DRI-002 .*tenant_configs\.audit_level/);
    } finally {
      await trail.superuser.query(
        "ALTER TABLE llama.tenant_configs ALTER COLUMN audit_level SET DEFAULT 'standard'",
      );
    }
    const given = await facts();
    const to = given.to && { ...given.to, drift: driftOf({ ...same, report: await check() }) };
    expect(closedBy({ ...given, to })).toEqual([]);
  });

  it('name commands that exist, or git', async () => {
    const program = await realProgram();
    const given = await facts({ to: undefined });
    const { from } = given;
    const none = { ...given, from: { ...from, release: null } };
    const skipping = from.release && { ...from, release: { ...from.release, skippedGroups: ['azure'] } };
    const shown = [
      none,
      { ...none, before: 'staging' },
      skipping ? { ...given, from: skipping } : none,
    ].flatMap((one) => answersOf(one).flatMap(({ opens = [] }) => opens));
    expect(shown.length).toBeGreaterThan(5);
    for (const line of shown)
      for (const command of line.split(' && ')) {
        const [name, ...words] = command.split(' ');
        expect(name).toBe('llama-db');
        await program.parseAsync(
          words.map((word) => (/^(?:source|target)$/.test(word) ? 'staging' : word)),
          {
            from: 'user',
          },
        );
      }
  });

  it('source-groups: a group was skipped, unless that was accepted', async () => {
    await record({ skippedGroups: ['azure'] });
    const given = await facts();
    expect(closed(given, 'source-groups')).toEqual({
      says: 'it skipped azure',
      opens: 'llama-db verify source --require azure && llama-db release verify source',
    });
    expect(closedBy({ ...given, except: ['azure'] })).toEqual([]);
    await record({});
    expect(closedBy(await facts())).toEqual([]);
  });

  it('source-verified: it has findings', async () => {
    await record({ outcome: 'findings', failed: ['ISO-001'] });
    const { says } = closed(await facts(), 'source-verified');
    expect(says).toBe('its verification is "findings": ISO-001');
    await record({});
    expect(closedBy(await facts())).toEqual([]);
  });

  it('source-seals and target-seals: a row was changed behind the seals', async () => {
    await tamper(trail, "UPDATE llama.audit_trail SET user_id = 'forged' WHERE tenant_id = 'one'");
    const given = await facts();
    const found = closedBy(given);
    expect(found.map(({ name, opens }) => [name, opens])).toEqual([
      ['source-seals', 'llama-db audit verify source'],
      ['target-seals', 'llama-db audit verify target'],
    ]);
  });

  it('are all closed here once', () => {
    const twice = ['source-seals', 'target-seals'];
    expect(gates.map(({ name }) => name).filter((name) => !tried.has(name) && !twice.includes(name))).toEqual(
      [],
    );
  });
});
