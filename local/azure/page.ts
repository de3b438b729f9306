/** The generated parts of docs/local-azure.md, each between two marks of the page. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { deviations } from './published/deviations.ts';
import { published } from './published/shapes.ts';
import { refusalAreas } from './refusals/index.ts';

const file = join(import.meta.dirname, '../../docs/local-azure.md');

function refusals(): string {
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

function shapes(): string {
  return [
    `Published: ${Object.keys(published).join(', ')}.`,
    '',
    '| type | property | here | reason |',
    '|---|---|---|---|',
    ...deviations.map(({ type, path, shape, reason }) => {
      const here = typeof shape === 'string' ? shape : 'written by hand';
      return `| ${type} | \`${path}\` | ${here} | ${reason} |`;
    }),
  ].join('\n');
}

/** The page as it is, with its generated parts. @throws Error if it lacks their marks */
export function localAzurePage(): string {
  const parts = { refusals, shapes };
  return Object.entries(parts).reduce(
    (page, [name, write]) => {
      const [begin, end] = [`<!-- ${name}: written by npm run docs -->`, `<!-- end of ${name} -->`];
      const [first, last] = [page.indexOf(begin), page.indexOf(end)];
      if (first < 0 || last < first) throw new Error(`docs/local-azure.md lacks ${begin} and ${end}`);
      return `${page.slice(0, first + begin.length)}\n\n${write()}\n\n${page.slice(last)}`;
    },
    readFileSync(file, 'utf8'),
  );
}
