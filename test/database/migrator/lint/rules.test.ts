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
  const one = typeof given === 'string' ? { up: given } : given;
  const { content, kind } = contentOf(one);
  const path = folder.write(`${String(number++).padStart(4, '0')}_row.${kind}`, content);
  const next =
    one.next &&
    folder.write(`${String(number++).padStart(4, '0')}_next.sql`, contentOf({ up: one.next }).content);
  return { content, result: await folder.lint(path, next ? { files: [path, next] } : {}) };
};

describe.each(rows)('$rule', ({ rule, at, bad, good, also = [] }) => {
  it(`is the only finding, at its line: ${at}`, async () => {
    const { content, result } = await look(bad);
    expect(result.findings.map((finding) => finding.rule).sort()).toEqual([rule, ...also].sort());
    const finding = result.findings.find((found) => found.rule === rule);
    const line = content.split('\n')[(finding?.line ?? 0) - 1];
    expect(line).toContain(at);
    expect(result.unseen).toEqual([]);
  });

  it('accepts the correct twin', async () => {
    const { result } = await look(good);
    expect(result.findings).toEqual([]);
    expect(result.unseen).toEqual([]);
  });
});

it('every rule has a row, and no id occurs twice', () => {
  expect([...new Set(rows.map(({ rule }) => rule))].sort()).toEqual(rules.map(({ id }) => id).sort());
});

it.each(rules)('$id has one function, and a remedy that is a sentence', (rule) => {
  const functions = [rule.check, rule.checkFile, rule.checkAllowance, rule.atEnd];
  expect(functions.filter((one) => one !== undefined)).toHaveLength(1);
  expect(rule.remedy).toMatch(/^[A-Z].*[.)]$/);
  expect(rule.title).toMatch(/^[A-Z].*[^.]$/);
});
