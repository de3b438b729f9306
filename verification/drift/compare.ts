/** Differences between a database and the schema manifest, as findings. */
import {
  type Area,
  type Described,
  type Description,
  hasBareObjects,
} from '../../database/schema/describe.ts';
import { sameMeaning } from '../../database/schema/meaning.ts';
import type { Finding } from '../check.ts';

export interface Difference extends Finding {
  /** `foreign`: no migration makes the object. */
  readonly kind: 'missing' | 'foreign' | 'changed';
  /** Name of the fact that changed. @default - the object as a whole is missing or foreign */
  readonly fact?: string;
}

/** Every difference of one area between what the migrations make and what was found. */
export function differences(expected: Description, found: Description, area: Area): readonly Difference[] {
  if (area === 'leaves') return leafDifferences(expected, found);
  const reported = reportedHere(expected, found, area);
  const wanted = byName(expected.areas[area].filter(reported));
  const present = byName(found.areas[area].filter(reported));
  const missing = [...wanted.values()].filter(({ object }) => !present.has(object));
  return [
    ...missing.flatMap((one) => (hasBareObjects(area) ? changes(area, one, bare(one)) : [gone(area, one)])),
    ...[...present.values()].flatMap((one): readonly Difference[] => {
      const like = wanted.get(one.object);
      if (like) return changes(area, like, one);
      return hasBareObjects(area) ? changes(area, bare(one), one) : [foreign(area, one)];
    }),
  ].sort((a, b) => a.object.localeCompare(b.object));
}

/** Number of objects in an area. */
export function sizeOf(description: Description, area: Area): number {
  return description.areas[area].length;
}

const bare = (one: Described): Described => ({ ...one, says: {} });

/**
 * Columns, policies and the like are not reported if their relation or function is missing or new as a whole: areas
 * `objects` and `functions` report that.
 */
function reportedHere(expected: Description, found: Description, area: Area): (one: Described) => boolean {
  if (area === 'objects' || area === 'functions') return () => true;
  const declared = ({ areas }: Description) =>
    new Set([...areas.objects, ...areas.functions].map(({ object }) => object));
  const [wanted, present] = [declared(expected), declared(found)];
  return ({ subject }) => wanted.has(subject) === present.has(subject);
}

function byName(list: readonly Described[]): ReadonlyMap<string, Described> {
  return new Map(list.map((one) => [one.object, one]));
}

const isGrants = (area: Area) => area === 'privileges' || area === 'defaultPrivileges';

function gone(area: Area, { object, says }: Described): Difference {
  const kind = 'missing';
  if (area !== 'comments') return { kind, object, detail: 'is missing' };
  return { kind, object, detail: `has no comment; the migrations write ${quoted(says['comment'])}` };
}

function foreign(area: Area, { object, says }: Described): Difference {
  const kind = 'foreign';
  if (area === 'comments') {
    return { kind, object, detail: `has a comment that no migration writes: ${quoted(says['comment'])}` };
  }
  const noun = says['kind'];
  const isNamed = area !== 'objects' || noun === undefined || object.startsWith(noun);
  const detail = isNamed ? 'exists, and no migration makes it' : `is a ${noun} that no migration makes`;
  return { kind, object, detail };
}

function changes(area: Area, wanted: Described, found: Described): readonly Difference[] {
  const { object } = found;
  const names = [...new Set([...Object.keys(wanted.says), ...Object.keys(found.says)])].sort();
  return names.flatMap((name): readonly Difference[] => {
    const [should, is] = [wanted.says[name], found.says[name]];
    if (should === is || (should !== undefined && is !== undefined && sameMeaning(name, should, is)))
      return [];
    const detail = isGrants(area) ? grantWords(name, should, is) : words(name, should, is);
    return [{ kind: 'changed', fact: name, object, detail }];
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

/** Long texts by the first line that differs: nobody reads two whole function bodies in a report. */
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

/** Months differ from server to server: each leaf is compared with the entry for every leaf of its table. */
function leafDifferences(expected: Description, found: Description): readonly Difference[] {
  const rules = new Map(expected.areas.leaves.map((leaf) => [leaf.subject, leaf]));
  return found.areas.leaves.flatMap((leaf): readonly Difference[] => {
    const rule = rules.get(leaf.subject);
    return rule ? changes('leaves', rule, leaf) : [];
  });
}
