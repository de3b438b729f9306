/** The report for a terminal: worst first, at most 80 columns. */
import { counted, wrapped } from '../../../core/text.ts';
import type { GuardReport, Refusal } from '../guard.ts';
import { impacts, impactTexts } from '../impacts.ts';
import type { Verdict } from '../judge.ts';
import {
  controlsText,
  costOf,
  driftLines,
  headline,
  ignoredEdits,
  othersLine,
  rangeText,
  shortened,
  sourceText,
  sumsOf,
  warningLines,
} from './words.ts';

const width = 80;

export function renderText(report: GuardReport): string {
  const lines = [
    wrapped(headline(report), width),
    wrapped(sumsOf(report), width),
    ...list(ignoredEdits, warningLines(report)),
    ...impacts.flatMap((impact) => section(report, impact)),
    ...list('Not judged', othersLine(report)),
    ...list('Changed outside Terraform', driftLines(report, 10)),
    ...list('Decided during the apply', report.openChecks),
    ...list(
      'Waived',
      report.waived.map(
        ({ address, impact, waiver }) =>
          `${address}: ${impactTexts[impact].title}, by ${waiver.by} until ${waiver.expires}: ${waiver.reason}`,
      ),
    ),
    ...refusals(report),
  ];
  return `${lines.join('\n')}\n`;
}

function section({ verdicts }: GuardReport, impact: Verdict['impact']): string[] {
  const found = verdicts.filter((one) => one.impact === impact);
  if (found.length === 0) return [];
  const { title, means } = impactTexts[impact];
  const shown = impact === 'nothing' ? [] : found;
  const head = `${title.toUpperCase()} (${counted(found.length, 'change')}): ${means}`;
  return ['', wrapped(head, width, 2), ...shown.flatMap(describe)];
}

function describe(verdict: Verdict): string[] {
  const { address, attribute, values, says, when, controls, source } = verdict;
  const place = attribute === undefined ? address : `${address} ${attribute}`;
  return [
    indented(place),
    ...(values === undefined ? [] : [indented(values, 4)]),
    indented(`${says}${costOf(verdict)}${rangeText(verdict)}`, 4),
    ...(when === undefined ? [] : [indented(`only if ${when}`, 4)]),
    ...(controls === undefined ? [] : [indented(`fails afterwards: ${controlsText(controls)}`, 4)]),
    ...(source === undefined || ['nothing', 'cost'].includes(verdict.impact)
      ? []
      : [indented(sourceText(source), 4)]),
  ];
}

/** Wrapped and indented; a word that is longer than the line is shortened in its middle. */
function indented(text: string, by = 2): string {
  const space = ' '.repeat(by);
  const words = text.split(' ').map((word) => shortened(word, width - by - 2));
  return wrapped(words.join(' '), width - by, 2)
    .split('\n')
    .map((line) => `${space}${line}`)
    .join('\n');
}

function list(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : ['', `${title}:`, ...items.map((item) => indented(item))];
}

function refusals({ refusals: found, environment }: GuardReport): string[] {
  if (found.length === 0) return [];
  return [
    '',
    wrapped(
      `REFUSED: ${environment} is protected, and ${counted(found.length, 'change')} must be waived or taken back.`,
      width,
      2,
    ),
    ...found.flatMap((one) => refusal(one)),
  ];
}

function refusal({ rule, address, impact, fingerprint, almost }: Refusal): string[] {
  return [
    indented(`${rule.id} ${rule.title}: ${address}`),
    indented(rule.remedy, 4),
    ...(almost === undefined ? [] : [indented(almost, 4)]),
    indented(`waiver: impact ${impact}, fingerprint ${fingerprint}`, 4),
  ];
}
