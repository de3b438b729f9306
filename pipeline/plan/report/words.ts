/** Sentences that all reports share. */
import { counted } from '../../../core/text.ts';
import type { GuardReport } from '../guard.ts';
import { impactTexts } from '../impacts.ts';
import type { Verdict } from '../judge.ts';
import type { Range, Source } from '../table/row.ts';

/** The result in one sentence. */
export function headline(report: GuardReport): string {
  const { environment, impact, refusals, exitCode } = report;
  if (exitCode === 0) return `${environment}: nothing changes.`;
  if (isIgnored(report)) return `${environment}: nothing changes, and Terraform ignores an edit.`;
  const worst = `the worst impact is ${impactTexts[impact].title}`;
  return exitCode === 3
    ? `${environment}: refused, ${worst} (${counted(refusals.length, 'refusal')}).`
    : `${environment}: ${worst}: ${impactTexts[impact].means}.`;
}

/** Whether the plan changes nothing and only warns. */
function isIgnored({
  exitCode,
  warnings,
  counts,
  outputs,
  runsPostDeploy,
  migrations,
}: GuardReport): boolean {
  const changes =
    counts.create + counts.update + counts.replace + counts.delete + counts.import + counts.move;
  return (
    exitCode === 2 &&
    warnings.length > 0 &&
    changes + outputs.length + (migrations?.files.length ?? 0) === 0 &&
    !runsPostDeploy
  );
}

/** Heading of the assertions that do not hold. */
export const ignoredEdits = 'Ignored by Terraform';

export function warningLines({ warnings }: Pick<GuardReport, 'warnings'>): string[] {
  return warnings.map(({ check, message }) => `${check}: ${message}`);
}

/** The changes by action. A replacement destroys, so the sentence says so. */
export function sumsOf({ counts, outputs, runsPostDeploy }: GuardReport): string {
  const parts = [
    [counts.create, 'created'],
    [counts.update, 'changed in place'],
    [counts.replace, 'destroyed and created'],
    [counts.delete, 'destroyed'],
    [counts.import, 'imported'],
    [counts.move, 'moved'],
  ] as const;
  const named = parts.flatMap(([count, words]) => (count > 0 ? [`${count} ${words}`] : []));
  const changed = outputs.length > 0 ? [counted(outputs.length, 'output')] : [];
  const all = [...named, ...changed];
  const step = runsPostDeploy ? ' The post-deploy step runs.' : '';
  return `Resources: ${all.length > 0 ? all.join(', ') : 'none'}.${step}`;
}

/** The one line about types that the table does not have. */
export function othersLine({ others }: GuardReport): string[] {
  const types = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  const count = types.reduce((sum, [, number]) => sum + number, 0);
  if (count === 0) return [];
  const named = types.slice(0, 6).map(([type]) => type);
  const more = types.length > 6 ? ` and ${types.length - 6} more` : '';
  return [
    `${counted(count, 'change')} of ${counted(types.length, 'type')} outside the table: ${named.join(', ')}${more}`,
  ];
}

/** The controls that fail afterwards. Numbers of MCSB were compared with nothing (pipeline/evidence/frameworks.ts). */
export function controlsText(controls: readonly string[]): string {
  return controls.map((one) => (one.startsWith('MCSB ') ? `${one} (not compared)` : one)).join('; ');
}

export function costOf({ factor }: Verdict): string {
  return factor === undefined ? '' : `: ${factor.of} × ${Number(factor.by.toFixed(2))}`;
}

/** `, 40-60 s by Azure's documentation`. */
export function rangeText({ seconds }: Pick<Verdict, 'seconds'>): string {
  return seconds === undefined ? '' : ` (${spanOf(seconds)} by Azure's documentation)`;
}

export function spanOf({ from, to }: Range): string {
  return to >= 120 ? `${from / 60}-${to / 60} min` : `${from}-${to} s`;
}

/** A word with its middle left out, so that it fits. */
export function shortened(word: string, longest: number): string {
  if (word.length <= longest) return word;
  const half = Math.floor((longest - 1) / 2);
  return `${word.slice(0, half)}…${word.slice(word.length - half)}`;
}

/** A source without what all addresses share: `learn.microsoft.com/azure/postgresql/…, 2026-07`. */
export function sourceText({ url, dated }: Source): string {
  const short = url
    .replace('https://github.com/hashicorp/terraform-provider-azurerm/blob/v4.55.0/', 'azurerm ')
    .replace(/^https:\/\//, '');
  return `${short}, ${dated}`;
}

/** Changes that somebody made outside Terraform, one line per resource. */
export function driftLines({ drift }: GuardReport, most: number): string[] {
  const lines = drift
    .slice(0, most)
    .map(
      ({ address, action, attributes }) =>
        `${address}: ${[action, attributes.join(', ')].filter(Boolean).join(' ')}`,
    );
  return drift.length > most ? [...lines, `and ${drift.length - most} more`] : lines;
}
