import { afterAll, beforeAll, expect, it } from 'vitest';
import { largeMigrations } from '../../../../benchmarks/large-migrations.ts';
import { type LintFolder, lintFolder } from './files.ts';

let folder: LintFolder;
beforeAll(() => {
  folder = lintFolder();
});
afterAll(() => folder.drop());

/** Sizes beside the usual one: those of a report of minutes, with four comment lines per unit. */
const sizes: Readonly<Record<string, number>> = { INSERTs: 16_000, 'comment lines': 15_000 };
const usualSize = 4_000;
/** CPU seconds. */
const limit = 10;

it.each(Object.entries(largeMigrations))(
  'the lint of many %s takes linear time',
  { timeout: 120_000 },
  async (name, migration) => {
    const { kind, content } = migration(sizes[name] ?? usualSize);
    const path = folder.write(`0002_${name.replaceAll(' ', '_')}.${kind}`, content);
    const before = process.cpuUsage();
    const { unseen, findings } = await folder.lint(path);
    const { user, system } = process.cpuUsage(before);
    expect(unseen).toEqual([]);
    expect(findings.filter(({ rule }) => rule === 'syntax-error')).toEqual([]);
    expect((user + system) / 1_000_000).toBeLessThan(limit);
  },
);
