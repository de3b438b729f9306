import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { answersWith, databaseChecks, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';
import type { Row } from './rows.ts';
import { driftRows } from './rows-drift.ts';
import { dataKeyRows, sideChannelRows } from './rows-encryption.ts';
import { hygieneRows } from './rows-hygiene.ts';
import { isolationRows } from './rows-isolation.ts';
import {
  connectionRows,
  encryptionRows,
  extensionRows,
  replicationRows,
  roleRows,
  scheduleRows,
  settingRows,
} from './rows-platform.ts';
import { auditRows, indexRows, ledgerRows, partitionRows, schemaRows } from './rows-structure.ts';

let verified: VerifiedServer;
beforeAll(async () => {
  verified = await startVerifiedServer();
});
afterAll(() => verified.stop());

const rows: readonly Row[] = [
  ...isolationRows,
  ...partitionRows,
  ...indexRows,
  ...auditRows,
  ...encryptionRows,
  ...dataKeyRows,
  ...sideChannelRows,
  ...roleRows,
  ...extensionRows,
  ...settingRows,
  ...connectionRows,
  ...scheduleRows,
  ...ledgerRows,
  ...schemaRows,
  ...driftRows,
  ...hygieneRows,
  ...replicationRows,
];

/** Checks whose rows change data, other schemas, logins or months, which the schema manifest does not describe. */
const beyondTheSchema = new Set([
  ...[
    'ISO-020',
    'ISO-021',
    'ISO-037',
    'ISO-038',
    'ISO-056',
    'ISO-060',
    'ISO-062',
    'ISO-063',
    'ISO-064',
    'ISO-065',
    'IDX-001',
    'IDX-010',
    'SCM-006',
  ],
]);

function changesTheSchema({ breaks, sql, elsewhere }: Row): boolean {
  return (
    sql !== undefined && elsewhere !== true && /^(ISO|IDX|SCM)/.test(breaks) && !beyondTheSchema.has(breaks)
  );
}

const titleOf = (row: Row) =>
  `${row.breaks}${row.because ? `, ${row.because}` : ''}: ${(row.sql ?? 'changed facts').replace(/\s+/g, ' ').trim().slice(-90)}`;

describe('each check fails if its assertion is broken, and no other fails', () => {
  it('every check passes if nothing is broken', async () => {
    const answers = await answersWith(verified, {});
    expect(idsOf(answers, 'failed')).toEqual([]);
    expect(idsOf(answers, 'skipped')).toEqual([]);
    expect(answers).toHaveLength(databaseChecks.length);
  });

  it.each(rows.map((row) => [titleOf(row), row] as const))('%s', async (_, row) => {
    const answers = await answersWith(verified, row);
    const failed = idsOf(answers, 'failed');
    const expected = [row.breaks, ...(row.also ?? [])];
    const isDrift = (id: string) => id.startsWith('DRI-');
    expect(failed.filter((id) => !isDrift(id)).sort()).toEqual(expected.filter((id) => !isDrift(id)).sort());
    expect([...idsOf(answers, 'skipped')].sort()).toEqual([...(row.skips ?? [])].sort());
    // A change of the schema that another check reports must be drift too.
    if (isDrift(row.breaks)) expect(failed.filter(isDrift).sort()).toEqual(expected.filter(isDrift).sort());
    else if (changesTheSchema(row)) expect(failed.filter(isDrift)).not.toEqual([]);
  });

  it('every check of the catalogue has a row', () => {
    const broken = new Set(rows.map(({ breaks }) => breaks));
    expect(databaseChecks.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
  });
});
