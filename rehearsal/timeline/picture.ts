/** The picture of a timeline as SVG: one lane per kind of resource, grouped by server. */
import { duration } from '../../core/text.ts';
import { groupOrder } from './lanes.ts';
import type { Bar, Timeline } from './model.ts';
import { type Fold, foldWidth, scaleOf } from './scale.ts';

interface Geometry {
  readonly kind: 'wide' | 'medium' | 'narrow';
  readonly width: number;
  /** Space on the left, for the names of the lanes. */
  readonly gutter: number;
  readonly right: number;
  /** Height of a name above its lane, if it does not stand in the gutter. */
  readonly above: number;
}

const geometries: readonly Geometry[] = [
  { kind: 'wide', width: 1320, gutter: 178, right: 24, above: 0 },
  { kind: 'medium', width: 720, gutter: 130, right: 16, above: 0 },
  { kind: 'narrow', width: 360, gutter: 14, right: 14, above: 15 },
];
const header = 58;
const groupHeight = 24;
/** Overlapping bars of a lane take several rows. A lane with at most this many is drawn large. */
const fewRows = 3;
const large = { bar: 13, gap: 3 };
const small = { bar: 5, gap: 1.5 };
const tiny = { bar: 3, gap: 1 };
const manyRows = 12;

interface Lane {
  readonly name: string;
  readonly rows: readonly (readonly Bar[])[];
  readonly size: { readonly bar: number; readonly gap: number };
  readonly height: number;
}

/** The picture for a screen, a tablet and a phone, of which the page shows one. */
export function pictures(timeline: Timeline): string {
  return geometries.map((geometry) => picture(timeline, geometry)).join('\n');
}

function picture(timeline: Timeline, { kind, width, gutter, right, above }: Geometry): string {
  const scale = scaleOf(timeline, timeline.idle, gutter, width - gutter - right);
  const parts: string[] = [];
  let y = header;
  for (const [group, lanes] of lanesByGroup(timeline.bars)) {
    parts.push(`<text class="group" x="14" y="${y + 17}">${escaped(group)}</text>`);
    parts.push(`<line class="rule" x1="0" x2="${width}" y1="${y}" y2="${y}"/>`);
    y += groupHeight;
    for (const [index, lane] of lanes.entries()) {
      if (above > 0)
        parts.push(`<text class="lane" x="${gutter}" y="${y + 12}">${escaped(lane.name)}</text>`);
      y += above;
      if (index % 2 === 0)
        parts.push(
          `<rect class="band" x="${gutter}" y="${y}" width="${width - gutter - right}" height="${lane.height}"/>`,
        );
      if (above === 0)
        parts.push(
          `<text class="lane" x="${gutter - 10}" y="${y + lane.height / 2 + 4}">${escaped(lane.name)}</text>`,
        );
      for (const [row, bars] of lane.rows.entries()) {
        const top = y + 4 + row * (lane.size.bar + lane.size.gap);
        for (const [place, bar] of bars.entries())
          parts.push(barShape(bar, top, lane.size.bar, scale.x, bars[place + 1]));
      }
      y += lane.height;
    }
    y += 6;
  }
  const total = timeline.endedAt - timeline.startedAt;
  return [
    `<svg class="${kind}" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y + 10}" role="img" aria-label="Timeline of ${escaped(timeline.title)}, ${duration(total)} in all">`,
    `<defs><pattern id="waiting-${kind}" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)"><rect class="hatch-ground" width="6" height="6"/><line class="hatch" x1="0" y1="0" x2="0" y2="6"/></pattern></defs>`,
    ...scale.ticks.map(
      ({ x, seconds }) =>
        `<line class="tick" x1="${x.toFixed(1)}" x2="${x.toFixed(1)}" y1="${header - 8}" y2="${y}"/><text class="time" x="${x.toFixed(1)}" y="${header - 14}">${clock(seconds)}</text>`,
    ),
    ...scale.folds.map((fold) => foldShape(fold, y)),
    ...parts,
    '</svg>',
  ].join('\n');
}

