/** Findings of the lint, for a terminal, a machine, and code scanning. */
import { relative } from 'node:path';
import { sarifLevel, sarifLog } from '../../../core/sarif.ts';
import { ruleOf, rules } from './catalogue.ts';
import type { LintResult } from './lint.ts';
import type { Finding, RuleFacts } from './rule.ts';

export const lintFormats = ['text', 'json', 'sarif'] as const;
export type LintFormat = (typeof lintFormats)[number];

/** Raised when a member changes its meaning or goes; new members do not count. */
const format = 1;

export function renderLint(result: LintResult, how: LintFormat, ok: boolean): string {
  if (how === 'json') return `${JSON.stringify(lintDocument(result, ok))}\n`;
  if (how === 'sarif') return `${JSON.stringify(lintSarif(result), undefined, 2)}\n`;
  return describe(result);
}

/** One paragraph a finding, then what nobody looked at, then the sum. */
function describe({ findings, allowed, unseen, files }: LintResult): string {
  const paragraphs = findings.map((finding) => {
    const { why, instead, source } = ruleOf(finding.rule);
    return [
      `${place(finding)}  ${finding.severity}  ${finding.rule}: ${finding.detail}`,
      `  Why: ${why} (${source}).`,
      `  Instead: ${instead}`,
      '',
    ].join('\n');
  });
  const notSeen = unseen.map((item) => `${place(item)}  not seen: ${item.reason}`);
  if (notSeen.length > 0) notSeen.push('');
  const counts = new Map<string, number>();
  for (const { severity } of findings) counts.set(severity, (counts.get(severity) ?? 0) + 1);
  const by = [...counts].map(([severity, count]) => `${count} ${severity}`).join(', ');
  const sum = [
    `${findings.length} ${findings.length === 1 ? 'finding' : 'findings'}${by ? ` (${by})` : ''}`,
    `${allowed.length} allowed with a reason`,
    `${unseen.length} not seen`,
  ].join(', ');
  return `${[...paragraphs, ...notSeen].join('\n')}${paragraphs.length + notSeen.length > 0 ? '\n' : ''}${sum}, in ${files.length} ${files.length === 1 ? 'file' : 'files'}\n`;
}

function lintDocument({ findings, allowed, unseen, files }: LintResult, ok: boolean) {
  return {
    ok,
    format,
    files: files.map(short),
    findings: findings.map((finding) => {
      const { title, why, instead, source } = ruleOf(finding.rule);
      return { ...finding, path: short(finding.path), title, why, instead, source };
    }),
    allowed: allowed.map((item) => ({ ...item, path: short(item.path) })),
    unseen: unseen.map((item) => ({ ...item, path: short(item.path) })),
  };
}

/** Allowed findings are in it as suppressed ones, with the reason that the file gives. */
function lintSarif({ findings, allowed, unseen }: LintResult) {
  const result = (finding: Finding, suppressions: object) => ({
    ruleId: finding.rule,
    ruleIndex: rules.findIndex(({ id }) => id === finding.rule),
    level: sarifLevel(finding.severity).level,
    message: { text: `${finding.detail}. ${ruleOf(finding.rule).instead}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: short(finding.path) },
          region: { startLine: finding.line },
        },
      },
    ],
    ...suppressions,
  });
  return sarifLog({
    tool: 'llama-db lint',
    rules: rules.map(({ id, severity, title, why, instead, source }) => ({
      id,
      severity,
      title,
      why,
      help: `${instead}\n\nSource: ${source}`,
      tags: ['migrations'],
    })),
    results: [
      ...findings.map((finding) => result(finding, {})),
      ...allowed.map((finding) =>
        result(finding, { suppressions: [{ kind: 'inSource', justification: finding.reason }] }),
      ),
    ],
    notes: unseen.map((item) => `${place(item)} was not seen: ${item.reason}`),
  });
}

/** The catalogue, for `--rules`. */
export function listRules(): string {
  return `${rules.map(({ id, severity, title }) => `${id.padEnd(34)} ${severity.padEnd(9)} ${title}`).join('\n')}\n`;
}

export function rulesDocument(): { readonly rules: readonly RuleFacts[] } {
  return { rules: rules.map(({ check: _, ...facts }) => facts) };
}

function place({ path, line }: { readonly path: string; readonly line: number }): string {
  return `${short(path)}:${line}`;
}

function short(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}
