/** A preview as a section of the comment on a pull request. */
import { markdownCode as code, markdownText as text } from '../../core/markdown.ts';
import { counted, duration } from '../../core/text.ts';
import { gantt } from './gantt.ts';
import type { Preview } from './result.ts';
import {
  afterwards,
  clientLines,
  fidelity,
  headline,
  lockWords,
  migrationWords,
  serverWords,
} from './words.ts';

/** Entries of one list; the page has all. */
const most = 12;

export function renderMarkdown(preview: Preview): string {
  const { exitCode, refusal, resources, servers, clients, migrations, rows, milliseconds } = preview;
  const picture = gantt(preview.timeline);
  const lines = [
    `#### ${refusal ? '🔴' : exitCode === 0 ? '🟢' : '🟡'} Preview: ${text(headline(preview))}`,
    '',
    ...(refusal ? list([`Refused in the phase ${refusal.phase}: ${text(refusal.reason)}`]) : []),
    ...list(servers.map((one) => `${code(one.name)}: ${text(serverWords(one))}`)),
    ...list(
      clients.flatMap((one) => [
        `client, ${one.name}: ${text(clientLines(one)[0] ?? '')}`,
        ...clientLines(one)
          .slice(1)
          .map((line) => `client, ${one.name}: ${text(line)}`),
      ]),
    ),
    ...list(
      migrations.map((one) => {
        const locks = one.locks.map((lock) => `  - ${text(lockWords(lock))}`);
        return [`${code(one.file)}, ${counted(rows, 'row')} a table: ${migrationWords(one)}`, ...locks].join(
          '\n',
        );
      }),
    ),
    ...list(afterwards(preview).map(text)),
    ...(picture.length > 0 ? ['', ...picture] : []),
    ...(resources.length > 0
      ? [
          `\n<details><summary>Applied in ${duration(milliseconds)}: ${counted(resources.length, 'resource')}</summary>\n\n${list(resources.map((one) => code(one))).join('\n')}\n\n</details>`,
        ]
      : []),
    '',
    `<sub>Local Azure, real Terraform, azurerm and PostgreSQL. ${fidelity}</sub>`,
    '',
  ];
  return lines.join('\n');
}

function list(items: readonly string[]): string[] {
  const more = items.length > most ? [`- and ${items.length - most} more`] : [];
  return [...items.slice(0, most).map((item) => `- ${item}`), ...more];
}
