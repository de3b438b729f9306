import { type Area, areas } from './describe.ts';
import { expectedOn, type Manifest } from './manifest.ts';

/**
 * What differs between two manifests, one line per object, for a person: `+` an object or fact that only the second
 * has, `-` one that only the first has, `~` a fact with another value.
 */
export function changesBetween(before: Manifest, after: Manifest): readonly string[] {
  const lines = new Map<string, number[]>();
  const majors = [...new Set([...before.majors, ...after.majors])].sort((a, b) => a - b);
  for (const major of majors) {
    for (const line of changesOn(before, after, major)) {
      const known = lines.get(line);
      if (known) known.push(major);
      else lines.set(line, [major]);
    }
  }
  return [
    ...migrationChanges(before, after),
    ...[...lines].map(([line, on]) =>
      on.length === majors.length ? line : `${line} (PostgreSQL ${on.join(', ')} only)`,
    ),
  ];
}

function migrationChanges(before: Manifest, after: Manifest): readonly string[] {
  return [
    ...after.migrations
      .filter((name) => !before.migrations.includes(name))
      .map((name) => `+ migration ${name}`),
    ...before.migrations
      .filter((name) => !after.migrations.includes(name))
      .map((name) => `- migration ${name}`),
  ];
}

function changesOn(before: Manifest, after: Manifest, major: number): readonly string[] {
  const [first, second] = [factsOf(before, major), factsOf(after, major)];
  const names = [...new Set([...first.keys(), ...second.keys()])].sort();
  return names.flatMap((name): readonly string[] => {
    const [was, is] = [first.get(name), second.get(name)];
    if (was === undefined && is === undefined) return [];
    const title = name.split('\n').at(-1) ?? name;
    if (was === undefined) return [line('+', title, is ?? {})];
    if (is === undefined) return [line('-', title, was)];
    return [...new Set([...Object.keys(was), ...Object.keys(is)])].sort().flatMap((fact) => {
      const [from, to] = [was[fact], is[fact]];
      if (from === to) return [];
      if (from === undefined) return [line('+', title, { [fact]: to ?? '' })];
      if (to === undefined) return [line('-', title, { [fact]: from })];
      return [`~ ${title}: ${fact} ${changed(from, to)}`];
    });
  });
}

/** By subject, area and title, in the order of a description's areas. */
function factsOf(manifest: Manifest, major: number): ReadonlyMap<string, Readonly<Record<string, string>>> {
  const description = expectedOn(manifest, major);
  const found = new Map<string, Readonly<Record<string, string>>>();
  if (!description) return found;
  for (const [place, area] of areas.entries()) {
    for (const { subject, object, says } of description.areas[area]) {
      found.set([subject, String.fromCharCode(place + 1), titleOf(area, object)].join('\n'), says);
    }
  }
  return found;
}

/** Areas whose objects have the name of their table or function. */
const prefixes: Readonly<Partial<Record<Area, string>>> = {
  policies: 'row-level security of ',
  privileges: 'grants on ',
  owners: 'owner of ',
  comments: 'comment on ',
  storage: 'storage of ',
  views: 'view ',
};

function titleOf(area: Area, object: string): string {
  return object.startsWith('policy ') && area === 'policies' ? object : `${prefixes[area] ?? ''}${object}`;
}

function line(sign: string, title: string, facts: Readonly<Record<string, string>>): string {
  const list = Object.entries(facts)
    .sort(([a], [b]) => Number(speakForThemselves.has(b)) - Number(speakForThemselves.has(a)))
    .map(([name, value]) => shownFact(name, value));
  return `${sign} ${title}${list.length > 0 ? `: ${list.join('; ')}` : ''}`;
}

/** Facts that are understood without their names; they come first. */
const speakForThemselves = new Set(['kind', 'type', 'definition', 'owner', 'comment']);

function shownFact(name: string, value: string): string {
  if (name === 'NOT NULL' || value === 'granted') return name;
  return speakForThemselves.has(name) ? shown(value) : `${name} ${shown(value)}`;
}

const longest = 160;

function shown(text: string): string {
  const [first = '', ...others] = text.trim().split('\n');
  if (others.length > 0) return `of ${others.length + 1} lines`;
  return first.length > longest ? `${first.slice(0, longest)}…` : first;
}

/** Texts of several lines by how many differ. */
function changed(from: string, to: string): string {
  if (!from.includes('\n') && !to.includes('\n')) return `from ${shown(from)} to ${shown(to)}`;
  const [before, after] = [from.split('\n'), to.split('\n')];
  const place = before.findIndex((text, at) => text !== after[at]);
  const at = place < 0 ? before.length : place;
  return `differs from line ${at + 1} on: ${shown(before[at] ?? '')} becomes ${shown(after[at] ?? '')}`;
}
