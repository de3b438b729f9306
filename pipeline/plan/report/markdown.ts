/** The comment on a pull request: one per environment, worst first, readable on a phone. */
import { markdownCode as code, markdownText as text } from '../../../core/markdown.ts';
import { counted } from '../../../core/text.ts';
import type { GuardReport, Refusal } from '../guard.ts';
import { type Impact, impacts, impactTexts } from '../impacts.ts';
import type { Verdict } from '../judge.ts';
import {
  controlsText,
  costOf,
  driftLines,
  headline,
  ignoredEdits,
  othersLine,
  rangeText,
  sumsOf,
} from './words.ts';

/** Platforms refuse a comment of 65,536 characters. */
export const longestComment = 60_000;

export interface CommentOptions {
  /** Address of the whole report. @default - the comment names the file */
  readonly link?: string;
  /** Section of `llama-db preview`, in Markdown. @default - the change was not rehearsed */
  readonly preview?: string;
}

/** The first line of the comment, by which the next run finds it. */
export function markerOf(environment: string): string {
  return `<!-- llama-db plan: ${environment.replace(/[^A-Za-z0-9_.-]/g, '-')} -->`;
}

/** Markdown of at most {@link longestComment} characters; empty if nothing changes. */
export function renderComment(report: GuardReport, { link, preview }: CommentOptions = {}): string {
  if (report.exitCode === 0) return '';
  const head = [
    markerOf(report.environment),
    `### ${mark[report.exitCode]} ${text(headline(report))}`,
    '',
    text(sumsOf(report)),
    ...refusals(report),
  ];
  const ignored = report.warnings.map(({ check, message }) => `- ${code(check)}: ${text(message)}`);
  const parts = [
    ...(ignored.length > 0 ? ['', `#### ${ignoredEdits}`, '', ...fitted(ignored, 8000)] : []),
    ...impacts.flatMap((impact) => section(report, impact)),
    ...migrations(report),
    ...others(report),
  ];
  const tail = [
    ...(preview === undefined ? [] : ['', previewOf(preview)]),
    '',
    `<sub>Terraform ${text(report.terraformVersion)}. ${whole(link)} docs/reviewing.md explains the words.</sub>`,
    '',
  ];
  const room = longestComment - 400 - [...head, ...tail].join('\n').length;
  return [...fitted(head, longestComment - 2000), ...fitted(parts, room), ...tail].join('\n');
}

/** Characters of a preview in a comment; its lists are short. */
const longestPreview = 15_000;

const previewOf = (text: string) =>
  text.length <= longestPreview
    ? text.trimEnd()
    : '#### Preview\n\nIt is too long for a comment: see `preview.html` of this run.';

const mark = { 2: '🟡', 3: '🔴' } as const;

function whole(link: string | undefined): string {
  return link === undefined
    ? 'The whole report is `guard.html` of this run.'
    : `[The whole report](${link.replace(/[\s()<>]/g, '')}).`;
}

/** As many blocks as there is room for, and the number of the others. A `<details>` block is one block. */
function fitted(blocks: readonly string[], room: number): string[] {
  const kept: string[] = [];
  let used = 0;
  for (const [place, block] of blocks.entries()) {
    used += block.length + 1;
    if (used > room) return [...kept, '', `**${blocks.length - place} more lines are in the whole report.**`];
    kept.push(block);
  }
  return kept;
}

function refusals({ refusals: found, waived }: GuardReport): string[] {
  const lines = found.map(refusal);
  const accepted = waived.map(
    ({ address, impact, waiver }) =>
      `- ${code(address)}: ${impactTexts[impact].title}, accepted by ${text(waiver.by)} until ${waiver.expires}: ${text(waiver.reason)}`,
  );
  return [
    ...(lines.length > 0
      ? ['', `**Refused.** Take each back, or waive it in \`environments/waivers.json\`:`, '', ...lines]
      : []),
    ...(accepted.length > 0 ? ['', '**Waived**', '', ...accepted] : []),
  ];
}

