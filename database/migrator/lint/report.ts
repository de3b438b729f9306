/** Findings of the lint for terminals, programs and code scanning, and the list of rules. */
import { relative } from 'node:path';
import { sarifLevel, sarifLog } from '../../../core/sarif.ts';
import { counted } from '../../../core/text.ts';
import { families, ruleOf, rules } from './catalogue.ts';
import type { LintResult } from './lint.ts';
import type { Finding, Rule, RuleFacts } from './rule.ts';

export const lintFormats = ['text', 'json', 'sarif'] as const;
export type LintFormat = (typeof lintFormats)[number];

/** Version of the JSON document; raised if a member changes its meaning or is removed, not for new members. */
const format = 2;

export function renderLint(result: LintResult, how: LintFormat, ok: boolean): string {
  if (how === 'json') return `${JSON.stringify(lintDocument(result, ok))}\n`;
  if (how === 'sarif') return `${JSON.stringify(lintSarif(result), undefined, 2)}\n`;
  return describe(result);
}

/** One paragraph per finding, then the unseen parts, then a summary. */
function describe({ findings, allowed, unseen, files }: LintResult): string {
  const paragraphs = findings.map((finding) => {
    const { why, remedy, source } = ruleOf(finding.rule);
    return [
      `${place(finding)}  ${finding.severity}  ${finding.rule}: ${finding.detail}`,
      `  Why: ${why} (${source}).`,
      `  Remedy: ${remedy}`,
      '',
    ].join('\n');
  });
  const notSeen = unseen.map((item) => `${place(item)}  not seen: ${item.reason}`);
  if (notSeen.length > 0) notSeen.push('');
  const counts = new Map<string, number>();
  for (const { severity } of findings) counts.set(severity, (counts.get(severity) ?? 0) + 1);
  const by = [...counts].map(([severity, count]) => `${count} ${severity}`).join(', ');
  const sum = [
    `${counted(findings.length, 'finding')}${by ? ` (${by})` : ''}`,
    `${allowed.length} allowed with a reason`,
    `${unseen.length} not seen`,
  ].join(', ');
  return `${[...paragraphs, ...notSeen].join('\n')}${paragraphs.length + notSeen.length > 0 ? '\n' : ''}${sum}, in ${counted(files.length, 'file')}\n`;
}

function lintDocument({ findings, allowed, unseen, files }: LintResult, ok: boolean) {
  return {
    ok,
    format,
    files: files.map(short),
    findings: findings.map((finding) => {
      const { title, why, remedy, source } = ruleOf(finding.rule);
      return { ...finding, path: short(finding.path), title, why, remedy, source };
    }),
    allowed: allowed.map((item) => ({ ...item, path: short(item.path) })),
    unseen: unseen.map((item) => ({ ...item, path: short(item.path) })),
  };
}

/** Allowed findings are included as suppressed, with their reason. */
function lintSarif({ findings, allowed, unseen }: LintResult) {
  const result = (finding: Finding, suppressions: object) => ({
    ruleId: finding.rule,
    ruleIndex: rules.findIndex(({ id }) => id === finding.rule),
    level: sarifLevel(finding.severity).level,
    message: { text: `${finding.detail}. ${ruleOf(finding.rule).remedy}` },
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
    rules: rules.map(({ id, severity, title, why, remedy, source }) => ({
      id,
      severity,
      title,
      why,
      help: `${remedy}\n\nSource: ${source}`,
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

/** One line per rule, for `--rules`. */
export function listRules(): string {
  return `${rules.map(({ id, severity, title }) => `${id.padEnd(34)} ${severity.padEnd(9)} ${title}`).join('\n')}\n`;
}

export function rulesDocument(): { readonly rules: readonly RuleFacts[] } {
  return {
    rules: rules.map(({ check: _1, checkFile: _2, checkAllowance: _3, atEnd: _4, ...facts }) => facts),
  };
}

/** The page docs/lint-rules.md. */
export function documentRules(): string {
  const sections = families.map(({ title, rules: own }) =>
    [`## ${title}`, '', ...own.map(documentRule)].join('\n'),
  );
  return [
    '# The rules of the lint',
    '',
    'Written by `npm run docs`. [linters.md](linters.md) compares them with the rules of splinter, pgrls and squawk.',
    '',
    'A migration accepts a finding with a comment next to the statement, `-- lint allow <rule>: <reason>`.',
    '',
    ...sections,
  ].join('\n');
}

const sizes: Readonly<Record<NonNullable<Rule['matters']>, string>> = {
  always: 'always',
  existing: 'for tables that the migration does not create itself',
  large: 'for tables with rows; low severity if the size of the table is unknown',
};

function documentRule({ id, severity, title, why, remedy, source, matters = 'always' }: Rule): string {
  // Angle brackets would be HTML in Markdown.
  const text = (value: string) => value.replaceAll('<', '\\<').replaceAll('*', '\\*');
  return [
    `### ${id}`,
    '',
    `**${text(title)}.** Severity ${severity}. It applies ${sizes[matters]}.`,
    '',
    `- Why: ${text(why)}.`,
    `- Remedy: ${text(remedy)}`,
    `- Source: ${text(source)}`,
    '',
  ].join('\n');
}

function place({ path, line }: { readonly path: string; readonly line: number }): string {
  return `${short(path)}:${line}`;
}

function short(path: string): string {
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}
