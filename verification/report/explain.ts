import { catalogue } from '../catalogue.ts';
import { type CheckFacts, groups } from '../check.ts';
import { groupTexts } from './groups.ts';

/** The long text of one check, for a terminal. */
export function explain(check: CheckFacts): string {
  return [
    `${check.id}  ${check.title}`,
    '',
    `Group      ${check.group}`,
    `Severity   ${check.severity}`,
    `Looks at   ${check.looksAt}`,
    `Why        ${check.why}`,
    `Mend       ${check.mend}`,
    `Source     ${check.source}`,
    '',
  ].join('\n');
}

/** One line a check, by group. */
export function listChecks(): string {
  return `${catalogue.map(({ id, severity, title }) => `${id}  ${severity.padEnd(8)}  ${title}`).join('\n')}\n`;
}

/** The catalogue as a page of the documentation: a table a group. */
export function documentChecks(): string {
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const sections = groups.map((group) => {
    const { title, about } = groupTexts[group];
    const rows = catalogue
      .filter((check) => check.group === group)
      .map(
        ({ id, severity, title, looksAt, source }) =>
          `| ${id} | ${severity} | ${cell(title)} | ${cell(looksAt)} | ${cell(source)} |`,
      );
    return [
      `## ${title}: ${about}`,
      '',
      '| check | severity | what holds | looked at | source |',
      '|---|---|---|---|---|',
      ...rows,
      '',
    ].join('\n');
  });
  return [
    '# The catalogue of checks',
    '',
    'Written by `llama-db explain --markdown`; why each matters and how to mend it, `llama-db explain ID` prints.',
    '',
    ...sections,
  ].join('\n');
}
