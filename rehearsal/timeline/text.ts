/** A timeline for a terminal. */
import { nameOf } from '../../azure/resource-id.ts';
import { duration, wrapped } from '../../core/text.ts';
import type { Figures, Timeline } from './model.ts';

/** One line per operation of the control plane, with start, duration and outcome; then the figures. */
/** Columns of the text. */
const width = 80;

export function timelineText(timeline: Timeline): string {
  return `${operationsText(timeline)}\n${figuresText(timeline.figures)}`;
}

export function operationsText({ operations, startedAt }: Timeline): string {
  const rows = operations.map(({ method, type, target, outcome, error, ...operation }) => {
    const taken = (operation.endedAt ?? operation.startedAt) - operation.startedAt;
    const failed = outcome === 'Succeeded' ? '' : ` ${outcome}${error ? ` (${error.code})` : ''}`;
    const resource = `${type.slice(type.indexOf('/') + 1)} ${decodeURIComponent(nameOf(target))}${failed}`;
    const before = [seconds(operation.startedAt - startedAt), seconds(taken)].map((text) => text.padStart(9));
    return wrapped(`${before.join(' ')}  ${method.padEnd(6)} ${resource}`, width, 28);
  });
  return [`    start  duration  operation`, ...rows, ''].join('\n');
}

/** Totals, the provider's waits, and the number of operations and requests. */
export function figuresText(figures: Figures): string {
  const { firstDeployment, providerOnly, waits, operations, refused, requests, memory } = figures;
  const lines: (readonly [name: string, value: string])[] = [];
  if (firstDeployment !== undefined)
    lines.push(
      ['first deployment', duration(firstDeployment)],
      ['of which only waits of the provider', duration(providerOnly)],
      ['without them', duration(firstDeployment - providerOnly)],
    );
  lines.push(
    ['operations', `${operations}, ${refused} refused`],
    ['requests', String(requests)],
    ['memory of the local Azure', `${Math.round(memory / 1024 / 1024)} MB`],
  );
  const first = Math.max(...lines.map(([name]) => name.length)) + 2;
  return [
    ...lines.map(([name, value]) => `${name.padEnd(first)}${value}`),
    ...(waits.length === 0 ? [] : ['', 'Waits of the provider']),
    ...waits.map(({ type, count, longest, rule }) =>
      wrapped(`  ${type}, ${count} x up to ${duration(longest)}: ${rule}`, width, 4),
    ),
    '',
  ].join('\n');
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)} s`;
}
