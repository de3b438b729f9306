/** The synthesized stack as controls read it: values with their JSON pointers (RFC 6901). */
import { at, isObject, type Json, type JsonObject, objectAt, textAt } from '../../core/json.ts';

export interface Place {
  /** RFC 6901. Names the resource if the attribute is not there. */
  readonly pointer: string;
  /** Pointer inside the JSON document that the string at `pointer` holds. @default - the value is not inside a string */
  readonly within?: string;
  /** Undefined if the attribute is not there. */
  readonly value: Json | undefined;
}

export interface Stack {
  readonly document: JsonObject;
}

/** Values in the synthesized stack that a control needs. */
export interface Expectation {
  /** The places to inspect. None means that the stack has no such resource. */
  readonly find: (stack: Stack) => readonly Place[];
  /** Required value in words, as it follows "is": `false`, `at least 35`. */
  readonly requires: string;
  readonly holds: (value: Json | undefined) => boolean;
  /** Verdict if nothing is found: the thing is required, is forbidden, or does not concern this environment. */
  readonly ifNone: 'violated' | 'holds' | 'not applicable';
  /** Name of the inspected thing, for messages: `public_network_access_enabled of every Flexible Server`. */
  readonly subject: string;
}

const server = 'azurerm_postgresql_flexible_server';
const configuration = `${server}_configuration`;

export function pointerOf(path: readonly (string | number)[]): string {
  return path.map((key) => `/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** The value at a pointer; undefined if nothing is there. */
export function valueAt(document: Json, pointer: string): Json | undefined {
  const keys = pointer.split('/').slice(1);
  let found: Json | undefined = document;
  for (const key of keys.map((one) => one.replaceAll('~1', '/').replaceAll('~0', '~'))) {
    if (Array.isArray(found)) found = /^(?:0|[1-9]\d*)$/.test(key) ? found[Number(key)] : undefined;
    else found = isObject(found) && Object.hasOwn(found, key) ? found[key] : undefined;
  }
  return found;
}

export function resourcesOf({ document }: Stack, type: string): readonly (readonly [string, JsonObject])[] {
  return Object.entries(objectAt(document, 'resource', type)).flatMap(([name, block]) =>
    isObject(block) ? [[name, block] as const] : [],
  );
}

export function placeAt(
  stack: Stack,
  type: string,
  name: string,
  attribute: readonly (string | number)[],
): Place {
  const path = ['resource', type, name];
  const value = at(stack.document, ...path, ...attribute);
  return { pointer: pointerOf(value === undefined ? path : [...path, ...attribute]), value };
}

export type Wanted = Pick<Expectation, 'requires' | 'holds'>;

const shown = (value: Json) => (typeof value === 'string' ? value : JSON.stringify(value));

export const equal = (...values: readonly Json[]): Wanted => ({
  requires: values.map(shown).join(' or '),
  holds: (value) => values.some((one) => one === value),
});

export const atLeast = (least: number): Wanted => ({
  requires: `at least ${least}`,
  holds: (value) => typeof value !== 'boolean' && value !== null && Number(value) >= least,
});

export const anything: Wanted = { requires: 'there', holds: (value) => value !== undefined };

export const notSet: Wanted = { requires: 'not set', holds: (value) => value === undefined };

/** A list of comma-separated words that contains each of the given ones. */
export const listing = (...words: readonly string[]): Wanted => ({
  requires: `a list with ${words.join(', ')}`,
  holds: (value) =>
    typeof value === 'string' &&
    words.every((word) =>
      value
        .toLowerCase()
        .split(/\s*,\s*/)
        .includes(word),
    ),
});

export const matching = (requires: string, pattern: RegExp): Wanted => ({
  requires,
  holds: (value) => typeof value === 'string' && pattern.test(value),
});

/** An attribute of every resource of a type. */
export function attribute(
  type: string,
  path: readonly (string | number)[],
  wanted: Wanted,
  {
    only = () => true,
    ifNone = 'violated',
    of = `every ${type}`,
  }: {
    readonly only?: (block: JsonObject, name: string) => boolean;
    readonly ifNone?: Expectation['ifNone'];
    /** The resources in words. */
    readonly of?: string;
  } = {},
): Expectation {
  return {
    ...wanted,
    subject: `${path.join('.') || 'resource'} of ${of}`,
    ifNone,
    find: (stack) =>
      resourcesOf(stack, type)
        .filter(([name, block]) => only(block, name))
        .map(([name]) => placeAt(stack, type, name, path)),
  };
}

/** A server parameter of every Flexible Server. A server that does not set it is a place without a value. */
export function parameter(name: string, wanted: Wanted): Expectation {
  return {
    ...wanted,
    subject: `parameter ${name} of every Flexible Server`,
    ifNone: 'violated',
    find: (stack) =>
      resourcesOf(stack, server).map(([owner]) => {
        const setting = resourcesOf(stack, configuration).find(
          ([, block]) =>
            textAt(block, 'name') === name && textAt(block, 'server_id') === `\${${server}.${owner}.id}`,
        );
        return setting
          ? placeAt(stack, configuration, setting[0], ['value'])
          : { pointer: pointerOf(['resource', server, owner]), value: undefined };
      }),
  };
}

/** A resource of a type for every resource of another type that it refers to by id in an attribute. */
export function companion(
  owners: string,
  type: string,
  reference: readonly (string | number)[],
  subject: string,
  only: (block: JsonObject) => boolean = () => true,
): Expectation {
  return {
    ...anything,
    subject,
    ifNone: 'not applicable',
    find: (stack) =>
      resourcesOf(stack, owners)
        .filter(([, block]) => only(block))
        .map(([owner]) => {
          const found = resourcesOf(stack, type).find(
            ([, block]) => at(block, ...reference) === `\${${owners}.${owner}.id}`,
          );
          return found
            ? placeAt(stack, type, found[0], reference)
            : { pointer: pointerOf(['resource', owners, owner]), value: undefined };
        }),
  };
}

/** No resource of a type. */
export function none(type: string, only: (block: JsonObject) => boolean, subject: string): Expectation {
  return {
    requires: 'absent',
    holds: () => false,
    subject,
    ifNone: 'holds',
    find: (stack) =>
      resourcesOf(stack, type)
        .filter(([, block]) => only(block))
        .map(([name]) => placeAt(stack, type, name, [])),
  };
}
