/** What differs between a database and the reference, in words. */
import type { Finding } from '../check.ts';
import type { Area, Described, Description } from './description.ts';

/** Everything of one area that is not as in the reference. */
export function differences(reference: Description, found: Description, area: Area): readonly Finding[] {
  if (area === 'leaves') return leafDifferences(reference, found);
  const neutral = neutralFor(reference, found);
  const wanted = byName(reference.areas[area].map(neutral));
  const there = byName(found.areas[area].map(neutral));
  const known = commonParents(reference, found);
  const told = ({ parent }: Described) => parent === null || known.has(parent);
  const missing = [...wanted.values()]
    .filter((one) => told(one) && !there.has(one.object))
    .map((one) => gone(area, one));
  const present = [...there.values()].flatMap((one): readonly Finding[] => {
    const like = wanted.get(one.object);
    if (!told(one)) return [];
    if (like) return changes(area, like, one);
    return area === 'privileges' ? changes(area, { ...one, says: {} }, one) : [foreign(area, one)];
  });
  return [...missing.flat(), ...present].sort((a, b) => a.object.localeCompare(b.object));
}

/** How many objects an area has. */
export function sizeOf(description: Description, area: Area): number {
  return description.areas[area].length;
}

/** MAINTAIN can be granted from 17 on: against an older server nobody can have it. */
function neutralFor(...descriptions: readonly Description[]): (one: Described) => Described {
  if (descriptions.every(({ major }) => major >= 17)) return (one) => one;
  return (one) => ({
    ...one,
    says: Object.fromEntries(Object.entries(one.says).filter(([name]) => !name.startsWith('MAINTAIN to '))),
  });
}

/** Relations and functions that both have: what hangs on another is told by its absence. */
function commonParents(reference: Description, found: Description): ReadonlySet<string> {
  const parents = ({ areas }: Description) =>
    new Set([...areas.objects, ...areas.functions].map(({ object }) => object));
  const wanted = parents(reference);
  return new Set([...parents(found)].filter((name) => wanted.has(name)));
}

function byName(list: readonly Described[]): ReadonlyMap<string, Described> {
  return new Map(list.map((one) => [one.object, one]));
}

const isGrants = (area: Area) => area === 'privileges' || area === 'defaultPrivileges';

function gone(area: Area, one: Described): readonly Finding[] {
  if (area === 'privileges') return changes(area, one, { ...one, says: {} });
  if (area === 'comments') {
    return [
      { object: one.object, detail: `has no comment; the migrations write ${quoted(one.says['comment'])}` },
    ];
  }
  return [{ object: one.object, detail: 'is missing' }];
}

function foreign(area: Area, one: Described): Finding {
  if (area === 'comments') {
    return {
      object: one.object,
      detail: `has a comment that no migration writes: ${quoted(one.says['comment'])}`,
    };
  }
  const { kind } = one.says;
  const named =
    area === 'objects' && kind && !one.object.startsWith(kind) ? `is a ${kind} that` : 'is there and';
  return { object: one.object, detail: `${named} no migration makes` };
}

function changes(area: Area, wanted: Described, found: Described): readonly Finding[] {
  const { object } = found;
  const names = [...new Set([...Object.keys(wanted.says), ...Object.keys(found.says)])].sort();
  return names.flatMap((name): readonly Finding[] => {
    const [should, is] = [wanted.says[name], found.says[name]];
    if (should === is) return [];
    return [{ object, detail: isGrants(area) ? grantWords(name, should, is) : words(name, should, is) }];
  });
}

function grantWords(grant: string, should: string | undefined, is: string | undefined): string {
  if (should === undefined) return `grant ${grant} that no migration makes`;
  if (is === undefined) return `grant ${grant} is missing`;
  return `grant ${grant} is ${is} instead of ${should}`;
}

function words(name: string, should: string | undefined, is: string | undefined): string {
  if (is === undefined) return `has no ${name}; the migrations give it ${quoted(should)}`;
  if (should === undefined) return `${name} ${quoted(is)}, which no migration gives it`;
  return difference(name, should, is);
}

/** Long texts by the first line that differs: a function's whole body in a report helps nobody. */
function difference(name: string, should: string, is: string): string {
  const [wanted, found] = [should.split('\n'), is.split('\n')];
  if (wanted.length === 1 && found.length === 1) return `${name} ${quoted(is)} instead of ${quoted(should)}`;
  const line = wanted.findIndex((text, place) => text !== found[place]);
  const place = line < 0 ? wanted.length : line;
  return `${name} differs from line ${place + 1} on: ${quoted(found[place]?.trim())} instead of ${quoted(wanted[place]?.trim())}`;
}

const longest = 300;

function quoted(text: string | undefined): string {
  if (text === undefined || text === '') return 'nothing';
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

function leafDifferences(reference: Description, found: Description): readonly Finding[] {
  const neutral = neutralFor(reference, found);
  const rules = new Map(reference.areas.leaves.map((leaf) => [leaf.parent, neutral(leaf)]));
  return found.areas.leaves.flatMap((leaf): readonly Finding[] => {
    const rule = rules.get(leaf.parent);
    return rule ? changes('leaves', rule, neutral(leaf)) : [];
  });
}
