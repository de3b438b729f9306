/**
 * The schema manifest, `migrations/schema.json`: what the migrations make on each supported major, generated from
 * migrated servers and committed. A pull request shows with it what a migration does to the schema, and the drift
 * checks compare a live database with it.
 */
import { Fault } from '../../core/fault.ts';
import type { MigrationFile } from '../migrator/files.ts';
import { type Area, type Areas, areas, byObject, type Described, type Description } from './describe.ts';

/** Facts of one object, by name. */
export type Facts = Readonly<Record<string, string>>;
/** By subject (relation, function, role), area and object. */
export type Schema = Readonly<
  Record<string, Readonly<Partial<Record<Area, Readonly<Record<string, Facts>>>>>>
>;

export interface Manifest {
  /** Majors that were described, in ascending order: `[16, 17, 18]`. */
  readonly majors: readonly number[];
  /** Names of the migrations that were applied, in order: `0001_extensions`. */
  readonly migrations: readonly string[];
  /** Facts that all majors share. */
  readonly common: Schema;
  /** By major: facts that it does not share with all others. */
  readonly only: Readonly<Record<string, Schema>>;
}

/**
 * The manifest of several servers that the same migrations were applied to.
 *
 * Partitions differ from server to server. One entry, `each leaf of <table>`, stands for all leaves of a table.
 *
 * @throws Fault `schema/leaves-differ` if the leaves of one table are unlike each other
 */
export function manifestOf(
  descriptions: readonly Description[],
  migrations: readonly Pick<MigrationFile, 'name'>[],
): Manifest {
  const sorted = [...descriptions].sort((a, b) => a.major - b.major);
  const schemas = sorted.map(({ areas }) => schemaOf(areas));
  const shared = (name: readonly [string, Area, string], fact: string, value: string) =>
    schemas.every((schema) => factsAt(schema, name)?.[fact] === value);
  return {
    majors: sorted.map(({ major }) => major),
    migrations: migrations.map(({ name }) => name),
    common: filtered(schemas[0] ?? {}, shared, (name) => schemas.every((schema) => factsAt(schema, name))),
    only: Object.fromEntries(
      sorted.map(({ major }, place) => [
        major,
        filtered(
          schemas[place] ?? {},
          (...fact) => !shared(...fact),
          (name) => !schemas.every((schema) => factsAt(schema, name)),
        ),
      ]),
    ),
  };
}

/** Name of the entry that stands for all leaves of a table. */
const eachLeafOf = (table: string) => `each leaf of ${table}`;

function schemaOf(found: Areas): Schema {
  return schemaFrom(
    areas.flatMap((area) =>
      (area === 'leaves' ? leafKinds(found.leaves) : found[area]).map(
        ({ subject, object, says }) => [[subject, area, object], says] as const,
      ),
    ),
  );
}

function leafKinds(leaves: readonly Described[]): readonly Described[] {
  const kinds = new Map<string, Described>();
  for (const leaf of leaves) {
    const known = kinds.get(leaf.subject);
    if (known && JSON.stringify(known.says) !== JSON.stringify(leaf.says)) {
      throw new Fault(
        'schema/leaves-differ',
        `${leaf.object} is unlike the other leaves of ${leaf.subject}`,
        'one entry of the manifest stands for all leaves of a table',
        'Make partitions with llama.create_monthly_partition only.',
      );
    }
    kinds.set(leaf.subject, known ?? { ...leaf, object: eachLeafOf(leaf.subject) });
  }
  return [...kinds.values()];
}

const expectedDescriptions = new WeakMap<Manifest, Map<number, Description | undefined>>();

/**
 * What a server of that major looks like after all migrations; undefined for a major that was not described. Computed
 * once per manifest.
 */
export function expectedOn(manifest: Manifest, major: number): Description | undefined {
  const known = expectedDescriptions.get(manifest) ?? new Map<number, Description | undefined>();
  expectedDescriptions.set(manifest, known);
  if (!known.has(major)) known.set(major, describe(manifest, major));
  return known.get(major);
}

function describe(manifest: Manifest, major: number): Description | undefined {
  const only = manifest.only[major];
  if (!only) return undefined;
  const found = Object.fromEntries(areas.map((area) => [area, [] as Described[]])) as Record<
    Area,
    Described[]
  >;
  for (const name of allNames(manifest.common, only)) {
    const [subject, area, object] = name;
    const says = { ...factsAt(manifest.common, name), ...factsAt(only, name) };
    found[area].push({ subject, object, says });
  }
  for (const area of areas) found[area].sort(byObject);
  return { major, areas: found };
}

/** Where an object stands in a schema. */
type Name = readonly [subject: string, area: Area, object: string];

function factsAt(schema: Schema, [subject, area, object]: Name): Facts | undefined {
  return schema[subject]?.[area]?.[object];
}

/** Every object of several schemas once. */
function allNames(...schemas: readonly Schema[]): readonly Name[] {
  const names = new Map<string, Name>();
  for (const schema of schemas) {
    for (const [subject, entry] of Object.entries(schema)) {
      for (const area of areas) {
        for (const object of Object.keys(entry[area] ?? {})) {
          names.set(sortKey([subject, area, object]), [subject, area, object]);
        }
      }
    }
  }
  return [...names.values()];
}

/** The facts that `keepFact` keeps. An object without facts is kept if `keepObject` says so. */
function filtered(
  schema: Schema,
  keepFact: (name: Name, fact: string, value: string) => boolean,
  keepObject: (name: Name) => unknown,
): Schema {
  return schemaFrom(
    allNames(schema).flatMap((name) => {
      const kept = Object.entries(factsAt(schema, name) ?? {}).filter(([fact, value]) =>
        keepFact(name, fact, value),
      );
      return kept.length > 0 || keepObject(name) ? [[name, Object.fromEntries(kept)] as const] : [];
    }),
  );
}

/** Subjects and objects by name, areas in the order of a description. */
function schemaFrom(entries: readonly (readonly [Name, Facts])[]): Schema {
  const schema: Record<string, Partial<Record<Area, Record<string, Facts>>>> = {};
  const inOrder = [...entries].sort(([a], [b]) => (sortKey(a) < sortKey(b) ? -1 : 1));
  for (const [[subject, area, object], facts] of inOrder) {
    const entry = schema[subject] ?? {};
    schema[subject] = entry;
    entry[area] = { ...entry[area], [object]: facts };
  }
  return schema;
}

function sortKey([subject, area, object]: Name): string {
  return [subject, String.fromCharCode(areas.indexOf(area) + 1), object].join('\n');
}
