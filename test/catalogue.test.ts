/** Each folder of rules, checks, scenarios, commands and benchmarks equals its catalogue: a file alone adds its thing. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchmarks } from '../benchmarks/benchmark.ts';
import { families } from '../database/migrator/lint/catalogue.ts';
import { ruleFamilies } from '../environments/catalogue.ts';
import { scenarios } from '../rehearsal/sandbox/scenario.ts';
import { catalogue } from '../verification/catalogue.ts';

const namesIn = (folder: string): string[] =>
  readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();

const importAll = <Module>(folder: string): Promise<readonly Module[]> =>
  Promise.all(
    namesIn(folder).map((name): Promise<Module> => import(join(process.cwd(), folder, `${name}.ts`))),
  );

describe('the folder of', () => {
  it('verification/checks', { timeout: 120_000 }, async () => {
    const files = await importAll<{ readonly checks: readonly { readonly id: string }[] }>(
      'verification/checks',
    );
    const ids = files.flatMap(({ checks }) => checks.map(({ id }) => id));
    expect(files.every(({ checks }) => checks.length > 0)).toBe(true);
    expect(ids.sort()).toEqual(catalogue.map(({ id }) => id).sort());
  });

  it('database/migrator/lint/rules', { timeout: 120_000 }, async () => {
    const files = await importAll<{ readonly family: (typeof families)[number] }>(
      'database/migrator/lint/rules',
    );
    expect(files.map(({ family }) => family.title).sort()).toEqual(families.map(({ title }) => title).sort());
  });

  it('environments/rules', () => {
    expect(Object.keys(ruleFamilies).sort()).toEqual(namesIn('environments/rules'));
    for (const [family, rules] of Object.entries(ruleFamilies))
      expect(Object.keys(rules).filter((id) => !id.startsWith(`${family}/`))).toEqual([]);
  });

  it('rehearsal/scenarios', { timeout: 120_000 }, async () => {
    expect((await scenarios()).map(({ name }) => name)).toEqual(namesIn('rehearsal/scenarios'));
  });

  it('benchmarks/cases', { timeout: 120_000 }, async () => {
    expect((await benchmarks()).map(({ name }) => name)).toEqual(namesIn('benchmarks/cases'));
  });

  it('commands, which equals the help and the table of README.md', () => {
    const names = namesIn('commands').filter((name) => name !== 'main');
    const help = execFileSync(process.execPath, ['commands/llama-db.mjs', '--help'], { encoding: 'utf8' });
    const listed = [...help.matchAll(/^ {2}([a-z][a-z-]*) /gm)].map(([, name]) => name);
    expect(listed.filter((name) => name !== 'help').sort()).toEqual(names);
    const cells = [...readFileSync('README.md', 'utf8').matchAll(/^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \|/gm)];
    const table = cells.flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([a-z-]+)`/g)].map(([, name]) => name),
    );
    // `start` has a section of its own: npm start.
    expect([...table, 'start'].sort()).toEqual(names);
  });
});
