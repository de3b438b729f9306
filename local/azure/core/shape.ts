/**
 * The properties that a document sent to Azure may have. An unknown property is reported like an unknown request: Azure
 * would act on it or refuse it, and the local Azure would do neither.
 */
import { isObject, type Json, type JsonObject } from '../../../core/json.ts';

/**
 * `any` value; `readOnly`, which Azure accepts and ignores; an object with these properties and no others; a list of such
 * objects. `*` stands for every name (tags, identities).
 */
export type Shape = 'any' | 'readOnly' | ShapeOfObject | readonly [Shape];
export interface ShapeOfObject {
  readonly [property: string]: Shape;
}

/** Paths of properties that the shape lacks, `properties.storage.color`. */
export function unknownProperties(value: Json | undefined, shape: Shape, path = ''): string[] {
  if (shape === 'any' || shape === 'readOnly' || value === undefined || value === null) return [];
  if (isList(shape))
    return Array.isArray(value)
      ? value.flatMap((item) => unknownProperties(item, shape[0], `${path}[]`))
      : [path];
  if (!isObject(value)) return [path];
  return Object.entries(value).flatMap(([name, inner]) => {
    const known = ownShape(shape, name);
    const inside = path === '' ? name : `${path}.${name}`;
    return known === undefined ? [inside] : unknownProperties(inner, known, inside);
  });
}

/** The document without read-only properties. */
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
