import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rules } from '../../../../database/migrator/lint/catalogue.ts';
import { type Case, contentOf, type LintFolder, lintFolder } from './files.ts';
import { rows } from './rows.ts';

let folder: LintFolder;

beforeAll(() => {
  folder = lintFolder();
});
afterAll(() => folder.drop());

let number = 2;
const look = async (given: Case | string) => {
  const { content, kind } = contentOf(typeof given === 'string' ? { up: given } : given);
  const path = folder.write(`${String(number++).padStart(4, '0')}_row.${kind}`, content);
  return { content, result: await folder.lint(path) };
};

describe.each(rows)('$rule', ({ rule, at, bad, good }) => {
  it(`reports, alone and at its line: ${at}`, async () => {
    const { content, result } = await look(bad);
    expect(result.findings.map((finding) => finding.rule)).toEqual([rule]);
    const line = content.split('\n')[(result.findings[0]?.line ?? 0) - 1];
    expect(line).toContain(at);
    expect(result.unseen).toEqual([]);
  });

  it('passes the twin', async () => {
    const { result } = await look(good);
    expect(result.findings).toEqual([]);
    expect(result.unseen).toEqual([]);
  });
});

it('has a row for every rule, and no rule twice', () => {
  expect([...new Set(rows.map(({ rule }) => rule))].sort()).toEqual(rules.map(({ id }) => id).sort());
});
