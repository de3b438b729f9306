import { describe, expect, it } from 'vitest';
import { ruleTexts } from '../../environments/catalogue.ts';
import { parseEnvironment } from '../../environments/collection.ts';
import { describeProblem } from '../../environments/problems.ts';
import { production } from '../support/settings/production.ts';
import { acrossRows } from './refused/across.ts';
import { databaseRows } from './refused/database.ts';
import { identityRows } from './refused/identity.ts';
import { jobRows } from './refused/job.ts';
import { networkRows } from './refused/network.ts';
import { bases, changed, type Row } from './refused/row.ts';
import { serverRows } from './refused/server.ts';
import { surroundingRows } from './refused/surroundings.ts';
import { warningRows } from './refused/warnings.ts';

/** Each row changes valid settings in one way, so the change causes every problem that is found. */
describe('the settings that rows start from', () => {
  it.each(Object.entries(bases))('%s has no problem', (_name, base) => {
    expect(parseEnvironment(base).problems).toEqual([]);
  });
});

const families: Readonly<Record<string, readonly Row[]>> = {
  server: serverRows,
  network: networkRows,
  identity: identityRows,
  database: databaseRows,
  surroundings: surroundingRows,
  job: jobRows,
};

describe.each(Object.entries(families))('refused: %s', (_family, rows) => {
  it.each(rows.map((row) => [row.what, row] as const))('%s', (_what, row) => {
    const base = row.from ?? production;
    const { settings, problems } = parseEnvironment(changed(base, row.change), base.name);
    const [path = '', value] = Object.entries(row.change)[0] ?? [];
    const field = row.field ?? path;

    expect(settings).toBeUndefined();
    expect(problems.map((problem) => [problem.field, problem.id])).toEqual([[field, row.id]]);
    const message = problems.map(describeProblem).join('\n');
    const shown = 'value' in row ? row.value : value;
    expect(message).toContain(
      `environments/${base.name}.ts: ${field} is ${shown === undefined ? 'not set' : JSON.stringify(shown)}: `,
    );
    if (row.says) expect(problems[0]?.rule).toMatch(row.says);
    expect(problems[0]?.source).toMatch(row.source);
    expect(message).toContain(`${problems[0]?.rule}`);
    expect(message).toContain(`(${problems[0]?.source}) [${row.id}]`);
    expect(message).toMatch(/ \[[a-z]+\/[a-z-]+\]$/);
    if (row.remedy) expect(problems[0]?.remedy).toMatch(row.remedy);
    expect(message).not.toContain('\n');
  });
});

describe('the rows', () => {
  const rows = [...Object.values(families).flat(), ...acrossRows, ...warningRows];

  it('have every rule, and no rule that does not exist', () => {
    expect([...new Set(rows.map(({ id }) => id))].sort()).toEqual(Object.keys(ruleTexts).sort());
  });

  it('differ', () => {
    const names = rows.map(({ what }) => what);
    expect(names.filter((name, position) => names.indexOf(name) !== position)).toEqual([]);
  });
});
