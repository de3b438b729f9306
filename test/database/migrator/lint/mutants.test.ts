// Duration: 120 s
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listMigrations, migrationsDirectory } from '../../../../database/migrator/files.ts';
import { isAtLeast, lint } from '../../../../database/migrator/lint/lint.ts';
import {
  answersWith,
  deployment,
  startVerifiedServer,
  type VerifiedServer,
} from '../../../verification/fixture.ts';
import { type LintFolder, lintFolder } from './files.ts';
import { correct, type Mutant, mutants } from './mutants.ts';

/** Mutants that verification reports at high or critical and that the lint cannot know, with the reason. */
const beyondLint: Readonly<Record<string, string>> = {};

let folder: LintFolder;
let verified: VerifiedServer;
beforeAll(async () => {
  folder = lintFolder();
  verified = await startVerifiedServer();
});
afterAll(async () => {
  folder.drop();
  await verified.stop();
});

const before = listMigrations(migrationsDirectory).map(({ path }) => path);

async function passesLint(up: string): Promise<boolean> {
  const path = folder.write(
    '9000_mutant.sql',
    `-- loses data of: notes, labels\n-- Up Migration\n${up}\n-- Down Migration\nSELECT 1;\n`,
  );
  const { findings } = await lint({ files: [path], before });
  return !findings.some(({ severity }) => isAtLeast(severity, 'medium'));
}

/** Checks at high or critical that fail after a migration, without drift: the manifest would be made from it. */
async function seriousAfter(up: string): Promise<readonly string[]> {
  const answers = await answersWith(verified, {
    sql: `SET LOCAL ROLE llama_owner; SET LOCAL search_path = ''; ${up}; RESET search_path`,
    deployment: {
      partitions: { monthsAhead: 3, retentionDays: { ...deployment.partitions.retentionDays, notes: 90 } },
    },
  });
  return answers
    .filter(({ outcome }) => outcome.status === 'failed')
    .filter(({ check }) => !check.id.startsWith('DRI-') && isAtLeast(check.severity, 'high'))
    .map(({ check }) => check.id);
}

it('the correct migrations pass the lint and verification', async () => {
  for (const [name, up] of Object.entries(correct)) {
    expect([name, await passesLint(up)]).toEqual([name, true]);
  }
  expect(await seriousAfter(Object.values(correct).join('\n'))).toEqual([]);
}, 120_000);

it('the lint reports every wrong migration that verification reports at high or critical', async () => {
  expect(mutants.length).toBeGreaterThanOrEqual(200);
  const passed: Mutant[] = [];
  for (const mutant of mutants) if (await passesLint(mutant.up)) passed.push(mutant);
  const missed: Record<string, readonly string[]> = {};
  for (const { title, up } of passed) {
    // PostgreSQL refuses some of them, such as a policy on a table that does not exist.
    const serious = await seriousAfter(up).catch(() => []);
    if (serious.length > 0) missed[title] = serious;
  }
  expect(Object.keys(missed).sort(), JSON.stringify(missed)).toEqual(Object.keys(beyondLint).sort());
}, 600_000);
