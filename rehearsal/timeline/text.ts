/** A timeline for a terminal. */
import Table from 'cli-table3';
import type { Figures, Timeline } from './model.ts';

/** Each operation of the control plane with its start, its length and its outcome; then the figures. */
export function timelineText(timeline: Timeline): string {
  return `${operationsText(timeline)}\n${figuresText(timeline.figures)}`;
}

export function operationsText({ operations, startedAt }: Timeline): string {
  const table = new Table({
    head: ['start', 'length', 'outcome', 'operation', 'resource'],
    colAligns: ['right', 'right', 'left', 'left', 'left'],
    chars: bare,
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 2 },
  });
  for (const operation of operations) {
    const { method, type, target, outcome, error, endedAt } = operation;
    table.push([
      seconds(operation.startedAt - startedAt),
      seconds((endedAt ?? operation.startedAt) - operation.startedAt),
      error ? `${outcome} (${error.code})` : outcome,
      method,
      `${type.replace(/^Microsoft\./, '')} ${nameOf(target)}`,
    ]);
  }
  return `${table.toString()}\n`;
}

/** What is printed last: totals, the provider's waits, and the rest. */
export function figuresText(figures: Figures): string {
  const { firstDeployment, providerOnly, waits, operations, refused, requests, memory } = figures;
  const lines: (readonly [string, string])[] = [];
  if (firstDeployment !== undefined)
    lines.push(
      ['first deployment', length(firstDeployment)],
      ['of which waits of the provider alone', length(providerOnly)],
      ['without them', length(firstDeployment - providerOnly)],
    );
  for (const { type, count, longest, rule } of waits)
    lines.push([`  ${type}`, `${count} x up to ${length(longest)}: ${rule}`]);
  lines.push(
    ['operations', `${operations}, ${refused} refused`],
    ['requests', String(requests)],
    ['memory of the local Azure’s process', `${Math.round(memory / 1024 / 1024)} MB`],
  );
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, value]) => `${name.padEnd(width)}${value}\n`).join('');
}

const bare = Object.fromEntries(
  [
    ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
    ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
  ].map((part) => [part, '']),
);

function nameOf(target: string): string {
  return decodeURIComponent(target.slice(target.lastIndexOf('/') + 1));
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}

/** `0.42 s`, `12.4 s`, `2 min 5 s`. */
export function length(milliseconds: number): string {
  const all = milliseconds / 1000;
  if (all < 10) return `${all.toFixed(2)} s`;
  if (all < 60) return `${all.toFixed(1)} s`;
  const rest = Math.round(all);
  return `${Math.floor(rest / 60)} min ${rest % 60} s`;
}
