/**
 * JSON of columns, without loss. A bigint is `{"$bigint": "5"}`, a Date `{"$date": "2026-…Z"}`, a decimal object its text. A key
 * that begins with `$` gets another one, so that no content looks like one of these or like an encrypted value.
 */
import type { FieldProblem } from './error.ts';
import { Timestamp } from './timestamp.ts';

/** A value of a JSON column as the application sees it. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | bigint
  | Date
  | DecimalObject
  | readonly JsonValue[]
  | JsonObject;

export interface JsonObject {
  readonly [key: string]: JsonValue | undefined;
}

/** An object of decimal.js, big.js or bignumber.js. It is stored, and comes back, as its text. */
export interface DecimalObject {
  toFixed(): string;
  toString(): string;
}

/** The form that is stored: JSON alone. */
export type StoredJson =
  | null
  | boolean
  | number
  | string
  | readonly StoredJson[]
  | { readonly [key: string]: StoredJson };

const deepest = 500;

/** @param problems gets what cannot be stored */
export function encode(value: unknown, field: string, problems: FieldProblem[], depth = 0): StoredJson {
  const refused = (rule: string): null => {
    problems.push({ field, rule });
    return null;
  };
  if (depth > deepest) return refused(`has at most ${deepest} levels, and no circle`);
  switch (typeof value) {
    case 'boolean':
      return value;
    case 'number':
      return Number.isFinite(value) ? value : refused('is a finite number');
    case 'string':
      return isStorableText(value) ? value : refused(unstorable);
    case 'bigint':
      return { $bigint: String(value) };
    case 'object':
      break;
    default:
      return refused(`is JSON, a bigint, a Date or a decimal, not a ${typeof value}`);
  }
  if (value === null) return null;
  if (value instanceof Date) {
    const time = Timestamp.from(value);
    return time ? { $date: time.toISOString() } : refused('is a date of the years 1 to 9999');
  }
  if (Array.isArray(value))
    return Array.from(value, (one, index) => encode(one, `${field}[${index}]`, problems, depth + 1));
  if (isDecimal(value)) return value.toString();
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null)
    return refused(`is JSON, a bigint, a Date or a decimal, not a ${value.constructor?.name}`);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined)
      .map(([key, one]) => {
        if (!isStorableText(key)) refused(unstorable);
        return [key.startsWith('$') ? `$${key}` : key, encode(one, `${field}.${key}`, problems, depth + 1)];
      }),
  );
}

/** The inverse of `encode`. Unknown forms of other programs stay as they are. */
export function decode(value: StoredJson): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(decode);
  const entries = Object.entries(value);
  const [only] = entries;
  if (entries.length === 1 && only) {
    const [key, text] = only;
    if (key === '$bigint' && typeof text === 'string' && /^-?\d+$/.test(text)) return BigInt(text);
    const time = key === '$date' ? Timestamp.from(text) : undefined;
    if (time) return time.microseconds === 0 ? new Date(time.getTime()) : time;
  }
  return Object.fromEntries(
    entries.map(([key, one]) => [key.startsWith('$$') ? key.slice(1) : key, decode(one)]),
  );
}

const unstorable = 'has no NUL character and no half of a surrogate pair, which PostgreSQL cannot store';

export function isStorableText(text: string): boolean {
  return !text.includes('\0') && !/\p{Surrogate}/u.test(text);
}

function isDecimal(value: object): value is DecimalObject {
  return typeof Reflect.get(value, 'toFixed') === 'function';
}
