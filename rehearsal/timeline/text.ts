/** A timeline for a terminal. */
import Table from 'cli-table3';
import { nameOf } from '../../azure/resource-id.ts';
import { duration } from '../../core/text.ts';
import type { Figures, Timeline } from './model.ts';

/** One line per operation of the control plane, with start, duration and outcome; then the figures. */
export function timelineText(timeline: Timeline): string {
  return `${operationsText(timeline)}\n${figuresText(timeline.figures)}`;
}

export function operationsText({ operations, startedAt }: Timeline): string {
  const table = new Table({
    head: ['start', 'duration', 'outcome', 'operation', 'resource'],
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
      `${type.replace(/^Microsoft\./, '')} ${decodeURIComponent(nameOf(target))}`,
    ]);
  }
  return `${table.toString()}\n`;
}

/** Totals, the provider's waits, and the number of operations and requests. */
export function figuresText(figures: Figures): string {
  const { firstDeployment, providerOnly, waits, operations, refused, requests, memory } = figures;
  const lines: (readonly [string, string])[] = [];
  if (firstDeployment !== undefined)
    lines.push(
      ['first deployment', duration(firstDeployment)],
      ['of which only waits of the provider', duration(providerOnly)],
      ['without them', duration(firstDeployment - providerOnly)],
    );
  for (const { type, count, longest, rule } of waits)
    lines.push([`  ${type}`, `${count} x up to ${duration(longest)}: ${rule}`]);
  lines.push(
    ['operations', `${operations}, ${refused} refused`],
    ['requests', String(requests)],
    ['memory of the local Azure', `${Math.round(memory / 1024 / 1024)} MB`],
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

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
