/**
 * What a document sent to Azure may contain. A property that nobody here has looked at is as loud as a request that
 * nobody knows: Azure would act on it, or refuse it, and this stand-in would do neither.
 */
import { isObject, type Json, type JsonObject } from '../../../core/json.ts';

/**
 * `any` value; `readOnly`, which Azure takes and ignores; an object with these properties and no others; a list of such
 * objects. `*` stands for every name (tags, identities).
 */
export type Shape = 'any' | 'readOnly' | ShapeOfObject | readonly [Shape];
export interface ShapeOfObject {
  readonly [property: string]: Shape;
}

/** Paths of properties that the shape does not know, `properties.storage.colour`. */
export function strangers(value: Json | undefined, shape: Shape, path = ''): string[] {
  if (shape === 'any' || shape === 'readOnly' || value === undefined || value === null) return [];
  if (isList(shape))
    return Array.isArray(value) ? value.flatMap((item) => strangers(item, shape[0], `${path}[]`)) : [path];
  if (!isObject(value)) return [path];
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = ownShape(shape, name);
    const inside = path === '' ? name : `${path}.${name}`;
    return known === undefined ? [inside] : strangers(inner, known, inside);
  });
}

/** The same document without what a client may only read. */
export function writable(value: JsonObject, shape: Shape): JsonObject {
  if (!isObject(shape)) return value;
  const known = shape as ShapeOfObject;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]): [string, Json | undefined][] => {
      const own = ownShape(known, name);
      if (own === 'readOnly') return [];
      if (own === undefined || own === 'any') return [[name, inner]];
      if (isList(own))
        return [
          [
            name,
            Array.isArray(inner)
              ? inner.map((item) => (isObject(item) ? writable(item, own[0]) : item))
              : inner,
          ],
        ];
      return [[name, isObject(inner) ? writable(inner, own) : inner]];
    }),
  );
}

function ownShape(shape: ShapeOfObject, name: string): Shape | undefined {
  return Object.hasOwn(shape, name) ? shape[name] : shape['*'];
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}