function lanesByGroup(bars: readonly Bar[]): [string, Lane[]][] {
  const groups = new Map<string, Map<string, Bar[]>>();
  for (const bar of bars) {
    const lanes = groups.get(bar.group) ?? new Map<string, Bar[]>();
    groups.set(bar.group, lanes);
    lanes.set(bar.lane, [...(lanes.get(bar.lane) ?? []), bar]);
  }
  // Groups that are not in the list are servers, whose names come from the settings.
  const rank = (group: string) => {
    const known = groupOrder.indexOf(group);
    return known < 0 ? groupOrder.indexOf('Key Vault') + 0.5 : known;
  };
  return [...groups]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([group, lanes]) => [group, [...lanes].map(([name, inside]) => laneOf(name, inside))]);
}

function laneOf(name: string, bars: readonly Bar[]): Lane {
  const rows: Bar[][] = [];
  for (const bar of bars) {
    // A wait continues the row of the operation before it.
    const row =
      rows.find((one) => bar.kind === 'wait' && one.at(-1)?.endedAt === bar.startedAt) ??
      rows.find((one) => (one.at(-1)?.endedAt ?? 0) <= bar.startedAt);
    if (row) row.push(bar);
    else rows.push([bar]);
  }
  const size = rows.length <= fewRows ? large : rows.length <= manyRows ? small : tiny;
  return { name, rows, size, height: 8 + rows.length * (size.bar + size.gap) - size.gap };
}

function barShape(bar: Bar, top: number, height: number, x: (at: number) => number, next?: Bar): string {
  const from = x(bar.startedAt);
  const wide = Math.max(x(bar.endedAt) - from, 2);
  const words = [bar.label, duration(bar.endedAt - bar.startedAt), bar.detail ?? ''].filter(
    (one) => one !== '',
  );
  const title =
    bar.outcome === 'succeeded'
      ? words.join('\n')
      : [words[0], `${bar.outcome}, ${words[1]}`, ...words.slice(2)].join('\n');
  const shape = `<rect class="${bar.kind} ${bar.outcome}" x="${from.toFixed(1)}" y="${top}" width="${wide.toFixed(1)}" height="${height}" rx="${height > 8 ? 2 : 1}"><title>${escaped(title)}</title></rect>`;
  // A label may extend beyond its bar only up to the next bar.
  const room = bar.kind === 'phase' || bar.kind === 'run' ? wide : next ? x(next.startedAt) - from : wide;
  if (height < large.bar || bar.kind === 'wait' || bar.kind === 'step') return shape;
  const label = shorten(bar.label, Math.min(room, wide) - 8);
  if (label === undefined) return shape;
  return `${shape}<text class="label" x="${(from + 4).toFixed(1)}" y="${top + 10}">${escaped(label)}</text>`;
}

function shorten(label: string, room: number): string | undefined {
  const letters = Math.floor(room / 5.6);
  if (label.length <= letters) return label;
  return letters < 6 ? undefined : `${label.slice(0, letters - 1)}…`;
}

function foldShape(fold: Fold, bottom: number): string {
  const middle = fold.x + foldWidth / 2;
  return [
    `<rect class="fold" x="${fold.x.toFixed(1)}" y="${header - 8}" width="${foldWidth}" height="${bottom - header + 8}"><title>${escaped(`There were only waits of the provider for ${duration(fold.endedAt - fold.startedAt)}. The picture leaves this time out.`)}</title></rect>`,
    `<text class="folded" x="${middle.toFixed(1)}" y="16">provider</text>`,
    `<text class="folded" x="${middle.toFixed(1)}" y="28">waits</text>`,
    `<text class="folded strong" x="${middle.toFixed(1)}" y="42">${clock(Math.round((fold.endedAt - fold.startedAt) / 1000))}</text>`,
  ].join('');
}

function clock(seconds: number): string {
  return seconds < 60
    ? `${seconds} s`
    : `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

export function escaped(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
