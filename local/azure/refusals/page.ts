/**
 * The tables of docs/local-azure.md. `npm run docs:refusals` writes them between the two marks of the page.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { refusalAreas } from './index.ts';

const begin = '<!-- refusals: written by npm run docs:refusals -->';
const end = '<!-- end of refusals -->';

function tables(): string {
  return refusalAreas
    .map(({ title, rows }) =>
      [
        `### ${title}`,
        '',
        '| rule | answer | source |',
        '|---|---|---|',
        ...Object.values(rows).map(
          ({ rule, status, code, inner, source }) =>
            `| ${rule} | ${status} ${inner ?? code} | ${source.replaceAll('https://learn.microsoft.com/', '')} |`,
        ),
      ].join('\n'),
    )
    .join('\n\n');
}

/** The page with the tables of today. @throws Error if it lacks the marks */
export function refusalsPage(page: string): string {
  const [first, last] = [page.indexOf(begin), page.indexOf(end)];
  if (first < 0 || last < first) throw new Error(`the page lacks ${begin} and ${end}`);
  return `${page.slice(0, first + begin.length)}\n\n${tables()}\n\n${page.slice(last)}`;
}

const isProgram = process.argv[1] === fileURLToPath(import.meta.url);
if (isProgram) {
  const file = 'docs/local-azure.md';
  writeFileSync(file, refusalsPage(readFileSync(file, 'utf8')));
}
