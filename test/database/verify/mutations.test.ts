import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { catalogue } from '../../../database/verify/catalogue.ts';
import { answersWith, idsOf, startVerifiedServer, type VerifiedServer } from './fixture.ts';
import type { Row } from './rows.ts';
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
  ...roleRows,
  ...extensionRows,
  ...settingRows,
  ...connectionRows,
  ...scheduleRows,
  ...ledgerRows,
  ...schemaRows,
  ...replicationRows,
];

const titleOf = (row: Row) =>
  `${row.breaks}${row.because ? `, ${row.because}` : ''}: ${(row.sql ?? 'what is seen').replace(/\s+/g, ' ').trim().slice(-90)}`;

describe('each check fails when what it guards is broken, and no other does', () => {
  it('and nothing fails, nor is skipped, while nothing is broken', async () => {
    const answers = await answersWith(verified, {});
    expect(idsOf(answers, 'failed')).toEqual([]);
    expect(idsOf(answers, 'skipped')).toEqual([]);
    expect(answers).toHaveLength(catalogue.length);
  });

  it.each(rows.map((row) => [titleOf(row), row] as const))('%s', async (_, row) => {
    const answers = await answersWith(verified, row);
    expect([...idsOf(answers, 'failed')].sort()).toEqual([row.breaks, ...(row.also ?? [])].sort());
    expect([...idsOf(answers, 'skipped')].sort()).toEqual([...(row.skips ?? [])].sort());
  });

  it('for every check of the catalogue', () => {
    const broken = new Set(rows.map(({ breaks }) => breaks));
    expect(catalogue.map(({ id }) => id).filter((id) => !broken.has(id))).toEqual([]);
  });
});
