/** Shapes that Azure publishes in its clients, with the deviations of this folder. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ResourceTypeName } from '../../../azure/resource-types.ts';
import type { Shape, ShapeOfObject } from '../core/shape.ts';
import { deviations } from './deviations.ts';

/** As published, without deviations. */
export const published: Readonly<Partial<Record<ResourceTypeName, ShapeOfObject>>> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'shapes.json'), 'utf8'),
);

/** @throws Error for a type that no installed client describes */
export function publishedShape(type: ResourceTypeName): ShapeOfObject {
  const found = published[type];
  if (!found) throw new Error(`no client describes ${type}`);
  return deviations
    .filter((one) => one.type === type)
    .reduce((shape, { path, shape: other }) => replaced(shape, path.split('.'), other), found);
}

function replaced(
  shape: ShapeOfObject,
  [name = '', ...rest]: readonly string[],
  other: Shape | 'absent',
): ShapeOfObject {
  const { [name]: inner, ...others } = shape;
  if (rest.length > 0)
    return { ...others, [name]: replaced(isShapeOfObject(inner) ? inner : {}, rest, other) };
  return other === 'absent' ? others : { ...others, [name]: other };
}

function isShapeOfObject(shape: Shape | undefined): shape is ShapeOfObject {
  return typeof shape === 'object' && !Array.isArray(shape);
}

/** The published shape at a path; undefined if it has none. */
export function publishedAt(type: ResourceTypeName, path: string): Shape | undefined {
  return path
    .split('.')
    .reduce<Shape | undefined>(
      (shape, name) => (isShapeOfObject(shape) ? shape[name] : undefined),
      published[type],
    );
}
