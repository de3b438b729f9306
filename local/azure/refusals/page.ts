/** The tables of docs/local-azure.md, between the two marks of the page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { refusalAreas } from './index.ts';

const begin = '<!-- refusals: written by npm run docs -->';
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

const file = join(import.meta.dirname, '../../../docs/local-azure.md');

/** The page as it is, with the tables of the catalogue. @throws Error if it lacks the marks */
export function refusalsPage(): string {
  const page = readFileSync(file, 'utf8');
  const [first, last] = [page.indexOf(begin), page.indexOf(end)];
  if (first < 0 || last < first) throw new Error(`the page lacks ${begin} and ${end}`);
  return `${page.slice(0, first + begin.length)}\n\n${tables()}\n\n${page.slice(last)}`;
}