function refusal({ rule, address, impact, fingerprint, almost }: Refusal): string {
  const near = almost === undefined ? '' : ` (${text(almost)})`;
  return `- ${rule.id} ${code(address)}: impact \`${impact}\`, fingerprint \`${fingerprint}\`${near}`;
}

function section({ verdicts }: GuardReport, impact: Impact): string[] {
  const found = verdicts.filter((one) => one.impact === impact && one.type !== 'migration');
  if (found.length === 0) return [];
  const { title, means } = impactTexts[impact];
  const heading = `${title.charAt(0).toUpperCase()}${title.slice(1)}`;
  const items = found.map(item);
  // Calm changes are folded, so that the serious ones are on the first screen.
  if (impact === 'nothing' || (impact === 'online' && found.length > 5)) {
    const shown = fitted(items, 8000);
    return [
      `\n<details><summary>${heading}: ${counted(found.length, 'change')}</summary>\n\n${shown.join('\n')}\n\n</details>`,
    ];
  }
  return ['', `#### ${heading}`, `_${means}_`, '', ...items];
}

function item(verdict: Verdict): string {
  const { address, attribute, values, says, when, controls, source } = verdict;
  const place = attribute === undefined ? '' : ` ${code(attribute)}`;
  const lines = [
    `- ${code(address)}${place}: ${text(says)}${text(costOf(verdict))}${rangeText(verdict)}`,
    ...(values === undefined ? [] : [`  ${code(values)}`]),
    ...(when === undefined ? [] : [`  Only if ${text(when)}.`]),
    ...(controls === undefined ? [] : [`  Fails afterwards: ${text(controlsText(controls))}.`]),
  ];
  const cited = source !== undefined && !['nothing', 'cost', 'online'].includes(verdict.impact);
  return `${lines.join('  \n')}${cited ? ` ([source](${source.url}), ${source.dated})` : ''}`;
}

function migrations({ migrations: pending }: GuardReport): string[] {
  if (!pending || (pending.files.length === 0 && pending.verdicts.length === 0)) return [];
  const files = pending.files.map(({ file, locks, findings, allowed }) => {
    const blocking = locks.filter(({ mode }) => mode !== 'ROW EXCLUSIVE').slice(0, 8);
    const lines = [
      `- ${code(file)}`,
      ...blocking.map(({ on, mode, blocks }) => `  - ${mode} on ${code(on)}: blocks ${blocks}`),
      ...findings.map(
        ({ rule, severity, line, detail }) => `  - ${severity}: ${code(rule)} line ${line}: ${text(detail)}`,
      ),
      ...allowed.map(({ rule, reason }) => `  - allowed: ${code(rule)}: ${text(reason)}`),
    ];
    return lines.join('\n');
  });
  const refused = pending.verdicts
    .filter(({ row }) => /^migration\/(?:missing|edited|other)/.test(row))
    .map(item);
  const schema = pending.schema ?? [];
  return [
    '',
    `#### Migrations: ${pending.files.length} pending`,
    '',
    ...refused,
    ...files,
    ...(schema.length > 0
      ? [
          `\n<details><summary>Changes of the schema: ${schema.length}</summary>\n\n${fitted(
            schema.map((line) => `- ${code(line)}`),
            12_000,
          ).join('\n')}\n\n</details>`,
        ]
      : []),
  ];
}

function others(report: GuardReport): string[] {
  const { drift, openChecks } = report;
  return [
    ...othersLine(report).map((line) => `\n**Not judged:** ${text(line)}.`),
    ...(drift.length > 0
      ? ['\n**Changed outside Terraform**', '', ...driftLines(report, 10).map((line) => `- ${text(line)}`)]
      : []),
    ...(openChecks.length > 0
      ? [`\n**Decided during the apply:** ${openChecks.map((one) => code(one)).join(', ')}`]
      : []),
  ];
}
