import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { type Severity, severities } from '../../core/severity.ts';
import { duration, printable, wrapped } from '../../core/text.ts';
import { type CheckFacts, type CheckResult, groups, type Outcome, type Report } from '../check.ts';
import { counted } from '../outcome.ts';
import { unreadChecks } from '../verdict.ts';

export interface TableOptions {
  /** Colours for a terminal. @default false */
  readonly colour?: boolean;
  /** Describe passed and skipped checks too. @default false */
  readonly all?: boolean;
  /** Columns of the terminal. @default 110 */
  readonly width?: number;
}

type Paint = (text: string) => string;

const start = String.fromCharCode(27);
const painted =
  (code: number): Paint =>
  (text) =>
    `${start}[${code}m${text}${start}[0m`;
const plain: Paint = (text) => text;

/**
 * A report for a terminal: findings with their remedy, worst first; sums by group; the verdict; ids of skipped checks by
 * their reason. With `all`, also a table each of the skipped and the passed checks.
 */
export function renderTable(report: Report, options: TableOptions = {}): string {
  const { colour = false, all = false, width = 110 } = options;
  const [red, yellow, green, dim] = [31, 33, 32, 2].map((code) => (colour ? painted(code) : plain)) as [
    Paint,
    Paint,
    Paint,
    Paint,
  ];
  const failed = byStatus(report, 'failed').sort((a, b) => rank(a.check.severity) - rank(b.check.severity));
  const sections: string[] = [];
  if (failed.length > 0) {
    const rows = failed.map(({ check, outcome }) => [
      check.id,
      (rank(check.severity) <= rank('high') ? red : yellow)(check.severity),
      `${headline(check)}\n${found(outcome)}\nRemedy: ${check.remedy}`,
    ]);
    sections.push(table(['found', 'severity', 'check, objects and remedy'], rows, width, [9, 10]));
  }
  const skipped = byReason(byStatus(report, 'skipped'));
  if (all && skipped.size > 0) {
    const rows = [...skipped].map(([reason, checks]) => [
      checks.map(({ id }) => id).join('\n'),
      [...checks.map(headline), dim(`Reason: ${reason}`)].join('\n'),
    ]);
    sections.push(table(['skipped', 'check and reason'], rows, width, [9]));
  }
  if (all) {
    const rows = byStatus(report, 'passed').map(({ check, outcome }) => [
      check.id,
      `${headline(check)}\n${dim(inspectedOf(outcome))}`,
    ]);
    if (rows.length > 0) sections.push(table(['passed', 'check and inspected facts'], rows, width, [9]));
  }
  sections.push(sums(report));
  const { passed, skipped: left, failed: bad } = report.counts;
  const unread = unreadChecks(report).length;
  const clean =
    unread === 0
      ? green('nothing found')
      : yellow(`incomplete, ${counted(unread, 'check')} could not read what they inspect`);
  const verdict = bad === 0 ? clean : red(`${bad} found`);
  sections.push(
    `${verdict}: ${passed} passed, ${bad} failed, ${left} skipped of ${counted(report.checks.length, 'check')} (${duration(report.durationMs)})`,
  );
  if (!all)
    for (const [reason, checks] of skipped)
      sections.push(
        wrapped(`${'skipped'.padEnd(12)} ${reason}: ${checks.map(({ id }) => id).join(', ')}`, width, 13),
      );
  return `${sections.join('\n')}\n`;
}

const headline = ({ title, name }: CheckFacts) => `${title} [${name}]`;

function byStatus(report: Report, status: Outcome['status']): CheckResult[] {
  return report.checks.filter(({ outcome }) => outcome.status === status);
}

const rank = (severity: Severity) => severities.indexOf(severity);

/** Findings of one check, one per line; of many the first ones, and how many follow. */
function found(outcome: Outcome): string {
  if (outcome.status !== 'failed') return '';
  const shown = outcome.findings.slice(0, 10).map(({ object, detail }) => `- ${object}: ${detail}`);
  const more = outcome.findings.length - shown.length;
  return [...shown.map(printable), ...(more > 0 ? [`- and ${more} more (--json has all)`] : [])].join('\n');
}

/** Skipped checks by their reason. */
function byReason(results: readonly CheckResult[]): ReadonlyMap<string, CheckFacts[]> {
  const reasons = new Map<string, CheckFacts[]>();
  for (const { check, outcome } of results) {
    if (outcome.status !== 'skipped') continue;
    const reason = printable(outcome.reason);
    reasons.set(reason, [...(reasons.get(reason) ?? []), check]);
  }
  return reasons;
}

function inspectedOf(outcome: Outcome): string {
  return outcome.status === 'skipped' ? '' : printable(outcome.inspected);
}

/**
 * A table whose last column takes the rest of the width.
 *
 * Every line of a cell becomes its own row, because cli-table3 takes seconds for a cell of twenty lines.
 */
function table(head: string[], rows: string[][], width: number, first: readonly number[]): string {
  const rest = Math.max(width - first.reduce((sum, one) => sum + one + 1, 0) - 2, 30);
  const drawn = new Table({
    head,
    colWidths: [...first, rest],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  /** Numbers of the rows that continue the row above. */
  const joined = new Set<number>();
  for (const cells of rows) {
    const lines = cells.map((cell) => cell.split('\n'));
    for (let line = 0; line < Math.max(...lines.map(({ length }) => length)); line += 1) {
      if (line > 0) joined.add(drawn.length);
      drawn.push(lines.map((cell) => cell[line] ?? ''));
    }
  }
  let row = -1;
  return drawn
    .toString()
    .split('\n')
    .filter((line) => {
      if (stripVTControlCharacters(line).startsWith('├')) row += 1;
      else return true;
      return !joined.has(row);
    })
    .map((line) => (stripVTControlCharacters(line) === line ? line.trimEnd() : line))
    .join('\n');
}

function sums(report: Report): string {
  const present = groups.filter((group) => report.checks.some(({ check }) => check.group === group));
  return present
    .map((group) => {
      const results = report.checks.filter(({ check }) => check.group === group);
      const number = (status: Outcome['status']) =>
        results.filter(({ outcome }) => outcome.status === status).length;
      const parts = [`${number('passed')} passed`];
      if (number('failed') > 0) parts.push(`${number('failed')} failed`);
      if (number('skipped') > 0) parts.push(`${number('skipped')} skipped`);
      return `${group.padEnd(12)} ${parts.join(', ')}`;
    })
    .join('\n');
}
