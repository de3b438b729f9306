/** `controls.csv`: one line per piece of evidence, for spreadsheets (RFC 4180). */
import { frameworkIds } from '../frameworks.ts';
import type { Report } from '../report.ts';
import { numbersText, shortName, text, waiverText } from './markdown.ts';

export function renderCsv(report: Report): string {
  const header = [
    'control',
    'title',
    'control verdict',
    'evidence',
    'place',
    'within',
    'subject',
    'required',
    'value',
    'verdict',
    'looked at',
    'rules',
    'waiver',
    'remark',
    ...frameworkIds.map(shortName),
  ];
  const lines = report.families.flatMap(({ controls }) =>
    controls.flatMap((control) =>
      control.rows.map((row) => [
        control.id,
        control.title,
        control.verdict,
        row.kind,
        row.place,
        row.within ?? '',
        row.subject,
        row.requires ?? '',
        row.value === null ? '' : text(row.value),
        row.verdict,
        row.observedAt ?? '',
        control.rules.join(' '),
        waiverText(row) ?? '',
        row.remark ?? '',
        ...frameworkIds.map((id) => numbersText(id, control.mapped[id] ?? [])),
      ]),
    ),
  );
  return [header, ...lines].map((cells) => `${cells.map(cell).join(',')}\r\n`).join('');
}

/**
 * A quoted cell. A text that a spreadsheet would run as a formula gets an apostrophe in front
 * (https://owasp.org/www-community/attacks/CSV_Injection).
 */
export function cell(content: string): string {
  const safe = /^\s*[=+\-@|%]|^[\t\r\n]/.test(content) ? `'${content}` : content;
  return `"${safe.replaceAll('"', '""')}"`;
}
