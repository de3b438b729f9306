/** The manifest as a file: laid out so that a change of the schema is a change of few, whole lines. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import { messageOf } from '../../core/text.ts';
import { manifestFile } from '../migrator/files.ts';
import type { Area } from './describe.ts';
import type { Facts, Manifest, Schema } from './manifest.ts';

/**
 * The manifest beside the migrations; undefined if the folder has none.
 *
 * @throws Fault `schema/unreadable-manifest` (exit 2) if the file is there and cannot be read
 */
export function readManifest(directory: string): Manifest | undefined {
  const path = join(directory, manifestFile);
  try {
    return parseManifest(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Fault(
      'schema/unreadable-manifest',
      `Schema manifest ${path}`,
      messageOf(error),
      'Generate it: llama-db schema --write.',
      { exitCode: 2, cause: error },
    );
  }
}

const about = 'Generated from the migrations by `llama-db schema --write`. Do not edit.';

/** The manifest as text: one line per object if it fits, one line per line of a function's body. */
export function formatManifest({ majors, migrations, common, only }: Manifest): string {
  const document = {
    about,
    majors,
    migrations,
    common: packed(common),
    only: mapValues(only, packed),
  };
  return `${layOut(document, '')}\n`;
}

/** @throws Error if the text is not a manifest */
export function parseManifest(text: string): Manifest {
  const { majors, migrations, common, only }: Partial<Stored> = JSON.parse(text);
  if (!Array.isArray(majors) || !Array.isArray(migrations) || !common || !only) {
    throw new Error('it lacks majors, migrations, common or only');
  }
  return {
    majors,
    migrations,
    common: unpacked(common),
    only: mapValues(only, unpacked),
  };
}

/** A text of several lines is an array of them. */
type StoredFact = string | readonly string[];
type StoredFacts = Readonly<Record<string, StoredFact>>;
/** By subject and area: the subject's own facts, and beside them its objects with theirs. */
type StoredSchema = Readonly<
  Record<string, Readonly<Partial<Record<Area, Readonly<Record<string, StoredFact | StoredFacts>>>>>>
>;

interface Stored {
  readonly majors: readonly number[];
  readonly migrations: readonly string[];
  readonly common: StoredSchema;
  readonly only: Readonly<Record<string, StoredSchema>>;
}

function packed(schema: Schema): StoredSchema {
  return mapAreas(schema, (subject, objects: Readonly<Record<string, Facts>>) =>
    Object.fromEntries(
      Object.entries(objects).flatMap(([object, facts]): (readonly [string, StoredFact | StoredFacts])[] => {
        const stored = mapValues(facts, lines);
        return object === subject ? Object.entries(stored) : [[object, stored]];
      }),
    ),
  );
}

function unpacked(schema: StoredSchema): Schema {
  return mapAreas(schema, (subject, members: Readonly<Record<string, StoredFact | StoredFacts>>) => {
    const own: Record<string, string> = {};
    const objects: Record<string, Facts> = {};
    for (const [name, member] of Object.entries(members)) {
      if (isFact(member)) own[name] = joined(member);
      else objects[name] = mapValues(member, joined);
    }
    // An empty area is the subject itself, without facts.
    const isSubject = Object.keys(own).length > 0 || Object.keys(members).length === 0;
    return { ...(isSubject ? { [subject]: own } : {}), ...objects };
  });
}

const mapValues = <From, To>(record: Readonly<Record<string, From>>, change: (value: From) => To) =>
  Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value)]));

function mapAreas<From, To>(
  schema: Readonly<Record<string, Readonly<Partial<Record<Area, From>>>>>,
  change: (subject: string, area: From) => To,
): Record<string, Partial<Record<Area, To>>> {
  return Object.fromEntries(
    Object.entries(schema).map(([subject, entry]) => [
      subject,
      Object.fromEntries(Object.entries(entry).map(([area, members]) => [area, change(subject, members)])),
    ]),
  );
}

const lines = (text: string): StoredFact => (text.includes('\n') ? text.split('\n') : text);
const joined = (fact: StoredFact): string => (typeof fact === 'string' ? fact : fact.join('\n'));
const isFact = (member: StoredFact | StoredFacts): member is StoredFact =>
  typeof member === 'string' || Array.isArray(member);

/** Characters of a line, indentation aside. */
const width = 150;

function layOut(value: unknown, indent: string): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const isList = Array.isArray(value);
  const members = isList
    ? value.map((item: unknown) => ['', item] as const)
    : Object.entries(value).map(([name, item]) => [`${JSON.stringify(name)}: `, item] as const);
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  if (members.length === 0) return `${open}${close}`;
  const line = `${open} ${members.map(([name, item]) => `${name}${JSON.stringify(item)}`).join(', ')} ${close}`;
  const isFlat = members.every(([, item]) => typeof item !== 'object');
  const isText = isList && typeof value[0] === 'string';
  if (isFlat && !isText && (line.length < width || members.length === 1)) return line;
  const deeper = `${indent}  `;
  const list = members.map(([name, item]) => `${deeper}${name}${layOut(item, deeper)}`).join(',\n');
  return `${open}\n${list}\n${indent}${close}`;
}
