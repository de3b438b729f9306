/** The difference of two values of a plan, attribute by attribute. */
import { isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { AttributeChange } from './facts.ts';

interface Sides {
  readonly before: JsonObject;
  readonly after: JsonObject;
  readonly unknown: Json | undefined;
  readonly sensitive: { readonly before: Json | undefined; readonly after: Json | undefined };
}

/**
 * Attributes that differ. A block, which a plan has as a list of at most one object, is followed; every other list is one
 * value.
 */
export function changesOf(sides: Sides): AttributeChange[] {
  return [...differences('', sides)].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function* differences(
  prefix: string,
  { before, after, unknown, sensitive }: Sides,
): Generator<AttributeChange> {
  const names = new Set([...Object.keys(before), ...Object.keys(after), ...trueKeys(unknown)]);
  for (const name of names) {
    const path = prefix === '' ? name : `${prefix}.${name}`;
    const [was, is] = [own(before, name), own(after, name)];
    const open = within(unknown, name);
    const masks = { before: within(sensitive.before, name), after: within(sensitive.after, name) };
    const isUnknown = hasTrue(open);
    if (!isUnknown && equal(was, is)) continue;
    const [blockBefore, blockAfter] = [blockOf(was), blockOf(is)];
    if (blockBefore && blockAfter && open !== true && (Array.isArray(was) || Array.isArray(is))) {
      const inner = {
        before: blockBefore,
        after: blockAfter,
        unknown: first(open),
        sensitive: { before: first(masks.before), after: first(masks.after) },
      };
      yield* differences(path, inner);
      continue;
    }
    yield {
      path,
      before: was ?? undefined,
      after: is ?? undefined,
      isUnknown,
      isSensitive: hasTrue(masks.before) || hasTrue(masks.after),
    };
  }
}

/** The object of a block; undefined for a value that is not a block of one object. */
function blockOf(value: Json | undefined): JsonObject | undefined {
  return Array.isArray(value) && value.length === 1 && isObject(value[0]) ? value[0] : undefined;
}

function first(value: Json | undefined): Json | undefined {
  return Array.isArray(value) ? value[0] : value;
}

export function own(value: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(value, name) ? value[name] : undefined;
}

function within(mask: Json | undefined, name: string): Json | undefined {
  if (mask === true) return true;
  return isObject(mask) ? own(mask, name) : undefined;
}

function trueKeys(mask: Json | undefined): string[] {
  return isObject(mask) ? Object.keys(mask).filter((name) => hasTrue(mask[name])) : [];
}

/** Whether a mask marks the value or a part of it. */
export function hasTrue(mask: Json | undefined): boolean {
  if (mask === true) return true;
  if (Array.isArray(mask)) return mask.some(hasTrue);
  return isObject(mask) && Object.values(mask).some(hasTrue);
}

/** Whether two values are the same. Nothing, null, an empty list of blocks and an empty map are. */
export function equal(one: Json | undefined, other: Json | undefined): boolean {
  if (isNothing(one) && isNothing(other)) return true;
  if (Array.isArray(one) && Array.isArray(other))
    return one.length === other.length && one.every((item, place) => equal(item, other[place]));
  if (isObject(one) && isObject(other))
    return [...new Set([...Object.keys(one), ...Object.keys(other)])].every((name) =>
      equal(own(one, name), own(other, name)),
    );
  return one === other;
}

function isNothing(value: Json | undefined): boolean {
  if (value === undefined || value === null) return true;
  return Array.isArray(value) ? value.length === 0 : isObject(value) && Object.keys(value).length === 0;
}

/** A value for a person: JSON, shortened. Sensitive and unknown ones are replaced by words. */
export function shown(value: Json | undefined, longest = 60): string {
  if (value === undefined || value === null) return 'nothing';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > longest ? `${text.slice(0, longest)}…` : text;
}

/** The values of a change for a person, `8 -> 16`. */
export function shownChange({ before, after, isUnknown, isSensitive }: AttributeChange): string {
  if (isSensitive) return '(sensitive)';
  return `${shown(before)} -> ${isUnknown ? '(known after apply)' : shown(after)}`;
}

/** Shorter values stand in sentences by chance. */
const shortestSecret = 4;

/** Collects the texts and numbers at the masked places. */
export function collectMasked(value: Json | undefined, mask: Json | undefined, into: Set<string>): void {
  if (mask === undefined || mask === null || mask === false || value === undefined || value === null) return;
  if (Array.isArray(value))
    for (const [place, item] of value.entries())
      collectMasked(item, mask === true ? true : Array.isArray(mask) ? mask[place] : undefined, into);
  else if (isObject(value))
    for (const [name, item] of Object.entries(value))
      collectMasked(item, mask === true ? true : isObject(mask) ? own(mask, name) : undefined, into);
  else if (mask === true && typeof value !== 'boolean' && String(value).length >= shortestSecret)
    into.add(String(value));
}
