/** The timeline of a preview as a Gantt chart in Mermaid, which GitHub and GitLab draw in a comment. */
import type { Bar, Timeline } from '../timeline/model.ts';

/** Bars that fit into a comment. The page has all. */
const most = 24;

/** Milliseconds below which nobody would see a bar. */
const shortest = 200;

/** Events of clients first, then the longest. */
function rank({ group, outcome }: Bar): number {
  if (group === 'Clients') return 0;
  return outcome === 'refused' || outcome === 'failed' ? 1 : group === 'Locks' ? 2 : 3;
}

const length = (bar: Bar) => bar.endedAt - bar.startedAt;

/** Lines of a fenced block, or none if nothing happened. */
export function gantt({
  bars,
  startedAt,
  environment,
}: Pick<Timeline, 'bars' | 'startedAt' | 'environment'>): string[] {
  const shown = bars
    .filter(({ kind, group }) => kind === 'operation' || group === 'Locks')
    .toSorted((a, b) => rank(a) - rank(b) || length(b) - length(a))
    .slice(0, most)
    .toSorted((a, b) => a.startedAt - b.startedAt);
  if (shown.length === 0) return [];
  const sections = new Map<string, string[]>();
  for (const bar of shown) {
    const from = Math.max(0, Math.round(bar.startedAt - startedAt));
    const to = from + Math.max(shortest, Math.round(length(bar)));
    const task = `    ${plain(`${bar.lane} ${bar.label}`)} :${tagOf(bar)}${from}, ${to}`;
    sections.set(bar.group, [...(sections.get(bar.group) ?? []), task]);
  }
  return [
    '```mermaid',
    'gantt',
    `    title ${plain(environment)}, minutes and seconds since the change began`,
    '    dateFormat x',
    '    axisFormat %M:%S',
    ...[...sections].flatMap(([group, tasks]) => [`    section ${plain(group)}`, ...tasks]),
    '```',
  ];
}

/** Without the characters that end a name in Mermaid, and without backticks. */
const plain = (words: string) =>
  words
    .replace(/[^\p{L}\p{N} ._,()-]/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, 60);

function tagOf({ group, outcome }: Bar): string {
  if (outcome === 'refused' || outcome === 'failed') return 'crit, ';
  if (outcome === 'abandoned') return 'active, ';
  return group === 'Locks' ? 'done, ' : '';
}
