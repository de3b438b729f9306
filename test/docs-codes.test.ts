/** The codes of docs/troubleshooting.md exist: those of llama-db in docs/faults.md, those of Azure in the local Azure. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { refusalAreas } from '../local/azure/refusals/index.ts';

const page = readFileSync('docs/troubleshooting.md', 'utf8');
const faults = readFileSync('docs/faults.md', 'utf8');
const cells = [...page.matchAll(/^\| (.*?) \|/gm)].map(([, cell]) => cell ?? '');
const codes = cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? ''));

it('names fault codes that exist', () => {
  const named = codes.filter((code) => /^[a-z-]+\/[a-z-]+$/.test(code));
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((code) => !faults.includes(`| ${code} |`))).toEqual([]);
});

it("names Azure's codes that the local Azure answers with", () => {
  const known = new Set(
    refusalAreas.flatMap(({ rows }) =>
      Object.values(rows).flatMap(({ code, rule }) => [code, ...(rule.match(/AADSTS\d+/g) ?? [])]),
    ),
  );
  const azure = page.slice(page.indexOf('## Azure'), page.indexOf('## The database'));
  const named = codes.filter((code) => /^[A-Z]\w+$/.test(code) && azure.includes(`\`${code}\``));
  expect(named.length).toBeGreaterThan(8);
  expect(named.filter((code) => !known.has(code))).toEqual([]);
});
