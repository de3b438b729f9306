import { catalogue } from '../catalogue.ts';
import type { CheckFacts } from '../check.ts';

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
