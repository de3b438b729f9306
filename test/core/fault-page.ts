/** The page docs/faults.md. */
import { type FaultSite, readFaults, unreadable } from './fault-codes.ts';

export function documentFaults(found: readonly FaultSite[] = readFaults()): string {
  const sites = found.filter(({ code }) => code !== unreadable);
  const areas = [...new Set(sites.map(({ code }) => areaOf(code)))].sort();
  const sections = areas.map((area) => {
    const codes = [...new Set(sites.map(({ code }) => code))].filter((code) => areaOf(code) === area).sort();
    const rows = codes.map((code) => documentCode(code, sites));
    return [
      `## ${area}`,
      '',
      '| code | from | typical message | remedy |',
      '|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  return [
    '# Fault codes',
    '',
    'Every failure that a command reports has a stable code, printed in brackets after the message and as `error.code` with `--json`. Braces stand for values.',
    '',
    'Written by `npm run docs` from the sources.',
    '',
    ...sections,
  ].join('\n');
}

function documentCode(code: string, sites: readonly FaultSite[]): string {
  const own = sites.filter((site) => site.code === code);
  const files = [...new Set(own.map(({ file }) => file))].sort();
  // A place that passes on the text of another fault has no text of its own.
  const typical = own.find(({ what, remedy }) => what !== undefined && remedy !== undefined) ?? own[0];
  const message = [typical?.what, typical?.why].filter((text) => text !== undefined).join(': ');
  return `| ${code} | ${files.join(', ')} | ${cell(message)} | ${cell(typical?.remedy ?? '')} |`;
}

function areaOf(code: string): string {
  return code.slice(0, code.indexOf('/'));
}

function cell(text: string): string {
  return text
    .replaceAll('|', '\\|')
    .replaceAll('<', '\\<')
    .replaceAll('*', '\\*')
    .replace(/\s*\n\s*/g, ' ');
}
