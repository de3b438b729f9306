/** The findings for a person. */
import type { AdoptReport, AdoptResult } from './adopt.ts';

/** One entry per resource: the whole address, for copying, and the details below it. */
export function renderReport(report: AdoptReport): string {
  const { adoptable, tainted, obstacles, notes, missing, orphans } = report;
  const sections = [
    section(
      'In Azure but not in the state:',
      adoptable.map(({ address, importId }) => [address, shortId(importId)]),
    ),
    section(
      'Tainted in the state, so that the next deployment would replace it, but complete in Azure:',
      tainted.map(({ address, id }) => [address, shortId(id)]),
    ),
    section(
      'Needs manual action first:',
      obstacles.map(({ address, what, remedy }) => [address, `${what}. ${remedy}`]),
    ),
    section(
      "In the environment's resource groups, but neither in the stack nor in the state (not touched):",
      orphans.map(({ id }) => [shortId(id)]),
    ),
    ...notes,
  ].filter((text) => text !== '');
  if (adoptable.length + tainted.length + obstacles.length === 0)
    sections.push(`${report.environment} has nothing to adopt.`);
  if (missing.length > 0) sections.push(`Not in Azure; the next deployment creates it: ${missing.length}.`);
  return `${sections.join('\n')}\n`;
}

/** The next step in one line; undefined if there was nothing to do. */
export function renderOutcome({ outcome, environment, file }: AdoptResult): string | undefined {
  const deploy = `cdktf deploy ${environment}`;
  switch (outcome) {
    case 'written':
      return `Wrote ${file}. Next: ${deploy}, which imports them and creates what is missing.`;
    case 'imported':
      return `The state contains them now. Next: ${deploy}.`;
    case 'declined':
      return 'Nothing was changed.';
    default:
      return undefined;
  }
}

function section(title: string, entries: readonly (readonly string[])[]): string {
  if (entries.length === 0) return '';
  return [title, ...entries.map((lines) => `  ${lines.join('\n      ')}`)].join('\n');
}

/** Group, type and name of an id. */
function shortId(id: string): string {
  return id
    .split('|')
    .map((one) =>
      one.replace(/^\/subscriptions\/[^/]+\/resourceGroups\//i, '').replace(/\/providers\//gi, ' '),
    )
    .join(' | ');
}
