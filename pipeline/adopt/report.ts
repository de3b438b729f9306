/** What was found, for a person. */
import type { AdoptReport, AdoptResult } from './adopt.ts';

/** One entry a resource: its address whole, to be copied, and below it what is to be said. */
export function renderReport(report: AdoptReport): string {
  const { adoptable, tainted, obstacles, notes, missing, orphans } = report;
  const sections = [
    section(
      'In Azure, and not in the state:',
      adoptable.map(({ address, importId }) => [address, shortId(importId)]),
    ),
    section(
      'In the state as not finished, so that the next deployment would replace it; Azure has finished it:',
      tainted.map(({ address, id }) => [address, shortId(id)]),
    ),
    section(
      'Needs a person first:',
      obstacles.map(({ address, what, remedy }) => [address, `${what}. ${remedy}`]),
    ),
    section(
      "In the environment's own resource groups, and neither in the stack nor in the state (left alone):",
      orphans.map(({ id }) => [shortId(id)]),
    ),
    ...notes,
  ].filter((text) => text !== '');
  if (adoptable.length + tainted.length + obstacles.length === 0)
    sections.push(`Nothing to adopt in ${report.environment}.`);
  if (missing.length > 0) sections.push(`Not in Azure, and made by the next deployment: ${missing.length}.`);
  return `${sections.join('\n')}\n`;
}

/** What comes next, in one line; nothing when nothing was to be done. */
export function renderOutcome({ outcome, environment, file }: AdoptResult): string | undefined {
  const deploy = `cdktf deploy ${environment}`;
  switch (outcome) {
    case 'written':
      return `Wrote ${file}. Next: ${deploy}, which imports them and makes what is missing.`;
    case 'imported':
      return `The state knows them now. Next: ${deploy}.`;
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

/** An id without what all ids of an environment share: group, type, name. */
function shortId(id: string): string {
  return id
    .split('|')
    .map((one) =>
      one.replace(/^\/subscriptions\/[^/]+\/resourceGroups\//i, '').replace(/\/providers\//gi, ' '),
    )
    .join(' | ');
}
